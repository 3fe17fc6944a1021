"""Forgetting leaves no byte of a text or URL in the folder, and what is left is what had been read without it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from seedbed import api
from seedbed.core.errors import SeedbedError
from seedbed.curate.forgotten import Forgotten
from seedbed.pipeline import forget as forgetting
from seedbed.pipeline import workplace
from tests.conftest import sample_texts
from tests.killing import changed, kill_when


def write_input(folder: Path) -> list[dict[str, str]]:
    """Documents with URLs, one of them twice word for word at another URL."""
    folder.mkdir()
    rows = [
        {**row, "url": f"https://secret.example/page/{i}?x={i * 7919}"} for i, row in enumerate(sample_texts()[:24])
    ]
    rows.append({**rows[3], "url": "https://secret.example/copy/of/3"})
    for part in range(5):
        lines = [json.dumps(row) + "\n" for row in rows[part * 5 : part * 5 + 5]]
        (folder / f"{part}.jsonl").write_text("".join(lines))
    return rows


def everything(out: Path) -> bytes:
    """Every byte of a folder, Parquet also as the values in it."""
    pieces: list[bytes] = []
    for file in sorted(path for path in out.rglob("*") if path.is_file()):
        pieces.append(file.name.encode() + file.read_bytes())
        if file.suffix == ".parquet":
            pieces.append(json.dumps(pq.read_table(file).to_pylist(), default=bytes.hex, ensure_ascii=False).encode())
    return b"\n".join(pieces)


def tables(out: Path) -> dict[str, pa.Table]:
    """Artifact folder and file -> content."""
    return {str(f.relative_to(out)): pq.read_table(f) for f in sorted((out / "artifacts").rglob("*.parquet"))}


@pytest.fixture(scope="module")
def curated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, str]]]:
    whole = tmp_path_factory.mktemp("forget") / "whole"
    whole.mkdir()
    rows = write_input(whole / "in")
    api.curate(whole / "in", out=whole / "out", settings={"curate.shard_bytes": 20_000})
    return whole, rows


@pytest.fixture
def folder(curated: tuple[Path, list[dict[str, str]]], tmp_path: Path) -> tuple[Path, list[dict[str, str]]]:
    shutil.copytree(curated[0], tmp_path / "whole")
    return tmp_path / "whole" / "out", curated[1]


def test_nothing_of_a_forgotten_document_is_left_and_a_later_run_does_not_bring_it_back(
    folder: tuple[Path, list[dict[str, str]]],
) -> None:
    out, rows = folder
    api.tokenize(out, settings={"tokenize.tokenizers.byte_bpe.vocab_size": 300})
    url, text = rows[7]["url"], rows[7]["text"]
    by_id = api.Corpus(out).why(rows[12]["url"])
    phrases = [part for row in (rows[7], rows[12]) for part in row["text"].split("\n") if len(part) > 60]
    phrases = [phrase for phrase in phrases if sum(phrase in row["text"] for row in rows) == 1]
    assert len(phrases) > 4
    told = everything(out)
    assert url.encode() in told
    assert all(phrase.encode() in told for phrase in phrases)
    before = api.Corpus(out).ledger
    certificate = api.Corpus(out).forget([url, by_id.id, "https://secret.example/never/read"]).told
    told = everything(out)
    assert url.encode() not in told
    assert rows[12]["url"].encode() not in told
    assert [phrase for phrase in phrases if phrase.encode() in told] == []
    assert text.encode() not in told
    after = api.Corpus(out).ledger
    assert after["dropped"]["forgotten"] == 2  # type: ignore[index, call-overload]
    assert after["read"] == before["read"]
    assert [line["documents"] for line in certificate["asked"]] == [1, 1, 0]  # type: ignore[index, union-attr, call-overload]
    assert {row["file"] for row in certificate["documents"]} == {"1.jsonl", "2.jsonl"}  # type: ignore[index, union-attr, call-overload]
    assert api.Corpus(out).verify().problems == ()
    again = api.curate(out.parent / "in", out=out, settings={"curate.shard_bytes": 20_000})
    assert again.ledger == after
    assert url.encode() not in everything(out)
    assert api.Corpus(out).gc(dry_run=True) == []


def test_what_is_left_is_what_reading_without_it_gives(folder: tuple[Path, list[dict[str, str]]]) -> None:
    out, rows = folder
    api.Corpus(out).forget([rows[0]["url"], rows[3]["url"], rows[24]["url"]])
    fresh = out.parent / "fresh"
    fresh.mkdir()
    Forgotten.of(out).write(fresh)
    api.curate(out.parent / "in", out=fresh, settings={"curate.shard_bytes": 20_000})
    struck, read = tables(out), tables(fresh)
    assert struck.keys() == read.keys()
    differing = [name for name in struck if not struck[name].equals(read[name])]
    assert [name for name in differing if "events" not in name] == []
    for name in differing:  # a struck event does not know which reader would have dropped it
        assert struck[name].drop_columns(["step"]).equals(read[name].drop_columns(["step"]))


def test_a_copy_that_was_not_asked_for_takes_the_place_of_its_survivor_and_is_named(
    folder: tuple[Path, list[dict[str, str]]],
) -> None:
    out, rows = folder
    corpus = api.Corpus(out)
    lives = [corpus.why(rows[i]["url"]) for i in (3, 24)]
    survivor = next(life for life in lives if life.verdict == "kept")
    copy = next(life for life in lives if life.verdict == "dropped")
    assert copy.survivor == survivor.id
    told = corpus.forget([survivor.url]).told
    assert told["same_text_elsewhere"] == [copy.id]
    assert corpus.why(copy.id).verdict == "kept"


def test_a_dry_run_changes_nothing(folder: tuple[Path, list[dict[str, str]]]) -> None:
    out, rows = folder
    before = everything(out)
    told = api.Corpus(out).forget([rows[7]["url"]], dry_run=True).told
    assert len(told["documents"]) == 1  # type: ignore[arg-type]
    assert told["same_text_elsewhere"] == [], "it has no duplicate"
    assert everything(out) == before


def test_trained_models_stay_and_are_named(folder: tuple[Path, list[dict[str, str]]]) -> None:
    out, rows = folder
    run = api.train(out, tokens="2k", settings={
        "tokenize.tokenizers.byte_bpe.vocab_size": 300, "train.shape.d_model": 16, "train.shape.n_layers": 1,
        "train.shape.context": 64,
    })  # fmt: skip
    told = api.Corpus(out).forget([rows[7]["url"]]).told
    assert told["still_remember"]["models"] == ["model"]  # type: ignore[index, call-overload]
    assert "still remember" in told["still_remember"]["note"]  # type: ignore[index, call-overload, operator]
    assert (run.model / "model.safetensors").exists()
    assert rows[7]["url"].encode() not in everything(out)
    assert api.Corpus(out).gc() == []
    assert (run.model / "model.safetensors").exists()


def test_what_is_not_here_changes_nothing_and_is_said(folder: tuple[Path, list[dict[str, str]]]) -> None:
    out, _ = folder
    before = {path.name for path in (out / "artifacts").iterdir()}
    told = api.Corpus(out).forget(["https://secret.example/never/read"]).told
    assert told["documents"] == []
    assert {path.name for path in (out / "artifacts").iterdir()} == before
    assert not (out / "forgotten.json").exists()
    again = api.Corpus(out).forget(["https://secret.example/nor/this"])
    assert again.file.name == "forget-0002.json"
    assert len(list((out / "certificates").iterdir())) == 2


def test_what_was_forgotten_is_not_found_again(folder: tuple[Path, list[dict[str, str]]]) -> None:
    out, rows = folder
    key = api.Corpus(out).why(rows[7]["url"]).id
    assert len(api.Corpus(out).forget([key, rows[7]["url"]]).told["documents"]) == 1
    assert api.Corpus(out).forget([key]).told["documents"] == []


def test_the_earlier_run_that_was_respected_must_be_as_it_was(folder: tuple[Path, list[dict[str, str]]]) -> None:
    out, _ = folder
    workplace.write_index(out, {**workplace.read_index(out), "published": str(out)})
    decisions = workplace.curated_at(out).decisions
    made = {key: SimpleNamespace(manifest={"parents": {"published": key}}) for key in (decisions.fingerprint, "else")}
    assert forgetting._published(out, made[decisions.fingerprint]) == decisions  # type: ignore[arg-type]
    assert forgetting._published(out, decisions) is None
    with pytest.raises(SeedbedError, match="has changed since"):
        forgetting._published(out, made["else"])  # type: ignore[arg-type]


def test_killed_in_the_middle_the_same_command_finishes(folder: tuple[Path, list[dict[str, str]]]) -> None:
    out, rows = folder
    (out.parent / "urls.txt").write_text(f"# asked by a reader\n\n{rows[7]['url']}\n{rows[20]['url']}\n")
    command = [sys.executable, "-m", "seedbed", "forget", str(out), str(out.parent / "urls.txt")]
    for n_files in (1, 8, 20):
        assert kill_when(changed(out, n_files), command)
    done = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "they still remember what they read" in done
    told = everything(out)
    assert rows[7]["url"].encode() not in told
    assert rows[20]["url"].encode() not in told
    assert api.Corpus(out).verify().problems == ()
    assert list((out / "artifacts").glob("*.partial")) == []


def test_a_list_of_what_to_forget_is_read_and_a_bad_one_refused(tmp_path: Path) -> None:
    (tmp_path / "urls.txt").write_text("# why\nhttps://a.example/\n\nhttps://a.example/\n")
    assert forgetting.asked_for(tmp_path / "urls.txt") == ("https://a.example/",)
    (tmp_path / "none.txt").write_text("# nothing\n")
    with pytest.raises(SeedbedError, match="names nothing to forget"):
        forgetting.asked_for(tmp_path / "none.txt")
    (tmp_path / "forgotten.json").write_text("[]")
    with pytest.raises(SeedbedError, match="no list of what was forgotten"):
        Forgotten.of(tmp_path)
    with pytest.raises(SeedbedError, match="not the output folder"):
        workplace.curated_at(tmp_path)
