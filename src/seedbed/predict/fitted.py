"""A fitted formula: its forecasts with their intervals, how far they may go, and what the runs do not tell."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Self, cast

import numpy as np

from seedbed.core.errors import SeedbedError
from seedbed.core.parameters import Json
from seedbed.predict import optimum
from seedbed.predict.contract import Estimate, FloatArray, Plan, Variable
from seedbed.predict.estimates import estimate
from seedbed.predict.form import Form

if TYPE_CHECKING:
    from seedbed.predict.parametric import Parametric

DECADE, LOOSE = 12.0, 0.5
"""Columns that span no more are hardly a decade; an exponent's interval wider than that part of it tells little."""


@dataclasses.dataclass(frozen=True, eq=False)
class Fitted:
    """A law with the numbers that runs gave it.

    Args:
        law, form, columns: what was fitted, and the columns of the table it was fitted to.
        centre: column -> mean logarithm over the runs; all else is relative to it.
        params: the coefficients in fit coordinates.
        draws, noise: draw_RP, the same for each bootstrap refit, and noise_R, that of one new run in that world.
        runs: column -> its numbers, of the runs that were fitted.
        objective: SUM of Huber losses at `params`.
        n_starts, n_agree: descents made, and how many reached the lowest objective to 1e-6.
        condition: condition number of the fitted values in the free coefficients.
        bound_hits: coefficients that ended on a bound of the search.
        flops_per_product: FLOP of training over params * tokens.
        said: what reading the table found.
    """

    law: Parametric
    form: Form
    columns: tuple[str, ...]
    centre: Mapping[str, float]
    params: tuple[float, ...]
    draws: FloatArray
    noise: FloatArray
    runs: Mapping[str, tuple[float, ...]]
    objective: float
    n_starts: int
    n_agree: int
    condition: float
    bound_hits: tuple[str, ...]
    flops_per_product: float = 6.0
    said: tuple[str, ...] = ()

    @property
    def level(self) -> float:
        """The share of its intervals that should hold the truth."""
        return self.law.level

    @property
    def answer(self) -> str:
        """The column that it foretells."""
        return self.form.answer

    @property
    def variables(self) -> tuple[Variable, ...]:
        """What a plan must give."""
        return self.form.variables

    @property
    def coefficients(self) -> Mapping[str, Estimate]:
        """As published fits print them. Factors are often hardly identified: compare forecasts and exponents."""
        best = self.named(np.array([self.params]))[0]
        drawn = self.named(self.draws)
        return {name: self.estimate(v, np.array([one[name] for one in drawn])) for name, v in best.items()}

    def named(self, params_RP: FloatArray) -> list[dict[str, float]]:
        """Coefficients by name, of each row in fit coordinates."""
        rows = self.form.natural(params_RP, self.centre)
        return [self.law.readable(dict(zip(self.form.names, row, strict=True))) for row in rows.tolist()]

    @property
    def standard_errors(self) -> dict[str, float]:
        """The spread of each coefficient over the refits; empty without a bootstrap."""
        drawn = self.named(self.draws)
        return {name: float(np.std([one[name] for one in drawn], ddof=1)) for name in drawn[0]} if drawn[1:] else {}

    @property
    def domain(self) -> dict[str, tuple[float, float]]:
        """Column -> smallest and largest among the runs."""
        return {v.name: (min(self.runs[v.name]), max(self.runs[v.name])) for v in self.variables}

    @property
    def residuals(self) -> FloatArray:
        """residual_N: observed less fitted, of logarithms unless the form is linear; in the order of `runs`."""
        columns = {name: np.array(values) for name, values in self.runs.items()}
        predicted, observed = self.predict_all(columns), columns[self.answer]
        return np.log(observed / predicted) if self._is_log else observed - predicted

    @property
    def facts(self) -> Mapping[str, Json]:
        """About the fit, for the reader."""
        return {
            "runs": len(self.runs[self.answer]),
            "objective": self.objective,
            "starts": self.n_starts,
            "starts_that_agree": self.n_agree,
            "condition_number": self.condition,
            "residual_sd": float(np.std(self.residuals)),
            "domain": {name: list(ends) for name, ends in self.domain.items()},
            **({"params_count": self.law.params_count} if "params" in self.runs else {}),
            **({"flops_per_product": self.flops_per_product} if {"params", "tokens"} <= set(self.runs) else {}),
        }

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the runs do not tell, as sentences; empty for a well identified fit."""
        spans = [(v.name, *self.domain[v.name]) for v in self.variables if v.kind == "size"]
        found = list(self.said)
        found += [
            f"{name} spans only a factor of {high / low:.3g}, hardly a decade: its exponent is hardly identified"
            for name, low, high in spans
            if high <= low * DECADE
        ]
        found += self._loose()
        found += [f"{name} ended on a bound of the search: the runs do not identify it" for name in self.bound_hits]
        if self.condition > 1e3:
            found.append(f"the condition number is {self.condition:.2g}: trust forecasts, not single coefficients")
        if self.n_agree * 5 < self.n_starts:
            found.append(f"only {self.n_agree} of {self.n_starts} descents reached the lowest objective")
        if (n := len(self.runs[self.answer])) < 2 * len(self.params):
            found.append(f"{n} runs for {len(self.params)} numbers: the interval rests on little")
        if "params" in self.runs and self.law.params_count == "unknown":
            found.append(
                "it is not said which parameters were counted: give params_count (total or non_embedding), and give "
                "forecasts the same count; in small models the two differ by half and more"
            )
        return (*found, *self.law.remarks(self))

    def _loose(self) -> list[str]:
        """A sentence on each exponent whose interval is wide."""
        exponents = {times for c in self.form.coefficients for times in c.per.values() if isinstance(times, str)}
        each = [(name, e) for name, e in self.coefficients.items() if name in exponents and e.high > e.low]
        return [
            f"the exponent {name} is hardly identified: anything from {e.low:.3g} to {e.high:.3g} may be right"
            for name, e in each
            if e.high - e.low > LOOSE * abs(e.value)
        ]

    def predict(self, plan: Plan) -> float:
        """The fitted answer, without a look at the domain."""
        given = self.complete(plan)
        return float(self.predict_all({name: np.array([value]) for name, value in given.items()})[0])

    def predict_all(self, columns: Mapping[str, FloatArray], params_P: FloatArray | None = None) -> FloatArray:
        """answer_N of many plans, by the best coefficients or those given in fit coordinates."""
        points = {
            v.name: np.log(columns[v.name]) - self.centre[v.name] if v.kind == "size" else columns[v.name]
            for v in self.variables
        }
        value = self.form.value(np.array(self.params) if params_P is None else params_P, points)[0]
        return np.exp(value + self.centre[self.answer]) if self._is_log else value

    def forecast(self, plan: Plan) -> Estimate:
        """What one new run will come to. Raises SeedbedError outside the domain."""
        given = self.complete(plan)
        self.refuse(given)
        return self.estimate(self.predict(given), self.sample(given))

    def sample(self, plan: Plan) -> FloatArray:
        """sample_R: what one new run may come to; empty without a bootstrap."""
        return self.sample_all({name: np.array([value]) for name, value in self.complete(plan).items()})[:, 0]

    def sample_all(self, columns: Mapping[str, FloatArray]) -> FloatArray:
        """sample_RM: the same of many plans, of which column -> numbers."""
        n_plans = len(next(iter(columns.values())))
        drawn_RM = np.zeros((len(self.draws), n_plans))
        for i, params_P in enumerate(self.draws):
            drawn_RM[i] = self.predict_all(columns, params_P)
        return drawn_RM * np.exp(self.noise)[:, None] if self._is_log else drawn_RM + self.noise[:, None]

    def optimum(self, flops: float, given: Plan | None = None) -> dict[str, Estimate]:
        """params, tokens and the answer where the forecast is lowest for `flops`; `given` holds the other variables."""
        return optimum.optimum(self, flops, given)

    def outside(self, plan: Plan) -> Mapping[str, float]:
        """Per variable how many times beyond the runs; for a share or a number 1 + distance / width of the runs."""
        found, plan = dict[str, float](), self.complete(plan)
        for variable in self.variables:
            at, (low, high) = plan[variable.name], self.domain[variable.name]
            if variable.kind == "size":
                found[variable.name] = max(1.0, at / high, low / at)
            else:
                gap = max(0.0, at - high, low - at)
                found[variable.name] = 1.0 + (gap / (high - low) if gap and high > low else gap * 1e9)
        return found

    def refuse(self, plan: Plan) -> None:
        """Raises SeedbedError for a plan too far from the runs, or one for which the law is known to fail."""
        self.law.refuse(plan)
        for name, factor in self.outside(plan).items():
            if factor > self.law.max_extrapolation * (1 + 1e-9):
                low, high = self.domain[name]
                what = (
                    f"{name} {plan[name]:.3g} lies {factor:.3g} times beyond the runs ({low:.3g} to {high:.3g}); the "
                    f"limit is {self.law.max_extrapolation:g}"
                )
                mend = "Add runs nearer to it, or fit with a higher max_extrapolation and own the risk."
                raise SeedbedError(self.law.name(), what, mend)

    def to_json(self) -> dict[str, Json]:
        """Everything needed to forecast again, with coefficients, facts and warnings for the reader."""
        kept = ("params", "objective", "n_starts", "n_agree", "condition", "flops_per_product")
        lists, errors = ("columns", "bound_hits", "said"), self.standard_errors
        return {
            **self.law.stored(self.answer),
            "coefficients": {name: {**e._asdict(), "se": errors.get(name)} for name, e in self.coefficients.items()},
            "warnings": list(self.warnings),
            "facts": dict(self.facts),
            **{name: cast(Json, getattr(self, name)) for name in kept},
            "params": list(self.params),
            **{name: list(getattr(self, name)) for name in lists},
            "centre": dict(self.centre),
            "runs": {name: list(values) for name, values in self.runs.items()},
            "draws": self.draws.tolist(),
            "noise": self.noise.tolist(),
        }

    @classmethod
    def from_json(cls, law: Parametric, form: Form, told: Mapping[str, Json]) -> Self:
        """The inverse of to_json, of the same law."""
        numbers = cast("Mapping[str, list[float]]", told["runs"])
        return cls(
            law=law,
            form=form,
            columns=tuple(cast("list[str]", told["columns"])),
            centre=cast("Mapping[str, float]", told["centre"]),
            params=tuple(cast("list[float]", told["params"])),
            draws=np.array(told["draws"], np.float64).reshape(-1, len(form.names)),
            noise=np.array(told["noise"], np.float64),
            runs={name: tuple(values) for name, values in numbers.items()},
            objective=cast(float, told["objective"]),
            n_starts=cast(int, told["n_starts"]),
            n_agree=cast(int, told["n_agree"]),
            condition=cast(float, told["condition"]),
            bound_hits=tuple(cast("list[str]", told["bound_hits"])),
            flops_per_product=cast(float, told["flops_per_product"]),
            said=tuple(cast("list[str]", told["said"])),
        )

    def complete(self, plan: Plan) -> dict[str, float]:
        """The plan with what the law derives. Raises SeedbedError for a number that is missing or impossible."""
        given = {name: float(value) for name, value in plan.items()}
        names = [v.name for v in self.variables]
        if any(name not in given for name in names):
            given = self.law.derive(given)
        for variable in self.variables:
            if variable.name not in given:
                asked = [
                    f"{name} (or {self.law.instead[name]})" if name in self.law.instead else name for name in names
                ]
                what = f"a forecast needs {variable.name}"
                raise SeedbedError(self.law.name(), what, f"It asks for {', '.join(asked)}.")
            at = given[variable.name]
            if not np.isfinite(at) or (variable.kind == "size" and at <= 0):
                raise SeedbedError(self.law.name(), f"{variable.name} {at} must be a positive finite number")
            if variable.kind == "share" and not 0 <= at <= 1:
                raise SeedbedError(self.law.name(), f"{variable.name} {at} is no share between 0 and 1")
        return given

    def estimate(self, value: float, sample_R: FloatArray) -> Estimate:
        """A number with the interval that holds `level` of the sample."""
        return estimate(value, sample_R, self.level)

    @property
    def _is_log(self) -> bool:
        return self.form.residual == "log"
