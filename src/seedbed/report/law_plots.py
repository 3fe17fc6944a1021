"""Plots of a law: the fit, its residuals, curves of equal compute, forecasts against what came."""

from __future__ import annotations

from typing import Any

import numpy as np
from markupsafe import Markup

from seedbed.report import wording
from seedbed.report.law_data import Band, LawFit
from seedbed.report.plots import GRID, INK, MUTED, PAPER, coarse_tick, colour_of, few_ticks, svg

ROOM = (58, 12, 44, 12)
"""Margins of a plot: left, right, bottom, top."""

DOT: dict[str, Any] = {"markersize": 6, "markeredgecolor": PAPER, "markeredgewidth": 0.6}


def fit_plot(law: LawFit, width: int) -> Markup:
    """The answer against tokens, a curve a model size with the law's interval, and the runs as dots."""

    def draw(axes: Any) -> None:
        for i, curve in enumerate(law.curves):
            _band(axes, curve.band, colour_of(i))
            axes.plot(
                curve.run_tokens,
                curve.run_loss,
                "o",
                color=colour_of(i),
                markersize=6,
                markeredgecolor=PAPER,
                markeredgewidth=0.6,
            )
        _log_axis(axes, [t for curve in law.curves for t in curve.band.at])
        _finish(axes, "tokens trained on", _name(law))

    sizes = ", ".join(wording.coarse(curve.params) for curve in law.curves)
    label = f"{law.answer} against tokens for models of {sizes} parameters: runs as dots, the law as curves."
    return svg(draw, width, 420 if width >= 500 else 280, ROOM, label, f"lf{width}")


def residual_plot(law: LawFit, width: int) -> Markup:
    """How far each run lies off the law, against what the law says of it."""

    def draw(axes: Any) -> None:
        axes.axhline(0, color=MUTED, linewidth=1)
        for group in sorted({each.group for each in law.residuals}):
            mine = [each for each in law.residuals if each.group == group]
            off = [100 * each.off if law.relative else each.off for each in mine]
            axes.plot([each.fitted for each in mine], off, "o", color=colour_of(group), **DOT)  # fmt: skip
        few_ticks(axes, 5)
        most = max((abs(v) for v in axes.get_ylim()), default=1)
        axes.set_ylim(-most, most)
        _finish(axes, f"{_name(law)} by the law", "percent off" if law.relative else "off")

    worst = max((abs(each.off) for each in law.residuals), default=0.0)
    told = f"{100 * worst:.2g} percent" if law.relative else f"{worst:.2g}"
    label = f"Residuals of {len(law.residuals)} runs against the fitted {law.answer}; the largest is {told}."
    return svg(draw, width, 260, ROOM, label, f"lr{width}")


def isoflop_plot(law: LawFit, width: int) -> Markup:
    """The answer against parameters, a curve a budget; a ring where it is lowest, with the interval of that size."""

    def draw(axes: Any) -> None:
        for i, budget in enumerate(law.isoflops):
            colour = colour_of(i)
            _band(axes, budget.band, colour)
            if budget.params is not None and budget.value is not None:
                if budget.params.low is not None and budget.params.high is not None:
                    axes.plot([budget.params.low, budget.params.high], [budget.value] * 2, color=colour, linewidth=2.5)
                axes.plot([budget.params.value], [budget.value], "o", color=colour, markersize=8,
                          markerfacecolor=PAPER, markeredgewidth=1.8)  # fmt: skip
        _log_axis(axes, [n for budget in law.isoflops for n in budget.band.at])
        _limits(axes, [v for budget in law.isoflops for v in budget.band.value])
        _finish(axes, "parameters", _name(law))

    budgets = ", ".join(wording.flop(budget.flops) for budget in law.isoflops)
    label = f"{law.answer} against parameters at budgets of {budgets}: rings mark the lowest."
    return svg(draw, width, 320 if width >= 500 else 280, ROOM, label, f"li{width}")


def forecast_plot(law: LawFit, width: int) -> Markup:
    """The lowest answer for each budget with its band, and the runs."""
    assert law.frontier is not None
    frontier = law.frontier

    def draw(axes: Any) -> None:
        _band(axes, frontier, INK)
        for flops, loss, group in law.runs:
            axes.plot(
                [flops], [loss], "o", color=colour_of(group), markersize=6, markeredgecolor=PAPER, markeredgewidth=0.6
            )
        last = max((flops for flops, _, _ in law.runs), default=0.0)
        if last and last < max(frontier.at):
            axes.axvline(last, color=MUTED, linewidth=0.8, linestyle=(0, (2, 3)))
        _log_axis(axes, [*frontier.at, *(flops for flops, _, _ in law.runs)])
        _limits(axes, [*frontier.value, *(loss for _, loss, _ in law.runs)])
        _finish(axes, "FLOP of training", _name(law))

    label = f"Lowest {law.answer} that a budget of training buys, with the law's interval; runs as dots."
    return svg(draw, width, 320 if width >= 500 else 280, ROOM, label, f"lc{width}")


def outcome_plot(law: LawFit, width: int) -> Markup:
    """A row a forecast: its interval about 0, and what came, as percent of the forecast."""
    step, shown = 34, law.outcomes

    def draw(axes: Any) -> None:
        axes.axvline(0, color=MUTED, linewidth=1)
        for row, each in enumerate(shown):
            ends = [100 * (end / each.value - 1) for end in (each.low, each.high)]
            axes.plot(ends, [-row, -row], color=MUTED, linewidth=7, alpha=0.3, solid_capstyle="butt")
            came = [100 * (seen / each.value - 1) for seen in each.observed]
            axes.plot(came, [-row] * len(came), "o", color=colour_of(0), markersize=4, alpha=0.6, markeredgewidth=0)
            if each.mean is not None:
                axes.plot([100 * (each.mean / each.value - 1)], [-row], "|", color=INK, markersize=16,
                          markeredgewidth=2)  # fmt: skip
            axes.annotate(str(row + 1), (0, -row), (-14, 0), xycoords=("axes fraction", "data"), va="center",
                          textcoords="offset points", ha="right")  # fmt: skip
        axes.set_ylim(-len(shown) + 0.4, 0.6)
        axes.set_yticks([])
        few_ticks(axes, 6)
        axes.grid(axis="x", color=GRID, linewidth=0.8)
        axes.set_xlabel("percent above the forecast")

    inside = sum(1 for each in shown if each.inside)
    label = f"What came of {len(shown)} forecasts, relative to each; {inside} inside the interval."
    return svg(draw, width, 56 + step * len(shown), (34, 12, 44, 10), label, f"lo{width}")


def _name(law: LawFit) -> str:
    """Of the answer, as an axis can say it."""
    return wording.shorten(wording.clean(law.answer), 24)


def _band(axes: Any, band: Band, colour: str) -> None:
    axes.fill_between(band.at, band.low, band.high, color=colour, alpha=0.14, linewidth=0)
    axes.plot(band.at, band.value, color=colour, linewidth=1.5)


def _limits(axes: Any, values: list[float]) -> None:
    """What the law says and what was seen set the scale; a band that nothing pins down goes out of the picture."""
    room = 0.35 * (max(values) - min(values)) + 1e-9
    axes.set_ylim(min(values) - room, max(values) + room)


def _log_axis(axes: Any, values: list[float]) -> None:
    from matplotlib.ticker import LogLocator, NullFormatter

    axes.set_xscale("log")
    decades = float(np.log10(max(values) / min(values))) if values else 1.0
    steps = (1.0,) if decades > 3 else (1.0, 3.0) if decades > 1.2 else (1.0, 2.0, 5.0)
    axes.xaxis.set_major_locator(LogLocator(subs=steps))
    axes.xaxis.set_major_formatter(coarse_tick)
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.tick_params(axis="x", which="minor", length=0)


def _finish(axes: Any, x: str, y: str) -> None:
    axes.locator_params(axis="y", nbins=5)
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
