"""N-gram classifier: keeps documents that a linear model takes for the target's rather than the pool's.

What      Logistic regression on hashed word n-grams, positives from the target (or named files), negatives a random
          sample of the pool (or named files). The usual selector is top_k, or threshold with a share.
Source    Li et al. 2024, DataComp-LM, arXiv 2406.11794, section 4.4 (200k positives, 200k negatives, unigrams and
          bigrams, top 10 percent kept); Joulin et al. 2016, fastText, arXiv 1607.01759. ChineseWebText (EvalWeb, Chen
          et al. 2023, arXiv 2311.01149) is the same: rules, such a model, a threshold; for text written without
          spaces unit="characters".
Formula   score = w . x + b; x = hashed n-gram counts over their sum; probability = sigmoid(score)
          (w, b) minimise mean_N class_weight * cross-entropy + l2 / 2 * |w|^2; either class weighs one half
Shapes    documents -> score_N, probability_N
Units     score in nats (log-odds); probability a fraction.
Fidelity  Adapted: one linear map, fitted to its optimum, where fastText learns 100-dimensional embeddings of the
          n-grams and a map of their mean by some epochs of descent; 2^18 buckets where it has 2^21. At most 50k of
          each class by default, for memory. A document's words are those of dsir. Classes weigh alike whatever their
          sizes.
Errors    SeedbedError where positives or negatives hold no document with tokens. A document without words scores b.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Annotated, Literal

import numpy as np
import pyarrow as pa
from annotated_types import Ge, Gt, Le
from scipy.special import expit

from seedbed.core import arrow
from seedbed.core.errors import SeedbedError
from seedbed.core.nouns import DocumentBatch, Signal, signals_schema
from seedbed.select.contract import Given, Need, PoolText, Scorer, TargetText, Texts, draw, joined
from seedbed.stats.linear import LinearModel, fit_logistic
from seedbed.text.features import Csr, hashed_ngrams


@dataclasses.dataclass(frozen=True)
class NgramClassifier(Scorer):
    """Parameters of the features and of the fit.

    Args:
        positives, negatives: files and folders; empty for the target, and for a sample of the pool.
        max_positives, max_negatives: documents of each that are learned from, drawn at random where there are more.
        unit: what an n-gram is made of.
        ngrams: longest n-gram.
        buckets: how many the n-grams are hashed into.
        scale: counts divided by their sum (fastText's mean), by their Euclidean norm, or not at all. By the norm, long
            documents lie farther out, so that a target of longer documents than the pool's teaches length.
        l2: how much large weights count against the fit.
        max_iterations: of the descent.
    """

    signals = (
        Signal("probability", "fraction", low=0, high=1),
        Signal("score", "nats, log-odds of a positive, higher means keep"),
    )

    positives: tuple[str, ...] = ()
    negatives: tuple[str, ...] = ()
    max_positives: Annotated[int, Gt(0)] = 50_000
    max_negatives: Annotated[int, Gt(0)] = 50_000
    unit: Literal["words", "characters"] = "words"
    ngrams: Annotated[int, Ge(1), Le(8)] = 2
    buckets: Annotated[int, Ge(2), Le(2**24)] = 2**18
    scale: Literal["l2", "mean", "none"] = "mean"
    l2: Annotated[float, Gt(0)] = 1e-6
    max_iterations: Annotated[int, Gt(0)] = 200

    def needs(self) -> tuple[Need, ...]:
        """The files that are named; the target and the pool for those that are not."""
        positive: Need = Texts("positives", self.positives) if self.positives else TargetText()
        negative: Need = Texts("negatives", self.negatives) if self.negatives else PoolText()
        return (positive, negative)

    def fit(self, given: Given) -> FittedNgramClassifier:
        """Learn to tell the two apart. Raises SeedbedError where a side is empty."""
        positives = given.texts["positives"] if self.positives else given.target
        negatives = given.texts["negatives"] if self.negatives else given.pool
        good = self._drawn(positives, "positives", self.max_positives, given.seed)
        bad = self._drawn(negatives, "negatives", self.max_negatives, given.seed)
        label_N = np.repeat([1.0, 0.0], [len(good), len(bad)])
        weight_N = np.repeat([0.5 / len(good), 0.5 / len(bad)], [len(good), len(bad)])
        x = self.features(joined([good, bad]))
        model = fit_logistic(x, label_N, weight_N=weight_N, l2=self.l2, max_iterations=self.max_iterations)
        return FittedNgramClassifier(self, model)

    def features(self, documents: DocumentBatch) -> Csr:
        """Scaled counts of each document's n-grams."""
        buffers = documents.text_buffers()
        counts = hashed_ngrams(*buffers, ngrams=self.ngrams, buckets=self.buckets, unit=self.unit)
        return counts.scaled(self.scale)

    def _drawn(self, batches: Iterable[DocumentBatch], side: str, most: int, seed: int) -> DocumentBatch:
        sample = draw(batches, most, seed)
        if not len(sample):
            raise SeedbedError(f"{self.path()}, {side}", "there is no text in it", "Give documents with words.")
        return sample


@dataclasses.dataclass(frozen=True)
class FittedNgramClassifier:
    """Ready to measure."""

    law: NgramClassifier
    model: LinearModel

    def measure(self, documents: DocumentBatch) -> pa.Table:
        """Log-odds, and the probability they stand for."""
        score_N = self.model.predict(self.law.features(documents))
        columns = {"probability": np.asarray(expit(score_N), np.float64), "score": score_N}
        return arrow.table(columns, signals_schema(NgramClassifier.signals))
