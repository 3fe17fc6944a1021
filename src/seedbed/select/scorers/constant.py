"""Constant score: the random baseline of every comparison.

What      Every document scores 0. With the selector gumbel_top_k this is a random sample within the token budget.
Source    none; the control arm that data selection is measured against.
Formula   score_N = 0
Shapes    documents -> score_N
Units     score without unit; higher means keep.
Fidelity  Exact.
Errors    None; an empty batch gives an empty table.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pyarrow as pa

from seedbed.core import arrow
from seedbed.core.nouns import DocumentBatch, signals_schema
from seedbed.select.contract import Given, Scorer


@dataclasses.dataclass(frozen=True)
class Constant(Scorer):
    """No parameters."""

    selector = "gumbel_top_k"

    def fit(self, given: Given) -> FittedConstant:  # noqa: ARG002 - there is nothing to learn
        """Nothing is learned."""
        return FittedConstant()


@dataclasses.dataclass(frozen=True)
class FittedConstant:
    """Ready to measure."""

    def measure(self, documents: DocumentBatch) -> pa.Table:
        """Zeros."""
        return arrow.table({"score": np.zeros(len(documents))}, signals_schema(Constant.signals))
