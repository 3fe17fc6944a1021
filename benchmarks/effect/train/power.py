"""One setting of the Power scheduler over three batches and three lengths, against WSD tuned for each.

    python benchmarks/effect/train/power.py [--processes 2] [--out runs/power]

A decoder of 0.33 M parameters without its embedding on the shipped text, held-out loss in nats per token. Both
schedules warm up over 10,000 tokens and decay linearly over the last fifth. WSD is tried at five rates in each of the
nine cells of batch and length, one seed. The best rates of the six shorter cells, from a parabola in their logarithm,
give (a, b) of eta = beta a T^b by least squares (30 runs; b is held at 0 where it comes out above) and the cap, the
highest of the six; the three longest cells are not looked at. Power with that one setting, and WSD at the best rate
tried in the cell, then run with three seeds each. For comparison: WSD with one rate for all cells, the best on average
of the six, one seed.

Writes benchmarks/results/power.csv (schedule, batch_tokens, tokens, learning_rate, a, b, seed, heldout_loss); rows that
are there are not run again, so that it can be stopped at any time. Some 8 minutes on two quiet cores.
"""

from __future__ import annotations

import argparse
import itertools
import math
from pathlib import Path

import numpy as np
from sweep import CONTEXT, Run, Table, measure, non_embedding, texts

from seedbed.stats.intervals import mean_interval
from seedbed.train.schedules.power import Power
from seedbed.train.schedules.warmup_stable_decay import WarmupStableDecay

RESULTS = Path(__file__).parents[2] / "results"
WARMUP_TOKENS, DECAY = 10_000, 0.2
RATES = (0.001, 0.002, 0.004, 0.008, 0.016)
SEQUENCES = (4, 8, 16)
LENGTHS = (100_000, 200_000, 400_000)
SEEDS = (0, 1, 2)
KEY = ("schedule", "batch_tokens", "tokens", "learning_rate", "a", "b", "seed")

Cell = tuple[int, int]  # sequences, tokens
Setting = tuple[float, float, float]  # a, b, cap


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("runs/power"))
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--shorter", type=int, default=1, help="divide all lengths by this, to see that it runs")
    asked = parser.parse_args()
    lengths = [length // asked.shorter for length in LENGTHS]
    cells = list(itertools.product(SEQUENCES, lengths))
    seen = [cell for cell in cells if cell[1] < lengths[-1]]
    warmup = WARMUP_TOKENS // asked.shorter

    asked.results.mkdir(parents=True, exist_ok=True)
    table = Table(asked.results / "power.csv", KEY, "heldout_loss")
    told = texts(asked.out)
    print(f"N {non_embedding()}, {len(cells)} cells of batch and length", flush=True)
    measure([wsd(cell, rate, 0, warmup) for cell in cells for rate in RATES], table, told, asked.processes)
    found = {cell: [table[wsd(cell, rate, 0, warmup).row] for rate in RATES] for cell in cells}
    setting = fitted(seen, {cell: best_rate(found[cell]) for cell in seen})
    print(f"fitted on {len(seen) * len(RATES)} runs: a {setting[0]:.4g}, b {setting[1]:.3f}, cap {setting[2]:.4f}")

    tuned = {cell: RATES[int(np.argmin(losses))] for cell, losses in found.items()}
    pairs = {
        cell: [(power(cell, setting, seed, warmup), wsd(cell, tuned[cell], seed, warmup)) for seed in SEEDS]
        for cell in cells
    }
    measure([run for both in pairs.values() for pair in both for run in pair], table, told, asked.processes)
    table.sort()
    one = int(np.argmin(np.mean([np.array(found[cell]) / min(found[cell]) for cell in seen], axis=0)))
    worst = []
    for cell, both in pairs.items():
        losses = np.array([[table[run.row] for run in pair] for pair in both])
        excess = mean_interval(losses[:, 0] / losses[:, 1] - 1)
        assert excess.low is not None
        assert excess.high is not None
        fixed = found[cell][one] / min(found[cell]) - 1
        worst.append((excess.value, fixed))
        told_cell = f"batch {cell[0] * CONTEXT:>5} tokens, {cell[1]:>7} tokens"
        print(
            f"{told_cell}: WSD at {tuned[cell]} {losses[:, 1].mean():.4f}, Power {losses[:, 0].mean():.4f}:"
            f" {excess.value:+.2%} ({excess.low:+.2%} to {excess.high:+.2%}); WSD at {RATES[one]} {fixed:+.2%}"
        )
    inside = sum(value <= 0.01 for value, _ in worst)
    print(f"Power within 1 % of tuned WSD in {inside} of {len(cells)} cells, worst {max(worst)[0]:+.2%};", end=" ")
    print(f"WSD with the one rate {RATES[one]}: worst {max(fixed for _, fixed in worst):+.2%}")


def wsd(cell: Cell, rate: float, seed: int, warmup: int) -> Run:
    schedule = WarmupStableDecay(warmup_tokens=warmup, decay_fraction=DECAY, kind="linear")
    return Run(row("wsd", cell, rate, "", "", seed), schedule, rate, cell[0], cell[1], seed)


def power(cell: Cell, setting: Setting, seed: int, warmup: int) -> Run:
    a, b, cap = setting
    schedule = Power(a=a, b=b, warmup_tokens=warmup, decay_fraction=DECAY, kind="linear")
    return Run(row("power", cell, cap, f"{a:.6g}", f"{b:.4f}", seed), schedule, cap, cell[0], cell[1], seed)


def row(schedule: str, cell: Cell, rate: float, a: str, b: str, seed: int) -> dict[str, str]:
    numbers = (schedule, str(cell[0] * CONTEXT), str(cell[1]), f"{rate:.6g}", a, b, str(seed))
    return dict(zip(KEY, numbers, strict=True))


def best_rate(losses: list[float]) -> float:
    """The lowest point of the parabola through the best rate and its neighbours, in ln rate; an end stays an end."""
    least = int(np.argmin(losses))
    if least in (0, len(RATES) - 1) or not all(math.isfinite(loss) for loss in losses[least - 1 : least + 2]):
        return RATES[least]
    before, here, after = losses[least - 1 : least + 2]
    shift = 0.5 * (before - after) / (before - 2 * here + after)
    return float(RATES[least] * (RATES[least + 1] / RATES[least]) ** shift)


def fitted(cells: list[Cell], best: dict[Cell, float]) -> Setting:
    """(a, b) by least squares on ln(rate / batch) = ln a + b ln tokens, and the cap."""
    length = np.log([tokens for _, tokens in cells])
    ratio = np.log([best[cell] / cell[0] for cell in cells])
    slope, level = np.polyfit(length, ratio, 1)
    if slope > 0:
        slope, level = 0.0, float(ratio.mean())
    return math.exp(level), float(max(slope, -2.0)), max(best.values())


if __name__ == "__main__":
    main()
