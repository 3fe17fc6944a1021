"""Kaplan law: loss of a larger run where size and data are each other's bottleneck, from a table of smaller runs.

What      Fits L(N, D) = [(Nc / N)^(alpha_N / alpha_D) + Dc / D]^alpha_D to runs of N parameters and D tokens, and says
          what loss another pair will come to. With unlimited data it is L(N) = (Nc / N)^alpha_N, with an unlimited
          model L(D) = (Dc / D)^alpha_D.
Source    Kaplan et al. 2020, arXiv 2001.08361, equations 1.1, 1.2 and 1.5, section 4. PUBLISHED holds its numbers.
Formula   With A = Nc^alpha_N and B = Dc^alpha_D, which are what is fitted:
          ln L = alpha_D * logaddexp((ln A - alpha_N ln N) / alpha_D, (ln B - alpha_D ln D) / alpha_D).
          The lowest loss at C = 6 N D lies where N grows as C^(alpha_D / (alpha_N + alpha_D)): 0.575 with PUBLISHED.
          (The paper's 0.73 is of another law, that of runs which are stopped early: see `trajectory`.)
          D that keeps the excess over L(N) at a share e is Dc / ((1 + e)^(1 / alpha_D) - 1) * (N / Nc)^(alpha_N /
          alpha_D), which is the paper's 5,000 * N^0.74 at e = 0.02.
Shapes    params_N, tokens_N, loss_N -> 4 numbers; (params, tokens) -> (value, low, high)
Units     params in parameters without embeddings, as in the paper (say so with params_count), tokens in tokens; loss in
          nats per token. Nc in parameters, Dc in tokens.
Fidelity  Adapted: the paper fits by least squares; here it is the objective, the bootstrap and the refusals that all
          laws share. It has no irreducible term; `offset` adds one. PUBLISHED holds for one vocabulary and one corpus.
Errors    SeedbedError for a missing column, a value that is no positive finite number (with its row), fewer than 5
          runs, one params or tokens alone, and forecasts further than max_extrapolation from the runs.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Mapping, Sequence

import numpy as np

from seedbed.predict.contract import PARAMS, TOKENS, FloatArray
from seedbed.predict.form import Coefficient, Form, Points, sum_of_terms
from seedbed.predict.parametric import Parametric

PUBLISHED = {"Nc": 6.4e13, "Dc": 1.8e13, "alpha_N": 0.076, "alpha_D": 0.103}
"""Table 2 of the paper (GPT-2's vocabulary, WebText2), as it is widely quoted; not read again for this file."""

TERM, EXPONENT = (-12.0, 4.0), (1e-3, 4.0)
"""Bounds after centring: a term as a share of a typical loss, e^-12 being none of it; an exponent, which divides."""


@dataclasses.dataclass(frozen=True)
class Kaplan(Parametric):
    """[(Nc / N)^(alpha_N / alpha_D) + Dc / D]^alpha_D."""

    def form(self, columns: Sequence[str]) -> Form:  # noqa: ARG002
        """Of params and tokens."""
        return FORM

    def readable(self, coefficients: Mapping[str, float]) -> dict[str, float]:
        """The scales Nc and Dc beside the factors A = Nc^alpha_N and B = Dc^alpha_D."""
        return {
            "Nc": _scale(coefficients["A"], coefficients["alpha_N"]),
            "Dc": _scale(coefficients["B"], coefficients["alpha_D"]),
            **coefficients,
        }


def value(params_P: FloatArray, points: Points) -> tuple[FloatArray, FloatArray]:
    """(log_loss_N, jacobian_NP) of (a, b, alpha_N, alpha_D)."""
    a, b, alpha_N = params_P[:3]
    alpha_D = max(params_P[3], 1e-9)  # it may be held at 0
    size_N, data_N = a - alpha_N * points["params"], b - alpha_D * points["tokens"]
    total_N, (size, data) = sum_of_terms(np.stack([size_N, data_N]) / alpha_D)
    by_alpha_D = total_N - (size * size_N + data * data_N) / alpha_D - data * points["tokens"]
    return alpha_D * total_N, np.stack([size, data, -points["params"] * size, by_alpha_D], axis=1)


def starts(points: Points, answer_N: FloatArray) -> list[FloatArray]:  # noqa: ARG001
    """36 pairs of exponents and of which bottleneck is the narrower."""
    terms, exponents = (0.0, -0.3), (0.05, 0.15, 0.4)
    return [np.array(start) for start in itertools.product(terms, terms, exponents, exponents)]


def _scale(factor: float, exponent: float) -> float:
    """Nc, from Nc^alpha and alpha."""
    return math.exp(min(700.0, max(-700.0, math.log(max(factor, 1e-300)) / max(exponent, 1e-12))))


FORM = Form(
    variables=(PARAMS, TOKENS),
    coefficients=(
        Coefficient("A", *TERM, per={"params": "alpha_N", "loss": 1.0}),
        Coefficient("B", *TERM, per={"tokens": "alpha_D", "loss": 1.0}),
        Coefficient("alpha_N", *EXPONENT, is_log=False),
        Coefficient("alpha_D", *EXPONENT, is_log=False),
    ),
    value=value,
    starts=starts,
)
