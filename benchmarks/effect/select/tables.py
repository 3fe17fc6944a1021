"""The tables of docs/which_method.md, from the CSVs in benchmarks/results.

python benchmarks/effect/select/tables.py planted     # or: real
"""

from __future__ import annotations

import csv
import sys
from collections import defaultdict
from pathlib import Path

RESULTS = Path(__file__).parents[2] / "results"
KINDS = ("databases", "real text", "easy", "template", "offers", "noise", "shuffled", "near_copy", "half_noise")


def read(pool: str, table: str) -> list[dict[str, str]]:
    with (RESULTS / f"select_{pool}_{table}.csv").open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def summary(pool: str) -> None:
    """A row a method, the best first."""
    print("| method | difference at equal tokens (95 %) | adjusted p | speed-up, equal tokens (95 %) |", end="")
    print(" cost of choosing, times training | speed-up, equal total cost | mean over domains |")
    print("|---|---|---|---|---|---|---|")
    for row in sorted(read(pool, "summary"), key=lambda row: float(row["target_bits_per_byte"])):
        if row["role"] == "baseline":
            loss = float(row["target_bits_per_byte"])
            print(f"| **random** ({loss:.3f} bits per byte) | | | 1 | 0 | 1 | |")
            continue
        low, high = row["target_difference_low"], row["target_difference_high"]
        difference = f"{float(row['target_difference']):+.3f} ({float(low):+.3f} to {float(high):+.3f})"
        cost = float(row["selection_flops"]) / float(row["training_flops"])
        adjusted = "" if row["role"] == "ceiling" else f"{float(row['equal_tokens_p_holm']):.3f}"
        price = f"{cost:.1f}" if cost >= 0.05 else "0"
        cells = [adjusted, factor(row, "tokens", True), price, factor(row, "cost", False)]
        cells.append(f"{float(row['mean_domain_difference']):+.3f}")
        print(f"| {row['method']} | {difference} | {' | '.join(cells)} |")


def factor(row: dict[str, str], terms: str, bounds: bool) -> str:
    """A speed-up with its interval, or the bound it is."""
    name = f"speedup_equal_{terms}"
    told = f"{row[f'{name}_bound']} {float(row[name]):.2f}".strip()
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    return f"{told} ({float(low):.2f} to {float(high):.2f})" if bounds and low and high else told


def picked(pool: str) -> None:
    """Share of the tokens each method chose, by kind of document."""
    share: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for row in read(pool, "picked"):
        if row["by"] == "domain" and "@" not in row["method"]:
            kind = row["group"] if row["group"] in KINDS else "real text"
            share[row["method"]][kind] += float(row["chosen_share"] or 0)
            if row["method"] == "random":
                share["*the pool*"][kind] += float(row["pool_share"])
    print("| method | " + " | ".join(KINDS) + " |\n" + "|---" * (len(KINDS) + 1) + "|")
    for method in ("*the pool*", *(name for name in share if name != "*the pool*")):
        print(f"| {method} | " + " | ".join(f"{share[method][kind]:.2f}" for kind in KINDS) + " |")


def probes(pool: str) -> None:
    """Mean accuracy over seeds."""
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in read(pool, "probes"):
        found[row["probe"]][row["method"]].append(float(row["accuracy"]))
    for probe, methods in found.items():
        print(probe, ", ".join(f"{name} {sum(values) / len(values):.3f}" for name, values in methods.items()))


if __name__ == "__main__":
    named = sys.argv[1] if len(sys.argv) > 1 else "planted"
    summary(named)
    print()
    if named == "planted":
        picked(named)
        print()
        probes(named)
