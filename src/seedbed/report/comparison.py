"""The section on methods against a baseline: table, curve, speed-ups, break-even, what was picked, agreement."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from typing import Any

from jinja2 import Environment
from markupsafe import Markup

from seedbed.report import comparison_plots, plots, wording
from seedbed.report.comparison_data import Factor, MethodResult, Picked, Terms, Trial
from seedbed.report.data import ArmResult

WIDE, NARROW = 1000, 350
N_COLOURS = plots.N_SERIES - 1
"""Domains with a colour of their own; the last one is for all others."""

AXES = {
    "size_ratio": "auxiliary model over trained model, parameters",
    "pool_ratio": "pool over selection, tokens",
    "reuse": "trainings that share the scores",
}
WORDS = {
    "better": "better",
    "worse": "worse",
    "not after correction": "no finding after correction",
    "undecided": "not told apart",
    "not measured": "not measured",
    "": "",
}


def section(of: Trial, environment: Environment) -> Markup:
    """The tables and plots as HTML, below the verdict."""
    source = (resources.files("seedbed.report") / "comparison.html.j2").read_text(encoding="utf-8")
    methods = sorted(of.methods, key=lambda one: one.target.value)
    names = [one.method for one in methods]
    view: dict[str, Any] = {"trial": of, "methods": methods, "series": series(methods), "words": WORDS, "axes": AXES}
    view["level"] = methods[0].target.level if methods else 0.95
    view["compared"] = sum(one.role == "" for one in methods)
    arms = [_arm(one) for one in methods]
    differs = any(arm.at_equal_tokens is not None for arm in arms)
    view["differences"] = [plots.difference_plot(arms, of.baseline, w) for w in (WIDE, NARROW)] if differs else []
    view["curve"] = [comparison_plots.curve_plot(of, methods, w) for w in (WIDE, NARROW)] if len(of.curve) > 1 else []
    sped = [one for one in methods if one.speedup_equal_tokens is not None and one.role != "baseline"]
    view["speeds"] = [comparison_plots.speed_plot(sped, names, of.baseline, w) for w in (WIDE, NARROW)] if sped else []
    drawn = [axis for axis in AXES if any(one.axis == axis for one in of.costs)]
    view["costs"] = [(AXES[axis], comparison_plots.cost_plot(of.costs, names, axis, AXES[axis])) for axis in drawn]
    view["priced"] = [name for name in names if any(one.method == name for one in of.costs)]
    view["breaks_even"] = breaks_even(of, names)
    view["bars"] = bars([one for name in names for one in of.picked if one.method == name])
    view["signals"] = list(dict.fromkeys(name for one in of.picked for name, _ in one.signals))
    return Markup(environment.from_string(source).render(view))


def series(methods: Sequence[MethodResult]) -> dict[str, int]:
    """method -> the index of its colour."""
    return {one.method: i % plots.N_SERIES for i, one in enumerate(methods)}


def lead(of: Trial) -> list[str]:
    """The verdict in a few words: which methods are told apart from the baseline, on either footing."""
    said: list[str] = []
    for footing, name in (("at equal tokens", "at_equal_tokens"), ("at equal total cost", "at_equal_cost")):
        sides: dict[str, list[str]] = {}
        for one in of.methods:
            terms: Terms | None = getattr(one, name)
            if terms is not None and one.role == "":
                sides.setdefault(terms.verdict, []).append(one.method)
        told = [
            f"{wording.listed(names)} {verb if len(names) == 1 else plural} {of.baseline}"
            for verdict, verb, plural in (("better", "beats", "beat"), ("worse", "loses to", "lose to"))
            if (names := sides.get(verdict))
        ]
        if rest := [*sides.get("undecided", []), *sides.get("not after correction", [])]:
            told.append(f"{wording.listed(rest)} cannot be told from it")
        if told:
            said.append(f"On {of.target}, {footing}: {'; '.join(told)}.")
    return [*said, *_fastest(of)]


def _fastest(of: Trial) -> list[str]:
    """The best method's speed-up on either footing."""
    sped = [one for one in of.methods if one.role == "" and _better(one.at_equal_tokens)]
    best = min(sped, key=lambda one: one.target.value, default=None)
    if best is None or best.speedup_equal_tokens is None or best.speedup_equal_tokens.bound == "unknown":
        return []
    words = f"{of.baseline} needs {best.speedup_equal_tokens.words} times the tokens to reach the loss of {best.method}"
    cost = best.speedup_equal_cost
    paid = f", and {cost.words} times its total cost" if cost is not None and cost.bound != "unknown" else ""
    return [f"{words}{paid}."]


def _better(terms: Terms | None) -> bool:
    return terms is not None and terms.verdict == "better"


def _arm(one: MethodResult) -> ArmResult:
    """As the plot of differences draws it: with the intervals that hold for all methods at once."""
    at_tokens, at_cost = (None if t is None else t.simultaneous for t in (one.at_equal_tokens, one.at_equal_cost))
    return ArmResult(one.method, one.role, one.target, at_tokens, at_cost)


def breaks_even(of: Trial, names: Sequence[str]) -> list[tuple[str, float, dict[str, tuple[float, str]]]]:
    """(method, speed-up at equal total cost, axis -> (its own ratio, where it breaks even))."""
    found: list[tuple[str, float, dict[str, tuple[float, str]]]] = []
    for name in names:
        mine = [one for one in of.costs if one.method == name]
        if mine:
            found.append((name, mine[0].own[1], {one.axis: (one.own[0], one.breaks_even) for one in mine}))
    return found


def bars(picked: Sequence[Picked]) -> list[dict[str, Any]]:
    """For each way to group: its name, the groups with a colour, and a stack for the pool and each method."""
    found: list[dict[str, Any]] = []
    for what in dict.fromkeys(what for one in picked for what, _ in one.groups):
        groups = {one.method: dict(one.groups)[what] for one in picked if what in dict(one.groups)}
        every = list(dict.fromkeys(group.name for some in groups.values() for group in some))
        pool = {group.name: group.pool for some in groups.values() for group in some}
        rows = [("the pool", pool)]
        rows += [(method, {group.name: group.chosen for group in some}) for method, some in groups.items()]
        most = sorted(every, key=lambda name: -max(shares.get(name, 0.0) for _, shares in rows))
        coloured = [name for name in every if len(every) <= plots.N_SERIES or name in most[:N_COLOURS]]
        keys = [(name, i) for i, name in enumerate(coloured)]
        if rest := [name for name in every if name not in coloured]:
            keys.append((f"{len(rest)} others", N_COLOURS))
        stacks = [(row, _stack(shares, coloured)) for row, shares in rows]
        found.append({"what": what, "keys": keys, "stacks": stacks, "every": every, "rows": rows})
    return found


def _stack(shares: dict[str, float], coloured: Sequence[str]) -> list[tuple[str, float, int]]:
    """(group, share, colour) from left to right."""
    known = [(name, shares.get(name, 0.0), i) for i, name in enumerate(coloured)]
    rest = max(0.0, 1.0 - sum(share for _, share, _ in known))
    return [part for part in [*known, ("others", rest, N_COLOURS)] if part[1] > 0.0005]


def factor_words(factor: Factor | None) -> tuple[str, str]:
    """(figure, small print) of a speed-up."""
    if factor is None or factor.bound == "unknown":
        return ("–", "outside of what was measured" if factor else "")
    low, high = factor.value.low, factor.value.high
    figure = f"{wording.decimals(factor.value.value, 2)} ×"
    if low is None or high is None:
        return (figure, factor.bound)
    return (figure, f"{wording.decimals(low, 2)} to {wording.decimals(high, 2)}")


def heat(value: float) -> str:
    """The background of a cell: how strong, and which colour."""
    colour = "kept" if value >= 0 else "dropped"
    return f"color-mix(in srgb, var(--{colour}) {min(abs(value), 1.0) * 62:.0f}%, var(--paper))"
