"""The form of a floor and falling powers: E + A / N^alpha + B / D^beta + ..., a term for each column of sizes.

Coefficients stand in the order factors, floor, exponents: (A, B, E, alpha, beta) for two terms.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence

import numpy as np

from seedbed.predict.contract import FloatArray, Variable
from seedbed.predict.form import Coefficient, Form, Points, sum_of_terms

FACTOR, FLOOR, EXPONENT = (-12.0, 4.0), (-12.0, 1.0), (0.0, 4.0)
"""Bounds after centring: a term as a share of a typical answer, e^-12 being none of it; an exponent."""


@dataclasses.dataclass(frozen=True)
class PowerTerm:
    """factor / variable^exponent.

    Args:
        variable: of kind "size".
        factor, exponent: names of its two coefficients.
    """

    variable: Variable
    factor: str
    exponent: str


def power_terms(terms: Sequence[PowerTerm], *, floor: str = "E", answer: str = "loss") -> Form:
    """The form of so many terms and a floor, compared by logarithms."""
    columns, n = [term.variable.name for term in terms], len(terms)

    def value(params_P: FloatArray, points: Points) -> tuple[FloatArray, FloatArray]:
        params_PN = params_P.reshape(len(params_P), -1)  # one column, or one a point
        log_size_TN = np.stack([points[column] for column in columns])
        log_terms_TN = params_PN[:n] - params_PN[n + 1 :] * log_size_TN
        floor_1N = np.broadcast_to(params_PN[n : n + 1], (1, log_size_TN.shape[1]))
        total, share_TN = sum_of_terms(np.concatenate([log_terms_TN, floor_1N]))
        return total, np.ascontiguousarray(np.concatenate([share_TN, -log_size_TN * share_TN[:-1]]).T)

    def starts(points: Points, answer_N: FloatArray) -> list[FloatArray]:  # noqa: ARG001
        """Corners and middles of what terms and exponents may be: 72 for two terms."""
        factors, floors, exponents = (np.log(0.1), np.log(0.5)), (np.log(0.3), np.log(0.8)), (0.2, 0.5, 1.0)
        return [np.array(s) for s in itertools.product(*[factors] * n, floors, *[exponents] * n)]

    return Form(
        variables=tuple(term.variable for term in terms),
        coefficients=(
            *(Coefficient(t.factor, *FACTOR, per={t.variable.name: t.exponent, answer: 1.0}) for t in terms),
            Coefficient(floor, *FLOOR, per={answer: 1.0}),
            *(Coefficient(t.exponent, *EXPONENT, is_log=False) for t in terms),
        ),
        value=value,
        starts=starts,
        answer=answer,
        pointwise=True,
    )
