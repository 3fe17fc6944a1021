"""Quad: keeps documents whose gradient, through the model's curvature, points at the target, from many clusters.

What      Influence of a document on the loss of the target, through the attention layers alone, with K-FAC for their
          curvature. Only some documents are asked: a bandit pulls clusters of the pool, those of high influence and
          those little known, and asks a few documents at each pull.
Source    Zhang, Zhong, Zhang, Chai, Wang, Zhuang, Bai, Wu, Qiu, Fan, He, Guo, Cao 2024, arXiv 2409.16986. Its code was
          not to be had: formulas are those of the paper as its readers tell them. K-FAC: arXiv 1503.05671.
Formula   influence_i = SUM over layers of <(outputs (x) inputs + damping)^-1 g_target, g_i>, g gradients of mean
          losses; inputs = E[x x^T], outputs = E[d d^T] over the pool's own tokens (the empirical Fisher's factors);
          damping = `damping` times the product's mean eigenvalue. Positive lowers the target's loss (the paper's sign,
          turned). A pull goes to the clusters of highest mean_k + alpha sd sqrt(2 ln(SUM_j n_j) / n_k), mean_k
          forgetting by `gamma` at each pull of its cluster. In units of sd, influences' deviation:
          score = influence where above tau; where not asked between tau - 1 and tau, by mean_k; else influence - 1
Shapes    documents -> cluster_N, asked_N, score_N; gradients of layers are (O, I)
Units     score in standard deviations of the influences asked, 0 where a step on the document changes nothing.
Fidelity  Adapted: the paper reads asked documents of influence above tau until a budget is full; here these come
          first, then unasked ones by their cluster's mean, then what was asked and found wanting (unsampled="mean"
          ranks all by influence alone). So no more than max_share of the pool need be asked. The bandit draws from a
          uniform sample of at most `candidates` documents, in 64 clusters of the model's own embeddings where the
          paper has 10,000 of BGE's over SlimPajama. Nothing is projected (Johnson-Lindenstrauss): gradients are not
          stored. The bonus is scaled by sd, so that alpha has no unit; alpha, gamma, tau are not the paper's, which
          were not to be had.
Errors    SeedbedError without a model, for a target or pool without tokens, and for gradients that are not finite.
          A document without tokens is not asked. Equal influences give scores of equal means.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping
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
    Scorer,
    TargetText,
    draw,
)
from seedbed.stats.bandit import Bandit
from seedbed.stats.kfac import Kronecker
from seedbed.stats.kmeans import kmeans, nearest
from seedbed.stats.sampling import Keys, keys_of
from seedbed.text.features import hashed_ngrams

AT_A_TIME = 8
"""Documents whose gradients are in memory at the same time."""

BUCKETS = 512
"""That words are hashed into where documents are clustered by them."""

IntArray = npt.NDArray[np.int64]
Influence = Callable[[IntArray], FloatArray]
"""Rows -> influence of each."""


@dataclasses.dataclass(frozen=True)
class Quad(Scorer):
    """Parameters of the influence, the clusters and the bandit.

    Args:
        layers: of which gradients are taken.
        n_reference: documents of the target that the loss is taken on.
        n_factors: documents of the pool that the curvature is taken from.
        damping: added to the curvature, in its mean eigenvalues.
        clusters: how many; fewer where fewer documents are asked.
        features: what documents are clustered by: the model's embeddings (a pass over the pool), or hashed words.
        candidates: documents of the pool that the bandit draws from.
        n_probes: documents that are asked.
        max_share: the largest share of the pool's documents that is asked.
        arms: clusters pulled at each round.
        pull: documents asked at a pull.
        alpha: how much clusters are favoured that are little known.
        gamma: what an influence counts one pull of its cluster later.
        tau: influence, in standard deviations, above which a document is taken.
        unsampled: where documents that were not asked rank: behind those taken, or by their cluster's mean alone.
    """

    signals = (
        Signal("cluster", "number of the cluster", "int", low=0),
        Signal("asked", "1 where the document's own influence was taken", "int", low=0, high=1),
        Signal("score", "standard deviations of influence, higher means keep"),
    )
    rounds: ClassVar[int] = 2

    layers: Literal["attention", "feed_forward", "all"] = "attention"
    n_reference: Annotated[int, Gt(0)] = 256
    n_factors: Annotated[int, Gt(0)] = 256
    damping: Annotated[float, Gt(0)] = 0.1
    clusters: Annotated[int, Ge(1), Le(100_000)] = 64
    features: Literal["embeddings", "ngrams"] = "embeddings"
    candidates: Annotated[int, Gt(0)] = 10_000
    n_probes: Annotated[int, Gt(0)] = 2_000
    max_share: Annotated[float, Gt(0), Le(1)] = 0.3
    arms: Annotated[int, Gt(0)] = 4
    pull: Annotated[int, Gt(0)] = 8
    alpha: Annotated[float, Ge(0)] = 1.0
    gamma: Annotated[float, Gt(0), Le(1)] = 1.0
    tau: float = 0.0
    unsampled: Literal["behind", "mean"] = "behind"

    def needs(self) -> tuple[Need, ...]:
        """Target text, samples of the pool, and gradients of the arm's own model."""
        return (TargetText(), PoolText(), Gradients())

    def fit(self, given: Given) -> FittedQuad:
        """Take curvature and direction, cluster a sample of the pool, and let the bandit ask."""
        if given.gradients is None:
            raise SeedbedError(self.path(), "there is no model to take gradients of", "Use it in `seedbed compare`.")
        reference = draw(given.target, self.n_reference, given.seed)
        sample = draw(given.pool, self.n_factors, given.seed + 1)
        walked = _Counted(given.pool)
        candidates = draw(walked, self.candidates, given.seed + 2)
        for side, documents in (("target", reference), ("pool", candidates)):
            if not len(documents):
                raise SeedbedError(f"{self.path()}, {side}", "there is no token in it", "Give documents with text.")
        n = max(1, min(self.n_probes, int(self.max_share * walked.documents), len(candidates)))
        direction = self.direction(given.gradients, reference, sample)
        points = Points(self.features, given.gradients)
        found = kmeans(points.of(candidates), min(self.clusters, n), seed=given.seed)
        asked = self.explore(_Asking(given.gradients, direction, candidates, self.path()), found.label_N, n)
        return self._fitted(points, found.centre_KD, asked, keys_of(candidates.ids), n / max(walked.documents, 1))

    def direction(
        self, gradients: GradientModel, reference: DocumentBatch, sample: DocumentBatch
    ) -> dict[str, FloatArray]:
        """layer -> (outputs (x) inputs + damping)^-1 times the gradient of the reference's loss, (O, I)."""
        layers = gradients.layers(self.layers)
        size_N = np.diff(reference.token_ids[1])
        total = dict.fromkeys(layers, np.zeros(()))
        for rows in _chunks(len(reference)):
            for layer, gradient_NOI in gradients.gradients(reference.some(rows), layers).items():
                total[layer] = total[layer] + np.tensordot(size_N[rows] / size_N.sum(), gradient_NOI, 1)
        found: dict[str, FloatArray] = {}
        for layer, (input_II, output_OO) in gradients.factors(sample, layers).items():
            curvature = Kronecker.of(input_II, output_OO)
            found[layer] = curvature.solve(total[layer], max(self.damping * curvature.mean, np.finfo(np.float64).tiny))
        return found

    def explore(self, influence: Influence, label_N: IntArray, n: int) -> Asked:
        """Let the bandit ask n of the documents with these labels; of each cluster in their order."""
        K = int(label_N.max()) + 1
        waiting = [np.flatnonzero(label_N == k) for k in range(K)]
        bandit = Bandit(K, alpha=self.alpha, decay=self.gamma)
        pull = max(1, min(self.pull, n // K))  # so that every cluster is pulled
        rows: list[IntArray] = []
        values: list[FloatArray] = []
        left = n
        while left:
            arms = bandit.best(self.arms, np.array([len(rest) > 0 for rest in waiting]))
            for arm in arms:
                taken, waiting[arm] = np.split(waiting[arm], [min(pull, left)])
                left -= len(taken)
                rows.append(taken)
                values.append(influence(taken))
                bandit.tell(arm, values[-1])
        return Asked(np.concatenate(rows), np.concatenate(values), bandit)

    def _fitted(self, points: Points, centre_KD: FloatArray, asked: Asked, key_N: Keys, share: float) -> FittedQuad:
        spread = asked.bandit.deviation or 1.0
        value_P, mean_K = asked.value_P / spread, asked.bandit.mean_K / spread
        key_P = key_N[asked.row_P]
        order = np.argsort(key_P)
        pulled_K = asked.bandit.pulls_K / asked.bandit.pulls_K.sum()
        told = {
            "asked": float(len(value_P)),
            "asked_share": share,
            "taken": float((value_P > self.tau).sum()),
            "spread": spread,
            "entropy": float(-(pulled_K * np.log(np.maximum(pulled_K, 1e-300))).sum()),
        }
        return FittedQuad(self, points, centre_KD, mean_K, key_P[order], value_P[order], told)


@dataclasses.dataclass(frozen=True)
class Asked:
    """What the bandit asked: rows, their influences, and what it knows of the clusters."""

    row_P: IntArray
    value_P: FloatArray
    bandit: Bandit


@dataclasses.dataclass(frozen=True)
class _Asking:
    """Influences by rows of some documents; it calls itself by the method's path in errors."""

    gradients: GradientModel
    direction: Mapping[str, FloatArray]
    documents: DocumentBatch
    path: str

    def __call__(self, row_P: IntArray) -> FloatArray:
        value_P = np.zeros(len(row_P))
        for rows in _chunks(len(row_P)):
            some = self.documents.some(row_P[rows])
            for layer, gradient_NOI in self.gradients.gradients(some, tuple(self.direction)).items():
                value_P[rows] += np.tensordot(gradient_NOI, self.direction[layer], 2)
        if not np.all(np.isfinite(value_P)):
            wrong = self.documents.ids[int(row_P[int(np.argmin(np.isfinite(value_P)))])].hex()
            raise SeedbedError(self.path, f"the gradient of document {wrong} is not finite", "Check the model.")
        return value_P


@dataclasses.dataclass(frozen=True)
class Points:
    """Documents as points that are clustered: of length 1, or 0 where there is nothing."""

    features: Literal["embeddings", "ngrams"]
    gradients: GradientModel

    def of(self, documents: DocumentBatch) -> FloatArray:
        """point_ND."""
        if self.features == "embeddings":
            point_ND = self.gradients.embeddings(documents).astype(np.float64)
        else:
            counts = hashed_ngrams(*documents.text_buffers(), ngrams=1, buckets=BUCKETS)
            point_ND = np.zeros((len(documents), BUCKETS))
            point_ND[np.repeat(np.arange(len(documents)), np.diff(counts.indptr_N1)), counts.index] = counts.value
        length_N = np.sqrt((point_ND**2).sum(axis=1, keepdims=True))
        return point_ND / np.where(length_N > 0, length_N, 1.0)


@dataclasses.dataclass(frozen=True)
class FittedQuad:
    """Ready to measure. Influences are in standard deviations.

    Args:
        law, points, centre_KD: what was asked for, and where the clusters are.
        mean_K: influence of each cluster.
        key_P, value_P: of the documents that were asked, by ascending key.
        told: asked documents and their share of the pool, how many are taken, the deviation of influences before they
            were scaled, and the entropy of the pulls over clusters, in nats.
    """

    law: Quad
    points: Points
    centre_KD: FloatArray
    mean_K: FloatArray
    key_P: Keys
    value_P: FloatArray
    told: Mapping[str, float] = dataclasses.field(default_factory=dict[str, float])

    def measure(self, documents: DocumentBatch) -> pa.Table:
        """Own influences where they were asked, means of clusters elsewhere."""
        cluster_N = nearest(self.points.of(documents), self.centre_KD)[0]
        key_N = keys_of(documents.ids)
        place_N = np.minimum(np.searchsorted(self.key_P, key_N), len(self.key_P) - 1)
        asked_N = self.key_P[place_N] == key_N
        influence_N = np.where(asked_N, self.value_P[place_N], self.mean_K[cluster_N])
        columns = {"cluster": cluster_N, "asked": asked_N.astype(np.int64), "score": self._score(influence_N, asked_N)}
        return arrow.table(columns, signals_schema(Quad.signals))

    def _score(self, influence_N: FloatArray, asked_N: npt.NDArray[np.bool_]) -> FloatArray:
        """Three tiers, each in the order of its influences; or one."""
        if self.law.unsampled == "mean":
            return influence_N
        behind_N = self.law.tau - 0.5 * (1 - np.tanh(influence_N / 2))  # between tau - 1 and tau
        own_N = np.where(influence_N > self.law.tau, influence_N, influence_N - 1)
        return np.where(asked_N, own_N, behind_N)


class _Counted:
    """Batches on their way, and how many documents they held."""

    def __init__(self, batches: Iterable[DocumentBatch]) -> None:
        self._batches, self.documents = batches, 0

    def __iter__(self) -> Iterator[DocumentBatch]:
        for batch in self._batches:
            self.documents += len(batch)
            yield batch


def _chunks(n: int) -> Iterator[IntArray]:
    for first in range(0, n, AT_A_TIME):
        yield np.arange(first, min(first + AT_A_TIME, n))
