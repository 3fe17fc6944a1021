"""The best division of compute between size and length, by any fitted formula of params and tokens.

Searched, not solved: the lowest forecast on params * tokens * flops_per_product = flops, over a grid of ln params that
is made finer twice around its lowest point. The same search on every refit of the bootstrap gives the intervals.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from seedbed.core.errors import SeedbedError
from seedbed.predict.contract import Estimate, FloatArray, Plan

if TYPE_CHECKING:
    from seedbed.predict.fitted import Fitted

MARGIN = 1e4
"""How far beyond the runs the search goes: an optimum that is found there is refused as too far away, and none at all
says that there is none."""
COARSE, FINE = 193, 25


@dataclasses.dataclass(frozen=True)
class Isoflop:
    """Forecasts along one budget: params_G, tokens_G, and of each a new run's value_G, low_G, high_G."""

    flops: float
    params: FloatArray
    tokens: FloatArray
    value: FloatArray
    low: FloatArray
    high: FloatArray


def optimum(fitted: Fitted, flops: float, given: Plan | None = None) -> dict[str, Estimate]:
    """params, tokens and the answer where the forecast is lowest for `flops` FLOP.

    Args:
        fitted: a fit whose variables include params and tokens.
        flops: of the training.
        given: the law's other variables.
    """
    product, given = _product(fitted, flops), given or {}
    ends = _overlap(fitted, product, MARGIN)
    middle = float(np.exp(sum(ends) / 2))
    fitted.complete(
        {**given, "params": middle, "tokens": product / middle}
    )  # what is missing is told before the search
    log_params = _lowest(fitted, product, given, ends, None)
    step = (ends[1] - ends[0]) / (COARSE - 1)
    if log_params < ends[0] + step or log_params > ends[1] - step:
        what = f"the runs show no best split of {flops:.3g} FLOP: the forecast falls all the way to one side"
        raise SeedbedError(fitted.law.name(), what, "Add runs that differ in both params and tokens.")
    best = float(np.exp(log_params))
    value = fitted.forecast({**given, "params": best, "tokens": product / best})
    drawn_R = np.exp(np.array([_lowest(fitted, product, given, ends, params_P) for params_P in fitted.draws]))
    return {
        "params": fitted.estimate(best, drawn_R),
        "tokens": fitted.estimate(product / best, product / drawn_R),
        fitted.answer: value,
    }


def isoflop(fitted: Fitted, flops: float, n: int = 61, given: Plan | None = None) -> Isoflop:
    """The forecasts at `n` sizes on one budget, evenly spaced in ln params, as far as forecasts may go."""
    product = _product(fitted, flops)
    params = np.exp(np.linspace(*_overlap(fitted, product, fitted.law.max_extrapolation), n))
    columns = _columns(fitted, params, product / params, given or {})
    value = fitted.predict_all(columns)
    sample_RG = fitted.sample_all(columns)
    around = [fitted.estimate(float(v), sample_RG[:, i]) for i, v in enumerate(value)]
    low, high = (np.array([getattr(each, side) for each in around]) for side in ("low", "high"))
    return Isoflop(flops, params, product / params, value, low, high)


def _product(fitted: Fitted, flops: float) -> float:
    """params * tokens that the budget buys."""
    if not {"params", "tokens"} <= {v.name for v in fitted.variables}:
        what = (
            f"it foretells {fitted.answer} by {', '.join(v.name for v in fitted.variables)}, not by params and tokens"
        )
        raise SeedbedError(fitted.law.name(), what, "Ask a law of both, such as chinchilla, how to divide compute.")
    if not (np.isfinite(flops) and flops > 0):
        raise SeedbedError(fitted.law.name(), f"{flops} FLOP is no budget", "Give a positive finite number.")
    return flops / fitted.flops_per_product


def _overlap(fitted: Fitted, product: float, margin: float) -> tuple[float, float]:
    """The ends of ln params within `margin` of the runs whose tokens are so too. Raises SeedbedError where none are."""
    (low_n, high_n), (low_d, high_d) = (np.log(fitted.domain[name]) for name in ("params", "tokens"))
    room, total = np.log(margin), np.log(product)
    low = max(low_n - room, total - high_d - room)
    high = min(high_n + room, total - low_d + room)
    if low > high:
        least, most = (np.exp(a + b) * fitted.flops_per_product for a, b in ((low_n, low_d), (high_n, high_d)))
        what = f"{product * fitted.flops_per_product:.3g} FLOP lies too far beyond the runs ({least:.3g} to {most:.3g})"
        raise SeedbedError(fitted.law.name(), what, "Add runs nearer to it.")
    return float(low), float(high)


def _lowest(
    fitted: Fitted, product: float, given: Plan, ends: tuple[float, float], params_P: FloatArray | None
) -> float:
    """ln params at the lowest answer; an end where it falls all the way."""
    (low, high), best = ends, ends[0]
    for points in (COARSE, FINE, FINE):
        grid = np.linspace(low, high, points)
        params = np.exp(grid)
        answer = fitted.predict_all(_columns(fitted, params, product / params, given), params_P)
        at, step = int(np.argmin(answer)), float(grid[1] - grid[0])
        best = float(grid[at])
        if 0 < at < points - 1 and (bend := answer[at - 1] - 2 * answer[at] + answer[at + 1]) > 0:
            best += step * float((answer[at - 1] - answer[at + 1]) / (2 * bend))
        low, high = max(ends[0], grid[at] - step), min(ends[1], grid[at] + step)
    return best


def _columns(fitted: Fitted, params: FloatArray, tokens: FloatArray, given: Plan) -> Mapping[str, FloatArray]:
    """The law's columns at each of these sizes and lengths."""
    own = {**given, "params": params, "tokens": tokens}
    if all(v.name in own for v in fitted.variables):
        return {v.name: np.broadcast_to(np.asarray(own[v.name], np.float64), params.shape) for v in fitted.variables}
    plans = [
        fitted.complete({**given, "params": float(n), "tokens": float(d)}) for n, d in zip(params, tokens, strict=True)
    ]
    return {v.name: np.array([plan[v.name] for plan in plans]) for v in fitted.variables}
