"""Several questions at once: p-values and intervals that hold for all of them together.

Of twenty true nulls tested at 5 % each, one is called a finding; adjusted, a finding anywhere is that rare.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import special as scipy_special

from seedbed.stats.intervals import Interval, mean_interval

FloatArray = npt.NDArray[np.float64]
_special: Any = scipy_special


def mean_p(values: FloatArray) -> float | None:
    """Two-sided p of Student's t that the mean of independent values is 0; None for fewer than two values.

    Without any spread it is 0, or 1 where all values are 0.
    """
    n = len(values)
    if n < 2:
        return None
    mean, error = float(np.mean(values)), float(np.std(values, ddof=1)) / n**0.5
    if error == 0:
        return 1.0 if mean == 0 else 0.0
    return 2 * float(_special.stdtr(n - 1, -abs(mean / error)))


def holm(p_M: FloatArray) -> FloatArray:
    """Adjusted p-values: rejecting those at or below alpha errs anywhere with at most alpha, however they depend.

    Holm 1979, Scandinavian Journal of Statistics 6:65-70. The smallest is multiplied by M, the next by M - 1, and so
    on; none falls below an earlier one, none passes 1. Raises ValueError for a p outside 0 to 1.
    """
    p_M = np.asarray(p_M, np.float64)
    if not np.all((p_M >= 0) & (p_M <= 1)):
        raise ValueError("a p-value lies between 0 and 1")
    order = np.argsort(p_M, kind="stable")
    stepped = np.maximum.accumulate(p_M[order] * np.arange(len(p_M), 0, -1))
    adjusted = np.empty_like(p_M)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted


def simultaneous_intervals(values: Sequence[FloatArray], level: float = 0.95) -> list[Interval]:
    """Student's t intervals of M means, wide enough that all hold at once with `level` (Bonferroni, any dependence).

    The level that each carries is that of all together.
    """
    own = 1 - (1 - level) / max(len(values), 1)
    found = [mean_interval(np.asarray(one, np.float64), own) for one in values]
    return [Interval(one.value, one.low, one.high, level, one.n) for one in found]
