"""CRPS: how far a forecast that is a distribution lay from what came, in the unit of the answer; 0 is best.

The continuous ranked probability score (Matheson and Winkler 1976, Management Science 22:1087-1096) is the integral
over x of (F(x) - [observed <= x])^2. For a forecast that is one number it is the absolute error. Both functions are
exact.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


def crps_of_sample(sample_R: FloatArray, observed: float) -> float:
    """Of equally likely numbers: mean |X - observed| - mean |X - X'| / 2. Raises ValueError for none."""
    n = len(sample_R)
    if not n or not np.all(np.isfinite(sample_R)) or not np.isfinite(observed):
        raise ValueError("a score needs at least one number and what came, all finite")
    ordered = np.sort(sample_R)
    rank = 2 * np.arange(1, n + 1) - n - 1
    return float(np.mean(np.abs(ordered - observed)) - np.sum(rank * ordered) / n**2)


def crps_of_quantiles(quantile_Q: FloatArray, observed: float) -> float:
    """Of evenly spaced quantiles from 0 to 1, the distribution between two of them being even.

    The integral over p of twice the quantile loss, (1 - p)(q - observed) above what came and p (observed - q) below; a
    parabola on each piece, which Simpson's rule gives exactly. Raises ValueError for fewer than two quantiles, and for
    quantiles that fall.
    """
    if len(quantile_Q) < 2 or not np.all(np.isfinite(quantile_Q)) or not np.isfinite(observed):
        raise ValueError("a score needs at least two quantiles and what came, all finite")
    rise = np.diff(quantile_Q)
    if np.any(rise < 0):
        raise ValueError("quantiles do not fall")
    p = np.linspace(0.0, 1.0, len(quantile_Q))
    reached = np.clip((observed - quantile_Q[:-1]) / np.where(rise > 0, rise, 1.0), 0.0, 1.0)
    reached = np.where(rise > 0, reached, np.where(quantile_Q[:-1] <= observed, 1.0, 0.0))
    middle_p, middle = p[:-1] + reached * np.diff(p), quantile_Q[:-1] + reached * rise
    below = _simpson(p[:-1], middle_p, observed - quantile_Q[:-1], observed - middle, is_below=True)
    above = _simpson(middle_p, p[1:], middle - observed, quantile_Q[1:] - observed, is_below=False)
    return float(2 * (below.sum() + above.sum()))


def _simpson(
    from_p: FloatArray, to_p: FloatArray, from_gap: FloatArray, to_gap: FloatArray, *, is_below: bool
) -> FloatArray:
    """The integral of a gap that is linear in p, times p (below what came) or 1 - p (above)."""
    p = np.stack([from_p, (from_p + to_p) / 2, to_p])
    gap = np.stack([from_gap, (from_gap + to_gap) / 2, to_gap])
    first, mid, last = gap * (p if is_below else 1 - p)
    return (to_p - from_p) * (first + 4 * mid + last) / 6
