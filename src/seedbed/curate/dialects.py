"""Where two filters, or one filter in two dialects, disagree: the documents that one keeps and the other drops."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import numpy as np
import pyarrow as pa

from seedbed.core import arrow
from seedbed.core.nouns import ID, DocumentBatch
from seedbed.curate.contract import Filter

DISAGREEMENTS = pa.schema(
    [
        arrow.field("row", pa.int64(), unit="place of the document in what was compared"),
        arrow.field("id", ID),
        arrow.field("language", pa.large_string()),
        arrow.field("kept_by", pa.large_string(), unit="first | second"),
        arrow.field("rule", pa.large_string(), unit="a rule that one of them says is broken and the other does not"),
        arrow.field("signal", pa.large_string()),
        arrow.field("first", pa.float64(), unit="the number of the first filter; null where it measures none"),
        arrow.field("first_threshold", pa.float64()),
        arrow.field("second", pa.float64()),
        arrow.field("second_threshold", pa.float64()),
    ]
)
"""A row a document and rule; a document that only one of the filters keeps has at least one."""


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Verdicts of two filters on the same documents.

    Args:
        documents: how many were compared.
        kept_by_both, kept_by_first, kept_by_second, kept_by_none: how many each way; they add up to `documents`.
        disagreements: why, in schema DISAGREEMENTS.
    """

    documents: int
    kept_by_both: int
    kept_by_first: int
    kept_by_second: int
    kept_by_none: int
    disagreements: pa.Table

    @property
    def agreement(self) -> float:
        """Fraction of documents with the same verdict; 1 where there are none."""
        return (self.kept_by_both + self.kept_by_none) / self.documents if self.documents else 1.0


def compare(first: Filter, second: Filter, batches: Iterable[DocumentBatch]) -> Comparison:
    """Ask both filters about the same documents; rules are paired by their names."""
    counts = np.zeros((2, 2), np.int64)
    tables: list[pa.Table] = []
    done = 0
    for batch in batches:
        sides = _Side.of(first, batch), _Side.of(second, batch)
        np.add.at(counts, (sides[0].kept_N.astype(np.int64), sides[1].kept_N.astype(np.int64)), 1)
        tables.append(_disagreements(*sides, batch, done))
        done += len(batch)
    told = arrow.concat(tables, DISAGREEMENTS)
    return Comparison(done, int(counts[1, 1]), int(counts[1, 0]), int(counts[0, 1]), int(counts[0, 0]), told)


@dataclasses.dataclass(frozen=True)
class _Side:
    filter: Filter
    signals: pa.Table
    broken: dict[str, np.ndarray[tuple[int], np.dtype[np.bool_]]]
    kept_N: np.ndarray[tuple[int], np.dtype[np.bool_]]

    @classmethod
    def of(cls, asked: Filter, batch: DocumentBatch) -> _Side:
        signals = asked.measure(batch)
        broken = asked.failures(signals)
        kept_N = ~np.any(np.stack(list(broken.values())), axis=0) if broken else np.ones(len(batch), np.bool_)
        return cls(asked, signals, broken, kept_N)

    def breaks(self, rule: str, row: int) -> bool:
        return rule in self.broken and bool(self.broken[rule][row])

    def told(self, rule: str, signal: str, row: int) -> tuple[float | None, float | None]:
        """The number and its threshold."""
        if signal not in self.signals.column_names:
            return None, None
        threshold = getattr(self.filter, rule, None)
        return float(arrow.numpy(self.signals, signal)[row]), None if threshold is None else float(threshold)


def _disagreements(first: _Side, second: _Side, batch: DocumentBatch, done: int) -> pa.Table:
    rows: list[tuple[object, ...]] = []
    of_rule = {rule.name: rule.signal for side in (second, first) for rule in side.filter.rules if rule.side != "in"}
    ids, languages = batch.ids, batch.column("language")
    for row in np.flatnonzero(first.kept_N != second.kept_N).tolist():
        kept_by = "first" if first.kept_N[row] else "second"
        for rule, signal in of_rule.items():
            if first.breaks(rule, row) != second.breaks(rule, row):
                numbers = (*first.told(rule, signal, row), *second.told(rule, signal, row))
                rows.append((done + row, ids[row], languages[row], kept_by, rule, signal, *numbers))
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(DISAGREEMENTS)
    return arrow.table({name: list(columns[i]) for i, name in enumerate(DISAGREEMENTS.names)}, DISAGREEMENTS)
