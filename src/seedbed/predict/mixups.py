"""A run with a column in another unit: it lies far off the others, and among them if multiplied by 1e3, 1e6 or 1e9."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from seedbed.core.errors import SeedbedError
from seedbed.predict.contract import FloatArray, IntArray, Variable

FAR, NEAR, LEAST, AWAY = 8.0, 3.0, 0.1, 10.0
"""Deviations off the others that are too far, and that are near; logarithm of the answer that is worth a word; how many
times beyond all others a column is away."""

FACTORS = (1e-9, 1e-6, 1e-3, 1e3, 1e6, 1e9)
MOST = 3_000
"""Longer tables are not looked through: they were not typed by hand, and it takes the square of their length."""


def odd_one(
    column: Mapping[str, FloatArray], row_K: IntArray, variables: Sequence[Variable], answer: Variable
) -> tuple[str, ...]:
    """A warning on a run that another unit would explain. Raises SeedbedError if its column is far from all others."""
    varying = [v for v in variables if v.kind == "size" and np.ptp(column[v.name]) > 0]
    others_too = [column[v.name] for v in variables if v.kind != "size" and np.ptp(column[v.name]) > 0]
    n = len(row_K)
    if answer.kind != "size" or not varying or not 3 + len(varying) + len(others_too) < n <= MOST:
        return ()
    values_KN = np.stack([*(np.log(column[v.name]) for v in varying), *others_too])
    centre_K, width_K = values_KN.mean(axis=1), values_KN.std(axis=1)
    answer_N, design_NP = np.log(column[answer.name]), _surface((values_KN.T - centre_K) / width_K)
    for at in _far(design_NP, answer_N):
        rest = np.arange(n) != at
        weights_P = np.linalg.lstsq(design_NP[rest], answer_N[rest], rcond=None)[0]
        near = NEAR * _spread(answer_N[rest] - design_NP[rest] @ weights_P)
        for k, variable in enumerate(varying):
            seen, seen_rest = float(column[variable.name][at]), column[variable.name][rest]
            for factor in FACTORS:
                moved_K = values_KN[:, at] + np.log(factor) * (np.arange(len(values_KN)) == k)
                there = _surface((moved_K - centre_K)[None] / width_K, n)[0] @ weights_P
                inside = seen_rest.min() / 2 <= seen * factor <= seen_rest.max() * 2
                if inside and abs(answer_N[at] - there) < near:
                    where = f"row {int(row_K[at]) + 1}, column {variable.name!r}"
                    what = f"{seen:.6g} makes the run lie far off the others; as {seen * factor:.6g} it would not"
                    if seen_rest.min() / AWAY < seen < seen_rest.max() * AWAY:
                        return (f"{where}: {what}: is it in another unit?",)
                    mend = "Give all rows in one unit, or leave the row out."
                    raise SeedbedError(f"runs, {where}", f"{what}, as where units are mixed", mend)
    return ()


def _surface(values_NK: FloatArray, n_runs: int | None = None) -> FloatArray:
    """A plane in so many variables; with squares and products where three runs a term are there."""
    n, k = values_NK.shape
    first, second = np.triu_indices(k)
    plane_NP = np.column_stack([np.ones(n), values_NK])
    curved_NP = np.column_stack([plane_NP, values_NK[:, first] * values_NK[:, second]])
    return curved_NP if (n_runs or n) >= 3 * curved_NP.shape[1] else plane_NP


def _far(design_NP: FloatArray, answer_N: FloatArray) -> list[int]:
    """The runs that lie FAR off the surface of the others, the farthest first."""
    left_NP, size_P, _ = np.linalg.svd(design_NP, full_matrices=False)
    basis_NP = left_NP[:, size_P > 1e-9 * size_P[0]]
    hat_NN = basis_NP @ basis_NP.T
    residual_N, free_N = answer_N - hat_NN @ answer_N, np.maximum(1 - np.diag(hat_NN), 1e-9)
    off_N = residual_N / free_N  # from the surface of the others
    spread_N = np.array([_spread(np.delete(residual_N + hat_NN[i] * off, i)) for i, off in enumerate(off_N)])
    far_N = np.abs(off_N) * free_N**0.5 / spread_N
    order = np.argsort(-far_N, kind="stable")
    return [int(i) for i in order if far_N[i] > FAR and abs(off_N[i]) > LEAST]


def _spread(residual_N: FloatArray) -> float:
    """A standard deviation that single runs do not move; not below a part in a million."""
    return max(1.4826 * float(np.median(np.abs(residual_N))), 1e-6)
