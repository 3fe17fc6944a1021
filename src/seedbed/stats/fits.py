"""Fits from many starts: a robust objective with its analytic gradient, handed to L-BFGS-B, the lowest kept.

The many refits of a bootstrap go down together: Levenberg and Marquardt's steps (Marquardt 1963) on weights that make
squares of Huber losses, for all refits in one array.

The objective should be of order 1 at the optimum: L-BFGS-B stops on relative change, and a mean over rows of a Huber
loss with a small delta is so tiny that it stops early (the error Besiroglu et al. 2024, arXiv 2404.10102, found in
the fit they replicated).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from scipy import optimize as scipy_optimize

FloatArray = npt.NDArray[np.float64]
Objective = Callable[[FloatArray], tuple[float, FloatArray]]
"""params_P -> (value, gradient_P)."""
Values = Callable[[FloatArray], tuple[FloatArray, FloatArray]]
"""params_RP -> (predicted_RN, jacobian_RNP): of R fits at once."""

_optimize: Any = scipy_optimize


@dataclasses.dataclass(frozen=True)
class Fit:
    """The lowest of many descents.

    Args:
        params_P: where it ended.
        objective: the value there.
        n_starts: how many descents were made.
        n_agree: how many ended within 1e-6 of the lowest value (relative, or
            absolute below 0.001: an exact fit has no last digit to agree on).
        at_bound_P: which parameters ended on one of their bounds.
    """

    params_P: FloatArray
    objective: float
    n_starts: int
    n_agree: int
    at_bound_P: npt.NDArray[np.bool_]


def huber(residual_N: FloatArray, delta: float) -> tuple[FloatArray, FloatArray]:
    """(value_N, slope_N): r^2/2 for |r| <= delta, delta * (|r| - delta/2) beyond; the slope is r clipped to delta."""
    size = np.abs(residual_N)
    value = np.where(size <= delta, 0.5 * residual_N**2, delta * (size - 0.5 * delta))
    return value, np.clip(residual_N, -delta, delta)


def minimise(objective: Objective, starts: Sequence[FloatArray], bounds: Sequence[tuple[float, float]]) -> Fit:
    """Descend from every start; the lowest wins, the first of equals. Raises ValueError without a start."""
    if not starts:
        raise ValueError("a fit needs at least one start")
    options = {"maxiter": 1000, "maxfun": 2000, "ftol": 1e-14, "gtol": 1e-10}
    ends: list[tuple[float, FloatArray]] = []
    for start in starts:
        found = _optimize.minimize(objective, start, jac=True, method="L-BFGS-B", bounds=list(bounds), options=options)
        ends.append((float(found.fun), np.asarray(found.x, np.float64)))
    values = np.array([value for value, _ in ends])
    best = int(np.argmin(values))
    lowest, params = ends[best]
    limits = np.array(bounds)
    at_bound = np.logical_or(params <= limits[:, 0] + 1e-9, params >= limits[:, 1] - 1e-9)
    agree = int(np.count_nonzero(values <= lowest + 1e-6 * max(abs(lowest), 1e-3)))
    return Fit(params, lowest, len(ends), agree, at_bound)


def descend_together(
    values: Values,
    start_RP: FloatArray,
    observed_RN: FloatArray,
    delta: float,
    bounds: Sequence[tuple[float, float]],
    steps: int = 80,
) -> FloatArray:
    """params_RP of the lowest SUM of Huber losses of predicted - observed near each start, within the bounds.

    A refit never affects another. At most `steps` are made; all end sooner where none gains a billionth.
    """
    low_P, high_P = np.array(bounds).T
    params = np.clip(start_RP, low_P, high_P)
    predicted, jacobian = values(params)
    lowest: FloatArray = np.sum(huber(predicted - observed_RN, delta)[0], axis=1)
    damping, resting = np.full(len(params), 1e-3), np.zeros(len(params), np.int64)
    for _ in range(steps):
        moved = np.clip(
            params + _step(params, predicted - observed_RN, jacobian, damping, delta, bounds), low_P, high_P
        )
        new_predicted, new_jacobian = values(moved)
        reached: FloatArray = np.sum(huber(new_predicted - observed_RN, delta)[0], axis=1)
        better = reached < lowest
        resting = np.where(better & (lowest - reached > 1e-9 * lowest), 0, resting + 1)
        params = np.where(better[:, None], moved, params)
        predicted = np.where(better[:, None], new_predicted, predicted)
        jacobian = np.where(better[:, None, None], new_jacobian, jacobian)
        lowest = np.where(better, reached, lowest)
        damping = np.clip(np.where(better, damping / 4, damping * 4), 1e-12, 1e8)
        if resting.min() >= RESTING:
            break
    return params


RESTING = 6
"""Steps without a gain after which a refit has arrived; the damping has then grown a thousandfold."""


def _step(
    params_RP: FloatArray,
    residual_RN: FloatArray,
    jacobian_RNP: FloatArray,
    damping_R: FloatArray,
    delta: float,
    bounds: Sequence[tuple[float, float]],
) -> FloatArray:
    """The damped step of each refit; parameters that press against a bound stay."""
    low_P, high_P = np.array(bounds).T
    weight_RN = np.minimum(1.0, delta / np.maximum(np.abs(residual_RN), 1e-300))
    weighted = jacobian_RNP * weight_RN[:, :, None]
    slope = np.einsum("rnp,rn->rp", weighted, residual_RN)
    bend = weighted.transpose(0, 2, 1) @ jacobian_RNP
    stuck = ((params_RP <= low_P) & (slope > 0)) | ((params_RP >= high_P) & (slope < 0))
    size = np.einsum("rpp->rp", bend)
    least = 1e-14 * size.max(axis=1, keepdims=True) + 1e-30
    bend = np.where(stuck[:, :, None] | stuck[:, None, :], 0.0, bend)
    bend = bend + np.eye(params_RP.shape[1]) * (damping_R[:, None] * size + least + stuck)[:, :, None]
    return cast(FloatArray, -np.linalg.solve(bend, np.where(stuck, 0.0, slope)[:, :, None])[:, :, 0])


def condition_number(jacobian_NP: FloatArray) -> float:
    """Largest over smallest singular value; large means that some mix of parameters is not seen by the data."""
    singular = np.linalg.svd(jacobian_NP, compute_uv=False)
    return float(singular[0] / singular[-1]) if singular[-1] > 0 else float("inf")
