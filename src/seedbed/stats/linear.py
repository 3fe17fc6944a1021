"""Linear models over sparse rows: logistic regression with soft labels, ridge regression, Bradley-Terry on pairs.

All three are convex with one optimum, found by a deterministic descent from zero: no seed, no order of rows, no rate.
Penalties weigh against means over rows, so that they keep their meaning when rows are added; intercepts are free.
No product here goes through BLAS, whose sums depend on the number of threads in their last digits.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from scipy import sparse as scipy_sparse
from scipy import special as scipy_special

FloatArray = npt.NDArray[np.float64]
Rows = npt.NDArray[np.integer[Any]]
Objective = Callable[[FloatArray], tuple[float, FloatArray]]
"""params_P -> (value, gradient_P)."""

_sparse: Any = scipy_sparse
_special: Any = scipy_special
_MEMORY = 10
"""Moves that L-BFGS remembers."""
_FLAT, _NO_GAIN, _SHORTEST = 1e-9, 1e-13, 1e-9
"""Where descents stop: the largest slope, the relative gain of a step, the length of a step."""


class SparseRows(Protocol):
    """A sparse matrix by rows, as `text.features.Csr` is."""

    @property
    def indptr_N1(self) -> npt.NDArray[np.int64]:
        """Bounds of the rows."""
        ...

    @property
    def index(self) -> npt.NDArray[np.int32]:
        """Columns of the values."""
        ...

    @property
    def value(self) -> npt.NDArray[np.float32]:
        """What stands there."""
        ...

    @property
    def buckets(self) -> int:
        """How many columns there are."""
        ...


@dataclasses.dataclass(frozen=True)
class LinearModel:
    """prediction = x @ weight + intercept.

    Args:
        weight: of each column, shape (buckets,); (buckets, outputs) where there are several.
        intercept: shape (), or (outputs,).
    """

    weight: FloatArray
    intercept: FloatArray

    def predict(self, x: SparseRows) -> FloatArray:
        """Shape (rows,), or (rows, outputs): log-odds of a logistic model, the value of a ridge, a rating of pairs."""
        return np.asarray(_matrix(x) @ self.weight + self.intercept, np.float64)


def fit_logistic(
    x: SparseRows,
    label_N: FloatArray,
    *,
    weight_N: FloatArray | None = None,
    l2: float = 1e-4,
    max_iterations: int = 200,
) -> LinearModel:
    """Least weighted mean of -label * ln p - (1 - label) * ln(1 - p), plus l2 / 2 * |weight|^2; p = sigmoid(x w + b).

    Labels are probabilities in [0, 1]. Raises ValueError for others, for no row, and for weights that are all 0.
    """
    matrix = _matrix(x)
    share_N = _shares(matrix.shape[0], weight_N)
    _check_probabilities(label_N, len(share_N))
    return _fit(matrix, label_N, share_N, l2, max_iterations, intercept=True)


def fit_bradley_terry(
    x: SparseRows,
    first_P: Rows,
    second_P: Rows,
    probability_P: FloatArray,
    *,
    weight_P: FloatArray | None = None,
    l2: float = 1e-4,
    max_iterations: int = 200,
) -> LinearModel:
    """Ratings s = x w with P(row first_P is better than row second_P) = sigmoid(s_first - s_second).

    `probability_P` is soft: the share of votes for the first. Ratings have no zero point, so there is no intercept.
    Raises ValueError as `fit_logistic` does.
    """
    matrix = _matrix(x)
    share_P = _shares(len(first_P), weight_P)
    _check_probabilities(probability_P, len(share_P))
    return _fit(matrix[first_P] - matrix[second_P], probability_P, share_P, l2, max_iterations, intercept=False)


def fit_ridge(
    x: SparseRows,
    target_NK: FloatArray,
    *,
    weight_N: FloatArray | None = None,
    l2: float = 1e-4,
    max_iterations: int = 1000,
) -> LinearModel:
    """Least weighted mean of (x w + b - target)^2, plus l2 * |w|^2, for each of K outputs alone.

    A target of shape (N,) gives a model of one output. Raises ValueError for targets that are not finite.
    """
    matrix = _matrix(x)
    share_N = _shares(matrix.shape[0], weight_N)
    if len(target_NK) != len(share_N) or not np.all(np.isfinite(target_NK)):
        raise ValueError(f"{len(target_NK)} targets for {len(share_N)} rows; each must be finite")
    used_B, matrix = _squeezed(matrix)
    target = target_NK.reshape(len(target_NK), -1).astype(np.float64)
    mean_B = np.asarray(matrix.T @ share_N, np.float64)
    middle_K = np.sum(share_N[:, None] * target, axis=0)

    def centred(weight_BK: FloatArray) -> FloatArray:
        return np.asarray(matrix @ weight_BK - np.sum(mean_B[:, None] * weight_BK, axis=0), np.float64)

    def turned(error_NK: FloatArray) -> FloatArray:
        scaled_NK = share_N[:, None] * error_NK
        return np.asarray(matrix.T @ scaled_NK - mean_B[:, None] * np.sum(scaled_NK, axis=0), np.float64)

    weight_BK = np.zeros((len(used_B), target.shape[1]))
    weight_BK[used_B] = _conjugate(lambda w: turned(centred(w)) + l2 * w, turned(target - middle_K), max_iterations)
    intercept_K = middle_K - np.sum(mean_B[:, None] * weight_BK[used_B], axis=0)
    if target_NK.ndim == 1:
        return LinearModel(weight_BK[:, 0], intercept_K[0])
    return LinearModel(weight_BK, intercept_K)


def _matrix(x: SparseRows) -> Any:
    shape = (len(x.indptr_N1) - 1, x.buckets)
    return _sparse.csr_matrix((x.value.astype(np.float64), x.index, x.indptr_N1), shape=shape)


def _squeezed(matrix: Any) -> tuple[npt.NDArray[np.bool_], Any]:
    """(which columns hold anything, the matrix of those alone): all others keep the weight 0 they start from."""
    used_B = np.zeros(matrix.shape[1], np.bool_)
    used_B[matrix.indices] = True
    place_B = np.cumsum(used_B, dtype=np.int32) - 1
    shape = (matrix.shape[0], int(used_B.sum()))
    return used_B, _sparse.csr_matrix((matrix.data, place_B[matrix.indices], matrix.indptr), shape=shape)


def _shares(n: int, weight_N: FloatArray | None) -> FloatArray:
    weight = np.ones(n) if weight_N is None else weight_N
    if n == 0 or len(weight) != n or not np.all(np.isfinite(weight)) or (weight < 0).any() or weight.sum() <= 0:
        raise ValueError(f"{len(weight)} weights for {n} rows; they must be finite, none below 0, and not all 0")
    return weight / weight.sum()


def _check_probabilities(label_N: FloatArray, n: int) -> None:
    if len(label_N) != n or not np.all((label_N >= 0) & (label_N <= 1)):
        raise ValueError(f"{len(label_N)} labels for {n} rows; each must be in [0, 1]")


def _fit(
    matrix: Any, label_N: FloatArray, share_N: FloatArray, l2: float, max_iterations: int, *, intercept: bool
) -> LinearModel:
    free = 1.0 if intercept else 0.0
    used_B, matrix = _squeezed(matrix)

    def objective(params: FloatArray) -> tuple[float, FloatArray]:
        weight_B = params[:-1]
        odds_N = matrix @ weight_B + free * params[-1]
        # ln(1 + e^z) - label * z, in the form that does not overflow
        loss_N = np.logaddexp(0.0, odds_N) - label_N * odds_N
        error_N = share_N * (_special.expit(odds_N) - label_N)
        gradient = np.append(matrix.T @ error_N + l2 * weight_B, free * error_N.sum())
        return _dot(share_N, loss_N) + l2 / 2 * _dot(weight_B, weight_B), gradient

    params = _descend(objective, np.zeros(int(matrix.shape[1]) + 1), max_iterations)
    weight = np.zeros(len(used_B))
    weight[used_B] = params[:-1]
    return LinearModel(weight, params[-1].reshape(()))


def _descend(objective: Objective, params: FloatArray, max_iterations: int) -> FloatArray:
    """L-BFGS (Nocedal and Wright 2006, algorithm 7.5) with halved steps, until the gradient or the gain is nothing."""
    value, gradient = objective(params)
    pairs: list[tuple[FloatArray, FloatArray, float]] = []
    for _ in range(max_iterations):
        if np.max(np.abs(gradient)) <= _FLAT:
            break
        direction = -_newton(pairs, gradient)
        slope, step = _dot(direction, gradient), 1.0
        further, steeper = objective(params + direction)
        while further > value + 1e-4 * step * slope and step > _SHORTEST:
            step /= 2
            further, steeper = objective(params + step * direction)
        if further >= value:
            break  # what is left to gain is below rounding
        move, bend = step * direction, steeper - gradient
        pairs = [*pairs[1 - _MEMORY :], (move, bend, _dot(move, bend))] if _dot(move, bend) > 0 else pairs
        small = value - further <= _NO_GAIN * max(abs(value), 1e-3)
        params, value, gradient = params + move, further, steeper
        if small:
            break
    return params


def _newton(pairs: list[tuple[FloatArray, FloatArray, float]], gradient: FloatArray) -> FloatArray:
    """The gradient times the inverse curvature that the last moves have shown (algorithm 7.4)."""
    if not pairs:
        return gradient / max(1.0, _dot(gradient, gradient) ** 0.5)
    found, parts = gradient.copy(), list[float]()
    for move, bend, product in reversed(pairs):
        parts.append(_dot(move, found) / product)
        found -= parts[-1] * bend
    _, bend, product = pairs[-1]
    found *= product / _dot(bend, bend)
    for (move, bend, product), part in zip(pairs, reversed(parts), strict=True):
        found += (part - _dot(bend, found) / product) * move
    return found


def _conjugate(times: Callable[[FloatArray], FloatArray], right_BK: FloatArray, max_iterations: int) -> FloatArray:
    """Solves times(w) = right for each column alone by conjugate gradients; `times` is symmetric, and positive."""
    found_BK, left_BK = np.zeros_like(right_BK), right_BK.copy()
    direction_BK, square_K = left_BK.copy(), np.sum(left_BK**2, axis=0)
    enough_K = square_K * _NO_GAIN**2
    for _ in range(max_iterations):
        active_K = square_K > enough_K
        if not active_K.any():
            break
        image_BK = times(direction_BK)
        bend_K = np.sum(direction_BK * image_BK, axis=0)
        step_K = np.where(active_K, square_K / np.where(bend_K > 0, bend_K, 1.0), 0.0)
        found_BK += step_K * direction_BK
        left_BK -= step_K * image_BK
        before_K, square_K = square_K, np.sum(left_BK**2, axis=0)
        direction_BK = (
            left_BK + np.where(active_K, square_K / np.where(before_K > 0, before_K, 1.0), 0.0) * direction_BK
        )
    return found_BK


def _dot(first: FloatArray, second: FloatArray) -> float:
    return float(np.sum(first * second))
