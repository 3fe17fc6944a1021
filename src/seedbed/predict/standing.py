"""Standing: how far each law has earned trust, from the forecasts that were written down before their runs.

Only outcomes that are not known to have come before their forecast count. Forecasts of one run count as one between
them, so that a law gains nothing by asking the same run many times. A law is disbelieved where so few runs inside its
intervals would come about by chance, at the level they state, less than once in forty (exact binomial tail); it is
believed on no fewer than FEWEST runs.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias, cast

import numpy as np
from scipy import special as scipy_special

from seedbed.core.parameters import Json, encode
from seedbed.predict.ledger import Line
from seedbed.predict.outcomes import pairs, plan_of
from seedbed.stats.intervals import share_interval

_special: Any = scipy_special

FEWEST = 10
"""So many runs are needed before intervals are called right."""

UNLIKELY = 0.025
"""A chance below which misses are no bad luck."""

Pair: TypeAlias = tuple[Line, Line]


@dataclasses.dataclass(frozen=True)
class Standing:
    """The record of one law for one answer.

    Args:
        law, answer: whose forecasts, and of what.
        registered, open: forecasts, and those without an outcome.
        scored: those with one.
        not_prospective: scored ones whose run had begun before; they count for nothing below.
        unproven: counted ones of which nobody said when the run began.
        runs: different runs among those that count.
        error_median, error_90: of the relative error's size over these runs.
        bias: mean of (forecast - observed) / observed; above 0 the law foretells too much.
        coverage: share of runs inside their interval, with its 95 % interval; None without intervals.
        nominal: what it should be.
        crps: mean, relative to what came.
        seed_noise: median relative spread between seeds, where several were given.
        verdict: in a sentence.
    """

    law: str
    answer: str
    registered: int
    open: int
    scored: int
    not_prospective: int
    unproven: int
    runs: int
    error_median: float | None
    error_90: float | None
    bias: float | None
    coverage: float | None
    coverage_low: float | None
    coverage_high: float | None
    nominal: float | None
    crps: float | None
    seed_noise: float | None
    verdict: str

    def to_json(self) -> dict[str, Json]:
        """Field -> value."""
        return cast("dict[str, Json]", encode(self))


def standing(ledger_file: Path) -> list[Standing]:
    """A row a law and answer, by name. Raises SeedbedError where the ledger was tampered with."""
    found: dict[tuple[str, str], list[tuple[Line, Line | None]]] = {}
    for forecast, outcome in pairs(ledger_file):
        found.setdefault((str(forecast["law"]), str(forecast["answer"])), []).append((forecast, outcome))
    return [_standing(law, answer, of) for (law, answer), of in sorted(found.items())]


def table(standings: Sequence[Standing]) -> tuple[list[str], list[list[str]]]:
    """(header, rows) for the terminal."""
    header = ["law", "answer", "registered", "open", "counted", "median error", "90 % error", "bias", "CRPS", "inside"]
    return [*header, "verdict"], [
        [
            each.law.rpartition(".")[2],
            each.answer,
            str(each.registered),
            str(each.open),
            str(each.runs),
            *(_percent(x) for x in (each.error_median, each.error_90, each.bias, each.crps)),
            _told_coverage(each),
            each.verdict,
        ]
        for each in standings
    ]


def _standing(law: str, answer: str, all_pairs: Sequence[tuple[Line, Line | None]]) -> Standing:
    scored = [(forecast, outcome) for forecast, outcome in all_pairs if outcome is not None]
    counted = [pair for pair in scored if pair[1]["prospective"] is not False]
    runs = _by_run(counted)
    errors = np.array([_mean(of, "error") for of in runs], np.float64)
    sizes = np.array([np.mean([abs(cast(float, o["error"])) for _, o in of]) for of in runs], np.float64)
    inside = [_mean(held, "inside_share") for of in runs if (held := [p for p in of if p[1]["inside"] is not None])]
    levels = [cast(float, f["level"]) for f, o in counted if o["inside"] is not None]
    noise = [cast(float, o["seed_noise"]) for _, o in counted if o["seed_noise"] is not None]
    nominal = float(np.mean(levels)) if levels else None
    share = share_interval(float(np.mean(inside)), len(inside)) if inside else None
    return Standing(
        law=law,
        answer=answer,
        registered=len(all_pairs),
        open=len(all_pairs) - len(scored),
        scored=len(scored),
        not_prospective=len(scored) - len(counted),
        unproven=sum(o["prospective"] is None for _, o in counted),
        runs=len(runs),
        error_median=float(np.median(sizes)) if runs else None,
        error_90=float(np.quantile(sizes, 0.9)) if runs else None,
        bias=float(errors.mean()) if runs else None,
        coverage=share.value if share else None,
        coverage_low=min(share.low or 0.0, share.value) if share else None,
        coverage_high=max(share.high or 0.0, share.value) if share else None,
        nominal=nominal,
        crps=float(np.mean([_mean(of, "crps_relative") for of in runs])) if runs else None,
        seed_noise=float(np.median(noise)) if noise else None,
        verdict=_verdict(inside, nominal, len(runs), len(scored) - len(counted)),
    )


def _by_run(counted: Sequence[Pair]) -> list[list[Pair]]:
    """Forecasts with their outcomes, those of one run together."""
    found: dict[str, list[Pair]] = {}
    for forecast, outcome in counted:
        numbers = ",".join(f"{name}={value:.6g}" for name, value in sorted(plan_of(forecast).items()))
        found.setdefault(numbers, []).append((forecast, outcome))
    return list(found.values())


def _mean(of: Sequence[Pair], name: str) -> float:
    return float(np.mean([cast(float, outcome[name]) for _, outcome in of]))


def _verdict(inside: Sequence[float], nominal: float | None, runs: int, not_prospective: int) -> str:
    if not runs:
        late = f"{not_prospective} scored after their runs had begun: " if not_prospective else ""
        return late + "no forecast has met its run yet: nothing is earned"
    if nominal is None or not inside:
        return f"{runs} scored without intervals: only the errors speak"
    n, held = len(inside), float(np.sum(inside))
    share = f"covers {held / n:.0%} of {n} at a stated {nominal:.0%}"
    if float(_special.bdtr(np.floor(held), n, nominal)) < UNLIKELY:
        return f"{share}: do not believe its intervals"
    if n < FEWEST:
        return f"{n} scored: too few to say"
    if float(_special.bdtrc(np.ceil(held) - 1, n, nominal)) < UNLIKELY:
        return f"{share}: its intervals are wider than they need be"
    return f"{share}: as stated"


def _told_coverage(each: Standing) -> str:
    if each.coverage is None or each.nominal is None:
        return "-"
    between = f"{each.coverage_low or 0:.0%} to {each.coverage_high or 0:.0%}"
    return f"{each.coverage:.0%} ({between}), stated {each.nominal:.0%}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.2g} %"
