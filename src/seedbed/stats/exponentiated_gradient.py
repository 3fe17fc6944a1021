"""Exponentiated gradient on the simplex: weights are multiplied by exponentials, brought to sum 1, and smoothed.

    weight'_d = (1 - smoothing) * weight_d exp(rate gain_d) / SUM_e weight_e exp(rate gain_e) + smoothing / D

Kivinen and Warmuth 1997 (Information and Computation 132, 1-63). Without smoothing it is one step of mirror descent:
the point of the simplex that maximises <weight', gain> - KL(weight' || weight) / rate. A weight of 0 stays 0 unless it
is smoothed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from seedbed.core.errors import SeedbedError

FloatArray = npt.NDArray[np.float64]


def moved(weight_D: FloatArray, gain_D: FloatArray, *, rate: float = 1.0, smoothing: float = 0.0) -> FloatArray:
    """weight'_D after one step: more where the gain is larger. Adding to all gains changes nothing.

    Raises ValueError for gains that are not finite, or weights without a sum above 0.
    """
    if not np.isfinite(gain_D).all():
        raise ValueError(f"gains must be finite: {gain_D}")
    if not (np.isfinite(weight_D).all() and (weight_D >= 0).all() and weight_D.sum() > 0):
        raise ValueError(f"weights must be finite, none below 0, not all 0: {weight_D}")
    there_D = weight_D > 0
    log_D = np.full(len(weight_D), -np.inf)
    log_D[there_D] = np.log(weight_D[there_D]) + rate * gain_D[there_D]
    share_D = np.exp(log_D - log_D.max())
    return (1.0 - smoothing) * share_D / share_D.sum() + smoothing / len(weight_D)


def averaged(weight_SD: FloatArray | None, where: str, names: Sequence[str]) -> FloatArray:
    """weight_D: the mean over steps. Raises SeedbedError, naming `where`, without a step or for a weight that is not
    finite, naming the first of `names` that has one.
    """
    if weight_SD is None or len(weight_SD) == 0:
        raise SeedbedError(where, "there is no step to average weights over", "Give the proxy run more tokens.")
    wrong = np.argwhere(~np.isfinite(weight_SD))
    if len(wrong):
        what = f"the weight of {names[int(wrong[0][1])]} is not finite at step {wrong[0][0] + 1}"
        raise SeedbedError(where, what, "Lower the proxy's learning rate.")
    mean_D = weight_SD.mean(0)
    return mean_D / mean_D.sum()
