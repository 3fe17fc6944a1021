"""Formulas, code and pictures of pages: each in its place, as the tools that write pages write them."""

from __future__ import annotations

import contextlib
import time

import pytest
from resiliparse.parse.html import HTMLTree

from seedbed.curate.contract import Record
from seedbed.curate.extractors.main_content import MainContent
from seedbed.curate.extractors.rich_content import RichContent
from seedbed.text.markup.mathml import latex_of

URL = "http://a.example/docs/page.html"
BEFORE, AFTER = "The words before it are these,", "and the words after it are those."


def extract(inside: str, extractor: RichContent | None = None) -> str:
    html = f"<html><body><article><h1>Title</h1><p>{BEFORE} {inside} {AFTER}</p></article></body></html>"
    return (extractor or RichContent()).extract(Record(0, html.encode(), "html", url=URL))


def inline(text: str) -> str:
    return f"Title\n\n{BEFORE} {text} {AFTER}"


def block(text: str) -> str:
    return f"Title\n\n{BEFORE}\n\n{text}\n\n{AFTER}"


MATHML = "<mrow><msup><mi>x</mi><mn>2</mn></msup></mrow>"
NOTE = '<annotation encoding="application/x-tex">x^2 + \\alpha</annotation>'
FORMULAS = {
    "KaTeX": (
        f'<span class="katex"><span class="katex-mathml"><math><semantics>{MATHML}{NOTE}</semantics></math></span>'
        '<span class="katex-html" aria-hidden="true"><span>x</span>2</span></span>',
        "x^2 + \\alpha",
    ),
    "MathJax 2": (
        '<span class="MathJax_Preview">x2</span><span class="MathJax"><nobr>x2</nobr></span>'
        '<script type="math/tex" id="MathJax-1">x^2 + \\alpha</script>',
        "x^2 + \\alpha",
    ),
    "MathJax 3": (
        f'<mjx-container jax="CHTML"><mjx-math>x2</mjx-math><mjx-assistive-mml><math>{MATHML}</math>'
        "</mjx-assistive-mml></mjx-container>",
        "x^{2}",
    ),
    "MediaWiki": (
        f'<span class="mwe-math-element"><span class="mwe-math-mathml-inline"><math alttext="{{\\displaystyle x^2}}">'
        f"{MATHML}</math></span><img class='mwe-math-fallback' alt='{{\\displaystyle x^2}}' src='x'></span>",
        "x^2",
    ),
    "LaTeXML": (f'<math alttext="x^{{2}}+\\alpha" class="ltx_Math" display="inline">{MATHML}</math>', "x^{2}+\\alpha"),
    "Sphinx": ('<span class="math notranslate nohighlight">\\(x^2 &lt; \\alpha\\)</span>', "x^2 < \\alpha"),
    "pandoc": ('<span class="math inline">\\(a_b\\)</span>', "a_b"),
    "picture": ('<img class="math" src="_images/math/ab12.png" alt="\\frac{a}{b}">', "\\frac{a}{b}"),
    "latex2html": ('<img width="9" height="9" src="img1.png" alt="$\\sqrt{2}$">', "\\sqrt{2}"),
    "bare MathML": (f"<math>{MATHML}</math>", "x^{2}"),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_a_formula_in_a_sentence_stays_in_it_as_latex(name: str) -> None:
    html, latex = FORMULAS[name]
    assert extract(html) == inline(f"${latex}$")


@pytest.mark.parametrize(
    "html",
    [
        '<span class="katex-display"><span class="katex"><math display="block"><semantics><mi>x</mi>'
        '<annotation encoding="application/x-tex">x^2</annotation></semantics></math></span></span>',
        '<script type="math/tex; mode=display">x^2</script>',
        '<math display="block" alttext="x^2"><mi>x</mi></math>',
        "<span class='math display'>\\[x^2\\]</span>",
    ],
)
def test_a_display_stands_on_its_own(html: str) -> None:
    assert extract(html) == block("$$x^2$$")


def test_what_only_looks_like_a_formula_is_left_alone() -> None:
    assert extract('<span class="math">Math homework</span>') == inline("Math homework")
    slot = "![A graph of x](http://a.example/docs/g.png)"
    assert extract('<img class="wide" src="g.png" alt="A graph of x">') == inline(slot)


CONVERTED = {
    "<mfrac><mn>1</mn><mi>α</mi></mfrac>": "\\frac{1}{\\alpha}",
    "<msqrt><mi>x</mi><mo>+</mo><mn>1</mn></msqrt>": "\\sqrt{x+1}",
    "<mroot><mi>x</mi><mn>3</mn></mroot>": "\\sqrt[3]{x}",
    "<munderover><mo>∑</mo><mrow><mi>i</mi><mo>=</mo><mn>0</mn></mrow><mi>n</mi></munderover>": "\\sum_{i=0}^{n}",
    "<munder><mi>lim</mi><mrow><mi>x</mi><mo>→</mo><mi>∞</mi></mrow></munder>": "\\lim_{x\\to\\infty}",
    "<mover><mi>v</mi><mo>→</mo></mover>": "\\vec{v}",
    "<mover><mi>x</mi><mo>^</mo></mover>": "\\hat{x}",
    "<mover><mi>x</mi><mi>y</mi></mover>": "\\overset{y}{x}",
    "<msubsup><mi>a</mi><mi>i</mi><mn>2</mn></msubsup>": "a_{i}^{2}",
    "<msup><mrow><mi>a</mi><mi>b</mi></mrow><mn>2</mn></msup>": "{ab}^{2}",
    "<mi>sin</mi><mo>\u2061</mo><mi>x</mi>": "\\sin x",
    "<mi>rank</mi><mo>≤</mo><mi>ℝ</mi>": "\\mathrm{rank}\\leq\\mathbb{R}",
    "<mi mathvariant='bold'>v</mi>": "\\mathbf{v}",
    "<mfenced open='['><mi>a</mi><mi>b</mi></mfenced>": "\\left[a,b\\right)",
    "<mfenced open='' close=''><mi>a</mi></mfenced>": "\\left.a\\right.",
    "<mtable><mtr><mtd><mn>1</mn></mtd><mtd><mn>0</mn></mtd></mtr><mtr><mtd><mn>0</mn></mtd><mtd><mn>1</mn></mtd></mtr>"
    "</mtable>": "\\begin{matrix}1 & 0 \\\\ 0 & 1\\end{matrix}",
    "<mtext>if  so</mtext><mspace width='1em'/><mi>x</mi>": "\\text{if so}\\ x",
    "<mo>{</mo><mi>x</mi><mo>∣</mo><mi>x</mi><mo>}</mo>": "\\{x\\mid x\\}",
    "<mstyle><mpadded><mi>β</mi><mi>γ</mi></mpadded></mstyle>": "\\beta\\gamma",
    "<mfrac><mn>1</mn></mfrac>": "1",
}


@pytest.mark.parametrize("mathml", CONVERTED)
def test_mathml_without_latex_is_converted(mathml: str) -> None:
    tree = HTMLTree.parse(f"<math>{mathml}</math>")
    assert latex_of(tree.document.query_selector("math")) == CONVERTED[mathml]


def test_deep_mathml_ends() -> None:
    tree = HTMLTree.parse(f"<math>{'<mrow>' * 3000}<mi>x</mi>{'</mrow>' * 3000}</math>")
    assert latex_of(tree.document.query_selector("math")) == "x"


CODE = "def f(x):\n    if x:\n        return  'a  b'  # <&>\n\n\treturn None"
ESCAPED = CODE.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


@pytest.mark.parametrize(
    ("html", "language"),
    [
        ("<pre>{}</pre>", ""),
        ("<pre>\n{}\n</pre>", ""),
        ('<pre><code class="language-python">{}\n</code></pre>', "python"),
        (
            '<div class="highlight-python3 notranslate"><div class="highlight"><pre><span></span>{}</pre></div></div>',
            "python3",
        ),
        ('<div class="highlight-default"><div class="highlight"><pre>{}</pre></div></div>', ""),
        ('<pre class="brush: py">{}</pre>', "py"),
        ('<div class="highlight highlight-source-shell"><pre>{}</pre></div>', "shell"),
        (
            '<table class="highlighttable"><tr><td class="linenos"><div class="linenodiv"><pre>1\n2\n3</pre></div></td>'
            '<td class="code"><div class="highlight"><pre>{}</pre></div></td></tr></table>',
            "",
        ),
    ],
)
def test_a_code_block_is_kept_to_the_byte(html: str, language: str) -> None:
    page = f"<html><body><article><p>{BEFORE}</p>{html.format(ESCAPED)}<p>{AFTER}</p></article></body></html>"
    text = RichContent().extract(Record(0, page.encode(), "html"))
    assert text == f"{BEFORE}\n\n```{language}\n{CODE}\n```\n\n{AFTER}"


def test_line_breaks_fences_and_formulas_within_code() -> None:
    assert "```\na\nb\n```" in extract("</p><pre>a<br>b</pre><p>")
    assert "````\n```\nx\n```\n````" in extract("</p><pre>```\nx\n```</pre><p>")
    assert "```\nlet $x^{2}$ be\n```" in extract(f"</p><pre>let <math>{MATHML}</math> be</pre><p>")


def test_code_in_a_sentence_is_quoted() -> None:
    assert extract("<code>a  b</code>") == inline("`a  b`")
    assert extract("<tt>x</tt> and <kbd>Ctrl</kbd>") == inline("`x` and `Ctrl`")
    assert extract("<code>a`b</code>") == inline("``a`b``")
    assert extract("<code><img src='i.png' alt='i'></code>") == inline("![i](http://a.example/docs/i.png)")


def test_a_list_of_linked_names_is_no_menu() -> None:
    names = [f"rule{i}()" for i in range(8)]
    plain = "".join(f'<li><p><a href="#{name}">{name}</a> - simpler</p></li>' for name in names)
    code = "".join(f'<li><p><a href="#{name}"><code>{name}</code></a> - simpler</p></li>' for name in names)
    page = "<html><body><div role='main'><section><section><p>{}</p><ul>{}</ul></section></section></div></body></html>"
    menu, described = (
        RichContent().extract(Record(0, page.format(BEFORE, items).encode(), "html")) for items in (plain, code)
    )
    assert [name in menu for name in names] == [False] * 8
    assert [f"`{name}` - simpler" in described for name in names] == [True] * 8


def test_pictures_leave_their_slots_in_order() -> None:
    html = (
        '<img src="a.png" alt="first [one]"> x <a href="/"><img data-src="/b c.png"></a> y '
        '<img src="//cdn.example/c.jpg" alt=" two\n lines "> <img src="data:image/png;base64,xx" alt="d">'
        '<img src="pixel.gif" width="1" height="1"><img alt="no source">'
    )
    slots = "![first (one)](http://a.example/docs/a.png) x ![](http://a.example/b%20c.png) y ![two lines]"
    assert extract(html) == inline(f"{slots}(http://cdn.example/c.jpg)")


def test_each_kind_can_be_left_and_without_any_it_is_main_content() -> None:
    html = f"<math>{MATHML}</math> <code>c</code> <img src='a.png' alt='a'>"
    bare = RichContent(formulas=False, code=False, images=False)
    page = f"<html><body><article><p>{BEFORE} {html}</p><pre>a\n  b</pre></article></body></html>".encode()
    assert bare.extract(Record(0, page, "html")) == MainContent().extract(Record(0, page, "html"))
    assert "$" not in extract(html, RichContent(formulas=False))
    assert "`" not in extract(html, RichContent(code=False))
    assert "!" not in extract(html, RichContent(images=False))


def test_a_picture_is_found_where_pages_put_its_address() -> None:
    late = '<img src="data:image/gif;base64,xx" data-src="late.png" alt="l">'
    sets = '<picture><source srcset="wide.webp 2x, b.webp"><img alt="s"></picture> <img srcset="one.jpg, two.jpg 2x">'
    slots = "![l](http://a.example/docs/late.png) ![s](http://a.example/docs/wide.webp)"
    assert extract(f"{late} {sets}") == inline(f"{slots} ![](http://a.example/docs/one.jpg)")
    assert extract('<img src="DATA:image/png;base64,xx" alt="d">') == f"Title\n\n{BEFORE} {AFTER}"


def test_a_figure_keeps_its_picture_and_its_caption() -> None:
    figure = "</p><figure><img src='f.png' alt='f'><figcaption>The caption</figcaption></figure><p>"
    assert "![f](http://a.example/docs/f.png)\nThe caption" in extract(figure)
    assert "caption" not in extract(figure, RichContent(images=False))


def test_a_page_of_many_items_costs_what_its_items_cost() -> None:
    start = time.process_time()
    for html in ("</p>" + "<pre>x y</pre>" * 4000, "<code>x</code> " * 4000, f"</p><pre>{' ' * 200_000}x</pre>"):
        assert "x" in extract(html)
    assert "x" in extract(f"</p><pre>{' ' * 200_000}x</pre><img src='a.png'>", RichContent(code=False))
    assert time.process_time() - start < 10, "seconds; a search anew for each item took a minute"


def test_menus_stay_out_with_their_pictures_and_all_text_keeps_them() -> None:
    page = (
        f"<html><body><nav class='menu'><img src='logo.png' alt='logo'><code>menu</code></nav>"
        f"<main><p>{BEFORE}</p></main></body></html>"
    ).encode()
    assert RichContent().extract(Record(0, page, "html")) == BEFORE
    whole = RichContent(main_content=False).extract(Record(0, page, "html", url=URL))
    assert "![logo](http://a.example/docs/logo.png)`menu`" in whole.replace(" ", "").replace("\n", "")


def test_characters_that_look_like_marks_are_the_pages_own() -> None:
    forged = "\U000fdc007\U000fdc01"
    assert extract(f"{forged} <code>c</code>") == inline(f"{forged} `c`")
    assert extract("<img src='http://[::1' alt='x'>") == inline("![x](http://[::1)")


@pytest.mark.parametrize("html", ["<div>" * 200_000, "<pre>" * 2_000 + "x", "<math>" * 2_000, "<code>" * 3_000 + "x"])
def test_pages_made_to_hurt_end(html: str) -> None:
    with contextlib.suppress(ValueError):
        assert RichContent().extract(Record(0, html.encode(), "html")) is not None
