"""A mixture and a selector together: each domain gets its part of the budget, the selector chooses within it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from seedbed.core.errors import SeedbedError
from seedbed.select.contract import FloatArray, Scored, Selector
from seedbed.stats.sampling import gumbels, hashed, order_by, uniforms
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


def draw_by_shares(
    key_N: npt.NDArray[np.uint64],
    n_tokens_N: IntArray,
    domain_N: IntArray,
    share_D: FloatArray,
    *,
    tokens: int,
    seed: int,
) -> FloatArray:
    """copies_N: random documents that come to `tokens`, each domain to its share of them on average over seeds.

    The document that would pass a domain's part is kept with the chance of what is missing over its length: many small
    parts do not add up to more than their shares. A domain smaller than its part is read again. At least one document
    is drawn. What is drawn of a domain does not depend on the other domains.
    """
    _check(share_D, domain_N)
    tokens_D = np.bincount(domain_N, n_tokens_N, len(share_D))
    copies_N = np.zeros(len(domain_N))
    order_N = order_by(gumbels(seed, key_N), hashed(seed, key_N))
    coin_N = uniforms(seed + _COIN, key_N)
    for domain in np.flatnonzero((share_D > 0) & (tokens_D > 0)):
        order = order_N[domain_N[order_N] == domain]
        whole, rest = divmod(float(share_D[domain]) * tokens, float(tokens_D[domain]))
        size = np.maximum(n_tokens_N[order], 1)
        missing = np.clip((rest - (np.cumsum(size) - size)) / size, 0, 1)
        copies_N[order] = whole + (missing > coin_N[order])
    if not copies_N.any():
        first = order_N[domain_N[order_N] == int(np.argmax(share_D))]
        copies_N[first[:1]] = 1.0
    return copies_N


_COIN = 0x636F_696E_0000_0000
"""Keeps the coins apart from the order, which is drawn by the same seed."""


def _check(share_D: FloatArray, domain_N: IntArray) -> None:
    if not np.isfinite(share_D).all() or share_D.min() < 0 or abs(float(share_D.sum()) - 1) > 1e-6:
        what = f"{[round(float(s), 6) for s in share_D]} are no shares"
        raise SeedbedError("mixture", what, "Shares are at least 0 and sum to 1: check the mixer that gave them.")
    if len(domain_N) and not 0 <= int(domain_N.min()) <= int(domain_N.max()) < len(share_D):
        raise ValueError(f"domains run from {domain_N.min()} to {domain_N.max()}, there are {len(share_D)} shares")
