"""Decide: verdicts from stored numbers. Text is not read; a threshold is replayed by deciding again.

Order of reasons: a document's reason is its first failing rule in recipe order. Duplicates are settled among the
documents that pass every rule: the best member of a group survives, the others are dropped as its duplicates.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from seedbed.core import arrow
from seedbed.core.nouns import DECISIONS
from seedbed.curate.contract import Deduper, Filter

BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]


@dataclasses.dataclass(frozen=True)
class Verdicts:
    """The verdict on N documents under R rules.

    Args:
        rules: R names, `gopher_quality.min_words`, in recipe order.
        broken_NR: which document breaks which rule.
        errored_N: documents on which a method failed.
        group_N, survivor_N: smallest row of the duplicate group and row of its survivor; -1 outside any.
        duplicate_N: the reason's index into `reasons` for a dropped duplicate, else -1.
    """

    rules: tuple[str, ...]
    dedupers: tuple[str, ...]
    broken_NR: BoolArray
    errored_N: BoolArray
    group_N: IntArray
    survivor_N: IntArray
    duplicate_N: IntArray

    @property
    def kept_N(self) -> BoolArray:
        """Passing every rule, not errored, not a dropped duplicate."""
        return ~self.broken_NR.any(axis=1) & ~self.errored_N & (self.duplicate_N < 0)

    def reasons(self) -> list[str]:
        """The reason of every document; empty where it is kept or errored."""
        first = np.where(self.broken_NR.any(axis=1), self.broken_NR.argmax(axis=1) if self.rules else 0, -1)
        names = [*self.rules, *(f"{name}.duplicate" for name in self.dedupers), ""]
        index = np.where(first >= 0, first, np.where(self.duplicate_N >= 0, self.duplicate_N + len(self.rules), -1))
        index = np.where(self.errored_N, -1, index)
        return [names[i] for i in index.tolist()]

    def dropped(self) -> dict[str, int]:
        """Reason -> number of documents, in recipe order, without zeros."""
        names, counts = np.unique(np.array(self.reasons(), dtype=object).astype(str), return_counts=True)
        found = dict(zip(names.tolist(), counts.tolist(), strict=True))
        order = [*self.rules, *(f"{name}.duplicate" for name in self.dedupers)]
        return {name: int(found[name]) for name in order if name in found}

    def table(self, id_N16: npt.NDArray[np.uint8], start: int, stop: int) -> pa.Table:
        """Rows start to stop in schema DECISIONS; `id_N16` are the ids of all N documents."""
        rows = slice(start, stop)
        names = np.array(self.rules, dtype=object)
        survivor = self.survivor_N[rows]
        columns = {
            "id": arrow.id_column(id_N16[rows]),
            "kept": self.kept_N[rows],
            "reason": pa.array(self.reasons_of(rows), pa.large_string()),
            "failures": pa.array([names[row].tolist() for row in self.broken_NR[rows]], pa.list_(pa.large_string())),
            "duplicate_group": self.group_N[rows],
            "survivor": arrow.id_column(id_N16[np.maximum(survivor, 0)], survivor < 0),
        }
        return arrow.table(columns, DECISIONS)

    def reasons_of(self, rows: slice) -> list[str]:
        """The reasons of some rows."""
        some = {
            name: getattr(self, name)[rows]
            for name in ("broken_NR", "errored_N", "group_N", "survivor_N", "duplicate_N")
        }
        return dataclasses.replace(self, **some).reasons()


def failures(filters: Sequence[Filter], signals: Mapping[str, pa.Table]) -> tuple[tuple[str, ...], BoolArray]:
    """(rules, broken_NR) of the documents whose signals are given by filter name."""
    columns: dict[str, BoolArray] = {}
    for step in filters:
        for rule, broken in step.failures(signals[step.name()]).items():
            columns[f"{step.name()}.{rule}"] = broken
    n = next((table.num_rows for table in signals.values()), 0)
    stacked = np.stack(list(columns.values()), axis=1) if columns else np.zeros((n, 0), np.bool_)
    return tuple(columns), stacked


def settle(
    rules: tuple[str, ...],
    broken_NR: BoolArray,
    errored_N: BoolArray,
    groups: Sequence[tuple[Deduper, IntArray]],
    worth_N: npt.NDArray[np.float64],
    key_N: npt.NDArray[np.uint64],
) -> Verdicts:
    """Verdicts with duplicates settled: in each group the passing member of highest worth survives, ties by key."""
    n = len(errored_N)
    group_N, survivor_N, duplicate_N = np.full(n, -1), np.full(n, -1), np.full(n, -1)
    alive = ~broken_NR.any(axis=1) & ~errored_N
    for i, (_, groups_N) in enumerate(groups):
        sizes = np.bincount(groups_N, minlength=n)
        shared = sizes[groups_N] > 1
        group_N = np.where((group_N < 0) & shared, groups_N, group_N)
        rows = np.flatnonzero(alive & shared)
        order = rows[np.lexsort((key_N[rows], -worth_N[rows], groups_N[rows]))]
        first = np.r_[True, groups_N[order][1:] != groups_N[order][:-1]] if len(order) else np.zeros(0, np.bool_)
        best = order[np.maximum.accumulate(np.where(first, np.arange(len(order)), 0))]
        survivor_N[order] = best
        losers = order[~first]
        duplicate_N[losers] = i
        alive[losers] = False
    names = tuple(deduper.name() for deduper, _ in groups)
    return Verdicts(rules, names, broken_NR, errored_N, group_N, survivor_N, duplicate_N)
