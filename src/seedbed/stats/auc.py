"""The area under the ROC curve, from ranks."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import stats as scipy_stats

FloatArray = npt.NDArray[np.float64]


def rank_auc(score_N: FloatArray, positive_N: npt.NDArray[np.bool_]) -> float:
    """How often a positive scores above a negative, ties counting one half. Raises ValueError without both kinds."""
    positives = int(np.count_nonzero(positive_N))
    negatives = len(positive_N) - positives
    if positives == 0 or negatives == 0:
        raise ValueError("an AUC needs positives and negatives")
    ranks = np.asarray(scipy_stats.rankdata(score_N), np.float64)  # pyright: ignore[reportUnknownMemberType]
    wins = float(ranks[positive_N].sum()) - positives * (positives + 1) / 2
    return wins / (positives * negatives)
