"""Plots of continual training: bits per byte of each domain along the routes, learning rate and loss over tokens."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from seedbed.report import wording
from seedbed.report.continual_data import Continual, RouteStory, StageCurve
from seedbed.report.plots import GRID, MUTED, N_SERIES, PAPER, coarse_tick, colour_of, few_ticks, svg
from seedbed.report.training import thinned

FloatArray = npt.NDArray[np.float64]
NARROW = 350
SMOOTHED_STEPS = 200
"""Losses are averaged over one part in so many of a route: little enough that a spike stays."""

BEFORE, AFTER = 0.06, 0.2
"""How much of the longest route the close-up shows, before and after the second stage begins."""


def path_plot(of: Continual, domain: str, index: int, width: int = NARROW) -> Markup:
    """Bits per byte of one domain against tokens of the whole route, a line a route; rings are annealed branches."""
    known = [(i, route) for i, route in enumerate(of.routes) if route.points]
    late = [
        p.bits_per_byte[domain] for _, route in known for p in route.points if p.order and domain in p.bits_per_byte
    ]
    low, high = min(late, default=0.0), max(late, default=1.0)
    room = 0.08 * (high - low) + 1e-6

    def draw(axes: Any) -> None:
        for i, route in known:
            _path(axes, route, domain, colour_of(i), "-" if i < N_SERIES else "--")
        axes.set_ylim(low - room, high + 2 * room)  # the model before the first stage comes in from above
        axes.locator_params(axis="y", nbins=5)
        _finish(axes, "bits per byte")

    told = "; ".join(f"{route.route} {_last(route, domain)}" for _, route in known)
    label = f"Bits per byte on {domain} along the stages against tokens; at the end: {told}."
    return svg(draw, width, 260, (52, 12, 44, 12), label, f"cp{index}")


def _path(axes: Any, route: RouteStory, domain: str, colour: str, dash: str) -> None:
    plain = [p for p in route.points if not p.annealed and domain in p.bits_per_byte]
    at, value = [p.tokens for p in plain], [p.bits_per_byte[domain] for p in plain]
    axes.plot(at, value, color=colour, linewidth=1.6, linestyle=dash)
    axes.plot(at, value, "o", color=colour, markersize=5, markeredgecolor=PAPER)
    for branch in (p for p in route.points if p.annealed and domain in p.bits_per_byte):
        start = [(p.tokens, p.bits_per_byte[domain]) for p in plain if p.order == branch.order]
        ends = [*start, (branch.tokens, branch.bits_per_byte[domain])]
        axes.plot(*zip(*ends, strict=True), color=colour, linewidth=1, linestyle=":")
        axes.plot(*ends[-1], "o", color=colour, markersize=6, markerfacecolor=PAPER, markeredgewidth=1.4)


def _last(route: RouteStory, domain: str) -> str:
    values = [p.bits_per_byte[domain] for p in route.points if domain in p.bits_per_byte]
    return wording.decimals(values[-1], 3) if values else "nothing"


@dataclasses.dataclass(frozen=True)
class Line:
    """One route's curve; `index` says its colour."""

    index: int
    tokens: FloatArray
    loss: FloatArray
    rate: FloatArray


def curve_plots(of: Continual) -> list[tuple[str, str, list[Markup]]]:
    """(title, unit, wide and narrow drawing): rate, training loss, and that loss where the second stage begins."""
    routes = [route.route for route in of.routes]
    lines = [Line(i, *merged([c for c in of.curves if c.route == name])) for i, name in enumerate(routes)]
    lines = [line for line in lines if len(line.tokens)]
    if not lines:
        return []
    end = max(float(line.tokens.max()) for line in lines)
    changes = sorted({round(begin) for c in of.curves for begin in c.begins if begin > 0.02 * end})
    found = [
        (
            "Learning rate",
            "of each step",
            [_lines(lines, "rate", (0, end), changes, "", f"cr{w}", w) for w in (1000, 350)],
        ),
        (
            "Training loss",
            "nats per token",
            [_lines(lines, "loss", (0, end), changes, "nats per token", f"cl{w}", w) for w in (1000, 350)],
        ),
    ]
    if changes:
        near = (max(changes[0] - BEFORE * end, 0), min(changes[0] + AFTER * end, end))
        drawn = [_lines(lines, "loss", near, changes, "nats per token", f"cz{w}", w) for w in (1000, 350)]
        found.append(("Training loss where the text changes", "nats per token", drawn))
    return found


def merged(curves: Sequence[StageCurve]) -> tuple[FloatArray, FloatArray, FloatArray]:
    """(tokens, loss, rate) of a route: the mean over seeds at each logged step; the longest common part."""
    if not curves:
        return np.zeros(0), np.zeros(0), np.zeros(0)
    n = min(len(curve.tokens) for curve in curves)
    rows = [(c.tokens[:n], c.loss_nats_per_token[:n], c.learning_rate[:n]) for c in curves]
    tokens, loss, rate = np.array(rows, np.float64).mean(axis=0)
    return tokens, _smoothed(loss), rate


def _smoothed(loss: FloatArray) -> FloatArray:
    """A running mean; at the ends over what there is."""
    width = max(len(loss) // SMOOTHED_STEPS, 1)
    kernel = np.ones(width)
    return np.convolve(loss, kernel, "same") / np.convolve(np.ones(len(loss)), kernel, "same")


def _lines(
    lines: Sequence[Line],
    column: Literal["loss", "rate"],
    span: tuple[float, float],
    changes: Sequence[float],
    y: str,
    key: str,
    width: int,
) -> Markup:
    """One column of every line; the scale leaves out what the first 2 percent of the longest route set."""
    end = max(float(line.tokens.max()) for line in lines)
    start = max(span[0], 0.02 * end)
    drawn = [(line, line.rate if column == "rate" else line.loss) for line in lines]
    shown = [value[(line.tokens >= start) & (line.tokens <= span[1])] for line, value in drawn]
    values = np.concatenate(shown)
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
    room = 0.05 * (high - low) + 1e-9

    def draw(axes: Any) -> None:
        for begin in changes:
            axes.axvline(begin, color=MUTED, linewidth=0.8, linestyle=(0, (2, 3)))
        for line, value in drawn:
            inside = (line.tokens >= span[0]) & (line.tokens <= span[1])
            if inside.any():
                dash = "-" if line.index < N_SERIES else "--"
                colour = colour_of(line.index)
                axes.plot(*thinned(line.tokens[inside], value[inside]), color=colour, linewidth=1.4, linestyle=dash)
        axes.set_xlim(*span)
        axes.set_ylim(low - room, high + room)
        axes.locator_params(axis="y", nbins=5)
        if column == "rate":
            axes.yaxis.set_major_formatter(_rate_tick)
        _finish(axes, y)

    what = "Learning rate" if column == "rate" else "Training loss in nats per token"
    label = f"{what} against tokens of the whole route; from {low:.4g} to {high:.4g}."
    height = (240 if column == "rate" else 340) if width >= 500 else 220
    return svg(draw, width, height, (60, 10, 44, 12), label, key)


def _finish(axes: Any, y: str) -> None:
    few_ticks(axes, 5)
    axes.xaxis.set_major_formatter(coarse_tick)
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.set_xlabel("tokens over the whole route")
    if y:
        axes.set_ylabel(y)


def _rate_tick(value: float, _: object) -> str:
    return f"{value:.3g}"
