"""Exported selections in other readers, repeats as the trainer reads them, and exports that are killed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from seedbed import api, cli
from seedbed.core import arrow
from seedbed.core.artifact import Artifact, Request, Store
from seedbed.core.errors import RecipeError, SeedbedError
from seedbed.core.nouns import WEIGHTS
from seedbed.pipeline import export_selection, workplace
from seedbed.recipe import POOL
from seedbed.tokenize.run import Pool
from seedbed.train.source import TokenShard, TokenSource

COLUMNS = ["id", "text", "url", "source", "language", "copies", "n_tokens"]


def chosen(out: Path, label: str = "mine-0", *, scale: float = 1.0, shift: int = 0) -> Artifact:
    """Weights of every kind: none, a fraction, whole copies, whole copies and a fraction."""
    index = workplace.artifact_at(out, "tokens").table()
    copies = np.resize([0.0, 0.3, 1.0, 2.5, 0.0, 0.7, 3.0], index.num_rows) * scale
    ids = arrow.id_column(np.roll(arrow.ids(index), shift, axis=0))
    table = arrow.table({"id": ids, "copies": copies, "n_tokens": index.column("n_tokens")}, WEIGHTS)

    def fill(draft: Any) -> dict[str, Any]:
        draft.write_table("part-00000.parquet", table)
        return {}

    return Store(out).make(Request("Weights", label, {"scale": scale, "shift": shift}), fill)


def mixture(out: Path, shares: dict[str, float]) -> Artifact:
    def fill(draft: Any) -> dict[str, Any]:
        draft.write_text("mixture.json", json.dumps({"domains": shares}))
        return {}

    return Store(out).make(Request("Mixture", "unimax", {}), fill)


def export(out: Path, goal: Path, **how: Any) -> pa.Table:
    told = api.export(out, goal, "selection", **how)
    table = pq.read_table(goal / "documents")
    assert told["rows"] == table.num_rows
    assert told["files"] == len(list((goal / "documents").iterdir())) > 1
    return table


def test_parquet_readers_see_every_kept_document_with_its_copies(changed: Path, tmp_path: Path) -> None:
    weights, kept = chosen(changed).table(), api.Corpus(changed).documents()
    found = export(changed, tmp_path / "s")
    assert found.column_names == COLUMNS
    assert found.select(COLUMNS[:5]).to_pydict() == kept.select(COLUMNS[:5]).to_pydict()
    assert found["copies"].to_pylist() == weights["copies"].to_pylist()
    assert found["n_tokens"].to_pylist() == weights["n_tokens"].to_pylist()
    files = str(tmp_path / "s" / "documents" / "*.parquet")
    tokens = float(np.dot(weights["copies"], weights["n_tokens"]))
    seen = pd.read_parquet(tmp_path / "s" / "documents")
    assert float((seen["copies"] * seen["n_tokens"]).sum()) == pytest.approx(tokens)
    lazily = pl.scan_parquet(files).filter(pl.col("copies") > 0).select(pl.len()).collect().item()
    query = f"SELECT count(*), sum(copies * n_tokens) FROM '{files}' WHERE copies > 0"
    assert duckdb.sql(query).fetchall() == [(lazily, pytest.approx(tokens))]
    about = json.loads((tmp_path / "s" / "selection.json").read_text())
    assert (about["rows"], about["documents"], about["tokens"]) == ("all", lazily, pytest.approx(tokens))


def test_datatrove_finds_its_fields_and_nothing_but_parquet(changed: Path, tmp_path: Path) -> None:
    chosen(changed)
    row = export(changed, tmp_path / "s").to_pylist()[1]
    assert {file.suffix for file in (tmp_path / "s" / "documents").iterdir()} == {".parquet"}
    text, key, rest = row.pop("text"), row.pop("id"), row.pop("metadata", {}) | row  # its default adapter
    assert isinstance(text, str)
    assert bytes.fromhex(key)
    assert rest["copies"] == 0.3


def test_selected_rows_are_those_with_copies(changed: Path, tmp_path: Path) -> None:
    chosen(changed)
    everything, some = (export(changed, tmp_path / rows, rows=rows).to_pylist() for rows in ("all", "selected"))
    assert some == [row for row in everything if row["copies"] > 0]
    assert 0 < len(some) < len(everything)


@pytest.mark.parametrize("seed", [0, 7])
def test_repeated_rows_are_what_the_trainer_reads_in_its_first_epoch(changed: Path, tmp_path: Path, seed: int) -> None:
    weights = chosen(changed)
    found = export(changed, tmp_path / "s", rows="repeated", seed=seed)
    pool = Pool(workplace.curated_at(changed).kept, workplace.artifact_at(changed, "tokens"))
    shards = [TokenShard(pool.ids(name), pool.shard_index(name)) for name in pool.shard_names()]
    source = TokenSource(POOL, shards, arrow.numpy(weights.table(), "copies"), seed=seed, context=2)
    read: dict[str, int] = {}
    index = 0
    while source.epoch(index) == 0:
        reading = source.reading(index)
        ids = source.documents(index)
        for key, starts, begin in zip(ids, reading.start_P, reading.begin_P, strict=True):
            if starts and begin < 2:  # the last token of a reading is the first of another
                read[key.hex()] = read.get(key.hex(), 0) + 1
        index += 1
    written = found["id"].to_pylist()
    assert {key: written.count(key) for key in written} == read
    assert set(found["copies"].to_pylist()) == {1.0}
    about = json.loads((tmp_path / "s" / "selection.json").read_text())
    assert about["tokens"] == sum(found["n_tokens"].to_pylist())


def test_the_coins_of_every_epoch_are_the_trainers() -> None:
    ids = np.random.default_rng(0).integers(0, 256, (500, 16), dtype=np.uint8)
    copies = np.random.default_rng(1).uniform(0, 3, 500)
    columns = {"id": arrow.id_column(ids), "offset": np.arange(500), "n_tokens": np.ones(500, np.int64)}
    shard = TokenShard(np.zeros(500, np.uint16), pa.table(columns))
    source = TokenSource(POOL, [shard], copies, seed=5, context=4)
    for epoch in (0, 3):
        np.testing.assert_array_equal(export_selection.read_in_epoch(copies, ids, 5, epoch), source._repeats(epoch))


def test_a_killed_export_goes_on_and_ends_with_the_same_bytes(
    changed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen(changed)
    export(changed, tmp_path / "whole")
    real, written = export_selection._write, []

    def dying(file: Path, shard: Path, *rest: Any) -> int:
        if written:
            raise KeyboardInterrupt
        written.append(shard.name)
        return real(file, shard, *rest)

    with monkeypatch.context() as patched:
        patched.setattr(export_selection, "_write", dying)
        with pytest.raises(KeyboardInterrupt):
            api.export(changed, tmp_path / "killed", "selection")
    assert not (tmp_path / "killed").exists()
    [first] = tmp_path.glob(f".killed-*/documents/{written[0]}")
    node = first.stat().st_ino
    export(changed, tmp_path / "killed")
    assert (tmp_path / "killed" / "documents" / written[0]).stat().st_ino == node
    files = [{f.name: f.read_bytes() for f in (tmp_path / s).rglob("*.*") if f.is_file()} for s in ("whole", "killed")]
    assert files[0] == files[1]
    assert not list(tmp_path.glob(".*"))


def test_another_selection_takes_the_place_of_a_former_one(changed: Path, tmp_path: Path) -> None:
    first = chosen(changed)
    export(changed, tmp_path / "s", weights=str(first.path))
    second = chosen(changed, "other-0", scale=2.0)
    found = export(changed, tmp_path / "s", weights="other")
    assert found["copies"].to_pylist() == second.table()["copies"].to_pylist()


def test_what_cannot_be_exported_is_said(changed: Path, tmp_path: Path) -> None:
    with pytest.raises(SeedbedError, match=r"there is no Weights artifact here\. Run `seedbed select`"):
        api.export(changed, tmp_path / "s", "selection")
    mine, nothing, others = chosen(changed), chosen(changed, "none-0", scale=0.0), chosen(changed, "of-0", shift=1)
    with pytest.raises(SeedbedError, match=r"there are 3 Weights artifacts here. Name one: weights-mine-0"):
        api.export(changed, tmp_path / "s", "selection")
    with pytest.raises(SeedbedError, match="there is no Weights artifact by dsir here"):
        api.export(changed, tmp_path / "s", "selection", weights="dsir")
    with pytest.raises(SeedbedError, match="these weights choose no document"):
        api.export(changed, tmp_path / "s", "selection", weights=nothing.path.name)
    with pytest.raises(SeedbedError, match="these weights are of other documents"):
        api.export(changed, tmp_path / "s", "selection", weights="of")
    with pytest.raises(SeedbedError, match="is no Mixture folder"):
        api.export(changed, tmp_path / "m.json", "mixture", weights=str(mine.path))
    with pytest.raises(RecipeError, match=r"there is no choice 'repeat'\. Did you mean 'repeated'"):
        api.export(changed, tmp_path / "s", "selection", weights="mine", rows="repeat")
    with pytest.raises(RecipeError, match="--rows: says nothing of --to jsonl"):
        api.export(changed, tmp_path / "s", "jsonl", rows="all")
    with pytest.raises(SeedbedError, match="holds something else than a selection"):
        api.export(changed, changed, "selection", weights="mine")
    assert not (tmp_path / "s").exists()
    assert others.path.exists()


def test_a_mixture_becomes_shares_with_the_keys_of_a_static_mixer(changed: Path, tmp_path: Path) -> None:
    mixture(changed, {"web": 0.75, "books": 0.25})
    assert api.export(changed, tmp_path / "m.json", "mixture")["domains"] == 2
    told = json.loads((tmp_path / "m.json").read_text())
    assert told["domains"] == {"web": 0.75, "books": 0.25}
    assert dict(zip(told["domain_names"], told["proportions"], strict=True)) == told["domains"]
    with pytest.raises(SeedbedError, match=r"Name a file that ends in \.json"):
        api.export(changed, tmp_path / "m", "mixture")


def test_the_verb_exports_what_was_selected_last(changed: Path, tmp_path: Path) -> None:
    chosen(changed, "constant-3")  # not asked for by the verb
    weights = api.select(changed, "constant", budget_tokens=300)
    goal = tmp_path / "s"
    words = ["export", str(changed), "--to", "selection", "--weights", "constant", "--rows", "selected"]
    done = CliRunner().invoke(cli.app, [*words, "--out", str(goal)])
    assert done.exit_code == 0, done.output
    assert f"Exported: {goal}" in done.stdout
    assert pq.read_table(goal / "documents").num_rows == weights.about["documents"]
