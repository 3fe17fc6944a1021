"""loss(r) = c + k exp(t . r) of shares r: its values and slopes, where to start, and its fit to trials."""

from __future__ import annotations

import dataclasses
from functools import partial

import numpy as np
import numpy.typing as npt

from seedbed.stats.fits import huber, minimise

FloatArray = npt.NDArray[np.float64]

LOWEST_LOG = (-12.0, -20.0)
"""Of c and of k: a part of the loss that is as good as none."""

HIGHEST_LOG = 6.0
"""Of either: more than any loss."""

STEEPEST = 30.0
"""The largest of t, either way."""


@dataclasses.dataclass(frozen=True)
class OneLaw:
    """loss(r) = c + k exp(t . r) of one target domain."""

    c: float
    k: float
    t_D: FloatArray

    def __call__(self, share_RD: FloatArray) -> FloatArray:
        """loss_R."""
        return self.c + self.k * np.exp(share_RD @ self.t_D)


@dataclasses.dataclass(frozen=True)
class MixingLaw:
    """The weighed sum of the target domains' laws."""

    each: tuple[OneLaw, ...]
    target_E: FloatArray

    def value(self, share_D: FloatArray) -> tuple[float, FloatArray]:
        """(loss, its gradient by the shares)."""
        total, slope_D = 0.0, np.zeros(len(share_D))
        for weight, law in zip(self.target_E, self.each, strict=True):
            grown = law.k * float(np.exp(law.t_D @ share_D))
            total += float(weight) * (law.c + grown)
            slope_D += weight * grown * law.t_D
        return total, slope_D


def fitted(share_RD: FloatArray, loss_R: FloatArray, *, huber_delta: float = 0.02, starts: int = 12) -> OneLaw:
    """The law of one target domain: the lowest of several descents. Of shares that sum to 1, with a mean of t of 0."""
    n = share_RD.shape[1]
    bounds = [(low, HIGHEST_LOG) for low in LOWEST_LOG] + [(-STEEPEST, STEEPEST)] * n
    begin = [start(share_RD, loss_R, part) for part in np.linspace(0.02, 0.98, starts)]
    found = minimise(partial(objective, share_RD, loss_R, huber_delta), begin, bounds).params_P
    t_D = found[2:]
    return OneLaw(float(np.exp(found[0])), float(np.exp(found[1] + t_D.mean())), t_D - t_D.mean())


def objective(share_RD: FloatArray, loss_R: FloatArray, delta: float, params_P: FloatArray) -> tuple[float, FloatArray]:
    """SUM of Huber losses in units of delta^2, and its gradient by (ln c, ln k, t_D)."""
    foretold_R, jacobian_RP = losses(params_P, share_RD)
    value_R, slope_R = huber(foretold_R - loss_R, delta)
    return float(value_R.sum()) / delta**2, slope_R @ jacobian_RP / delta**2


def losses(params_P: FloatArray, share_RD: FloatArray) -> tuple[FloatArray, FloatArray]:
    """(loss_R, jacobian_RP) by (ln c, ln k, t_D)."""
    c, grown_R = np.exp(params_P[0]), np.exp(np.minimum(params_P[1] + share_RD @ params_P[2:], 50.0))
    slopes = [np.full(len(grown_R), c), grown_R, grown_R[:, None] * share_RD]
    return c + grown_R, np.column_stack(slopes)


def start(share_RD: FloatArray, loss_R: FloatArray, part: float) -> FloatArray:
    """For c as a part of the lowest loss, the rest is a line through ln(loss - c). The shares sum to 1."""
    c = part * float(loss_R.min())
    line_D = np.linalg.lstsq(share_RD, np.log(loss_R - c), rcond=None)[0]  # the shares sum to 1: no constant needed
    t_D = np.clip(line_D - line_D.mean(), -STEEPEST, STEEPEST)
    return np.concatenate([[np.log(c), line_D.mean()], t_D])
