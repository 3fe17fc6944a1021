"""Equivalence: are two things as good as each other, up to a margin that was stated beforehand?

Two one-sided t tests on paired differences (Schuirmann 1987, J. Pharmacokinet. Biopharm. 15:657-680): that the mean
difference is not below the margin, and that it is not above it. Both must be rejected; which is so where the interval
of level 1 - 2 alpha lies inside the margin. A difference that is not significant is no equivalence.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import special as scipy_special

FloatArray = npt.NDArray[np.float64]
_special: Any = scipy_special

Conclusion: TypeAlias = Literal["equivalent", "lower", "higher", "undecided"]


@dataclasses.dataclass(frozen=True)
class Equivalence:
    """What the tests say of the mean of first - second.

    Args:
        value: the mean difference.
        low, high: its interval of level 1 - 2 alpha.
        margin: differences below it do not matter.
        p_equivalent: the larger p-value of the two one-sided tests; 1 for a single pair.
        p_different: the p-value of the two-sided test of no difference; 1 for a single pair.
        conclusion: "equivalent" where p_equivalent <= alpha; else "lower" or "higher" (the first, than the second)
            where p_different <= alpha; else "undecided".
        n: pairs.
    """

    value: float
    low: float
    high: float
    margin: float
    p_equivalent: float
    p_different: float
    conclusion: Conclusion
    n: int


def equivalence(first: FloatArray, second: FloatArray, margin: float, alpha: float = 0.05) -> Equivalence:
    """Two one-sided tests on pairs. Raises ValueError for no pairs, lists of two lengths, and a margin of 0 or less."""
    if len(first) != len(second) or not len(first):
        raise ValueError("pairs need two lists of one length, with at least one number")
    if not margin > 0 or not 0 < alpha < 0.5:
        raise ValueError("the margin must be above 0 and alpha between 0 and 0.5")
    difference = first - second
    if not np.all(np.isfinite(difference)):
        raise ValueError("pairs need finite numbers")
    n, value = len(difference), float(np.mean(difference))
    if n == 1:
        return Equivalence(value, -np.inf, np.inf, margin, 1.0, 1.0, "undecided", 1)
    error = float(np.std(difference, ddof=1)) / n**0.5
    half = float(_special.stdtrit(n - 1, 1 - alpha)) * error
    p_equivalent = max(_above(margin + value, error, n - 1), _above(margin - value, error, n - 1))
    p_different = min(1.0, 2 * _above(abs(value), error, n - 1))
    conclusion = _concluded(value, p_equivalent <= alpha, p_different <= alpha)
    return Equivalence(value, value - half, value + half, margin, p_equivalent, p_different, conclusion, n)


def _above(distance: float, error: float, freedom: int) -> float:
    """P(T >= distance / error); without spread all or nothing, and a half for a distance of 0."""
    if error == 0:
        return 0.5 if distance == 0 else float(distance < 0)
    return float(_special.stdtr(freedom, -distance / error))


def _concluded(value: float, is_equivalent: bool, is_different: bool) -> Conclusion:
    if is_equivalent:
        return "equivalent"
    if not is_different:
        return "undecided"
    return "lower" if value < 0 else "higher"
