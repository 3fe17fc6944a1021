"""Planned ladders against grids of the same cost, on made-up runs: how wide the forecast's interval is, and how wrong.

The planner believes the coefficients of Besiroglu et al. 2024 and plans for 7 B parameters on 140 B tokens. The runs
come from three worlds: that law; the law of Hoffmann et al. 2022 as printed, so that the plan rests on wrong numbers;
and the first law bent, the loss 0.2 % higher a decade squared below the largest size, so that small runs mislead.
Every ladder is fitted by the Chinchilla law with its interval; runs have a noise of 0.3 %.

Usage: python benchmarks/effect/predict/plan.py [--out FILE.csv] [--seeds 12] [--bootstrap 40]
About five minutes of one core; cells that are in the table are not run again.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np

from seedbed.core import arrow
from seedbed.predict import planning
from seedbed.predict.design import Prior
from seedbed.predict.laws.chinchilla import Chinchilla
from seedbed.predict.planning import REPLICATED, Ladder, Options
from seedbed.stats.intervals import bootstrap_interval

RESULTS = Path(__file__).parents[2] / "results"
TARGET, NOISE = {"params": 7e9, "tokens": 1.4e11}, 0.003
COST = 6 * TARGET["params"] * TARGET["tokens"]
PRINTED = {"A": 406.4, "B": 410.7, "E": 1.69, "alpha": 0.34, "beta": 0.28}
WORLDS = ("believed", "other", "bent")
SHARES = (0.0015, 0.006, 0.03)
FIELDS = (
    *("world", "budget_share", "ladder", "runs", "flops", "expected_half_width", "half_width_median"),
    *("error_median", "error_median_low", "error_median_high", "error_90", "bias", "covered", "seeds"),
)


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=RESULTS / "predict_plan.csv")
    parser.add_argument("--seeds", type=int, default=12)
    parser.add_argument("--bootstrap", type=int, default=40)
    args = parser.parse_args()
    rows = list(csv.DictReader(args.out.open(encoding="utf-8"))) if args.out.exists() else []
    done = {(row["world"], row["budget_share"], row["ladder"]) for row in rows}
    for share in SHARES:
        for name, ladder in ladders(share).items():
            for world in WORLDS:
                if (world, str(share), name) in done:
                    continue
                found = measure(world, ladder, args.seeds, args.bootstrap)
                rows.append({"world": world, "budget_share": str(share), "ladder": name, **found})
                write(args.out, rows)
                print({k: rows[-1][k] for k in FIELDS}, flush=True)


def ladders(share: float) -> dict[str, Ladder]:
    """The planned one, and two grids that cost as much."""
    law, options = Chinchilla(), Options()
    prior = Prior.of(law, REPLICATED, TARGET, NOISE)
    planned = planning.plan(law, REPLICATED, TARGET, budget_flops=share * COST, noise=NOISE, options=options).ladder
    one, two = planning.naive_grids(prior, planned.flops, options)
    return {"planned": planned, "grid over one decade": one, "grid over two decades": two}


def measure(world: str, ladder: Ladder, seeds: int, n_bootstrap: int) -> dict[str, str]:
    """Errors and intervals over made-up ladders."""
    repeats = [rung.repeats for rung in ladder.rungs]
    params = np.repeat([rung.params for rung in ladder.rungs], repeats)
    tokens = np.repeat([rung.tokens for rung in ladder.rungs], repeats)
    end = float(log_loss(world, np.array([TARGET["params"]]), np.array([TARGET["tokens"]]))[0])
    errors, halves, held = [], [], []
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        loss = np.exp(log_loss(world, params, tokens) + NOISE * rng.standard_normal(len(params)))
        observed = float(np.exp(end + NOISE * rng.standard_normal()))
        columns = {"params": params, "tokens": tokens, "loss": loss, "seed": np.arange(len(loss))}
        law = Chinchilla(n_bootstrap=n_bootstrap, seed=seed, max_extrapolation=1e3)
        value, low, high = law.fit(arrow.table(columns)).forecast(TARGET)
        errors.append(value / observed - 1)
        halves.append((high - low) / 2 / value)
        held.append(low <= observed <= high)
    size = np.abs(errors)
    median = bootstrap_interval(size, lambda x: float(np.median(x)), seed=0)
    numbers = {
        "flops": ladder.flops,
        "expected_half_width": ladder.half_width,
        "half_width_median": float(np.median(halves)),
        "error_median": median.value,
        "error_median_low": median.low,
        "error_median_high": median.high,
        "error_90": float(np.quantile(size, 0.9)),
        "bias": float(np.mean(errors)),
        "covered": float(np.mean(held)),
    }
    return {
        "runs": str(ladder.n_runs),
        **{k: "" if v is None else f"{v:.4g}" for k, v in numbers.items()},
        "seeds": str(seeds),
    }


def log_loss(world: str, params: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    """What a run without noise comes to."""
    k = PRINTED if world == "other" else REPLICATED
    straight = np.log(k["E"] + k["A"] / params ** k["alpha"] + k["B"] / tokens ** k["beta"])
    below = np.log10(np.maximum(1.0, TARGET["params"] / 10 / params))
    return straight + (0.002 * below**2 if world == "bent" else 0.0)


def write(file: Path, rows: list[dict[str, str]]) -> None:
    """All rows so far."""
    with file.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.DictWriter(handle, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
