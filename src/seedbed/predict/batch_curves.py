"""Curves of training at several batch sizes: many rows a run, each a point (batch_tokens, steps, loss) on its way.

A run is told by its params and its batch_tokens; rows of several seeds make one curve.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy import optimize as scipy_optimize

from seedbed.core import arrow
from seedbed.predict.contract import FloatArray, Variable

STEPS = Variable("steps", what="updates of the weights")
BATCH_TOKENS = Variable("batch_tokens", what="tokens an update")
DECAYING = "decaying"
GRID, ZOOMS = 65, 5
"""A search on a grid that narrows 32 times each time: to 1e-7 of a logarithm."""

Curve: TypeAlias = tuple[FloatArray, FloatArray]
"""(log_steps_K, log_loss_K), the latter falling."""

_optimize: Any = scipy_optimize


def at_full_rate(runs: pa.Table, skip_first: float) -> pa.Table:
    """Rows at the constant rate: without those that `decaying` marks, and the first share of the steps of each run."""
    keep_K = np.ones(runs.num_rows, np.bool_)
    if DECAYING in runs.column_names:
        marks = cast("list[object]", cast(Any, runs.column(DECAYING)).to_pylist())
        keep_K &= ~np.array([bool(mark) for mark in marks], np.bool_)
    steps_K = arrow.numpy(runs, STEPS.name).astype(np.float64)
    told = [name for name in ("params", BATCH_TOKENS.name) if name in runs.column_names]
    for rows in alike([arrow.numpy(runs, name) for name in told], runs.num_rows):
        keep_K[rows] &= steps_K[rows] >= skip_first * steps_K[rows].max()
    return arrow.take(runs, np.flatnonzero(keep_K))


def alike(columns: Sequence[npt.NDArray[Any]], n: int) -> list[npt.NDArray[np.intp]]:
    """Rows of each distinct combination of values, in the order of the values."""
    if not n or not columns:
        return [np.arange(n)] if n else []
    label_N = np.unique(np.stack(columns), axis=1, return_inverse=True)[1].reshape(-1)
    return [np.flatnonzero(label_N == label) for label in range(int(label_N.max()) + 1)]


def falling(log_steps_N: FloatArray, log_loss_N: FloatArray) -> Curve:
    """The falling curve nearest to the points by least squares (isotonic regression), strictly falling."""
    order = np.lexsort((log_loss_N, log_steps_N))
    found = _optimize.isotonic_regression(log_loss_N[order], increasing=False)
    first_K = np.asarray(found.blocks[:-1], np.int64)
    sizes_K = np.diff(np.asarray(found.blocks, np.int64))
    return np.add.reduceat(log_steps_N[order], first_K) / sizes_K, np.asarray(found.x, np.float64)[first_K]


def reached(curve: Curve, log_loss_L: FloatArray) -> FloatArray:
    """log_steps_L at which a falling curve comes down to each loss; nan where it lies outside the curve."""
    log_steps_K, falling_K = curve
    found = np.interp(-log_loss_L, -falling_K, log_steps_K)
    return np.where((log_loss_L <= falling_K[0]) & (log_loss_L >= falling_K[-1]), found, np.nan)


def hyperbola(log_batch_B: FloatArray, log_steps_B: FloatArray, reach: float = 4.0) -> tuple[float, float] | None:
    """(ln Smin, ln Bcrit) of (S / Smin - 1)(E / Emin - 1) = 1 with E = B S, by least squares of logarithms.

    The hyperbola is S = Smin (1 + Bcrit / B). None where Bcrit is more than e^reach beyond the batch sizes: there the
    steps are all one number, or all inverse to the batch, and do not tell it.
    """
    low, high = float(log_batch_B.min()) - reach, float(log_batch_B.max()) + reach
    for zoom in range(ZOOMS):
        grid_G = np.linspace(low, high, GRID)
        off_GB = log_steps_B - np.logaddexp(0.0, grid_G[:, None] - log_batch_B)
        at = int(np.argmin(off_GB.var(axis=1)))
        if zoom == 0 and at in (0, GRID - 1):
            return None
        low, high = float(grid_G[max(at - 1, 0)]), float(grid_G[min(at + 1, GRID - 1)])
    critical = (low + high) / 2
    return float(np.mean(log_steps_B - np.logaddexp(0.0, critical - log_batch_B))), critical


def levels(curves: Sequence[Curve], log_batch_B: FloatArray, n_levels: int) -> FloatArray:
    """Up to n_levels of ln loss, evenly between those that three batch sizes reach, from high to low."""
    first_b: list[int] = np.unique(log_batch_B, return_index=True)[1].tolist()
    if len(first_b) < 3:
        return np.zeros(0)
    top = sorted(float(curves[i][1][0]) for i in first_b)[-3]
    bottom = sorted(float(curves[i][1][-1]) for i in first_b)[2]
    return np.linspace(top, bottom, n_levels + 2)[1:-1] if bottom < top else np.zeros(0)


def critical_batches(curves: Sequence[Curve], log_batch_B: FloatArray, level_L: FloatArray) -> tuple[FloatArray, int]:
    """(found_L3: ln loss, ln Smin, ln Bcrit; how many levels do not tell their Bcrit), of curves of one model.

    A level that fewer than three batch sizes reach is left out; a batch size twice (in a bootstrap) is one.
    """
    log_steps_BL = np.stack([reached(curve, level_L) for curve in curves])
    found, untold = list[tuple[float, float, float]](), 0
    for level, log_steps_B in zip(level_L, log_steps_BL.T, strict=True):
        is_there = np.isfinite(log_steps_B)
        if len(np.unique(log_batch_B[is_there])) < 3:
            continue
        fitted = hyperbola(log_batch_B[is_there], log_steps_B[is_there])
        untold += fitted is None
        if fitted is not None:
            found.append((float(level), *fitted))
    return np.array(found).reshape(-1, 3), untold


def line(x_N: FloatArray, y_N: FloatArray) -> tuple[float, float]:
    """(slope, intercept) by least squares; flat where all x are one."""
    apart_N = x_N - x_N.mean()
    square = float(apart_N @ apart_N)
    slope = float(apart_N @ y_N) / square if square > 1e-12 else 0.0
    return slope, float(y_N.mean() - slope * x_N.mean())
