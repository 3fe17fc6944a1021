"""The section on continual training: what every stage gained and lost on every domain, beside what it cost."""

from __future__ import annotations

from importlib import resources
from typing import Any

from jinja2 import Environment
from markupsafe import Markup

from seedbed.report import continual_plots, plots, wording
from seedbed.report.continual_data import Continual, RouteStory
from seedbed.stats.intervals import Interval

FEW_SEEDS = 5
PLACES = 3
FAR = 2.0
"""A change larger than so many times the largest after a first stage is not shaded."""


def section(of: Continual, environment: Environment) -> Markup:
    """The section as HTML, below the verdict."""
    source = (resources.files("seedbed.report") / "continual.html.j2").read_text(encoding="utf-8")
    scale = largest_change(of)
    view: dict[str, Any] = {
        "all": of,
        "series": {route.route: i % plots.N_SERIES for i, route in enumerate(of.routes)},
        "matrices": [(route, _cells(route, of.domains, scale)) for route in of.routes],
        "paths": [(domain, continual_plots.path_plot(of, domain, i)) for i, domain in enumerate(of.domains)]
        if any(route.points for route in of.routes)
        else [],
        "curves": continual_plots.curve_plots(of),
        "annealed": any(point.annealed for route in of.routes for point in route.points),
        "measures": [
            ("Backward transfer", [route.backward for route in of.routes]),
            ("Forward transfer", [route.forward for route in of.routes]),
            ("Forgetting", [route.forgetting for route in of.routes]),
        ],
    }
    return Markup(environment.from_string(source).render(view))


def largest_change(of: Continual) -> float:
    """Bits per byte of the largest change after a route's first stage: what is shaded most."""
    steps = [
        abs(after.value - before.value)
        for route in of.routes
        for above, below in zip(route.matrix[1:], route.matrix[2:], strict=False)
        for before, after in zip(above, below, strict=False)
    ]
    return max(steps, default=0.0) or 1.0


def _cells(route: RouteStory, domains: tuple[str, ...], scale: float) -> list[tuple[str, list[dict[str, Any]]]]:
    """(stage, cells): value, interval, change against the row above, its shade, whether the stage taught the domain."""
    found: list[tuple[str, list[dict[str, Any]]]] = []
    above: tuple[Interval, ...] = ()
    for stage, row in zip(route.stages, route.matrix, strict=True):
        if not row:
            continue
        cells: list[dict[str, Any]] = []
        for d, (domain, cell) in enumerate(zip(domains, row, strict=True)):
            change = cell.value - above[d].value if above else None
            far = change is None or abs(change) > FAR * scale  # from a model that knew nothing
            shade = 0.0 if change is None or far else max(-1.0, min(1.0, -change / scale))
            is_home = route.home.get(domain) == stage
            cells.append({"of": cell, "change": change, "shade": shade, "home": is_home})
        found.append((stage, cells))
        above = row
    return found


def lead(of: Continual) -> list[str]:
    """The verdict in plain words: which routes match the baseline and at which share of its compute; which forget."""
    said: list[str] = []
    n_seeds = min((cell.n for route in of.routes for row in route.matrix for cell in row), default=0)
    if of.baseline:
        same = [route for route in _others(of) if not any(_told_apart(route)) and n_seeds > 1]
        if same:
            names = [f"{route.route}{_share(route)}" for route in same]
            verb = "matches" if len(same) == 1 else "match"
            width = max(_reach(route) for route in same)
            bound = f"within {wording.decimals(width, PLACES)} bits per byte on every domain"
            said.append(f"{wording.listed(names)} {verb} {of.baseline}: no difference is told apart, {bound}.")
        said += [_sentence(route, of.baseline) for route in _others(of) if route not in same]
    forgot = [route for route in of.routes if _lost(route)]
    if forgot:
        said.append(f"Forgot: {'; '.join(f'{route.route} ({_lost(route)})' for route in forgot)}.")
    kept = [route.route for route in of.routes if route.backward.domains and not _lost(route)]
    if kept:
        said.append(f"No loss on older text is shown for {wording.listed(kept)}.")
    if 0 < n_seeds < FEW_SEEDS:
        said.append(f"{n_seeds} {'seed' if n_seeds == 1 else 'seeds'} a route: indicative, not settled.")
    return said


def _others(of: Continual) -> list[RouteStory]:
    return [route for route in of.routes if route.route != of.baseline and route.better_than_baseline.domains]


def _told_apart(route: RouteStory) -> tuple[list[str], list[str]]:
    """(domains where it is better than the baseline, where worse), each with by how much."""
    better: list[str] = []
    worse: list[str] = []
    for domain, one in route.better_than_baseline.domains.items():
        if one.excludes_zero:
            words = f"{domain} by {wording.decimals(abs(one.value), PLACES)}"
            (better if one.value > 0 else worse).append(words)
    return better, worse


def _reach(route: RouteStory) -> float:
    """How large a difference the intervals leave open."""
    bounds = [b for one in route.better_than_baseline.domains.values() for b in (one.low, one.high) if b is not None]
    return max((abs(b) for b in bounds), default=0.0)


def _sentence(route: RouteStory, baseline: str) -> str:
    better, worse = _told_apart(route)
    parts = [f"{word} on {wording.listed(some)}" for word, some in (("better", better), ("worse", worse)) if some]
    if not parts:
        signed = [
            f"{domain} {wording.signed(one.value, PLACES)}"
            for domain, one in route.better_than_baseline.domains.items()
        ]
        parts = [f"{wording.listed(signed)} (above 0 is better), from one seed"]
    unit = " bits per byte" if better or worse else ""
    return f"{route.route}{_share(route)}, against {baseline}: {', '.join(parts)}{unit}."


def _share(route: RouteStory) -> str:
    """' (12 % of its compute)' where it is known."""
    ratio = route.costs.get("update_flops_ratio")
    return "" if ratio is None else f" (the update: {wording.percent(ratio.value, 1)} of its compute)"


def _lost(route: RouteStory) -> str:
    """'0.210 bits per byte on manual': what backward transfer shows as lost; empty where nothing."""
    lost = [
        f"{wording.decimals(-one.value, PLACES)} bits per byte on {domain}"
        for domain, one in route.backward.domains.items()
        if one.value < 0 and (one.excludes_zero or one.n == 1)
    ]
    return wording.listed(lost)
