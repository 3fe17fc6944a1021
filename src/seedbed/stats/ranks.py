"""How far two orders of the same things agree."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats as scipy_stats

FloatArray = npt.NDArray[np.float64]

_stats: Any = scipy_stats


def spearman(a_N: FloatArray, b_N: FloatArray) -> float:
    """Spearman's rank correlation; ties share their mean rank. 0 where a side is all ties or has no two entries."""
    if len(a_N) != len(b_N):
        raise ValueError(f"{len(a_N)} and {len(b_N)} entries")
    ranks = [np.asarray(_stats.rankdata(side), np.float64) for side in (a_N, b_N)]
    centred = [rank - rank.mean() if len(rank) else rank for rank in ranks]
    scale = float(np.sqrt((centred[0] ** 2).sum() * (centred[1] ** 2).sum()))
    return float(centred[0] @ centred[1]) / scale if scale > 0 else 0.0
