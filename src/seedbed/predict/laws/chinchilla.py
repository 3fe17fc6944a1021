"""Chinchilla law: forecasts the loss of a larger run from a table of smaller ones, with an interval.

What      Fits L(N, D) = E + A / N^alpha + B / D^beta to finished runs and says what loss a run of N parameters and D
          tokens will end at; also the best split of a compute budget between N and D.
Source    Hoffmann et al. 2022, arXiv 2203.15556, section 3.3 and appendix D.2 (approach 3); the stopping fault of the
          original fit and its cure: Besiroglu et al. 2024, arXiv 2404.10102.
Formula   log_loss_N = logsumexp(a - alpha * x_N, b - beta * y_N, e), with x = ln N, y = ln D, a = ln A, b = ln B,
          e = ln E; objective = SUM over runs of Huber_delta(log_loss_N - ln loss_N), delta = 1e-3.
          allocation: G = (alpha A / (beta B))^(1 / (alpha + beta)), N* = G (C / 6)^(beta / (alpha + beta)),
          D* = (C / 6) / N*.
Shapes    params_N, tokens_N, loss_N -> 5 numbers; (params, tokens) -> (value, low, high)
Units     params in parameters and tokens in tokens (any multiple gives the same forecasts), loss in nats per token (or
          bits per byte: all stays in that unit), FLOP for the allocation, level as a fraction.
Fidelity  Adapted: same form and objective; logs are centred on the runs before fitting, so that 72 starts, the same in
          any unit, replace the published grid of 4,500. The interval is for one new run: its refits and its own noise.
          Rows are redrawn, as the replication did, from 12 runs a coefficient on; fewer lose whole sizes that way, so
          noise of the residuals' size is added to the fitted losses instead (`bootstrap`).
Errors    SeedbedError for a missing column, a value that is no positive finite number (with its row), fewer than 6
          runs, fewer than 2 distinct params or tokens, and forecasts further than max_extrapolation from the runs.
          Order and duplication of rows do not matter. What the runs do not identify is said in `warnings`.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np

from seedbed.predict.contract import PARAMS, TOKENS, FloatArray
from seedbed.predict.form import Coefficient, Form, Points, sum_of_terms
from seedbed.predict.parametric import Parametric

TERM, EXPONENT = (-12.0, 4.0), (0.0, 4.0)
"""Bounds after centring: a term as a share of a typical loss, e^-12 being none of it; an exponent."""


@dataclasses.dataclass(frozen=True)
class Chinchilla(Parametric):
    """E + A / N^alpha + B / D^beta."""

    version: ClassVar[int] = 2

    def form(self, columns: Sequence[str]) -> Form:  # noqa: ARG002
        """Of params and tokens."""
        return FORM

    def readable(self, coefficients: Mapping[str, float]) -> dict[str, float]:
        """With `a`, the exponent of the best size in compute."""
        alpha, beta = coefficients["alpha"], coefficients["beta"]
        return {**coefficients, "a": beta / (alpha + beta) if alpha + beta > 0 else 0.5}


def value(params_P: FloatArray, points: Points) -> tuple[FloatArray, FloatArray]:
    """(log_loss_N, jacobian_NP) of (a, b, e, alpha, beta)."""
    a, b, e, alpha, beta = params_P
    x, y = points["params"], points["tokens"]
    log_loss, (size, length, floor) = sum_of_terms(np.stack([a - alpha * x, b - beta * y, np.full(len(x), e)]))
    return log_loss, np.stack([size, length, floor, -x * size, -y * length], axis=1)


def starts(points: Points, answer_N: FloatArray) -> list[FloatArray]:  # noqa: ARG001
    """72 corners and middles of what the terms and exponents may be."""
    terms, exponents = (np.log(0.1), np.log(0.5)), (0.2, 0.5, 1.0)
    return [np.array(s) for s in itertools.product(terms, terms, (np.log(0.3), np.log(0.8)), exponents, exponents)]


def allocation(A: float, B: float, alpha: float, beta: float, flops: float) -> tuple[float, float]:
    """(params, tokens) that minimise A / N^alpha + B / D^beta at 6 N D = flops."""
    G = (alpha * A / (beta * B)) ** (1 / (alpha + beta))
    params = G * (flops / 6) ** (beta / (alpha + beta))
    return params, flops / 6 / params


FORM = Form(
    variables=(PARAMS, TOKENS),
    coefficients=(
        Coefficient("A", *TERM, per={"params": "alpha", "loss": 1.0}),
        Coefficient("B", *TERM, per={"tokens": "beta", "loss": 1.0}),
        Coefficient("E", -12.0, 1.0, per={"loss": 1.0}),
        Coefficient("alpha", *EXPONENT, is_log=False),
        Coefficient("beta", *EXPONENT, is_log=False),
    ),
    value=value,
    starts=starts,
    pointwise=True,
)
