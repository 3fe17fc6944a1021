"""The questions the train room asks of its methods: five slots of the loop that may act.

Objective   what is predicted, from what is read, and what is its loss?
Optimizer   how do gradients become updates?
Schedule    which value (of the learning rate) holds at this point of training?
Reweighter  how much does each token's loss count?
Pruning     which weights are switched off on the way?

Axes: B sequences, T positions of an example, S = T + 1 tokens of a reading, P pieces of documents in a reading.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from seedbed.core.errors import RecipeError
from seedbed.core.method import Method

if TYPE_CHECKING:
    import torch

    from seedbed.model.transformer import Decoder
    from seedbed.model.weights import Weight

IntArray = npt.NDArray[np.int64]


@dataclasses.dataclass(frozen=True)
class Progress:
    """Where training stands, as schedules and reweighters see it: numbers that every process and every resume agree on.

    Args:
        tokens: the point that is asked about; for the rate of a step the middle of its batch.
        total_tokens: of the whole plan.
        batch_sequences, batch_tokens: of a step.
        learning_rate: peak of the plan.
    """

    tokens: int
    total_tokens: int
    batch_sequences: int = 1
    batch_tokens: int = 1
    learning_rate: float = 1.0


@dataclasses.dataclass(frozen=True)
class Reading:
    """Consecutive tokens of a source, and the pieces of documents they are made of.

    Args:
        tokens: (S,) token ids.
        begin_P: where each piece begins in `tokens`; the first is 0.
        start_P: whether the piece begins with the first token of its document (or of its metadata).
        metadata_P: tokens at the front of each piece that are the document's metadata: read, but not text.
    """

    tokens: IntArray
    begin_P: IntArray
    start_P: npt.NDArray[np.bool_]
    metadata_P: IntArray

    @classmethod
    def of(cls, tokens: IntArray) -> Reading:
        """One piece from the middle of a document, without metadata."""
        return cls(tokens, np.zeros(1, np.int64), np.zeros(1, np.bool_), np.zeros(1, np.int64))


@dataclasses.dataclass(frozen=True)
class Example:
    """One training sequence. Shapes: all (T,).

    Args:
        inputs, targets: token ids.
        weight: 0 where a position is not trained on.
        document: number of the document each input belongs to, where attention must stay inside documents; else None.
    """

    inputs: IntArray
    targets: IntArray
    weight: npt.NDArray[np.float32]
    document: IntArray | None = None


@dataclasses.dataclass(frozen=True)
class Batch:
    """Examples under one another: (B, T) each, on the device.

    Args:
        inputs_BT, targets_BT, weight_BT, document_BT: see Example.
        lesson: what the objective's teacher says of them, rows first; None without a teacher.
    """

    inputs_BT: torch.Tensor
    targets_BT: torch.Tensor
    weight_BT: torch.Tensor
    document_BT: torch.Tensor | None = None
    lesson: torch.Tensor | None = None


@dataclasses.dataclass(frozen=True)
class View:
    """One way in which an objective wants a source read; the view without suffix is the source itself.

    Args:
        suffix: told to the source's name.
        metadata: text put before each document, with {url}, {domain}, {source} and {language} filled in; "" for none.
        part: documents whose hash, as a fraction, lies in [low, high): views of other parts are fresh to each other.
    """

    suffix: str = ""
    metadata: str = ""
    part: tuple[float, float] = (0.0, 1.0)


class Objective(Method):
    """What is predicted."""

    needs_teacher: ClassVar[bool] = False
    """Whether it learns beside a frozen model, whose lesson every batch then holds."""

    def reads(self, context: int) -> int:
        """Tokens of a source that make one example of `context` positions."""
        return context + 1

    def views(self) -> Sequence[View]:
        """How sources are read, over the whole training."""
        return (View(),)

    def shares(self, shares: Mapping[str, float], at: Progress) -> Mapping[str, float]:
        """Shares of the sources' views, by name and suffix, from those of the sources."""
        del at
        return shares

    def example(self, reading: Reading, key: int) -> Example:
        """What a model is asked; chance comes from `key` alone: a 64-bit hash of (seed, source, index)."""
        raise NotImplementedError

    def losses(self, model: Decoder, batch: Batch) -> torch.Tensor:
        """loss_BT in nats, float32."""
        raise NotImplementedError

    def lesson(self, teacher: Decoder, batch: Batch) -> torch.Tensor:
        """What the teacher says of a batch, rows first, for `losses` to find there; asked without gradients."""
        raise NotImplementedError


class Optimizer(Method):
    """How gradients become updates."""

    sharded: ClassVar[bool] = True
    """Whether each element's update needs only what belongs to it, so that parameters may lie in shards (FSDP)."""

    def build(self, weights: Sequence[Weight]) -> torch.optim.Optimizer:
        """A torch optimizer; every group has the key `lr_scale`: its factor on the learning rate."""
        raise NotImplementedError


class Schedule(Method):
    """A multiplier over the course of training, a pure function of progress."""

    def value(self, at: Progress) -> float:
        """The factor on the peak learning rate."""
        raise NotImplementedError

    def annealing(self, at: Progress) -> bool:
        """Whether the rate is coming down for good there, in a phase of its own at the end of training."""
        del at
        return False

    def annealed(self, tokens: int) -> Schedule:
        """The same past, and an annealing over the last `tokens`. Raises RecipeError where the past would change."""
        del tokens
        what = "its past depends on where training ends, so it cannot be annealed from anywhere"
        raise RecipeError(self.path(), what, "Take infinite, warmup_stable_decay or power.")


class Reweighter(Method):
    """How much each token's loss counts."""

    needs_reference: ClassVar[bool] = False
    """Whether it asks for the losses of a reference model on the same tokens."""

    def weights(
        self, loss_BT: torch.Tensor, weight_BT: torch.Tensor, at: Progress, reference_BT: torch.Tensor | None = None
    ) -> torch.Tensor:
        """weight_BT' of the whole global batch, from detached losses; the loss is their weighted sum over the sum of
        `weight_BT`, so weights that keep that sum keep the scale of the gradient."""
        raise NotImplementedError


class Pruning(Method):
    """Which weights of the blocks' matrices are switched off on the way."""

    def sparsity(self, at: Progress, saving: float) -> float:
        """Share of them that is off from this point on; it never falls.

        `saving` is the share of the FLOP of a dense model that would be saved if all its matrices were off.
        """
        raise NotImplementedError

    def importance(self, weight: torch.Tensor) -> torch.Tensor:
        """Of a matrix's elements, in its shape; over all matrices, the lowest are switched off first."""
        raise NotImplementedError


class Source(Protocol):
    """Training tokens by number: a pure function of (seed, source, epoch, index), given when it was made."""

    @property
    def name(self) -> str:
        """Tells the sources of a run apart: each has its own cursor."""
        ...

    @property
    def stride(self) -> int:
        """Tokens by which one reading lies behind the one before: what a cursor moves by."""
        ...

    def reading(self, index: int) -> Reading:
        """The index-th reading since the start of training, over epochs."""
        ...

    def documents(self, index: int) -> list[bytes]:
        """Ids of the documents that reading was cut from."""
        ...
