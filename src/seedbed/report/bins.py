"""Bins for a histogram that a threshold is drawn into: the threshold always lies on an edge between two bins.

The drawn range is that of the middle 99 % of the values, stretched to show the threshold and half of what breaks the
rule; what lies beyond it is counted as outside. Counts with a long tail get edges that grow by factors of 1 + value.
Edges between whole numbers stand at x.5, one of them on the failing side of the threshold.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
BINS = 36


@dataclasses.dataclass(frozen=True)
class Bins:
    """A histogram: `broken` counts what breaks the rule in each bin, `outside` values left and right of the edges."""

    edges: tuple[float, ...]
    counts: tuple[int, ...]
    scale: Literal["linear", "log"]
    outside: tuple[int, int]
    broken: tuple[int, ...] = ()


def binned(
    values: npt.NDArray[Any], threshold: float | None, side: Literal["min", "max"], breaks: npt.NDArray[np.bool_]
) -> Bins:
    """Bins of the finite values, of which some break the rule; none where there are no values."""
    all_values: FloatArray = np.asarray(values, np.float64)
    is_number = np.isfinite(all_values)
    found: FloatArray = all_values[is_number]
    breaks = np.asarray(breaks, np.bool_)[is_number]
    if not len(found):
        return Bins((), (), "linear", (0, 0))
    middle = np.quantile(found, [0.005, 0.5, 0.995])
    low, high = float(middle[0]), float(middle[2])
    if threshold is not None:
        low, high = min(low, threshold), max(high, threshold)
    if breaks.any():
        typical_break = float(np.median(found[breaks]))
        low, high = min(low, typical_break), max(high, typical_break)
    is_whole = bool(np.all(found == np.round(found)))
    scale: Literal["linear", "log"] = "linear"
    typical = max(float(middle[1]), 1.0)
    is_long = high > 100 and (float(middle[2]) > 8 * typical or high > 100 * typical)
    if is_whole and is_long and min(low, float(found.min())) >= 0:
        scale = "log"
    edges: FloatArray = _edges(low, high, threshold, scale)
    if is_whole:
        edges = _between_whole_numbers(edges, low, high, side)
    # a value on the threshold passes: it belongs to the bin on the passing side
    index = np.searchsorted(edges, found, side="right" if side == "min" else "left") - 1
    index = np.where(found == edges[0], 0, index)
    index = np.where(found == edges[-1], len(edges) - 2, index)
    inside = (index >= 0) & (index < len(edges) - 1)
    counts = np.bincount(index[inside], minlength=len(edges) - 1)
    broken = np.bincount(index[inside & breaks], minlength=len(edges) - 1)
    outside = (int((index < 0).sum()), int((index >= len(edges) - 1).sum()))
    return Bins(tuple(edges.tolist()), tuple(counts.tolist()), scale, outside, tuple(broken.tolist()))


def _between_whole_numbers(edges: FloatArray, low: float, high: float, side: Literal["min", "max"]) -> FloatArray:
    """The edges moved to x.5, so that no bin is empty for want of a whole number in it."""
    if high - low <= BINS:
        first, last = np.floor(low), np.ceil(max(high, low + 4))
        return np.arange(first - 0.5, last + 1, dtype=np.float64)
    moved = np.ceil(edges) - 0.5 if side == "min" else np.floor(edges) + 0.5
    return np.unique(np.r_[np.floor(low) - 0.5, moved, np.floor(high) + 0.5])


def _edges(low: float, high: float, threshold: float | None, scale: str) -> FloatArray:
    """Even steps (of log(1 + value) for "log") over low to high; the threshold is an edge with a bin on either side."""
    forth, back = (np.log1p, np.expm1) if scale == "log" else (np.asarray, np.asarray)
    start, stop = float(forth(low)), float(forth(high))
    width = (stop - start) / BINS
    if width <= 1e-9 * max(abs(start), abs(stop)):  # one value, or as good as one
        width = max(abs(stop), 1.0) / BINS
    anchor = start if threshold is None else float(forth(threshold))
    first = int(np.floor((start - anchor) / width + 1e-9))
    last = max(int(np.ceil((stop - anchor) / width - 1e-9)), first + 1)
    if threshold is not None:
        first, last = min(first, -1), max(last, 1)
    edges: FloatArray = np.asarray(back(anchor + width * np.arange(first, last + 1)), np.float64)
    if threshold is not None:
        edges[np.argmin(np.abs(edges - threshold))] = threshold
    return edges
