"""The room at work, one shard at a time: documents get scores, scores become copies.

Pure functions; whoever walks the shards makes what a scorer needs, caches it and writes the tables.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from seedbed.core import arrow
from seedbed.core.errors import SeedbedError
from seedbed.core.nouns import WEIGHTS, DocumentBatch
from seedbed.select.contract import FittedScorer, FloatArray, Scored, Selector
from seedbed.stats.sampling import keys_of


def score_shard(fitted: FittedScorer, documents: DocumentBatch) -> pa.Table:
    """The scorer's signals, a row a document. Raises SeedbedError for a missing row or a score that is not finite."""
    measured = fitted.measure(documents)
    if measured.num_rows != len(documents):
        what = f"{measured.num_rows} scores for {len(documents)} documents"
        raise SeedbedError(type(fitted).__name__, what, "A scorer measures every document it is given.")
    _finite(arrow.numpy(measured, "score"), documents.ids, type(fitted).__name__)
    return measured


def choose(
    selector: Selector,
    ids: Sequence[bytes],
    score_N: FloatArray,
    n_tokens_N: npt.NDArray[np.int64],
    budget_tokens: int,
    seed: int,
    columns: Mapping[str, npt.NDArray[Any]] | None = None,
) -> pa.Table:
    """A table of schema WEIGHTS in the order of `ids`. Raises SeedbedError for scores that are not finite."""
    if not len(ids) == len(score_N) == len(n_tokens_N):
        raise ValueError(f"{len(ids)} ids, {len(score_N)} scores and {len(n_tokens_N)} token counts")
    if budget_tokens < 0:
        raise SeedbedError("budget_tokens", f"{budget_tokens} is below 0", "Give a number of tokens to select.")
    _finite(score_N, ids, selector.path())
    scored = Scored(score_N, n_tokens_N, keys_of(ids), columns or {})
    copies_N = selector.copies(scored, budget_tokens=budget_tokens, seed=seed)
    return arrow.table({"id": list(ids), "copies": copies_N, "n_tokens": n_tokens_N}, WEIGHTS)


def selected_tokens(weights: pa.Table) -> float:
    """The sum of copies * n_tokens: what one reading of the selection comes to."""
    return float(arrow.numpy(weights, "copies") @ arrow.numpy(weights, "n_tokens"))


def _finite(score_N: FloatArray, ids: Sequence[bytes], where: str) -> None:
    wrong = np.flatnonzero(~np.isfinite(score_N))
    if len(wrong):
        what = f"document {ids[int(wrong[0])].hex()} has score {score_N[wrong[0]]} ({len(wrong)} such in this batch)"
        raise SeedbedError(where, what, "Scores must be finite: check the models that gave them.")
