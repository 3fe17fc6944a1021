"""The questions the select room asks of its methods.

Scorer      how much is this document worth? (higher means keep)
Selector    how often is each document read, within a budget of tokens?
Mixer       which share of what is read comes from each domain? (asked in `mixing.py`)

What a scorer needs beyond its parameters it declares; the pipeline makes it, caches it and hands it over in `Given`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from annotated_types import Ge, Gt, Le

from seedbed.core import arrow
from seedbed.core.cost import Cost
from seedbed.core.errors import SeedbedError
from seedbed.core.method import Method
from seedbed.core.nouns import DOCUMENTS, DocumentBatch, Signal
from seedbed.stats.sampling import hashed, keys_of

FloatArray = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class TargetText:
    """Need: documents of what the model should become good at (tokenised with the pool's tokenizer)."""


@dataclasses.dataclass(frozen=True)
class PoolText:
    """Need: one pass over the pool while fitting."""


@dataclasses.dataclass(frozen=True)
class Texts:
    """Need: documents of files that the scorer's parameters name, tokenised with the pool's tokenizer.

    Args:
        name: how the scorer asks for them.
        files: files and folders, read and extracted like the pool.
    """

    name: str
    files: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class TrainedModel:
    """Need: a small model trained by our own trainer.

    Args:
        name: how the scorer asks for it.
        on: "pool" trains on a random sample of the pool, "target" on the target text, else the name of needed `Texts`.
        tokens: how many tokens to train on.
        init: the name of another needed model to start from (its weights; a fresh optimizer), or empty for scratch.
        learning_rate: peak.
        shape: relative size: width and depth of the recipe's model times this (>= 1 layer).
        seed: of start, sample and order.
    """

    name: str
    on: str
    tokens: int
    init: str = ""
    learning_rate: float = 1e-3
    shape: float = 1.0
    seed: int = 0


@dataclasses.dataclass(frozen=True)
class GivenModel:
    """Need: a model folder that the scorer's parameters name; its tokenizer must be the pool's."""

    name: str
    folder: str


@dataclasses.dataclass(frozen=True)
class CurrentModel:
    """Need: the arm's own model as the last stage left it (the initial model in the first stage)."""

    name: str = "current"


@dataclasses.dataclass(frozen=True)
class Probe:
    """Need: the arm's own model with its optimizer, to try single steps on (`Given.probe`)."""


@dataclasses.dataclass(frozen=True)
class Gradients:
    """Need: gradients of the arm's own model (`Given.gradients`)."""


@dataclasses.dataclass(frozen=True)
class Judge:
    """Need: an outside language model that answers prompts (`Given.judge`): any OpenAI-compatible endpoint.

    Args:
        endpoint: base address, such as http://localhost:8000/v1; empty where labels come from a file.
        model: its name there.
        key_variable: the environment variable that holds the key; it is read when asked, and never stored.
        temperature, max_tokens: of an answer.
        parallel: questions asked at the same time.
        billions: its parameters in billions, so that its FLOP count in the cost of choosing; 0 where not known.
    """

    endpoint: str = ""
    model: str = ""
    key_variable: str = "OPENAI_API_KEY"
    temperature: Annotated[float, Ge(0), Le(2)] = 1.0
    max_tokens: Annotated[int, Gt(0)] = 64
    parallel: Annotated[int, Gt(0), Le(256)] = 8
    billions: Annotated[float, Ge(0)] = 0.0


Need = TargetText | PoolText | Texts | TrainedModel | GivenModel | CurrentModel | Probe | Gradients | Judge


class Service(Protocol):
    """What is handed over and can be asked; it counts what it was asked."""

    @property
    def cost(self) -> Cost:
        """What it has been asked so far."""
        ...


class LossModel(Service, Protocol):
    """A language model, asked for losses. It counts its own FLOP."""

    def document_losses(self, documents: DocumentBatch) -> FloatArray:
        """loss_N: mean nats per token of each document, end-of-text included; 0 for a document without tokens."""
        ...


class ProbeModel(Service, Protocol):
    """A model in the middle of its training: what would one step on a document do? It is as before after each call."""

    def losses_after_step(self, documents: DocumentBatch, reference: DocumentBatch) -> FloatArray:
        """loss_N: mean reference loss, nats per token, after one optimizer step on each document alone."""
        ...

    def loss(self, reference: DocumentBatch) -> float:
        """Mean reference loss of the model as it is."""
        ...


class GradientModel(Service, Protocol):
    """Gradients of mean document losses by the weights of named layers, and what their Kronecker factors need."""

    def layers(self, which: str) -> tuple[str, ...]:
        """Names of the linear layers: which is "attention", "feed_forward" or "all"."""
        ...

    def gradients(self, documents: DocumentBatch, layers: Sequence[str]) -> Mapping[str, npt.NDArray[np.float32]]:
        """layer -> gradient_NOI of each document's mean loss by the layer's weight (out, in)."""
        ...

    def factors(self, documents: DocumentBatch, layers: Sequence[str]) -> Mapping[str, tuple[FloatArray, FloatArray]]:
        """layer -> (input_II, output_OO): mean over tokens of x x^T, and of d d^T with d the loss's gradient there."""
        ...

    def embeddings(self, documents: DocumentBatch) -> npt.NDArray[np.float32]:
        """mean_NC of the last hidden state over each document's tokens."""
        ...


class JudgeModel(Service, Protocol):
    """An outside model. Answers are cached on disk by prompt, so that a run that dies asks nothing twice."""

    def answers(self, prompts: Sequence[str], votes: int = 1) -> list[list[str]]:
        """`votes` answers to each prompt. Raises SeedbedError naming the endpoint where it cannot be asked."""
        ...


@dataclasses.dataclass(frozen=True)
class Given:
    """What was needed, made and handed over. `pool`, `target` and `texts` can be walked more than once."""

    target: Iterable[DocumentBatch] = ()
    pool: Iterable[DocumentBatch] = ()
    texts: Mapping[str, Iterable[DocumentBatch]] = dataclasses.field(default_factory=dict[str, Iterable[DocumentBatch]])
    models: Mapping[str, LossModel] = dataclasses.field(default_factory=dict[str, LossModel])
    probe: ProbeModel | None = None
    gradients: GradientModel | None = None
    judge: JudgeModel | None = None
    seed: int = 0


class FittedScorer(Protocol):
    """A scorer ready to measure."""

    def measure(self, documents: DocumentBatch) -> pa.Table:
        """A table with the scorer's signals, one row a document; `score` is one of them, higher means keep."""
        ...


class Scorer(Method):
    """Puts a number on every document of the pool."""

    signals: ClassVar[tuple[Signal, ...]] = (Signal("score", "score, higher means keep"),)
    selector: ClassVar[str] = "top_k"
    """What its paper turns the scores into copies with, where nothing else is asked for."""
    rounds: ClassVar[int] = 1
    """How often an arm asks it while it trains; above 1 the arm reads at random first, and then what is chosen anew."""

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
        columns: what the selector's `columns` asked for, by name: text as objects, numbers as floats.
    """

    score_N: FloatArray
    n_tokens_N: npt.NDArray[np.int64]
    key_N: npt.NDArray[np.uint64]
    columns: Mapping[str, npt.NDArray[Any]] = dataclasses.field(default_factory=dict[str, npt.NDArray[Any]])

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

    def columns(self) -> tuple[str, ...]:
        """Columns it reads beside the score: signals of the scorer, or a document's source, language or site."""
        return ()

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


def draw(batches: Iterable[DocumentBatch], n: int, seed: int, *, min_tokens: int = 1) -> DocumentBatch:
    """A uniform sample of at most n documents with at least `min_tokens` tokens, in the order of their draw.

    Which ones depends on (seed, id) alone; one pass, memory for n documents.
    """
    kept: list[tuple[int, DocumentBatch]] = []
    for batch in batches:
        word_N = hashed(seed, keys_of(batch.ids))
        limit = np.uint64(kept[-1][0] if len(kept) >= n else 2**64 - 1)
        rows = np.flatnonzero((np.diff(batch.token_ids[1]) >= min_tokens) & (word_N <= limit))
        mine = batch.some(rows)  # copied out, so that a kept document does not hold its whole batch
        kept.extend((int(word_N[row]), mine.one(at)) for at, row in enumerate(rows))
        kept = sorted(kept, key=lambda entry: entry[0])[:n]
    return joined([document for _, document in kept])


def joined(documents: Sequence[DocumentBatch]) -> DocumentBatch:
    """Several batches as one."""
    rows = arrow.concat([batch.rows for batch in documents], DOCUMENTS)
    ids = [batch.token_ids[0] for batch in documents]
    size_N = np.concatenate([np.zeros(0, np.int64), *(np.diff(batch.token_ids[1]) for batch in documents)])
    flat = np.concatenate(ids) if ids else np.zeros(0, np.int64)
    return DocumentBatch(rows, (flat, np.concatenate([[0], np.cumsum(size_N)]).astype(np.int64)))
