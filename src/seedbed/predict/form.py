"""A law's form: which columns it reads, its coefficients, and its value with the derivative by each of them.

Coefficients live in fit coordinates: relative to the runs' geometric means, so that no unit matters and the search is
well conditioned. A coefficient's natural coordinate (its logarithm, or itself) is an affine function of them, which is
what lets coefficients be held at a published value or tied to each other in any law.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, TypeAlias

import numpy as np

from seedbed.core.errors import SeedbedError, did_you_mean
from seedbed.predict.contract import FloatArray, Variable

Points: TypeAlias = Mapping[str, FloatArray]
"""Column -> numbers as they enter the form: ln(size / geometric mean of the runs), shares and numbers as they are."""

Value: TypeAlias = Callable[[FloatArray, Points], tuple[FloatArray, FloatArray]]
"""(params_P, points) -> (value_N, jacobian_NP): of ln(answer / geometric mean), or of the answer if `linear`."""


@dataclasses.dataclass(frozen=True)
class Coefficient:
    """One number of a law.

    Args:
        name: as published fits print it.
        low, high: bounds of the search, in fit coordinates.
        is_log: whether the natural coordinate is its logarithm.
        per: column -> how many times its mean logarithm is taken off the natural coordinate; the name of another
            coefficient (one that is no logarithm) stands for that coefficient's value. A in A / N^alpha, of a loss
            that is itself relative to its mean, has {"params": "alpha", "loss": 1}.
    """

    name: str
    low: float
    high: float
    is_log: bool = True
    per: Mapping[str, str | float] = dataclasses.field(default_factory=dict[str, "str | float"])


@dataclasses.dataclass(frozen=True)
class Form:
    """What a law is made of.

    Args:
        variables: columns that it reads.
        coefficients: in the order of params_P.
        value: the form itself.
        starts: (points, answer_N) -> params_P of each descent.
        answer: the column that it foretells.
        residual: "log" compares logarithms (answers are positive), "linear" the answers.
        pointwise: whether `value` also takes params_PN, a column a point: the refits of a bootstrap are then one call.
    """

    variables: tuple[Variable, ...]
    coefficients: tuple[Coefficient, ...]
    value: Value
    starts: Callable[[Points, FloatArray], Sequence[FloatArray]]
    answer: str = "loss"
    residual: Literal["log", "linear"] = "log"
    pointwise: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """Of the coefficients."""
        return tuple(each.name for each in self.coefficients)

    def index(self, name: str) -> int:
        """Where a coefficient stands. Raises SeedbedError for a name that is none."""
        if name not in self.names:
            known = ", ".join(self.names)
            raise SeedbedError("law", f"there is no coefficient {name!r}; there are {known}", self._nearest(name))
        return self.names.index(name)

    def many(self, params_RP: FloatArray, points_RN: Points) -> tuple[FloatArray, FloatArray]:
        """(value_RN, jacobian_RNP) of R sets of coefficients, each at N points of its own."""
        n_sets, n_points = next(iter(points_RN.values())).shape
        if self.pointwise:
            flat = {name: values.ravel() for name, values in points_RN.items()}
            value, jacobian = self.value(np.repeat(params_RP.T, n_points, axis=1), flat)
            return value.reshape(n_sets, n_points), jacobian.reshape(n_sets, n_points, -1)
        each = [
            self.value(params_P, {name: values[i] for name, values in points_RN.items()})
            for i, params_P in enumerate(params_RP)
        ]
        return np.stack([value for value, _ in each]), np.stack([jacobian for _, jacobian in each])

    def _nearest(self, name: str) -> str:
        return did_you_mean(name, self.names)

    def centring(self, centre: Mapping[str, float]) -> tuple[FloatArray, FloatArray]:
        """(matrix_PP, shift_P): fit coordinates = matrix @ natural coordinates + shift."""
        matrix, shift = np.eye(len(self.names)), np.zeros(len(self.names))
        for i, coefficient in enumerate(self.coefficients):
            for column, times in coefficient.per.items():
                if isinstance(times, str):
                    matrix[i, self.index(times)] -= centre[column]
                else:
                    shift[i] -= times * centre[column]
        return matrix, shift

    def natural(self, params_RP: FloatArray, centre: Mapping[str, float]) -> FloatArray:
        """The coefficients themselves, from fit coordinates; same shape."""
        matrix, shift = self.centring(centre)
        natural_RP = np.linalg.solve(matrix, (params_RP - shift).T).T
        is_log = np.array([coefficient.is_log for coefficient in self.coefficients])
        return np.where(is_log, np.exp(np.clip(natural_RP, -700, 700)), natural_RP)


def sum_of_terms(log_terms_TN: FloatArray) -> tuple[FloatArray, FloatArray]:
    """(ln of the sum, share_TN of each term in it): what the laws that add up terms are made of."""
    top = log_terms_TN.max(axis=0)
    share_TN = np.exp(log_terms_TN - top)
    total = share_TN.sum(axis=0)
    return top + np.log(total), share_TN / total


def with_offset(form: Form) -> Form:
    """The form plus a constant above 0, in the answer's unit."""
    if form.residual != "log":
        raise SeedbedError("offset", "only a law that is fitted by logarithms takes one", "It has a constant already.")

    def value(params_P: FloatArray, points: Points) -> tuple[FloatArray, FloatArray]:
        inner, jacobian = form.value(params_P[:-1], points)
        total, (share_N, floor_N) = sum_of_terms(np.stack([inner, np.full(len(inner), params_P[-1])]))
        return total, np.column_stack([jacobian * share_N[:, None], floor_N])

    def starts(points: Points, answer_N: FloatArray) -> list[FloatArray]:
        return [np.append(s, floor) for s in form.starts(points, answer_N) for floor in np.log([0.1, 0.5])]

    constant = Coefficient("offset", -12.0, 1.0, per={form.answer: 1.0})
    return dataclasses.replace(form, coefficients=(*form.coefficients, constant), value=value, starts=starts)


@dataclasses.dataclass(frozen=True)
class Held:
    """Coefficients that are not free: params_P = spread_PF @ free_F + rest_P."""

    free: tuple[int, ...]
    spread_PF: FloatArray
    rest_P: FloatArray

    def full(self, free_F: FloatArray) -> FloatArray:
        """params_P; of rows of free_RF, rows of params_RP."""
        return free_F @ self.spread_PF.T + self.rest_P


def held(form: Form, centre: Mapping[str, float], fix: Mapping[str, float], tie: Sequence[tuple[str, str]]) -> Held:
    """Coefficients at given values, or equal to each other, taken out of the search."""
    n, rows, right, dependent = len(form.names), list[FloatArray](), list[float](), list[int]()
    for name, number in fix.items():
        at = form.index(name)
        if not np.isfinite(number):
            raise SeedbedError(f"fix {name}", f"{number} is no finite number", "Give one.")
        if form.coefficients[at].is_log and not number > 0:
            raise SeedbedError(f"fix {name}", f"{number} is not above 0", "Give a positive number.")
        rows.append(np.eye(n)[at])
        right.append(float(np.log(number)) if form.coefficients[at].is_log else float(number))
        dependent.append(at)
    for first, second in tie:
        one, other = form.index(first), form.index(second)
        if other in dependent:
            one, other = other, one
        if one == other or other in dependent or form.coefficients[one].is_log != form.coefficients[other].is_log:
            what = f"{first} and {second} cannot be tied"
            raise SeedbedError(f"tie {first}={second}", what, "Tie two of a kind that are not held already.")
        rows.append(np.eye(n)[one] - np.eye(n)[other])
        right.append(0.0)
        dependent.append(other)
    free = tuple(i for i in range(n) if i not in dependent)
    if not free:
        raise SeedbedError("fix", "no coefficient is left to fit", "Hold fewer.")
    spread, rest = np.eye(n)[:, list(free)], np.zeros(n)
    if dependent:
        matrix, shift = form.centring(centre)
        known_MP = np.stack(rows) @ np.linalg.inv(matrix)
        solve_MM = known_MP[:, dependent]
        if np.linalg.matrix_rank(solve_MM) < len(dependent):
            raise SeedbedError("tie", "the ties go in a circle and cannot be tied", "Leave one out.")
        rest[dependent] = np.linalg.solve(solve_MM, np.array(right) + known_MP @ shift)
        spread[dependent] = -np.linalg.solve(solve_MM, known_MP[:, list(free)])
    return Held(free, spread, rest)
