"""Sigmoid: forecasts the accuracy on a task from the model's loss on the task's right answers.

What      Fits a falling S-curve of accuracy over loss, from chance at high loss to its best at low loss: the second
          step from size and length to accuracy.
Source    Bhagia et al. 2024, arXiv 2412.04403 (task ladder), step 2.
Formula   accuracy = a / (1 + exp(-k (loss - x0))) + b, with -1 <= a <= 0, x0 >= 0, k >= 0, 0 <= b <= 1; objective =
          SUM of squares of accuracy - fitted.
Shapes    loss_N, accuracy_N -> 4 numbers; loss -> (value, low, high)
Units     loss in bits per byte of the right answer (any unit, kept to), accuracy as a fraction.
Fidelity  Exact formula, bounds and objective; descents from 10 starts, the published one among them, by L-BFGS-B with
          the analytic gradient. The published fits have no interval: here it is by bootstrap, as of any law.
Errors    SeedbedError for a missing column, a value that is no finite number (with its row), fewer than 5 rows, one
          loss only. A curve that the rows show only part of is said in `warnings`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from annotated_types import Gt, Le
from scipy import special as scipy_special

from seedbed.predict.contract import FloatArray, Variable
from seedbed.predict.form import Coefficient, Form, Points
from seedbed.predict.parametric import Parametric

if TYPE_CHECKING:
    from seedbed.predict.fitted import Fitted

_special: Any = scipy_special


@dataclasses.dataclass(frozen=True)
class Sigmoid(Parametric):
    """a / (1 + exp(-k (loss - x0))) + b.

    Args:
        huber_delta: residuals beyond it count linearly; accuracies do not lie further apart, so all are squared.
    """

    huber_delta: Annotated[float, Gt(0), Le(1e6)] = 1.0

    def form(self, columns: Sequence[str]) -> Form:  # noqa: ARG002
        """Of loss."""
        return FORM

    def remarks(self, fitted: Fitted) -> Sequence[str]:
        """Where the runs show only one end of the curve."""
        x0 = fitted.coefficients["x0"].value
        low, high = fitted.domain["loss"]
        if low <= x0 <= high:
            return ()
        end, missing = ("lower", "upper") if x0 < low else ("upper", "lower")
        return (f"the runs show only the {end} half of the curve: its {missing} end is not identified",)


def value(params_P: FloatArray, points: Points) -> tuple[FloatArray, FloatArray]:
    """(accuracy_N, jacobian_NP) of (a, x0, k, b)."""
    a, x0, k, b = params_P
    past = points["loss"] - x0
    share = np.asarray(_special.expit(k * past), np.float64)
    slope = share * (1 - share)
    return a * share + b, np.stack([share, -a * k * slope, a * past * slope, np.ones_like(share)], axis=1)


def starts(points: Points, answer_N: FloatArray) -> list[FloatArray]:
    """The published one, and curves about the losses' quartiles, steep and flat."""
    lowest, highest = float(answer_N.min()), float(answer_N.max())
    width = max(float(np.std(points["loss"])), 1e-9)
    middles = np.quantile(points["loss"], [0.25, 0.5, 0.75])
    fall, top = max(-1.0, lowest - highest), min(1.0, max(0.0, highest))
    others = [np.array([fall, max(0.0, x0), k / width, top]) for x0 in middles for k in (0.5, 1.5, 4.0)]
    return [np.array([min(0.0, max(-1.0, lowest - 1)), 0.9, 3.0, 1.0]), *others]


FORM = Form(
    variables=(Variable("loss", "number", "of the model on the right answers"),),
    coefficients=(
        Coefficient("a", -1.0, 0.0, is_log=False),
        Coefficient("x0", 0.0, np.inf, is_log=False),
        Coefficient("k", 0.0, np.inf, is_log=False),
        Coefficient("b", 0.0, 1.0, is_log=False),
    ),
    value=value,
    starts=starts,
    answer="accuracy",
    residual="linear",
)
