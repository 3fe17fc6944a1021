import gzip
import json
import re

import numpy as np
import pytest

from seedbed.core import arrow
from seedbed.core.errors import RecipeError, SeedbedError
from seedbed.core.nouns import DocumentBatch
from seedbed.select.contract import Judge
from seedbed.select.labels import labelled, origin, read_pairs, read_ratings

A, B, C = (digit * 32 for digit in "abc")
PAIRS = [
    {"first": A, "second": B, "criterion": "style", "probability": 0.75},
    {"first": B[:8], "second": C.upper(), "criterion": "facts", "votes_first": 3, "votes_second": 1},
]
CRITERIA, DOMAINS = ("style", "facts"), ("law", "other")


def write(file, rows):
    """The rows in the format that the file's name says."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    if file.suffix == ".parquet":
        arrow.write_parquet(file, arrow.table({name: [row.get(name) for row in rows] for name in columns}))
    elif file.suffix == ".csv":
        lines = [columns, *([row.get(name, "") for name in columns] for row in rows)]
        file.write_text("".join(",".join(map(str, line)) + "\n" for line in lines))
    else:
        content = "\n".join(map(json.dumps, rows)).encode()
        file.write_bytes(gzip.compress(content) if file.suffix == ".gz" else content)
    return str(file)


@pytest.mark.parametrize("name", ["x.jsonl", "x.ndjson", "x.csv", "x.parquet", "x.jsonl.gz"])
def test_pairs_of_every_format_are_the_same(tmp_path, name):
    found = read_pairs(write(tmp_path / name, PAIRS), CRITERIA, "here")
    assert (found.first, found.second, found.criterion) == ([A, B[:8]], [B, C], ["style", "facts"])
    assert found.probability_P.tolist() == [0.75, 0.75]
    assert found.names == [f"{name}, row 1", f"{name}, row 2"]


def test_ratings_are_read(tmp_path):
    rows = [
        {"id": A, "style": 5, "facts": "1.5", "domain": "law"},
        {"id": B, "style": 1, "facts": 2, "domain": "other"},
    ]
    found = read_ratings(write(tmp_path / "x.jsonl", rows), CRITERIA, DOMAINS, "here")
    assert found.documents == [A, B]
    assert found.rating_NK.tolist() == [[5, 1.5], [1, 2]]
    assert found.domain == ["law", "other"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"first": "abc"}, "first is 'abc', no document's id. An id is 32 hex digits"),
        ({"first": "x" * 32}, "first is 'xxx"),
        ({"second": None}, "second is missing. Its fields are: first, second, criterion, probability"),
        ({"second": A}, "first and second are the same document"),
        ({"criterion": "stile"}, "criterion is 'stile'. Did you mean 'style'?"),
        ({"probability": 1.4}, "probability is 1.4. Give a number from 0 to 1"),
        ({"probability": "much"}, "probability is 'much'"),
        ({"probability": True}, "probability is True"),
        ({"probability": None}, "probability is missing. Give it, or votes_first"),
        ({"probability": None, "votes_first": -1, "votes_second": 2}, "votes_first is -1. Give a number of at least 0"),
        ({"probability": None, "votes_first": 0, "votes_second": 0}, "votes_first and votes_second are both 0"),
        ({"probability": None, "votes_first": 2}, "votes_second is missing"),
    ],
)
def test_a_broken_pair_is_named_by_file_row_and_field(tmp_path, change, message):
    file = write(tmp_path / "x.jsonl", [PAIRS[0], PAIRS[0] | change])
    with pytest.raises(SeedbedError, match=re.escape("x.jsonl, row 2: " + message)):
        read_pairs(file, CRITERIA, "here")


def test_a_broken_rating_is_named_by_file_row_and_field(tmp_path):
    row = {"id": A, "style": 5, "facts": 1, "domain": "law"}
    for change, message in (({"style": 6}, "style is .6.. Give a number from 1 to 5"),
                            ({"domain": "lawn"}, "Did you mean 'law'"),
                            ({"id": A}, "rated already at x.csv, row 1")):  # fmt: skip
        file = write(tmp_path / "x.csv", [row, row | {"id": B} | change])
        with pytest.raises(SeedbedError, match=re.escape("x.csv, row 2") + f".*{message}"):
            read_ratings(file, CRITERIA, DOMAINS, "here")


def test_broken_files_are_said(tmp_path):
    with pytest.raises(RecipeError, match=r"qurating\.labels: there is no file"):
        read_pairs(str(tmp_path / "none.jsonl"), CRITERIA, "qurating.labels")
    broken = [
        ("x.txt", b"", "is no .jsonl, .csv or .parquet"),
        ("x.jsonl", b"\n", "no label in it"),
        ("x.jsonl", b'{"first"', "row 1: this is no JSON"),
        ("x.jsonl", b"[]", "no JSON object"),
        ("x.csv", b"\xff\xfe", "cannot be read"),
        ("x.jsonl.gz", gzip.compress(b"{}")[:-3], "cannot be read"),
    ]
    for name, content, message in broken:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(SeedbedError, match=message):
            read_pairs(str(tmp_path / name), CRITERIA, "here")


def test_labelled_documents_are_found_in_the_pool_by_whole_ids_or_their_starts():
    pool = DocumentBatch.of([f"text {i}" for i in range(9)])
    ids = [key.hex() for key in pool.ids]
    halves = [pool.some(np.arange(4)), pool.some(np.arange(4, 9))]
    documents, rows = labelled(halves, [ids[7], ids[2][:8], "0" * 32, ids[7][:10]], ["r1", "r2", "r3", "r4"])
    assert documents.texts() == ["text 2", "text 7"]
    assert rows.tolist() == [1, 0, -1, 1]
    with pytest.raises(SeedbedError, match=r"r1: 2 of 3 documents are not in the pool, such as 0000"):
        labelled(halves, ["0" * 32, ids[1], "1" * 32], ["r1", "r2", "r3"])
    start = ids[0][:1]
    twice = DocumentBatch.of([f"text {i}" for i in range(99)])
    with pytest.raises(SeedbedError, match=r"r1: the id . is the start of more than one"):
        labelled([twice], [start], ["r1"])


def test_a_fingerprint_covers_the_labels_content_or_what_shapes_the_answers(tmp_path):
    judge = Judge(endpoint="http://here/v1", model="m")
    one, same = (origin(write(tmp_path / name, PAIRS), judge, "here") for name in ("a.jsonl", "b.jsonl"))
    assert one == same
    assert origin(write(tmp_path / "c.jsonl", PAIRS[:1]), judge, "here") != one
    elsewhere = Judge(endpoint="http://there/v1", model="m", parallel=2, key_variable="X")
    assert origin("", judge, "here") == origin("", elsewhere, "here") != origin("", Judge(model="n"), "here")
    with pytest.raises(RecipeError):
        origin(str(tmp_path / "none"), judge, "here")
