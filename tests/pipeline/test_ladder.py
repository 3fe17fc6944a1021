"""The ladder: forecasts stand in the ledger before their runs are trained, are scored after, and are never doubled."""

from __future__ import annotations

import csv
import dataclasses
import json
import shutil
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import pytest

from seedbed import pipeline
from seedbed.curate.extractors.all_text import AllText
from seedbed.curate.plan import CuratePlan
from seedbed.curate.readers.jsonl import Jsonl
from seedbed.evaluate.audits.ngram_overlap import NgramOverlap
from seedbed.evaluate.tasks.bits_per_byte import BitsPerByte
from seedbed.model import counts
from seedbed.model.shape import ModelShape
from seedbed.pipeline import estimate, ladder
from seedbed.predict import ledger as books
from seedbed.predict.laws.chinchilla import Chinchilla
from seedbed.recipe import EvaluatePlan, LadderPlan, Recipe, Rung
from seedbed.tokenize.tokenizers.byte_bpe import ByteBpe
from seedbed.train.objectives.causal_lm import CausalLM
from seedbed.train.optimizers.adamw import AdamW
from seedbed.train.plan import TrainPlan
from seedbed.train.schedules.cosine import Cosine
from tests.pipeline.test_continual import texts

STEP = 2 * 32
SEEDS = 2


def shape(width: int) -> ModelShape:
    return ModelShape(vocab_size=300, d_model=width, n_layers=1, n_heads=2, context=32)


def recipe(folder: Path) -> Recipe:
    """Two sizes at two lengths, and one larger run that is foretold; its length is no whole number of batches."""
    law = Chinchilla(n_bootstrap=20, params_count="non_embedding")
    plan = LadderPlan(
        shapes=(shape(8), shape(16)),
        tokens=(20 * STEP, 60 * STEP),
        law=law,
        domain="held",
        seeds=SEEDS,
        targets=(Rung(shape(24), 90 * STEP + 5),),
    )
    return Recipe(
        "ladder",
        "a test",
        CuratePlan((Jsonl(),), AllText(), (), survivors=()),
        inputs=(texts(folder / "pool.jsonl", 0, 12),),
        tokenizer=ByteBpe(vocab_size=300),
        train=TrainPlan(
            shape=shape(16),
            objective=CausalLM(),
            optimizer=AdamW(),
            schedule=Cosine(),
            tokens=20 * STEP,
            batch_sequences=2,
            learning_rate=4e-3,
        ),
        ladder=plan,
        evaluate=EvaluatePlan({"held": texts(folder / "held.jsonl", 30, 33)}, "held", BitsPerByte(), NgramOverlap()),
    )


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    return recipe(tmp_path_factory.mktemp("texts"))


@pytest.fixture(scope="module")
def done(asked: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ladder that was killed between the forecasts and their runs, and then asked for again; only to be read."""
    out = tmp_path_factory.mktemp("ladder") / "out"
    with pytest.MonkeyPatch.context() as patch:
        make = ladder._made

        def killed(*arguments: object) -> ladder.Rows:
            if arguments[-1] == "target":
                raise KeyboardInterrupt
            return make(*arguments)  # type: ignore[arg-type]

        patch.setattr(ladder, "_made", killed)
        with pytest.raises(KeyboardInterrupt):
            pipeline.run(asked, out)
    shutil.copy(out / ladder.LEDGER, out.parent / "when_killed.jsonl")
    pipeline.run(asked, out)
    return out


def rows_of(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def files_of(out: Path) -> Mapping[str, bytes]:
    names = (ladder.RUNS, ladder.FIT, ladder.TARGETS, ladder.LEDGER, "report.html")
    return {name: (out / name).read_bytes() for name in names}


def test_the_runs_and_the_fit_lie_on_top(done: Path) -> None:
    rows = rows_of(done / ladder.RUNS)
    assert len(rows) == 2 * 2 * SEEDS
    assert {int(row["tokens"]) for row in rows} == {20 * STEP, 60 * STEP}
    assert len({row["params_non_embedding"] for row in rows}) == 2
    assert all(2 < float(row["loss"]) < 7 for row in rows)
    assert "began_at" not in rows[0]
    fit = json.loads((done / ladder.FIT).read_text())
    assert fit["facts"]["runs"] == 2 * 2 * SEEDS
    counted = {float(row["params_non_embedding"]) for row in rows}
    assert set(fit["runs"]["params"]) == counted, "a law without embeddings is fitted to that count"


def test_a_forecast_is_written_down_before_its_runs_begin_and_scored_after(done: Path) -> None:
    forecast, outcome = books.read(done / ladder.LEDGER)
    assert (forecast["kind"], outcome["kind"]) == ("forecast", "outcome")
    target = rows_of(done / ladder.TARGETS)
    assert len(target) == SEEDS
    assert forecast["plan"] == {
        "params": counts.non_embedding_parameters(dataclasses.replace(shape(24), vocab_size=300)),
        "tokens": float(target[0]["tokens"]),
    }
    began = [datetime.fromisoformat(row["began_at"]) for row in target]
    assert books.moment(forecast) < min(began) <= max(began) < books.moment(outcome)
    assert outcome["prospective"] is True
    assert outcome["observed"] == pytest.approx([float(row["loss"]) for row in target])
    assert float(target[0]["tokens"]) >= 90 * STEP


def test_what_was_foretold_before_the_kill_stands(done: Path) -> None:
    before = (done.parent / "when_killed.jsonl").read_text()
    assert before.count("\n") == 1
    assert (done / ladder.LEDGER).read_text().startswith(before)
    assert books.check(done / ladder.LEDGER).faults == ()


def test_asked_again_nothing_changes(done: Path, asked: Recipe, tmp_path: Path) -> None:
    shutil.copytree(done, tmp_path / "out", copy_function=shutil.copy2)
    before = files_of(tmp_path / "out")
    pipeline.run(asked, tmp_path / "out")
    assert files_of(tmp_path / "out") == before


def test_the_report_shows_what_was_foretold(done: Path) -> None:
    page = (done / "report.html").read_text()
    assert "Forecasts made before the run" in page
    assert "chinchilla" in page


def test_what_a_ladder_costs_counts_its_seeds_and_targets(asked: Recipe) -> None:
    runs, tokens, flops = estimate._training(asked)
    assert runs == (4 + 1) * SEEDS
    assert tokens == SEEDS * (2 * 80 * STEP + 90 * STEP + 5)
    assert flops > 0


def test_a_run_that_was_there_before_its_forecast_is_no_forecast(done: Path, asked: Recipe, tmp_path: Path) -> None:
    shutil.copytree(done, tmp_path / "out", copy_function=shutil.copy2)
    for file in (tmp_path / "out").glob("*forecasts*"):
        file.unlink()
    for file in (tmp_path / "out").glob(".*forecasts*"):
        file.unlink()
    pipeline.run(asked, tmp_path / "out")
    _, outcome = books.read(tmp_path / "out" / ladder.LEDGER)
    assert outcome["prospective"] is False
