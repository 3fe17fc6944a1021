"""Artifacts: found by what they are asked to be, never half made, and safe to go on with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from seedbed.core import arrow, units
from seedbed.core.artifact import Artifact, Draft, Request, Store
from seedbed.core.errors import RecipeError
from seedbed.core.fingerprint import fingerprint, hash_bytes
from seedbed.core.parameters import Json

REQUEST = Request("Signals", "x", {"a": 1, "b": [1.5, None]}, {"text": "ff"})


def fill(draft: Draft) -> dict[str, Json]:
    draft.write_table("part-00000.parquet", arrow.table({"x": [1, 2, 3]}))
    return {"note": "kept"}


def test_the_fingerprint_covers_all_but_the_label() -> None:
    same = Request("Signals", "other label", {"b": [1.5, None], "a": 1}, {"text": "ff"})
    assert same.fingerprint == REQUEST.fingerprint
    others = [
        Request("Signal", "x", REQUEST.identity, REQUEST.parents),
        Request("Signals", "x", {"a": 2, "b": [1.5, None]}, REQUEST.parents),
        Request("Signals", "x", REQUEST.identity, {"text": "fe"}),
    ]
    assert len({REQUEST.fingerprint, *(other.fingerprint for other in others)}) == 4
    assert fingerprint({"a": 1}) != fingerprint({"a": 1.5})
    assert hash_bytes(b"ab", b"c") != hash_bytes(b"a", b"bc")


def test_made_once_then_found(tmp_path: Path) -> None:
    store = Store(tmp_path)
    made = store.make(REQUEST, fill)
    assert (made.rows, made.about, made.fingerprint) == (3, {"note": "kept"}, REQUEST.fingerprint)
    again = store.make(REQUEST, lambda _: pytest.fail("made twice"))
    assert again == made
    assert [a.path.name for a in store.all()] == [REQUEST.folder]


def test_a_draft_goes_on_with_files_that_verify_and_only_those(tmp_path: Path) -> None:
    store = Store(tmp_path)
    draft = store.draft(REQUEST)
    fill(draft)
    assert store.find(REQUEST) is None
    assert draft.receipt("part-00000.parquet") is not None
    assert draft.receipt("part-00001.parquet") is None
    file = draft.path / "part-00000.parquet"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    assert draft.receipt("part-00000.parquet") is None


@pytest.mark.parametrize("torn", ["", '{"about": {}, "ha', "{}"])
def test_a_receipt_that_was_lost_half_way_has_the_file_made_again(tmp_path: Path, torn: str) -> None:
    store = Store(tmp_path)
    draft = store.draft(REQUEST)
    fill(draft)
    (draft.path / ".part-00000.parquet.receipt").write_text(torn)
    assert draft.receipt("part-00000.parquet") is None
    made = store.make(REQUEST, fill)
    assert made.rows == 3
    assert made.path.joinpath("manifest.json").read_bytes() == (
        Store(tmp_path / "whole").make(REQUEST, fill).path.joinpath("manifest.json").read_bytes()
    )


def test_the_manifest_lists_every_file_and_nothing_that_changes(tmp_path: Path) -> None:
    a, b = (Store(tmp_path / name).make(REQUEST, fill) for name in "ab")
    assert (a.path / "manifest.json").read_bytes() == (b.path / "manifest.json").read_bytes()
    manifest = json.loads((a.path / "manifest.json").read_text())
    assert [f["name"] for f in manifest["files"]] == ["part-00000.parquet"]
    assert sorted(p.name for p in a.path.iterdir()) == ["manifest.json", "part-00000.parquet"]
    assert Artifact(a.path).table().num_rows == 3
    assert Store(tmp_path / "a").logged()[a.path.name]["seconds"] is not None


def test_counts_and_numbers_for_people() -> None:
    assert [units.count(x, "n") for x in (5, "20M", "1.5B", "2e7", "3k")] == [
        5,
        20_000_000,
        1_500_000_000,
        20_000_000,
        3000,
    ]
    with pytest.raises(RecipeError, match="n: 'many' is not a count"):
        units.count("many", "n")
    assert [units.human(x, "B") for x in (12, 1234, 5.5e9)] == ["12 B", "1.23 kB", "5.5 GB"]
    assert [units.duration(x) for x in (4.2, 75, 7800)] == ["4.2 s", "1 min 15 s", "2 h 10 min"]


def test_what_a_killed_writer_of_the_log_left_goes_with_the_next_line(tmp_path: Path) -> None:
    store = Store(tmp_path)
    (store.path / ".run_log.json.27919.tmp").write_text("{")
    store.log("documents-x", seconds=1.5)
    assert store.logged() == {"documents-x": {"seconds": 1.5}}
    assert not list(store.path.glob(".run_log.json.*"))
