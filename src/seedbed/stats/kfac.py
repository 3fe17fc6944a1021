"""Curvature as a Kronecker product: the inverse of outputs (x) inputs + damping, times a layer's gradient.

A layer's weight W (O, I) gives y = W x. Where inputs x and the loss's gradients d by y are independent, the Fisher
matrix of vec(W) is E[d d^T] (x) E[x x^T] (K-FAC; Martens and Grosse 2015, arXiv 1503.05671, section 3). In the bases of
the two factors it is diagonal, so that damping can be added to the product itself (George et al. 2018, arXiv
1806.03884): for V of W's shape,

    (outputs (x) inputs + damping)^-1 V = P ((P^T V Q) / (p q^T + damping)) Q^T

with outputs = P diag(p) P^T and inputs = Q diag(q) Q^T. Without the damping, or with one for each factor, it would be
outputs^-1 V inputs^-1.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Kronecker:
    """outputs (x) inputs, in the bases where both are diagonal.

    Args:
        input_I, basis_II: eigenvalues (none below 0) and eigenvectors, in columns, of the inputs' factor.
        output_O, basis_OO: the same of the outputs' factor.
    """

    input_I: FloatArray
    basis_II: FloatArray
    output_O: FloatArray
    basis_OO: FloatArray

    @classmethod
    def of(cls, input_II: FloatArray, output_OO: FloatArray) -> Kronecker:
        """From two symmetric factors. Raises ValueError where they are not symmetric and finite."""
        return cls(*_eigen(input_II), *_eigen(output_OO))

    @property
    def mean(self) -> float:
        """The mean eigenvalue of the product: what damping is measured by."""
        return float(self.input_I.mean() * self.output_O.mean())

    def solve(self, vector_OI: FloatArray, damping: float) -> FloatArray:
        """(outputs (x) inputs + damping)^-1 applied to a matrix of the weight's shape.

        Raises ValueError for a damping of 0 where the product is singular.
        """
        value_OI = np.outer(self.output_O, self.input_I) + damping
        if not value_OI.min() > 0:
            raise ValueError(f"damping {damping} leaves an eigenvalue of {value_OI.min()}: give more than 0")
        turned_OI = self.basis_OO.T @ vector_OI @ self.basis_II
        return self.basis_OO @ (turned_OI / value_OI) @ self.basis_II.T


def _eigen(factor: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Eigenvalues of a mean of squares are not below 0, though rounding may say so."""
    if not np.all(np.isfinite(factor)) or not np.allclose(
        factor, factor.T, rtol=1e-5, atol=1e-8 * np.abs(factor).max()
    ):
        raise ValueError("a factor must be symmetric and finite")
    values, basis = np.linalg.eigh((factor + factor.T) / 2)
    return np.maximum(values, 0.0), basis
