"""What the laws with a formula share: the fit, its bootstrap and its domain. A law file adds the formula.

The objective is the SUM over runs of Huber losses of residuals (of logarithms, unless the form says otherwise), in
units of delta^2, with the analytic gradient, from many starts; the lowest wins.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal, cast

import numpy as np
import pyarrow as pa
from annotated_types import Ge, Gt, Le, Lt

from seedbed.core import arrow
from seedbed.core.errors import SeedbedError
from seedbed.core.parameters import Json
from seedbed.predict import form as forms
from seedbed.predict import table
from seedbed.predict.contract import FloatArray, IntArray, Law, Plan, Variable
from seedbed.predict.fitted import Fitted
from seedbed.predict.form import Form, Held, Points
from seedbed.stats.fits import Fit, condition_number, descend_together, huber, minimise


@dataclasses.dataclass(frozen=True)
class Parametric(Law):
    """A formula that is fitted to runs.

    Args:
        huber_delta: residuals beyond it count linearly.
        drop_worst: so many runs of the highest answers are left out.
        fix: coefficients that are held at a value.
        tie: pairs of coefficients that are one.
        offset: whether a constant above 0 is added to the formula.
        max_extrapolation: how many times beyond the largest, or below the smallest, run a forecast may go.
        n_bootstrap: refits behind the interval; 0 gives none (low = high = value).
        bootstrap: "noise" adds residual-sized noise to the fitted answers, "rows" redraws runs; "auto" redraws where
            there are 12 runs a coefficient, and adds noise where there are fewer.
        level: share of intervals that should hold the truth.
        params_count: which parameters the column params counts; a law holds for one convention alone.
        seed: of the bootstrap.
    """

    huber_delta: Annotated[float, Gt(0), Le(1e6)] = 1e-3
    drop_worst: Annotated[int, Ge(0)] = 0
    fix: Mapping[str, float] = dataclasses.field(default_factory=dict[str, float], hash=False)
    tie: tuple[tuple[str, str], ...] = ()
    offset: bool = False
    max_extrapolation: Annotated[float, Ge(1), Le(1e6)] = 10.0
    n_bootstrap: Annotated[int, Ge(0), Le(100_000)] = 200
    bootstrap: Literal["auto", "noise", "rows"] = "auto"
    level: Annotated[float, Gt(0), Lt(1)] = 0.95
    params_count: Literal["unknown", "total", "non_embedding"] = "unknown"
    seed: Annotated[int, Ge(0)] = 0

    one_domain: ClassVar[bool] = True
    """Whether answers of several domains in one table are an error; a law that pools them says False."""

    instead: ClassVar[Mapping[str, str]] = {}
    """Variable -> what may be given for it, of which `derive` works it out; for the reader of an error."""

    # What a law file gives.

    def form(self, columns: Sequence[str]) -> Form:
        """The formula for runs that have these columns."""
        raise NotImplementedError

    def derive(self, given: Plan) -> dict[str, float]:
        """A plan with what the formula reads worked out from what was given instead (epochs from unique tokens)."""
        return dict(given)

    def refuse(self, plan: Plan) -> None:
        """Raises SeedbedError for a plan for which the law is known to fail."""

    def remarks(self, fitted: Fitted) -> Sequence[str]:  # noqa: ARG002
        """Warnings of this law's own, as sentences."""
        return ()

    def readable(self, coefficients: Mapping[str, float]) -> dict[str, float]:
        """The coefficients as published fits print them, with what is derived from them."""
        return dict(coefficients)

    # What they all share.

    def whole_form(self, columns: Sequence[str]) -> Form:
        """The formula, with the constant that was asked for."""
        own = self.form(columns)
        return forms.with_offset(own) if self.offset else own

    def fit(self, runs: pa.Table) -> Fitted:
        """Fit the runs. Raises SeedbedError where they cannot carry the coefficients."""
        if self.one_domain:
            table.one_domain(runs)
        runs = self.derived(runs)
        form = self.whole_form(runs.column_names)
        answer = Variable(form.answer, "size" if form.residual == "log" else "number")
        read = table.read(runs, form.variables, answer, drop_worst=self.drop_worst)
        centre = {v.name: float(np.log(read.column[v.name]).mean()) for v in (*form.variables, answer) if _is_log(v)}
        hold = forms.held(form, centre, self.fix, self.tie)
        table.enough(read, len(hold.free) + 1, f"{len(hold.free)} coefficients")
        names = [v.name for v in form.variables]
        if not self.fix:
            table.varied(read, names)
        points = {v.name: entered(read.column[v.name], centre.get(v.name)) for v in form.variables}
        answer_N = entered(read.column[answer.name], centre.get(answer.name))
        starts = [np.array(s) for s in dict.fromkeys(tuple(s[list(hold.free)]) for s in form.starts(points, answer_N))]
        task = _Task(form, hold, self.huber_delta, points, answer_N)
        found = task.descend(starts)
        condition = condition_number(form.value(hold.full(found.params_P), points)[1] @ hold.spread_PF)
        if condition > 1e12:  # unless what is held is all that a column of one value leaves open
            table.varied(read, names)
        draws, noise = task.resample(self, found)
        return Fitted(
            law=self,
            form=form,
            columns=tuple(runs.column_names),
            centre=centre,
            params=tuple(hold.full(found.params_P).tolist()),
            draws=draws,
            noise=noise,
            runs={name: tuple(values.tolist()) for name, values in read.column.items()},
            objective=found.objective * self.huber_delta**2 * len(answer_N),
            n_starts=found.n_starts,
            n_agree=found.n_agree,
            condition=min(condition, 1e300),
            bound_hits=tuple(form.names[hold.free[i]] for i in np.flatnonzero(found.at_bound_P)),
            flops_per_product=table.flops_per_product(runs),
            said=read.warnings,
        )

    def load(self, fitted: Mapping[str, Json]) -> Fitted:
        """The inverse of Fitted.to_json; the parameters of this law should be those it was fitted with."""
        try:
            columns = tuple(cast("list[str]", fitted["columns"]))
            return Fitted.from_json(self, self.whole_form(columns), fitted)
        except (KeyError, TypeError, ValueError) as error:
            what = f"the stored fit cannot be read ({type(error).__name__}: {error})"
            raise SeedbedError(self.name(), what, "Fit it again.") from error

    def derived(self, runs: pa.Table) -> pa.Table:
        """The table with what the formula reads worked out, row by row."""
        wanted = [v.name for v in self.form(runs.column_names).variables if v.name not in runs.column_names]
        if not wanted:
            return runs
        rows = cast("list[dict[str, object]]", runs.to_pylist())
        told = [
            self.derive({k: table.number(v) for k, v in row.items() if isinstance(v, int | float | str)})
            for row in rows
        ]
        for name in wanted:
            if missing := [i for i, row in enumerate(told) if name not in row]:
                if len(missing) < len(told):
                    what = f"{name} cannot be worked out from what the row gives"
                    raise SeedbedError(f"runs, row {missing[0] + 1}", what, "Fill it in, or leave the row out.")
            elif told:
                runs = runs.append_column(name, arrow.column([row[name] for row in told], pa.float64()))
        return runs


@dataclasses.dataclass(frozen=True)
class _Task:
    """Runs in fit coordinates, and the search."""

    form: Form
    hold: Held
    delta: float
    points: Points
    answer_N: FloatArray

    @property
    def bounds(self) -> list[tuple[float, float]]:
        """Of the free coefficients."""
        return [(self.form.coefficients[i].low, self.form.coefficients[i].high) for i in self.hold.free]

    def descend(self, starts: Sequence[FloatArray]) -> Fit:
        """From every start, the free coefficients alone."""
        scale = self.delta**2 * len(self.answer_N)

        def objective(free_F: FloatArray) -> tuple[float, FloatArray]:
            predicted, jacobian = self.form.value(self.hold.full(free_F), self.points)
            value, slope = huber(predicted - self.answer_N, self.delta)
            return float(value.sum()) / scale, (slope @ jacobian) @ self.hold.spread_PF / scale

        return minimise(objective, starts, self.bounds)

    def resample(self, law: Parametric, fit: Fit) -> tuple[FloatArray, FloatArray]:
        """(draw_RP, noise_R): refits, and with each the noise of one new run.

        The noise's size, known from n - F residuals, is itself drawn, which gives Student's tails. Where rows are
        redrawn the noise is a residual, so that it has the runs' own tails; of few runs, it is normal.
        """
        rng, n = np.random.default_rng(law.seed), len(self.answer_N)
        predicted = self.form.value(self.hold.full(fit.params_P), self.points)[0]
        freedom = n - len(self.hold.free)
        residual: FloatArray = (self.answer_N - predicted) * (n / freedom) ** 0.5
        spread = float(np.mean(residual**2)) ** 0.5
        size_R: FloatArray = (freedom / rng.chisquare(freedom, law.n_bootstrap)) ** 0.5
        by_rows = law.bootstrap == "rows" or (law.bootstrap == "auto" and n >= RUNS_A_COEFFICIENT * len(self.hold.free))
        drawn = np.zeros((law.n_bootstrap, len(self.hold.free)))
        for part in range(0, law.n_bootstrap, at_once := max(1, MANY_POINTS // n)):
            size = size_R[part : part + at_once, None]
            rows_RN = np.tile(np.arange(n), (len(size), 1))
            if by_rows:
                rows_RN = np.stack([self._redrawn(rng) for _ in size])
                observed = self.answer_N[rows_RN]
            else:
                observed = predicted + size * spread * rng.standard_normal(rows_RN.shape)
            drawn[part : part + at_once] = self._refit(fit, rows_RN, observed)
        own_R = spread * rng.standard_normal(law.n_bootstrap)
        if by_rows:
            own_R = residual[rng.integers(0, n, law.n_bootstrap)]
        return self.hold.full(drawn), size_R * own_R

    def _refit(self, fit: Fit, rows_RN: IntArray, observed_RN: FloatArray) -> FloatArray:
        """free_RF, from the fit."""
        points_RN = {name: values[rows_RN] for name, values in self.points.items()}

        def values(free_RF: FloatArray) -> tuple[FloatArray, FloatArray]:
            predicted, jacobian = self.form.many(self.hold.full(free_RF), points_RN)
            return predicted, jacobian @ self.hold.spread_PF

        start = np.tile(fit.params_P, (len(rows_RN), 1))
        return descend_together(values, start, observed_RN, self.delta, self.bounds)

    def _redrawn(self, rng: np.random.Generator) -> IntArray:
        """Runs drawn with replacement, again until every column that varies still does."""
        varied = [values for values in self.points.values() if np.ptp(values) > 0]
        while True:
            rows = rng.integers(0, len(self.answer_N), len(self.answer_N))
            if all(np.ptp(values[rows]) > 0 for values in varied):
                return rows


RUNS_A_COEFFICIENT, MANY_POINTS = 12, 100_000
"""Runs a free coefficient from which rows are redrawn; points that are refitted in one array."""


def entered(values: FloatArray, centre: float | None) -> FloatArray:
    """A column as the form reads it."""
    return values if centre is None else np.log(values) - centre


def _is_log(variable: Variable) -> bool:
    return variable.kind == "size"
