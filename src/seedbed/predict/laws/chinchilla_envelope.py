"""Chinchilla by the envelope of training curves: the best size for a budget, read off the lowest loss at each FLOP.

What      Takes points along the training of several sizes, finds for many budgets the size with the lowest loss, and
          draws power laws N* ~ C^a, D* ~ C^b through those.
Source    Hoffmann et al. 2022, arXiv 2203.15556, section 3.1 (approach 1).
Formula   per size: loss as a function of ln C, between its points linear; at each of n_budgets values C_g, evenly
          spaced in ln C: N*_g = argmin over sizes, D*_g = C_g / (k N*_g), k = FLOP over params * tokens;
          ln N* = ln N0 + a ln C and ln D* = ln D0 + b ln C over budgets, by least squares.
Shapes    params_N, tokens_N, loss_N [, flops_N] -> (N0, a, D0, b); flops -> (params, low, high)
Units     params in parameters, tokens in tokens, loss in any one unit, FLOP (6 params tokens without a column flops).
Fidelity  Adapted: a budget counts only if a smaller and a larger size reach it too, since at the edge of what was tried
          the winner is the edge; all points of a size make one curve, not smoothed; intervals redraw sizes. A point
          within a run whose learning rate decays later lies above what a run of that length would reach: where a size
          was trained for several lengths, as in the paper, give the ends of those runs.
Errors    SeedbedError for bad cells by row and column, for fewer than 3 sizes of 2 points, where fewer than 2 sizes win
          between others, and for forecasts further than max_extrapolation from the budgets.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated

import numpy as np
import pyarrow as pa
from annotated_types import Ge, Le

from seedbed.core.errors import SeedbedError
from seedbed.predict import frontier
from seedbed.predict.contract import FloatArray, IntArray
from seedbed.predict.frontier import Frontier, FrontierLaw


@dataclasses.dataclass(frozen=True)
class ChinchillaEnvelope(FrontierLaw):
    """Power laws through the lowest points of training curves.

    Args:
        n_budgets: values of FLOP at which sizes are compared.
    """

    n_budgets: Annotated[int, Ge(10), Le(100_000)] = 1500

    def fit(self, runs: pa.Table) -> Frontier:
        """Fit the points. Raises SeedbedError where too few sizes win."""
        read, flops_N = frontier.read(runs)
        params_N, loss_N = read.column["params"], read.column["loss"]
        per_product = float(np.median(flops_N / (params_N * read.column["tokens"])))
        log_flops = np.log(flops_N)
        grid_G = np.linspace(float(log_flops.min()), float(log_flops.max()), self.n_budgets)
        sizes = np.array([size for size in np.unique(params_N) if np.count_nonzero(params_N == size) >= 2])
        if len(sizes) < 3:
            what = f"{len(sizes)} sizes have 2 points or more, and an envelope needs 3"
            raise SeedbedError("runs", what, "Give points along the training of more sizes.")
        curves_SG = np.stack([curve(log_flops[params_N == n], loss_N[params_N == n], grid_G) for n in sizes])
        at_G, winner_G = envelope(curves_SG)
        if (n_winners := len(np.unique(winner_G))) < 2:
            what = f"{n_winners} sizes are the best of smaller and larger ones at some budget"
            raise SeedbedError("runs", what, "Give more sizes, whose curves overlap in FLOP.")
        flops, params = np.exp(grid_G[at_G]), sizes[winner_G]
        centre, tokens = float(grid_G[at_G].mean()), flops / per_product / params
        draws = [
            self._redrawn(curves_SG, sizes, grid_G, per_product, centre, rng)
            for rng in np.random.default_rng(self.seed).spawn(self.n_bootstrap)
        ]
        few = f"only {n_winners} sizes are the best at some budget: the exponents rest on little"
        return self.through((flops, params, tokens), centre, draws, read, (few,) if n_winners < 5 else ())

    def _redrawn(
        self,
        curves_SG: FloatArray,
        sizes: FloatArray,
        grid_G: FloatArray,
        per_product: float,
        centre: float,
        rng: np.random.Generator,
    ) -> tuple[float, ...]:
        """The lines of sizes drawn with replacement, again where fewer than 2 of them win."""
        for _ in range(50):
            rows = np.unique(rng.integers(0, len(sizes), len(sizes)))
            at_G, winner_G = envelope(curves_SG[rows])
            if len(np.unique(winner_G)) >= 2:
                break
        else:
            rows, (at_G, winner_G) = np.arange(len(sizes)), envelope(curves_SG)
        flops, params = np.exp(grid_G[at_G]), sizes[rows][winner_G]
        return frontier.lines(flops, params, flops / per_product / params, centre)


def curve(log_flops_K: FloatArray, loss_K: FloatArray, grid_G: FloatArray) -> FloatArray:
    """loss_G of one size, its lowest where points share a budget; infinite outside its points."""
    order = np.lexsort((loss_K, log_flops_K))
    log_flops, first = np.unique(log_flops_K[order], return_index=True)
    found = np.interp(grid_G, log_flops, loss_K[order][first])
    return np.where((grid_G >= log_flops[0]) & (grid_G <= log_flops[-1]), found, np.inf)


def envelope(curves_SG: FloatArray) -> tuple[IntArray, IntArray]:
    """(budget, size) by index, where the lowest has a smaller and a larger size beside it."""
    reached = np.isfinite(curves_SG)
    winner = np.argmin(curves_SG, axis=0)
    place = np.arange(len(curves_SG))[:, None]
    beside = np.any(reached & (place < winner), axis=0) & np.any(reached & (place > winner), axis=0)
    return np.flatnonzero(beside), winner[beside]
