"""Where a sample of numbers falls into two groups: Otsu's split, and the valley between two normal densities."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

_MOST = 10_000
_STEPS, _GRID = 300, 1024


@dataclasses.dataclass(frozen=True)
class Split:
    """Otsu's split in two.

    Args:
        threshold: midway between the largest number of the lower group and the smallest of the upper.
        explained: variance between the groups by variance in all: 0.64 for one normal, 0.75 for a uniform, 1 for two
            points.
    """

    threshold: float
    explained: float


@dataclasses.dataclass(frozen=True)
class Valley:
    """Two normal densities, the lower mean first.

    Args:
        threshold: where their sum is least between the means; None where it has no valley there.
        mean_2, deviation_2, share_2: of the two.
        separation: Ashman, Bird and Zepf's D, |difference of means| / root mean square deviation; above 2 two groups
            are told apart cleanly.
    """

    threshold: float | None
    mean_2: tuple[float, float]
    deviation_2: tuple[float, float]
    share_2: tuple[float, float]
    separation: float


def otsu(value_N: FloatArray) -> Split:
    """The split with the largest variance between groups (Otsu 1979); it never parts equal numbers."""
    v = np.sort(value_N)
    if len(v) < 2 or v[0] == v[-1]:
        return Split(float(v[0]) if len(v) else 0.0, 0.0)
    v_0 = v - v.mean()
    n, below = len(v), np.arange(1, len(v))
    sum_below = np.cumsum(v_0)[:-1]
    between = (sum_below / n) ** 2 / (below / n * (1 - below / n))
    best = int(np.argmax(between))
    return Split(float(v[best] + v[best + 1]) / 2, float(between[best] / (v_0**2).mean()))


def valley(value_N: FloatArray) -> Valley:
    """Two normals by expectation maximisation from Otsu's groups, and the valley of their sum.

    The order of the numbers does not matter; of more than 10,000, as many evenly spaced quantiles stand for all.
    """
    v = np.sort(value_N)
    if len(v) > _MOST:
        v = np.quantile(v, (np.arange(_MOST) + 0.5) / _MOST)
    split = otsu(v)
    if split.explained == 0:
        at = split.threshold
        return Valley(None, (at, at), (0.0, 0.0), (0.5, 0.5), 0.0)
    narrowest = 1e-3 * float(v.std())
    upper_N = (v > split.threshold).astype(np.float64)
    share_2, mean_2, deviation_2 = _moments(v, upper_N, narrowest)
    for _ in range(_STEPS):
        before = mean_2
        log_2N = _log_densities(v, share_2, mean_2, deviation_2)
        upper_N = np.exp(log_2N[1] - np.logaddexp(log_2N[0], log_2N[1]))
        share_2, mean_2, deviation_2 = _moments(v, upper_N, narrowest)
        if np.abs(mean_2 - before).max() < 1e-9 * v.std():
            break
    order = np.argsort(mean_2)
    share_2, mean_2, deviation_2 = share_2[order], mean_2[order], deviation_2[order]
    low, high = _pair(mean_2)
    at_G = low + (high - low) * np.arange(_GRID) / (_GRID - 1)
    least = int(np.argmin(np.logaddexp(*_log_densities(at_G, share_2, mean_2, deviation_2))))
    threshold = float(at_G[least]) if 0 < least < _GRID - 1 else None
    separation = (high - low) / float(np.sqrt((deviation_2**2).mean()))
    return Valley(threshold, (low, high), _pair(deviation_2), _pair(share_2), separation)


def _moments(v: FloatArray, upper_N: FloatArray, narrowest: float) -> tuple[FloatArray, FloatArray, FloatArray]:
    """(share_2, mean_2, deviation_2) where each number belongs to the upper group by the weight upper_N."""
    weight_2N = np.stack([1 - upper_N, upper_N])
    total_2 = np.maximum(weight_2N.sum(1), 1e-12)
    mean_2 = weight_2N @ v / total_2
    variance_2 = (weight_2N * (v - mean_2[:, None]) ** 2).sum(1) / total_2
    return total_2 / len(v), mean_2, np.maximum(np.sqrt(variance_2), narrowest)


def _log_densities(v: FloatArray, share_2: FloatArray, mean_2: FloatArray, deviation_2: FloatArray) -> FloatArray:
    z_2N = (v - mean_2[:, None]) / deviation_2[:, None]
    return np.log(share_2 / (deviation_2 * np.sqrt(2 * np.pi)))[:, None] - z_2N**2 / 2


def _pair(value_2: FloatArray) -> tuple[float, float]:
    return float(value_2[0]), float(value_2[1])
