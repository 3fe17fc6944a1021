"""Cross-domain D-CPT law: forecasts the loss on a domain that no run was trained for, from how learnable it is.

What      Fits runs of several domains at once, each with its learnability K, and forecasts another domain from its own
          K, which costs a short look at it. `ShareFitted.carried` goes on from there with one or two runs of it.
Source    Que et al. 2024, arXiv 2406.01375, section 3 (the cross-domain law).
Formula   L(N, D, r, K) = E + A / N^alpha + B r^eta / D^beta + C / (r + eps)^gamma + F / K^mu,
          K = w1 / k1 + w2 k2, with k1 the loss of the untouched model on the domain and k2 how fast it falls at first.
          objective = SUM over runs of Huber_delta(ln L - ln loss), delta = 1e-3.
Shapes    params_N, tokens_N, share_N, K_N, loss_N -> 11 numbers; (params, tokens, share, K) -> (value, low, high)
Units     as in dcpt_law; k1 in the unit of the loss, k2 in that unit per step or token, the same in all rows. K may be
          in any unit.
Fidelity  Adapted: as in dcpt_law. That K is made of k1 and k2 in this way was not checked against the paper, which the
          authors' code does not accompany; w1 and w2 are parameters, 1 by default, and a column K replaces them.
Errors    SeedbedError as in dcpt_law; where the table has neither K nor k1 and k2, and where all runs have one K.
          With K of fewer than three domains a warning says that F, mu and E are not told apart.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar

import numpy as np
import pyarrow as pa
from annotated_types import Ge, Gt, Le

from seedbed.core.parameters import Json
from seedbed.predict import table
from seedbed.predict.contract import FloatArray, Plan, Variable
from seedbed.predict.fitted import Fitted
from seedbed.predict.form import Coefficient, Form, Points, sum_of_terms
from seedbed.predict.parametric import Parametric
from seedbed.predict.shares import ShareFitted, dcpt_form, specialised

LEARNABLE = Variable("K", what="how learnable the domain is")
K1, K2 = (
    Variable("k1", what="loss of the untouched model on the domain"),
    Variable("k2", what="how fast that loss falls at first"),
)


@dataclasses.dataclass(frozen=True)
class CrossDomainDcpt(Parametric):
    """The D-CPT law plus F / K^mu.

    Args:
        w1: weight of 1 / k1 in K.
        w2: weight of k2 in K.
        n_starts: descents; the lowest wins.
    """

    w1: Annotated[float, Ge(0)] = 1.0
    w2: Annotated[float, Ge(0)] = 1.0
    n_starts: Annotated[int, Gt(0), Le(10_000)] = 24

    one_domain: ClassVar[bool] = False

    def form(self, columns: Sequence[str]) -> Form:
        """Of share and K, and of params and tokens where the table has them."""
        return with_learnability(dcpt_form(columns, self.n_starts))

    instead: ClassVar[Mapping[str, str]] = {"K": "k1 and k2"}

    def derive(self, given: Plan) -> dict[str, float]:
        """K from k1 and k2."""
        if "K" in given or not {"k1", "k2"} <= set(given):
            return dict(given)
        return {**given, "K": self.w1 / given["k1"] + self.w2 * given["k2"]}

    def derived(self, runs: pa.Table) -> pa.Table:
        """The table with K. Raises SeedbedError for a k1 or k2 that is not positive."""
        if "K" not in runs.column_names and {"k1", "k2"} <= set(runs.column_names):
            table.read(runs, (K1,), K2)
        return super().derived(runs)

    def fit(self, runs: pa.Table) -> ShareFitted:
        """Fit the runs. Raises SeedbedError where they cannot carry the coefficients."""
        return specialised(ShareFitted, super().fit(runs))

    def load(self, fitted: Mapping[str, Json]) -> ShareFitted:
        """The inverse of ShareFitted.to_json."""
        return specialised(ShareFitted, super().load(fitted))

    def remarks(self, fitted: Fitted) -> Sequence[str]:
        """On too few domains."""
        n = len(set(fitted.runs["K"]))
        return (
            () if n > 2 else (f"{n} values of K do not tell F, mu and E apart: forecasts of other domains mean little",)
        )


def with_learnability(form: Form) -> Form:
    """The form plus F / K^mu."""

    def value(params_P: FloatArray, points: Points) -> tuple[FloatArray, FloatArray]:
        inner, jacobian = form.value(params_P[:-2], points)
        own = params_P[-2] - params_P[-1] * points["K"]
        total, (rest_N, own_N) = sum_of_terms(np.stack([inner, own]))
        return total, np.column_stack([jacobian * rest_N[:, None], own_N, -points["K"] * own_N])

    def starts(points: Points, answer_N: FloatArray) -> list[FloatArray]:
        terms, exponents = np.log([0.05, 0.3]), (0.3, 1.0, 2.0)
        return [
            np.append(start, (terms[i % 2], exponents[i % 3])) for i, start in enumerate(form.starts(points, answer_N))
        ]

    own = (
        Coefficient("F", -12.0, 2.0, per={"K": "mu", "loss": 1.0}),
        Coefficient("mu", 0.0, 8.0, is_log=False),
    )
    variables = (*form.variables, LEARNABLE)
    coefficients = (*form.coefficients, *own)
    return dataclasses.replace(form, variables=variables, coefficients=coefficients, value=value, starts=starts)
