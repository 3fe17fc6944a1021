"""Invented routes, in the form the pipeline leaves them: three tables in a folder."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from seedbed.evaluate.forgetting import Score, forgetting, summary_table
from seedbed.evaluate.rows import write_csv

HOME = {"english": "english", "german": "german"}
DOMAINS = ("english", "german", "finnish")
ENDS = {
    "scratch on the new": (2.9, 1.92, 2.6),
    "not re-warmed": (1.86, 2.16, 2.5),
    "re-warm": (2.26, 1.83, 2.45),
    "re-warm, 5 % replay": (1.93, 1.84, 2.43),
    "re-warm, 25 % replay": (1.861, 1.861, 2.41),
    "infinite": (1.99, 1.86, 2.44),
    "union": (1.86, 1.86, 2.42),
}


def invented(seeds: int = 3) -> list[Score]:
    """A route from scratch and a union have one stage, the others two; `infinite` has annealed branches."""
    rng, rows = np.random.default_rng(5), []
    for route, end in ENDS.items():
        one = route in ("union", "scratch on the new")
        tokens = 4e6 if route == "union" else 2e6
        stages = [("before", 8.0, 0.0), ("both" if one else "english", 0.0, tokens), ("german", 0.0, 4e6)]
        for seed in range(seeds):
            for order, (stage, start, at) in enumerate(stages[: 2 if one else 3]):
                last = order == (1 if one else 2)
                for d, domain in enumerate(DOMAINS):
                    level = start or (end[d] if last else (1.84, 2.75, 2.72)[d])
                    value = float(level + rng.normal(0, 0.008) * (order > 0))
                    spent = (6e5 * at, at / 4e4, int(at))
                    rough = 0.05 if route == "infinite" and order else 0.0
                    rows.append(Score(route, seed, stage, order, domain, value + rough, *spent))
                    if rough:
                        more = (spent[0] * 1.1, spent[1] * 1.1, int(spent[2] * 1.1))
                        rows.append(Score(route, seed, stage, order, domain, value, *more, annealed=True))
    return rows


def write_tables(folder: Path, seeds: int = 3, word: str = "") -> None:
    """continual.csv, forgetting.csv and curves.csv; `word` is put into the name of every route."""
    rows = [Score(**{**vars(row), "route": row.route + word}) for row in invented(seeds)]
    write_csv(summary_table(forgetting(rows, baseline=f"union{word}", home=HOME)), folder / "forgetting.csv")
    with (folder / "continual.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(
            ["route", "seed", "stage", "order", "branch", "domain", "bits_per_byte", "tokens", "flops", "seconds"]
        )
        for row in rows:
            branch = "annealed" if row.annealed else "stage"
            at = (row.route, row.seed, row.stage, row.order, branch, row.domain)
            writer.writerow([*at, row.bits_per_byte, row.tokens, row.flops, row.seconds])
    with (folder / "curves.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["route", "seed", "stage", "step", "tokens", "loss_nats_per_token", "learning_rate"])
        writer.writerows(_logged(seeds, word))


def _logged(seeds: int, word: str) -> list[tuple[object, ...]]:
    found: list[tuple[object, ...]] = []
    for route in ENDS:
        one = route in ("union", "scratch on the new")
        for seed in range(seeds):
            rng = np.random.default_rng(seed)
            for order, stage in enumerate(("both",) if one else ("english", "german")):
                for step in range(1, 201):
                    share = step / 200
                    tokens = (2e6 * order + 2e6 * share) * (2 if route == "union" else 1)
                    warm = min(share / 0.05, 1.0) if order == 0 or route.startswith("re-warm") else 1.0
                    peak = 3e-3 if order == 0 or "re-warm" in route[:7] or route == "infinite" else 3e-4
                    rate = peak * warm * (0.1 + 0.9 * np.cos(share * np.pi / 2) ** 2 if peak > 3e-4 else 1)
                    spike = 0.6 * np.exp(-(((share - 0.06) / 0.04) ** 2)) if order and peak > 3e-4 else 0.0
                    loss = 3.2 + (4 if order == 0 else 0.8) * np.exp(-9 * share) + spike + rng.normal(0, 0.05)
                    found.append((route + word, seed, stage, step, int(tokens), float(loss), float(rate)))
    return found
