"""Wikipedia: the articles of a MediaWiki XML dump, as text.

What      Reads the pages of a dump (pages-articles.xml, plain, bzip2, gzip or zstd) one by one; an article becomes a
          document, redirects and pages of other namespaces are dropped with that reason.
Source    none; the format is the MediaWiki export schema 0.10 and 0.11; wikitext is parsed by mwparserfromhell.
Formula   offset = byte of the <page> in the decompressed dump; text = wikitext less templates, references, tables,
          formulas, and links to files and categories
Shapes    file -> one record a page
Units     max_record_bytes: bytes of one page's wikitext
Fidelity  Adapted: what a template would print is not known without running it, and is left out; tables and formulas
          too. Of a page with several revisions the last is read.
Errors    Dropped: redirect, not_an_article, not_wikitext, empty_body. Error records: too_large, bad_wikitext;
          not_a_dump, corrupt_xml, and the codes of broken compression for the rest of a broken file. Without the
          library check raises SeedbedError.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, ClassVar
from urllib.parse import quote
from xml.parsers import expat

from annotated_types import Ge

from seedbed.core import optional
from seedbed.core.dates import utc
from seedbed.core.streams import BrokenStream, pieces
from seedbed.curate.contract import PREFIX_BYTES, Reader, Record
from seedbed.text.markup.wikitext import plain_text

_FILE, _CATEGORY = "6", "14"
_MAX_FIELD_BYTES = 1 << 16


class _NoDumpError(Exception):
    """The XML is of another kind, or declares entities."""


@dataclasses.dataclass(frozen=True)
class Wikipedia(Reader):
    """Args: namespaces: numbers of those that hold documents; 0 are articles."""

    namespaces: tuple[int, ...] = (0,)
    max_record_bytes: Annotated[int, Ge(1)] = 16 << 20

    libraries: ClassVar[tuple[str, ...]] = ("mwparserfromhell",)
    suffixes: ClassVar[tuple[str, ...]] = (".xml", ".xml.gz", ".xml.zst", ".xml.bz2", ".bz2")

    def check(self, file: Path) -> None:
        """Raise SeedbedError where the library is not installed."""
        _library(file)

    def records(self, file: Path) -> Iterator[Record]:
        """One record a page; after a break one error record for the rest."""
        library, dump, last = _library(file), _Dump(self.max_record_bytes), -1
        try:
            for piece in pieces(file):
                for page in dump.feed(piece):
                    last = page.offset
                    yield self._record(library, dump, page)
            dump.feed(b"", end=True)
        except BrokenStream as broken:
            yield Record(last + 1, broken.message.encode(), "error", error=(broken.kind, broken.message))
        except _NoDumpError as error:
            yield Record(last + 1, b"", "error", error=("not_a_dump", str(error)))
        except expat.ExpatError as error:
            yield Record(last + 1, b"", "error", error=("corrupt_xml", str(error)))

    def _record(self, library: Any, dump: _Dump, page: _Page) -> Record:
        told = page.fields
        wikitext = "".join(page.text)
        content = f"{told.get('title', '')}\n{wikitext}".encode("utf-8", "replace")
        url = dump.base + quote(told.get("title", "").replace(" ", "_"), safe="/:()!*',~$;@") if dump.base else ""
        if page.size > self.max_record_bytes:
            message = f"more than {self.max_record_bytes} bytes of wikitext"
            return Record(page.offset, content[:PREFIX_BYTES], "error", url=url, error=("too_large", message))
        if reason := self._reason(page, wikitext):
            return Record(page.offset, content, "drop", url=url, reason=reason)
        try:
            text = plain_text(library, wikitext, dump.hidden)
        except (ValueError, RecursionError, library.parser.ParserError) as error:
            message = f"{type(error).__name__}: {error}"
            return Record(page.offset, content, "error", url=url, error=("bad_wikitext", message))
        about = {"title": told.get("title", ""), "page": told.get("id", ""), "revision": told.get("revision.id", "")}
        return Record(
            page.offset,
            content,
            "text",
            text=text,
            url=url,
            language=dump.language,
            date=utc(told.get("revision.timestamp", "")),
            metadata=json.dumps(about, ensure_ascii=False),
        )

    def _reason(self, page: _Page, wikitext: str) -> str:
        if "redirect" in page.fields:
            return "redirect"
        if page.fields.get("ns", "0") not in {str(number) for number in self.namespaces}:
            return "not_an_article"
        if page.fields.get("revision.model", "wikitext") != "wikitext":
            return "not_wikitext"
        return "" if wikitext.strip() else "empty_body"


def _library(file: Path) -> Any:
    return optional.load("mwparserfromhell", "documents", str(file))


@dataclasses.dataclass
class _Page:
    """A page as far as it is read: its short fields by path below <page>, and pieces of its text."""

    offset: int
    fields: dict[str, str] = dataclasses.field(default_factory=dict[str, str])
    text: list[str] = dataclasses.field(default_factory=list[str])
    size: int = 0


class _Dump:
    """An expat parser that holds one page at a time, and of its text no more than `max_bytes`."""

    def __init__(self, max_bytes: int) -> None:
        self.base, self.language, self.hidden = "", "", {"file", "image", "category", "media"}
        self._max_bytes, self._path, self._held = max_bytes, list[str](), list[str]()
        self._namespace, self._page, self._done = "", None, list[_Page]()
        self._page: _Page | None
        self._parser: Any = expat.ParserCreate()
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._data
        self._parser.EntityDeclHandler = self._refuse

    def feed(self, piece: bytes, end: bool = False) -> list[_Page]:
        """The pages that end in this piece."""
        self._parser.Parse(piece, end)
        done, self._done = self._done, []
        return done

    def _refuse(self, *_: object) -> None:
        raise _NoDumpError("the file declares entities of its own")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if not self._path and name != "mediawiki":
            raise _NoDumpError(f"its root is <{name[:100]}> where <mediawiki> is needed")
        self._path.append(name)
        self._held = []
        if name == "mediawiki":
            self.language = attributes.get("xml:lang", "")
        elif name == "namespace":
            self._namespace = attributes.get("key", "")
        elif name == "page":
            self._page = _Page(self._parser.CurrentByteIndex)
        elif name == "redirect" and self._page is not None:
            self._page.fields["redirect"] = attributes.get("title", "")
        elif name == "revision" and self._page is not None:
            self._page.text, self._page.size = [], 0

    def _data(self, data: str) -> None:
        page = self._page
        if page is not None and self._path[-1] == "text":
            page.size += len(data.encode())
            if page.size <= self._max_bytes:
                page.text.append(data)
        elif sum(map(len, self._held)) < _MAX_FIELD_BYTES:
            self._held.append(data)

    def _end(self, name: str) -> None:
        value = "".join(self._held).strip()
        below = ".".join(self._path[2:])
        self._path.pop()
        self._held = []
        if name == "base":
            self.base = value.rpartition("/")[0] + "/" if "/" in value else ""
        elif name == "namespace" and self._namespace in (_FILE, _CATEGORY) and value:
            self.hidden.add(value.lower())
        elif name == "page" and self._page is not None:
            self._done.append(self._page)
            self._page = None
        elif self._page is not None and name not in ("text", "revision", "redirect"):
            self._page.fields[below] = value
