"""Plots of a comparison: the baseline's curve with the methods, speed-ups, speed-up at equal total cost by ratio."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from seedbed.report import wording
from seedbed.report.comparison_data import CostCurve, Factor, MethodResult, Trial
from seedbed.report.plots import GRID, INK, MUTED, N_SERIES, PAPER, coarse_tick, colour_of, svg


def curve_plot(of: Trial, methods: Sequence[MethodResult], width: int) -> Markup:
    """Bits per byte of the baseline against the tokens it read (log), and each method where it ended."""
    narrow = width < 500
    height = max(250 if narrow else 380, 30 + 17 * len(methods))
    others = [one for one in methods if one.role != "baseline"]
    values = [p.bits_per_byte.value for p in of.curve] + [one.target.value for one in others]
    low, high = min(values), max(values)
    low, high = low - 0.06 * (high - low) - 1e-6, high + 0.06 * (high - low) + 1e-6

    def draw(axes: Any) -> None:
        tokens = [point.tokens for point in of.curve]
        axes.set_xscale("log")
        axes.set_xlim(tokens[0] / 1.15, tokens[-1] * 1.15)
        axes.set_ylim(low, high)
        bounds = [(p.bits_per_byte.low, p.bits_per_byte.high) for p in of.curve]
        if all(a is not None and b is not None for a, b in bounds):
            axes.fill_between(tokens, *zip(*bounds, strict=True), color=MUTED, alpha=0.16, linewidth=0)
        axes.plot(tokens, [p.bits_per_byte.value for p in of.curve], color=INK, linewidth=1.6)
        axes.plot(tokens, [p.bits_per_byte.value for p in of.curve], "o", color=INK, markersize=5)
        at = apart([one.target.value for one in others], low, high, 15 / (height - 58))
        for one, y in zip(others, at, strict=True):
            colour = colour_of(methods.index(one))
            axes.plot([one.tokens], [one.target.value], "o", color=colour, markersize=7, markeredgecolor=PAPER)
            share = (one.target.value - low) / (high - low)
            across = np.log(one.tokens / tokens[0] * 1.15) / np.log(tokens[-1] / tokens[0] * 1.15**2)
            axes.plot([across, 1.012], [share, y], color=colour, linewidth=0.6, alpha=0.6, clip_on=False,
                      transform=axes.transAxes)  # fmt: skip
            name = wording.shorten(wording.clean(one.method), 14 if narrow else 24)
            axes.annotate(name, (1.018, y), xycoords="axes fraction", va="center", fontsize=10.5 if narrow else 11)
        _log_ticks(axes.xaxis, tokens[0], tokens[-1])
        axes.locator_params(axis="y", nbins=5)
        axes.grid(axis="y", color=GRID, linewidth=0.8)
        axes.set_xlabel("tokens trained on")
        axes.set_ylabel("bits per byte")

    told = "; ".join(f"{one.method} {wording.decimals(one.target.value, 3)}" for one in others)
    ends = [wording.decimals(point.bits_per_byte.value, 3) for point in (of.curve[0], of.curve[-1])]
    label = f"Bits per byte on {of.target}: {of.baseline} falls from {ends[0]} to {ends[1]} with tokens; {told}."
    return svg(draw, width, height, (52, 104 if narrow else 180, 44, 14), label, f"mc{width}")


def apart(values: Sequence[float], low: float, high: float, gap: float) -> list[float]:
    """Where labels of these values stand: shares of the axis from the bottom, at least `gap` apart if they fit."""
    if not values:
        return []
    share = (np.asarray(values, float) - low) / (high - low)
    order = np.argsort(share, kind="stable")
    gap = min(gap, 1 / max(len(values) - 1, 1))
    steps = gap * np.arange(len(values))
    wished = share[order] - steps  # what must not fall: the closest such sequence is a mean over blocks
    blocks: list[tuple[float, int]] = []
    for value in wished.tolist():
        total, n = value, 1
        while blocks and blocks[-1][0] / blocks[-1][1] > total / n:
            before = blocks.pop()
            total, n = total + before[0], n + before[1]
        blocks.append((total, n))
    fitted = np.concatenate([np.full(n, total / n) for total, n in blocks])
    placed = np.empty(len(values))
    placed[order] = np.clip(fitted, 0, max(1 - steps[-1], 0)) + steps
    return placed.tolist()


def speed_plot(methods: Sequence[MethodResult], names: Sequence[str], baseline: str, width: int) -> Markup:
    """Speed-ups on a log axis: a dot and its interval, at equal tokens and at equal total cost; arrows for bounds."""
    narrow = width < 500
    step = 46 if narrow else 34
    height = 30 + step * len(methods) + 34
    left = 12 if narrow else 30 + 8 * max(min(len(one.method), 24) for one in methods)
    factors = [f for one in methods for f in (one.speedup_equal_tokens, one.speedup_equal_cost) if f is not None]
    spread = [b for f in factors for b in (f.value.value, f.value.low, f.value.high) if b is not None]
    first, last = min([*spread, 0.9]) / 1.2, max([*spread, 1.1]) * 1.25

    def draw(axes: Any) -> None:
        axes.set_xscale("log")
        axes.set_xlim(first, last)
        axes.axvline(1, color=MUTED, linewidth=1)
        for row, one in enumerate(methods):
            colour = colour_of(names.index(one.method))
            if one.speedup_equal_tokens is not None:
                _factor(axes, one.speedup_equal_tokens, -row + 0.1, colour, filled=True)
            if one.speedup_equal_cost is not None:
                _factor(axes, one.speedup_equal_cost, -row - 0.16, colour, filled=False)
            name = wording.shorten(wording.clean(one.method), 24)
            at = ("axes fraction", "data")
            if narrow:
                axes.annotate(name, (0, -row + 0.28), xycoords=at, va="bottom", fontsize=11)
            else:
                axes.annotate(name, (0, -row), (2 - left, 0), xycoords=at, textcoords="offset points", va="center")
        axes.set_ylim(-len(methods) + 0.45, 0.75 if narrow else 0.5)
        axes.set_yticks([])
        _log_ticks(axes.xaxis, first, last)
        axes.grid(axis="x", color=GRID, linewidth=0.8)
        axes.set_xlabel(f"times what {wording.shorten(wording.clean(baseline), 16)} needs for the same loss")

    told = "; ".join(f"{one.method} {one.speedup_equal_tokens.words}" for one in methods if one.speedup_equal_tokens)
    label = f"Speed-up over {baseline} at equal tokens: {told}. Above one the method is faster."
    return svg(draw, width, height, (left, 14, 44, 10), label, f"ms{width}")


def _factor(axes: Any, factor: Factor, y: float, colour: str, *, filled: bool) -> None:
    """A dot with its interval; where the truth lies beyond, an arrowhead that way."""
    value, line = factor.value, {"color": colour, "linewidth": 2 if filled else 1.2, "solid_capstyle": "butt"}
    if value.low is not None and value.high is not None:
        axes.plot([value.low, value.high], [y, y], **line)
    marker = {"at least": ">", "at most": "<", "unknown": "x"}.get(factor.bound, "o")
    face = colour if filled else PAPER
    axes.plot([value.value], [y], marker, markersize=7, color=colour, markerfacecolor=face, markeredgewidth=1.5)


def cost_plot(curves: Sequence[CostCurve], names: Sequence[str], axis: str, title: str) -> Markup:
    """Speed-up at equal total cost along one ratio, a line a method, its own point marked; 1 is the break-even."""
    mine = [one for one in curves if one.axis == axis]
    values = [value for one in mine for value in one.value]
    low, high = min([*values, 0.9]) / 1.1, max([*values, 1.1]) * 1.1
    ratios = [at for one in mine for at in one.at]

    def draw(axes: Any) -> None:
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_ylim(low, high)
        axes.set_xlim(min(ratios) / 1.06, max(ratios) * 1.06)
        axes.axhspan(low, 1, color=MUTED, alpha=0.08, linewidth=0)
        axes.axhline(1, color=MUTED, linewidth=1)
        for one in mine:
            index = names.index(one.method)
            colour = colour_of(index)
            if one.low:
                axes.fill_between(one.at, one.low, one.high, color=colour, alpha=0.12, linewidth=0)
            axes.plot(one.at, one.value, color=colour, linewidth=1.5, linestyle="-" if index < N_SERIES else "--")
            axes.plot(*one.own, "o", color=colour, markersize=7, markeredgecolor=INK, markeredgewidth=1.2)
        _log_ticks(axes.xaxis, min(ratios), max(ratios))
        _log_ticks(axes.yaxis, low, high)
        axes.grid(axis="y", color=GRID, linewidth=0.8)
        axes.set_xlabel(title)

    told = "; ".join(f"{one.method} {one.own[1]:.2f} at {one.own[0]:.3g}, {one.breaks_even}" for one in mine)
    return svg(draw, 350, 240, (44, 10, 44, 10), f"Speed-up at equal total cost by {title}: {told}.", f"mb-{axis}")


def _log_ticks(axis: Any, low: float, high: float) -> None:
    """Ticks at 1, 2, 5 of each decade where few decades are shown; fractions as such."""
    from matplotlib.ticker import FixedLocator, NullFormatter, NullLocator

    subs = (1.0, 2.0, 5.0) if high / low > 3 else (1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 7.0)
    if high / low > 300:
        subs = (1.0, 3.0) if high / low < 3000 else (1.0,)
    decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    ticks = [sub * 10.0**decade for decade in decades for sub in subs if low <= sub * 10.0**decade <= high]
    axis.set_major_locator(FixedLocator(ticks))
    axis.set_minor_locator(NullLocator())
    axis.set_minor_formatter(NullFormatter())
    axis.set_major_formatter(_tick)


def _tick(value: float, position: object) -> str:
    return coarse_tick(value, position) if value >= 1000 else f"{value:.3g}"
