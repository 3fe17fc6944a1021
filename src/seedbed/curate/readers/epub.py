"""EPUB: an electronic book as one page for the extractor, its chapters in reading order.

What      Reads a .epub file as one HTML record: the bodies of the content documents that the spine names, in its order.
Source    none; the format is EPUB 3.3 (W3C), which is zip, XML and XHTML.
Formula   record = "<html><body>" + bodies of the spine + "</body></html>" in UTF-8
Shapes    file -> 1 record
Units     max_record_bytes: bytes of the file; max_unpacked_bytes: bytes of all files in it
Fidelity  Adapted: documents outside the linear spine, the navigation document and pictures are left out; the heads of
          the content documents too.
Errors    Error records: too_large (also of what a small file unpacks to), encrypted (a chapter is), corrupt_epub. A
          book without chapters is dropped as empty_body.
"""

from __future__ import annotations

import dataclasses
import posixpath
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, ClassVar
from urllib.parse import unquote
from xml.etree import ElementTree

from annotated_types import Ge

from seedbed.core.dates import utc
from seedbed.curate.contract import Record
from seedbed.curate.whole_file import WholeFileReader, metadata_of
from seedbed.text.markup.archives import BROKEN, UnboundedError, open_bounded
from seedbed.text.markup.cost import open_empty_elements
from seedbed.text.markup.decoding import decode_html

_BODY = re.compile(r"<body\b[^>]*>(.*)</body\s*>", re.DOTALL | re.IGNORECASE)
_DC = "{http://purl.org/dc/elements/1.1/}"


class _EncryptedError(Exception):
    """A chapter is locked."""


@dataclasses.dataclass(frozen=True)
class Epub(WholeFileReader):
    """Args: max_...: larger books are errors."""

    max_record_bytes: Annotated[int, Ge(1)] = 64 << 20
    max_unpacked_bytes: Annotated[int, Ge(1)] = 256 << 20

    suffixes: ClassVar[tuple[str, ...]] = (".epub",)

    def record(self, file: Path, content: bytes) -> Record:
        """The book."""
        del file
        try:
            with open_bounded(content, self.max_unpacked_bytes) as archive:
                return _book(archive)
        except UnboundedError as error:
            return Record(0, content, "error", error=("too_large", str(error)))
        except _EncryptedError as error:
            return Record(0, content, "error", error=("encrypted", str(error)))
        except (*BROKEN, ElementTree.ParseError) as error:
            return Record(0, content, "error", error=("corrupt_epub", f"{type(error).__name__}: {error}"))


def _book(archive: zipfile.ZipFile) -> Record:
    container = _xml(archive.read("META-INF/container.xml"))
    root = next((e.get("full-path", "") for e in container.iter() if _local(e) == "rootfile"), "")
    package = _xml(archive.read(root))
    locked = _locked(archive)
    bodies: list[str] = []
    for name in _spine(package, posixpath.dirname(root)):
        if name in locked:
            raise _EncryptedError(name)
        text, utf8 = decode_html(archive.read(name), "utf-8")
        body = _BODY.search(open_empty_elements(utf8).decode() or text)
        bodies.append(body.group(1) if body else "")
    page = f"<html><body>{''.join(bodies)}</body></html>".encode()
    if not any(body.strip() for body in bodies):
        return Record(0, page, "drop", reason="empty_body")
    told = {name: _first(package, name) for name in ("title", "creator", "language", "date", "modified")}
    metadata = metadata_of({name: told[name] for name in ("title", "creator")})
    date = utc(told["modified"]) or utc(told["date"])
    language = told["language"].partition("-")[0].lower()
    return Record(0, page, "html", charset="utf-8", language=language, date=date, metadata=metadata)


def _xml(content: bytes) -> ElementTree.Element:
    if b"<!ENTITY" in content:
        raise ValueError("the package declares entities")
    return ElementTree.fromstring(content)


def _local(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def _spine(package: ElementTree.Element, folder: str) -> Iterator[str]:
    """Names in the archive of the documents to read, in order."""
    items = {e.get("id", ""): e for e in package.iter() if _local(e) == "item"}
    for place in package.iter():
        item = items.get(place.get("idref", ""))
        if _local(place) != "itemref" or item is None or place.get("linear") == "no":
            continue
        if "nav" not in item.get("properties", "").split():
            yield posixpath.normpath(posixpath.join(folder, unquote(item.get("href", "").partition("#")[0])))


def _locked(archive: zipfile.ZipFile) -> set[str]:
    try:
        told = _xml(archive.read("META-INF/encryption.xml"))
    except KeyError:
        return set()
    return {unquote(e.get("URI", "")) for e in told.iter() if _local(e) == "CipherReference"}


def _first(package: ElementTree.Element, name: str) -> str:
    """A Dublin Core value of the package, or `dcterms:modified`."""
    for element in package.iter():
        if element.tag == _DC + name or (name == "modified" and element.get("property") == "dcterms:modified"):
            return (element.text or "").strip()
    return ""
