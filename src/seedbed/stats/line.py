"""A straight line through points by least squares: its slope, how sure it is, and where a new point would lie."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import special as scipy_special

from seedbed.stats.intervals import Interval, t_quantile

FloatArray = npt.NDArray[np.float64]

_special: Any = scipy_special


@dataclasses.dataclass(frozen=True)
class Line:
    """y = intercept + slope * x.

    Args:
        intercept: at x = 0.
        slope: of the line.
        correlation: Pearson's r; 0 where y does not vary.
        spread: deviation of the points from the line, by n - 2.
        middle: mean of x.
        square: SUM (x - middle)^2.
        n: points.
    """

    intercept: float
    slope: float
    correlation: float
    spread: float
    middle: float
    square: float
    n: int

    @property
    def p_value(self) -> float:
        """Two-sided, of a slope of 0, which is that of r = 0: Student's t with n - 2 degrees of freedom."""
        if abs(self.correlation) >= 1:
            return 0.0
        t = abs(self.correlation) * math.sqrt((self.n - 2) / (1 - self.correlation**2))
        return 2 * float(_special.stdtr(self.n - 2, -t))

    def slope_interval(self, level: float = 0.95) -> Interval:
        """Student's t interval of the slope."""
        return self._interval(self.slope, self.spread / math.sqrt(self.square), level)

    def intercept_interval(self, level: float = 0.95) -> Interval:
        """Student's t interval of the intercept."""
        error = self.spread * math.sqrt(1 / self.n + self.middle**2 / self.square)
        return self._interval(self.intercept, error, level)

    def at(self, x: float) -> float:
        """The line's height."""
        return self.intercept + self.slope * x

    def error_at(self, x: float) -> float:
        """The standard error of one new point at x: of the line there, and of the point about it."""
        return self.spread * math.sqrt(1 + 1 / self.n + (x - self.middle) ** 2 / self.square)

    def new_point(self, x: float, level: float = 0.95) -> Interval:
        """Where one new point at x would lie."""
        return self._interval(self.at(x), self.error_at(x), level)

    def _interval(self, value: float, error: float, level: float) -> Interval:
        half = t_quantile((1 + level) / 2, self.n - 2) * error
        return Interval(value, value - half, value + half, level, self.n)


def straight_line(x_N: FloatArray, y_N: FloatArray) -> Line:
    """The line of least squares. Raises ValueError for fewer than 3 points or where all x are one."""
    if len(x_N) != len(y_N) or len(x_N) < 3:
        raise ValueError(f"a line needs 3 points, not {len(x_N)} and {len(y_N)}")
    middle, level = float(x_N.mean()), float(y_N.mean())
    across_N, up_N = x_N - middle, y_N - level
    square, height = float(across_N @ across_N), float(up_N @ up_N)
    if not square > 0 or np.ptp(x_N) == 0:
        raise ValueError("a line needs two different x")
    slope = float(across_N @ up_N) / square
    rest_N = up_N - slope * across_N
    spread = math.sqrt(float(rest_N @ rest_N) / (len(x_N) - 2))
    r = float(across_N @ up_N) / math.sqrt(square * height) if height > 0 else 0.0
    return Line(level - slope * middle, slope, min(1.0, max(-1.0, r)), spread, middle, square, len(x_N))
