"""A number with the interval that equally likely values give it."""

from __future__ import annotations

import numpy as np

from seedbed.predict.contract import Estimate, FloatArray


def estimate(value: float, sample_R: FloatArray, level: float) -> Estimate:
    """The middle `level` of the sample (of few draws a little more) and the value; that alone where there is none."""
    if not len(sample_R):
        return Estimate(value, value, value)
    low, high = np.quantile(sample_R, [(1 - level) / 2, (1 + level) / 2], method="weibull")
    return Estimate(value, min(float(low), value), max(float(high), value))
