"""The extractors: text of a page, its encoding, XHTML, and pages made to hurt."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from resiliparse.extract.html2text import extract_plain_text
from resiliparse.parse.html import HTMLTree

from seedbed.curate.contract import Extractor, Record
from seedbed.curate.extractors.all_text import AllText
from seedbed.curate.extractors.main_content import MainContent
from seedbed.text.markup.cost import is_xhtml, open_empty_elements, page_load
from seedbed.text.markup.decoding import decode_html, known_charset
from seedbed.text.markup.tags import _attributes, tag
from tests.conftest import examples

BOTH: list[Extractor] = [MainContent(), AllText()]
SENTENCE = "The river rose in the night, and by the morning the lower meadows were under water."


def page(content: bytes | str, charset: str = "") -> Record:
    return Record(0, content.encode() if isinstance(content, str) else content, "html", charset=charset)


def article(head: str = "") -> str:
    return (
        f"<html><head>{head}<title>News</title></head><body><nav class='menu'><a href='/'>Home menu</a></nav>"
        f"<article><h1>Flood</h1><p>{SENTENCE}</p><p>Second part.</p>"
        "<img alt='picture' src='x'><script>var hidden;</script></article>"
        "<footer class='footer'>Copyright notice</footer></body></html>"
    )


def test_main_content_leaves_the_menus_out_and_all_text_does_not() -> None:
    main, everything = (extractor.extract(page(article())) for extractor in BOTH)
    assert main == f"Flood\n\n{SENTENCE}\n\nSecond part."
    assert "Home menu" in everything
    assert "Copyright notice" in everything
    assert SENTENCE in everything
    for hidden in ("picture", "var hidden"):
        assert hidden not in main + everything


@pytest.mark.parametrize("extractor", BOTH, ids=lambda e: e.name())
def test_it_is_what_resiliparse_gives(extractor: Extractor) -> None:
    for html in (article(), "<p>a<p>b<table><tr><td>c<td>d</table>", "no tags", "<p>&eacute;&#128512;&amp;"):
        main = isinstance(extractor, MainContent)
        assert extractor.extract(page(html)) == extract_plain_text(html, main_content=main, alt_texts=False)


STRICT = '<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Strict//EN" "http://www.w3.org/TR/xhtml1/DTD/xhtml1-strict.dtd">'
XHTML = f"""<?xml version="1.0" encoding="UTF-8"?>
{STRICT}
<html xmlns="http://www.w3.org/1999/xhtml" xml:lang="en">
<head><title/><meta name="a" content="b"/><script type="text/javascript" src="x.js"/>
<script type="text/javascript">//<![CDATA[
document.write("<title/>");
//]]></script><style/></head>
<body><div id="top"/><a name="start"/><p>{SENTENCE}</p><textarea rows="2"/><iframe src="a/b/"/>
<p title="a > b">Line<br/>break &amp; more <a href=x/>link</a>.</p><!-- <script/> -->
<p>The last words.</p></body></html>"""


@pytest.mark.parametrize("extractor", BOTH, ids=lambda e: e.name())
@pytest.mark.parametrize("start", [0, XHTML.index("<!DOCTYPE"), XHTML.index("<html")])
def test_no_text_of_an_xhtml_page_is_swallowed(extractor: Extractor, start: int) -> None:
    text = extractor.extract(page(XHTML[start:]))
    assert text == f"{SENTENCE}\n\nLine\nbreak & more link.\n\nThe last words."
    assert "last words" not in extract_plain_text(XHTML[start:]), "an HTML parser alone loses the page"


def test_only_self_closed_elements_that_can_hold_something_are_rewritten() -> None:
    assert is_xhtml(XHTML.encode())
    assert not is_xhtml(article().encode())
    html = open_empty_elements(XHTML.encode()).decode()
    changed = ["title", "script", "style", "div", "a", "textarea", "iframe"]
    expected = XHTML.replace('"<title/>"', "\1").replace("<!-- <script/> -->", "\2")
    for name in changed:
        expected = re.sub(rf'<({name})((?: [a-z]+="[^"]*")*)/>', r"<\1\2></\1>", expected)
    assert html == expected.replace("\1", '"<title/>"').replace("\2", "<!-- <script/> -->")


@examples(200)
@given(st.text(alphabet="<>/!-=ab \"'\n", max_size=60))
@example("<a</>")  # the name of an element is all that stands before a space, "/" or ">"
@example("<a//>")
def test_rewriting_never_raises_and_adds_only_end_tags(html: str) -> None:
    out = open_empty_elements(html.encode()).decode()
    rewritten = "".join(r"(?:/>|></([^\s/>]+)>)" if p == "/>" else re.escape(p) for p in re.split("(/>)", html))
    names = re.fullmatch(rewritten, out)
    assert names, out
    assert all(f"<{name}" in html for name in names.groups() if name)
    load = page_load(html.encode(), 1000)
    assert 0 <= load.nodes <= html.count("<") ** 2 + 1
    for extractor in BOTH:
        extractor.extract(page(html))


@pytest.mark.parametrize(
    ("content", "charset", "text"),
    [
        ("naïve".encode("latin1"), "ISO-8859-1", "naïve"),
        (b"\x93quoted\x94", "latin1", "“quoted”"),
        ("мир".encode("koi8-r"), "koi8-r", "мир"),
        ("мир".encode(), "no-such-charset", "мир"),
        ("мир".encode("utf-16"), "koi8-r", "мир"),
        (b'<meta charset="windows-1251">' + "мир".encode("cp1251"), "", "мир"),
        (b'<meta charset="utf-8">' + "мир".encode("cp1251"), "cp1251", "мир"),
        (
            b"<meta http-equiv=Content-Type content='text/html; charset=Shift_JIS'>" + "日本①".encode("cp932"),
            "",
            "日本①",
        ),
        (b'<?xml version="1.0" encoding="gb2312"?>' + "镕基".encode("gb18030"), "", "镕基"),
        ("<p>мир".encode("utf-16-le"), "", "мир"),
        ("<p>мир".encode("utf-16-be"), "", "мир"),
        (b'<meta charset="utf-16">' + "мир".encode(), "", "мир"),
        (
            "Съешь же ещё этих мягких французских булок".encode("cp1251"),
            "",
            "Съешь же ещё этих мягких французских булок",
        ),
        (b"a\xffb", "utf-8", "a\ufffdb"),
    ],
)
def test_a_page_is_decoded_by_mark_then_transport_then_meta_then_detection(
    content: bytes, charset: str, text: str
) -> None:
    assert AllText().extract(page(content, charset)) == text
    decoded, utf8 = decode_html(content, charset)
    assert decoded.endswith(text)
    assert utf8.decode() == decoded


def test_a_label_that_is_no_web_encoding_is_unknown() -> None:
    assert [known_charset(label) for label in ("", "utf-7", "base64", "rot13", "unicode_escape", "x y")] == [""] * 6
    assert [known_charset(label) for label in ("UTF8", ' "Latin1" ', "gb2312")] == ["utf-8", "cp1252", "gb18030"]


DEEP = "".join(f"<b a={i}>" for i in range(400))
HOSTILE: dict[str, tuple[str, str, str]] = {  # page, refused by main_content as, by all_text as
    "nested": ("<div>" * 200_000, "too_deep", "too_deep"),
    "nested a little": ("<div>" * 20_000 + "x", "too_deep", ""),
    "stray end tags": ("<div></b>" * 20_000, "too_deep", ""),
    "ends that end nothing": ("<span><div></span>" * 20_000, "too_deep", "too_deep"),
    "ends out of scope": ("<div><table><tr><td></div>" * 5_000, "too_deep", ""),
    "wide below deep": ("<div>" * 500 + "<p>x</p>" * 20_000, "too_deep", ""),
    "links around blocks": ("<a><div>" * 100_000, "too_deep", "too_deep"),
    "formatting made anew": (f"<div>{DEEP}</div>" + "<p>x</p>" * 100_000, "too_many_nodes", "too_many_nodes"),
    "attributes": ("<p " + " ".join(f"a{i}=1" for i in range(50_000)) + ">x", "too_many_pairs", "too_many_pairs"),
    "attributes of body": (
        "".join(f"<body a{i}=1>" for i in range(50_000)),
        "too_many_pairs",
        "too_many_pairs",
    ),
    "options": ("<select>" + "<option>x" * 50_000, "too_many_pairs", "too_many_pairs"),
    "nodes": ("<br>" * 1_100_000, "too_many_nodes", "too_many_nodes"),
    "bytes": (" " * ((16 << 20) + 1), "too_large", "too_large"),
    "brackets": ("<" * 2_000_000, "", ""),
    "open tag": ("<p a='" + "x" * 2_000_000, "", ""),
    "large attribute": (f"<p a='{'x' * 2_000_000}'>y", "", ""),
    "comments": ("<!--" * 500_000, "", ""),
    "entities": ("&amp;" * 1_000_000, "", ""),
    "half entities": ("&not" * 500_000, "", ""),
    "text": ("x " * 4_000_000, "", ""),
    "newlines": ("<pre>" + "\n" * 2_000_000, "", ""),
    "NULs": ("<p>" + "\0" * 2_000_000, "", ""),
    "scripts": ("<script><!--<script>" * 100_000, "", ""),
    "paragraphs": ("<p>x" * 50_000, "", ""),
    "cells": ("<table>" + "<tr><td>x" * 50_000, "", ""),
    "end tags": ("</p>" * 200_000, "", ""),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_page_made_to_hurt_is_read_or_refused(name: str) -> None:
    html, *refused = HOSTILE[name]
    for extractor, reason in zip(BOTH, refused, strict=True):
        try:
            extractor.extract(page(html))
            found = ""
        except ValueError as error:
            found = str(error).partition(":")[0]
        assert found == reason, extractor.name()


def test_an_old_page_that_leaves_elements_open_is_not_refused() -> None:
    row = f"<tr class='r'><td><a href='/x?a=1&b=2'>link</a></td><td><b>12</b> <font size=2>{SENTENCE}</td></tr>"
    html = f"<html><body><div><div><div><table>{row * 3000}</table></div></div></div></body></html>"
    load = page_load(html.encode(), 10**6)
    assert load.nodes < 200_000
    assert load.pairs < 10**5
    assert load.ancestors > MainContent().max_ancestors, "the bound alone would refuse it"
    for extractor in BOTH:
        assert extractor.extract(page(html)).count(SENTENCE) == 3000


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("", (0, 0, 0)),
        ("<p>a</p><p>b</p>", (4, 0, 0)),
        ("<div><div><i>x</i></div></div>", (7, 0 + 1 + 2 + (3 + 4) + 2 + 1, 0)),
        ("<p a=1 b='>' c=\"x y\" d>", (1, 0, 16)),
        ("<option><option>", (2, 0, 4)),
        ("<div></b></div><div>", (4, 0 + 1 + 1 + 0, 0)),
        ("<!-- <div> --><script><div></script><div>", (3, 0, 0)),
    ],
)
def test_the_load_of_small_pages_counted_by_hand(html: str, expected: tuple[int, int, int]) -> None:
    load = page_load(html.encode(), 100)
    assert (load.nodes, load.ancestors, load.pairs) == expected


DISGUISED = {  # spelt so that an end tag, or a slash, seems to close what stays open
    "control character": "<x\x01></x\x02>",
    "vertical tab": "<x\x0b></x\x0b1>",
    "NUL": "<x\0></x>",
    "not the end of a script": "<div><script></script1></div></script>",
    "script in a comment in a script": "<div><script><!--<script></script></div><!-- --></script>",
    "not the end of a textarea": "<div><textarea></textarea1></div></textarea>",
    "HTML in SVG": "<svg><p>{}<div/>",
    "HTML at a point of SVG": "<svg><foreignObject>{}<div/>",
    "HTML at a point of MathML": "<math><mi>{}<div/>",
    "end tag of a paragraph in SVG": "<svg></p>{}<div/>",
    "text field after SVG": "<svg><div>{}<div><textarea/></div></textarea>",
    "CDATA": "<svg><![CDATA[></svg>]]><textarea>{}<div>",
    "comment that begins in a text field of SVG": "<svg><title><textarea><!--</textarea>{}<div>",
    "SVG that its parent closes": "<div><svg></div><textarea><!--</textarea>{}<div>",
}


@pytest.mark.parametrize("name", DISGUISED)
def test_the_load_is_a_bound_whatever_the_spelling(name: str) -> None:
    once, _, unit = DISGUISED[name].rpartition("{}")
    html = once + unit * 300
    load, found = page_load(html.encode(), 10**6), below(HTMLTree.parse(html).body, 0)
    assert load.nodes >= found[0] - 10
    assert load.ancestors >= found[1] >= 300 * 299 / 2


def below(element: Any, depth: int) -> tuple[int, int]:
    """(elements below one, the sum of how deep they lie), without what stands above <body>."""
    nodes, ancestors, waiting = 0, 0, [(element, depth)]
    while waiting:
        element, depth = waiting.pop()
        child = element.first_element_child
        while child is not None:
            nodes, ancestors = nodes + 1, ancestors + depth
            waiting.append((child, depth + 1))
            child = child.next_element_sibling
    return nodes, ancestors


@example('=">" a', " " * 70)
@example('a="x"="y>"', " " * 70)
@given(st.text(alphabet="abc=/>\"' \n\t", max_size=70), st.sampled_from(["", " " * 70]))
def test_a_tag_is_cut_alike_by_blocks_and_byte_by_byte(inside: str, padding: str) -> None:
    data = np.frombuffer(f"<p {inside}>{padding}".encode(), np.uint8)
    end, _, _, name_end, count = tag(data, 0)
    at, expected, _ = _attributes(data, name_end) if data[name_end] != 62 else (name_end, 0, False)
    assert (end, count) == (min(at + 1, len(data)), expected)


def test_the_page_is_not_changed() -> None:
    content = XHTML.encode()
    array = np.frombuffer(content, np.uint8).copy()
    for extractor in BOTH:
        extractor.extract(page(content))
    assert np.array_equal(array, np.frombuffer(content, np.uint8))
