"""Does the D-CPT law say how much to replay? Small runs of two sizes, one fit, the best of the grid, a third language.

    python benchmarks/effect/continual/ratio.py --corpus DIR [--out runs/continual-ratio]

English manuals first, then German ones with a share of English replayed: 5 shares x 3 lengths x 2 sizes, each continued
from the same English model of its size. Told: the share of variance that the laws explain on runs they have not seen,
the share of replay at which the mean of both losses is lowest as forecast and on the grid, the share that keeps the old
loss within a bound and how it came out when it was trained, with its half and its double, and how far a law that was
carried over to Polish by two runs is off on the others. Writes continual_ratio.csv (runs) and
continual_ratio_summary.csv to benchmarks/results/. Two workers need some 8 minutes.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import json
from functools import partial
from pathlib import Path

import numpy as np
from routes import RESULTS, recipe_of, stages, texts

from seedbed import pipeline
from seedbed.recipe.continual import ContinualPlan, RatioPlan, Route
from seedbed.select.mixing import held_out
from seedbed.stats.dcpt import DcptFit, fitted

SHARES = (0.02, 0.05, 0.15, 0.35, 0.6)
WIDTHS = (48, 64)
BOUND = 0.1
"""Nats per token that the old text may get worse by."""


def main() -> None:
    """See the module's docstring."""
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--corpus", type=Path, required=True)
    ask.add_argument("--out", type=Path, default=Path("runs/continual-ratio"))
    ask.add_argument("--results", type=Path, default=RESULTS)
    ask.add_argument("--old-tokens", type=int, default=1_000_000)
    ask.add_argument("--new-tokens", type=int, default=320_000)
    ask.add_argument("--workers", type=int, default=2)
    given = ask.parse_args()
    rows: list[dict[str, str]] = []
    told: list[tuple[str, float]] = []
    for shift, widths in (("language", WIDTHS), ("polish", WIDTHS[-1:])):
        texts(given.corpus, shift, given.out / shift / "texts")
        for width in widths:
            folder = given.out / shift
            rows += trained(folder, shift, width, given)
            if shift == "language" and width == WIDTHS[-1]:
                told += checked(folder / f"w{width}")
    told += laws(rows)
    given.results.mkdir(parents=True, exist_ok=True)
    with (given.results / "continual_ratio.csv").open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    with (given.results / "continual_ratio_summary.csv").open("w", encoding="utf-8", newline="") as out:
        table = csv.writer(out, lineterminator="\n")
        table.writerow(("measure", "value"))
        table.writerows((name, f"{value:.5g}") for name, value in told)
    print("\n".join(f"{name}: {value:.4g}" for name, value in told))


def trained(folder: Path, shift: str, width: int, given: argparse.Namespace) -> list[dict[str, str]]:
    """Rows of ratio.csv of one language and size, with both named."""
    recipe = recipe_of(shift, folder / "texts", given.old_tokens, given.new_tokens, 1)
    first, then = stages(given.old_tokens, given.new_tokens)
    route = Route("update", (first, dataclasses.replace(then, replay={"old": 0.05})))
    plan = RatioPlan("update", "new", "new", "old", SHARES, given.new_tokens, BOUND, check=width == WIDTHS[-1])
    assert recipe.train is not None
    shape = dataclasses.replace(recipe.train.shape, d_model=width, n_heads=4)
    recipe = dataclasses.replace(
        recipe,
        train=dataclasses.replace(recipe.train, shape=shape),
        continual=ContinualPlan((route,), "update", 1, plan),
    )
    out = folder / f"w{width}"
    pipeline.run(recipe, out, workers=given.workers)
    with (out / "ratio.csv").open(encoding="utf-8") as lines:
        return [{"shift": shift, "width": str(width), **row} for row in csv.DictReader(lines)]


def checked(out: Path) -> list[tuple[str, float]]:
    """The share that was found, and how it and its neighbours came out."""
    told = json.loads((out / "ratio.json").read_text(encoding="utf-8"))
    found = [("share that keeps the bound, one size", told["replay"]), ("bound, nats", BOUND)]
    for share, came in told["check"].items():
        found.append((f"old loss rose at replay {share}, nats", came["old_increase"]))
        found.append((f"new loss at replay {share}, nats", came["new_loss"]))
    return found


def laws(rows: list[dict[str, str]]) -> list[tuple[str, float]]:
    """Joint laws over both sizes, the best share, and Polish by two runs."""
    german = [row for row in rows if row["shift"] == "language" and row["kind"] == "trial"]
    polish = [row for row in rows if row["shift"] == "polish" and row["kind"] == "trial"]
    found: list[tuple[str, float]] = []
    both: dict[str, DcptFit] = {}
    for side in ("old", "new"):
        point, loss = points(german, side)
        both[side] = fitted(point, loss, starts=32)
        off = held_out(partial(fitted, starts=6), point, loss, folds=5, seed=0)
        found.append((f"held-out R2, {side}", float(str(off["heldout_r2"]))))
        found.append((f"held-out error, {side}, nats", float(str(off["heldout_error"]))))
        there, measured = points(polish, side)
        two = [0, len(polish) - 1]
        carried = both[side].refit(there[two], measured[two])
        rest = np.setdiff1d(np.arange(len(polish)), two)
        error = np.abs(carried(there[rest]) - measured[rest])
        found.append((f"Polish by two runs, mean error, {side}, nats", float(error.mean())))
        spread = float(np.abs(measured[rest] - measured[rest].mean()).mean())
        found.append((f"Polish, mean deviation of the losses, {side}, nats", spread))
    longest = max(int(row["tokens"]) for row in german)
    for width in sorted({int(row["width"]) for row in german}):
        mine = [row for row in german if int(row["width"]) == width and int(row["tokens"]) == longest]
        grid = {float(row["replay"]): float(row["old_loss"]) + float(row["new_loss"]) for row in mine}
        share = np.linspace(min(SHARES), max(SHARES), 400)
        size = np.full(len(share), float(width))
        total = both["old"](np.column_stack([size, np.full(len(share), longest), share]))
        total = total + both["new"](np.column_stack([size, np.full(len(share), longest), 1 - share]))
        found.append((f"best share of replay by the law, width {width}", float(share[np.argmin(total)])))
        found.append((f"best share of replay on the grid, width {width}", min(grid, key=grid.__getitem__)))
    return found


def points(rows: list[dict[str, str]], side: str) -> tuple[np.ndarray, np.ndarray]:
    """(rows of width, tokens and the side's share, losses)."""
    share = [float(row["replay"]) if side == "old" else 1 - float(row["replay"]) for row in rows]
    point = np.column_stack([[float(row["width"]) for row in rows], [float(row["tokens"]) for row in rows], share])
    return point, np.array([float(row[f"{side}_loss"]) for row in rows])


if __name__ == "__main__":
    main()
