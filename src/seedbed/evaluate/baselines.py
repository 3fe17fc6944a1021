"""What a probe must be compared with, beside chance: models that know nothing of what it asks.

Each is a TextModel, so that it answers the same items by the same rules. An n-gram model of the pool says what a few
words beside each other are worth; any other model of whole texts can be asked too, by `Differences`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from seedbed.core.nouns import DocumentBatch
from seedbed.text.ngram_lm import MAX_NGRAMS, NgramCounts

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


NGRAM_ORDER = 5
"""As the n-gram model that BLiMP was published with."""


class WholeTexts(Protocol):
    """A model that scores whole texts, such as an n-gram model."""

    def log_likelihoods(self, documents: DocumentBatch) -> tuple[FloatArray, IntArray]:
        """(log_likelihood_nats_N, n_tokens_N) of each text."""
        ...


class ShorterWins:
    """Every byte is equally likely: of two texts the shorter one is preferred, and nothing else matters."""

    def log_likelihoods(self, documents: DocumentBatch) -> tuple[FloatArray, IntArray]:
        """(-ln 256 a byte, bytes)."""
        n_bytes = np.diff(documents.text_buffers()[1])
        return -np.log(256) * n_bytes, n_bytes

    def continuation_log_likelihoods(
        self, contexts: Sequence[str], continuations: Sequence[str]
    ) -> tuple[FloatArray, IntArray, BoolArray]:
        """The same, whatever the context; greedy decoding would never write it."""
        del contexts
        n_bytes = np.array([len(text.encode("utf-8", "surrogatepass")) for text in continuations], np.int64)
        return -np.log(256) * n_bytes, n_bytes, np.zeros(len(n_bytes), np.bool_)


class Differences:
    """A model of whole texts, asked for continuations: log p(context + continuation) - log p(context).

    Exact where a text's first tokens do not depend on what follows, as in every n-gram model over words or bytes of
    which the context ends at a boundary. Greedy decoding is not asked: no continuation counts as greedy.
    """

    def __init__(self, model: WholeTexts) -> None:
        self._model = model

    def log_likelihoods(self, documents: DocumentBatch) -> tuple[FloatArray, IntArray]:
        """As the model says."""
        return self._model.log_likelihoods(documents)

    def continuation_log_likelihoods(
        self, contexts: Sequence[str], continuations: Sequence[str]
    ) -> tuple[FloatArray, IntArray, BoolArray]:
        """(nats_N, n_tokens_N, all False)."""
        joined = [context + continuation for context, continuation in zip(contexts, continuations, strict=True)]
        whole_N, tokens_N = self._model.log_likelihoods(DocumentBatch.of(joined))
        fronts = {context: row for row, context in enumerate(dict.fromkeys(contexts))}
        front_F, front_tokens_F = self._model.log_likelihoods(DocumentBatch.of(list(fronts)))
        row_N = np.array([fronts[context] for context in contexts], np.int64)
        return whole_N - front_F[row_N], tokens_N - front_tokens_F[row_N], np.zeros(len(row_N), np.bool_)


class Ngrams:
    """An n-gram model of words with modified Kneser-Ney smoothing, each line with its end, as a model of whole texts.

    Args:
        batches: what to count, in order; where half the room for n-grams is used up, the rest is left out.
        order: the longest n-gram.
    """

    def __init__(self, batches: Iterable[DocumentBatch], order: int = NGRAM_ORDER) -> None:
        counts = NgramCounts(order, where="n-gram baseline")
        self.documents = 0
        for batch in batches:
            counts.add(batch)
            self.documents += len(batch)
            if counts.n > MAX_NGRAMS // 2:
                break
        self._model = counts.model()

    def log_likelihoods(self, documents: DocumentBatch) -> tuple[FloatArray, IntArray]:
        """(nats_N, words and line ends_N)."""
        log10_N, n_N = self._model.log10_probabilities(documents)
        return np.log(10) * log10_N, n_N


def ngram_baseline(batches: Iterable[DocumentBatch], order: int = NGRAM_ORDER) -> Differences:
    """A TextModel that knows which words stand beside each other in these documents.

    The end of a line counts in both texts of a difference: it moves all choices of an item alike.
    """
    return Differences(Ngrams(batches, order))
