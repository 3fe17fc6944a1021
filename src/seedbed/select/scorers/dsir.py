"""DSIR: keeps documents whose words and word pairs are more common in the target than in the pool.

What      Importance weights under bag-of-hashed-n-grams models of target and pool; no model is trained. With the
          selector gumbel_top_k at temperature 1 it is the paper's importance resampling.
Source    Xie, Santurkar, Ma, Liang 2023, arXiv 2302.03169, section 3; reference code p-lambda/dsir.
Formula   score = SUM_b count_b * (ln(target_b + floor) - ln(pool_b + floor)), over buckets b of hashed unigrams and
          bigrams; target_b = (target count_b + smoothing) / SUM_b (target count_b + smoothing), pool_b without
          smoothing. Divided by SUM_b count_b where length_normalise.
Shapes    documents -> n_features_N, score_N; bucket tables have shape (buckets,)
Units     nats (nats per feature where length_normalise); n_features in unigrams plus bigrams.
Fidelity  Adapted: same features (lower case; a token is a run of letters, digits and underscores, or a run of other
          non-space characters), same number of buckets, same floor, but another stable 64-bit hash than SHA-256, so
          which n-grams share a bucket differs. Documents are not cut to one length: long ones have the largest
          weights, as in the paper's formula; length_normalise tempers that. No document is dropped for being short.
Errors    SeedbedError where target or pool has no token at all. Documents without tokens score 0. Always finite.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Annotated, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from annotated_types import Ge, Gt, Le

from seedbed.core import arrow
from seedbed.core.errors import SeedbedError
from seedbed.core.nouns import DocumentBatch, Signal, signals_schema
from seedbed.select.contract import Given, Need, PoolText, Scorer, TargetText
from seedbed.text import unicode
from seedbed.text.features import next_token
from seedbed.text.hashing import extend, mix
from seedbed.text.kernel import Bytes, Floats, Ints, kernel

_PAIR = np.uint64(2)
"""Begins the hash of a pair, so that its order counts."""


@dataclasses.dataclass(frozen=True)
class Dsir(Scorer):
    """Parameters of the feature models.

    Args:
        buckets: how many the n-grams are hashed into.
        ngrams: longest n-gram: 1 for words, 2 for words and pairs.
        floor: added to every probability.
        target_smoothing: added to every count of the target.
        length_normalise: divide by the number of features.
    """

    signals = (Signal("n_features", "n-grams", "int", low=0), Signal("score", "nats, higher means keep"))
    selector = "gumbel_top_k"
    version: ClassVar[int] = 2

    buckets: Annotated[int, Ge(2), Le(2**24)] = 10_000
    ngrams: Annotated[int, Ge(1), Le(2)] = 2
    floor: Annotated[float, Gt(0), Le(1)] = 1e-8
    target_smoothing: Annotated[float, Ge(0)] = 0.0
    length_normalise: bool = False

    def needs(self) -> tuple[Need, ...]:
        """Target text, and one pass over the pool."""
        return (TargetText(), PoolText())

    def fit(self, given: Given) -> FittedDsir:
        """Count both sides. Raises SeedbedError where a side has nothing to count."""
        target_K = self._counted(given.target, "target") + self.target_smoothing
        pool_K = self._counted(given.pool, "pool")
        log_target_K = np.log(target_K / target_K.sum() + self.floor)
        return FittedDsir(self, log_target_K - np.log(pool_K / pool_K.sum() + self.floor))

    def _counted(self, batches: Iterable[DocumentBatch], side: str) -> npt.NDArray[np.float64]:
        count_K = np.zeros(self.buckets, np.int64)
        known = unicode.tables()
        for batch in batches:
            _count(*batch.text_buffers(), known.flags, known.lower, self.ngrams, count_K)
        if not count_K.any():
            raise SeedbedError(f"{self.path()}, {side}", "there is no text in it", "Give documents with words.")
        return count_K.astype(np.float64)


@dataclasses.dataclass(frozen=True)
class FittedDsir:
    """Ready to measure. `log_ratio_K` is what one n-gram of each bucket adds to the score."""

    law: Dsir
    log_ratio_K: npt.NDArray[np.float64]

    def measure(self, documents: DocumentBatch) -> pa.Table:
        """Log importance weights."""
        known = unicode.tables()
        n_features_N, score_N = np.zeros(len(documents), np.int64), np.zeros(len(documents))
        buffers = documents.text_buffers()
        _score(*buffers, known.flags, known.lower, self.law.ngrams, self.log_ratio_K, n_features_N, score_N)
        if self.law.length_normalise:
            score_N = score_N / np.maximum(n_features_N, 1)
        return arrow.table({"n_features": n_features_N, "score": score_N}, signals_schema(Dsir.signals))


@kernel
def _count(data: Bytes, offsets: Ints, flags: Bytes, lower: npt.NDArray[np.int32], ngrams: int, count_K: Ints) -> None:
    n_buckets = np.uint64(len(count_K))
    for d in range(len(offsets) - 1):
        before, stop = np.uint64(0), offsets[d + 1]
        at, token = next_token(data, offsets[d], stop, flags, lower)
        while token != 0:
            count_K[token % n_buckets] += 1
            if ngrams > 1 and before != 0:
                count_K[mix(extend(extend(_PAIR, before), token)) % n_buckets] += 1
            before = token
            at, token = next_token(data, at, stop, flags, lower)


@kernel
def _score(
    data: Bytes,
    offsets: Ints,
    flags: Bytes,
    lower: npt.NDArray[np.int32],
    ngrams: int,
    log_ratio_K: Floats,
    n_features_N: Ints,
    score_N: Floats,
) -> None:
    n_buckets = np.uint64(len(log_ratio_K))
    for d in range(len(offsets) - 1):
        before, stop, total, n = np.uint64(0), offsets[d + 1], 0.0, 0
        at, token = next_token(data, offsets[d], stop, flags, lower)
        while token != 0:
            total += log_ratio_K[token % n_buckets]
            n += 1
            if ngrams > 1 and before != 0:
                total += log_ratio_K[mix(extend(extend(_PAIR, before), token)) % n_buckets]
                n += 1
            before = token
            at, token = next_token(data, at, stop, flags, lower)
        n_features_N[d], score_N[d] = n, total
