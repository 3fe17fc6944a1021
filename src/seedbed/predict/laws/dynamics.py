"""Dynamics: do a metric's curves of several sizes move alike over training, and where will the largest one end?

What      Tracks scores over checkpoints. Per metric: whether the sizes move alike, where a curve breaks, whether a run
          ends well behind its best, and signal over noise; the largest model's later scores from its early ones and
          the whole curve of the next smaller.
Source    Yang et al. 2024, arXiv 2404.01204 (The Fine Line): the same metrics show similar dynamics across sizes; only
          the abstract was at hand, and it gives no formula. Signal over noise: Heineman et al. 2025, arXiv 2508.13144.
Formula   alike = Spearman of the two curves at the large one's checkpoints (the small one interpolated over tokens);
          score_large(T) = c + m * score_small(T), (c, m) by least squares over the large one's checkpoints between
          since * early and early of the small one's tokens, interval by Student's t of one new point, with the error
          that the line through the first half of early made at its end added in quadrature;
          fall = (best - last) / standard error; signal over noise = ((max - min) / mean of the sizes' last scores) /
          (sd / mean of the largest one's last n); break = two slopes over ln(tokens) where the BIC falls by over 10.
Shapes    params_N, tokens_N, score_N, a row a checkpoint and metric -> these per metric; (params, tokens) ->
          (value, low, high) for a table of one metric
Units     tokens read so far; score and its standard error in the metric's own unit; shares as fractions.
Fidelity  Partial: the claim is the source's, all rules are ours. A metric is `tracked` by the smaller model alone: its
          curve rises or falls steadily (Spearman with tokens). `since` was chosen on the released checkpoints of
          the OLMo ladder. The best of many noisy checkpoints is a lucky one: a flat curve of 24 falls by 3 of its
          errors in about one of six runs; give scores of more items, or a higher `alarm`.
Errors    SeedbedError for a missing column, a number that is impossible (with its row), two scores of one checkpoint,
          a curve of fewer than 2 checkpoints; of a forecast: several metrics, one size, another size than the
          largest, tokens that the smaller has not read, fewer than 3 checkpoints to go by.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Any, cast

import numpy as np
import pyarrow as pa
from annotated_types import Ge, Gt, Le, Lt

from seedbed.core import arrow
from seedbed.core.errors import SeedbedError
from seedbed.core.parameters import Json
from seedbed.predict import curves, table
from seedbed.predict.contract import PARAMS, TOKENS, Estimate, FloatArray, Law, Plan, Variable
from seedbed.predict.curves import Curve, Line
from seedbed.stats.ranks import spearman

SAMPLES = 200
ONE_METRIC = "score"
LOWER = ("bits_per_byte", "bpb", "loss", "perplexity", "nats")


@dataclasses.dataclass(frozen=True)
class Dynamics(Law):
    """The tracker's rules.

    Args:
        early: share of the smaller model's tokens up to which the larger one's checkpoints are used.
        since: share of that early part that is left out: a run's beginning moves otherwise than its end.
        alike: Spearman's correlation from which curves count as alike, and a curve as steady.
        alarm: a run that ends by more standard errors behind its best is warned of.
        last: so many checkpoints at the end tell the noise.
        lower_is_better: metrics with one of these words in their name fall as models learn.
        level: share of intervals that should hold the truth.
    """

    early: Annotated[float, Gt(0), Le(1)] = 0.4
    since: Annotated[float, Ge(0), Lt(1)] = 0.25
    alike: Annotated[float, Ge(0), Le(1)] = 0.8
    alarm: Annotated[float, Gt(0)] = 3.0
    last: Annotated[int, Ge(2)] = 5
    lower_is_better: tuple[str, ...] = LOWER
    level: Annotated[float, Gt(0), Lt(1)] = 0.95

    def fit(self, runs: pa.Table) -> FittedDynamics:
        """The curves of the table, a row a checkpoint: params, tokens, score, and perhaps metric and se."""
        cells = _column(runs, "metric") if "metric" in runs.column_names else [ONE_METRIC] * runs.num_rows
        read = table.read(runs, (PARAMS, TOKENS), Variable("score", "number"))  # finds what is wrong, by its row
        found: dict[str, tuple[Curve, ...]] = {}
        for name in sorted({str(cell) for cell in cells}):
            own = runs.filter(pa.array([str(cell) == name for cell in cells]))
            found[name] = curves_of(own, "runs" if name == ONE_METRIC else f"runs, metric {name!r}")
        if not found:
            raise SeedbedError("runs", "there are no checkpoints", "Give a row a checkpoint.")
        return FittedDynamics(self, found, read.warnings)

    def load(self, fitted: Mapping[str, Json]) -> FittedDynamics:
        """The inverse of FittedDynamics.to_json."""
        try:
            held = cast("Mapping[str, list[dict[str, Any]]]", fitted["curves"])
            found = {name: tuple(_curve(told) for told in each) for name, each in held.items()}
            return FittedDynamics(self, found, tuple(cast("list[str]", fitted["said"])))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            what = f"the stored curves cannot be read ({type(error).__name__}: {error})"
            raise SeedbedError(self.name(), what, "Fit them again.") from error

    def falls(self, metric: str) -> bool:
        """Whether lower is better."""
        return any(word in metric.lower() for word in self.lower_is_better)


def curves_of(runs: pa.Table, where: str) -> tuple[Curve, ...]:
    """The curves of one metric, by size; a standard error that is not given is nan."""
    read = table.read(runs, (PARAMS, TOKENS), Variable("score", "number"))
    se = np.full(len(read), np.nan)
    if "se" in runs.column_names:
        filled = arrow.select(runs, [name for name in runs.column_names if name != "se"])
        filled = filled.append_column("se", _numbers(_column(runs, "se")))
        se = table.read(filled, (PARAMS, TOKENS, Variable("score", "number")), Variable("se", "number")).column["se"]
    found: list[Curve] = []
    for size in np.unique(read.column["params"]).tolist():
        own = read.column["params"] == size
        tokens_T = read.column["tokens"][own]
        at = f"{where}, params {size:.6g}"
        if len(tokens_T) < 2:
            raise SeedbedError(at, "there is one checkpoint only", "Give several, or leave it out.")
        if np.any(np.diff(tokens_T) == 0):
            twice = float(tokens_T[np.flatnonzero(np.diff(tokens_T) == 0)[0]])
            mend = "Keep one run a size and seed (--only seed=0), and one metric or a column `metric`."
            raise SeedbedError(at, f"there are two scores at {twice:.6g} tokens", mend)
        found.append(Curve(size, tokens_T, read.column["score"][own], np.where(se[own] < 0, np.nan, se[own])))
    return tuple(found)


@dataclasses.dataclass(frozen=True, eq=False)
class FittedDynamics:
    """The curves of each metric, by size."""

    law: Dynamics
    curves: Mapping[str, tuple[Curve, ...]]
    said: tuple[str, ...] = ()

    @property
    def level(self) -> float:
        """The share of its intervals that should hold the truth."""
        return self.law.level

    @property
    def answer(self) -> str:
        """The column that it foretells."""
        return "score"

    @property
    def variables(self) -> tuple[Variable, ...]:
        """What a plan must give."""
        return (PARAMS, TOKENS)

    @property
    def coefficients(self) -> Mapping[str, Estimate]:
        """Per metric how alike the curves are, and the line of the large one in the small one, where there is one."""
        found: dict[str, Estimate] = {}
        for metric, sizes in self.curves.items():
            if len(sizes) < 2:
                continue
            before = "" if len(self.curves) == 1 else f"{metric}."
            numbers = {"alike": likeness(sizes[-2], sizes[-1])}
            if (line := self.line(metric)) is not None:
                numbers |= {"intercept": line.intercept, "slope": line.slope}
            found |= {before + name: Estimate(value, value, value) for name, value in numbers.items()}
        return found

    @property
    def facts(self) -> Mapping[str, Json]:
        """Per metric all that was found."""
        return {metric: self.found(metric) for metric in self.curves}

    @property
    def warnings(self) -> tuple[str, ...]:
        """Runs that end behind their best, metrics that do not move, and sizes that do not move alike."""
        found = list(self.said)
        for metric, sizes in self.curves.items():
            for curve in sizes:
                fell = curves.fall(curve, self.law.falls(metric))
                if fell.errors > self.law.alarm:
                    how = f"{fell.errors:.2g} standard errors" if np.isfinite(fell.errors) else "beyond any noise"
                    what = f"{metric}: {curve.params:.4g} parameters end at {fell.final:.4g}, {how} behind"
                    found.append(f"{what} their best, {fell.best:.4g} at {fell.at_tokens:.3g} tokens")
            if len(sizes) < 2:
                found.append(f"{metric}: there is one size only, nothing to compare and nothing to foretell with")
            elif not self.tracked(metric):
                found.append(f"{metric}: the smaller model's curve does not move steadily")
            elif (rank := likeness(sizes[-2], sizes[-1])) < self.law.alike:
                found.append(f"{metric}: the two largest sizes do not move alike (Spearman {rank:.2f})")
        return tuple(found)

    def tracked(self, metric: str) -> bool:
        """Whether the smaller model's curve alone rises or falls steadily."""
        small = self.curves[metric][max(0, len(self.curves[metric]) - 2)]
        return abs(spearman(small.tokens_T, small.score_T)) >= self.law.alike

    def line(self, metric: str) -> Line | None:
        """The large curve's early part as a line in the small one's; None where three points are not there."""
        sizes = self.curves[metric]
        if len(sizes) < 2:
            return None
        until = self.law.early * float(sizes[-2].tokens_T[-1])
        return curves.continued(sizes[-2], sizes[-1], until, self.law.since * until)

    def found(self, metric: str) -> dict[str, Json]:
        """What the tracker says of one metric."""
        sizes, lower = self.curves[metric], self.law.falls(metric)
        noise = sizes[-1].noise(self.law.last)
        ratio = curves.signal_to_noise(np.array([curve.score_T[-1] for curve in sizes]), noise)
        told: dict[str, Json] = {
            "checkpoints": {f"{curve.params:.6g}": len(curve.tokens_T) for curve in sizes},
            "lower_is_better": lower,
            "breaks": {f"{curve.params:.6g}": curves.change_point(curve) for curve in sizes},
            "falls": {f"{curve.params:.6g}": _finite(curves.fall(curve, lower).errors) for curve in sizes},
            "noise": _finite(noise),
            "signal_to_noise": _finite(ratio) if len(sizes) > 1 else None,
            "tracked": self.tracked(metric),
        }
        if len(sizes) < 2:
            return told
        told["alike"] = likeness(sizes[-2], sizes[-1])
        if (line := self.line(metric)) is not None:
            tokens_K, small_K, large_K = curves.aligned(sizes[-2], sizes[-1])
            low, high = (line.quantile(float(small_K[-1]), tail) for tail in self._tails)
            told["last"] = {
                "tokens": float(tokens_K[-1]),
                "forecast": line.at(float(small_K[-1])),
                "low": low,
                "high": high,
                "score": float(large_K[-1]),
            }
        return told

    def forecast(self, plan: Plan) -> Estimate:
        """What the largest size will score behind so many tokens. Raises SeedbedError where the smaller cannot say."""
        line, x = self._at(plan)
        return Estimate(line.at(x), *(line.quantile(x, tail) for tail in self._tails))

    def sample(self, plan: Plan) -> FloatArray:
        """sample_R: evenly spaced quantiles of what it may score."""
        line, x = self._at(plan)
        return np.array([line.quantile(x, (i + 0.5) / SAMPLES) for i in range(SAMPLES)])

    def outside(self, plan: Plan) -> Mapping[str, float]:
        """How many times the plan's size differs from the largest, and its tokens exceed the smaller's."""
        small, large = self._pair()
        factor = plan["params"] / large.params
        return {"params": max(factor, 1 / factor), "tokens": max(1.0, plan["tokens"] / float(small.tokens_T[-1]))}

    def to_json(self) -> dict[str, Json]:
        """The curves, with what was found for the reader."""
        return {
            **self.law.stored(self.answer),
            "coefficients": {name: dict(zip(e._fields, e, strict=True)) for name, e in self.coefficients.items()},
            "warnings": list(self.warnings),
            "facts": dict(self.facts),
            "said": list(self.said),
            "curves": {metric: [_told(curve) for curve in sizes] for metric, sizes in self.curves.items()},
        }

    @property
    def _tails(self) -> tuple[float, float]:
        return (1 - self.level) / 2, (1 + self.level) / 2

    def _pair(self) -> tuple[Curve, Curve]:
        """The next smaller and the largest size of the one metric."""
        if len(self.curves) > 1:
            what = f"there are {len(self.curves)} metrics, {', '.join(self.curves)}, and a forecast is of one"
            raise SeedbedError(self.law.name(), what, "Keep one: --only metric=NAME.")
        (sizes,) = self.curves.values()
        if len(sizes) < 2:
            raise SeedbedError(self.law.name(), "there is one size only", "Add checkpoints of a smaller model.")
        return sizes[-2], sizes[-1]

    def _at(self, plan: Plan) -> tuple[Line, float]:
        """The line, and the smaller one's score at the plan's tokens."""
        small, large = self._pair()
        for name in ("params", "tokens"):
            if name not in plan:
                raise SeedbedError(self.law.name(), f"a forecast needs {name}")
        line = self.line(next(iter(self.curves)))
        if line is None:
            mend = "Train it further, save checkpoints oftener, or fit with a higher `early` or a lower `since`."
            raise SeedbedError(self.law.name(), "the largest size has fewer than 3 checkpoints to go by", mend)
        if abs(plan["params"] / large.params - 1) > 1e-3:
            what = f"params {plan['params']:.6g} is not the largest size, {large.params:.6g}, whose curve it continues"
            raise SeedbedError(self.law.name(), what)
        first, last = float(small.tokens_T[0]), float(small.tokens_T[-1])
        if not first <= plan["tokens"] <= last * (1 + 1e-9):
            what = f"tokens {plan['tokens']:.6g} lie outside the smaller model's curve, {first:.6g} to {last:.6g}"
            raise SeedbedError(self.law.name(), what, "Train the smaller model on as many.")
        return line, float(np.interp(plan["tokens"], small.tokens_T, small.score_T))


def likeness(small: Curve, large: Curve) -> float:
    """Spearman's correlation of both at the large one's checkpoints."""
    _, small_K, large_K = curves.aligned(small, large)
    return spearman(small_K, large_K)


def _column(runs: pa.Table, name: str) -> list[object]:
    return cast("list[object]", cast(Any, runs.column(name)).to_pylist())


def _numbers(cells: list[object]) -> Any:
    return arrow.column([-1.0 if cell is None else cell for cell in cells], pa.float64())


def _finite(number: float) -> float | None:
    return number if np.isfinite(number) else None


def _told(curve: Curve) -> dict[str, Json]:
    errors: list[Json] = [_finite(float(se)) for se in curve.se_T]
    columns: dict[str, Json] = {"tokens": list(curve.tokens_T.tolist()), "score": list(curve.score_T.tolist())}
    return {"params": curve.params, **columns, "se": errors}


def _curve(told: Mapping[str, Any]) -> Curve:
    errors = np.array([np.nan if se is None else se for se in told["se"]], np.float64)
    return Curve(float(told["params"]), np.array(told["tokens"]), np.array(told["score"]), errors)
