"""Clusters: puts documents of like words together, and says how far each lies from the middle of its cluster.

What      k-means over the pool's documents, for selectors that spread a budget over clusters (quotas by "cluster") or
          prefer what is not typical of its cluster.
Source    Tirumala, Simig, Aghajanyan, Morcos 2023, D4, arXiv 2308.12284, section 3 (clusters, then prototypicality);
          Sorscher et al. 2022, arXiv 2206.14486 (keep what lies far from its prototype); Abbas et al. 2023, SemDeDup,
          arXiv 2303.09540. Random projection: Achlioptas 2003, J. Computer and System Sciences 66:671-687.
Formula   x = unit(ln(1 + count_b) * ln((1 + n) / (1 + documents with b))) over buckets b of hashed words
          z = unit(x R), R of random signs; cluster = argmin_k |z - c_k|; distance = |z - c_cluster|
          score = distance (score="far"), -distance ("near") or 0 ("none")
Shapes    documents -> cluster_N, distance_N, score_N
Units     distance without unit, from 0 to 2.
Fidelity  Partial: the papers embed documents with a language model (OPT 125M in D4), in 11,000 clusters; here words
          in projection, which tell topics and languages apart but not meaning. Near-duplicates are dedup's.
Errors    SeedbedError for a pool without tokens. A pool with fewer different documents than clusters gets fewer of
          them. A document without words is at the origin, at its distance from the nearest centre.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated, Literal

import numpy as np
import pyarrow as pa
from annotated_types import Ge, Gt, Le

from seedbed.core import arrow
from seedbed.core.errors import SeedbedError
from seedbed.core.nouns import DocumentBatch, Signal, signals_schema
from seedbed.select.contract import FloatArray, Given, Need, PoolText, Scorer, draw
from seedbed.stats.kmeans import kmeans, nearest
from seedbed.stats.linear import LinearModel
from seedbed.text.features import Csr, hashed_ngrams


@dataclasses.dataclass(frozen=True)
class Clusters(Scorer):
    """Parameters of the features and the clusters.

    Args:
        clusters: how many.
        score: whether what is far from its centre is kept first, or what is near, or neither.
        sample_documents: documents of the pool that the centres are found on.
        buckets: how many the words are hashed into.
        dimensions: of the random projection.
        max_iterations: of k-means.
        seed: of the projection and of the first centres.
    """

    signals = (
        Signal("cluster", "number of the cluster", "int", low=0),
        Signal("distance", "Euclidean", low=0, high=2),
        Signal("score", "distance or its negative, higher means keep", low=-2, high=2),
    )

    clusters: Annotated[int, Ge(1), Le(100_000)] = 64
    score: Literal["far", "near", "none"] = "far"
    sample_documents: Annotated[int, Gt(0)] = 20_000
    buckets: Annotated[int, Ge(2), Le(2**20)] = 2**15
    dimensions: Annotated[int, Ge(1), Le(4096)] = 128
    max_iterations: Annotated[int, Gt(0)] = 50
    seed: int = 0

    def needs(self) -> tuple[Need, ...]:
        """A sample of the pool."""
        return (PoolText(),)

    def fit(self, given: Given) -> FittedClusters:
        """Find the centres. Raises SeedbedError where the pool has no tokens."""
        sample = draw(given.pool, self.sample_documents, given.seed)
        if not len(sample):
            raise SeedbedError(f"{self.path()}, pool", "there is no text in it", "Give documents with words.")
        counts = hashed_ngrams(*sample.text_buffers(), ngrams=1, buckets=self.buckets)
        rarity_B = np.log((1 + len(sample)) / (1 + np.bincount(counts.index, minlength=self.buckets)))
        coins = np.random.default_rng(self.seed).integers(0, 2, (self.buckets, self.dimensions))
        projection = LinearModel(np.where(coins, 1.0, -1.0), np.zeros(self.dimensions))
        found = kmeans(_points(counts, rarity_B, projection), self.clusters, seed=self.seed,
                       max_iterations=self.max_iterations)  # fmt: skip
        return FittedClusters(self, rarity_B, projection, found.centre_KD)


@dataclasses.dataclass(frozen=True)
class FittedClusters:
    """Ready to measure."""

    law: Clusters
    rarity_B: FloatArray
    projection: LinearModel
    centre_KD: FloatArray

    def measure(self, documents: DocumentBatch) -> pa.Table:
        """Nearest centre and the distance to it."""
        counts = hashed_ngrams(*documents.text_buffers(), ngrams=1, buckets=self.law.buckets)
        cluster_N, distance_N = nearest(_points(counts, self.rarity_B, self.projection), self.centre_KD)
        sign = {"far": 1.0, "near": -1.0, "none": 0.0}[self.law.score]
        columns = {"cluster": cluster_N, "distance": distance_N, "score": sign * distance_N}
        return arrow.table(columns, signals_schema(Clusters.signals))


def _points(counts: Csr, rarity_B: FloatArray, projection: LinearModel) -> FloatArray:
    """point_ND: words weighed by rarity, projected, of length 1."""
    value = np.log1p(counts.value) * rarity_B[counts.index]
    point_ND = projection.predict(dataclasses.replace(counts, value=value.astype(np.float32)))
    length_N = np.sqrt(np.sum(point_ND**2, axis=1, keepdims=True))
    return point_ND / np.where(length_N > 0, length_N, 1.0)
