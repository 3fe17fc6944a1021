"""The WARC reader: what is a page, what is not, and where a file breaks."""

from __future__ import annotations

import gzip
import io
import zlib
from pathlib import Path

import brotli
import pytest
from warcio.archiveiterator import ArchiveIterator

from seedbed.curate.contract import Record
from seedbed.curate.readers.warc import Warc

PAGE = b"<!DOCTYPE html><html><body><p>Hello, page.</p></body></html>"
XHTML = b'<?xml version="1.0"?>\n<html xmlns="http://www.w3.org/1999/xhtml"><body><p>Hi</p></body></html>'


def warc(kind: str, block: bytes, content_type: str = "application/http; msgtype=response", extra: str = "") -> bytes:
    head = f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Target-URI: http://a.example/{len(block)}\r\n"
    head += "WARC-Record-ID: <urn:uuid:00000000-0000-0000-0000-000000000000>\r\nWARC-Date: 2020-01-01T00:00:00Z\r\n"
    head += f"Content-Type: {content_type}\r\nContent-Length: {len(block)}\r\n{extra}\r\n"
    return head.encode() + block + b"\r\n\r\n"


def response(body: bytes, content_type: str | None = "text/html", status: str = "200 OK", extra: str = "") -> bytes:
    head = f"HTTP/1.1 {status}\r\n" + (f"Content-Type: {content_type}\r\n" if content_type is not None else "")
    return warc("response", (head + extra + "\r\n").encode() + body)


def read(file: Path, content: bytes, reader: Warc | None = None) -> list[Record]:
    file.write_bytes(content)
    records = list((reader or Warc()).records(file))
    offsets = [record.offset for record in records]
    assert offsets == sorted(set(offsets))
    return records


def kinds(records: list[Record]) -> list[str]:
    return [record.error[0] if record.error else record.reason or record.kind for record in records]


TYPES: list[tuple[str | None, bytes, str]] = [
    ("text/html", PAGE, "html"),
    ("Text/HTML; Charset=ISO-8859-1", PAGE, "html"),
    ("text/html", b"no tags at all, yet the server says it is a page", "html"),
    ("text/html", XHTML, "html"),
    ("application/xhtml+xml", XHTML, "html"),
    ("application/xml", XHTML, "html"),
    ("text/html, text/html; charset=utf-8", PAGE, "html"),
    ('"text/html"', PAGE, "html"),
    (None, PAGE, "html"),
    ("", PAGE, "html"),
    (None, b"\xef\xbb\xbf  \n<!-- a --><HTML><body>x", "html"),
    (None, "\ufeff<html><p>x".encode("utf-16-le"), "html"),
    ("unknown/unknown", PAGE, "html"),
    ("html", PAGE, "html"),
    ("application/octet-stream", PAGE, "html"),
    ("application/octet-stream", b"\x89PNG\r\n\x1a\n\x00<html>"[:8], "not_text"),
    (None, b"\x89PNG\r\n\x1a\n", "not_text"),
    (None, b'{"a": "<b"}', "not_text"),
    ("application/rss+xml", b"<?xml version='1.0'?><rss><p>", "not_text"),
    ("text/xml", b"<?xml version='1.0'?><rss><p>", "not_text"),
    ("image/png", PAGE, "not_text"),
    ("application/pdf", b"%PDF-1.4", "not_text"),
    ("text/plain", b"plain", "text"),
    ("TEXT/PLAIN;charset=utf-8", b"plain", "text"),
    ("text/html", b"", "empty_body"),
    ("text/html", b" \r\n", "empty_body"),
    (None, b"", "empty_body"),
]


@pytest.mark.parametrize("packed", [False, True])
def test_every_response_is_a_page_a_text_or_dropped_with_its_reason(tmp_path: Path, packed: bool) -> None:
    made = [response(body, content_type) for content_type, body, _ in TYPES]
    content = b"".join(map(gzip.compress, made)) if packed else b"".join(made)
    records = read(tmp_path / ("a.warc.gz" if packed else "a.warc"), content)
    assert kinds(records) == [kind for _, _, kind in TYPES]
    assert all(r.content == body for r, (_, body, kind) in zip(records, TYPES, strict=True) if kind == "html")
    assert records[1].charset == "ISO-8859-1"
    assert all(r.url.startswith("http://a.example/") for r in records)
    offsets = [sum(map(len, made[:i])) for i in range(len(made))]
    assert [r.offset for r in records] == offsets, "offsets count decompressed bytes"


def test_records_that_are_no_response_and_failed_requests_are_dropped(tmp_path: Path) -> None:
    content = b"".join(
        [
            warc("warcinfo", b"software: x\r\n", "application/warc-fields"),
            warc("request", b"GET / HTTP/1.1\r\n\r\n", "application/http; msgtype=request"),
            warc("metadata", b"fetchTimeMs: 1\r\n", "application/warc-fields"),
            warc("revisit", b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n"),
            warc("continuation", PAGE, "text/html"),
            warc("nonsense", PAGE, "text/html"),
            warc("resource", PAGE, "text/html"),
            warc("resource", b"log", "text/plain"),
            warc("conversion", "Grüße".encode(), "text/plain", "WARC-Identified-Content-Language: deu,eng\r\n"),
            warc("conversion", b"\x00", "image/png"),
            warc("response", b"20200101\r\nexample. A 1.2.3.4", "text/dns"),
            warc("response", b""),
            warc("response", b"junk without a status"),
            response(PAGE, status="404 Not Found"),
            response(PAGE, status="301 Moved"),
            response(PAGE, status="206 Partial Content"),
        ]
    )
    records = read(tmp_path / "a.warc", content)
    expected = ["not_a_response"] * 6 + ["html", "not_a_response", "text", "not_text", "not_text", "empty_body"]
    assert kinds(records) == [*expected, "bad_http", "http_status", "http_status", "html"]
    assert (records[8].text, records[8].language) == ("Grüße", "deu")
    assert records[6].date == records[8].date == "2020-01-01T00:00:00Z"


def deflate(body: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-15)
    return stream.compress(body) + stream.flush()


def chunked(body: bytes) -> bytes:
    parts = [body[i : i + 16] for i in range(0, len(body), 16)]
    return b"".join(b"%x;x=y\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


@pytest.mark.parametrize(
    ("headers", "body", "kind"),
    [
        ("Content-Encoding: gzip\r\n", gzip.compress(PAGE), "html"),
        ("Content-Encoding: GZIP\r\n", PAGE, "html"),
        ("Content-Encoding: deflate\r\n", zlib.compress(PAGE), "html"),
        ("Content-Encoding: deflate\r\n", deflate(PAGE), "html"),
        ("Content-Encoding: deflate\r\n", PAGE, "html"),
        ("Content-Encoding: br\r\n", brotli.compress(PAGE), "html"),
        ("Content-Encoding: br\r\n", PAGE, "html"),
        ("Content-Encoding: none\r\n", PAGE, "html"),
        ("Transfer-Encoding: chunked\r\n", chunked(PAGE), "html"),
        ("Transfer-Encoding: chunked\r\n", PAGE, "html"),
        ("Transfer-Encoding: chunked\r\nContent-Encoding: gzip\r\n", chunked(gzip.compress(PAGE)), "html"),
        ("Content-Encoding: deflate, gzip\r\n", gzip.compress(zlib.compress(PAGE)), "html"),
        ("Content-Encoding: gzip\r\n", gzip.compress(PAGE)[:-12], "bad_content_encoding"),
        ("Content-Encoding: gzip\r\n", gzip.compress(PAGE)[:12] + b"\xff" * 40, "bad_content_encoding"),
        ("Content-Encoding: br\r\n", brotli.compress(PAGE)[:-5], "bad_content_encoding"),
        ("Transfer-Encoding: chunked\r\n", b"FFFFFFFF\r\nabc", "html"),
    ],
    ids=map(str, range(16)),  # compressed bytes hold the time, and every test process must see the same ids
)
def test_the_body_is_read_as_a_browser_reads_it(tmp_path: Path, headers: str, body: bytes, kind: str) -> None:
    for content_type in ("text/html", None):
        if content_type is None and kind == "html" and b"FFFF" in body:
            continue
        made = response(body, content_type, extra=headers)
        record, after = read(tmp_path / "a.warc", made + response(PAGE))
        assert kinds([record, after]) == [kind, "html"]
        assert kind != "html" or record.content in (PAGE, b"abc")


def test_text_is_decoded_by_its_charset_then_utf8_then_detection(tmp_path: Path) -> None:
    russian = "Съешь же ещё этих мягких французских булок, да выпей чаю"
    cases = [("koi8-r", russian.encode("koi8-r")), ("", russian.encode()), ("", russian.encode("cp1251"))]
    made = [response(body, "text/plain" + (f"; charset={name}" if name else "")) for name, body in cases]
    assert [r.text for r in read(tmp_path / "a.warc", b"".join(made))] == [russian] * 3


def test_bare_newlines_and_headers_given_twice_are_understood(tmp_path: Path) -> None:
    bare = warc("response", b"HTTP/1.0 200 OK\nContent-type:text/html\n\n" + PAGE)
    twice = response(PAGE, "image/png", extra="Content-Type: text/html; charset=utf-8\r\n")
    assert [(r.kind, r.content) for r in read(tmp_path / "a.warc", bare + twice)] == [("html", PAGE)] * 2


def test_bombs_and_giants_are_errors_and_large_pictures_are_only_dropped(tmp_path: Path) -> None:
    reader = Warc(max_record_bytes=100_000)
    bomb = gzip.compress(b"<p>" + b"x" * 50_000_000)
    made = [
        response(bomb, extra="Content-Encoding: gzip\r\n"),
        response(bomb, None, extra="Content-Encoding: gzip\r\n"),
        response(brotli.compress(b"<p>" + b"x" * 5_000_000), extra="Content-Encoding: br\r\n"),
        response(b"<p>" + b"x" * 200_000),
        response(b"\x00" * 200_000, "image/png"),
        warc("request", b"\x00" * 200_000),
        response(PAGE),
    ]
    expected = ["too_large", "too_large", "too_large", "too_large", "not_text", "not_a_response", "html"]
    for name, content in (("a.warc", b"".join(made)), ("a.warc.gz", b"".join(map(gzip.compress, made)))):
        records = read(tmp_path / name, content, reader)
        assert kinds(records) == expected
        assert all(len(record.content) <= 100_001 for record in records)


def pages(count: int) -> list[bytes]:
    return [response(PAGE + str(hash((i, "z")) ** 20).encode()) for i in range(count)]


@pytest.mark.parametrize("packing", ["plain", "members", "one member"])
def test_a_file_cut_anywhere_gives_what_is_whole_and_one_error(tmp_path: Path, packing: str) -> None:
    made = pages(3)
    packed = {"plain": made, "members": list(map(gzip.compress, made)), "one member": [gzip.compress(b"".join(made))]}
    content = b"".join(packed[packing])
    name = "a.warc" if packing == "plain" else "a.warc.gz"
    whole = read(tmp_path / name, content)
    assert kinds(whole) == ["html"] * 3
    ends = [sum(map(len, packed[packing][: i + 1])) for i in range(len(packed[packing]))]
    for cut in range(1, len(content), 7):
        records = read(tmp_path / name, content[:cut])
        good = [record for record in records if record.kind == "html"]
        assert good == whole[: len(good)]
        borders = [end - k for end in ends for k in range(5)] if packing == "plain" else ends
        if cut in borders:
            assert len(records) == len(good)
        else:
            broken = "corrupt_warc" if packing == "plain" and kinds(records)[-1] == "corrupt_warc" else "truncated_warc"
            assert kinds(records) == ["html"] * len(good) + [broken]


def test_a_damaged_member_is_an_error_and_never_a_page(tmp_path: Path) -> None:
    made = pages(5)
    packed = [gzip.compress(page) for page in made]
    whole = [record.content for record in read(tmp_path / "a.warc.gz", b"".join(packed))]
    for at in [*range(0, len(packed[2]), 5), len(packed[2]) - 8, len(packed[2]) - 1]:
        if at in (4, 5, 6, 7, 8, 9):
            continue  # the date, the level and the system in a gzip header say nothing about the content
        member = bytearray(packed[2])
        member[at] ^= 0x55
        records = read(tmp_path / "a.warc.gz", b"".join([*packed[:2], bytes(member), *packed[3:]]))
        good = [record.content for record in records if record.kind == "html"]
        assert good == whole[: len(good)], at
        assert len(good) in (1, 2), at
        assert [record.error is None for record in records] == [True] * len(good) + [False], at


def test_broken_framing_is_an_error(tmp_path: Path) -> None:
    first, second = pages(2)
    for broken in (
        b"garbage\r\n\r\n" + second,
        second.replace(b"Content-Length: ", b"Content-Length: x"),
        second.replace(b"Content-Length", b"Content-Longth"),
        second.replace(b"Content-Length: ", b"Content-Length: 9"),
        second.replace(b"WARC/1.0", b"WARK/1.0"),
        b"WARC/1.0\r\nA: " + b"x" * 100_000,
    ):
        records = read(tmp_path / "a.warc", first + broken)
        assert kinds(records)[0] == "html"
        assert kinds(records)[-1] in ("corrupt_warc", "truncated_warc")
        assert len(records) == 2
    assert kinds(read(tmp_path / "a.warc", b"junk")) == ["corrupt_warc"]
    assert kinds(read(tmp_path / "a.warc", b"")) == []
    assert kinds(read(tmp_path / "a.warc.gz", b"")) == ["truncated_warc"]


def test_the_same_records_as_warcio(tmp_path: Path) -> None:
    content = b"".join(gzip.compress(page) for page in [*pages(20), warc("request", b"GET / HTTP/1.1\r\n\r\n")])
    theirs = [
        (record.rec_headers.get_header("WARC-Target-URI"), record.content_stream().read())
        for record in ArchiveIterator(io.BytesIO(content))
        if record.rec_type == "response"
    ]
    ours = [(r.url, r.content) for r in read(tmp_path / "a.warc.gz", content) if r.kind == "html"]
    assert ours == theirs
