"""How much math, code and how many pictures of real pages the extractor keeps: recall on 100 labelled pages.

    python benchmarks/effect/curate/rich_pages.py --corpus DIR [--pages 100]

DIR/root holds unpacked documentation packages with real .html pages. Pages are chosen by what their source holds (as
many with formulas as with code and with pictures, from as many packages as there are), and labelled by script with lxml
and regular expressions over the source, by other code than the extractor's: every formula with its LaTeX (or, of MathML
without LaTeX, its letters and digits), every <pre> with its lines, every <img> with its source. Because real packages
seldom come with formulas, a third of the pages gets the formulas of FORMULAS planted in paragraphs, spelt as KaTeX,
MathJax, MediaWiki, LaTeXML, Sphinx and pictures of formulas spell them. An item counts as found where the text holds it
whole. Where all text is extracted its place counts too: an item that stands before the one found last is lost; main
content leaves items of menus and contents out on purpose, so that there only their numbers are compared.

What belongs to the main content is labelled by a hand-made rule for the programs that wrote these pages, from their own
class names and roles (FURNITURE, BODIES): an item is outside it that stands in a menu, sidebar, header, footer, search
form, index or table of contents, in a bar of links to other pages or languages, or in a picture that links such a
place; and, where the page marks its body, outside that body. The rule asks no extractor, but it was written after
looking at what the extractor had lost; read the figure inside main content as the extractor's at its best. Both figures
are reported: of all items, and of those inside.
Writes benchmarks/results/rich_pages.csv.
"""

from __future__ import annotations

import argparse
import csv
import html as markup
import os
import random
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from lxml import etree
from lxml import html as parser

from seedbed.curate.contract import Record
from seedbed.curate.extractors.main_content import MainContent
from seedbed.curate.extractors.rich_content import RichContent
from seedbed.text.markup.decoding import decode_html

RESULTS = Path(__file__).parents[2] / "results" / "rich_pages.csv"
FURNITURE = (
    ("nav", "aside", "header", "footer", "form", "button", "select"),  # elements
    ("navigation", "search", "banner", "contentinfo", "complementary"),  # roles
    # Sphinx; DocBook and Publican; Quickbook; Apache; Help of LibreOffice; ImageMagick; Erlang; Haddock
    ("sphinxsidebar", "related", "footer", "toctree-wrapper", "contents", "topic-contents"),
    ("toc", "navheader", "navfooter", "list-of-figures", "list-of-tables", "list-of-examples", "docnav"),
    ("spirit-nav", "copyright-footer"),
    ("page-header", "path", "toplang", "bottomlang", "quickview", "up", "top", "comments_section"),
    ("contents-treeview", "SearchFrame", "DonationFrame", "Index", "Bookmarks", "relatedtopics", "DEBUG"),
    ("navbar", "magick-header", "magick-footer"),
    ("leftnav", "innertube", "package-header", "table-of-contents", "synopsis"),
)
"""Elements, roles, and then classes and ids of what is not the main content."""
BODIES = ('//*[@role="main"]', "//main", '//*[@id="DisplayArea"]', '//*[@id="page-content"]|//*[@id="preamble"]')
"""Where the body stands; the first that the page has."""
KINDS = ("formula", "code", "inline code", "picture")
FORMULAS = (
    r"E = mc^2",
    r"\frac{a+b}{c_1}",
    r"\sum_{i=0}^{n} x_i^2",
    r"\int_0^\infty e^{-t}\,dt",
    r"\alpha \leq \beta < \gamma",
    r"\begin{pmatrix} 1 & 0 \\ 0 & 1 \end{pmatrix}",
)
SPELT = {
    "katex": '<span class="katex"><math><semantics><mi>x</mi><annotation encoding="application/x-tex">{}</annotation>'
    '</semantics></math><span class="katex-html" aria-hidden="true">x</span></span>',
    "mathjax2": '<span class="MathJax_Preview">x</span><script type="math/tex">{raw}</script>',
    "mathjax3": '<mjx-container><mjx-assistive-mml><math><semantics><mi>x</mi><annotation encoding="application/x-tex">'
    "{}</annotation></semantics></math></mjx-assistive-mml></mjx-container>",
    "mediawiki": '<span class="mwe-math-element"><math alttext="{{\\displaystyle {}}}"><mi>x</mi></math>'
    '<img class="mwe-math-fallback-image-inline" src="m.svg" alt="{{\\displaystyle {}}}"></span>',
    "latexml": '<math class="ltx_Math" alttext="{}"><mi>x</mi></math>',
    "sphinx": '<span class="math notranslate">\\({}\\)</span>',
    "picture": '<img class="math" src="_images/math/1.png" alt="{}">',
}


def main() -> None:
    given = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    given.add_argument("--corpus", type=Path, default=os.environ.get("SEEDBED_CORPUS"))
    given.add_argument("--pages", type=int, default=100)
    asked = given.parse_args()
    counts: Counter[tuple[str, str, str, str]] = Counter()
    for number, file in enumerate(chosen(Path(asked.corpus) / "root", asked.pages)):
        page = decode_html(file.read_bytes())[0]
        if number % 3 == 0:
            page = planted(page, number)
        labels = list(labelled(page))
        record = Record(0, page.encode(), "html", charset="utf-8", url="http://docs.example/a/b.html")
        for extractor in (RichContent(main_content=False), RichContent(), MainContent()):
            name = extractor.name() + (" (all text)" if getattr(extractor, "main_content", None) is False else "")
            text = extractor.extract(record)
            for items in ("all", "main content"):
                some = [label[:2] for label in labels if items == "all" or label[2]]
                count(text, some, (name, items), counts, in_order="all text" in name)
    with RESULTS.open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["extractor", "items", "kind", "pages", "labelled", "found", "recall"])
        for name in dict.fromkeys(key[:2] for key in counts):
            for kind in KINDS:
                there, found = counts[*name, kind, "there"], counts[*name, kind, "found"]
                row = [*name, kind, asked.pages, there, found, f"{found / max(there, 1):.4f}"]
                writer.writerow(row)
                print(*row)


def chosen(root: Path, wanted: int) -> list[Path]:
    """Pages with formulas, code and pictures in turn, no two of a package before each has one; always the same."""
    pools: dict[str, dict[str, list[Path]]] = {"math": {}, "code": {}, "picture": {}}
    chance = random.Random(7)
    for package in sorted(folder for folder in root.iterdir() if folder.is_dir()):
        files = sorted(file for file in package.rglob("*.html") if 2_000 < file.stat().st_size < 400_000)
        for file in chance.sample(files, min(len(files), 60)):
            source = file.read_bytes()
            if b"<math" in source or b'class="math' in source or b"math/tex" in source:
                pools["math"].setdefault(package.name, []).append(file)
            elif b"<pre" in source:
                pools["code"].setdefault(package.name, []).append(file)
            elif b"<img" in source:
                pools["picture"].setdefault(package.name, []).append(file)
    lists = [list(in_turns(pool)) for pool in pools.values()]
    found = [
        pick for picks in zip(*(each[:wanted] + [None] * wanted for each in lists), strict=False) for pick in picks
    ]
    return [file for file in found if file is not None][:wanted]


def in_turns(pool: dict[str, list[Path]]) -> Iterator[Path]:
    for place in range(max(map(len, pool.values()), default=0)):
        yield from (files[place] for files in pool.values() if place < len(files))


def planted(page: str, seed: int) -> str:
    """Six formulas in six spellings at the ends of paragraphs of the page."""
    chance = random.Random(seed)
    ends = [found.start() for found in re.finditer("</p>", page)]
    places = sorted(chance.sample(ends, min(len(FORMULAS), len(ends))), reverse=True)
    for place, latex in zip(places, FORMULAS, strict=False):
        spelt = SPELT[chance.choice(sorted(SPELT))]
        written = markup.escape(latex)
        page = (
            page[:place]
            + " where "
            + spelt.replace("{raw}", latex).replace("{{", "{").replace("}}", "}").replace("{}", written)
            + " holds "
            + page[place:]
        )
    return page


def labelled(page: str) -> Iterator[tuple[str, str, bool]]:
    """(kind, what must be in the text, whether it is in the main content) of each item, in the order of the page."""
    tree = parser.document_fromstring(re.sub(r"^\s*<\?xml[^>]*\?>", "", page))
    etree.strip_elements(tree, "noscript", etree.Comment, with_tail=False)
    within: set[object] = set()
    bodies = next(filter(None, map(tree.xpath, BODIES)), [tree])
    for node in tree.iter():
        if not isinstance(node.tag, str) or node in within:
            continue
        label = one(node)
        if label is not None:
            within.update(node.iterdescendants())
            if label[1]:
                yield *label, is_main(node, bodies)


def is_main(node: parser.HtmlElement, bodies: list[parser.HtmlElement]) -> bool:
    """Whether no furniture holds the element, and one of the bodies does."""
    elements, roles, *names = FURNITURE
    around = [node, *node.iterancestors()]
    for place in around:
        marks = {*(place.get("class") or "").split(), place.get("id")}
        if place.tag in elements or place.get("role") in roles or any(marks.intersection(some) for some in names):
            return False
    return any(body in around for body in bodies)


def one(node: parser.HtmlElement) -> tuple[str, str] | None:
    """The label of an element; an empty one where it is nothing to keep, None where it is no item at all."""
    tag, classes = node.tag, (node.get("class") or "").split()
    if tag == "script":
        return ("formula", (node.text or "").strip()) if "math/tex" in (node.get("type") or "") else ("", "")
    if tag == "mjx-container" or "katex" in classes or "mwe-math-element" in classes:
        return "formula", tex(next(node.iter("math")))
    if tag == "math":
        return "formula", tex(node)
    if "math" in classes and tag in ("span", "div") and "\\" in node.text_content():
        return "formula", re.sub(r"^\\[(\[]|\\[)\]]$", "", node.text_content().strip()).strip()
    if tag == "img":
        source, alt = (node.get("src") or "").strip(), (node.get("alt") or "").strip()
        around = (node.getparent(), node.getparent().getparent())
        if alt and any("math" in (e.get("class") or "").split() for e in (node, *around) if e is not None):
            return "formula", alt
        pixel = {node.get("width"), node.get("height")} & {"0", "1"}
        return "picture", "" if not source or source.startswith("data:") or pixel else source.rpartition("/")[2]
    if tag == "pre":
        return (
            ("", "")
            if "linenos" in (node.getparent().get("class") or "")
            else ("code", node.text_content().strip("\n"))
        )
    if tag in ("code", "tt", "kbd", "samp"):
        return None if node.find(".//img") is not None else ("inline code", node.text_content().strip())
    return None


def tex(math: parser.HtmlElement) -> str:
    for note in math.iter("annotation"):
        if "tex" in (note.get("encoding") or ""):
            return (note.text or "").strip()
    alt = (math.get("alttext") or "").strip()
    styled = re.fullmatch(r"\{\\displaystyle (.*)\}", alt, re.DOTALL)
    return (
        styled.group(1).strip()
        if styled
        else alt or "letters:" + "".join(re.findall(r"[0-9A-Za-z]", math.text_content()))
    )


def count(
    text: str,
    labels: list[tuple[str, str]],
    name: tuple[str, str],
    counts: Counter[tuple[str, str, str, str]],
    in_order: bool,
) -> None:
    at: Counter[object] = Counter()
    for kind, wanted in labels:
        counts[*name, kind, "there"] += 1
        key: object = kind if in_order else (kind, wanted)
        place = where(text, kind, wanted, at[key])
        if place >= 0:
            counts[*name, kind, "found"] += 1
            at[key] = place


def where(text: str, kind: str, wanted: str, start: int) -> int:
    """Behind the item in the text, at or after `start`, or -1."""
    if kind == "code":  # every line, with its indentation
        body = "\n".join(line.rstrip() for line in wanted.rstrip().split("\n"))
        shown = "\n".join(line.rstrip() for line in text[start:].split("\n"))
        return start + 1 if body in shown else -1
    if kind == "formula" and wanted.startswith("letters:"):
        for found in re.finditer(r"\$(.+?)\$", text[start:], re.DOTALL):
            letters = re.sub(r"\\[a-zA-Z]+", "", found.group(1))
            if "".join(re.findall(r"[0-9A-Za-z]", letters)) in (wanted[8:], ""):
                return start + found.end()
        return -1
    spelt = {"formula": f"${wanted}$", "picture": wanted, "inline code": "`" + " ".join(wanted.split("\n"))}[kind]
    place = text.find(spelt, start)
    if place < 0 and kind in ("formula", "inline code"):
        tight = " ".join(spelt.split())
        return start + 1 if tight in " ".join(text[start:].split()) else -1
    return place + len(spelt) if place >= 0 else -1


if __name__ == "__main__":
    main()
