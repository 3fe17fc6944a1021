"""Decide: verdicts from stored numbers. Text is not read; a threshold is replayed by deciding again.

Order of reasons: a document's reason is its first failing rule in recipe order. Duplicates are settled among the
documents that pass every rule: the most preferred member of a group survives, the others are dropped as its
duplicates. What was published before is never dropped as a duplicate: what came later goes instead.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from seedbed.core import arrow
from seedbed.core.nouns import DECISIONS

BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]


@dataclasses.dataclass(frozen=True)
class Verdicts:
    """The verdict on N documents under R rules.

    Args:
        rules: R names, `gopher_quality.min_words`, in recipe order.
        dedupers: their names in recipe order.
        broken_NR: which document breaks which rule.
        errored_N: documents on which a method failed.
        group_N, survivor_N: smallest row of the duplicate group and row of its survivor; -1 outside any.
        duplicate_N: the index into `dedupers` for a dropped duplicate, else -1.
    """

    rules: tuple[str, ...]
    dedupers: tuple[str, ...]
    broken_NR: BoolArray
    errored_N: BoolArray
    group_N: IntArray
    survivor_N: IntArray
    duplicate_N: IntArray

    @cached_property
    def kept_N(self) -> BoolArray:
        """Passing every rule, not errored, not a dropped duplicate."""
        return ~self.broken_NR.any(axis=1) & ~self.errored_N & (self.duplicate_N < 0)

    @property
    def reason_names(self) -> tuple[str, ...]:
        """What `reason_N` counts: the rules, then a duplicate of each deduper."""
        return (*self.rules, *(f"{name}.duplicate" for name in self.dedupers))

    @cached_property
    def reason_N(self) -> npt.NDArray[np.int16]:
        """Index into `reason_names` of each document's reason; -1 where it is kept or errored."""
        first = self.broken_NR.argmax(axis=1) if self.rules else np.zeros(len(self.errored_N), np.int64)
        duplicate = np.where(self.duplicate_N >= 0, self.duplicate_N + len(self.rules), -1)
        index = np.where(self.broken_NR.any(axis=1), first, duplicate)
        return np.where(self.errored_N, -1, index).astype(np.int16)

    def reasons(self) -> pa.Array[Any]:
        """The reason of every document as a text; empty where it is kept or errored."""
        return arrow.named(self.reason_N, self.reason_names)

    def dropped(self) -> dict[str, int]:
        """Reason -> number of documents, in recipe order, without zeros."""
        counts = np.bincount(self.reason_N + 1, minlength=len(self.reason_names) + 1)[1:]
        return {name: int(n) for name, n in zip(self.reason_names, counts, strict=True) if n}

    def table(self, id_N16: npt.NDArray[np.uint8], start: int, stop: int) -> pa.Table:
        """Rows start to stop in schema DECISIONS; `id_N16` are the ids of all N documents."""
        rows = slice(start, stop)
        survivor = self.survivor_N[rows]
        columns = {
            "id": arrow.id_column(id_N16[rows]),
            "kept": self.kept_N[rows],
            "reason": arrow.named(self.reason_N[rows], self.reason_names),
            "failures": arrow.named_lists(self.broken_NR[rows], self.rules),
            "duplicate_group": self.group_N[rows],
            "survivor": arrow.id_column(id_N16[np.maximum(survivor, 0)], survivor < 0),
        }
        return arrow.table(columns, DECISIONS)


@dataclasses.dataclass(frozen=True)
class Members:
    """The documents that one deduper found more than once.

    Args:
        deduper: its name.
        row_M: their rows, ascending.
        group_M: the smallest row of the group of each.
    """

    deduper: str
    row_M: IntArray
    group_M: IntArray

    @classmethod
    def of(cls, deduper: str, group_N: IntArray) -> Members:
        """From the group of every document."""
        row_M = np.flatnonzero(np.bincount(group_N, minlength=len(group_N))[group_N] > 1)
        return cls(deduper, row_M, group_N[row_M])


@dataclasses.dataclass(frozen=True)
class Preference:
    """Which of several documents is rather kept.

    Args:
        row_U: rows of all documents that have a duplicate, ascending.
        rank_U: their place among each other; the smallest of a group survives.
        published_U: kept by an earlier run, and never dropped as a duplicate.
    """

    row_U: IntArray
    rank_U: IntArray
    published_U: BoolArray

    @classmethod
    def of(
        cls,
        row_U: IntArray,
        worth_KU: Sequence[npt.NDArray[np.float64]],
        key_U: npt.NDArray[np.uint64],
        published_U: BoolArray,
    ) -> Preference:
        """Published first, then by each worth in turn, the highest first; ties go to the smallest key."""
        order = np.lexsort((key_U, *(-worth_U for worth_U in reversed(worth_KU)), ~published_U))
        rank_U = np.empty(len(row_U), np.int64)
        rank_U[order] = np.arange(len(row_U))
        return cls(row_U, rank_U, published_U)


def settle(
    rules: tuple[str, ...],
    broken_NR: BoolArray,
    errored_N: BoolArray,
    duplicates: Sequence[Members],
    preference: Preference,
) -> Verdicts:
    """Verdicts with duplicates settled, deduper by deduper, among the documents that are still there."""
    n = len(errored_N)
    group_N, survivor_N, duplicate_N = (np.full(n, -1, np.int64) for _ in range(3))
    alive = ~broken_NR.any(axis=1) & ~errored_N
    for i, members in enumerate(duplicates):
        unnamed = group_N[members.row_M] < 0
        group_N[members.row_M[unnamed]] = members.group_M[unnamed]
        here = alive[members.row_M]
        rows, groups = members.row_M[here], members.group_M[here]
        at = np.searchsorted(preference.row_U, rows)
        order = np.lexsort((preference.rank_U[at], groups))
        rows, groups, published = rows[order], groups[order], preference.published_U[at][order]
        first = np.r_[True, groups[1:] != groups[:-1]] if len(rows) else np.zeros(0, np.bool_)
        best = rows[np.maximum.accumulate(np.where(first, np.arange(len(rows)), 0))]
        survivor_N[rows] = np.where(published, rows, best)
        losers = rows[~first & ~published]
        duplicate_N[losers] = i
        alive[losers] = False
    names = tuple(members.deduper for members in duplicates)
    return Verdicts(rules, names, broken_NR, errored_N, group_N, survivor_N, duplicate_N)
