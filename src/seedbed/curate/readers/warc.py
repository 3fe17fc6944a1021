"""WARC: the records of a web crawl (and of its WET extracts), with every record accounted for.

What      Reads each response of a crawl: pages go to the extractor, plain text is taken as it is, all else is dropped
          with its reason. What a page is, its HTTP Content-Type says; where that is missing or says nothing, its
          first bytes do. No other header is needed, so that no page is lost for want of one.
Source    none; the format is WARC 1.1 (IIPC, ISO 28500:2017), HTTP/1.1 is RFC 9112, sniffing follows
          WHATWG MIME Sniffing section 7.1.
Formula   offset = position of the record in the decompressed file;
          html if type in {text/html, application/xhtml+xml, ...} or (type says nothing and the body looks like HTML)
Shapes    file -> one record a WARC record
Units     max_record_bytes: bytes, of a record as stored and of its body with transfer and content coding undone
Fidelity  Exact. Framing is fastwarc's. Segments of a continued record are not joined: the first is a record of its
          own, the others are dropped as not_a_response.
Errors    Dropped: not_a_response, http_status (no 2xx), not_text, empty_body. Error records: too_large, bad_http,
          bad_content_encoding; truncated_warc, corrupt_warc, corrupt_gzip for the rest of a broken file (of a
          damaged gzip member the last record counts as broken: damage shows late).
"""

from __future__ import annotations

import dataclasses
import io
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, ClassVar, cast

import fastwarc.stream_io
import fastwarc.warc
from annotated_types import Ge
from resiliparse.parse import http as _resiliparse_http

from seedbed.core.dates import utc
from seedbed.core.streams import BrokenStream, pieces
from seedbed.curate.contract import Reader, Record
from seedbed.text.markup.decoding import decode_text

_ArchiveIterator: Any = fastwarc.warc.ArchiveIterator
_BrotliReader: Any = fastwarc.stream_io.BrotliReader
_iterate_http_chunks: Any = cast(Any, _resiliparse_http).iterate_http_chunks

_PREFIX_BYTES = 1 << 16
_HTML = frozenset({"text/html", "application/xhtml+xml", "application/vnd.wap.xhtml+xml", "application/html"})
_SAYS_NOTHING = re.compile(
    r"|[^/]*|/.*|.*/|\*/\*|text/\*|(application|binary)/octet-stream|(unknown|application|text)/(unknown|x-unknown|force-download)"
    r"|application/x-httpd-php|text/xml|application/xml|content/unknown|text|.*[^!-~].*"
)
_LOOKS_LIKE_HTML = re.compile(
    rb"^\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)*<(!doctype\s+html|html|head|script|iframe|h1|div|font|table|a|style|title|"
    rb"b|body|br|p|meta|link|span|center|noscript|main|article|section)[\s/>]",
    re.IGNORECASE | re.DOTALL,
)
_HAS_ROOT = re.compile(rb"<!doctype\s+html|<html[\s>]", re.IGNORECASE)
_HEADER_END = re.compile(rb"\r?\n\r?\n")
_STATUS = re.compile(rb"HTTP/\d(?:\.\d)?\s+(\d{3})\b")
_CHUNK = re.compile(rb"[0-9a-fA-F]{1,8}[ \t]*(;[^\r\n]*)?\r\n")


class _BadRecord(Exception):  # noqa: N818
    """One record that cannot be read, while the file goes on."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(kind, message)
        self.kind, self.message = kind, message


@dataclasses.dataclass(frozen=True)
class _Block:
    """A WARC record as stored: at most max_record_bytes + 1 of its block."""

    offset: int
    kind: str
    headers: dict[str, str]
    content: bytes


@dataclasses.dataclass(frozen=True)
class _Break(Exception):  # noqa: N818
    """The end of what can be read."""

    offset: int
    content: bytes
    kind: str
    message: str


@dataclasses.dataclass(frozen=True)
class Warc(Reader):
    """Args: max_record_bytes: larger pages are errors; larger pictures are dropped like small ones."""

    version: ClassVar[int] = 2
    max_record_bytes: Annotated[int, Ge(1)] = 32 << 20

    suffixes: ClassVar[tuple[str, ...]] = (".warc", ".warc.gz", ".wet", ".wet.gz")

    def records(self, file: Path) -> Iterator[Record]:
        """One record a WARC record; after a break one error record for the rest."""
        try:
            for block in _blocks(file, self.max_record_bytes):
                try:
                    yield self._record(block)
                except _BadRecord as bad:
                    content = block.content[:_PREFIX_BYTES]
                    yield Record(block.offset, content, "error", url=_url(block), error=(bad.kind, bad.message))
        except _Break as end:
            yield Record(end.offset, end.content[:_PREFIX_BYTES], "error", error=(end.kind, end.message))

    def _record(self, block: _Block) -> Record:
        declared = block.headers.get("content-type", "")
        if block.kind == "response" and (block.content.startswith(b"HTTP/") or "http" in declared.lower()):
            return self._response(block)
        media, charset = _media_type(declared)
        takes = {"response": ("html", "text"), "resource": ("html",), "conversion": ("html", "text")}
        kind = "html" if media in _HTML else "text" if media == "text/plain" else ""
        if kind not in takes.get(block.kind, ()):
            reason = "not_text" if block.kind in ("response", "conversion") else "not_a_response"
            return _drop(block, reason)
        return self._take(block, kind, block.content, charset)

    def _response(self, block: _Block) -> Record:
        if not block.content:
            return _drop(block, "empty_body")
        status, headers, body = _http(block.content)
        if not 200 <= status < 300:
            return _drop(block, "http_status")
        media, charset = _media_type(headers.get("content-type", ""))
        says_nothing = _SAYS_NOTHING.fullmatch(media) is not None
        if media not in _HTML and media != "text/plain" and not says_nothing:
            return _drop(block, "not_text")
        cut_short = "warc-truncated" in block.headers or len(block.content) > self.max_record_bytes
        body = _undo_codings(body, headers, self.max_record_bytes, cut_short)
        if media == "text/plain":
            return self._take(block, "text", body, charset)
        if says_nothing and not body.isspace() and body and not _is_html(body, media):
            hint, _ = _media_type(block.headers.get("warc-identified-payload-type", ""))
            if hint not in _HTML:
                return _drop(block, "not_text")
        return self._take(block, "html", body, charset)

    def _take(self, block: _Block, kind: str, body: bytes, charset: str) -> Record:
        if max(len(body), len(block.content)) > self.max_record_bytes:
            raise _BadRecord("too_large", f"more than {self.max_record_bytes} bytes")
        if not body or body.isspace():
            return _drop(block, "empty_body")
        url = _url(block)
        if kind == "html":
            return Record(block.offset, body, "html", url=url, charset=charset, date=_date(block))
        language = block.headers.get("warc-identified-content-language", "").split(",")[0].strip()
        text = decode_text(body, charset)
        return Record(block.offset, body, "text", text=text, url=url, language=language, date=_date(block))


class _Feed:
    """A file for fastwarc to read: ends quietly at a break, and remembers it."""

    def __init__(self, file: Path) -> None:
        self._pieces = pieces(file)
        self._held = b""
        self._at = 0
        self.broken: BrokenStream | None = None

    def read(self, size: int = -1) -> bytes:
        if self._at >= len(self._held):
            self._held, self._at = self._next(), 0
        end = len(self._held) if size < 0 else min(self._at + size, len(self._held))
        piece, self._at = self._held[self._at : end], end
        return piece

    def _next(self) -> bytes:
        try:
            return next(self._pieces, b"") if self.broken is None else b""
        except BrokenStream as broken:
            self.broken = broken
            return b""

    def drain(self) -> None:
        while self._next():
            pass

    def tell(self) -> int:
        return 0

    def close(self) -> None:
        self._pieces = iter(())


def _blocks(file: Path, max_bytes: int) -> Iterator[_Block]:
    """Every whole record; raises _Break where the file breaks. One record is held back until the next has begun."""
    feed = _Feed(file)
    records = iter(_ArchiveIterator(feed, parse_http=False, stream_detect=False))
    held: _Block | None = None
    failure: tuple[str, str] | None = None
    while failure is None:
        try:
            record = next(records, None)
        except OSError as error:
            failure = ("corrupt_warc", str(error))
            break
        if record is None:
            break
        if held is not None:
            yield held
        held, failure = _block(record, max_bytes)
    if feed.broken is not None:
        kind = "truncated_warc" if feed.broken.kind.startswith("truncated") else feed.broken.kind
        failure = (kind, feed.broken.message)
    elif failure is not None:
        feed.drain()  # a damaged member can break the framing before it fails its checksum
    suspect = feed.broken.suspect_from if feed.broken is not None else None
    if failure is not None and held is not None and suspect is not None and held.offset >= suspect:
        raise _Break(held.offset, held.content, *failure)
    if failure is None:
        if held is not None:
            yield held
        return
    yield from _end(held, *failure)


def _end(held: _Block | None, kind: str, message: str) -> Iterator[_Block]:
    if held is None:
        raise _Break(0, b"", kind, message)
    if held.kind == "broken":
        raise _Break(held.offset, held.content, kind, message)
    yield held
    after = held.offset + max(len(held.content), 1)
    raise _Break(after, b"", kind, f"{message}, after the record at byte {held.offset}")


def _block(record: Any, max_bytes: int) -> tuple[_Block, tuple[str, str] | None]:
    """A record's block, and how it is broken; a record without a length is one whose header was cut."""
    headers = {str(key).lower(): str(value) for key, value in record.headers.to_tuples()}
    offset, declared = int(record.stream_pos), headers.get("content-length", "").strip()
    length = int(declared) if declared.isdecimal() and len(declared) < 19 else -1
    try:  # the reader makes room for as many bytes as it is asked for
        content = bytes(record.reader.read(min(length, max_bytes + 1) if length >= 0 else max_bytes + 1))
        got = len(content) + (int(record.reader.consume()) if len(content) > max_bytes else 0)
    except OSError as error:
        return _Block(offset, "broken", headers, b""), ("corrupt_warc", str(error))
    if length < 0:
        message = f"the header of the record at byte {offset} is cut or has no Content-Length"
        return _Block(offset, "broken", headers, content), ("truncated_warc", message)
    if got < length:
        message = f"the record at byte {offset} has {got} of its {length} bytes"
        return _Block(offset, "broken", headers, content), ("truncated_warc", message)
    return _Block(offset, headers.get("warc-type", "").strip().lower(), headers, content), None


def _drop(block: _Block, reason: str) -> Record:
    return Record(block.offset, block.content, "drop", url=_url(block), reason=reason)


def _url(block: _Block) -> str:
    return block.headers.get("warc-target-uri", "").strip("<>")


def _date(block: _Block) -> str:
    return utc(block.headers.get("warc-date", ""))


def _http(content: bytes) -> tuple[int, dict[str, str], bytes]:
    """(status, headers, body). Of a header given twice the last one that is not empty holds."""
    status = _STATUS.match(content)
    if status is None:
        raise _BadRecord("bad_http", "the response has no HTTP status line")
    end = _HEADER_END.search(content, 0, _PREFIX_BYTES)
    head = content[: end.start() if end else _PREFIX_BYTES]
    headers: dict[str, str] = {}
    for line in head.decode("latin-1").splitlines()[1:]:
        key, _, value = line.partition(":")
        if value.strip():
            headers[key.strip().lower()] = value.strip()
    return int(status.group(1)), headers, content[end.end() :] if end else b""


def _media_type(declared: str) -> tuple[str, str]:
    """("text/html", "utf-8") of 'Text/HTML; Charset="UTF-8"', of its first part where several are joined."""
    kind, _, rest = declared.split(",")[0].partition(";")
    charset = re.search(r"charset\s*=\s*[\"']?([^\"';,\s]+)", declared if "," in declared else rest, re.IGNORECASE)
    return kind.strip().strip("\"'").lower(), charset.group(1) if charset else ""


def _is_html(body: bytes, media: str) -> bool:
    """Whether the first bytes are those of a page; XML is one only with an HTML root."""
    head = body[:2048]
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        head = decode_text(head).encode()
    head = head.removeprefix(b"\xef\xbb\xbf")
    if media.endswith("xml") or head.lstrip().startswith(b"<?xml"):
        return _HAS_ROOT.search(head) is not None
    return (_LOOKS_LIKE_HTML.match(head) or _HAS_ROOT.search(head)) is not None


def _undo_codings(body: bytes, headers: dict[str, str], max_bytes: int, cut_short: bool) -> bytes:
    """The body as a browser sees it, at most max_bytes + 1 of it. Many crawlers undo codings but keep the headers."""
    if "chunked" in headers.get("transfer-encoding", "").lower() and _CHUNK.match(body):
        try:
            body = b"".join(_iterate_http_chunks(io.BytesIO(body))) or body
        except (ValueError, OverflowError, OSError) as error:
            raise _BadRecord("bad_http", f"the chunks of the body cannot be joined: {error}") from error
    for coding in reversed(headers.get("content-encoding", "").lower().split(",")):
        name = coding.strip()
        if name in ("gzip", "x-gzip", "deflate"):
            body = _inflate(body, max_bytes, cut_short)
        elif name == "br":
            body = _unbrotli(body, max_bytes)
    return body


def _inflate(body: bytes, max_bytes: int, cut_short: bool) -> bytes:
    """gzip, zlib or bare deflate, told by the first bytes; anything else was decoded before it was stored."""
    bare = False
    if body.startswith(b"\x1f\x8b"):
        stream = zlib.decompressobj(31)
    elif len(body) > 2 and body[0] & 15 == 8 and int.from_bytes(body[:2]) % 31 == 0:
        stream = zlib.decompressobj(15)
    else:
        stream, bare = zlib.decompressobj(-15), True
    try:
        out = stream.decompress(body, max_bytes + 1)
    except zlib.error as error:
        if bare:
            return body
        raise _BadRecord("bad_content_encoding", str(error)) from error
    if bare and not stream.eof:
        return body
    if not stream.eof and len(out) <= max_bytes and not cut_short:
        raise _BadRecord("bad_content_encoding", "the compressed body ends too early")
    return out


def _unbrotli(body: bytes, max_bytes: int) -> bytes:
    try:
        return bytes(_BrotliReader(io.BytesIO(body)).read(max_bytes + 1))
    except OSError as error:
        if _is_html(body, ""):
            return body
        raise _BadRecord("bad_content_encoding", f"brotli: {error}") from error
