"""The room as a whole: conservation, the same bytes however it is run, crashes, replay, and bad input."""

from __future__ import annotations

import dataclasses
import errno
import gzip
import json
import random
import shutil
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from seedbed import api
from seedbed.core import artifact as artifacts
from seedbed.core.errors import RecipeError, SeedbedError
from seedbed.core.nouns import DOCUMENTS, DocumentBatch
from seedbed.curate.filters.size import Size
from seedbed.pipeline import data
from seedbed.pipeline.workplace import Workplace
from seedbed.recipe import Recipe
from tests.conftest import sample_texts, write_corpus
from tests.killing import changed, kill_when

SMALL = {"curate.shard_bytes": 40_000}


def curate(inputs: list[Path], out: Path, recipe: Recipe | None = None, workers: int = 1) -> api.Corpus:
    """Curation alone, without the report."""
    with Workplace.open(out, workers) as place:
        data.curate_into(place, recipe or api.load_recipe("fineweb_en", SMALL), [str(path) for path in inputs])
    return api.Corpus(out)


def tree(out: Path) -> dict[str, bytes]:
    """Every file of an output folder but the log of what differs from run to run."""
    skip = {"run_log.json", ".lock", ".log.lock"}
    return {
        str(p.relative_to(out)): p.read_bytes() for p in sorted(out.rglob("*")) if p.is_file() and p.name not in skip
    }


@pytest.fixture(scope="module")
def done(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("done") / "out"
    curate([corpus], out)
    return out


def test_every_record_is_accounted_for(corpus: Path, done: Path, tmp_path: Path) -> None:
    expected = write_corpus(tmp_path / "same")
    ledger = json.loads((done / "ledger.json").read_text())
    assert ledger["read"] == expected["read"]
    assert sum(ledger["errored"].values()) == expected["errored"]
    assert ledger["dropped"]["not_text"] == expected["not_text"]
    assert ledger["read"] == ledger["kept"] + sum(ledger["dropped"].values()) + sum(ledger["errored"].values())
    assert ledger["ignored_files"] == ["ignored.css"]
    kept = pq.read_table(done / "documents")
    assert kept.column_names == DOCUMENTS.names
    assert kept.num_rows == ledger["kept"] >= 20
    assert set(kept.column("language").to_pylist()) == {"en"}
    assert ledger["dropped"]["exact.duplicate"] == 4
    assert ledger["dropped"]["minhash.duplicate"] == 2  # three pages alike but for a number, and c.html
    quarantined = [json.loads(line) for line in (done / "quarantine" / "errors.jsonl").read_text().splitlines()]
    assert len(quarantined) == 3
    assert all(row["locator"].startswith("b.jsonl.gz:") and row["reason"] for row in quarantined)


@pytest.mark.parametrize("workers", [2, 4])
def test_the_same_bytes_for_any_number_of_workers(corpus: Path, done: Path, tmp_path: Path, workers: int) -> None:
    curate([corpus], tmp_path / "out", workers=workers)
    assert tree(tmp_path / "out").keys() == tree(done).keys()
    assert tree(tmp_path / "out") == tree(done)


def test_the_same_documents_for_any_order_of_inputs(corpus: Path, tmp_path: Path) -> None:
    files = [path for path in sorted(corpus.rglob("*")) if path.is_file() and path.suffix != ".css"]
    shuffled = random.Random(5).sample(files, len(files))
    assert shuffled != files
    curate(files, tmp_path / "a")
    curate(shuffled, tmp_path / "b")
    a, b = tree(tmp_path / "a"), tree(tmp_path / "b")
    a.pop("recipe.json"), b.pop("recipe.json")  # it names the inputs as they were given
    assert a == b


def test_moving_the_input_changes_nothing(corpus: Path, done: Path, tmp_path: Path) -> None:
    shutil.copytree(corpus, tmp_path / "elsewhere")
    curate([tmp_path / "elsewhere"], tmp_path / "out")
    a, b = tree(tmp_path / "out"), tree(done)
    a.pop("recipe.json"), b.pop("recipe.json")
    assert a == b


def test_killed_at_random_moments_the_same_command_ends_with_the_same_bytes(
    corpus: Path, done: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    program = (
        "import sys; from pathlib import Path; from tests.curate.test_run import curate\n"
        "if __name__ == '__main__': curate([Path(sys.argv[1])], Path(sys.argv[2]), workers=2)"
    )
    command = [sys.executable, "-c", program, str(corpus), str(out)]
    root = Path(__file__).parents[2]
    moments = random.Random(11)
    killed = [kill_when(changed(tmp_path, moments.randint(1, 12)), command, cwd=root) for _ in range(4)]
    assert sum(killed) > 2
    curate([corpus], out)
    assert tree(out) == tree(done)


def test_a_second_run_makes_nothing_again(corpus: Path, done: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {p: p.stat().st_mtime_ns for p in (done / "artifacts").rglob("part-*")}
    monkeypatch.setattr(artifacts.Store, "draft", lambda *_: pytest.fail("something was made again"))
    curate([corpus], done)
    assert {p: p.stat().st_mtime_ns for p in (done / "artifacts").rglob("part-*")} == before


def test_a_changed_threshold_decides_again_without_reading_text(
    corpus: Path, done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    shutil.copytree(done, out)
    made: list[str] = []
    draft = artifacts.Store.draft

    def noting(store: artifacts.Store, request: artifacts.Request) -> artifacts.Draft:
        made.append(f"{request.noun} {request.label}")
        return draft(store, request)

    monkeypatch.setattr(artifacts.Store, "draft", noting)
    setting = {**SMALL, "curate.filters.gopher_quality.min_words": 400}
    changed = api.load_recipe("fineweb_en", setting)
    corpus_after = curate([corpus], out, changed)
    assert made == ["Decisions all", "Documents kept"]
    predicted = api.Corpus(done).what_if({"curate.filters.gopher_quality.min_words": 400})
    assert predicted.after.kept == corpus_after.ledger["kept"] < api.Corpus(done).ledger["kept"]
    dropped = corpus_after.ledger["dropped"]
    assert isinstance(dropped, dict)
    assert predicted.after.dropped == {k: v for k, v in dropped.items() if k != "not_text"}
    assert len(predicted.lost) == predicted.before.kept - predicted.after.kept  # type: ignore[operator]


def test_what_if_refuses_what_cannot_be_replayed(done: Path) -> None:
    with pytest.raises(RecipeError, match=r"curate\.edits\.c4_lines is the first step that must run"):
        api.Corpus(done).what_if({"curate.edits.c4_lines.min_words_per_line": 7})
    with pytest.raises(RecipeError, match="Did you mean"):
        api.Corpus(done).what_if({"curate.filters.gopher_quality.min_wordz": 5})


def test_a_changed_edit_keeps_what_came_before_it(corpus: Path, done: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(done, out)
    before = {path.name for path in (out / "artifacts").iterdir()}
    curate([corpus], out, api.load_recipe("fineweb_en", {**SMALL, "curate.edits.c4_lines.min_words_per_line": 7}))
    new = {path.name.rpartition("-")[0] for path in (out / "artifacts").iterdir()} - {"signals-size", "documents-read"}
    remade = {p.name.rpartition("-")[0] for p in (out / "artifacts").iterdir() if p.name not in before}
    assert remade <= new | {"signals-size"}  # the bytes of the new text version
    assert "documents-c4_lines" in remade
    assert not {"documents-read", "signals-gopher_quality", "signals-language"} & remade


def test_why_tells_the_life_of_kept_dropped_and_broken_documents(done: Path) -> None:
    corpus = api.Corpus(done)
    kept = corpus.why(str(corpus.documents().column("id")[0].as_py())[:12])
    assert kept.verdict == "kept"
    assert {"gopher_quality", "fineweb_quality"} <= {m.step for m in kept.measured}
    german = next(row for row in _decisions(done) if row["reason"] == "language.languages")
    life = corpus.why(german["id"].hex())
    assert (life.verdict, life.reason, life.language) == ("dropped", "language.languages", "de")
    assert "gopher_quality.min_words" in life.failures
    copy = next(row for row in _decisions(done) if row["reason"] == "exact.duplicate")
    assert corpus.why(copy["id"].hex()).survivor == copy["survivor"].hex()
    broken = json.loads((done / "quarantine" / "errors.jsonl").read_text().splitlines()[0])
    assert corpus.why(broken["id"]).verdict == "errored"
    with pytest.raises(SeedbedError, match="no document"):
        corpus.why("00" * 16)


def _decisions(out: Path) -> list[dict[str, object]]:
    folder = next((out / "artifacts").glob("decisions-*"))
    return [row for shard in sorted(folder.glob("part-*")) for row in pq.read_table(shard).to_pylist()]


@dataclasses.dataclass(frozen=True)
class Poisoned(Size):
    """Fails on one document."""

    def measure(self, documents: DocumentBatch) -> pa.Table:
        if any("POISON" in text for text in documents.texts()):
            raise ZeroDivisionError("poison")
        return super().measure(documents)


def test_a_poison_document_is_quarantined_alone(tmp_path: Path) -> None:
    rows = sample_texts()[:10]
    rows[4]["text"] += " POISON"
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    plain = api.load_recipe("fineweb_en")
    recipe = dataclasses.replace(plain, curate=dataclasses.replace(plain.curate, steps=(Poisoned(),), survivors=()))
    with Workplace.open(tmp_path / "out") as place:
        from seedbed.curate.publish import publish
        from seedbed.curate.run import curate as run

        curated = run(recipe.curate, [tmp_path / "a.jsonl"], place.store, place.engine)
        publish(curated, place.out)
    assert curated.ledger == {
        "read": 10, "kept": 9, "dropped": {}, "errored": {"ZeroDivisionError": 1}, "ignored_files": [],
    }  # fmt: skip
    row = json.loads((tmp_path / "out" / "quarantine" / "errors.jsonl").read_text())
    assert row["message"] == "poison"
    assert "in measure" in row["traceback"]


def test_bad_files_cost_only_themselves(corpus: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    shutil.copytree(corpus, folder)
    whole = (folder / "f.warc.gz").read_bytes()
    (folder / "truncated.warc.gz").write_bytes(whole[: len(whole) - 200])
    packed = gzip.compress(b"".join(json.dumps(r).encode() + b"\n" for r in sample_texts()[25:35]))
    (folder / "corrupt.jsonl.gz").write_bytes(packed[:-40] + bytes(40))
    (folder / "latin.txt").write_bytes(("The caf\xe9 of the t\xf6wn is open to all. " * 20).encode("latin-1"))
    (folder / "broken.parquet").write_bytes(b"PAR1 this is no parquet PAR1")
    out = curate([folder], tmp_path / "out")
    errored = out.ledger["errored"]
    assert isinstance(errored, dict)
    lines = [json.loads(line) for line in (tmp_path / "out" / "quarantine" / "errors.jsonl").read_text().splitlines()]
    broken_files = {line["locator"].partition(":")[0] for line in lines}
    assert {"truncated.warc.gz", "corrupt.jsonl.gz", "broken.parquet", "b.jsonl.gz"} == broken_files
    kept = out.documents()
    assert any(
        source.startswith("a.jsonl") or "postgres" in source or source for source in kept.column("source").to_pylist()
    )
    assert kept.num_rows >= 20


def test_a_parquet_without_the_text_column_is_refused_with_the_mend(tmp_path: Path) -> None:
    pq.write_table(pa.table({"body": ["x"]}), tmp_path / "x.parquet")
    with pytest.raises(SeedbedError, match=r"x\.parquet.*text.*body.*text_column"):
        curate([tmp_path / "x.parquet"], tmp_path / "out")


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (lambda folder: folder, "there is no file in it"),
        (lambda folder: folder / "missing", "no such file or folder"),
    ],
)
def test_nothing_to_read_is_said(tmp_path: Path, prepare: object, message: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(SeedbedError, match=message):
        curate([prepare(tmp_path / "empty")], tmp_path / "out")  # type: ignore[operator]


def test_a_named_file_of_unknown_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.odt").write_bytes(b"x")
    with pytest.raises(SeedbedError, match=r"no reader takes.*\.jsonl"):
        curate([tmp_path / "x.odt"], tmp_path / "out")


def test_a_full_disk_is_said_and_the_same_command_goes_on(
    corpus: Path, done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = 0
    real = artifacts.arrow.write_parquet

    def full(file: Path, rows: pa.Table) -> None:
        nonlocal written
        written += 1
        if written > 4:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(file, rows)

    with monkeypatch.context() as patch:
        patch.setattr(artifacts.arrow, "write_parquet", full)
        with pytest.raises(SeedbedError, match="the disk is full"):
            curate([corpus], tmp_path / "out")
    curate([corpus], tmp_path / "out")
    assert tree(tmp_path / "out") == tree(done)


def test_two_writers_do_not_meet(corpus: Path, tmp_path: Path) -> None:
    with Workplace.open(tmp_path / "out"), pytest.raises(SeedbedError, match="another seedbed run"):
        curate([corpus], tmp_path / "out")


def test_an_empty_corpus_of_documents_keeps_none(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": ""}\n{"text": "short"}\n')
    ledger = curate([tmp_path / "a.jsonl"], tmp_path / "out").ledger
    assert ledger["kept"] == 0
    assert ledger["dropped"] == {"size.min_bytes": 1, "language.languages": 1} or ledger["read"] == 2
