"""The questions the evaluate room asks of its methods.

Task    how well does this model do on these held-out texts?
Probe   does this model find the right answer likelier than others?
Audit   is there a leak, and how often does this test cry wolf?
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from seedbed.core.method import Method
from seedbed.core.nouns import DocumentBatch
from seedbed.evaluate.items import Item, Line

FloatArray = npt.NDArray[np.float64]


class TextModel(Protocol):
    """A language model, asked for log-likelihoods of whole texts, and of texts behind others."""

    def log_likelihoods(self, documents: DocumentBatch) -> tuple[FloatArray, npt.NDArray[np.int64]]:
        """(log_likelihood_nats_N, n_tokens_N) of each document's text, end-of-text not counted."""
        ...

    def continuation_log_likelihoods(
        self, contexts: Sequence[str], continuations: Sequence[str]
    ) -> tuple[FloatArray, npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        """(log_likelihood_nats_N, n_tokens_N, greedy_N) of each continuation behind its context.

        An empty context is the end of another text. greedy_N: whether the model, always writing what is likeliest,
        would write just that.
        """
        ...


class Task(Method):
    """Scores a model on items."""

    def score(self, model: TextModel, items: DocumentBatch, domain: str) -> pa.Table:
        """A table of schema OUTCOMES, one row an item."""
        raise NotImplementedError


class Probe(Method):
    """Asks about items whose answer is known, by likelihood alone: nothing is generated."""

    def item(self, line: Line) -> Item:
        """The item that a line of JSON tells. Raises SeedbedError naming file, line and field."""
        raise NotImplementedError

    def score(self, model: TextModel, items: Sequence[Item]) -> pa.Table:
        """A table of schema ANSWERS, one row an item, in the order of the items."""
        raise NotImplementedError


class Audit(Method):
    """Looks for what would make a score a lie."""

    def findings(self, pool: Iterable[DocumentBatch], items: DocumentBatch) -> pa.Table:
        """A table: item id, share of the item found in the pool, verdict; its false-positive rate is documented."""
        raise NotImplementedError
