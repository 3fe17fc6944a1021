"""The readers that take one file, one line or one row as a record."""

from __future__ import annotations

import gzip
import json
import random
import tracemalloc
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seedbed.core.errors import SeedbedError
from seedbed.curate.contract import Reader, Record
from seedbed.curate.readers.html import Html
from seedbed.curate.readers.jsonl import Jsonl
from seedbed.curate.readers.parquet import Parquet
from seedbed.curate.readers.text import Text
from seedbed.curate.readers.warc import Warc
from tests.conftest import examples


def read(reader: Reader, file: Path, content: bytes | None = None) -> list[Record]:
    if content is not None:
        file.write_bytes(content)
    records = list(reader.records(file))
    offsets = [record.offset for record in records]
    assert offsets == sorted(set(offsets)), "offsets are distinct and in file order"
    assert all((record.kind == "error") == (record.error is not None) for record in records)
    assert all((record.kind == "drop") == bool(record.reason) for record in records)
    for record in records:
        record.text.encode()
    return records


def kinds(records: list[Record]) -> list[str]:
    return [record.error[0] if record.error else record.reason or record.kind for record in records]


# Text and HTML ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("Grüße, мир, 世界\r\n".encode(), "Grüße, мир, 世界\r\n"),
        (b"\xef\xbb\xbfmarked", "marked"),
        ("Grüße".encode("utf-16"), "Grüße"),
        (b"\xfe\xff" + "Grüße".encode("utf-16-be"), "Grüße"),
        ("Съешь же ещё этих мягких французских булок".encode("cp1251"), "Съешь же ещё этих мягких французских булок"),
        (b"a\x00b\x00", "a\x00b\x00"),
        (b"caf\xe9 na\xefve", "café naïve"),
    ],
)
def test_a_text_file_is_decoded_whatever_its_encoding(tmp_path: Path, content: bytes, text: str) -> None:
    (record,) = read(Text(), tmp_path / "a.txt", content)
    assert (record.kind, record.text, record.content, record.offset) == ("text", text, content, 0)


@pytest.mark.parametrize("reader", [Text(max_record_bytes=10), Html(max_record_bytes=10)])
def test_a_file_of_one_record_is_bounded_and_an_empty_one_is_dropped(tmp_path: Path, reader: Reader) -> None:
    assert kinds(read(reader, tmp_path / "a", b"x" * 11)) == ["too_large"]
    assert kinds(read(reader, tmp_path / "a", b"<p>x</p>xx")) in (["text"], ["html"])
    assert kinds(read(reader, tmp_path / "a", b"")) == ["empty_body"]


def test_an_html_file_is_one_page_with_its_bytes(tmp_path: Path) -> None:
    (record,) = read(Html(), tmp_path / "a.html", b"<p>\xff")
    assert (record.kind, record.content, record.charset) == ("html", b"<p>\xff", "")


def test_no_two_readers_take_the_same_ending() -> None:
    readers: list[type[Reader]] = [Html, Jsonl, Parquet, Text, Warc]
    endings = [suffix for reader in readers for suffix in reader.suffixes]
    assert len(endings) == len(set(endings))
    assert all(suffix.startswith(".") and suffix == suffix.lower() for suffix in endings)


# JSON Lines ---------------------------------------------------------------------------------------------------------

LINES: list[tuple[bytes, str]] = [
    (b'{"text": "one", "url": "http://a/", "source": "s", "language": "de"}', "text"),
    (b"   ", ""),
    (b"{broken", "not_json"),
    (b"[1, 2]", "not_an_object"),
    (b'{"Text": "x", "id": 1}', "missing_text"),
    (b'{"text": null}', "missing_text"),
    (b'{"text": 5}', "text_not_a_string"),
    (b'{"text": "\xff"}', "invalid_utf8"),
    (b"[" * 100_000, "not_json"),
    (b'{"text": "", "url": 7}', "text"),
    (b'{"text": "\\ud83d and \\ud83d\\ude00"}', "text"),
    (b'{"text": "x", "n": ' + b"9" * 5000 + b"}", "not_json"),
    (b'{"text": "last"}\r', "text"),
]


def jsonl(packing: str, content: bytes) -> bytes:
    return {"": bytes, ".gz": gzip.compress, ".zst": zstandard.compress}[packing](content)


@pytest.mark.parametrize("packing", ["", ".gz", ".zst"])
@pytest.mark.parametrize("end", [b"", b"\n"])
def test_each_line_of_jsonl_is_a_record_or_an_error_of_its_own(tmp_path: Path, packing: str, end: bytes) -> None:
    content = b"\xef\xbb\xbf" + b"\n".join(line for line, _ in LINES) + end
    records = read(Jsonl(), tmp_path / f"a.jsonl{packing}", jsonl(packing, content))
    assert [(r.offset, kinds([r])[0]) for r in records] == [(i, kind) for i, (_, kind) in enumerate(LINES) if kind]
    first, emoji = records[0], records[-3]
    assert (first.text, first.url, first.source, first.language) == ("one", "http://a/", "s", "de")
    assert emoji.text == "\ufffd and \U0001f600"


def test_jsonl_fields_are_chosen_by_name_and_an_error_names_what_there_is(tmp_path: Path) -> None:
    content = b'{"body": "x", "u": "http://b/"}'
    (record,) = read(Jsonl(text_field="body", url_field="u"), tmp_path / "a.jsonl", content)
    assert (record.text, record.url) == ("x", "http://b/")
    (record,) = read(Jsonl(), tmp_path / "a.jsonl", content)
    assert record.error is not None
    assert "'body'" in record.error[1]


def test_jsonl_is_read_as_the_standard_library_reads_it(tmp_path: Path) -> None:
    texts = ['{"text": "a", "text": "b"}', '{"text": "x", "y": NaN}', '\t{"text": "\\u0000\\ud834\\udd1e"} ']
    texts += ['{"text": "x", "y": 1e999}', '{"text": "\\udc00"}', '{"text": "\x7f\u2028"}', '{"text": "a\tb"}', "nul"]
    for text in texts:
        (record,) = read(Jsonl(), tmp_path / "a.jsonl", text.encode())
        try:
            expected = json.loads(text)["text"].encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        except ValueError:
            assert kinds([record]) == ["not_json"]
        else:
            assert record.text == expected


def test_jsonl_tells_date_and_metadata(tmp_path: Path) -> None:
    rows: list[tuple[object, object, str, str]] = [
        ("2024-05-01", {"a": [1, None], "b": "é"}, "2024-05-01", '{"a":[1,null],"b":"é"}'),
        ("2024-05-01T12:00:00+02:00", "text", "2024-05-01T10:00:00Z", ""),
        (1714557600, {"half": "\ud800"}, "", '{"half": "\ufffd"}'),
        ("yesterday", None, "", ""),
    ]
    lines = b"\n".join(json.dumps({"text": "x", "date": d, "metadata": m}).encode() for d, m, _, _ in rows)
    records = read(Jsonl(), tmp_path / "a.jsonl", lines)
    assert [(r.date, r.metadata) for r in records] == [(date, metadata) for _, _, date, metadata in rows]


@pytest.mark.parametrize("packing", [".gz", ".zst"])
@pytest.mark.parametrize("frames", [1, 20])
def test_a_cut_file_gives_the_lines_before_the_cut_and_one_error(tmp_path: Path, packing: str, frames: int) -> None:
    rows = [
        json.dumps({"text": f"{i} {random.Random(i).getrandbits(600)} " * 20}).encode() + b"\n" for i in range(2000)
    ]
    step = len(rows) // frames
    packed = b"".join(jsonl(packing, b"".join(rows[i : i + step])) for i in range(0, len(rows), step))
    whole = read(Jsonl(), tmp_path / f"a.jsonl{packing}", packed)
    assert kinds(whole) == ["text"] * 2000
    for part in (0.5, 0.9, 1.0):
        cut = packed[: int(len(packed) * part) - 3]
        records = read(Jsonl(), tmp_path / f"a.jsonl{packing}", cut)
        assert kinds(records)[-1] == f"truncated_{'gzip' if packing == '.gz' else 'zstd'}"
        assert records[:-1] == whole[: len(records) - 1]
        assert len(records) > 2000 * part - 300


@pytest.mark.parametrize("packing", [".gz", ".zst"])
def test_a_corrupt_file_gives_the_lines_before_and_one_error(tmp_path: Path, packing: str) -> None:
    parts = [jsonl(packing, b'{"text": "%d"}\n' % i) for i in range(9)]
    parts[5] = parts[5][:2] + b"\xff" * 8 + parts[5][10:]
    records = read(Jsonl(), tmp_path / f"a.jsonl{packing}", b"".join(parts))
    assert kinds(records) == ["text"] * 5 + [f"corrupt_{'gzip' if packing == '.gz' else 'zstd'}"]


def test_a_file_that_is_not_what_its_name_says_is_one_error(tmp_path: Path) -> None:
    assert kinds(read(Jsonl(), tmp_path / "a.jsonl.gz", b'{"text": "x"}')) == ["corrupt_gzip"]
    assert kinds(read(Jsonl(), tmp_path / "a.jsonl.zst", b'{"text": "x"}')) == ["corrupt_zstd"]
    assert kinds(read(Jsonl(), tmp_path / "a.jsonl.gz", b"")) == ["truncated_gzip"]
    assert kinds(read(Jsonl(), tmp_path / "a.jsonl", gzip.compress(b'{"text": "x"}'))) == ["text"]
    assert kinds(read(Jsonl(), tmp_path / "b.jsonl.gz", gzip.compress(b'{"text": "x"}') + b"\0" * 700)) == ["text"]
    assert kinds(read(Jsonl(), tmp_path / "a.jsonl", b"")) == []


@pytest.mark.parametrize("packing", ["", ".gz", ".zst"])
def test_a_line_of_any_length_is_held_only_up_to_the_limit(tmp_path: Path, packing: str) -> None:
    bomb = b'{"text": "a"}\n{"text": "' + b"x" * 60_000_000 + b'"}\n{"text": "b"}\n'
    (tmp_path / f"a.jsonl{packing}").write_bytes(jsonl(packing, bomb))
    del bomb
    tracemalloc.start()
    records = read(Jsonl(max_record_bytes=1 << 20), tmp_path / f"a.jsonl{packing}")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert kinds(records) == ["text", "too_large", "text"]
    assert peak < 30_000_000


@settings(examples(60), suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(content=st.binary(max_size=300), suffix=st.sampled_from(["jsonl", "jsonl.gz", "jsonl.zst", "warc", "warc.gz"]))
def test_no_bytes_make_a_reader_raise(tmp_path: Path, content: bytes, suffix: str) -> None:
    reader = Jsonl() if suffix.startswith("jsonl") else Warc()
    magic = {"gz": b"\x1f\x8b\x08\x00", "zst": b"\x28\xb5\x2f\xfd"}.get(suffix.rpartition(".")[2], b"WARC/1.0\r\n")
    for head in (b"", magic):
        read(reader, tmp_path / f"fuzz.{suffix}", head + content)
    read(Parquet(), tmp_path / "fuzz.parquet", b"PAR1" + content + b"PAR1")


# Parquet ------------------------------------------------------------------------------------------------------------


def write(file: Path, **columns: object) -> Path:
    pq.write_table(pa.table(columns), file, row_group_size=100)
    return file


def test_each_row_of_parquet_is_a_record(tmp_path: Path) -> None:
    file = write(tmp_path / "a.parquet", text=["a", None, "", "d"], url=["http://a/", "u", None, "v"], n=[1, 2, 3, 4])
    records = read(Parquet(batch_rows=3), file)
    assert kinds(records) == ["text", "missing_text", "text", "text"]
    assert [(r.offset, r.text, r.url) for r in records if r.kind == "text"] == [
        (0, "a", "http://a/"),
        (2, "", ""),
        (3, "d", "v"),
    ]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.binary(), pa.dictionary(pa.int32(), pa.string())])
def test_parquet_text_may_be_any_kind_of_text(tmp_path: Path, kind: pa.DataType) -> None:
    text = pa.array(["é", "b"], pa.string()).cast(kind)
    assert [r.text for r in read(Parquet(), write(tmp_path / "a.parquet", text=text))] == ["é", "b"]


def test_parquet_tells_date_and_metadata(tmp_path: Path) -> None:
    nanoseconds = pa.array([1714557600000000001, None], pa.timestamp("ns", "UTC"))
    structs = pa.array([{"a": 1, "b": None}, None])
    records = read(Parquet(), write(tmp_path / "a.parquet", text=["a", "b"], date=nanoseconds, metadata=structs))
    assert [(r.date, r.metadata) for r in records] == [("2024-05-01T10:00:00Z", '{"a":1,"b":null}'), ("", "")]
    days = pa.array([19844, None], pa.date32())
    maps = pa.array([[("k", "v")], None], pa.map_(pa.string(), pa.string()))
    records = read(Parquet(), write(tmp_path / "a.parquet", text=["a", "b"], date=days, metadata=maps))
    assert [(r.date, r.metadata) for r in records] == [("2024-05-01", '{"k":"v"}'), ("", "")]
    texts = write(tmp_path / "a.parquet", text=["a", "b"], date=["2024-05-01T10", "x"], metadata=['{"a": 2}', "[1]"])
    records = read(Parquet(), texts)
    assert [(r.date, r.metadata) for r in records] == [("2024-05-01T10:00:00Z", '{"a":2}'), ("", "")]


def test_one_bad_cell_is_one_error(tmp_path: Path) -> None:
    text = pa.Array.from_buffers(pa.string(), 3, pa.array([b"ok", b"\xff\xfe", b"x" * 99]).buffers())
    records = read(Parquet(max_record_bytes=50), write(tmp_path / "a.parquet", text=text))
    assert kinds(records) == ["text", "invalid_utf8", "too_large"]


def test_a_parquet_file_without_its_text_column_is_refused_before_the_run(tmp_path: Path) -> None:
    file = write(tmp_path / "a.parquet", content=["a"], n=[1])
    for reader, said in ((Parquet(), "there is no column 'text'"), (Parquet(text_column="n"), "holds no text")):
        with pytest.raises(SeedbedError) as caught:
            reader.check(file)
        message = str(caught.value)
        assert said in message
        assert str(file) in message
        assert "'content', 'n'" in message
        assert "--set curate.readers.parquet.text_column=content" in message
        assert kinds(read(reader, file)) == ["missing_text"]
    Parquet(text_column="content").check(file)


def test_a_broken_parquet_file_gives_the_rows_before_and_one_error(tmp_path: Path) -> None:
    rows = [str(hash((i, "y")) ** 9) for i in range(1000)]
    whole = write(tmp_path / "a.parquet", text=rows).read_bytes()
    first_groups = pq.ParquetFile(tmp_path / "a.parquet").metadata.row_group(3).column(0).file_offset or 0
    offset = pq.ParquetFile(tmp_path / "a.parquet").metadata.row_group(3).column(0).dictionary_page_offset
    at = offset or first_groups
    file = tmp_path / "b.parquet"
    records = read(Parquet(), file, whole[:at] + b"\xff" * 3000 + whole[at + 3000 :])
    assert kinds(records) == ["text"] * (len(records) - 1) + ["corrupt_parquet"]
    assert [r.text for r in records[:-1]] == rows[: len(records) - 1]
    assert len(records) > 1
    for content in (whole[:500], b"", b"PAR1", b"junk" * 50):
        assert kinds(read(Parquet(), file, content)) == ["corrupt_parquet"]
        Parquet().check(file)
