"""What a model answered: log-likelihoods of all choices of all items in one call, and the table that comes of scores.

A choice that several others tie with is right by the share that guessing among them would be, so that a model without
an opinion scores chance, not 1: where the right choice stands first, taking the first of equals would reward it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from seedbed.core import arrow
from seedbed.core.errors import SeedbedError
from seedbed.core.nouns import OUTCOMES
from seedbed.evaluate.contract import TextModel
from seedbed.evaluate.items import Item

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

_MORE = (
    arrow.field("family", pa.large_string(), unit="what the domain belongs to, or empty"),
    arrow.field("correct", pa.float64(), unit="1, 0, or the share of a tie"),
    arrow.field("chance", pa.float64(), unit="fraction that guessing gets right"),
    arrow.field("rank", pa.float64(), unit="of the right choice, 1 is the best, ties share theirs"),
    arrow.field("margin", pa.float64(), unit="score of the right choice less the best other, unit of the score"),
    arrow.field("frequency", pa.float64(), unit="how often the pool says it, NaN where not known"),
)
ANSWERS = pa.schema([*cast("list[pa.Field[Any]]", list(cast(Any, OUTCOMES))), *_MORE])
"""An answered item: an Outcome (of the right choice, given its context; domain is the item's group), and whether the
model preferred it."""


@dataclasses.dataclass(frozen=True)
class Asked:
    """Log-likelihoods of the choices of all items, one after the other.

    Args:
        nats_K, tokens_K, greedy_K: as the model said.
        bytes_K, characters_K: size of the choice as written.
        first_N1: item i's choices are first_N1[i]:first_N1[i + 1].
    """

    nats_K: FloatArray
    tokens_K: IntArray
    greedy_K: BoolArray
    bytes_K: IntArray
    characters_K: IntArray
    first_N1: IntArray


def ask(model: TextModel, items: Sequence[Item], delimiter: str = "", *, context: str | None = None) -> Asked:
    """Every choice behind its context (or behind this one) and the delimiter, if the context is not empty."""
    contexts = [item.context if context is None else context for item in items for _ in item.choices]
    choices = [choice for item in items for choice in item.choices]
    fronts = [delimiter if item.context else "" for item in items for _ in item.choices]
    written = [front + choice for front, choice in zip(fronts, choices, strict=True)]
    nats_K, tokens_K, greedy_K = model.continuation_log_likelihoods(contexts, written)
    counts = [len(item.choices) for item in items]
    first_N1 = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    wrong = np.flatnonzero(~np.isfinite(nats_K))
    if len(wrong):
        name = [item.name for item in items for _ in item.choices][int(wrong[0])]
        what = f"a choice has log-likelihood {nats_K[wrong[0]]}"
        raise SeedbedError(f"item {name}", what, "Check the model: its training may have diverged.")
    n_bytes = np.array([len(choice.encode("utf-8", "surrogatepass")) for choice in choices], np.int64)
    return Asked(nats_K, tokens_K, greedy_K, n_bytes, np.array([len(c) for c in choices], np.int64), first_N1)


def answers(items: Sequence[Item], asked: Asked, score_K: FloatArray) -> pa.Table:
    """A table of schema ANSWERS: the choice of the highest score is the model's."""
    rows = [_judged(score_K[a:b], item.answer) for item, a, b in _spans(items, asked)]
    chance = [1 / len(item.choices) for item in items]
    correct, rank, margin = (list(column) for column in zip(*rows, strict=True)) if rows else ([], [], [])
    return _table(items, asked, correct, chance, rank, margin)


def free_answers(items: Sequence[Item], asked: Asked) -> pa.Table:
    """A table of schema ANSWERS where each item has one choice: right is what the model would have written itself."""
    correct = [float(asked.greedy_K[a]) for _, a, _ in _spans(items, asked)]
    nothing = [float("nan")] * len(items)
    return _table(items, asked, correct, [0.0] * len(items), nothing, nothing)


def _spans(items: Sequence[Item], asked: Asked) -> list[tuple[Item, int, int]]:
    return list(zip(items, asked.first_N1[:-1].tolist(), asked.first_N1[1:].tolist(), strict=True))


def _judged(score_C: FloatArray, answer: int) -> tuple[float, float, float]:
    """(correct, rank, margin)."""
    others = np.delete(score_C, answer)
    above, level = int(np.sum(others > score_C[answer])), int(np.sum(others == score_C[answer]))
    correct = 0.0 if above else 1 / (1 + level)
    return correct, 1 + above + level / 2, float(score_C[answer] - others.max())


def _table(
    items: Sequence[Item],
    asked: Asked,
    correct: Sequence[float],
    chance: Sequence[float],
    rank: Sequence[float],
    margin: Sequence[float],
) -> pa.Table:
    right = asked.first_N1[:-1] + np.array([item.answer for item in items], np.int64)
    columns = {
        "item": [item.name for item in items],
        "domain": [item.group for item in items],
        "log_likelihood_nats": asked.nats_K[right],
        "n_tokens": asked.tokens_K[right],
        "n_bytes": asked.bytes_K[right],
        "family": [item.family for item in items],
        "correct": correct,
        "chance": chance,
        "rank": rank,
        "margin": margin,
        "frequency": [item.frequency for item in items],
    }
    return arrow.table(columns, ANSWERS)
