"""The section on a law: how well it fits, what it says of larger runs, and how its forecasts came out."""

from __future__ import annotations

from collections.abc import Callable
from importlib import resources
from typing import Any

from jinja2 import Environment
from markupsafe import Markup

from seedbed.report import law_plots, plots, wording
from seedbed.report.law_data import LawFit

WIDE, NARROW = 760, 350
"""Widths of drawings in pixels; a sheet of paper shows the wide one at nearly its size."""


def section(of: LawFit, environment: Environment) -> Markup:
    """The section as HTML."""
    source = (resources.files("seedbed.report") / "law.html.j2").read_text(encoding="utf-8")
    names = of.groups or tuple(f"{wording.coarse(curve.params)} parameters" for curve in of.curves)
    view: dict[str, Any] = {
        "law": of,
        "key": [(name, i % plots.N_SERIES) for i, name in enumerate(names)],
        "budgets": [(wording.flop(each.flops), i % plots.N_SERIES) for i, each in enumerate(of.isoflops)],
        "fit": _drawn(law_plots.fit_plot, of, bool(of.curves)),
        "residuals": _drawn(law_plots.residual_plot, of, bool(of.residuals)),
        "isoflops": _drawn(law_plots.isoflop_plot, of, bool(of.isoflops)),
        "frontier": _drawn(law_plots.forecast_plot, of, of.frontier is not None),
        "outcomes": _drawn(law_plots.outcome_plot, of, any(each.observed for each in of.outcomes)),
    }
    return Markup(environment.from_string(source).render(view))


def _drawn(plot: Callable[[LawFit, int], Markup], of: LawFit, is_there: bool) -> list[Markup]:
    return [plot(of, width) for width in (WIDE, NARROW)] if is_there else []
