"""Repeat to budget: reads every document that qualifies equally often, as often as the token budget asks.

What      Documents above min_score share the budget: each gets the same number of copies, at most max_copies. Where
          they hold more tokens than the budget, a random part of them is read once.
Source    none; the ceiling arm of a comparison (url_pattern with true labels) reads the target domain alone. The
          default cap is the four epochs up to which repeating costs little: Muennighoff et al. 2023, arXiv 2305.16264.
Formula   copies = min(budget_tokens / SUM n_tokens, max_copies) over documents with score > min_score; else 0
Shapes    score_N, n_tokens_N, key_N -> copies_N
Units     budget_tokens in tokens; copies in readings, fractions allowed (a coin an epoch and id decides them).
Fidelity  Exact.
Errors    SeedbedError for a score that is not finite. Nothing above min_score selects nothing. Where max_copies binds,
          the sum stays below the budget.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated

import numpy as np
from annotated_types import Gt

from seedbed.select.contract import FloatArray, Scored, Selector, take_until
from seedbed.stats.sampling import hashed


@dataclasses.dataclass(frozen=True)
class RepeatToBudget(Selector):
    """Parameters.

    Args:
        min_score: only documents above it are read.
        max_copies: no document is read more often.
    """

    min_score: float = 0.0
    max_copies: Annotated[float, Gt(0)] = 4.0

    def copies(self, scored: Scored, *, budget_tokens: int, seed: int) -> FloatArray:
        """Equal copies of every document above min_score."""
        in_N = scored.score_N > self.min_score
        tokens = int(scored.n_tokens_N[in_N].sum())
        if tokens > budget_tokens:
            rows = np.flatnonzero(in_N)
            order = rows[np.argsort(hashed(seed, scored.key_N[rows]))].astype(np.int64)
            return take_until(order, scored.n_tokens_N, budget_tokens)
        each = min(budget_tokens / tokens, self.max_copies) if tokens and budget_tokens > 0 else 0.0
        return np.where(in_N, each, 0.0)
