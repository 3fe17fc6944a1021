"""Trajectory law: forecasts the whole loss curve of a larger run, at any batch size, from curves of small ones.

What      Fits L(N, S, B) = (Nc / N)^alpha_N + [(Sc / S) (1 + Bcrit(L) / B)]^alpha_S to points (params, steps,
          batch_tokens, loss) of small runs, and says what loss a run of N parameters has after S steps of B tokens.
          Points are means over windows of steps, some tens a run and evenly in log steps: single steps are noise.
Source    Su et al. 2024, "Unraveling the Mystery of Scaling Laws: Part I", arXiv 2403.06563; the critical batch is that
          of Kaplan et al. 2020, arXiv 2001.08361, section 5.
Formula   Bcrit(L) = B_star / L^(1 / alpha_B). L stands on both sides. With A = Nc^alpha_N, C = Sc^alpha_S, i = 1 /
          alpha_B and u = ln L: u = r(u) = logaddexp(ln A - alpha_N ln N, ln C - alpha_S ln S + alpha_S softplus(
          ln B_star - ln B - i u)). r falls and is convex, so Newton's steps from u = r(infinity), the loss of an
          unlimited batch, rise to the one root and never pass it. du/dp = (dr/dp) / (1 - dr/du).
          Steps of an unlimited batch: Smin = S / (1 + Bcrit / B); Bcrit and Smin for a loss: `critical_batch`,
          `least_steps`. With B unlimited this is Kaplan's L(N, Smin). Its lowest loss at a compute 6 N B Smin with
          B = Bcrit lies where N grows as C^(g / alpha_N), 1 / g = 1 / alpha_S + 1 / alpha_B + 1 / alpha_N.
Shapes    params_N, steps_N, batch_tokens_N, loss_N -> 6 numbers; (params, steps, batch_tokens) -> (value, low, high).
          `steps` may be left out where `tokens` is there.
Units     params in parameters without embeddings, as in the paper (say so with params_count); batch_tokens and B_star
          in tokens, B_star at a loss of 1; steps in updates; loss in nats per token.
Fidelity  Adapted: the paper takes three steps, and `staged` does so: alpha_N and Nc from a line through the lowest loss
          of each size (which must therefore be trained to their limit), B_star and alpha_B from the sizes with three
          batches or more, then alpha_S and Sc with those held. By default the steps only begin the search for all six
          numbers. Bcrit depends on the loss above `offset` where that is asked. The law is of a constant rate: rows of
          the warm-up (`skip_first`) and those that a column `decaying` marks are left out, and what a decay at the end
          gains is not forecast. Points of one curve err together, so intervals are too narrow; said in `warnings`.
Errors    SeedbedError for a missing column, a value that is no positive finite number (with its row), fewer than 7
          points, one params, steps or batch_tokens alone, `staged` without three batch sizes, and forecasts further
          than max_extrapolation from the runs.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar

import numpy as np
import pyarrow as pa
from annotated_types import Ge, Lt

from seedbed.core.errors import SeedbedError
from seedbed.predict import table
from seedbed.predict.batch_curves import (
    BATCH_TOKENS,
    STEPS,
    alike,
    at_full_rate,
    critical_batches,
    falling,
    levels,
    line,
)
from seedbed.predict.contract import PARAMS, FloatArray, Plan, Variable
from seedbed.predict.fitted import Fitted
from seedbed.predict.form import Coefficient, Form, Points, sum_of_terms
from seedbed.predict.parametric import Parametric

PUBLISHED = {"Nc": 1.5e14, "alpha_N": 0.076, "Sc": 2.6e3, "alpha_S": 0.67, "B_star": 1.7e8, "alpha_B": 0.205}
"""For the paper's C4 set-up, as quoted elsewhere, not read again for this file: orders of magnitude."""
KAPLAN = {"Nc": 6.5e13, "alpha_N": 0.077, "Sc": 2.1e3, "alpha_S": 0.76, "B_star": 2e8, "alpha_B": 0.21}
"""The same law's numbers in Kaplan et al., table 3, likewise."""

TERM, LEVELS = (-12.0, 4.0), 12
NEWTON_STEPS, CLOSE = 200, 1e-13


@dataclasses.dataclass(frozen=True)
class Trajectory(Parametric):
    """(Nc / N)^alpha_N + [(Sc / S) (1 + Bcrit(L) / B)]^alpha_S.

    Args:
        skip_first: share of each run's steps, from its first on, that is left out as warm-up.
        staged: whether the numbers of the first two steps of the paper are held in the third.
    """

    skip_first: Annotated[float, Ge(0), Lt(1)] = 0.1
    staged: bool = False

    def form(self, columns: Sequence[str]) -> Form:  # noqa: ARG002
        """Of params, steps and batch_tokens."""
        return FORM

    instead: ClassVar[Mapping[str, str]] = {"steps": "tokens and batch_tokens"}

    def derive(self, given: Plan) -> dict[str, float]:
        """Steps from tokens."""
        told = dict(given)
        if "steps" not in told and told.get("tokens", 0) > 0 and told.get("batch_tokens", 0) > 0:
            told["steps"] = told["tokens"] / told["batch_tokens"]
        return told

    def fit(self, runs: pa.Table) -> Fitted:
        """Fit the points that are at the constant rate. Raises SeedbedError where they cannot carry the law."""
        runs = self.derived(runs)
        table.read(runs, FORM.variables, Variable(FORM.answer))  # so that errors tell the rows as they were given
        runs = at_full_rate(runs, self.skip_first)
        if not self.staged:
            return super().fit(runs)
        if self.offset:
            raise SeedbedError(f"{self.name()}.staged", "its steps know no offset", "Ask for one of the two.")
        read = table.read(runs, FORM.variables, Variable(FORM.answer), drop_worst=self.drop_worst)
        law = dataclasses.replace(self, fix={**first_stages(read.column), **self.fix})
        return super(Trajectory, law).fit(runs)

    def remarks(self, fitted: Fitted) -> Sequence[str]:
        """What this law's points do not tell."""
        found: list[str] = []
        runs = {name: np.array(values) for name, values in fitted.runs.items()}
        n = len(alike([runs["params"], runs["batch_tokens"]], len(runs["params"])))
        if n < len(runs["params"]):
            found.append(
                f"{len(runs['params'])} points are of {n} curves and err together: the interval is narrower than the "
                "truth, and that of another run adds the noise between seeds"
            )
        coefficients = fitted.named(np.array([fitted.params]))[0]
        at = [math.log(critical_batch(coefficients, loss)) for loss in (runs["loss"].min(), runs["loss"].max())]
        low, high = np.log([runs["batch_tokens"].min(), runs["batch_tokens"].max()])
        if max(at) < low or min(at) > high:
            side = "below" if max(at) < low else "above"
            found.append(f"the critical batch lies {side} all batch sizes of the runs: B_star and alpha_B are a guess")
        return found

    def readable(self, coefficients: Mapping[str, float]) -> dict[str, float]:
        """The scales Nc and Sc and alpha_B beside the factors and the inverse that are fitted."""
        found = dict(coefficients)
        found["Nc"] = _scale(found["A"], found["alpha_N"])
        found["Sc"] = _scale(found["C"], found["alpha_S"])
        found["alpha_B"] = 1 / max(found["inverse_alpha_B"], 1e-9)
        return found


def critical_batch(coefficients: Mapping[str, float], loss: float) -> float:
    """Tokens a batch at which a loss takes twice the least steps and twice the least tokens."""
    return coefficients["B_star"] / loss ** (1 / coefficients["alpha_B"])


def least_steps(coefficients: Mapping[str, float], params: float, loss: float) -> float:
    """Smin: steps of an unlimited batch to a loss; infinite for one that the size does not reach."""
    above = loss - (coefficients["Nc"] / params) ** coefficients["alpha_N"]
    return coefficients["Sc"] / above ** (1 / coefficients["alpha_S"]) if above > 0 else math.inf


def value(params_P: FloatArray, points: Points) -> tuple[FloatArray, FloatArray]:
    """(log_loss_N, jacobian_NP) of (a, alpha_N, c, alpha_S, b_star, inverse_alpha_B)."""
    _, _, _, alpha_S, _, inverse = params_P
    u_N = _right(params_P, points, None)[0]
    for _ in range(NEWTON_STEPS):
        total_N, share_N, _, slope_N = _right(params_P, points, u_N)
        step_N = (total_N - u_N) / (1 + share_N * alpha_S * slope_N * inverse)
        if np.all(np.abs(step_N) <= CLOSE * (1 + np.abs(u_N))):
            break
        u_N = u_N + step_N
    _, share_N, soft_N, slope_N = _right(params_P, points, u_N)
    by_star_N, size_N = share_N * alpha_S * slope_N, 1 - share_N
    by_alpha_S_N = share_N * (soft_N - points["steps"])
    direct = [size_N, -points["params"] * size_N, share_N, by_alpha_S_N, by_star_N, -u_N * by_star_N]
    return u_N, np.stack(direct, axis=1) / (1 + by_star_N * inverse)[:, None]


def _right(params_P: FloatArray, points: Points, u_N: FloatArray | None) -> tuple[FloatArray, ...]:
    """r(u), the second term's share in it, softplus and its slope; without u those of an unlimited batch."""
    a, alpha_N, c, alpha_S, b_star, inverse = params_P
    over_N = np.full(len(points["steps"]), -np.inf)
    if u_N is not None:
        over_N = b_star - points["batch_tokens"] - inverse * u_N
    soft_N = np.logaddexp(0.0, over_N)
    terms = [a - alpha_N * points["params"], c - alpha_S * (points["steps"] - soft_N)]
    total_N, share_TN = sum_of_terms(np.stack(terms))
    return total_N, share_TN[1], soft_N, np.exp(over_N - soft_N)


def starts(points: Points, answer_N: FloatArray) -> list[FloatArray]:
    """The paper's steps in fit coordinates; the size's own loss lower, and the critical batch elsewhere, besides."""
    columns = {name: np.exp(values) for name, values in points.items()} | {"loss": np.exp(answer_N)}
    a, alpha_N = size_stage(columns)
    staged = batch_stage(columns)
    batch = [(0.0, 2.0), (0.0, 6.0), (-2.0, 4.0), (2.0, 4.0)]
    batch += [staged] if staged else []
    found: list[FloatArray] = []
    for lower in (0.05, 0.25, 0.7):
        for b_star, inverse in batch:
            c, alpha_S = steps_stage(columns, a - lower, alpha_N, b_star, inverse)
            found.append(np.array([a - lower, alpha_N, c, alpha_S, b_star, inverse]))
    return found


def first_stages(columns: Mapping[str, FloatArray]) -> dict[str, float]:
    """A, alpha_N, B_star and inverse_alpha_B by the paper's first two steps."""
    a, alpha_N = size_stage(columns)
    found = batch_stage(columns)
    if found is None:
        what = "no size has three batch sizes whose curves tell a critical batch that falls with the loss"
        raise SeedbedError("runs", what, "Add batch sizes to one size, or fit without `staged`.")
    star, inverse = found
    return {"A": math.exp(a), "alpha_N": alpha_N, "B_star": math.exp(star), "inverse_alpha_B": inverse}


def size_stage(columns: Mapping[str, FloatArray]) -> tuple[float, float]:
    """(ln A, alpha_N): the line through the lowest loss of each size."""
    groups = alike([columns["params"]], len(columns["loss"]))
    x = np.log(np.array([float(columns["params"][rows[0]]) for rows in groups]))
    y = np.log(np.array([float(columns["loss"][rows].min()) for rows in groups]))
    alpha_N = min(max(-line(x, y)[0], 0.0), 4.0)
    return float(np.mean(y + alpha_N * x)), alpha_N


def batch_stage(columns: Mapping[str, FloatArray]) -> tuple[float, float] | None:
    """(ln B_star, 1 / alpha_B): the line of ln Bcrit on ln L, of sizes with three batches or more; None without."""
    found: list[FloatArray] = []
    logs = {name: np.log(values) for name, values in columns.items()}
    for rows in alike([columns["params"]], len(columns["loss"])):
        log_batch, log_steps, log_loss = logs["batch_tokens"][rows], logs["steps"][rows], logs["loss"][rows]
        runs = alike([log_batch], len(rows))
        curves = [falling(log_steps[run], log_loss[run]) for run in runs]
        log_batch_B = np.array([float(log_batch[run[0]]) for run in runs])
        found.append(critical_batches(curves, log_batch_B, levels(curves, log_batch_B, LEVELS))[0])
    level_L3 = np.concatenate(found)
    if len(level_L3) < 2:
        return None
    slope, intercept = line(level_L3[:, 0], level_L3[:, 2])
    return (intercept, -slope) if 0 < -slope <= 30 else None


def steps_stage(
    columns: Mapping[str, FloatArray], a: float, alpha_N: float, b_star: float, inverse: float
) -> tuple[float, float]:
    """(ln C, alpha_S): the line of ln(L - A / N^alpha_N) on ln Smin, over all runs."""
    log_loss = np.log(columns["loss"])
    over = b_star - inverse * log_loss - np.log(columns["batch_tokens"])
    log_least = np.log(columns["steps"]) - np.logaddexp(0.0, over)
    above = 1 - np.exp(a - alpha_N * np.log(columns["params"]) - log_loss)
    rows = np.flatnonzero(above > 1e-3)
    if len(rows) < 3:
        return -1.0, 0.5
    x, y = log_least[rows], (np.log(above[rows]) + log_loss[rows])
    alpha_S = min(max(-line(x, y)[0], 0.05), 3.0)
    return float(np.mean(y + alpha_S * x)), alpha_S


def _scale(factor: float, exponent: float) -> float:
    """Nc, from Nc^alpha and alpha."""
    return math.exp(min(700.0, max(-700.0, math.log(max(factor, 1e-300)) / max(exponent, 1e-12))))


FORM = Form(
    variables=(PARAMS, STEPS, BATCH_TOKENS),
    coefficients=(
        Coefficient("A", *TERM, per={"params": "alpha_N", "loss": 1.0}),
        Coefficient("alpha_N", 0.0, 4.0, is_log=False),
        Coefficient("C", *TERM, per={"steps": "alpha_S", "loss": 1.0}),
        Coefficient("alpha_S", 0.0, 4.0, is_log=False),
        Coefficient("B_star", -20.0, 20.0, per={"batch_tokens": 1.0, "loss": "inverse_alpha_B"}),
        Coefficient("inverse_alpha_B", 0.0, 30.0, is_log=False),
    ),
    value=value,
    starts=starts,
)
