"""The Step Law's point against a sweep of learning rate and batch around it, at a size far below the law's range.

    python benchmarks/effect/train/step_law.py [--tokens 1000000] [--processes 2] [--out runs/step_law]

A decoder of 0.33 M parameters without its embedding on the shipped text, cosine with a warm-up to the law's floor of
1e-5, held-out loss in nats per token. The grid: the law's rate (as `step_law` gives it, held at its highest) times 1/4
to 4, the law's batch times 1/4 to 4, and the formula's own rate at the law's batch: 36 runs of one seed. Then the law's
point, the formula's, and the four best of the grid with two more seeds each. The regret of a point is its loss over
that of the grid's best, paired by seed (initial weights and data order); the best is chosen by the same runs it is
judged by, so the regret is if anything too large.

Writes benchmarks/results/step_law_sweep.csv (parameters, tokens, learning_rate, batch_tokens, seed, heldout_loss);
rows that are there are not run again, so that it can be stopped at any time. Some 15 minutes on two quiet cores.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from sweep import CONTEXT, Run, Table, measure, non_embedding, texts

from seedbed.model.step_law import step_law
from seedbed.stats.intervals import mean_interval
from seedbed.train.schedules.cosine import Cosine

RESULTS = Path(__file__).parents[2] / "results"
FLOOR = 1e-5
WARMUP = 0.05
RATES = (0.25, 0.5, 0.5**0.5, 1.0, 2**0.5, 2.0, 4.0)
BATCHES = (0.25, 0.5, 1.0, 2.0, 4.0)
SEEDS = (0, 1, 2)
BEST = 4

KEY = ("parameters", "tokens", "learning_rate", "batch_tokens", "seed")

Point = tuple[float, int]  # learning rate, sequences


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, default=1_000_000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("runs/step_law"))
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--few", action="store_true", help="four points, to see that it runs")
    asked = parser.parse_args()
    law = step_law(non_embedding(), asked.tokens)
    sequences = max(1, round(law.batch_tokens / CONTEXT))
    print(f"N {non_embedding()}, D {asked.tokens}: {law}, {sequences} sequences of {CONTEXT}", flush=True)
    ours, formula = (law.learning_rate, sequences), (law.formula_rate, sequences)
    rates, batches = (RATES[1::3], BATCHES[2:4]) if asked.few else (RATES, BATCHES)
    grid = [(law.learning_rate * rate, max(1, round(sequences * batch))) for rate in rates for batch in batches]
    points = list(dict.fromkeys([*grid, ours, formula]))

    asked.results.mkdir(parents=True, exist_ok=True)
    table = Table(asked.results / "step_law_sweep.csv", KEY, "heldout_loss")
    told = texts(asked.out)
    measure([run_at(point, asked.tokens, 0) for point in points], table, told, asked.processes)
    ranked = sorted(points, key=lambda point: table[run_at(point, asked.tokens, 0).row])
    again = list(dict.fromkeys([*ranked[:BEST], ours, formula]))
    measure([run_at(p, asked.tokens, seed) for p in again for seed in SEEDS], table, told, asked.processes)
    table.sort()
    report(points, again, {"the law's point": ours, "the formula's rate": formula}, table, asked.tokens)


def run_at(point: Point, tokens: int, seed: int) -> Run:
    rate, sequences = point
    numbers = (str(non_embedding()), str(tokens), f"{rate:.6f}", str(sequences * CONTEXT), str(seed))
    row = dict(zip(KEY, numbers, strict=True))
    schedule = Cosine(warmup_fraction=WARMUP, floor=min(1.0, FLOOR / rate))
    return Run(row, schedule, rate, sequences, tokens, seed)


def report(points: Sequence[Point], again: Sequence[Point], told: dict[str, Point], table: Table, tokens: int) -> None:
    def losses(point: Point) -> np.ndarray:
        return np.array([table[run_at(point, tokens, seed).row] for seed in SEEDS])

    best = min(again, key=lambda point: float(losses(point).mean()))
    rate, sequences = best
    print(f"\n{len(points)} points; best of the grid: rate {rate:.5f}, batch {sequences * CONTEXT} tokens,", end=" ")
    print(f"held-out loss {losses(best).mean():.4f} over {len(SEEDS)} seeds")
    for name, point in told.items():
        print(f"{name}: rate {point[0]:.5f}, batch {point[1] * CONTEXT}, loss {losses(point).mean():.4f},", end=" ")
        excess = losses(point) / losses(best) - 1
        if point == best:
            print("which is the best")
        elif not np.isfinite(excess).all():
            print("diverged")
        else:
            found = mean_interval(excess)
            assert found.low is not None
            assert found.high is not None
            print(f"regret {found.value:.2%}, 95 % interval {found.low:.2%} to {found.high:.2%}")
    for factor in sorted({point[1] for point in points}):
        row = [(p[0], table[run_at(p, tokens, 0).row]) for p in sorted(points) if p[1] == factor]
        print(f"batch {factor * CONTEXT:>6}: " + "  ".join(f"{r:.5f} {_told(loss)}" for r, loss in row))


def _told(loss: float) -> str:
    return f"{loss:.3f}" if math.isfinite(loss) else "diverged"


if __name__ == "__main__":
    main()
