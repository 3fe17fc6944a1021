"""A mixture and a selector together: each domain gets its part of the budget, the selector chooses within it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from seedbed.core.errors import SeedbedError
from seedbed.select.contract import FloatArray, Scored, Selector
from seedbed.stats.simplex import pour

IntArray = npt.NDArray[np.int64]


def parts(share_D: FloatArray, tokens_D: IntArray, budget_tokens: int, max_epochs: float) -> IntArray:
    """part_D: tokens each domain gives to the budget.

    A domain gives at most `max_epochs` times what it has; what it cannot give goes to the others in proportion to
    their shares. The parts sum to the budget, or to less where every domain with a share is at its limit.
    """
    given_D = pour(share_D, budget_tokens, tokens_D.astype(np.float64) * max_epochs)
    part_D = np.floor(given_D + 1e-6).astype(np.int64)
    missing = round(float(given_D.sum())) - int(part_D.sum())
    behind = np.argsort(part_D - given_D, kind="stable")  # whole tokens, the largest remainders first
    part_D[behind[: max(0, missing)]] += 1
    return part_D


def weights_by_shares(
    selector: Selector,
    scored: Scored,
    domain_N: IntArray,
    share_D: FloatArray,
    *,
    budget_tokens: int,
    max_epochs: float,
    seed: int,
) -> FloatArray:
    """copies_N: every domain's part of the budget, chosen by the selector among its documents alone.

    A domain smaller than its part is read as often as it fits whole, and the selector chooses the rest. Each domain
    reaches its part and passes it by less than one document (as far as the selector keeps to its budget).

    Args:
        selector, scored: how documents are chosen, and by which scores.
        domain_N: number of each document's domain.
        share_D: of each domain; sums to 1.
        budget_tokens: of all domains together.
        max_epochs: how often a domain may be read, on average over its documents.
        seed: of the selector.
    """
    _check(share_D, domain_N)
    tokens_D = np.bincount(domain_N, scored.n_tokens_N, len(share_D)).astype(np.int64)
    copies_N = np.zeros(len(domain_N))
    for domain, part in enumerate(parts(share_D, tokens_D, budget_tokens, max_epochs)):
        if part > 0:
            rows = np.flatnonzero(domain_N == domain)
            whole, rest = divmod(int(part), int(tokens_D[domain]))
            columns = {name: values[rows] for name, values in scored.columns.items()}
            mine = Scored(scored.score_N[rows], scored.n_tokens_N[rows], scored.key_N[rows], columns)
            copies_N[rows] = whole + selector.copies(mine, budget_tokens=rest, seed=seed)
    return copies_N


def _check(share_D: FloatArray, domain_N: IntArray) -> None:
    if not np.isfinite(share_D).all() or share_D.min() < 0 or abs(float(share_D.sum()) - 1) > 1e-6:
        what = f"{[round(float(s), 6) for s in share_D]} are no shares"
        raise SeedbedError("mixture", what, "Shares are at least 0 and sum to 1: check the mixer that gave them.")
    if len(domain_N) and not 0 <= int(domain_N.min()) <= int(domain_N.max()) < len(share_D):
        raise ValueError(f"domains run from {domain_N.min()} to {domain_N.max()}, there are {len(share_D)} shares")
