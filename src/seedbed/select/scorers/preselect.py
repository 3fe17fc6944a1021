"""PreSelect: keeps documents like those on which a better model has the lower loss, for every pair of models.

What      Measures, on a sample of the pool, how well each document's losses under a ladder of models agree with the
          models' known order; learns to tell the documents of most and least agreement apart by their words; scores
          the whole pool with that linear model.
Source    Shum, Huang, Zou, Ding, Liao, Chen, Liu, He 2025, arXiv 2503.00808, equation 1 and section 3; reference code
          hkust-nlp/PreSelect (its training script does not run as released).
Formula   strength = SUM_(i<j) [C_i > C_j] / (M (M - 1) / 2); C_i bits per byte under model i, models from the worst to
          the best. Positives: strength 1; as many negatives, the lowest first. score = w . x + b, logistic regression
          on hashed word bigrams.
Shapes    documents -> score_N; within the fit loss_MN -> strength_N
Units     score in nats (log-odds); strength a fraction; losses in bits per byte.
Fidelity  Adapted: the ladder is M small models of this run, each trained on its own random sample of the pool and
          ordered by their loss on the target, where the paper takes six published models (7B to 65B) ordered by an
          average of benchmarks: `folders` takes such models, worst first. By default they are of one size and length,
          so that what they read is what orders them; models that differ in size or length alone order nearly all
          documents alike, and then easy text, templates and even noise score high. The sample is uniform over the
          pool, not 300 documents of each of 3,000 sites. A logistic regression stands in for fastText, as in
          ngram_classifier. Where fewer than least_share of the sample reach strength 1, the next highest are positives
          too; neither side takes more than half.
Errors    SeedbedError for fewer than two documents with tokens, for losses that are not finite, and for models that no
          document tells apart. RecipeError for fewer than two models. A document without words scores b.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Annotated

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from annotated_types import Ge, Gt, Le

from seedbed.core import arrow
from seedbed.core.errors import RecipeError, SeedbedError
from seedbed.core.nouns import DocumentBatch, Signal, signals_schema
from seedbed.select.contract import (
    FloatArray,
    Given,
    GivenModel,
    LossModel,
    Need,
    PoolText,
    Scorer,
    TargetText,
    TrainedModel,
    draw,
)
from seedbed.stats.linear import LinearModel, fit_logistic
from seedbed.stats.sampling import hashed, keys_of, order_by
from seedbed.text.features import Csr, hashed_ngrams


@dataclasses.dataclass(frozen=True)
class Preselect(Scorer):
    """Parameters of the ladder, the sample and the classifier.

    Args:
        shapes: size of each model of the ladder, relative to the one that is trained in the end.
        tokens: how long each is trained on the pool; as many as there are shapes.
        learning_rate: their peak.
        folders: models to use instead, from the worst to the best; their tokenizer must be the pool's.
        sample_documents: how many documents of the pool are asked about.
        least_share: of the sample that become positives, and negatives, at least.
        ngrams, buckets: of the classifier's features.
        l2: how much large weights count against its fit.
    """

    signals = (Signal("score", "nats, log-odds of a predictive document, higher means keep"),)

    shapes: tuple[Annotated[float, Gt(0), Le(4)], ...] = (0.5,) * 8
    tokens: tuple[Annotated[int, Gt(0)], ...] = (500_000,) * 8
    learning_rate: Annotated[float, Gt(0), Le(1)] = 1e-3
    folders: tuple[str, ...] = ()
    sample_documents: Annotated[int, Ge(2)] = 10_000
    least_share: Annotated[float, Gt(0), Le(0.5)] = 0.05
    ngrams: Annotated[int, Ge(1), Le(8)] = 2
    buckets: Annotated[int, Ge(2), Le(2**24)] = 2**18
    l2: Annotated[float, Gt(0)] = 1e-6

    def __post_init__(self) -> None:
        """Raises RecipeError where the ladder cannot be built."""
        super().__post_init__()
        if len(self.shapes) != len(self.tokens):
            what = f"{len(self.tokens)} lengths for {len(self.shapes)} shapes"
            raise RecipeError(f"{self.name()}.tokens", what, "Give each model its shape and its tokens.")
        if len(self.folders or self.shapes) < 2:
            where = f"{self.name()}.{'folders' if self.folders else 'shapes'}"
            raise RecipeError(where, "one model has no order", "Give at least 2, better 6.")

    def needs(self) -> tuple[Need, ...]:
        """A sample of the pool and the ladder; the target, where it must tell the ladder's order."""
        if self.folders:
            return (PoolText(), *(GivenModel(f"ladder_{i}", folder) for i, folder in enumerate(self.folders)))
        ladder = (
            TrainedModel(f"ladder_{i}", "pool", tokens, learning_rate=self.learning_rate, shape=shape, seed=i)
            for i, (shape, tokens) in enumerate(zip(self.shapes, self.tokens, strict=True))
        )
        return (TargetText(), PoolText(), *ladder)

    def fit(self, given: Given) -> FittedPreselect:
        """Order the models, label the sample, learn the labels."""
        ladder = [given.models[f"ladder_{i}"] for i in range(len(self.folders or self.shapes))]
        if not self.folders:
            ladder = by_target_loss(ladder, given.target)
        sample = draw(given.pool, self.sample_documents, given.seed)
        if len(sample) < 2:
            raise SeedbedError(f"{self.path()}, pool", f"{len(sample)} documents have tokens", "Give at least 2.")
        strength_N = predictive_strength(np.stack([bits_per_byte(model, sample) for model in ladder]))
        if strength_N.max() == strength_N.min():
            what = f"all {len(sample)} documents order the models alike"
            raise SeedbedError(self.path(), what, "Let the models differ more, or more than in size alone.")
        positive_R, negative_R = self._labels(strength_N, hashed(given.seed, keys_of(sample.ids)))
        x = self.features(sample.some(np.concatenate([positive_R, negative_R])))
        label_R = np.repeat([1.0, 0.0], [len(positive_R), len(negative_R)])
        return FittedPreselect(self, fit_logistic(x, label_R, l2=self.l2))

    def features(self, documents: DocumentBatch) -> Csr:
        """The share of each hashed n-gram in its document."""
        return hashed_ngrams(*documents.text_buffers(), ngrams=self.ngrams, buckets=self.buckets).scaled("mean")

    def _labels(
        self, strength_N: FloatArray, tie_N: npt.NDArray[np.uint64]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Rows of the positives, and of as many negatives."""
        n = len(strength_N)
        most = max(int(np.count_nonzero(strength_N == 1.0)), int(np.ceil(self.least_share * n)))
        order = order_by(strength_N, tie_N)
        each = min(most, n // 2)
        return order[:each], order[n - each :]


@dataclasses.dataclass(frozen=True)
class FittedPreselect:
    """Ready to measure."""

    law: Preselect
    model: LinearModel

    def measure(self, documents: DocumentBatch) -> pa.Table:
        """Log-odds of being predictive."""
        score_N = self.model.predict(self.law.features(documents))
        return arrow.table({"score": score_N}, signals_schema(Preselect.signals))


def predictive_strength(loss_MN: FloatArray) -> FloatArray:
    """strength_N: of all pairs of models, worst first, how many have the better one at the strictly lower loss."""
    worse_P, better_P = np.triu_indices(len(loss_MN), k=1)
    return np.count_nonzero(loss_MN[worse_P] > loss_MN[better_P], axis=0) / float(len(worse_P))


def bits_per_byte(model: LossModel, documents: DocumentBatch) -> FloatArray:
    """loss_N over the bytes of each text. Raises SeedbedError for a loss that is not finite, naming the document."""
    nats_N = model.document_losses(documents) * np.diff(documents.token_ids[1])
    wrong = np.flatnonzero(~np.isfinite(nats_N))
    if len(wrong):
        what = f"document {documents.ids[int(wrong[0])].hex()} has loss {nats_N[wrong[0]]} ({len(wrong)} such)"
        raise SeedbedError("preselect", what, "Losses must be finite: check the models of the ladder.")
    return nats_N / (np.log(2) * np.maximum(np.diff(documents.text_buffers()[1]), 1))


def by_target_loss(models: list[LossModel], target: Iterable[DocumentBatch]) -> list[LossModel]:
    """The models from the worst to the best, by bits per byte of the whole target; equal ones as they stand."""
    bits_M, n_bytes = np.zeros(len(models)), 0
    for batch in target:
        size_N = np.diff(batch.text_buffers()[1])
        n_bytes += int(size_N.sum())
        bits_M += [bits_per_byte(model, batch) @ np.maximum(size_N, 1) for model in models]
    if n_bytes == 0:
        raise SeedbedError("preselect, target", "there is no text in it", "Give documents with words.")
    return [models[i] for i in np.argsort(-bits_M, kind="stable")]
