"""Shares, points of the simplex: drawn, projected, poured under caps, and searched for the lowest of a function."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import optimize as scipy_optimize

FloatArray = npt.NDArray[np.float64]

_optimize: Any = scipy_optimize


def dirichlet(alpha_D: FloatArray, n: int, rng: np.random.Generator) -> FloatArray:
    """share_ND from Dirichlet(alpha_D); an alpha of 0 gives a share of 0. Raises ValueError where all are 0.

    Drawn in logs (Gamma(a) = Gamma(a + 1) U^(1/a)), so that an alpha far below 1 gives corners and never 0 / 0.
    """
    positive = alpha_D > 0
    if not positive.any() or (alpha_D < 0).any() or not np.isfinite(alpha_D).all():
        raise ValueError(f"alpha must be finite, at least 0, and somewhere above 0, not {alpha_D}")
    alpha = alpha_D[positive]
    uniform = np.maximum(rng.random((n, len(alpha))), 2.0**-60)
    logs = np.log(rng.standard_gamma(alpha + 1, (n, len(alpha)))) + np.log(uniform) / alpha
    sizes = np.exp(logs - logs.max(axis=1, keepdims=True))
    share_ND = np.zeros((n, len(alpha_D)))
    share_ND[:, positive] = sizes / sizes.sum(axis=1, keepdims=True)
    return share_ND


def grid(n_domains: int, steps: int) -> FloatArray:
    """share_GD: every share vector whose entries are multiples of 1 / steps."""
    if n_domains == 1:
        return np.ones((1, 1))
    rows = [
        np.column_stack([np.full(max(1, len(rest)), first), rest])
        for first in range(steps + 1)
        for rest in [np.rint(grid(n_domains - 1, steps - first) * (steps - first))]
    ]
    return np.concatenate(rows) / max(steps, 1)


def pour(weight_D: FloatArray, total: float, cap_D: FloatArray) -> FloatArray:
    """part_D: `total` poured in proportion to the weights; what passes a cap goes to the others, in proportion.

    Sums to the total, or to the caps of all with a weight above 0 where that is less.
    """
    part_D = np.zeros(len(weight_D))
    free_D = (weight_D > 0) & (cap_D > 0)
    left = float(total)
    while free_D.any() and left > 0:
        wanted_D = np.where(free_D, weight_D, 0.0)
        wanted_D = wanted_D / wanted_D.sum() * left
        full_D = free_D & (wanted_D >= cap_D)
        if not full_D.any():
            return part_D + wanted_D
        part_D[full_D] = cap_D[full_D]
        free_D &= ~full_D
        left = float(total) - float(part_D.sum())
    return part_D


def project(point_D: FloatArray, cap_D: FloatArray | None = None) -> FloatArray:
    """The nearest share vector below the caps: max(point - t, 0), cut at the cap, with t such that it sums to 1.

    Raises ValueError where the caps leave no room for 1.
    """
    cap = np.ones(len(point_D)) if cap_D is None else np.minimum(cap_D, 1.0)
    if cap.sum() < 1 - 1e-12:
        raise ValueError(f"caps that sum to {cap.sum():.6g} leave no room for shares that sum to 1")
    knots = np.sort(np.concatenate([point_D, point_D - cap]))  # the sum is linear in t between two of these
    sums = np.clip(point_D - knots[:, None], 0, cap).sum(axis=1)  # falls from sum(cap) to 0
    at = int(np.clip(np.searchsorted(-sums, -1.0), 1, len(knots) - 1))
    (low, high), (above, below) = knots[at - 1 : at + 1], sums[at - 1 : at + 1]
    t = low if above == below else low + (high - low) * (above - 1.0) / (above - below)
    return np.clip(point_D - t, 0, cap)


def lowest(
    objective: Callable[[FloatArray], tuple[float, FloatArray]],
    starts: Sequence[FloatArray],
    cap_D: FloatArray | None = None,
) -> tuple[FloatArray, float]:
    """(share_D, value) of the lowest end of descents from every start, below the caps.

    `objective` gives value and gradient. For a convex one, as a sum of exponentials of linear functions, every descent
    ends at the lowest value there is. Raises ValueError without a start, or where the caps leave no room.
    """
    if not starts:
        raise ValueError("a search needs at least one start")
    cap = np.ones(len(starts[0])) if cap_D is None else np.minimum(cap_D, 1.0)
    sums_to_one = {"type": "eq", "fun": _over_one, "jac": _slope_of_sum}
    options = {"maxiter": 500, "ftol": 1e-12}
    best: tuple[FloatArray, float] | None = None
    for start in starts:
        begin = project(start, cap)
        found = _optimize.minimize(
            objective,
            begin,
            jac=True,
            method="SLSQP",
            bounds=[(0.0, float(c)) for c in cap],
            constraints=[sums_to_one],
            options=options,
        )
        for end in (begin, project(np.asarray(found.x, np.float64), cap)):
            value = objective(end)[0]
            if best is None or value < best[1]:
                best = end, value
    assert best is not None
    return best


def _over_one(share_D: FloatArray) -> float:
    return float(share_D.sum()) - 1.0


def _slope_of_sum(share_D: FloatArray) -> FloatArray:
    return np.ones(len(share_D))
