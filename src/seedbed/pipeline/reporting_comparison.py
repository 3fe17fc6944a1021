"""What the report says of methods against a measured baseline: outcomes, the price of choosing, what was picked."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

from seedbed.core import arrow
from seedbed.core.artifact import Artifact
from seedbed.evaluate.break_even import BreakEven, Point, Price, curve_rows, point_rows
from seedbed.evaluate.rows import COLUMNS, Row, write_csv
from seedbed.evaluate.speed_up import Curve, Outcome, curves_of, outcomes
from seedbed.evaluate.summary import Difference, MethodSummary, SpeedUp, Summary, summarise
from seedbed.pipeline.picked import (
    Choice,
    FloatArray,
    agreement_of,
    agreement_rows,
    choice_of,
    columns_of,
    examples,
    picked,
    picked_rows,
)
from seedbed.pipeline.reporting_curation import Story, masked
from seedbed.report.comparison_data import Agreement, CostCurve, CurvePoint, Factor, MethodResult, Picked, Terms, Trial
from seedbed.stats.intervals import mean_interval
from seedbed.tokenize.run import Part, Pool

MOST_SIGNALS = 5
Cells = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Measured:
    """What the rows of a comparison come to.

    Args:
        rows: of the arms, without the baseline's other lengths.
        found: an Outcome for each arm and seed.
        curves: the baseline's, one a seed.
        costs: speed-ups with their price.
    """

    rows: list[Cells]
    target: str
    found: list[Outcome]
    curves: list[Curve]
    summary: Summary
    costs: list[BreakEven]


def measured(result: Mapping[str, Any], tokens: Artifact, resample: float) -> Measured | None:
    """From what a comparison left; None where the baseline's curve was not measured."""
    target, baseline, ceiling = (str(result[name]) for name in ("target", "baseline", "ceiling"))
    rows = cast("list[Cells]", result["rows"])
    lengths = [row for row in rows if str(row["arm"]).startswith(f"{baseline}@x")]
    own = [row for row in rows if not str(row["arm"]).startswith(f"{baseline}@")]
    if not lengths:
        return None
    curve = _table(lengths)
    found = outcomes(_table(own), curve, target=target, baseline=baseline)
    summary = summarise(found, baseline=baseline, ceiling=ceiling)
    numbers = [Row(**{name: row[name] for name in _NUMBERS}) for row in own]
    curves = list(curves_of(curve, numbers, target=target, baseline=baseline).values())
    costs = priced(summary, own, cast(int, tokens.about["tokens"]) * resample)
    return Measured(own, target, found, curves, summary, costs)


def trial(out: Path, result: Mapping[str, Any], story: Story, tokens: Artifact, resample: float) -> Trial | None:
    """The section's numbers; None where the baseline's curve was not measured."""
    of = measured(result, tokens, resample)
    if of is None:
        return None
    chosen, agreement = _choices(out, of.rows, Pool(story.curated.kept, tokens), resample, story)
    shown = trial_of(of.summary, of.found, of.curves, of.costs, target=of.target)
    return dataclasses.replace(shown, picked=tuple(chosen), agreement=agreement)


def write_tables(out: Path, result: Mapping[str, Any], tokens: Artifact, resample: float, shown: Trial) -> None:
    """break_even.csv, break_even_points.csv, picked.csv and agreement.csv at the top of the output folder."""
    of = measured(result, tokens, resample)
    if of is not None and shown.agreement is not None:
        write_csv(curve_rows(of.costs), out / "break_even.csv")
        write_csv(point_rows(of.costs), out / "break_even_points.csv")
        write_csv(picked_rows(shown.picked), out / "picked.csv")
        write_csv(agreement_rows(shown.agreement), out / "agreement.csv")


_NUMBERS = (*(name for name in COLUMNS if name != "seconds_select"), "budget_tokens", "unique_tokens", "chosen_tokens")


def _table(rows: Sequence[Cells]) -> Any:
    """Seconds are in the log, and nothing is decided by them."""
    columns = {name: [row[name] for row in rows] for name in _NUMBERS}
    return arrow.table({**columns, "seconds_select": [0.0] * len(rows)})


def priced(summary: Summary, rows: Sequence[Cells], pool_tokens: float) -> list[BreakEven]:
    """Every method's speed-up with its price, as counted; methods without a known speed-up are left out."""
    found: list[BreakEven] = []
    for one in summary.methods:
        speed = one.speedup_equal_tokens
        if one.role or speed is None or speed.bound == "unknown":
            continue
        mine = [row for row in rows if row["arm"] == one.method]
        training, select, auxiliary, params, helper, tokens = (
            float(np.mean([row[name] for row in mine]))
            for name in ("flops_train", "flops_select", "flops_auxiliary", "params", "auxiliary_params", "tokens")
        )
        scoring = max(select - auxiliary, 0.0)
        price = Price(training, auxiliary, scoring, helper / params, max(pool_tokens / tokens, 1.0))
        found.append(BreakEven(one.method, speed, price))
    return found


def trial_of(
    summary: Summary,
    found: Sequence[Outcome],
    curves: Sequence[Curve],
    costs: Sequence[BreakEven],
    *,
    target: str,
) -> Trial:
    """What the page is made of, without what was chosen. The curve has those lengths that every replicate has."""
    tokens = {one.method: float(np.mean([o.tokens for o in found if o.method == one.method])) for one in found}
    return Trial(
        target=target,
        baseline=summary.baseline,
        methods=tuple(_method(one, tokens[one.method]) for one in summary.methods),
        curve=tuple(_points(curves, summary.methods[0].losses[0].level)),
        costs=tuple(_cost_curve(one, axis) for one in costs for axis in one.axes()),
    )


def _points(curves: Sequence[Curve], level: float) -> list[CurvePoint]:
    lengths = [cast("list[float]", one.tokens_P.tolist()) for one in curves]
    shared = [tokens for tokens in lengths[0] if all(tokens in other for other in lengths)] if lengths else []
    points: list[CurvePoint] = []
    for tokens in shared:
        values = [float(one.bits_per_byte_P[one.tokens_P == tokens][0]) for one in curves]
        points.append(CurvePoint(tokens, mean_interval(np.array(values, np.float64), level)))
    return points


def _method(one: MethodSummary, tokens: float) -> MethodResult:
    return MethodResult(
        method=one.method,
        role=one.role,
        seeds=one.seeds,
        target=one.losses[0],
        mean_domain=one.losses[1],
        worst_domain=one.losses[2],
        at_equal_tokens=_terms(one.at_equal_tokens),
        at_equal_cost=_terms(one.at_equal_cost),
        speedup_equal_tokens=_factor(one.speedup_equal_tokens),
        speedup_equal_cost=_factor(one.speedup_equal_cost),
        share_better=one.share_better,
        selection_flops=one.selection_flops,
        training_flops=one.training_flops,
        unique_token_ratio=one.unique_token_ratio,
        tokens=tokens,
    )


def _terms(of: Difference | None) -> Terms | None:
    return None if of is None else Terms(of.interval, of.simultaneous, of.p_holm, of.verdict)


def _factor(of: SpeedUp | None) -> Factor | None:
    return None if of is None else Factor(of.factor, of.bound, of.words)


def _cost_curve(of: BreakEven, axis: Any) -> CostCurve:
    curve = of.curve(axis)
    bounded = all(value.low is not None and value.high is not None for _, value in curve)
    return CostCurve(
        method=of.method,
        axis=axis,
        at=tuple(at for at, _ in curve),
        value=tuple(value.value for _, value in curve),
        low=tuple(cast(float, value.low) for _, value in curve) if bounded else (),
        high=tuple(cast(float, value.high) for _, value in curve) if bounded else (),
        own=(float(getattr(of.price, axis)), of.own.value),
        breaks_even=_in_words(of.point(axis)),
    )


def _in_words(point: Point) -> str:
    return point.verdict if point.at is None else f"{point.verdict.removesuffix(' there')} {point.at:.3g}"


def _choices(
    out: Path, rows: Sequence[Cells], whole: Pool, resample: float, story: Story
) -> tuple[list[Picked], Agreement]:
    """What each arm chose, and how far arms agree."""
    weights: dict[str, dict[int, list[Artifact]]] = {}
    for row in rows:
        at = [Artifact(out / "artifacts" / str(name)) for name in row["weights"]]
        weights.setdefault(str(row["arm"]), {})[int(row["seed"])] = at
    columns = columns_of(whole, _signals(story))
    choices: dict[str, Choice] = {}
    shown: list[Picked] = []
    for method, by_seed in weights.items():
        first = min(by_seed)
        pool = whole if resample == 1 else Pool(whole.documents, whole.tokens, Part(first, resample))
        scores = Artifact(out / "artifacts" / str(by_seed[first][-1].about["scores"]).partition("+")[0])
        choice = choice_of(pool, [by_seed[seed] for seed in sorted(by_seed)], scores)
        choices[method] = choice
        read = examples(pool, choice, lambda texts: masked(story.plan, texts))
        shown.append(dataclasses.replace(picked(method, columns, choice), examples=read))
    return _telling(shown), agreement_of(columns, choices)


def _signals(story: Story) -> dict[str, FloatArray]:
    """Numbers that the curation measured on the kept documents."""
    found: dict[str, FloatArray] = {}
    for step in story.plan.filters:
        numbers = [signal.name for signal in step.signals if signal.kind != "text"]
        table = story.curated.signals[step.name()].table(numbers)
        for name in numbers:
            value_N = arrow.numpy(table, name).astype(np.float64)[story.kept]
            if name not in found and np.isfinite(value_N).all() and np.ptp(value_N) > 0:
                found[name] = value_N
    return found


def _telling(shown: Sequence[Picked]) -> list[Picked]:
    """With only those signals in which the methods differ most."""
    values = {name: [dict(one.signals)[name] for one in shown] for name, _ in (shown[0].signals if shown else ())}
    kept = sorted(values, key=lambda name: -np.ptp(values[name]))[:MOST_SIGNALS]
    return [dataclasses.replace(one, signals=tuple(s for s in one.signals if s[0] in kept)) for one in shown]
