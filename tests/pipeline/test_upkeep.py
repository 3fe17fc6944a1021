"""Status, gc, verify and export of a folder, with faults planted in copies of it."""

from __future__ import annotations

import gzip
import importlib.util
import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from seedbed import api
from seedbed.core.errors import RecipeError, SeedbedError
from seedbed.core.fingerprint import hash_file
from seedbed.curate.readers.jsonl import Jsonl
from seedbed.pipeline import export as exporting
from seedbed.pipeline import upkeep
from seedbed.pipeline.export import FORMATS
from tests.pipeline.conftest import SMALL


def test_gc_removes_what_the_newest_run_does_not_use_and_no_more(corpus: Path, changed: Path) -> None:
    assert {each.state for each in upkeep.status(changed)} == {"in use"}
    api.curate(corpus, out=changed, settings={**SMALL, "curate.filters.gopher_quality.min_words": 400})
    (changed / "artifacts" / "signals-x-0123.partial").mkdir()
    stale = {each.name for each in upkeep.status(changed) if each.state != "in use"}
    used = {each.name: each.seconds for each in upkeep.status(changed) if each.state == "in use"}
    assert any(used.values())
    assert {name.rpartition("-")[0] for name in stale} >= {"documents-kept", "decisions-all", "signals-x"}
    assert {each.name for each in upkeep.gc(changed, dry_run=True)} == stale
    assert {path.name for path in (changed / "artifacts").iterdir()} >= stale
    kept = api.Corpus(changed).documents()
    assert {each.name for each in upkeep.gc(changed)} == stale
    assert not {path.name for path in (changed / "artifacts").iterdir()} & stale
    assert api.Corpus(changed).documents().equals(kept)
    assert upkeep.gc(changed) == []
    assert {each.name: each.seconds for each in upkeep.status(changed)} == used
    assert api.Corpus(changed).verify().problems == ()
    before = {path.name for path in (changed / "artifacts").iterdir()}
    api.curate(corpus, out=changed, settings={**SMALL, "curate.filters.gopher_quality.min_words": 400})
    assert {path.name for path in (changed / "artifacts").iterdir()} == before


def test_what_lies_there_is_counted(asked: Path) -> None:
    rows = {each.name.rpartition("-")[0]: each for each in upkeep.status(asked)}
    kept = rows["documents-kept"]
    files = [f for f in (asked / "artifacts" / kept.name).iterdir() if f.name != "manifest.json"]
    assert (kept.rows, kept.noun) == (api.Corpus(asked).documents().num_rows, "Documents")
    assert kept.bytes == sum(f.stat().st_size for f in files)
    assert sum(each.bytes for each in upkeep.status(asked)) == api.Corpus(asked).verify().bytes


def test_a_whole_folder_verifies(asked: Path) -> None:
    found = api.Corpus(asked).verify()
    assert found.problems == ()
    assert found.files > 20
    assert found.bytes > 10_000


def rewrite(file: Path, change: dict[str, object]) -> None:
    told = json.loads(file.read_text())
    file.write_text(json.dumps({**told, **change}))


def own_up(file: Path) -> None:
    """The manifest knows what the file is now."""
    files = json.loads((file.parent / "manifest.json").read_text())["files"]
    fixed = [{**f, "hash": hash_file(file)} if f["name"] == file.name else f for f in files]
    rewrite(file.parent / "manifest.json", {"files": fixed})


def put(file: Path, rows: pa.Table) -> None:
    pq.write_table(rows, file)
    own_up(file)


def with_two_rows(out: Path, pattern: str) -> Path:
    return next(f for f in sorted((out / "artifacts").glob(pattern)) if pq.read_table(f).num_rows > 1)


def lose_a_kept_document(out: Path) -> None:
    shard = with_two_rows(out, "documents-kept-*/part-*")
    put(shard, pq.read_table(shard).slice(1))


def miscount(out: Path) -> None:
    file = one(out, "decisions-*/ledger-*.parquet")
    rows = pq.read_table(file)
    counts = [rows.column("documents")[0].as_py() + 1, *rows.column("documents").to_pylist()[1:]]
    put(file, rows.set_column(rows.column_names.index("documents"), rows.schema.field("documents"), [counts]))


def swap_tokens(out: Path) -> None:
    shard = with_two_rows(out, "tokens-*/part-*")
    rows = pq.read_table(shard)
    put(shard, rows.set_column(0, rows.schema.field(0), rows.column(0).take(list(range(rows.num_rows))[::-1])))


def one(out: Path, pattern: str) -> Path:
    return next((out / "artifacts").glob(pattern))


FAULTS = {
    "is damaged": lambda out: one(out, "signals-size-*/part-*").write_bytes(b"PAR1"),
    "is missing": lambda out: one(out, "documents-read-*/events-*").unlink(),
    "is not in the manifest": lambda out: (one(out, "tokens-*") / "part-99999.parquet").touch(),
    "the manifest was changed": lambda out: rewrite(one(out, "documents-kept-*/manifest.json"), {"identity": {"a": 1}}),
    "what it was made from as 'text' is not": lambda out: shutil.rmtree(one(out, "documents-c4_lines-*")),
    "ledger.json is not what": lambda out: rewrite(out / "ledger.json", {"kept": 1}),
    "documents/ does not hold": lambda out: shutil.rmtree(out / "documents"),
    "holds other documents than were kept": lose_a_kept_document,
    "the stored ledger is not what the documents": miscount,
    "in their order": swap_tokens,
}


@pytest.mark.parametrize("problem", FAULTS)
def test_a_planted_fault_is_found(changed: Path, problem: str) -> None:
    FAULTS[problem](changed)
    found = api.Corpus(changed).verify().problems
    assert any(problem in told for told in found), found


def test_a_lost_token_is_found(changed: Path) -> None:
    ids = next(f for f in sorted(changed.glob("artifacts/tokens-*/ids-*.bin")) if f.stat().st_size > 4)
    ids.write_bytes(ids.read_bytes()[:-2])
    own_up(ids)
    assert any("tokens are listed" in told for told in api.Corpus(changed).verify().problems)


@pytest.mark.parametrize("to", FORMATS)
def test_exported_documents_read_back(asked: Path, tmp_path: Path, to: str) -> None:
    kept = api.Corpus(asked).documents()
    counts = api.Corpus(asked).export(tmp_path / f"all.{to}", to)
    assert counts == {"documents": kept.num_rows, "files": 1, "bytes": (tmp_path / f"all.{to}").stat().st_size}
    if to == "jsonl.gz":
        lines = gzip.decompress((tmp_path / "all.jsonl.gz").read_bytes()).splitlines()
        assert json.loads(lines[0])["metadata"] == {}
    back = list(Jsonl().records(tmp_path / f"all.{to}"))
    assert [(r.text, r.url, r.language) for r in back] == list(
        zip(*(kept.column(name).to_pylist() for name in ("text", "url", "language")), strict=True)
    )
    first = (tmp_path / f"all.{to}").read_bytes()
    api.Corpus(asked).export(tmp_path / f"all.{to}", to)
    assert (tmp_path / f"all.{to}").read_bytes() == first
    counts = api.Corpus(asked).export(tmp_path / "by_shard", to)
    assert counts["files"] == len(list((tmp_path / "by_shard").iterdir())) > 1


def test_what_a_record_knew_besides_is_an_object_again(tmp_path: Path) -> None:
    rows = {"text": ["a", "b"], "metadata": ['{"score": 0.5, "tags": ["x"]}', ""]}
    pq.write_table(pa.table(rows), tmp_path / "part-00000.parquet")
    told = [json.loads(line)["metadata"] for line in exporting._lines(tmp_path / "part-00000.parquet")]
    assert told == [{"score": 0.5, "tags": ["x"]}, {}]


def test_exported_tokens_are_all_tokens(asked: Path, tmp_path: Path) -> None:
    api.Corpus(asked).export(tmp_path / "megatron", "megatron")
    tokens = next(asked.glob("artifacts/tokens-*"))
    flat = b"".join(file.read_bytes() for file in sorted(tokens.glob("ids-*.bin")))
    assert (tmp_path / "megatron" / "tokens.bin").read_bytes() == flat


def test_a_wrong_format_or_name_is_said(asked: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"Did you mean 'jsonl\.zst'"):
        api.Corpus(asked).export(tmp_path / "x", "jsonl.zstd")
    with pytest.raises(SeedbedError, match=r"ends in \.jsonl\.gz"):
        api.Corpus(asked).export(tmp_path / "x.jsonl.zst", "jsonl.gz")
    with pytest.raises(SeedbedError, match=r"x\.parquet: is no file name of the format jsonl\.zst.*documents/"):
        api.Corpus(asked).export(tmp_path / "x.parquet")
    assert list(tmp_path.iterdir()) == []


def test_tokens_that_are_not_there_are_said_with_the_verb_that_makes_them(corpus: Path, tmp_path: Path) -> None:
    api.curate(corpus, out=tmp_path / "out")
    with pytest.raises(SeedbedError, match=r"there are no tokens here yet\. Run `seedbed tokenize` there first"):
        api.Corpus(tmp_path / "out").export(tmp_path / "x", "megatron")


def test_documents_open_in_other_programs_as_they_are(asked: Path) -> None:
    kept = api.Corpus(asked).documents()
    words = sum(len(text.split()) for text in kept.column("text").to_pylist())
    pattern = str(asked / "documents" / "*.parquet")
    opened = 0
    if importlib.util.find_spec("duckdb"):
        import duckdb

        rows = duckdb.sql(f"select count(*), sum(len(text)), min(id) from '{pattern}'").fetchall()
        texts = kept.column("text").to_pylist()
        assert rows == [(kept.num_rows, sum(map(len, texts)), min(kept.column("id").to_pylist()))]
        opened += 1
    if importlib.util.find_spec("polars"):
        import polars

        frame = polars.read_parquet(pattern)
        assert frame.height == kept.num_rows
        assert frame["text"].to_list() == kept.column("text").to_pylist()
        opened += 1
    if importlib.util.find_spec("datasets"):
        import datasets

        table = datasets.Dataset.from_parquet([str(f) for f in sorted((asked / "documents").iterdir())])
        assert table["text"][:] == kept.column("text").to_pylist()
        opened += 1
    if not opened:
        pytest.skip("neither duckdb nor polars nor datasets is installed")
    assert words > 0


def test_ledgers_of_shards_add_up_to_the_whole(asked: Path) -> None:
    table = api.Corpus(asked).ledger_by_shard()
    whole = json.loads((asked / "ledger.json").read_text())
    steps = {step["step"]: step for step in whole["steps"]}
    rows = table.to_pylist()
    assert len({row["shard"] for row in rows}) >= 2
    for step, told in steps.items():
        for fate in ("in", "out"):
            mine = [row for row in rows if (row["step"], row["fate"]) == (step, fate)]
            assert sum(row["documents"] for row in mine) == told[f"documents_{fate}"]
            assert sum(row["bytes"] for row in mine) == told[f"bytes_{fate}"]
    kept = api.Corpus(asked).documents()
    assert steps["keep"]["bytes_out"] == sum(len(text.encode()) for text in kept.column("text").to_pylist())
    assert steps["curate.edits.c4_lines"]["bytes_cut"] > 0
    assert steps["tokenize"]["tokens_out"] == pa.compute.sum(_index(asked).column("n_tokens")).as_py()
    assert list(steps) == ["read", *(s for s in steps if s.startswith("curate.")), "keep", "tokenize"]


def _index(out: Path) -> pa.Table:
    return pa.concat_tables(pq.read_table(file) for file in sorted(out.glob("artifacts/tokens-*/part-*")))
