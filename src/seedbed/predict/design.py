"""Designs: which small runs pin a forecast down for the least compute.

A design is a number of repeats for each candidate run. Its worth is the half-width of the forecast's interval at the
target by the delta method: with M the sum of j j' over its runs (j the derivative of ln answer by the coefficients) and
g that derivative at the target,

    half = t(n - F) * noise * sqrt(1 + huber * g' M^-1 g),

for n runs and F free coefficients; the 1 is the target's own noise, `huber` the price of a robust loss (Huber 1964,
Ann. Math. Stat. 35:73-101). This is c-optimal design (Elfving 1952, Ann. Math. Stat. 23:255-262) with a price a run
and whole repeats. It is searched by exchange: add a run, or put one in the place of another, while that narrows the
interval within the budget; budgets rise step by step, each beginning with the design of the one before.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import special as scipy_special

from seedbed.core.errors import SeedbedError
from seedbed.predict import form as forms
from seedbed.predict.contract import FloatArray, Plan
from seedbed.predict.form import Form, Held
from seedbed.predict.parametric import Parametric
from seedbed.stats.intervals import t_quantile

_special: Any = scipy_special

Counts: TypeAlias = npt.NDArray[np.int64]

FEWEST_RUNS = 6
WORTH = 1e-4
"""An exchange that narrows the interval by a smaller share ends the search."""

STEPS_PER_DECADE = 24
"""Of the budgets for which a design is sought."""


@dataclasses.dataclass(frozen=True)
class Prior:
    """A law with coefficients that are taken for true while runs are chosen.

    Args:
        form, hold, centre: of the law; `centre` is that of the target.
        params_P: the coefficients in fit coordinates.
        target: params and tokens.
        noise: of one run, relative.
        huber: variance of the robust fit over that of least squares.
        level: of the interval.
    """

    form: Form
    hold: Held
    centre: Mapping[str, float]
    params_P: FloatArray
    target: Plan
    noise: float
    huber: float
    level: float

    @classmethod
    def of(cls, law: Parametric, known: Mapping[str, float], target: Plan, noise: float) -> Prior:
        """Raises SeedbedError for a law that reads other columns, and for coefficients that are missing."""
        form = law.whole_form(("params", "tokens"))
        if {v.name for v in form.variables} != {"params", "tokens"} or form.residual != "log":
            what = "runs are planned for laws of params and tokens whose answer is positive"
            raise SeedbedError(law.name(), what, "Plan with chinchilla, and fit this law to the runs as well.")
        for variable in form.variables:
            at = target.get(variable.name, 0.0)
            if not (np.isfinite(at) and at > 0):
                raise SeedbedError("target", f"{variable.name} {at} must be a positive finite number")
        centre = {v.name: float(np.log(target[v.name])) for v in form.variables} | {form.answer: 0.0}
        matrix, shift = form.centring(centre)
        hold = forms.held(form, centre, law.fix, law.tie)
        params_P = matrix @ _natural(form, known) + shift
        return cls(form, hold, centre, params_P, dict(target), noise, huber_price(law.huber_delta / noise), law.level)

    def at(self, params_N: FloatArray, tokens_N: FloatArray) -> tuple[FloatArray, FloatArray]:
        """(ln answer_N, jacobian_NF by the free coefficients)."""
        points = {
            "params": np.log(params_N) - self.centre["params"],
            "tokens": np.log(tokens_N) - self.centre["tokens"],
        }
        value, jacobian = self.form.value(self.params_P, points)
        return value, jacobian @ self.hold.spread_PF

    @property
    def target_F(self) -> FloatArray:
        """The derivative at the target."""
        return self.at(np.array([self.target["params"]]), np.array([self.target["tokens"]]))[1][0]

    def half_width(self, params_N: FloatArray, tokens_N: FloatArray) -> float:
        """Of the forecast at the target from these runs, relative; infinite where they do not identify it."""
        jacobian = self.at(params_N, tokens_N)[1]
        if np.linalg.matrix_rank(jacobian) < jacobian.shape[1]:
            return float("inf")
        reach = np.linalg.lstsq(jacobian.T, self.target_F, rcond=None)[0]  # g' (J'J)^-1 g is its squared length
        return float(self.half_of(np.array([reach @ reach]), len(params_N))[0])

    def half_of(self, variance_C: FloatArray, n: int) -> FloatArray:
        """half_C from g' M^-1 g and the number of runs."""
        freedom = n - len(self.hold.free)
        if freedom < 1:
            return np.full(len(variance_C), np.inf)
        t = t_quantile((1 + self.level) / 2, freedom)
        sound = np.where(variance_C >= 0, variance_C, np.inf)
        return t * self.noise * np.sqrt(1 + self.huber * sound)


def huber_price(bound: float) -> float:
    """Variance of Huber's estimate of a mean over that of least squares, for normal noise and delta = bound * noise."""
    if bound > 10:
        return 1.0
    inside = float(2 * _special.ndtr(bound) - 1)
    density = float(np.exp(-(bound**2) / 2) / np.sqrt(2 * np.pi))
    return (inside - 2 * bound * density + bound**2 * (1 - inside)) / inside**2


def _natural(form: Form, known: Mapping[str, float]) -> FloatArray:
    found: list[float] = []
    for coefficient in form.coefficients:
        number = known.get(coefficient.name, float("nan"))
        if not np.isfinite(number) or (coefficient.is_log and number <= 0):
            what = f"coefficient {coefficient.name} is not known ({number})"
            raise SeedbedError("known", what, "Give a number for each of " + ", ".join(form.names) + ".")
        found.append(float(np.log(number)) if coefficient.is_log else float(number))
    return np.array(found, np.float64)


@dataclasses.dataclass(frozen=True)
class Candidates:
    """Runs that may be made.

    Args:
        prior: what they are judged by.
        params_C, tokens_C, flops_C: of each.
        jacobian_CF: derivative of ln answer.
        max_runs, max_repeats: of a design.
    """

    prior: Prior
    params_C: FloatArray
    tokens_C: FloatArray
    flops_C: FloatArray
    jacobian_CF: FloatArray
    max_runs: int
    max_repeats: int

    def path(self) -> list[Counts]:
        """Designs of rising cost and falling half-width, from the cheapest that the rules allow."""
        counts = self._cheapest()
        found, lowest = list[Counts](), np.inf
        budget = self.flops(counts) * (1 + 1e-9)
        most = float(self.flops_C.max()) * self.max_runs
        while True:
            counts = self._improved(counts, budget)
            half = self.half_width(counts)
            if half < lowest * (1 - WORTH):
                found.append(counts)
                lowest = half
            if budget > most:
                return found
            budget *= 10 ** (1 / STEPS_PER_DECADE)

    def flops(self, counts: Counts) -> float:
        """Of all its runs."""
        return float(counts @ self.flops_C)

    def half_width(self, counts: Counts) -> float:
        """Of the forecast from this design, relative."""
        return self.prior.half_width(np.repeat(self.params_C, counts), np.repeat(self.tokens_C, counts))

    def _least(self) -> int:
        return max(FEWEST_RUNS, len(self.prior.hold.free) + 2)

    def _cheapest(self) -> Counts:
        """The largest size, the greatest length, the smallest run, and what makes the coefficients identifiable."""
        counts = np.zeros(len(self.flops_C), np.int64)
        for ends in (self.params_C == self.params_C.max(), self.tokens_C == self.tokens_C.max(), self.flops_C > 0):
            counts[np.argmin(np.where(ends, self.flops_C, np.inf))] += 1
        dearest = self.flops_C <= self.flops_C[counts > 0].max()
        information = self._information(counts) + 1e-6 * np.eye(self.jacobian_CF.shape[1])
        while counts.sum() < self._least():
            gain_C = np.einsum("cf,fg,cg->c", self.jacobian_CF, np.linalg.inv(information), self.jacobian_CF)
            best = int(np.argmax(np.where(dearest & (counts < self.max_repeats), gain_C, -np.inf)))
            counts[best] += 1
            information += np.outer(self.jacobian_CF[best], self.jacobian_CF[best])
        return counts

    def _information(self, counts: Counts) -> FloatArray:
        return (self.jacobian_CF * counts[:, None]).T @ self.jacobian_CF

    def _improved(self, counts: Counts, budget: float) -> Counts:
        """Runs added and exchanged while that is worth it."""
        counts, half = counts.copy(), self.half_width(counts)
        while True:
            taken, added, best = self._exchange(counts, budget)
            if not best < half * (1 - WORTH):
                return counts
            counts[added] += 1
            if taken >= 0:
                counts[taken] -= 1
            half = best

    def _exchange(self, counts: Counts, budget: float) -> tuple[int, int, float]:
        """(run to take out or -1 for none, run to put in, half-width) of the best single step."""
        information, spent, n = self._information(counts), self.flops(counts), int(counts.sum())
        free_C = counts < self.max_repeats
        steps = [(-1, n + 1)] if n < self.max_runs else []
        steps += [(int(at), n) for at in np.flatnonzero(counts)]
        best = (-1, 0, np.inf)
        for taken, n_then in steps:
            left = (
                information - np.outer(self.jacobian_CF[taken], self.jacobian_CF[taken]) if taken >= 0 else information
            )
            refund = self.flops_C[taken] if taken >= 0 else 0.0
            allowed = free_C & (spent - refund + self.flops_C <= budget)
            allowed &= self._spans(counts, taken)
            if not allowed.any() or np.linalg.cond(left) > 1e14:
                continue
            half_C = self.prior.half_of(self._with_one_more(left), n_then)
            half_C = np.where(allowed, half_C, np.inf)
            added = int(np.argmin(half_C))
            if half_C[added] < best[2]:
                best = (taken, added, float(half_C[added]))
        return best

    def _with_one_more(self, information: FloatArray) -> FloatArray:
        """g' (M + j j')^-1 g for each candidate j (Sherman and Morrison)."""
        inverse = np.linalg.inv(information)
        g = self.prior.target_F
        along_C = self.jacobian_CF @ (inverse @ g)
        own_C = np.einsum("cf,fg,cg->c", self.jacobian_CF, inverse, self.jacobian_CF)
        return g @ inverse @ g - along_C**2 / (1 + own_C)

    def _spans(self, counts: Counts, taken: int) -> npt.NDArray[np.bool_]:
        """Candidates with which the design still reaches the ends, over a decade where there is one."""
        kept = counts.copy()
        if taken >= 0:
            kept[taken] -= 1
        held = kept > 0
        spans = np.ones(len(counts), np.bool_)
        for size_C in (self.params_C, self.tokens_C):
            foot = max(float(size_C.max()) / 10, float(size_C.min())) * (1 + 1e-2)
            spans &= (size_C == size_C.max()) | bool((size_C[held] == size_C.max()).any())
            spans &= (size_C <= foot) | bool((size_C[held] <= foot).any())
        return spans


def candidates(
    prior: Prior, sizes: Sequence[float], widest_ratio: float, flops_per_product: float, max_runs: int, max_repeats: int
) -> Candidates:
    """Runs of `sizes` (shares of the target's) by lengths (the same), not all too far from the target's proportions."""
    size, length = (grid.ravel() for grid in np.meshgrid(np.array(sizes), np.array(sizes)))
    near = np.abs(np.log(size / length)) <= np.log(widest_ratio) + 1e-9
    params_C, tokens_C = rounded(size[near] * prior.target["params"]), rounded(length[near] * prior.target["tokens"])
    flops_C = flops_per_product * params_C * tokens_C
    return Candidates(prior, params_C, tokens_C, flops_C, prior.at(params_C, tokens_C)[1], max_runs, max_repeats)


def rounded(values_N: FloatArray) -> FloatArray:
    """Up to three digits, so that what is printed reaches as far as what was planned."""
    unit = 10.0 ** (np.floor(np.log10(values_N)) - 2)
    return np.ceil(values_N / unit - 1e-6) * unit
