"""Bands: reads once the documents whose score lies in a middle part of the pool's.

What      Orders the pool by score and keeps the band between two shares of its tokens: neither the best, which may be
          templates and repetition, nor the worst. Where it holds more tokens than the budget, a random part is read.
Source    Marion et al. 2023, "When Less is More", arXiv 2309.04564 (the middle of the perplexity distribution is the
          better half); Wenzek et al. 2020, CCNet, arXiv 1911.00359 (thirds: head, middle, tail).
Formula   a document covers [before, before + n_tokens) / SUM n_tokens in ascending order of score; copies = 1 where
          that meets (low, high), else 0
Shapes    score_N, n_tokens_N, key_N -> copies_N
Units     low and high are fractions of the pool's tokens, from the lowest score; copies in readings.
Fidelity  Adapted: shares of tokens, where the sources count documents. CCNet's head is low=2/3, high=1.
Errors    RecipeError for an empty band; SeedbedError for a score that is not finite. Ties are broken by (seed, id). A
          band that is smaller than the budget is read once, and the budget is not reached.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated

import numpy as np
from annotated_types import Ge, Le

from seedbed.core.errors import RecipeError
from seedbed.select.contract import FloatArray, Scored, Selector, take_until
from seedbed.stats.sampling import hashed, order_by


@dataclasses.dataclass(frozen=True)
class Bands(Selector):
    """Parameters.

    Args:
        low, high: where the band begins and ends.
    """

    low: Annotated[float, Ge(0), Le(1)] = 0.25
    high: Annotated[float, Ge(0), Le(1)] = 0.75

    def __post_init__(self) -> None:
        """Raises RecipeError for a band without width."""
        super().__post_init__()
        if self.low >= self.high:
            raise RecipeError(f"{self.name()}.low", f"{self.low} is not below high ({self.high})", "Give low < high.")

    def copies(self, scored: Scored, *, budget_tokens: int, seed: int) -> FloatArray:
        """One copy of a random part of the band, until the budget is reached."""
        tie_N = hashed(seed, scored.key_N)
        order = order_by(-scored.score_N, tie_N)
        end_N = np.cumsum(scored.n_tokens_N[order])
        total = float(end_N[-1]) if len(end_N) else 0.0
        start_N = end_N - scored.n_tokens_N[order]
        rows = order[(end_N > self.low * total) & (start_N < self.high * total)]
        return take_until(rows[np.argsort(tie_N[rows])], scored.n_tokens_N, budget_tokens)
