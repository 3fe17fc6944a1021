"""A fitted straight line in the logarithm of one column: what the laws of a single trend share."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal, cast

import numpy as np
import pyarrow as pa
from annotated_types import Ge, Gt, Le, Lt

from seedbed.core.errors import SeedbedError, did_you_mean
from seedbed.core.parameters import Json
from seedbed.predict.contract import Estimate, FloatArray, Law, Plan, Variable
from seedbed.stats.intervals import Interval
from seedbed.stats.line import Line

LOGARITHM = {"log10": math.log10, "ln": math.log}


@dataclasses.dataclass(frozen=True)
class Trend(Law):
    """A law whose formula is a line: answer = m log(column) + b.

    Args:
        max_extrapolation: how many times beyond the largest, or below the smallest, row a forecast may go.
        n_draws: numbers that stand for what one new row may come to.
        level: share of intervals that should hold the truth.
        seed: of the draws.
    """

    max_extrapolation: Annotated[float, Ge(1), Le(1e6)] = 10.0
    n_draws: Annotated[int, Ge(0), Le(100_000)] = 200
    level: Annotated[float, Gt(0), Lt(1)] = 0.95
    seed: Annotated[int, Ge(0)] = 0

    def axes(self) -> Axes:
        """What the line is drawn between."""
        raise NotImplementedError

    def fit(self, runs: pa.Table) -> FittedLine:
        """Draw it. Raises SeedbedError where the rows carry none."""
        raise NotImplementedError

    def load(self, fitted: Mapping[str, Json]) -> FittedLine:
        """The inverse of FittedLine.to_json. Raises SeedbedError where it is none."""
        try:
            more = cast("Mapping[str, Mapping[str, float]]", fitted["more"])
            return FittedLine(
                law=self,
                line=Line(**cast("Mapping[str, Any]", fitted["line"])),
                domain=cast("tuple[float, float]", tuple(cast("list[float]", fitted["domain"]))),
                more={name: Estimate(**one) for name, one in more.items()},
                noted=cast("Mapping[str, Json]", fitted["noted"]),
                said=tuple(cast("list[str]", fitted["warnings"])),
            )
        except (KeyError, TypeError, ValueError) as error:
            what = f"the stored fit cannot be read ({type(error).__name__}: {error})"
            raise SeedbedError(self.name(), what, "Fit it again.") from error


@dataclasses.dataclass(frozen=True)
class Axes:
    """What a trend runs between.

    Args:
        variable: the column on the x axis, a size.
        answer: the column on the y axis.
        base: of the logarithm.
        limits: the answer's own bounds: forecasts and intervals end there.
    """

    variable: Variable
    answer: str
    base: Literal["log10", "ln"]
    limits: tuple[float, float] = (-math.inf, math.inf)


@dataclasses.dataclass(frozen=True)
class FittedLine:
    """A trend with its numbers.

    Args:
        law: what was fitted.
        line: through (log(variable), answer).
        domain: smallest and largest x column among the rows.
        more: further numbers for the reader, with their intervals.
        noted: what was found besides, for `facts`.
        said: warnings.
    """

    law: Trend
    line: Line
    domain: tuple[float, float]
    more: Mapping[str, Estimate] = dataclasses.field(default_factory=dict[str, Estimate])
    noted: Mapping[str, Json] = dataclasses.field(default_factory=dict[str, Json])
    said: tuple[str, ...] = ()

    @property
    def level(self) -> float:
        """The share of its intervals that should hold the truth."""
        return self.law.level

    @property
    def answer(self) -> str:
        """The column that it foretells."""
        return self.law.axes().answer

    @property
    def variables(self) -> tuple[Variable, ...]:
        """What a plan must give."""
        return (self.law.axes().variable,)

    @property
    def coefficients(self) -> Mapping[str, Estimate]:
        """m and b of the line with Student's intervals, and what the law adds."""
        slope, intercept = self.line.slope_interval(self.level), self.line.intercept_interval(self.level)
        return {"m": estimate(slope), "b": estimate(intercept), **self.more}

    @property
    def facts(self) -> Mapping[str, Json]:
        """About the fit, for the reader."""
        about: dict[str, Json] = {
            "runs": self.line.n,
            "pearson": self.line.correlation,
            "p_value": self.line.p_value,
            "residual_sd": self.line.spread,
            "domain": {self.variables[0].name: list(self.domain)},
        }
        return {**about, **self.noted}

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the rows do not tell, as sentences."""
        return self.said

    def forecast(self, plan: Plan) -> Estimate:
        """What one new row will come to. Raises SeedbedError too far outside the domain."""
        for name, factor in self.outside(plan).items():
            if factor > self.law.max_extrapolation * (1 + 1e-9):
                low, high = self.domain
                what = (
                    f"{name} {plan[name]:.3g} lies {factor:.3g} times beyond the rows ({low:.3g} to {high:.3g}); the "
                    f"limit is {self.law.max_extrapolation:g}"
                )
                mend = "Add rows nearer to it, or fit with a higher max_extrapolation and own the risk."
                raise SeedbedError(self.law.name(), what, mend)
        found = self.line.new_point(self._place(plan), self.level)
        least, most = self.law.axes().limits
        return Estimate(*(min(max(v, least), most) for v in estimate(found)))

    def sample(self, plan: Plan) -> FloatArray:
        """sample_R: what one new row may come to."""
        x, rng = self._place(plan), np.random.default_rng(self.law.seed)
        drawn = self.line.at(x) + self.line.error_at(x) * rng.standard_t(self.line.n - 2, self.law.n_draws)
        return np.clip(drawn, *self.law.axes().limits)

    def outside(self, plan: Plan) -> Mapping[str, float]:
        """How many times beyond the rows; 1 inside them."""
        at, (low, high) = self._asked(plan), self.domain
        return {self.variables[0].name: max(1.0, at / high, low / at)}

    def to_json(self) -> dict[str, Json]:
        """Everything needed to forecast again, with coefficients, facts and warnings for the reader."""
        return {
            **self.law.stored(self.answer),
            "coefficients": {name: _named(e) for name, e in self.coefficients.items()},
            "warnings": list(self.warnings),
            "facts": dict(self.facts),
            "line": cast(Json, dataclasses.asdict(self.line)),
            "domain": list(self.domain),
            "more": {name: _named(e) for name, e in self.more.items()},
            "noted": dict(self.noted),
        }

    def _place(self, plan: Plan) -> float:
        return LOGARITHM[self.law.axes().base](self._asked(plan))

    def _asked(self, plan: Plan) -> float:
        name = self.variables[0].name
        if name not in plan:
            raise SeedbedError(self.law.name(), f"a forecast needs {name}", did_you_mean(name, plan))
        if not (math.isfinite(plan[name]) and plan[name] > 0):
            raise SeedbedError(self.law.name(), f"{name} {plan[name]} must be a positive finite number")
        return plan[name]


def estimate(found: Interval) -> Estimate:
    """An interval without its level; a bound that is not known is the value."""
    low, high = (found.value if bound is None else bound for bound in (found.low, found.high))
    return Estimate(found.value, low, high)


def _named(found: Estimate) -> dict[str, Json]:
    return dict(zip(Estimate._fields, found, strict=True))
