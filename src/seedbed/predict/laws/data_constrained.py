"""Data-constrained law: forecasts the loss where tokens are repeated, which are worth less each time they are seen.

What      Fits the law of size and length to runs of one epoch, then how fast repeated tokens, and parameters beyond
          what the text can teach, lose their value; forecasts runs of several epochs, with an interval.
Source    Muennighoff et al. 2023, arXiv 2305.16264, sections 3, 5 and appendix A; github huggingface/datablations for
          the fitted numbers and the check values.
Formula   L = E + A / N'^alpha + B / D'^beta with U = D / epochs the distinct tokens,
          D' = U + U R_D (1 - exp(-(epochs - 1) / R_D)),
          N' = V + V R_N (1 - exp(-(N / V - 1) / R_N)), V = min(N, G (U G)^(beta / alpha)), the best size for U, and
          G = (alpha A / (beta B))^(1 / (alpha + beta)).
          objective = SUM over runs of Huber_delta(ln L - ln loss), delta = 1e-3; alpha = beta.
Shapes    params_N, tokens_N, epochs_N, loss_N -> 7 numbers; (params, tokens, epochs) -> (value, low, high)
Units     params in parameters and tokens in tokens, all those read, repeated ones too (any multiple gives the same
          forecasts; unique_tokens, where given for epochs, in the unit of tokens), loss in nats per token or any other.
Fidelity  Adapted: the authors' two stages, the first on runs of one epoch, with their R_D and R_N held at infinity; the
          bootstrap goes through both. So runs of one epoch that are larger than V are read as Chinchilla's law would,
          though the whole law takes part of their parameters for idle: a warning says how many there are. In a
          joint fit V moves with A, B, alpha and beta, and so does the gradient.
          Where no run repeats there is no second stage and the law is Chinchilla's.
Errors    SeedbedError for a missing column, a number that cannot be (with its row), fewer than 6 runs of one epoch in
          the two-stage fit, and forecasts too far beyond the runs or beyond max_epochs: at 44 epochs the authors' own
          2.8B model ended 0.5 nats above this law, which has no term for over-fitting. The published fit foretells
          differences (to 0.02 nats up to 14 epochs), not levels, of losses on other text.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar

import numpy as np
import pyarrow as pa
from annotated_types import Ge, Le

from seedbed.core import arrow
from seedbed.core.errors import SeedbedError
from seedbed.core.parameters import Json
from seedbed.predict import table
from seedbed.predict.contract import PARAMS, TOKENS, FloatArray, Plan, Variable
from seedbed.predict.fitted import Fitted
from seedbed.predict.form import Coefficient, Form, Points, sum_of_terms
from seedbed.predict.parametric import Parametric, entered
from seedbed.predict.shares import specialised
from seedbed.stats.fits import huber, minimise

EPOCHS = Variable("epochs", "number", what="times that each distinct token is read")
UNIQUE = Variable("unique_tokens", what="distinct tokens")
LOSS = Variable("loss")
FIRST, SECOND = ("A", "B", "E", "alpha", "beta"), ("R_D", "R_N")
FEWEST = 6
"""Runs of one epoch that the first stage needs."""
INFINITE = 1e12
"""An R by which nothing loses its value."""
PUBLISHED = {
    "A": np.exp(6.255414),
    "B": np.exp(7.3049974),
    "E": np.exp(0.6254804),
    "alpha": 0.3526596,
    "beta": 0.3526596,
    "R_D": 15.387756,
    "R_N": 5.309743,
}


@dataclasses.dataclass(frozen=True)
class DataConstrained(Parametric):
    """Chinchilla's law of what repeated tokens and excess parameters are still worth.

    Args:
        tie: pairs of coefficients that are one; alpha and beta, as published.
        joint: whether all coefficients are fitted at once rather than R_D and R_N after the others.
        max_epochs: forecasts of more are refused.
    """

    tie: tuple[tuple[str, str], ...] = (("alpha", "beta"),)
    joint: bool = False
    max_epochs: Annotated[float, Ge(1), Le(1000)] = 16.0

    def form(self, columns: Sequence[str]) -> Form:  # noqa: ARG002
        """Of params, tokens and epochs."""
        return FORM

    instead: ClassVar[Mapping[str, str]] = {"epochs": "unique_tokens"}

    def derive(self, given: Plan) -> dict[str, float]:
        """Epochs from distinct tokens."""
        if "epochs" in given or not {"tokens", "unique_tokens"} <= set(given):
            return dict(given)
        unique = given["unique_tokens"]
        if not unique > 0:
            raise SeedbedError(self.name(), f"unique_tokens {unique} must be a positive finite number")
        return {**given, "epochs": max(1.0, given["tokens"] / unique)}

    def derived(self, runs: pa.Table) -> pa.Table:
        """The table with epochs. Raises SeedbedError for those that are not derived, or below 1."""
        if "epochs" not in runs.column_names:
            if "unique_tokens" not in runs.column_names:
                mend = "Give epochs, or unique_tokens to work them out."
                raise SeedbedError("runs", "there is no column 'epochs'", mend)
            table.read(runs, (UNIQUE,), TOKENS)
        return super().derived(runs)

    def refuse(self, plan: Plan) -> None:
        """Raises SeedbedError below one epoch and where over-fitting, for which there is no term, takes over."""
        if plan["epochs"] < 1:
            raise SeedbedError(self.name(), f"epochs {plan['epochs']:.3g} is less than one reading", "Give 1 or more.")
        if plan["epochs"] > self.max_epochs * (1 + 1e-9):
            what = (
                f"{plan['epochs']:.3g} epochs are beyond {self.max_epochs:g}: the law has no term for over-fitting, "
                "and at 44 epochs its authors' own model ended 0.5 nats above it"
            )
            raise SeedbedError(self.name(), what, "Plan more distinct text, or raise max_epochs and own the risk.")

    def remarks(self, fitted: Fitted) -> Sequence[str]:
        """On runs without repetition, and with too much."""
        most = fitted.domain["epochs"][1]
        if most <= 1 and not set(SECOND) & set(fitted.law.fix):
            return ("no run repeats its text: this is Chinchilla's law, and it says nothing of more than one epoch",)
        found: list[str] = []
        if n := _beyond_teaching(fitted):
            found.append(
                f"{n} runs of one epoch have more parameters than the fit says their text can teach: the first stage "
                "takes all of them for useful; a joint fit does not"
            )
        if most > self.max_epochs:
            found.append(f"there are runs of {most:.3g} epochs, where over-fitting spoils the fit: leave them out")
        return found

    def load(self, fitted: Mapping[str, Json]) -> RepeatsFitted:
        """The inverse of RepeatsFitted.to_json."""
        return specialised(RepeatsFitted, super().load(fitted))

    def fit(self, runs: pa.Table) -> RepeatsFitted:
        """Fit the runs in two stages, or at once. Raises SeedbedError where they cannot carry the coefficients."""
        runs = self.derived(runs)
        read = table.read(runs, FORM.variables, LOSS, drop_worst=self.drop_worst)
        epochs_N = np.asarray(arrow.numpy(runs, EPOCHS.name), np.float64)
        if len(wrong := np.flatnonzero(epochs_N < 1)):
            where = f"runs, row {wrong[0] + 1}, column 'epochs'"
            raise SeedbedError(where, f"{epochs_N[wrong[0]]:.3g} is less than one reading", "Give 1 or more.")
        if not self.fix:
            table.varied(read, (PARAMS.name, TOKENS.name))
        unknown = [name for name in SECOND if name not in self.fix]
        if unknown and read.column["epochs"].max() <= 1:
            fresh = {**self.fix, **dict.fromkeys(unknown, INFINITE)}
            return self._own(Parametric.fit(dataclasses.replace(self, fix=fresh), runs))
        if self.joint or not unknown or all(name in self.fix for name in FIRST):
            return self._own(Parametric.fit(self, runs))
        kept_N = np.asarray(arrow.numpy(runs, LOSS.name), np.float64) <= read.column["loss"].max()
        return self._in_two_stages(arrow.take(runs, np.flatnonzero(kept_N)))

    def _in_two_stages(self, runs: pa.Table) -> RepeatsFitted:
        epochs_N = np.asarray(arrow.numpy(runs, EPOCHS.name), np.float64)
        single = arrow.take(runs, np.flatnonzero(epochs_N <= 1))
        if single.num_rows < FEWEST:
            mend = "Add runs that repeat nothing, or fit all at once with joint."
            raise SeedbedError("runs", f"{single.num_rows} of them have one epoch, too few for the first stage", mend)
        fresh = {**self.fix, **dict.fromkeys(SECOND, INFINITE)}
        first = Parametric.fit(dataclasses.replace(self, fix=fresh, drop_worst=0), single)
        known_P = FORM.natural(np.array([first.params]), first.centre)[0]
        known = {name: float(value) for name, value in zip(FORM.names, known_P, strict=True) if name in FIRST}
        last = dataclasses.replace(self, fix={**known, **self.fix}, tie=(), n_bootstrap=0, drop_worst=0)
        second = Parametric.fit(last, runs)
        draws, noise = _redrawn(self, first, second)
        return dataclasses.replace(
            self._own(second),
            draws=draws,
            noise=noise,
            condition=max(first.condition, second.condition),
            bound_hits=(*first.bound_hits, *second.bound_hits),
        )

    def _own(self, found: Fitted) -> RepeatsFitted:
        return dataclasses.replace(specialised(RepeatsFitted, found), law=self)


@dataclasses.dataclass(frozen=True, eq=False)
class RepeatsFitted(Fitted):
    """A fit that goes to any number of epochs where it was told what repeats are worth."""

    def outside(self, plan: Plan) -> Mapping[str, float]:
        """Per variable how many times beyond the runs; epochs are within where R_D was given, not fitted."""
        found = dict(super().outside(plan))
        return {**found, "epochs": 1.0} if "R_D" in self.law.fix else found


def published() -> RepeatsFitted:
    """The authors' own fit, without intervals: good for what more epochs or parameters change, not for levels."""
    N, D, epochs = np.array([7e6, 9e9]), np.array([1e8, 9e11]), np.array([1.0, 16.0])  # as far as their runs went
    natural = np.array([PUBLISHED[name] for name in FORM.names])
    params_P = np.where([c.is_log for c in FORM.coefficients], np.log(natural), natural)
    loss = np.exp(value(params_P, {"params": np.log(N), "tokens": np.log(D), "epochs": epochs})[0])
    columns = {"params": N, "tokens": D, "epochs": epochs, "loss": loss}
    return RepeatsFitted(
        law=DataConstrained(fix=PUBLISHED, tie=(), n_bootstrap=0, params_count="total"),
        form=FORM,
        columns=tuple(columns),
        centre=dict.fromkeys(("params", "tokens", "loss"), 0.0),
        params=tuple(params_P.tolist()),
        draws=np.zeros((0, len(params_P))),
        noise=np.zeros(0),
        runs={name: tuple(values.tolist()) for name, values in columns.items()},
        objective=0.0,
        n_starts=1,
        n_agree=1,
        condition=1.0,
        bound_hits=(),
        said=("published numbers: losses on other text differ by a constant of some 0.2 nats; compare differences",),
    )


def worth(epochs: float, R_D: float = PUBLISHED["R_D"]) -> float:
    """What a token is worth on average that is among `epochs` readings of the same text; 1 where it is fresh."""
    return float((1 - R_D * np.expm1(-(epochs - 1) / R_D)) / epochs)


def value(params_P: FloatArray, points: Points) -> tuple[FloatArray, FloatArray]:
    """(log_loss_N, jacobian_NP) of (a, b, e, alpha, beta, ln R_D, ln R_N)."""
    a, b, e, alpha, beta, log_R_D, log_R_N = params_P
    x, y, epochs = points["params"], points["tokens"], points["epochs"]
    unique = y - np.log(epochs)
    gain, _, d_gain = _saturated(epochs - 1, np.exp(log_R_D))
    d = unique + gain
    best = (np.log(alpha / beta) + a - b + beta * unique) / alpha
    excess = np.clip(x - best, 0, 50)
    gain, slope, n_gain = _saturated(np.expm1(excess), np.exp(log_R_N))
    n = x - excess + gain
    n_by_best = np.where(excess > 0, 1 - slope * np.exp(excess), 0.0)
    by_alpha, by_beta = (1 / alpha - best) / alpha, (unique - 1 / beta) / alpha
    log_loss, (size, length, floor) = sum_of_terms(np.stack([a - alpha * n, b - beta * d, np.full(len(x), e)]))
    moved = -size * alpha * n_by_best
    jacobian = [
        size + moved / alpha,
        length - moved / alpha,
        floor,
        -size * n + moved * by_alpha,
        -length * d + moved * by_beta,
        -length * beta * d_gain,
        -size * alpha * n_gain,
    ]
    return log_loss, np.stack(jacobian, axis=1)


def starts(points: Points, answer_N: FloatArray) -> list[FloatArray]:  # noqa: ARG001
    """36 corners and middles of what the terms and exponents may be, with nine pairs of R in turn."""
    terms, floors, exponents = (np.log(0.1), np.log(0.5)), (np.log(0.3), np.log(0.8)), (0.2, 0.5, 1.0)
    repeats = list(itertools.product(np.log([2, 10, 50]), np.log([1, 5, 25])))
    corners = itertools.product(terms, terms, floors, exponents, (0.3, 0.6))
    chosen = [corner for i, corner in enumerate(corners) if i % 4 != 3]
    return [np.array((*corner, *repeats[i % 9])) for i, corner in enumerate(chosen)]


def _saturated(extra_N: FloatArray, R: float) -> tuple[FloatArray, FloatArray, FloatArray]:
    """(ln(1 + worth_N), its slope by extra_N, its slope by ln R) of worth = R (1 - exp(-extra / R))."""
    worth_N, left_N = -R * np.expm1(-extra_N / R), np.exp(-extra_N / R)
    return np.log1p(worth_N), left_N / (1 + worth_N), (worth_N - extra_N * left_N) / (1 + worth_N)


def _beyond_teaching(fitted: Fitted) -> int:
    """How many runs of one epoch are larger than the best size for their text."""
    a, b, _, alpha, beta, _, _ = fitted.params
    N, D, epochs = (np.array(fitted.runs[v.name]) for v in FORM.variables)
    x, y = (np.log(values) - fitted.centre[name] for name, values in (("params", N), ("tokens", D)))
    best = (np.log(alpha / beta) + a - b + beta * y) / alpha
    return int(np.count_nonzero((epochs <= 1) & (x > best + 0.01)))


def _redrawn(law: DataConstrained, first: Fitted, second: Fitted) -> tuple[FloatArray, FloatArray]:
    """(draw_RP, noise_R): both stages again, the second beside each redrawn first."""
    n, (matrix, shift) = len(second.runs["loss"]), FORM.centring(second.centre)
    points = {v.name: entered(np.array(second.runs[v.name]), second.centre.get(v.name)) for v in FORM.variables}
    best_P, at = np.array(second.params), [FORM.index(name) for name in SECOND]
    predicted_N = value(best_P, points)[0]
    freedom = max(1, n - len(FORM.names))
    spread = float(np.sqrt(np.sum(second.residuals**2) / freedom))
    rng = np.random.default_rng([law.seed, 1])
    size_R = spread * np.sqrt(freedom / rng.chisquare(freedom, law.n_bootstrap))
    is_log = np.array([c.is_log for c in FORM.coefficients])
    free = [i for i in at if FORM.names[i] not in law.fix]
    draws = np.zeros((law.n_bootstrap, len(FORM.names)))
    for i, known_P in enumerate(FORM.natural(first.draws, first.centre)):
        draws[i] = matrix @ np.log(known_P, out=known_P.copy(), where=is_log) + shift
        draws[i, at] = best_P[at]
        answer_N = predicted_N + size_R[i] * rng.standard_normal(n)
        draws[i] = _second_stage(draws[i], free, points, answer_N, law.huber_delta)
    return draws, size_R * rng.standard_normal(law.n_bootstrap)


def _second_stage(
    params_P: FloatArray, free: list[int], points: Points, answer_N: FloatArray, delta: float
) -> FloatArray:
    """params_P with the free ones at the lowest objective, from where they are."""
    scale = delta**2 * len(answer_N)

    def objective(free_F: FloatArray) -> tuple[float, FloatArray]:
        now_P = params_P.copy()
        now_P[free] = free_F
        found_N, jacobian = value(now_P, points)
        lost, slope = huber(found_N - answer_N, delta)
        return float(lost.sum()) / scale, slope @ jacobian[:, free] / scale

    bounds = [(FORM.coefficients[i].low, FORM.coefficients[i].high) for i in free]
    found_P = params_P.copy()
    found_P[free] = minimise(objective, [params_P[free]], bounds).params_P
    return found_P


FORM = Form(
    variables=(PARAMS, TOKENS, EPOCHS),
    coefficients=(
        Coefficient("A", -12.0, 4.0, per={"params": "alpha", "loss": 1.0}),
        Coefficient("B", -12.0, 4.0, per={"tokens": "beta", "loss": 1.0}),
        Coefficient("E", -12.0, 1.0, per={"loss": 1.0}),
        Coefficient("alpha", 0.02, 4.0, is_log=False),
        Coefficient("beta", 0.02, 4.0, is_log=False),
        Coefficient("R_D", -2.0, 7.0),
        Coefficient("R_N", -2.0, 7.0),
    ),
    value=value,
    starts=starts,
)
