"""CMR's loss law: forecasts the loss of continued training from the share of domain text, at one length.

What      Fits runs of one model and one length at several shares of domain text and says what loss, on the domain or
          on general text, a run at another share will end at. `critical_ratio` goes on from there.
Source    Gu et al. 2024, arXiv 2407.17467 (CMR scaling law), the loss as a power of the mixture ratio.
Formula   L(R) = a R^s + b, fitted as level + slope (R^s - 1) / s, the same curve, which becomes a logarithm at s = 0,
          where a and b say nothing. objective = SUM over runs of Huber_delta(L - loss).
Shapes    share_N, loss_N -> 3 numbers; share -> (value, low, high)
Units     share as a fraction, the domain's in all rows or the other text's in all; loss in nats per token or any other.
Fidelity  Adapted: the paper's fitting procedure was not checked; least squares here, up to residuals of huber_delta.
          R = 0, where a power of negative s has no value, is left out of the domain.
Errors    SeedbedError for a missing column, a share that is not above 0 (with its row), runs of several lengths, fewer
          than 4 runs, and forecasts too far from their shares.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Annotated

import numpy as np
import pyarrow as pa
from annotated_types import Gt, Le

from seedbed.core.errors import SeedbedError
from seedbed.predict import table
from seedbed.predict.contract import TOKENS, FloatArray, Plan, Variable
from seedbed.predict.fitted import Fitted
from seedbed.predict.form import Coefficient, Form, Points
from seedbed.predict.parametric import Parametric
from seedbed.stats.power import factor_and_constant, fit_power, power

SHARE = Variable("share", "share", what="share of the domain's text")


@dataclasses.dataclass(frozen=True)
class Cmr(Parametric):
    """a R^s + b.

    Args:
        huber_delta: residuals beyond it, in the unit of the loss, count linearly.
    """

    huber_delta: Annotated[float, Gt(0), Le(1e6)] = 0.01

    def form(self, columns: Sequence[str]) -> Form:  # noqa: ARG002
        """Of share."""
        return FORM

    def fit(self, runs: pa.Table) -> Fitted:
        """Fit the runs. Raises SeedbedError where they cannot carry the coefficients."""
        if "tokens" in runs.column_names:
            lengths = np.unique(table.read(runs, (SHARE,), TOKENS).column["tokens"])
            if len(lengths) > 1:
                what = f"there are runs of {len(lengths)} lengths, and this law is of one"
                mend = f"Give those of one, as with --only tokens={lengths[-1]:g}, or fit critical_ratio to all."
                raise SeedbedError("runs, column 'tokens'", what, mend)
        if "share" in runs.column_names:
            for i, cell in enumerate(runs.column("share").to_pylist()):
                if isinstance(cell, int | float) and cell == 0:
                    what = "a power has no value at share 0"
                    raise SeedbedError(f"runs, row {i + 1}, column 'share'", what, "Leave the row out.")
        return super().fit(runs)

    def refuse(self, plan: Plan) -> None:
        """Raises SeedbedError for no text of the domain."""
        if plan["share"] <= 0:
            raise SeedbedError(self.name(), "a power has no value at share 0", "Ask for a share above 0.")

    def readable(self, coefficients: Mapping[str, float]) -> dict[str, float]:
        """The coefficients with a and b."""
        a, b = factor_and_constant(coefficients["level"], coefficients["slope"], coefficients["s"])
        return {**coefficients, "a": a, "b": b}


def value(params_P: FloatArray, points: Points) -> tuple[FloatArray, FloatArray]:
    """(loss_N, jacobian_NP) of (level, slope, s)."""
    level, slope, s = params_P
    return power(level, slope, s, np.log(points["share"]))


def starts(points: Points, answer_N: FloatArray) -> list[FloatArray]:
    """From the least squares at nine exponents."""
    return [
        np.array(fit_power(np.log(points["share"]), answer_N, s, s))
        for s in (-2.0, -1.0, -0.5, -0.2, 0.1, 0.3, 0.6, 1.2, 2.5)
    ]


FORM = Form(
    variables=(SHARE,),
    coefficients=(
        Coefficient("level", -1e6, 1e6, is_log=False),
        Coefficient("slope", -1e6, 1e6, is_log=False),
        Coefficient("s", -8.0, 8.0, is_log=False),
    ),
    value=value,
    starts=starts,
    residual="linear",
)
