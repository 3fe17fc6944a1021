"""Quotas: spreads the budget over the values of a column, and reads the best documents of each.

What      Every source, language, site or cluster gets its part of the budget: the same for all, or its share of the
          pool. Documents are taken in turn, always from the value that is furthest behind its quota.
Source    Wettig et al. 2024, QuRating, arXiv 2402.09739, section 4 (each domain keeps its share of the pool; within it
          sampling by softmax of the score); Demers, Keshav, Shenker 1989, SIGCOMM (weighted fair queueing, the order).
Formula   within a value: by score_i + temperature * g_i, largest first; g_i = -ln(-ln u_i), u_i from (seed, id)
          time_i = (tokens of its value before it + n_i / 2) / weight_value; weight = 1 ("equal") or its tokens ("pool")
          copies = 1 for the shortest prefix in order of time whose n_tokens sum to the budget; else 0
Shapes    score_N, n_tokens_N, key_N, columns -> copies_N
Units     temperature in the unit of the score; budget_tokens in tokens; copies in readings.
Fidelity  Adapted: QuRating takes whole documents until each domain passes its quota, so that it passes the budget once
          a domain; here the sum passes it once. What a value cannot give is given by the others in proportion to
          their weights, within the outer value first (its back-fill; the sources state none).
Errors    SeedbedError where a column is missing or a score is not finite. A missing value is a value of its own. Ties
          are broken by (seed, id). A budget of 0 selects nothing, one beyond the pool all of it.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from annotated_types import Ge, MinLen

from seedbed.core.errors import SeedbedError
from seedbed.select.contract import FloatArray, Scored, Selector, take_until
from seedbed.stats.sampling import gumbels, hashed, order_by

IntArray = npt.NDArray[np.int64]


@dataclasses.dataclass(frozen=True)
class Quotas(Selector):
    """Parameters.

    Args:
        by: columns, the outermost first: source, language, site, or a signal of the scorer such as cluster.
        shares: "pool" gives each value its share of the pool's tokens, "equal" the same to all.
        temperature: how much chance counts against the score within a value.
    """

    by: Annotated[tuple[str, ...], MinLen(1)] = ("source",)
    shares: Literal["pool", "equal"] = "pool"
    temperature: Annotated[float, Ge(0)] = 0.0

    def columns(self) -> tuple[str, ...]:
        """What the budget is spread over."""
        return self.by

    def copies(self, scored: Scored, *, budget_tokens: int, seed: int) -> FloatArray:
        """One copy of each document taken, until the budget is reached."""
        noisy_N = scored.score_N + self.temperature * gumbels(seed, scored.key_N)
        order = order_by(noisy_N, hashed(seed, scored.key_N))
        groups = [self._groups(scored, self.by[: depth + 1]) for depth in range(len(self.by))]
        for group_N in reversed(groups):
            order = in_turn(order, group_N, scored.n_tokens_N, equal=self.shares == "equal")
        return take_until(order, scored.n_tokens_N, budget_tokens)

    def _groups(self, scored: Scored, names: tuple[str, ...]) -> IntArray:
        """A number for each combination of values."""
        group_N = np.zeros(len(scored.score_N), np.int64)
        for name in names:
            if name not in scored.columns:
                known = ", ".join(sorted(scored.columns)) or "none"
                raise SeedbedError(f"{self.path()}.by", f"there is no column {name!r}", f"Given here: {known}.")
            value_N = scored.columns[name]
            inner_N = np.unique(value_N.astype(str) if value_N.dtype == object else value_N, return_inverse=True)[1]
            group_N = np.unique(group_N * (len(inner_N) + 1) + inner_N, return_inverse=True)[1]
        return group_N.astype(np.int64)


def in_turn(order: IntArray, group_N: IntArray, n_tokens_N: npt.NDArray[np.integer[Any]], *, equal: bool) -> IntArray:
    """Rows in order of the time their group comes to them; each group keeps the order given."""
    if not len(order):
        return order
    tokens_G = np.bincount(group_N, n_tokens_N)
    weight_G = np.ones(len(tokens_G)) if equal else np.maximum(tokens_G, 1.0)
    by_group = order[np.argsort(group_N[order], kind="stable")]
    middle_N = np.cumsum(n_tokens_N[by_group]) - n_tokens_N[by_group] / 2
    middle_N -= (np.cumsum(tokens_G) - tokens_G)[group_N[by_group]]
    time_N, place_N = np.zeros(len(order)), np.zeros(len(order), np.int64)
    time_N[by_group] = middle_N / weight_G[group_N[by_group]]
    place_N[order] = np.arange(len(order))
    return np.lexsort((place_N, time_N)).astype(np.int64)
