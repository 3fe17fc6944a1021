"""How far a filter and its peer agree on the same documents, by language and rule, and on the peer's own verdict."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from peer import Answer

from seedbed.core import arrow
from seedbed.core.nouns import DocumentBatch
from seedbed.curate.contract import Filter

HEADER = ("method", "dialect", "peer", "language", "rule", "signal", "documents", "with_number",
          "largest_difference", "verdict_agreement")  # fmt: skip
RESULTS = Path(__file__).parents[2] / "results"


def agreement(
    method: Filter, dialect: str, peer: str, documents: DocumentBatch, languages: Sequence[str], answers: list[Answer]
) -> Iterator[list[Any]]:
    """Rows of HEADER. A peer's answer has a number a signal, where it comes to one, and `dropped` where it decides."""
    signals = method.measure(documents)
    broken = method.failures(signals)
    language_N = np.array(languages)
    groups = [("all", np.ones(len(languages), np.bool_))]
    groups += [(name, language_N == name) for name in dict.fromkeys(languages)]
    for rule in method.rules:
        ours = arrow.numpy(signals, rule.signal).astype(np.float64)
        theirs = np.array([answer.get(rule.signal, np.nan) for answer in answers], np.float64)
        limit = getattr(method, rule.name)
        if limit is None:
            continue
        theirs_broken = theirs < limit if rule.side == "min" else theirs > limit
        same, apart = broken[rule.name] == theirs_broken, np.abs(ours - theirs)
        for name, rows in groups:
            known = rows & ~np.isnan(theirs)
            if known.any():
                numbers = [int(rows.sum()), int(known.sum()), f"{apart[known].max():.2e}", f"{same[known].mean():.6f}"]
                yield [method.name(), dialect, peer, name, rule.name, rule.signal, *numbers]
    if "dropped" in answers[0]:
        dropped = np.any(np.stack(list(broken.values())), axis=0)
        same = dropped == np.array([bool(answer["dropped"]) for answer in answers])
        for name, rows in groups:
            numbers = [int(rows.sum()), int(rows.sum()), "", f"{same[rows].mean():.6f}"]
            yield [method.name(), dialect, peer, name, "its own verdict", "", *numbers]


def write(name: str, rows: list[list[Any]]) -> None:
    """results/conformance_NAME.csv, and its rows over all languages to the terminal."""
    with (RESULTS / f"conformance_{name}.csv").open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(HEADER)
        writer.writerows(rows)
    for row in rows:
        if row[3] == "all":
            print(*row)
