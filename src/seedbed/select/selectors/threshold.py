"""Threshold: reads once what lies on one side of a bound, or the best share of the pool.

What      The bound is a value of the score or of another of the scorer's signals, or is found so that the documents
          above it hold a given share of the pool. Where they hold more tokens than the budget, a random part is read.
Source    none; the rule of most filters. ChineseWebText (arXiv 2311.01149) keeps a probability above a bound; DCLM
          (arXiv 2406.11794) and PreSelect (arXiv 2503.00808, by characters) keep the top 10 percent.
Formula   copies = 1 where value >= bound (side "below": value <= bound), else 0; by share: the best documents first,
          until the next begins at or behind share * total, in tokens or bytes
Shapes    score_N, n_tokens_N, key_N -> copies_N
Units     bound in the unit of the signal; share a fraction; budget_tokens in tokens; copies in readings.
Fidelity  Exact for tokens; by bytes where PreSelect counts characters.
Errors    SeedbedError for a score or signal that is not finite. Fewer tokens than the budget on the right side are
          all read once, and the budget is not reached. Ties on the border of a share are broken by (seed, id).
"""

from __future__ import annotations

import dataclasses
from typing import Annotated, Literal

import numpy as np
from annotated_types import Gt, Le

from seedbed.core.errors import SeedbedError
from seedbed.select.contract import FloatArray, Scored, Selector, take_until
from seedbed.stats.sampling import hashed, order_by


@dataclasses.dataclass(frozen=True)
class Threshold(Selector):
    """Parameters.

    Args:
        bound: where one side ends; without meaning where a share is given.
        side: which side is read: "above" or "below", the bound itself included.
        share: of the pool to read, from the end that `side` says; None for the bound.
        by: what the share is of; "bytes" asks for the column n_bytes.
        signal: which of the scorer's signals is compared.
    """

    bound: float = 0.0
    side: Literal["above", "below"] = "above"
    share: Annotated[float | None, Gt(0), Le(1)] = None
    by: Literal["tokens", "bytes"] = "tokens"
    signal: str = "score"

    def columns(self) -> tuple[str, ...]:
        """The signal where it is not the score; bytes where the share is of them."""
        size = ("n_bytes",) if self.share is not None and self.by == "bytes" else ()
        return (*(() if self.signal == "score" else (self.signal,)), *size)

    def copies(self, scored: Scored, *, budget_tokens: int, seed: int) -> FloatArray:
        """One copy of a random part of what passes, until the budget is reached."""
        sign = 1.0 if self.side == "above" else -1.0
        value_N = sign * self._values(scored)
        tie_N = hashed(seed, scored.key_N)
        if self.share is None:
            in_N = value_N >= sign * self.bound
        else:
            size_N = scored.n_tokens_N if self.by == "tokens" else scored.columns["n_bytes"].astype(np.float64)
            order = order_by(value_N, tie_N)
            in_N = np.zeros(len(value_N), np.bool_)
            in_N[order] = np.cumsum(size_N[order]) - size_N[order] < self.share * size_N.sum()
        rows = np.flatnonzero(in_N)
        return take_until(rows[np.argsort(tie_N[rows])].astype(np.int64), scored.n_tokens_N, budget_tokens)

    def _values(self, scored: Scored) -> FloatArray:
        if self.signal == "score":
            return scored.score_N
        value_N = scored.columns[self.signal].astype(np.float64)
        if not np.all(np.isfinite(value_N)):
            raise SeedbedError(f"{self.path()}.signal", f"{self.signal!r} is not finite everywhere")
        return value_N
