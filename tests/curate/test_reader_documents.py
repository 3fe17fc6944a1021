"""The readers of Wikipedia dumps, PDF, DOCX and EPUB: what they find, and what they refuse."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import sys
import zipfile
import zlib
from pathlib import Path

import docx
import pytest
import zstandard

from seedbed.core.errors import SeedbedError
from seedbed.core.streams import BrokenStream, pieces
from seedbed.curate.contract import Reader, Record
from seedbed.curate.extractors.main_content import MainContent
from seedbed.curate.readers.docx import Docx
from seedbed.curate.readers.epub import Epub
from seedbed.curate.readers.pdf import Pdf
from seedbed.curate.readers.wikipedia import Wikipedia


def read(reader: Reader, file: Path, content: bytes | None = None) -> list[Record]:
    if content is not None:
        file.write_bytes(content)
    records = list(reader.records(file))
    offsets = [record.offset for record in records]
    assert offsets == sorted(set(offsets))
    for record in records:
        record.text.encode()
        assert not record.metadata or isinstance(json.loads(record.metadata), dict)
    return records


def kinds(records: list[Record]) -> list[str]:
    return [record.error[0] if record.error else record.reason or record.kind for record in records]


# Wikipedia ------------------------------------------------------------------------------------------------------------

HEAD = """<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" version="0.11" xml:lang="de">
<siteinfo><sitename>Wikipedia</sitename><base>https://de.wikipedia.org/wiki/Hauptseite</base>
<namespaces><namespace key="0" case="first-letter" /><namespace key="6" case="first-letter">Datei</namespace>
<namespace key="14" case="first-letter">Kategorie</namespace></namespaces></siteinfo>
"""


def page(number: int, text: str, about: str = "<ns>0</ns>", model: str = "wikitext", title: str = "") -> str:
    escaped = text.replace("&", "&amp;").replace("<", "&lt;")
    return (
        f"<page><title>{title or f'Seite {number}'}</title>{about}<id>{number}</id><revision><id>{900 + number}</id>"
        f"<timestamp>2024-05-0{number}T10:00:00Z</timestamp><contributor><username>N</username><id>7</id></contributor>"
        f"<model>{model}</model><text bytes='{len(text)}'>{escaped}</text></revision></page>\n"
    )


ARTICLE = """{{Infobox Fluss|name=Elbe|länge=1094}}
'''Die Elbe''' ({{IPA|x}}) ist ein [[Strom|großer Strom]] in [[Europa]].<ref>Ein Beleg.</ref> __NOTOC__
[[Datei:Elbe.jpg|mini|Ein Bild der Elbe]]
== Verlauf ==
Sie entspringt im [http://a.example Riesengebirge] &amp; mündet in die Nordsee.
{| class="wikitable"
! Ort
|-
| Dresden
|}
<!-- Kommentar --><math>x^2</math>
[[Kategorie:Fluss in Europa]]"""

DUMP = (
    HEAD
    + page(1, ARTICLE, title="Elbe (Fluss)")
    + page(2, "#WEITERLEITUNG [[Elbe]]", '<ns>0</ns><redirect title="Elbe" />')
    + page(3, "Eine Diskussion.", "<ns>1</ns>")
    + page(4, "local p = {}", model="Scribunto")
    + page(5, "  ")
    + page(6, "Die Oder ist ein Fluss.")
    + "</mediawiki>"
).encode()


def multistream(content: bytes) -> bytes:
    at = content.index(b"<page>")
    later = content.index(b"<page>", at + 1)
    return b"".join(bz2.compress(part) for part in (content[:at], content[at:later], content[later:]))


PACKINGS = {
    "a.xml": bytes,
    "a.xml.bz2": bz2.compress,
    "a-multistream1.xml-p1p41242.bz2": multistream,
    "a.xml.gz": gzip.compress,
    "a.xml.zst": zstandard.compress,
}


@pytest.mark.parametrize("name", PACKINGS)
def test_articles_of_a_dump_become_text(tmp_path: Path, name: str) -> None:
    records = read(Wikipedia(), tmp_path / name, PACKINGS[name](DUMP))
    assert kinds(records) == ["text", "redirect", "not_an_article", "not_wikitext", "empty_body", "text"]
    first = records[0]
    assert first.text.splitlines()[0].startswith("Die Elbe ist ein großer Strom in Europa.")
    assert "Sie entspringt im Riesengebirge & mündet in die Nordsee." in first.text
    for gone in ("Infobox", "Beleg", "Bild der", "Dresden", "Kommentar", "Kategorie", "NOTOC", "[[", "'''", "x^2"):
        assert gone not in first.text
    assert (first.url, first.language) == ("https://de.wikipedia.org/wiki/Elbe_(Fluss)", "de")
    assert first.date == "2024-05-01T10:00:00Z"
    assert json.loads(first.metadata) == {"title": "Elbe (Fluss)", "page": "1", "revision": "901"}
    assert first.offset == DUMP.index(b"<page>")
    assert kinds(read(Wikipedia(namespaces=(1,)), tmp_path / name))[2] == "text"


@pytest.mark.parametrize("pages", [2, 5])
def test_a_dump_cut_short_gives_the_pages_before_and_one_error(tmp_path: Path, pages: int) -> None:
    ends = [at for at in range(len(DUMP)) if DUMP.startswith(b"</page>", at)]
    whole = read(Wikipedia(), tmp_path / "a.xml", DUMP)
    records = read(Wikipedia(), tmp_path / "a.xml", DUMP[: ends[pages] - 5])
    assert records[:-1] == whole[:pages]
    assert kinds(records)[-1] == "corrupt_xml"
    cut = bz2.compress(DUMP)[:-9]
    assert kinds(read(Wikipedia(), tmp_path / "a.xml.bz2", cut))[-1] == "truncated_bzip2"
    bad = bytearray(multistream(DUMP))
    bad[-30] ^= 0x55
    assert kinds(read(Wikipedia(), tmp_path / "a.xml.bz2", bytes(bad)))[-1] in ("corrupt_bzip2", "truncated_bzip2")


def test_bombs_in_xml_are_refused(tmp_path: Path) -> None:
    laughs = b'<!DOCTYPE m [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]><mediawiki>&b;</mediawiki>'
    assert kinds(read(Wikipedia(), tmp_path / "a.xml", laughs)) == ["not_a_dump"]
    assert kinds(read(Wikipedia(), tmp_path / "a.xml", b"<rss><page>x</page></rss>")) == ["not_a_dump"]
    huge = (HEAD + page(1, "x" * 3_000_000) + page(2, "Kurz.") + "</mediawiki>").encode()
    records = read(Wikipedia(max_record_bytes=100_000), tmp_path / "a.xml.bz2", bz2.compress(huge))
    assert kinds(records) == ["too_large", "text"]
    assert len(records[0].content) <= 1 << 16


def test_bzip2_comes_in_pieces_of_bounded_size(tmp_path: Path) -> None:
    file = tmp_path / "a.bz2"
    file.write_bytes(bz2.compress(bytes(20_000_000)) + bz2.compress(b"end"))
    sizes = [len(piece) for piece in pieces(file)]
    assert (sum(sizes), max(sizes) <= 1 << 18) == (20_000_003, True)
    file.write_bytes(b"no bzip2")
    with pytest.raises(BrokenStream, match="corrupt_bzip2"):
        list(pieces(file))


# PDF ------------------------------------------------------------------------------------------------------------------


def pdf(*pages: str, extra: str = "") -> bytes:
    """A PDF by hand, one line of text a page."""
    objects = ["<< /Type /Catalog /Pages 2 0 R >>", "", "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"]
    objects.append("<< /Title (A report) /CreationDate (D:20240102030405+01'00') >>")
    kids: list[str] = []
    for text in pages:
        lines = " ".join(f"({line}) Tj 0 -14 Td" for line in text.split("\n"))
        stream = f"BT /F1 12 Tf 72 700 Td {lines} ET"
        objects.append(f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream")
        resources = "/Resources << /Font << /F1 3 0 R >> >> /MediaBox [0 0 612 792]"
        objects.append(f"<< /Type /Page /Parent 2 0 R /Contents {len(objects)} 0 R {resources} >>")
        kids.append(f"{len(objects)} 0 R")
    objects[1] = f"<< /Type /Pages /Kids [{' '.join(kids)}] /Count {len(kids)} >>"
    out, places = "%PDF-1.4\n", list[int]()
    for number, content in enumerate(objects, start=1):
        places.append(len(out))
        out += f"{number} 0 obj\n{content}\nendobj\n"
    table = "".join(f"{place:010d} 00000 n \n" for place in places)
    start = len(out)
    out += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}"
    return (
        out + f"trailer << /Size {len(objects) + 1} /Root 1 0 R /Info 4 0 R {extra} >>\nstartxref\n{start}\n%%EOF"
    ).encode()


def test_the_pages_of_a_pdf_are_one_document(tmp_path: Path) -> None:
    (record,) = read(Pdf(), tmp_path / "a.pdf", pdf("The first page.\nIts second line.", "The second page."))
    assert record.text == "The first page.\nIts second line.\n\nThe second page."
    assert (record.date, json.loads(record.metadata)) == ("2024-01-02T02:04:05Z", {"title": "A report"})


def test_a_pdf_that_cannot_be_read_is_one_error(tmp_path: Path) -> None:
    file, whole = tmp_path / "a.pdf", pdf("One.", "Two.")
    assert kinds(read(Pdf(), file, pdf(""))) == ["no_text"]
    assert kinds(read(Pdf(), file, b"")) == ["empty_body"]
    assert kinds(read(Pdf(), file, b"%PDF-1.4 and no more")) == ["corrupt_pdf"]
    assert kinds(read(Pdf(max_record_bytes=100), file, whole)) == ["too_large"]
    assert kinds(read(Pdf(max_pages=1), file, whole)) == ["too_many_pages"]
    assert kinds(read(Pdf(max_text_bytes=5), file, whole)) == ["too_large"]
    locked = (
        "/Encrypt << /Filter /Standard /V 1 /R 2 /P -4 /O (" + "o" * 32 + ") /U (" + "u" * 32 + ") >> /ID [(a) (b)]"
    )
    assert kinds(read(Pdf(), file, pdf("One.", extra=locked))) == ["encrypted"]


# DOCX -----------------------------------------------------------------------------------------------------------------


def word() -> bytes:
    document = docx.Document()
    document.core_properties.title = "Minutes"
    document.add_heading("Meeting", 1)
    document.add_paragraph("We met on Monday.")
    table = document.add_table(2, 2)
    for i, cell in enumerate(cell for row in table.rows for cell in row.cells):
        cell.text = f"cell {i}"
    table.cell(0, 0).merge(table.cell(0, 1))
    document.add_paragraph("")
    document.add_paragraph("We parted on Tuesday.")
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


def test_paragraphs_and_tables_of_a_docx_are_read_in_order(tmp_path: Path) -> None:
    (record,) = read(Docx(), tmp_path / "a.docx", word())
    told = "Meeting\n\nWe met on Monday.\n\ncell 0 cell 1\ncell 2\tcell 3\n\nWe parted on Tuesday."
    assert record.text == told
    assert json.loads(record.metadata)["title"] == "Minutes"
    assert record.date.endswith("Z")


def test_a_docx_that_cannot_be_read_is_one_error(tmp_path: Path) -> None:
    file, whole = tmp_path / "a.docx", word()
    assert kinds(read(Docx(), file, b"")) == ["empty_body"]
    assert kinds(read(Docx(), file, b"PK no zip")) == ["corrupt_docx"]
    assert kinds(read(Docx(), file, whole[:2000])) == ["corrupt_docx"]
    assert kinds(read(Docx(max_record_bytes=99), file, whole)) == ["too_large"]
    assert kinds(read(Docx(max_unpacked_bytes=1000), file, whole)) == ["too_large"]
    bomb = replaced(whole, "word/document.xml", b"<x>" + bytes(60_000_000))
    assert len(bomb) < 200_000
    assert kinds(read(Docx(max_unpacked_bytes=50 << 20), file, bomb)) == ["too_large"]
    entity = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;">]><x>&b;&b;</x>'
    assert kinds(read(Docx(), file, replaced(whole, "word/document.xml", entity))) in (["corrupt_docx"], ["no_text"])


def replaced(archive: bytes, name: str, content: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for member in old.namelist():
            new.writestr(member, content if member == name else old.read(member))
    return out.getvalue()


# EPUB -----------------------------------------------------------------------------------------------------------------


def chapter(text: str) -> str:
    body = f"<body class='c'><a id='x'/><h1>{text}</h1><p>Words of {text} that go on for a while.</p></body>"
    return f'<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><head><title/></head>{body}</html>'


def epub(**more: str) -> bytes:
    container = '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
    container += '<rootfile full-path="OPS/book.opf"/></rootfiles></container>'
    items = "".join(f'<item id="c{i}" href="text/c%20{i}.xhtml" media-type="application/xhtml+xml"/>' for i in range(4))
    package = (
        '<package xmlns="http://www.idpf.org/2007/opf" xmlns:dc="http://purl.org/dc/elements/1.1/"><metadata>'
        "<dc:title>The Book</dc:title><dc:creator>A. Author</dc:creator><dc:language>en-GB</dc:language>"
        '<meta property="dcterms:modified">2023-01-02T03:04:05Z</meta></metadata><manifest>'
        f'<item id="n" href="nav.xhtml" properties="nav"/>{items}</manifest><spine><itemref idref="n"/>'
        '<itemref idref="c1"/><itemref idref="c0"/><itemref idref="c2" linear="no"/><itemref idref="c3"/></spine>'
        "</package>"
    )
    files = {"mimetype": "application/epub+zip", "META-INF/container.xml": container, "OPS/book.opf": package}
    files |= {f"OPS/text/c {i}.xhtml": chapter(f"Chapter {i}") for i in range(4)} | {"OPS/nav.xhtml": chapter("Nav")}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in (files | more).items():
            if content:
                archive.writestr(name, content)
    return out.getvalue()


def test_the_chapters_of_a_book_are_one_page_in_the_order_of_the_spine(tmp_path: Path) -> None:
    (record,) = read(Epub(), tmp_path / "a.epub", epub())
    text = MainContent().extract(record)
    assert [line for line in text.splitlines() if line.startswith("Chapter")] == ["Chapter 1", "Chapter 0", "Chapter 3"]
    assert text.count("that go on for a while") == 3
    assert "Nav" not in text
    assert (record.kind, record.language, record.date) == ("html", "en", "2023-01-02T03:04:05Z")
    assert json.loads(record.metadata) == {"title": "The Book", "creator": "A. Author"}


def test_a_book_that_cannot_be_read_is_one_error(tmp_path: Path) -> None:
    file, whole = tmp_path / "a.epub", epub()
    assert kinds(read(Epub(), file, b"PK no zip")) == ["corrupt_epub"]
    assert kinds(read(Epub(), file, whole[:-200])) == ["corrupt_epub"]
    assert kinds(read(Epub(), file, epub(**{"OPS/book.opf": ""}))) == ["corrupt_epub"]
    assert kinds(read(Epub(), file, epub(**{"OPS/book.opf": "<!DOCTYPE p [<!ENTITY a 'b'>]><p/>"}))) == ["corrupt_epub"]
    assert kinds(read(Epub(), file, epub(**{"OPS/book.opf": "<package/>"}))) == ["empty_body"]
    assert kinds(read(Epub(max_record_bytes=99), file, whole)) == ["too_large"]
    assert kinds(read(Epub(max_unpacked_bytes=50 << 20), file, epub(**{"OPS/big": "\0" * 60_000_000}))) == ["too_large"]
    locked = '<encryption><CipherReference URI="OPS/text/c%200.xhtml"/></encryption>'
    assert kinds(read(Epub(), file, epub(**{"META-INF/encryption.xml": locked}))) == ["encrypted"]
    font = locked.replace("text/c%200.xhtml", "font.otf")
    assert kinds(read(Epub(), file, epub(**{"META-INF/encryption.xml": font}))) == ["html"]


# All ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reader", "module"), [(Wikipedia(), "mwparserfromhell"), (Pdf(), "pypdfium2"), (Docx(), "docx")]
)
def test_a_missing_library_is_said_with_the_extra_that_brings_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reader: Reader, module: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(SeedbedError, match=r"pip install .seedbed\[documents\]"):
        reader.check(tmp_path / "a")


@pytest.mark.parametrize("reader", [Wikipedia(), Pdf(), Docx(), Epub()])
def test_no_bytes_make_a_reader_raise(tmp_path: Path, reader: Reader) -> None:
    good = {".xml": DUMP, ".pdf": pdf("One."), ".docx": word(), ".epub": epub()}[reader.suffixes[0]]
    file = tmp_path / f"a{reader.suffixes[0]}"
    for at in range(0, len(good), max(len(good) // 60, 1)):
        flipped = bytearray(good)
        flipped[at] ^= 0xFF
        read(reader, file, bytes(flipped))
        read(reader, file, good[:at])
    assert zlib.crc32(good)
