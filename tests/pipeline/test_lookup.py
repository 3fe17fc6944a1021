"""Finding rows, and following a chain of duplicates, in small artifacts written by hand."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pytest

from seedbed.core import arrow
from seedbed.core.artifact import Artifact, Draft, Request, Store
from seedbed.core.parameters import Json
from seedbed.pipeline import lookup, why

KEYS = [bytes([i]) * 16 for i in range(6)]


def made(root: Path, label: str, shards: list[dict[str, Any]], stem: str = "part") -> Artifact:
    """An artifact of these shards."""

    def fill(draft: Draft) -> dict[str, Json]:
        for number, columns in enumerate(shards):
            keys = pa.array(columns["id"], pa.binary(16)) if "id" in columns else None
            rows = arrow.table({**columns, **({"id": keys} if keys is not None else {})})
            draft.write_table(f"{stem}-{number:05d}.parquet", rows)
        return {}

    return Store(root).make(Request(label.capitalize(), "x", {"label": label}), fill)


@pytest.fixture
def chained(tmp_path: Path) -> Any:
    """Document 0 gave way to 1, and 1 to 4 in another shard; 2 and 3 to each other; 5 to one that is not here."""
    read = [{"id": KEYS[:3], "url": ["u0", "u1", "u2"]}, {"id": KEYS[3:], "url": ["u3", "u4", "u5"]}]
    kept = [False, False, False, False, True, False]
    survivor = [KEYS[1], KEYS[4], KEYS[3], KEYS[2], None, b"\xff" * 16]
    decided = [{"kept": kept[:3], "survivor": survivor[:3]}, {"kept": kept[3:], "survivor": survivor[3:]}]
    return SimpleNamespace(read=made(tmp_path, "documents", read), decisions=made(tmp_path, "decisions", decided))


@pytest.mark.parametrize(("row", "survivor"), [(0, 4), (1, 4), (4, 4), (2, None), (3, None), (5, None)])
def test_the_survivor_is_at_the_end_of_the_chain(chained: Any, row: int, survivor: int | None) -> None:
    place = lookup.place_of_row(chained.read, row)
    decision = arrow.read_row(place.of(chained.decisions), place.row)
    expected = None if survivor is None else lookup.place_of_row(chained.read, survivor)
    assert why._survivor(chained, decision, place) == expected


def test_every_row_has_its_place_and_its_id(chained: Any) -> None:
    places = [lookup.place_of_row(chained.read, row) for row in range(6)]
    assert [(place.shard[5:10], place.row) for place in places] == [(f"0000{i // 3}", i % 3) for i in range(6)]
    assert [lookup.id_at(chained.read, place) for place in places] == KEYS
    assert [lookup.find_one(chained.read, f"u{i}") for i in range(6)] == places
    assert lookup.find_one(chained.read, "u6") is None


def test_the_event_found_is_the_one_asked_for(tmp_path: Path) -> None:
    rows = {"id": KEYS[:3], "message": ["https://a/", "https://b/", "bad line"], "reason": ["x", "y", "z"]}
    events = made(tmp_path, "documents", [rows], "events")
    for wanted, reason in (("https://b/", "y"), (KEYS[2].hex(), "z"), (KEYS[0].hex()[:9], "x")):
        assert cast(dict[str, Any], lookup.event_of([events], wanted))["reason"] == reason
    assert lookup.event_of([events], "https://c/") is None


def test_copies_are_those_of_the_document(tmp_path: Path) -> None:
    weights = made(tmp_path, "weights", [{"id": KEYS[:3], "copies": [1.0, 0.5, 3.0]}])
    assert lookup.copies_of(tmp_path, KEYS[1]) == {weights.path.name: 0.5}
    assert lookup.copies_of(tmp_path, KEYS[5]) == {}


@pytest.mark.parametrize(("kind", "url", "note"), [("dropped", "https://a/", ""), ("errored", "", "https://a/\nTrace")])
def test_a_record_that_never_became_a_document(kind: str, url: str, note: str) -> None:
    event = {"id": KEYS[1], "locator": "a:b.jsonl:17", "kind": kind, "reason": "r", "message": "https://a/"}
    life = why._life_of_event({**event, "traceback": "Trace"})
    assert (life.verdict, life.url, life.note, life.file, life.offset) == (kind, url, note, "a:b.jsonl", 17)


def test_the_beginning_of_an_id_is_compared_half_byte_by_half_byte() -> None:
    ids = np.array([[0x12, 0x34] + [0] * 14, [0x12, 0x43] + [0] * 14], np.uint8)
    assert [lookup.begins(ids, prefix).tolist() for prefix in ("123", "124", "1")] == [
        [True, False], [False, True], [True, True],
    ]  # fmt: skip
