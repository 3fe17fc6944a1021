"""A step law of our own small models: fitted on three cells of (params, tokens), it recommends for a fourth.

    python benchmarks/effect/predict/step_law.py [--seeds 3] [--work runs/predict_step_law] [--out FOLDER]

Every cell is a grid of 4 learning rates and 4 batches, of one seed: decoders of 24 to 101 thousand parameters without
their embedding, the shipped pages in passages of 32 tokens, at most one epoch, a cosine with a warm-up to the law's
floor of 1e-5. Where the grid lies was settled by a look at the first cell. The law (predict/laws/step_law.py, its
defaults) is fitted to three cells and recommends for the fourth, the largest in both. There four points are trained
with --seeds seeds each: the law's own, that of the published law (held at the highest rate of its range), that of
DeepSeek's law, and the grid's best. The excess of a point is its loss over that of the grid's best, paired by seed; the
best was chosen by a run that it is judged by, so the excess is if anything too large. Besides, each cell is left out in
turn, and the excess of the point then recommended is interpolated in its grid, at whose edge a point beyond is held.

Writes predict_step_law.csv (a row a run) and predict_step_law_summary.csv (a row a cell and point) into --out; low and
high are the 95 % interval over seeds. Runs that are there are not trained again. Some five minutes on one quiet core.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.interpolate import LinearNDInterpolator

sys.path.append(str(Path(__file__).parents[1] / "train"))
from paired import RESULTS, VOCAB_SIZE, Row, Table, loss_of, pages, passages, source, trained

from seedbed.core import arrow
from seedbed.model import counts
from seedbed.model.shape import ModelShape
from seedbed.model.step_law import step_law
from seedbed.predict.laws.step_law import FittedSteps, StepLaw
from seedbed.stats.intervals import mean_interval

LENGTH, HELDOUT_ROWS = 32, 2000
FLOOR, WARMUP = 1e-5, 0.05
RATES, SEQUENCES = (4e-3, 8e-3, 1.6e-2, 3.2e-2), (2, 4, 8, 16)
KEY = ("params", "tokens", "learning_rate", "batch_tokens", "seed")
SUMMARY = ("params", "tokens", "point", "learning_rate", "batch_tokens", "seeds", "loss", "excess", "low", "high")


class Cell(NamedTuple):
    """Sizes of a grid."""

    width: int
    tokens: int

    @property
    def shape(self) -> ModelShape:
        return ModelShape(vocab_size=VOCAB_SIZE, d_model=self.width, n_layers=2, n_heads=2, context=LENGTH)

    @property
    def params(self) -> int:
        return counts.non_embedding_parameters(self.shape)


class Point(NamedTuple):
    """How to train."""

    learning_rate: float
    sequences: int

    @classmethod
    def near(cls, learning_rate: float, batch_tokens: float) -> Point:
        """With whole sequences."""
        return cls(round(learning_rate, 6), max(1, round(batch_tokens / LENGTH)))

    @property
    def batch_tokens(self) -> int:
        return self.sequences * LENGTH


GRID = tuple(Point(rate, n) for rate in RATES for n in SEQUENCES)
FITTED = (Cell(32, 100_000), Cell(64, 100_000), Cell(32, 200_000))
ASKED = Cell(64, 200_000)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--work", type=Path, default=Path("runs/predict_step_law"))
    parser.add_argument("--out", type=Path, default=RESULTS)
    asked = parser.parse_args()
    table = Table(asked.out / "predict_step_law.csv", KEY, ("loss",))
    file = pages(asked.work)
    for cell in (*FITTED, ASKED):
        for point in GRID:
            run(table, cell, point, 0, file)
    points = {
        "grid's best": min(GRID, key=lambda point: loss_at(table, ASKED, point, 0)),
        "our law": recommended(fitted(table, FITTED), ASKED),
        "published law": recommended(None, ASKED),
        "DeepSeek's law": Point.near(*deepseek(ASKED)),
    }
    for seed in range(asked.seeds):
        for point in points.values():
            run(table, ASKED, point, seed, file)
    rows = [row_of(table, name, point, points["grid's best"], asked.seeds) for name, point in points.items()]
    rows += [left_out(table, cell) for cell in (*FITTED, ASKED)]
    with (asked.out / "predict_step_law_summary.csv").open("w", newline="", encoding="utf-8") as out:
        writer = csv.DictWriter(out, SUMMARY, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    print((asked.out / "predict_step_law_summary.csv").read_text(encoding="utf-8"))
    law = fitted(table, FITTED)
    print({name: tuple(round(x, 4) for x in e) for name, e in law.coefficients.items()}, law.facts, law.warnings)


def named(cell: Cell, point: Point, seed: int) -> Row:
    numbers = (cell.params, cell.tokens, f"{point.learning_rate:.6f}", point.batch_tokens, seed)
    return {name: str(number) for name, number in zip(KEY, numbers, strict=True)}


def run(table: Table, cell: Cell, point: Point, seed: int, file: Path) -> None:
    """Train it, unless it is there, and note its held-out loss."""
    from seedbed.train.objectives.causal_lm import CausalLM
    from seedbed.train.optimizers.adamw import AdamW
    from seedbed.train.plan import TrainPlan
    from seedbed.train.schedules.cosine import Cosine

    row = named(cell, point, seed)
    if table.has(row):
        return
    held = passages(file, LENGTH)
    plan = TrainPlan(
        shape=cell.shape,
        objective=CausalLM(),
        optimizer=AdamW(),
        schedule=Cosine(warmup_fraction=WARMUP, floor=min(1.0, FLOOR / point.learning_rate)),
        tokens=cell.tokens,
        batch_sequences=point.sequences,
        learning_rate=point.learning_rate,
        log_every_steps=1000,
    )
    model = trained(plan, source("pages", held.ids_NL[~held.heldout_N], seed=seed, context=LENGTH), seed=seed)
    heldout_NL = held.ids_NL[held.heldout_N]
    loss = loss_of(model, heldout_NL[:: max(1, len(heldout_NL) // HELDOUT_ROWS)])
    table.add({**row, "loss": f"{loss:.5f}"})
    print(row, f"{loss:.4f}", flush=True)


def loss_at(table: Table, cell: Cell, point: Point, seed: int) -> float:
    row = named(cell, point, seed)
    return next(float(found["loss"]) for found in table.rows if all(found[name] == row[name] for name in KEY))


def fitted(table: Table, cells: Sequence[Cell]) -> FittedSteps:
    """The law, of the grids of these cells."""
    rows = [
        (cell.params, cell.tokens, point.learning_rate, point.batch_tokens, loss_at(table, cell, point, 0))
        for cell in cells
        for point in GRID
    ]
    names = ("params", "tokens", "learning_rate", "batch_tokens", "loss")
    return StepLaw().fit(arrow.table(dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))))


def recommended(law: FittedSteps | None, cell: Cell) -> Point:
    """By our law, or by the published one."""
    if law is None:
        told = step_law(cell.params, cell.tokens)
        return Point.near(told.learning_rate, told.batch_tokens)
    here = law.hyperparameters({"params": cell.params, "tokens": cell.tokens})
    return Point.near(here["learning_rate"].value, here["batch_tokens"].value)


def deepseek(cell: Cell) -> tuple[float, float]:
    """Bi et al. 2024, arXiv 2401.02954: rate and batch from the compute."""
    compute = 6 * cell.params * cell.tokens
    return 0.3118 * compute**-0.125, 0.2920 * compute**0.3271


def row_of(table: Table, name: str, point: Point, best: Point, seeds: int) -> dict[str, object]:
    """A trained point of the cell that was asked for, beside the grid's best."""
    loss_S, best_S = (np.array([loss_at(table, ASKED, p, seed) for seed in range(seeds)]) for p in (point, best))
    excess = mean_interval(loss_S / best_S - 1)
    row = told(ASKED, name, point) | {"seeds": seeds, "loss": f"{loss_S.mean():.5f}", "excess": f"{excess.value:.5f}"}
    if excess.low is None or excess.high is None or point == best:
        return row
    return row | {"low": f"{excess.low:.5f}", "high": f"{excess.high:.5f}"}


def left_out(table: Table, cell: Cell) -> dict[str, object]:
    """The point that the other cells recommend, interpolated in this one's grid."""
    point = recommended(fitted(table, [other for other in (*FITTED, ASKED) if other != cell]), cell)
    at_G2 = np.log([(p.learning_rate, p.batch_tokens) for p in GRID])
    loss_G = np.array([loss_at(table, cell, p, 0) for p in GRID])
    here = np.clip(np.log((point.learning_rate, point.batch_tokens)), at_G2.min(axis=0), at_G2.max(axis=0))
    loss = float(LinearNDInterpolator(at_G2, loss_G)(*here))
    excess = loss / float(loss_G.min()) - 1
    return told(cell, "left out", point) | {"seeds": 1, "loss": f"{loss:.5f}", "excess": f"{excess:.5f}"}


def told(cell: Cell, name: str, point: Point) -> dict[str, object]:
    return {
        "params": cell.params,
        "tokens": cell.tokens,
        "point": name,
        "learning_rate": f"{point.learning_rate:.6f}",
        "batch_tokens": point.batch_tokens,
    }


if __name__ == "__main__":
    main()
