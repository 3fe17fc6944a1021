"""The questions the select room asks of its methods.

Scorer      how much is this document worth? (higher means keep)
Selector    how often is each document read, within a budget of tokens?

What a scorer needs beyond its parameters it declares; the pipeline makes it, caches it and hands it over in `Given`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import ClassVar, Literal, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from seedbed.core.cost import Cost
from seedbed.core.errors import SeedbedError
from seedbed.core.method import Method
from seedbed.core.nouns import DocumentBatch, Signal

FloatArray = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class TargetText:
    """Need: documents of what the model should become good at (tokenised with the pool's tokenizer)."""


@dataclasses.dataclass(frozen=True)
class PoolText:
    """Need: one pass over the pool while fitting."""


@dataclasses.dataclass(frozen=True)
class TrainedModel:
    """Need: a small model trained by our own trainer.

    Args:
        name: how the scorer asks for it.
        on: "pool" trains on a random sample of the pool, "target" on the target text.
        tokens: how many tokens to train on.
        init: the name of another needed model to start from (its weights; a fresh optimizer), or empty for scratch.
        learning_rate: peak.
        shape: relative size: width and depth of the recipe's model times this (>= 1 layer).
    """

    name: str
    on: Literal["pool", "target"]
    tokens: int
    init: str = ""
    learning_rate: float = 1e-3
    shape: float = 1.0


@dataclasses.dataclass(frozen=True)
class CurrentModel:
    """Need: the arm's own model as the last stage left it (the initial model in the first stage)."""

    name: str = "current"


Need = TargetText | PoolText | TrainedModel | CurrentModel


class LossModel(Protocol):
    """A language model, asked for losses. It counts its own FLOP."""

    def document_losses(self, documents: DocumentBatch) -> FloatArray:
        """loss_N: mean nats per token of each document, end-of-text included; 0 for a document without tokens."""
        ...

    @property
    def cost(self) -> Cost:
        """What it has been asked so far."""
        ...


@dataclasses.dataclass(frozen=True)
class Given:
    """What was needed, made and handed over. `pool` and `target` can be walked more than once."""

    target: Iterable[DocumentBatch] = ()
    pool: Iterable[DocumentBatch] = ()
    models: Mapping[str, LossModel] = dataclasses.field(default_factory=dict[str, LossModel])


class FittedScorer(Protocol):
    """A scorer ready to measure."""

    def measure(self, documents: DocumentBatch) -> pa.Table:
        """A table with the scorer's signals, one row a document; `score` is one of them, higher means keep."""
        ...


class Scorer(Method):
    """Puts a number on every document of the pool."""

    signals: ClassVar[tuple[Signal, ...]] = (Signal("score", "score, higher means keep"),)

    def needs(self) -> tuple[Need, ...]:
        """What must be made before `fit`."""
        return ()

    def fit(self, given: Given) -> FittedScorer:
        """Learn whatever must be learned."""
        raise NotImplementedError


@dataclasses.dataclass(frozen=True)
class Scored:
    """The pool as a selector sees it: columns of equal length, one entry a document.

    Args:
        score_N: higher means keep.
        n_tokens_N: tokens of each document.
        key_N: a 64-bit hash of each document's id, so that chance does not depend on the order of documents.
    """

    score_N: FloatArray
    n_tokens_N: npt.NDArray[np.int64]
    key_N: npt.NDArray[np.uint64]

    def __post_init__(self) -> None:
        """Raises SeedbedError for a score that is not finite: it has no rank."""
        wrong = np.flatnonzero(~np.isfinite(self.score_N))
        if len(wrong):
            what = f"entry {wrong[0]} is {self.score_N[wrong[0]]} ({len(wrong)} such)"
            raise SeedbedError("scores", what, "Scores must be finite: check the models that gave them.")


class Selector(Method):
    """Turns scores into copies within a budget.

    The sum of copies * tokens reaches the budget where the pool allows, and passes it by less than one document;
    a budget of 0 selects nothing.
    """

    def copies(self, scored: Scored, *, budget_tokens: int, seed: int) -> FloatArray:
        """copies_N >= 0. Order-equivariant; ties are broken by `key_N`."""
        raise NotImplementedError


def take_until(order: npt.NDArray[np.int64], n_tokens_N: npt.NDArray[np.int64], budget_tokens: int) -> FloatArray:
    """copies_N with one copy of the documents in `order` until the budget is reached (the last one passes it)."""
    copies = np.zeros(len(n_tokens_N))
    if budget_tokens > 0 and len(order):
        before = np.cumsum(n_tokens_N[order]) - n_tokens_N[order]
        copies[order[before < budget_tokens]] = 1.0
    return copies
