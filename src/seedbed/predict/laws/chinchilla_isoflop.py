"""Chinchilla by IsoFLOP parabolas: the best size for a budget, read off runs that share a few budgets.

What      Groups runs of equal FLOP, finds in each the size of the lowest loss by a parabola in ln N, and draws power
          laws N* ~ C^a, D* ~ C^b through those.
Source    Hoffmann et al. 2022, arXiv 2203.15556, section 3.2 (approach 2).
Formula   per budget C_g: loss = c2 (ln N)^2 + c1 ln N + c0 by least squares, ln N*_g = -c1 / (2 c2),
          D*_g = C_g / (k N*_g), k = FLOP over params * tokens;
          ln N* = ln N0 + a ln C and ln D* = ln D0 + b ln C over budgets, by least squares.
Shapes    params_N, tokens_N, loss_N [, flops_N] -> (N0, a, D0, b); flops -> (params, low, high)
Units     params in parameters, tokens in tokens, loss in any one unit, FLOP (6 params tokens without a column flops).
Fidelity  Adapted: budgets are found by their closeness (`tolerance`), and a parabola with its vertex outside the sizes
          tried gives no point. Intervals, which the paper gives by redrawing 80 percent of points, redraw runs within
          budgets. A parabola is not the loss: sampled off the optimum or over a wide range it is biased even without
          noise, in the exponent too where the sampling shifts from budget to budget (github.com/Open-Athena/
          scaling-law-analysis); `warnings` say where runs look so. The law chinchilla has no such bias.
Errors    SeedbedError for bad cells by row and column, for fewer than 2 budgets that show a lowest loss inside, and for
          forecasts further than max_extrapolation from the budgets.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Annotated

import numpy as np
import pyarrow as pa
from annotated_types import Gt, Lt

from seedbed.core.errors import SeedbedError
from seedbed.predict import frontier
from seedbed.predict.contract import FloatArray, IntArray
from seedbed.predict.frontier import Frontier, FrontierLaw

OFF_CENTRE, DRIFT, WIDE = 0.3, 0.2, 8.0
"""What is warned about: the middle of the sizes off the lowest point, by a share of half their width; a change of that
between budgets; sizes further than so many times from the lowest point."""


@dataclasses.dataclass(frozen=True)
class ChinchillaIsoflop(FrontierLaw):
    """Power laws through the lowest points of parabolas.

    Args:
        tolerance: runs whose FLOP differ by less, as a fraction, share a budget.
    """

    tolerance: Annotated[float, Gt(0), Lt(1)] = 0.1

    def fit(self, runs: pa.Table) -> Frontier:
        """Fit the runs. Raises SeedbedError where fewer than 2 budgets show a best size."""
        read, flops_N = frontier.read(runs)
        size_N, loss_N = np.log(read.column["params"]), read.column["loss"]
        per_product = float(np.median(flops_N / (read.column["params"] * read.column["tokens"])))
        groups, vertices, skipped = self._lowest_points(flops_N, size_N, loss_N)
        log_flops = np.array([float(np.log(flops_N[rows]).mean()) for rows in groups])
        centre, best = float(log_flops.mean()), np.array(vertices)
        flops, params = np.exp(log_flops), np.exp(best)
        tokens = flops / per_product / params
        drawn = [
            np.exp([redrawn(size_N[rows], loss_N[rows], at, rng) for rows, at in zip(groups, vertices, strict=True)])
            for rng in np.random.default_rng(self.seed).spawn(self.n_bootstrap)
        ]
        draws = [frontier.lines(flops, one, flops / per_product / one, centre) for one in drawn]
        told = (*skipped, *biases([size_N[rows] for rows in groups], best))
        return self.through((flops, params, tokens), centre, draws, read, told)

    def _lowest_points(
        self, flops_N: FloatArray, size_N: FloatArray, loss_N: FloatArray
    ) -> tuple[list[IntArray], list[float], list[str]]:
        """The runs of each budget that shows a best size, its ln N, and sentences on the others."""
        groups, vertices, skipped = list[IntArray](), list[float](), list[str]()
        for rows in budgets(flops_N, self.tolerance):
            if (at := vertex(size_N[rows], loss_N[rows])) is None:
                near = float(np.exp(np.log(flops_N[rows]).mean()))
                skipped.append(f"the {len(rows)} runs near {near:.3g} FLOP show no lowest loss inside: not used")
            else:
                groups.append(rows)
                vertices.append(at)
        if len(groups) < 2:
            what = f"{len(groups)} budgets show a lowest loss inside their sizes, and a line needs 2"
            mend = "Give 3 sizes or more on each of several budgets, on both sides of the best."
            raise SeedbedError("runs", what, mend)
        return groups, vertices, skipped


def budgets(flops_N: FloatArray, tolerance: float) -> list[IntArray]:
    """Rows of each group of near FLOP, in order of FLOP."""
    order = np.argsort(flops_N, kind="stable")
    steps = np.diff(np.log(flops_N[order])) > np.log1p(tolerance)
    return [np.sort(rows) for rows in np.split(order, np.flatnonzero(steps) + 1)]


def vertex(size_N: FloatArray, loss_N: FloatArray) -> float | None:
    """ln N at the lowest point of the parabola; None where it opens downwards or has it outside the sizes."""
    if len(np.unique(size_N)) < 3:
        return None
    middle = float(size_N.mean())
    bend, slope, _ = np.polyfit(size_N - middle, loss_N, 2).tolist()
    if bend <= 0:
        return None
    at = middle - slope / (2 * bend)
    return at if size_N.min() <= at <= size_N.max() else None


def redrawn(size_N: FloatArray, loss_N: FloatArray, found: float, rng: np.random.Generator) -> float:
    """The lowest point of runs drawn with replacement, again where they show none; at last that of all runs."""
    for _ in range(50):
        rows = rng.integers(0, len(size_N), len(size_N))
        if (at := vertex(size_N[rows], loss_N[rows])) is not None:
            return at
    return found


def biases(sizes: Sequence[FloatArray], best_G: FloatArray) -> list[str]:
    """Where a parabola is known to mislead, as sentences."""
    low, high = np.array([s.min() for s in sizes]), np.array([s.max() for s in sizes])
    off = ((low + high) / 2 - best_G) / ((high - low) / 2)
    reach = np.maximum(high - best_G, best_G - low)
    said: list[str] = []
    advice = "a parabola is biased there even without noise: compare with the law chinchilla"
    if np.abs(off).max() > OFF_CENTRE:
        said.append(f"sizes lie off the best one by up to {np.abs(off).max():.0%} of half their width; {advice}")
    if np.ptp(off) > DRIFT:
        said.append(f"how far sizes lie off the best one differs between budgets, which moves the exponents; {advice}")
    if reach.max() > np.log(WIDE):
        said.append(f"sizes lie up to {np.exp(reach.max()):.0f} times from the best one; {advice}")
    return said
