"""Intervals: how far a number could be off, from the spread of its repetitions.

Student's t for means of a few seeds, the bootstrap for everything that is no mean. Bootstraps are seeded.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt
from scipy import special as scipy_special

FloatArray = npt.NDArray[np.float64]
_special: Any = scipy_special


@dataclasses.dataclass(frozen=True)
class Interval:
    """A number and where it could lie.

    Args:
        value: the estimate.
        low, high: the bounds; None where n is too small to give any (one observation has no spread).
        level: the share of such intervals that hold the truth.
        n: how many independent observations it rests on.
    """

    value: float
    low: float | None
    high: float | None
    level: float
    n: int

    @property
    def excludes_zero(self) -> bool:
        """Whether both bounds lie on one side of 0; False where there are none."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


def t_quantile(probability: float, freedom: int) -> float:
    """The quantile of Student's t."""
    return float(_special.stdtrit(freedom, probability))


def mean_interval(values: FloatArray, level: float = 0.95) -> Interval:
    """Student's t interval of the mean of independent values. Raises ValueError for none or a non-finite one."""
    if len(values) == 0 or not np.all(np.isfinite(values)):
        raise ValueError("a mean needs at least one value, and finite ones")
    mean, n = float(np.mean(values)), len(values)
    if n == 1:
        return Interval(mean, None, None, level, 1)
    half = t_quantile((1 + level) / 2, n - 1) * float(np.std(values, ddof=1)) / n**0.5
    return Interval(mean, mean - half, mean + half, level, n)


def share_interval(share: float, n: float, level: float = 0.95) -> Interval:
    """Wilson's interval (1927) of a share seen in n independent trials; n may be an effective number of them."""
    if n <= 0:
        raise ValueError("a share needs at least one trial")
    z = float(_special.ndtri((1 + level) / 2))
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * (share * (1 - share) / n + z * z / (4 * n * n)) ** 0.5
    return Interval(share, max(0.0, middle - half), min(1.0, middle + half), level, int(n))


def paired_interval(first: FloatArray, second: FloatArray, level: float = 0.95) -> Interval:
    """The mean of first - second over pairs (the same seed, the same item), with Student's t interval."""
    if len(first) != len(second):
        raise ValueError("pairs need two lists of one length")
    return mean_interval(first - second, level)


def bootstrap_interval(
    values: npt.NDArray[Any],
    statistic: Callable[[npt.NDArray[Any]], float],
    *,
    seed: int,
    level: float = 0.95,
    resamples: int = 1000,
    kind: Literal["percentile", "bca"] = "percentile",
) -> Interval:
    """The bootstrap interval of a statistic of the rows of `values`.

    "bca" corrects for bias and skew (Efron 1987, JASA 82:171-185); it costs one more evaluation a row.
    """
    n = len(values)
    if n == 0:
        raise ValueError("a bootstrap needs at least one row")
    point = float(statistic(values))
    if n == 1:
        return Interval(point, None, None, level, 1)
    rng = np.random.default_rng(seed)
    drawn = np.array([float(statistic(values[rng.integers(0, n, n)])) for _ in range(resamples)], np.float64)
    tails = np.array([(1 - level) / 2, (1 + level) / 2])
    if kind == "bca":
        tails = _bca_tails(values, statistic, point, drawn, tails)
    low, high = (float(bound) for bound in np.quantile(drawn, tails))
    return Interval(point, low, high, level, n)


def _bca_tails(
    values: npt.NDArray[Any],
    statistic: Callable[[npt.NDArray[Any]], float],
    point: float,
    drawn: FloatArray,
    tails: FloatArray,
) -> FloatArray:
    """The two probabilities at which BCa reads the bootstrap distribution."""
    below = float(np.mean(np.less(drawn, point)) + np.mean(np.equal(drawn, point)) / 2)
    if not 0 < below < 1:
        return tails  # the point lies outside all resamples: there is nothing to correct with
    bias = float(_special.ndtri(below))
    rows = np.arange(len(values))
    left_out = np.array([float(statistic(values[rows != i])) for i in rows], np.float64)
    spread = left_out.mean() - left_out
    scale = 6 * float(np.sum(spread**2)) ** 1.5
    acceleration = float(np.sum(spread**3)) / scale if scale > 0 else 0.0
    shifted = bias + cast(FloatArray, _special.ndtri(tails))
    return cast(FloatArray, _special.ndtr(bias + shifted / (1 - acceleration * shifted)))
