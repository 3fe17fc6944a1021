"""Capped epochs: reads the best documents several times, until the budget is reached.

What      Few good documents often, rather than many once: the best first, each max_copies times.
Source    Muennighoff et al. 2023, arXiv 2305.16264: up to four epochs of repeated data cost little against fresh data,
          beyond about sixteen nothing is gained. The better documents more often: Fang et al. 2025, arXiv 2503.07879.
Formula   best first: copies = min(max_copies, ceil((budget_tokens - tokens read before) / n_tokens)), never below 0
Shapes    score_N, n_tokens_N, key_N -> copies_N
Units     budget_tokens in tokens; copies in readings, fractions allowed (a coin an epoch and id decides them).
Fidelity  Exact for the cap; which documents are repeated is the score's.
Errors    SeedbedError for a score that is not finite. Ties are broken by (seed, id). A budget of 0 selects nothing; one
          beyond max_copies times the pool is not reached. A document without tokens is read once where its turn comes.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated

import numpy as np
from annotated_types import Ge

from seedbed.select.contract import FloatArray, Scored, Selector
from seedbed.stats.sampling import hashed, order_by


@dataclasses.dataclass(frozen=True)
class CappedEpochs(Selector):
    """Parameters.

    Args:
        max_copies: how often the best documents are read.
    """

    max_copies: Annotated[float, Ge(1)] = 4.0

    def copies(self, scored: Scored, *, budget_tokens: int, seed: int) -> FloatArray:
        """max_copies of each document until the budget is reached; fewer of the last."""
        order = order_by(scored.score_N, hashed(seed, scored.key_N))
        n_tokens = scored.n_tokens_N[order]
        left = budget_tokens - self.max_copies * (np.cumsum(n_tokens) - n_tokens)
        enough = np.ceil(left / np.maximum(n_tokens, 1))
        copies_N = np.zeros(len(order))
        copies_N[order] = np.clip(np.where(n_tokens > 0, enough, np.minimum(enough, 1)), 0, self.max_copies)
        return copies_N
