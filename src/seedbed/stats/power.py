"""A power with a constant, y = a x^s + b, that stays one curve where s goes through 0 and it becomes a logarithm.

y = level + slope (x^s - 1) / s, so a = slope / s and b = level - a; at s = 0 it is level + slope ln x.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


def power(level: float, slope: float, s: float, log_x_N: FloatArray) -> tuple[FloatArray, FloatArray]:
    """(y_N, jacobian_N3 by level, slope and s)."""
    z_N = s * log_x_N
    near_N = np.abs(z_N) < 1e-3
    safe_N = np.where(near_N, 1.0, z_N)
    rise_N = np.where(near_N, 1 + z_N / 2 + z_N**2 / 6, np.expm1(safe_N) / safe_N)  # (e^z - 1) / z
    bend_N = (safe_N * np.exp(safe_N) - np.expm1(safe_N)) / safe_N**2  # its derivative
    bend_N = np.where(near_N, 0.5 + z_N / 3 + z_N**2 / 8, bend_N)
    jacobian = [np.ones(len(z_N)), log_x_N * rise_N, slope * log_x_N**2 * bend_N]
    return level + slope * log_x_N * rise_N, np.stack(jacobian, axis=1)


def factor_and_constant(level: float, slope: float, s: float, log_unit: float = 0.0) -> tuple[float, float]:
    """(a, b) of a (x / unit)^s + b, with `log_unit` the logarithm of the unit; vast where s is almost 0."""
    s = s if abs(s) > 1e-9 else 1e-9
    return slope / s * float(np.exp(np.clip(s * log_unit, -700, 700))), level - slope / s


def fit_power(log_x_N: FloatArray, y_N: FloatArray, low: float = -4.0, high: float = 4.0) -> tuple[float, float, float]:
    """(level, slope, s) of the least squares with s between `low` and `high`."""
    best = (np.inf, 0.0, 0.0, low)
    while high - low > 1e-7:
        step = (high - low) / 40
        best = min(_line(log_x_N, y_N, low + i * step) for i in range(41))
        low, high = max(low, best[3] - step), min(high, best[3] + step)
    return best[1:] if np.isfinite(best[0]) else _line(log_x_N, y_N, low)[1:]


def _line(log_x_N: FloatArray, y_N: FloatArray, s: float) -> tuple[float, float, float, float]:
    """(sum of squares, level, slope, s) of the best line in (x^s - 1) / s."""
    rise_N = power(0.0, 1.0, s, log_x_N)[0]
    off_N = rise_N - rise_N.mean()
    spread = float(off_N @ off_N)
    slope = float(off_N @ y_N) / spread if spread > 0 else 0.0
    level = float(y_N.mean()) - slope * float(rise_N.mean())
    return float(((level + slope * rise_N - y_N) ** 2).sum()), level, slope, s
