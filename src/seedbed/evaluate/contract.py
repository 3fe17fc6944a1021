"""The questions the evaluate room asks of its methods.

Task    how well does this model do on these items?
Audit   is there a leak, and how often does this test cry wolf?
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from seedbed.core.method import Method
from seedbed.core.nouns import DocumentBatch

FloatArray = npt.NDArray[np.float64]


class TextModel(Protocol):
    """A language model, asked for log-likelihoods of whole texts."""

    def log_likelihoods(self, documents: DocumentBatch) -> tuple[FloatArray, npt.NDArray[np.int64]]:
        """(log_likelihood_nats_N, n_tokens_N) of each document's text, end-of-text not counted."""
        ...


class Task(Method):
    """Scores a model on items."""

    def score(self, model: TextModel, items: DocumentBatch, domain: str) -> pa.Table:
        """A table of schema OUTCOMES, one row an item."""
        raise NotImplementedError


class Audit(Method):
    """Looks for what would make a score a lie."""

    def findings(self, pool: Iterable[DocumentBatch], items: DocumentBatch) -> pa.Table:
        """A table: item id, share of the item found in the pool, verdict; its false-positive rate is documented."""
        raise NotImplementedError
