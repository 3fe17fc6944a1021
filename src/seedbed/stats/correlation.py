"""How sure a correlation is: intervals by Fisher's transform, and the share of shuffles that reach it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import special as scipy_special
from scipy import stats as scipy_stats

from seedbed.stats.intervals import Interval
from seedbed.stats.ranks import spearman

FloatArray = npt.NDArray[np.float64]

_special: Any = scipy_special
_stats: Any = scipy_stats


def pearson_interval(r: float, n: int, level: float = 0.95) -> Interval:
    """Of Pearson's r of n pairs: atanh r is about normal with variance 1 / (n - 3) (Fisher 1921).

    No bounds for n < 4; an r of 1 is its own.
    """
    return _transformed(r, r, n, 1.0, level)


def spearman_interval(a_N: FloatArray, b_N: FloatArray, level: float = 0.95) -> Interval:
    """Spearman's rho of n pairs, with variance (1 + rho^2 / 2) / (n - 3) (Bonett and Wright 2000).

    The bounds of a rho of 1 are those of the next lower rho that n ranks can have, except for the end at 1.
    """
    n, rho = len(a_N), spearman(a_N, b_N)
    most = 1 - 12 / (n * (n * n - 1)) if n > 2 else 0.0
    return _transformed(rho, min(most, max(-most, rho)), n, 1 + rho * rho / 2, level)


def shuffled_p(a_N: FloatArray, b_N: FloatArray, *, seed: int, shuffles: int = 9999) -> float:
    """Two-sided p of Spearman's rho: how often pairs made at random reach it."""
    if len(a_N) != len(b_N):
        raise ValueError(f"{len(a_N)} and {len(b_N)} entries")
    rank_N, other_N = (np.asarray(_stats.rankdata(side), np.float64) for side in (a_N, b_N))
    rank_N -= rank_N.mean()
    shuffled_SN = np.random.default_rng(seed).permuted(np.tile(other_N, (shuffles, 1)), axis=1)
    # the deviations of the ranks are the same in every shuffle: products are compared instead of correlations
    reached = np.abs(shuffled_SN @ rank_N) >= abs(float(other_N @ rank_N)) * (1 - 1e-12)
    return (1 + int(np.count_nonzero(reached))) / (1 + shuffles)


def _transformed(value: float, centre: float, n: int, variance: float, level: float) -> Interval:
    if n < 4:
        return Interval(value, None, None, level, n)
    if abs(centre) >= 1:
        return Interval(value, value, value, level, n)
    half = float(_special.ndtri((1 + level) / 2)) * math.sqrt(variance / (n - 3))
    middle = math.atanh(centre)
    return Interval(value, min(math.tanh(middle - half), value), max(math.tanh(middle + half), value), level, n)
