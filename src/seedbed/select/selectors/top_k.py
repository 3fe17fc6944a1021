"""Top-k: reads the best documents once each, until the token budget is reached.

What      Takes documents in order of score; the last one passes the budget by less than its own length.
Source    none; the plain rule behind most selection methods.
Formula   copies = 1 for the shortest prefix of documents, best first, whose n_tokens sum to the budget; else 0
Shapes    score_N, n_tokens_N, key_N -> copies_N
Units     budget_tokens in tokens; copies in readings.
Fidelity  Exact: the budget counts tokens, where several released codes count sequences of one length.
Errors    SeedbedError for a score that is not finite. Ties are broken by (seed, id), so that equal documents are taken
          at random and the same ones each time. A budget of 0 selects nothing, one beyond the pool all of it.
"""

from __future__ import annotations

import dataclasses

from seedbed.select.contract import FloatArray, Scored, Selector, take_until
from seedbed.stats.sampling import hashed, order_by


@dataclasses.dataclass(frozen=True)
class TopK(Selector):
    """No parameters."""

    def copies(self, scored: Scored, *, budget_tokens: int, seed: int) -> FloatArray:
        """One copy of each document until the budget is reached."""
        order = order_by(scored.score_N, hashed(seed, scored.key_N))
        return take_until(order, scored.n_tokens_N, budget_tokens)
