"""Two laws one after the other: what the first foretells is a variable of the second.

A draw of the first goes through a draw of the second, so that the interval holds what both leave open.
"""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import pyarrow as pa

from seedbed.core.errors import RecipeError, SeedbedError
from seedbed.core.parameters import Json
from seedbed.predict.contract import Estimate, FittedLaw, FloatArray, Law, Plan, Variable
from seedbed.predict.fitted import Fitted
from seedbed.predict.parametric import Parametric

PAIRING_SEED = 2412


def usual_law(name: str, given: Mapping[str, Json]) -> Law:
    """A law of the shelf by its file, for the defaults of laws that are made of laws."""
    module = importlib.import_module(f"{__package__}.laws.{name}")
    found = cast("type[Law]", getattr(module, name.replace("_", " ").title().replace(" ", "")))
    return found.from_parameters(dict(given), name)


def whole_rows(runs: pa.Table, law: Law) -> pa.Table:
    """The rows in which no column of a law with a formula is empty; all rows for another law."""
    if not isinstance(law, Parametric):
        return runs
    runs = law.derived(runs)
    form = law.whole_form(runs.column_names)
    keep = np.ones(runs.num_rows, bool)
    for name in (*(variable.name for variable in form.variables), form.answer):
        if name in runs.column_names:
            cells = cast("list[object]", cast(Any, runs.column(name)).to_pylist())
            keep &= np.array([cell is not None and cell == cell for cell in cells], bool)
    return runs.filter(pa.array(keep))


def fit_chain(law: Law, first: Law, second: Law, tables: tuple[pa.Table, pa.Table]) -> FittedChain:
    """Each law on its table. Raises SeedbedError where the second does not read what the first foretells."""
    one = _step(first, tables[0], "first")
    other = _step(second, tables[1], "second")
    if one.answer not in [variable.name for variable in other.variables]:
        what = f"{first.name()} foretells {one.answer}, which {second.name()} does not read"
        raise SeedbedError(law.name(), what, f"It reads {', '.join(v.name for v in other.variables)}.")
    if one.level != other.level:
        raise RecipeError(law.name(), f"levels {one.level} and {other.level} of its steps differ", "Give one level.")
    return FittedChain(law, one, other)


def load_chain(law: Law, first: Law, second: Law, told: Mapping[str, Json]) -> FittedChain:
    """The inverse of FittedChain.to_json."""
    try:
        steps = [cast("Mapping[str, Json]", told[name]) for name in ("first", "second")]
        facts = cast("Mapping[str, Json]", told["own_facts"])
        said = tuple(cast("list[str]", told["said"]))
    except (KeyError, TypeError) as error:
        what = f"the stored fit cannot be read ({type(error).__name__}: {error})"
        raise SeedbedError(law.name(), what, "Fit it again.") from error
    return FittedChain(law, first.load(steps[0]), second.load(steps[1]), facts, said)


@dataclasses.dataclass(frozen=True, eq=False)
class FittedChain:
    """Both steps, fitted.

    Args:
        law: what was fitted.
        first, second: its steps.
        own_facts, said: what the law found in the table beside them.
    """

    law: Law
    first: FittedLaw
    second: FittedLaw
    own_facts: Mapping[str, Json] = dataclasses.field(default_factory=dict[str, Json])
    said: tuple[str, ...] = ()

    @property
    def level(self) -> float:
        """The share of its intervals that should hold the truth."""
        return self.second.level

    @property
    def answer(self) -> str:
        """The column that it foretells."""
        return self.second.answer

    @property
    def variables(self) -> tuple[Variable, ...]:
        """What the first reads, and what the second reads beside the first's answer."""
        known = {self.first.answer, *(variable.name for variable in self.first.variables)}
        return (*self.first.variables, *(v for v in self.second.variables if v.name not in known))

    @property
    def coefficients(self) -> Mapping[str, Estimate]:
        """Of both, each named behind what its step foretells: loss.alpha, accuracy.k."""
        steps = (self.first, self.second)
        return {f"{step.answer}.{name}": found for step in steps for name, found in step.coefficients.items()}

    @property
    def facts(self) -> Mapping[str, Json]:
        """Of both steps, each named behind what its step foretells: loss.runs."""
        steps = (self.first, self.second)
        return {**self.own_facts, **{f"{step.answer}.{name}": v for step in steps for name, v in step.facts.items()}}

    @property
    def warnings(self) -> tuple[str, ...]:
        """Of both steps."""
        steps = (self.first, self.second)
        return (*self.said, *(f"{step.answer}: {warning}" for step in steps for warning in step.warnings))

    def between(self, plan: Plan) -> Estimate:
        """What the first step foretells. Raises SeedbedError outside its domain."""
        return self.first.forecast(plan)

    def forecast(self, plan: Plan) -> Estimate:
        """What one new run will come to. Raises SeedbedError outside the domain of either step."""
        middle = self.between(plan).value
        value = self.second.forecast({**plan, self.first.answer: middle}).value
        sample_R = self.sample(plan)
        if not len(sample_R):
            return Estimate(value, value, value)
        low, high = np.quantile(sample_R, [(1 - self.level) / 2, (1 + self.level) / 2])
        return Estimate(value, min(float(low), value), max(float(high), value))

    def sample(self, plan: Plan) -> FloatArray:
        """sample_R: each draw of the first through a draw of the second; empty where neither has any.

        Which goes through which is drawn too: refits of two laws from one seed are not independent of each other.
        """
        middle_R = self.first.sample(plan)
        n = max(len(middle_R), _n_draws(self.second, {**plan, self.first.answer: self.between(plan).value}))
        if not len(middle_R):
            middle_R = np.array([self.between(plan).value])
        plans = [{**plan, self.first.answer: float(at)} for at in np.resize(middle_R, n)]
        pairs = np.random.default_rng(PAIRING_SEED).permutation(n).tolist()
        return np.array([_draw(self.second, each, i) for i, each in zip(pairs, plans, strict=True)], np.float64)

    def outside(self, plan: Plan) -> Mapping[str, float]:
        """Per variable, and for the number between the steps, how many times beyond the runs the plan lies.

        The number between is left out where the first step refuses the plan.
        """
        first = self.first.outside(plan)
        try:
            middle = self.between(plan).value
        except SeedbedError:
            return first
        return {**self.second.outside({**plan, self.first.answer: middle}), **first}

    def to_json(self) -> dict[str, Json]:
        """Everything needed to forecast again, with coefficients, facts and warnings for the reader."""
        return {
            **self.law.stored(self.answer),
            "coefficients": {
                name: dict(zip(Estimate._fields, found, strict=True)) for name, found in self.coefficients.items()
            },
            "warnings": list(self.warnings),
            "facts": dict(self.facts),
            "own_facts": dict(self.own_facts),
            "said": list(self.said),
            "first": self.first.to_json(),
            "second": self.second.to_json(),
        }


def _step(law: Law, runs: pa.Table, which: str) -> FittedLaw:
    try:
        return law.fit(runs)
    except SeedbedError as error:
        raise SeedbedError(error.where, f"{error.what} (the {which} step, {law.name()})", error.mend) from error


def _n_draws(fitted: FittedLaw, plan: Plan) -> int:
    return len(fitted.draws) if isinstance(fitted, Fitted) else len(fitted.sample(plan))


def _draw(fitted: FittedLaw, plan: Plan, i: int) -> float:
    """Draw i of what the plan may come to, or the value itself where there are none."""
    if isinstance(fitted, Fitted) and len(fitted.draws) and all(v.name in plan for v in fitted.variables):
        at = i % len(fitted.draws)
        columns = {v.name: np.array([plan[v.name]]) for v in fitted.variables}
        drawn = float(fitted.predict_all(columns, fitted.draws[at])[0])
        return drawn * float(np.exp(fitted.noise[at])) if fitted.form.residual == "log" else drawn + fitted.noise[at]
    sample_R = fitted.sample(plan)
    return float(sample_R[i % len(sample_R)]) if len(sample_R) else fitted.forecast(plan).value
