"""k-means: Lloyd's iterations from k-means++ seeds (Arthur and Vassilvitskii 2007), each step deterministic.

A point's nearest centre and its distance are computed from that point alone, so they do not depend on its neighbours.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.spatial import distance as scipy_distance

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_distance: Any = scipy_distance
_POINTS_AT_A_TIME = 4096


@dataclasses.dataclass(frozen=True)
class KMeans:
    """What was found.

    Args:
        centre_KD: the means; fewer than asked for where there are fewer different points.
        label_N: the nearest centre of each point.
        inertia: the sum of squared distances to it.
        n_iterations: until no label changed, or as many as were allowed.
    """

    centre_KD: FloatArray
    label_N: IntArray
    inertia: float
    n_iterations: int


def kmeans(point_ND: FloatArray, k: int, *, seed: int, max_iterations: int = 50) -> KMeans:
    """At most k clusters. Raises ValueError for no point, points that are not finite, or k below 1.

    A cluster that loses its last point begins anew at the point farthest from its centre.
    """
    if k < 1 or len(point_ND) == 0 or not np.all(np.isfinite(point_ND)):
        raise ValueError(f"{k} clusters of {len(point_ND)} points: there must be at least one of each, and finite ones")
    centre_KD = _spread(point_ND, k, np.random.default_rng(seed))
    label_N, distance_N = nearest(point_ND, centre_KD)
    n = 0
    while n < max_iterations:
        n += 1
        centre_KD = _means(point_ND, label_N, distance_N, centre_KD)
        before_N = label_N
        label_N, distance_N = nearest(point_ND, centre_KD)
        if np.array_equal(before_N, label_N):
            break
    return KMeans(centre_KD, label_N, float(np.sum(distance_N**2)), n)


def nearest(point_ND: FloatArray, centre_KD: FloatArray) -> tuple[IntArray, FloatArray]:
    """(label_N, distance_N): the nearest centre, the first of equals, and how far it is (Euclidean)."""
    label_N, distance_N = np.zeros(len(point_ND), np.int64), np.zeros(len(point_ND))
    for start in range(0, len(point_ND), _POINTS_AT_A_TIME):
        here = slice(start, start + _POINTS_AT_A_TIME)
        square_NK = np.asarray(_distance.cdist(point_ND[here], centre_KD, "sqeuclidean"), np.float64)
        label_N[here] = square_NK.argmin(axis=1)
        distance_N[here] = np.sqrt(square_NK.min(axis=1))
    return label_N, distance_N


def _spread(point_ND: FloatArray, k: int, rng: np.random.Generator) -> FloatArray:
    """k-means++: each next seed is a point drawn in proportion to its squared distance to the seeds so far."""
    chosen = [int(rng.integers(len(point_ND)))]
    square_N = nearest(point_ND, point_ND[chosen])[1] ** 2
    while len(chosen) < k and square_N.max() > 0:
        sum_N = np.cumsum(square_N)
        chosen.append(int(np.argmax(sum_N > rng.random() * sum_N[-1])))
        square_N = np.minimum(square_N, nearest(point_ND, point_ND[chosen[-1:]])[1] ** 2)
    return point_ND[chosen].copy()


def _means(point_ND: FloatArray, label_N: IntArray, distance_N: FloatArray, centre_KD: FloatArray) -> FloatArray:
    k = len(centre_KD)
    count_K = np.bincount(label_N, minlength=k)
    order_N = np.argsort(label_N, kind="stable")
    full_K = np.flatnonzero(count_K)
    mean_KD = centre_KD.copy()
    starts = (np.cumsum(count_K) - count_K)[full_K]
    mean_KD[full_K] = np.add.reduceat(point_ND[order_N], starts, axis=0) / count_K[full_K, None]
    empty_K = np.flatnonzero(count_K == 0)
    if len(empty_K):
        mean_KD[empty_K] = point_ND[np.argsort(-distance_N, kind="stable")[: len(empty_K)]]
    return mean_KD
