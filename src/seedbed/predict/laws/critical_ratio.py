"""CMR law: the largest share of domain text that general skill allows in continued training, by its length.

What      Finds at each length of training the critical mixture ratio, the share of domain text at which the general
          loss is as far above that of the model before as is allowed, and forecasts it for longer training.
Source    Gu et al. 2024, arXiv 2407.17467 (CMR scaling law); PUBLISHED holds its fits for four sizes.
Formula   per length L(R) = a R^s + b by least squares, the critical ratio where L(R) = before + tolerance; then
          R_CMR(T) = a T^s + b over lengths, fitted as level + slope (x^s - 1) / s with x relative to the lengths;
          T = tokens / unit. objective = SUM over lengths of Huber_delta(R_CMR - ratio).
Shapes    share_N, tokens_N, loss_N (general) -> ratio_T -> 3 numbers; tokens -> (share, low, high)
Units     share as a fraction, the domain's; tokens (any multiple gives the same forecasts, with `unit` in it too);
          loss and tolerance in nats per token or any other.
Fidelity  Adapted: the paper's fitting procedure, and whether its tolerance is a difference as here, were not checked.
          The interval rests on the scatter of the ratios over lengths, not on that of losses within one.
Errors    SeedbedError for a missing column, a number that cannot be (with its row), a table of losses without
          loss_before where `before` is 0, fewer than 3 shares at a length, fewer than 4 lengths with a critical ratio
          (others are left out with a warning), and forecasts too far from those lengths.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Annotated

import numpy as np
import pyarrow as pa
from annotated_types import Ge, Gt, Le

from seedbed.core import arrow
from seedbed.core.errors import SeedbedError, did_you_mean
from seedbed.core.parameters import Json
from seedbed.predict import table
from seedbed.predict.contract import TOKENS, Estimate, FloatArray, Plan, Variable
from seedbed.predict.fitted import Fitted
from seedbed.predict.form import Coefficient, Form, Points
from seedbed.predict.parametric import Parametric
from seedbed.predict.shares import specialised
from seedbed.stats.power import factor_and_constant, fit_power, power

SHARE = Variable("share", "share", what="share of the domain's text")
LOSS, BEFORE = Variable("loss", what="general loss"), Variable("loss_before", what="general loss of the model before")
UNIT = 2e8
"""Tokens that T counts, as published."""
PUBLISHED = {
    "460M": (0.22524761, 0.26944345, -0.48139982),
    "940M": (0.7520627, 0.13720245, -1.06581937),
    "1.6B": (-2.36384831, -0.15125569, 1.59223649),
    "3.1B": (-2.5368197, -0.42071423, 0.84375368),
}
"""(a, s, b) by size of model, with T in units of UNIT."""


@dataclasses.dataclass(frozen=True)
class CriticalRatio(Parametric):
    """a T^s + b.

    Args:
        tolerance: how far above that of the model before the general loss may end, in its unit.
        before: general loss of the model before; 0 takes the column loss_before.
        unit: tokens that T counts in the coefficient a, in the unit of the column tokens.
        huber_delta: residuals beyond it, of a share, count linearly.
    """

    tolerance: Annotated[float, Ge(0)] = 0.05
    before: Annotated[float, Ge(0)] = 0.0
    unit: Annotated[float, Gt(0)] = UNIT
    huber_delta: Annotated[float, Gt(0), Le(1e6)] = 0.01

    def form(self, columns: Sequence[str]) -> Form:  # noqa: ARG002
        """Of tokens."""
        return FORM

    def fit(self, runs: pa.Table) -> CriticalFitted:
        """Fit runs with a loss, or a table of ratios without. Raises SeedbedError where they cannot carry it."""
        if "loss" not in runs.column_names:
            return _own(super().fit(runs))
        table.one_domain(runs)
        law = dataclasses.replace(self, before=self.before or _before(runs))
        read = table.read(runs, (SHARE, TOKENS), LOSS, drop_worst=self.drop_worst)
        ratios, without = _ratios(read, law.before + law.tolerance)
        if len(ratios) < len(FORM.names) + 1:
            what = f"{len(ratios)} lengths have a share that ends at the bound; the law needs {len(FORM.names) + 1}"
            raise SeedbedError("runs", what, "Train at more lengths, at shares around the bound, or change tolerance.")
        lengths = arrow.table({"tokens": list(ratios), "share": list(ratios.values())})
        found = Parametric.fit(dataclasses.replace(law, drop_worst=0), lengths)
        said = [f"no share ends at the bound at {', '.join(f'{each:.3g}' for each in without)} tokens: left out"]
        told = (*read.warnings, *(said if without else ()))
        return _own(dataclasses.replace(found, law=law, said=(*found.said, *told)))

    def load(self, fitted: Mapping[str, Json]) -> CriticalFitted:
        """The inverse of CriticalFitted.to_json."""
        return _own(super().load(fitted))


@dataclasses.dataclass(frozen=True, eq=False)
class CriticalFitted(Fitted):
    """A fit that chooses the share, and names a and b."""

    def named(self, params_RP: FloatArray) -> list[dict[str, float]]:
        """Coefficients by name, with a and b of a T^s + b."""
        rows = super().named(params_RP)
        unit = self.law.unit if isinstance(self.law, CriticalRatio) else UNIT
        pairs = [
            factor_and_constant(row["level"], row["slope"], row["s"], float(np.log(unit)) - self.centre["tokens"])
            for row in rows
        ]
        return [{**row, "a": a, "b": b} for row, (a, b) in zip(rows, pairs, strict=True)]

    def mixture(self, given: Plan, caps: Mapping[str, float]) -> dict[str, Estimate]:
        """The critical share after given tokens, or the cap, and the most that the general loss comes to there."""
        for name in caps:
            if name != "share":
                raise SeedbedError(self.law.name(), f"there is no share {name!r}", did_you_mean(name, ["share"]))
        share = Estimate(*np.clip(self.forecast(given), 0.0, caps.get("share", 1.0)).tolist())
        law = self.law
        if not isinstance(law, CriticalRatio) or not law.before:
            return {"share": share}
        return {"share": share, "loss": Estimate(*[law.before + law.tolerance] * 3)}


def critical(tokens: float, a: float, s: float, b: float, unit: float = UNIT) -> float:
    """The share of domain text after so many tokens, by published numbers."""
    return a * (tokens / unit) ** s + b


def _own(found: Fitted) -> CriticalFitted:
    return specialised(CriticalFitted, found)


def _before(runs: pa.Table) -> float:
    """The mean loss before training. Raises SeedbedError where it is not told."""
    if BEFORE.name not in runs.column_names:
        mend = (
            "Give the general loss of the model that training begins from, as that column or as the parameter before."
        )
        raise SeedbedError("runs", f"there is no column {BEFORE.name!r}", mend)
    return float(table.read(runs, (), BEFORE).column[BEFORE.name].mean())


def _ratios(read: table.Runs, bound: float) -> tuple[dict[float, float], list[float]]:
    """(length -> share that ends at the bound, lengths that have none between 0 and 1)."""
    found: dict[float, float] = {}
    without: list[float] = []
    for tokens in np.unique(read.column["tokens"]).tolist():
        mine = (read.column["tokens"] == tokens) & (read.column["share"] > 0)
        share_N, loss_N = read.column["share"][mine], read.column["loss"][mine]
        if len(np.unique(share_N)) < 3:
            what = f"{len(np.unique(share_N))} shares above 0 at {tokens:.3g} tokens do not make a curve"
            raise SeedbedError("runs", what, "Give at least 3 at every length.")
        level, slope, s = fit_power(np.log(share_N), loss_N)
        inner = 1 + s * (bound - level) / slope if slope > 0 else 0.0
        log_ratio = np.inf
        if slope > 0 and inner > 0:
            log_ratio = np.log(inner) / s if abs(s) > 1e-6 else (bound - level) / slope
        if log_ratio <= 0:
            found[tokens] = float(np.exp(log_ratio))
        else:
            without.append(tokens)
    return found, without


def value(params_P: FloatArray, points: Points) -> tuple[FloatArray, FloatArray]:
    """(share_N, jacobian_NP) of (level, slope, s)."""
    level, slope, s = params_P
    return power(level, slope, s, points["tokens"])


def starts(points: Points, answer_N: FloatArray) -> list[FloatArray]:
    """From the least squares at nine exponents."""
    exponents = (-1.5, -0.8, -0.4, -0.15, 0.05, 0.15, 0.4, 0.8, 1.5)
    return [np.array(fit_power(points["tokens"], answer_N, s, s)) for s in exponents]


FORM = Form(
    variables=(TOKENS,),
    coefficients=(
        Coefficient("level", -1e3, 1e3, is_log=False),
        Coefficient("slope", -1e3, 1e3, is_log=False),
        Coefficient("s", -8.0, 8.0, is_log=False),
    ),
    value=value,
    starts=starts,
    answer="share",
    residual="linear",
)
