"""The section on a training run: loss, rate, norm and speed as curves, shares, incidents, cost, plan and runtime."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from typing import Any

import numpy as np
from jinja2 import Environment
from markupsafe import Markup

from seedbed.core import units
from seedbed.report import wording
from seedbed.report.plots import GRID, MUTED, coarse_tick, colour_of, few_ticks, smooth, svg
from seedbed.report.training_data import Series, Training

WIDE, HALF, NARROW = 1000, 480, 350
MOST_POINTS = 700
"""Of a line; a longer one keeps the lowest and the highest of each stretch, so that no spike is lost."""

START = 0.02
"""Share of the run whose losses do not set the scale: they fall from the loss of knowing nothing."""

Array = np.ndarray[Any, np.dtype[np.float64]]


def section(of: Training, environment: Environment) -> Markup:
    """The section as HTML."""
    source = (resources.files("seedbed.report") / "training.html.j2").read_text(encoding="utf-8")
    view: dict[str, Any] = {"run": of, "losses": [loss_plot(of.series, width) for width in (WIDE, NARROW)]}
    view["small"] = small_plots(of.series)
    several = len(of.shares) > 1 and any(len(set(share.asked_curve)) > 1 for share in of.shares)
    view["shares"] = [share_plot(of, width) for width in (WIDE, NARROW)] if several else []
    return Markup(environment.from_string(source).render(view))


def tiles(of: Training) -> list[tuple[str, str, str]]:
    """(figure, what it is, remark) for the top of the page."""
    whole = "" if of.steps == of.total_steps else f"of {wording.coarse(of.total_tokens)} planned"
    return [
        (wording.coarse(of.tokens), "tokens trained on", whole),
        (wording.coarse(of.params), "parameters", ""),
        (wording.decimals(of.final_loss, 3), "training loss at the end", "nats per token"),
    ]


def loss_plot(of: Series, width: int) -> Markup:
    """Every logged loss, pale, and the smoothed one over it. The scale leaves out the fall at the start."""
    tokens, loss = _both(of.tokens, of.loss_nats_per_token)
    late = loss[tokens >= START * tokens.max(initial=0)]

    def draw(axes: Any) -> None:
        axes.plot(*thinned(tokens, loss), color=colour_of(0), linewidth=0.8, alpha=0.35)
        if len(tokens) > 4:
            grid = np.linspace(float(tokens.min()), float(tokens.max()), 200)
            axes.plot(grid, smooth(tokens, loss, grid), color=colour_of(0), linewidth=1.8)
        if len(late) > 1:
            low, high = float(late.min()), float(late.max())
            axes.set_ylim(low - 0.05 * (high - low) - 1e-6, high + 0.05 * (high - low) + 1e-6)
        _finish(axes, "nats per token")

    last = f"{loss[-1]:.3f}" if len(loss) else "nothing"
    label = f"Training loss in nats per token against tokens trained on; the last one is {last}."
    return svg(draw, width, 380 if width >= 500 else 250, (52, 10, 44, 14), label, f"tr-loss{width}")


def small_plots(of: Series) -> list[tuple[str, str, Markup]]:
    """(title, unit, drawing) of what else was logged."""
    rate, norm = ("Learning rate", "of each step"), ("Gradient norm", "before clipping")
    found = [
        (*rate, _line_plot(of.tokens, of.learning_rate, "Learning rate", "lr", smoothed=False)),
        (*norm, _line_plot(of.tokens, of.grad_norm, "Norm of the gradient", "norm", smoothed=True, low=0)),
    ]
    if np.isfinite(of.tokens_per_second).any():
        drawn = _line_plot(of.tokens, of.tokens_per_second, "Tokens a second", "speed", smoothed=True, low=0)
        found.append(("Speed", "tokens a second", drawn))
    return found


def _line_plot(
    at: Sequence[float], values: Sequence[float], what: str, key: str, *, smoothed: bool, low: float | None = None
) -> Markup:
    tokens, value = _both(at, values)

    def draw(axes: Any) -> None:
        pale = {"linewidth": 0.7, "alpha": 0.35} if smoothed and len(tokens) > 4 else {"linewidth": 1.6}
        axes.plot(*thinned(tokens, value), color=colour_of(2), **pale)
        if smoothed and len(tokens) > 4:
            grid = np.linspace(float(tokens.min()), float(tokens.max()), 120)
            axes.plot(grid, smooth(tokens, value, grid), color=colour_of(2), linewidth=1.6)
            axes.set_ylim(low, 1.05 * float(value[tokens >= START * tokens.max()].max()) or 1.0)
        if low is not None:
            axes.set_ylim(bottom=low)
        axes.yaxis.set_major_formatter(_tick)
        _finish(axes, "")

    spread = f", from {value.min():.4g} to {value.max():.4g}" if len(value) else ""
    return svg(draw, NARROW, 190, (52, 10, 44, 10), f"{what} against tokens trained on{spread}.", f"tr-{key}")


def share_plot(of: Training, width: int) -> Markup:
    """What was asked at each point (dashed), and what had been read until there."""
    tokens = np.asarray(of.series.tokens, float)

    def draw(axes: Any) -> None:
        for i, share in enumerate(of.shares):
            for curve, dash, line in ((share.asked_curve, "--", 1.0), (share.realised_curve, "-", 1.7)):
                at, value = _both(tokens.tolist(), curve)
                axes.plot(*thinned(at, value), color=colour_of(i), linestyle=dash, linewidth=line)
        axes.set_ylim(-0.02, 1.02)
        axes.axhline(0, color=MUTED, linewidth=0.5)
        _finish(axes, "share of the tokens")

    names = ", ".join(share.name for share in of.shares)
    label = f"Shares of {names} against tokens trained on: asked at each point, and read until there."
    return svg(draw, width, 300 if width >= 500 else 230, (52, 10, 44, 12), label, f"tr-share{width}")


def _finish(axes: Any, y: str) -> None:
    axes.margins(x=0.01)
    few_ticks(axes, 5)
    axes.xaxis.set_major_formatter(coarse_tick)
    axes.locator_params(axis="y", nbins=5)
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.set_xlabel("tokens trained on")
    if y:
        axes.set_ylabel(y)


def _tick(value: float, _: object) -> str:
    return units.human(value).strip() if abs(value) >= 1000 else f"{value:.3g}"


def _both(at: Sequence[float], values: Sequence[float]) -> tuple[Array, Array]:
    """Both as arrays, without what is no number."""
    tokens, value = np.asarray(at, float), np.asarray(values, float)
    there = np.isfinite(value)
    return tokens[there], value[there]


def thinned(at: Array, value: Array, most: int = MOST_POINTS) -> tuple[Array, Array]:
    """At most about `most` points: of each stretch the lowest and the highest, in their order."""
    if len(at) <= most:
        return at, value
    kept: list[int] = []
    for stretch in np.array_split(np.arange(len(at)), most // 2):
        low, high = int(stretch[value[stretch].argmin()]), int(stretch[value[stretch].argmax()])
        kept += sorted({low, high})
    chosen = np.array(sorted({0, *kept, len(at) - 1}))
    return at[chosen], value[chosen]
