"""Formulas, code and pictures of a page as text, each where it stands.

Each is taken out of the parsed page and leaves a mark, a number between two private characters; the text of the page is
then extracted as ever, and what was taken out is put in place of its mark.
"""

from __future__ import annotations

import dataclasses
import re
from typing import Any
from urllib.parse import urljoin

from seedbed.text.markup.mathml import latex_of

_OPEN, _CLOSE = "\U000fdc00", "\U000fdc01"
_MARK = re.compile(f"{_OPEN}([0-9]+){_CLOSE}")

_RENDERED = ".MathJax_Preview, .MathJax, .MathJax_Display, .MathJax_SVG, .MathJax_CHTML"
_FORMULAS = (
    'script[type^="math/tex"], .katex-display, .katex, .mwe-math-element, mjx-container, math, span.math, div.math, '
    "span.tex, span.arithmatex, div.arithmatex"
)
_LATEX_CLASSES = frozenset({"math", "tex", "latex", "texrender", "formula", "equation", "ee_img", "tr_noresize"})
_LATEX_SOURCE = re.compile(r"latex|codecogs|mathtex|mimetex|media/math|math/render|/imgmath/|[/=]tex[/?]")
_LATEX_TEXT = re.compile(r"\\[a-zA-Z]+|[_^]\{|^\$.+\$$", re.DOTALL)
_DELIMITED = re.compile(r"^(\$\$|\\\[|\$|\\\()(.*?)(\$\$|\\\]|\$|\\\))$", re.DOTALL)
_DISPLAY_STYLE = re.compile(r"^\{\\(?:display|text)style\s+(.*)\}$", re.DOTALL)
_LANGUAGE = re.compile(
    r"(?:^|\s)(?:(?:language|lang|highlight-source|highlight|source)-|brush:\s*|sourceCode\s+)([\w+#.]+)"
)
_NO_LANGUAGE = frozenset({"default", "none", "text", "plaintext", "notranslate", "highlight", "nohighlight", "source"})
_LINE_NUMBERS = frozenset({"linenos", "linenodiv", "gutter", "lineno", "line-numbers-rows"})


@dataclasses.dataclass
class Kept:
    """What was taken out of a page, in the order of the marks: its text, and whether it stands on lines of its own."""

    found: list[tuple[str, bool]] = dataclasses.field(default_factory=list[tuple[str, bool]])

    def put_back(self, text: str) -> str:
        """The text with what was taken out in place of the marks."""
        parts, end, is_after_block = list[str](), 0, False
        for mark in _MARK.finditer(text) if self.found else ():
            number = int(mark.group(1)[:9])
            if number >= len(self.found):
                continue  # the page's own characters
            content, is_block = self.found[number]
            before = text[end : mark.start()]
            before = before.lstrip() if is_after_block else before
            if is_block:
                parts += filter(None, [before.rstrip()])
                parts += ["\n\n"] if parts and not parts[-1].endswith("\n\n") else []
                parts.append(f"{content}\n\n")
            else:
                parts += before, content
            end, is_after_block = mark.end(), is_block
        rest = text[end:].lstrip() if is_after_block else text[end:]
        return "".join([*parts, rest]).rstrip() if parts else text

    def mark(self, tree: Any, node: Any, content: str, is_block: bool) -> None:
        """Take a node out of the tree."""
        mark = tree.create_text_node(f"{_OPEN}{len(self.found)}{_CLOSE}")
        self.found.append((content, is_block))
        if is_block:
            block = tree.create_element("p")
            block.append_child(mark)
            mark = block
        node.parent.replace_child(mark, node)


def take_out(tree: Any, url: str, *, formulas: bool, code: bool, images: bool) -> Kept:
    """Put marks into the tree for the kinds that are asked for."""
    kept = Kept()
    if tree.document is None:
        return kept
    if formulas:
        _formulas(tree, kept)
    if code:
        _code(tree, kept)
    if images:
        _images(tree, url, kept)
    return kept


def _outermost(tree: Any, selector: str) -> list[Any]:
    """The elements that a selector finds, less those inside another one."""
    return _all(tree.document, f":is({selector}):not(:is({selector}) *)")


def _all(node: Any, selector: str) -> list[Any]:
    """What a selector finds below a node, found at once: resiliparse searches anew for each element of a list."""
    return list(node.query_selector_all(selector).values())


def _formulas(tree: Any, kept: Kept) -> None:
    document = tree.document
    if document.query_selector('script[type^="math/tex"]') is not None:
        for node in _outermost(tree, _RENDERED):
            node.parent.remove_child(node)
    for node in _outermost(tree, _FORMULAS):
        latex, is_display = _formula(node)
        if latex:
            kept.mark(tree, node, f"$${latex}$$" if is_display else f"${latex}$", is_display)
    for node in _all(document, "img[alt]"):
        latex, is_display = _pictured(node)
        if latex:
            kept.mark(tree, node, f"$${latex}$$" if is_display else f"${latex}$", is_display)


def _formula(node: Any) -> tuple[str, bool]:
    """(LaTeX or empty, whether it is a display) of an element that may be a formula."""
    classes = set((node.getattr("class") or "").split())
    if node.tag == "script":
        return str(node.text).strip(), "mode=display" in (node.getattr("type") or "")
    math = node if node.tag == "math" else node.query_selector("math")
    if math is not None:
        is_display = (
            math.getattr("display") == "block" or "katex-display" in classes or node.getattr("display") == "true"
        )
        return _bare(latex_of(math))[0], is_display
    if picture := node.query_selector("img[alt]"):
        return _bare(picture.getattr("alt") or "")[0], "display" in (picture.getattr("class") or "")
    latex, is_display = _bare(str(node.text).strip())
    delimited = latex != str(node.text).strip() or bool(_LATEX_TEXT.search(latex))
    return (latex if delimited else "", is_display or node.tag == "div")


def _bare(text: str) -> tuple[str, bool]:
    """LaTeX without its delimiters, and whether they were those of a display."""
    text = text.strip()
    found = _DELIMITED.match(text)
    if found is not None:
        return found.group(2).strip(), found.group(1) in ("$$", "\\[")
    styled = _DISPLAY_STYLE.match(text)
    return (styled.group(1).strip(), False) if styled is not None else (text, False)


def _pictured(image: Any) -> tuple[str, bool]:
    """The same of a picture of a formula, whose alternative text is LaTeX."""
    alt = (image.getattr("alt") or "").strip()
    classes = (image.getattr("class") or "").lower().replace("-", " ").split()
    is_known = bool(_LATEX_CLASSES & set(classes)) or _LATEX_SOURCE.search((image.getattr("src") or "").lower())
    if not alt or not (is_known or _DELIMITED.match(alt) or re.search(r"\\[a-zA-Z]+\s*[{\\_^]", alt)):
        return "", False
    latex, is_display = _bare(alt)
    return latex, is_display or "display" in classes or latex.startswith("\\begin")


def _code(tree: Any, kept: Kept) -> None:
    for node in _outermost(tree, "pre"):
        if _is_gutter(node):
            node.parent.remove_child(node)
            continue
        for line_break in _all(node, "br"):
            line_break.parent.replace_child(tree.create_text_node("\n"), line_break)
        text = kept.put_back(str(node.text)) if _OPEN in str(node.text) else str(node.text)
        text = text.strip("\n").rstrip()
        if text:
            fence = "`" * max(3, max((len(run) for run in re.findall("`+", text)), default=0) + 1)
            kept.mark(tree, node, f"{fence}{_language(node)}\n{text}\n{fence}", is_block=True)
    for node in _outermost(tree, "code, tt, kbd, samp"):
        text = " ".join(str(node.text).split("\n")).strip()
        if text and _OPEN not in text:
            quote = "``" if "`" in text else "`"
            kept.mark(tree, _link_around(node), f"{quote}{text}{quote}", is_block=False)


def _link_around(node: Any) -> Any:
    """The link that holds this code and nothing else, or the code: a row of names is no row of links to be left out."""
    link = node.parent
    is_all = link.tag == "a" and str(link.text).strip() == str(node.text).strip()
    return link if is_all and link.parent is not None else node


def _is_gutter(node: Any) -> bool:
    """Whether a <pre> holds line numbers beside the code."""
    for _ in range(3):
        if node is None:
            return False
        if _LINE_NUMBERS & set((node.getattr("class") or "").split()):
            return True
        node = node.parent if node.parent is not None and node.parent.tag in ("td", "div") else None
    return False


def _language(node: Any) -> str:
    """The programming language that the classes of a code block, or of the blocks around it, name."""
    inner = node.query_selector("code[class]")
    for holder in filter(None, (inner, node, node.parent, node.parent.parent)):
        for found in _LANGUAGE.finditer(holder.getattr("class") or ""):
            if found.group(1).lower() not in _NO_LANGUAGE:
                return found.group(1).lower()
    return ""


def _images(tree: Any, url: str, kept: Kept) -> None:
    for node in _all(tree.document, "img"):
        source = _source(node)
        if not source or _is_pixel(node):
            continue
        alt = " ".join((node.getattr("alt") or "").replace("[", "(").replace("]", ")").split())
        try:
            where = urljoin(url, source)
        except ValueError:  # a bracket in the host
            where = source
        kept.mark(tree, node, f"![{alt}]({_spelt(where)})", is_block=False)


def _spelt(address: str) -> str:
    """An address in one piece, as WHATWG URL, section 4.4, reads it: line breaks and tabs fall out, blanks are %20."""
    return "".join(address.translate({9: "", 10: "", 13: "", 32: "%20"}).split())


def _source(image: Any) -> str:
    """The address of a picture, or empty; one that loads late has the bytes of a stand-in where others have it."""
    source = image.parent.query_selector("source") if image.parent.tag == "picture" else None
    sets = [
        (node.getattr(name) or "").split() for node in (image, source) if node for name in ("srcset", "data-srcset")
    ]
    plain = [image.getattr(name) or "" for name in ("src", "data-src", "data-original", "data-lazy-src")]
    addresses = [address.strip() for address in (*plain, *(each[0].rstrip(",") for each in sets if each))]
    return next((each for each in addresses if each and each[:5].lower() != "data:"), "")


def _is_pixel(image: Any) -> bool:
    """A picture that counts visits."""
    return any((image.getattr(side) or "").strip().removesuffix("px") in ("0", "1") for side in ("width", "height"))
