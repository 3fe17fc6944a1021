"""MATES: keeps documents that a model of influence expects to help the trained model most, at the point where it is.

What      On a sample of the pool, one optimizer step on each document alone tells how the loss on the target changes.
          A regression learns to tell that from the text and scores the whole pool. An arm asks anew at every stage,
          since what helps a model changes while it trains.
Source    Yu, Das, Xiong 2024, arXiv 2406.06046, sections 3 and 4; reference code cxcscmu/MATES.
Formula   label_i = -(loss(target | one step on i) - mean) / deviation, over the documents fitted on;
          score = w . x_i + b, the least mean of (score - label)^2 + l2 |w|^2, x_i hashed n-grams of unit length or
          the model's mean embedding, standardised
Shapes    documents -> score_N; within the fit loss_P of the probed documents
Units     score in standard deviations of the loss after a step, negated: higher lowers the loss more. told: spearman
          and reliability are rank correlations; spread is the deviation in nats per token.
Fidelity  Adapted: a ridge regression stands in for BERT-base, so 1,000 probes stand in for 80,000, and the beginnings
          of 256 target documents for 1,024 short ones; the loss counts every target token, where the release counts
          LAMBADA's last word. Like the release, a score is in units of the labels, and of 90 percent fitted and 10
          percent held out the rank correlation on the latter is told (it chooses nothing here). Sampling is the
          selector's: gumbel_top_k at temperature 1 is the paper's formula, noise="gumbel_min" the release's. `rounds`
          are the paper's: 10,000 steps at random, then four choices. Before any step was taken the optimizer has no
          moments, and a step is another quantity. A step sees a document's first context, the regression all of it.
Errors    SeedbedError without a probe, for a target without tokens, for fewer than 10 documents with tokens, and for
          losses that are not finite. Where all losses are equal, all scores are 0. A document without words scores b.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from annotated_types import Ge, Gt, Le

from seedbed.core import arrow
from seedbed.core.errors import SeedbedError
from seedbed.core.nouns import DocumentBatch, Signal, signals_schema
from seedbed.select.contract import (
    FloatArray,
    Given,
    GradientModel,
    Gradients,
    Need,
    PoolText,
    Probe,
    ProbeModel,
    Scorer,
    TargetText,
    draw,
)
from seedbed.stats.linear import LinearModel, fit_ridge
from seedbed.stats.ranks import spearman
from seedbed.text.features import Csr, hashed_ngrams

FEWEST = 10
"""Probed documents below which nothing can be fitted and held out."""


@dataclasses.dataclass(frozen=True)
class Mates(Scorer):
    """Parameters of the probes and the regression.

    Args:
        n_probes: documents of the pool that a step is tried on.
        n_reference: documents of the target that the loss is taken on.
        reference_tokens: how many tokens of each of them count at most, from its beginning.
        features: what the regression reads: hashed n-grams, or embeddings by the model itself (a pass over the pool).
        ngrams: longest n-gram.
        buckets: how many they are hashed into.
        l2: penalty of the regression, against a mean of squares.
        held_out: share of the probed documents that is held out, to tell how well the rest is fitted.
        n_reliability: probed documents that are asked again with each half of the reference, to tell how well the
            halves agree; 0 for none. Where they do not, the reference is too small.
    """

    signals = (Signal("score", "standard deviations of the loss after a step, higher means keep"),)
    selector: ClassVar[str] = "gumbel_top_k"
    rounds: ClassVar[int] = 4

    n_probes: Annotated[int, Ge(FEWEST)] = 1_000
    n_reference: Annotated[int, Gt(0)] = 256
    reference_tokens: Annotated[int, Gt(0)] = 256
    features: Literal["ngrams", "embeddings"] = "ngrams"
    ngrams: Annotated[int, Ge(1), Le(5)] = 2
    buckets: Annotated[int, Ge(2), Le(2**24)] = 2**16
    l2: Annotated[float, Gt(0)] = 1e-3
    held_out: Annotated[float, Gt(0), Le(0.5)] = 0.1
    n_reliability: Annotated[int, Ge(0)] = 50

    def needs(self) -> tuple[Need, ...]:
        """Target text, a sample of the pool, the arm's own model to try steps on, and its embeddings where read."""
        needs: tuple[Need, ...] = (TargetText(), PoolText(), Probe())
        return (*needs, Gradients()) if self.features == "embeddings" else needs

    def fit(self, given: Given) -> FittedMates:
        """Probe a sample of the pool and learn from it."""
        if given.probe is None:
            raise SeedbedError(self.path(), "there is no model to try steps on", "Use it in `seedbed compare`.")
        reference = _beginnings(draw(given.target, self.n_reference, given.seed), self.reference_tokens)
        probed = draw(given.pool, self.n_probes, given.seed + 1)
        for side, sample, least in (("target", reference, 1), ("pool", probed, FEWEST)):
            if len(sample) < least:
                what = f"{len(sample)} documents of the {side} have tokens, and {least} are needed"
                raise SeedbedError(self.path(), what, "Give more text.")
        loss_P = given.probe.losses_after_step(probed, reference)
        if not np.all(np.isfinite(loss_P)):
            what = f"the loss after a step on document {probed.ids[int(np.argmin(np.isfinite(loss_P)))].hex()} is NaN"
            raise SeedbedError(self.path(), what, "Lower the learning rate of the plan.")
        fitted, told = self._learnt(self.reader(probed, given.gradients), probed, loss_P)
        reliability = self._reliability(given.probe, probed, reference)
        return dataclasses.replace(fitted, told={**told, **reliability})

    def reader(self, sample: DocumentBatch, gradients: GradientModel | None) -> Reader:
        """What turns documents into rows of the regression; embeddings are standardised as they are in the sample."""
        if self.features == "ngrams":
            return Reader(self)
        if gradients is None:
            raise SeedbedError(self.path(), "there is no model to embed documents with")
        mean_PC = gradients.embeddings(sample).astype(np.float64)
        spread_C = mean_PC.std(axis=0)
        return Reader(self, gradients, mean_PC.mean(axis=0), np.where(spread_C > 0, spread_C, 1.0))

    def _learnt(
        self, reader: Reader, probed: DocumentBatch, loss_P: FloatArray
    ) -> tuple[FittedMates, dict[str, float]]:
        """Fitted on the first documents of the draw, told on the others."""
        n_fitted = len(probed) - max(1, round(self.held_out * len(probed)))
        mean, spread = float(loss_P[:n_fitted].mean()), float(loss_P[:n_fitted].std())
        label_P = (mean - loss_P) / spread if spread > 0 else np.zeros(len(loss_P))
        x = reader.rows(probed)
        place = np.arange(len(probed))
        model = fit_ridge(x.rows(place[:n_fitted]), label_P[:n_fitted], l2=self.l2)
        agreement = spearman(model.predict(x.rows(place[n_fitted:])), label_P[n_fitted:])
        told = {"probes": float(len(probed)), "spearman": agreement, "spread": spread}
        return FittedMates(reader, model), told

    def _reliability(self, probe: ProbeModel, probed: DocumentBatch, reference: DocumentBatch) -> dict[str, float]:
        """How well the two halves of the reference agree on some of the documents."""
        if not self.n_reliability or len(reference) < 2:
            return {}
        some = probed.some(np.arange(min(self.n_reliability, len(probed))))
        halves = [reference.some(np.arange(half, len(reference), 2)) for half in (0, 1)]
        first, second = (probe.losses_after_step(some, half) for half in halves)
        return {"reliability": spearman(first, second)}


def _beginnings(documents: DocumentBatch, most: int) -> DocumentBatch:
    """The same documents with no more than so many tokens each; the loss of long ones would cost more than a step."""
    ids, offsets = documents.token_ids
    size_N = np.minimum(np.diff(offsets), most)
    end_N1 = np.concatenate([[0], np.cumsum(size_N)]).astype(np.int64)
    shift_N: npt.NDArray[np.int64] = offsets[:-1] - end_N1[:-1]
    place = np.repeat(shift_N, size_N) + np.arange(int(end_N1[-1]))
    return DocumentBatch(documents.rows, (ids[place], end_N1))


@dataclasses.dataclass(frozen=True)
class Reader:
    """Documents -> rows of the regression.

    Args:
        law: which features.
        gradients, mean_C, spread_C: where embeddings are read, who gives them, and how they are standardised.
    """

    law: Mates
    gradients: GradientModel | None = None
    mean_C: FloatArray = dataclasses.field(default_factory=lambda: np.zeros(0))
    spread_C: FloatArray = dataclasses.field(default_factory=lambda: np.zeros(0))

    def rows(self, documents: DocumentBatch) -> Csr:
        """One row a document."""
        if self.gradients is None:
            data, offsets = documents.text_buffers()
            return hashed_ngrams(data, offsets, ngrams=self.law.ngrams, buckets=self.law.buckets).scaled("l2")
        x_NC = (self.gradients.embeddings(documents) - self.mean_C) / self.spread_C
        n, width = x_NC.shape
        index = np.tile(np.arange(width, dtype=np.int32), n)
        return Csr(np.arange(n + 1, dtype=np.int64) * width, index, x_NC.astype(np.float32).ravel(), width)


@dataclasses.dataclass(frozen=True)
class FittedMates:
    """Ready to measure. `told`: probes, spearman on held-out documents, spread of the losses, reliability."""

    reader: Reader
    model: LinearModel
    told: Mapping[str, float] = dataclasses.field(default_factory=dict[str, float])

    def measure(self, documents: DocumentBatch) -> pa.Table:
        """The influence that the regression expects."""
        return arrow.table({"score": self.model.predict(self.reader.rows(documents))}, signals_schema(Mates.signals))
