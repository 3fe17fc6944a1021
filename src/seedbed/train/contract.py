"""The questions the train room asks of its methods: four slots of the loop that may act.

Objective   what is predicted, and what is its loss?
Optimizer   how do gradients become updates?
Schedule    which value (of the learning rate) holds at this point of training?
Reweighter  how much does each token's loss count?
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from seedbed.core.method import Method

if TYPE_CHECKING:
    import torch

    from seedbed.model.transformer import Decoder


@dataclasses.dataclass(frozen=True)
class Example:
    """One training sequence. Shapes: all (T,). `weight` is 0 where a position is not trained on."""

    inputs: npt.NDArray[np.int64]
    targets: npt.NDArray[np.int64]
    weight: npt.NDArray[np.float32]


class Objective(Method):
    """What is predicted."""

    def example(self, tokens: npt.NDArray[np.int64], key: int) -> Example:
        """T + 1 tokens -> one example; chance comes from `key` alone: a 64-bit hash of (seed, source, index)."""
        raise NotImplementedError

    def losses(self, model: Decoder, inputs_BT: torch.Tensor, targets_BT: torch.Tensor) -> torch.Tensor:
        """loss_BT in nats, float32."""
        raise NotImplementedError


class Optimizer(Method):
    """How gradients become updates."""

    def build(self, parameters: Iterable[tuple[str, torch.nn.Parameter]]) -> torch.optim.Optimizer:
        """A torch optimizer over named parameters; every group has the key `lr_scale` (1 unless it says otherwise)."""
        raise NotImplementedError


class Schedule(Method):
    """A multiplier over the course of training, a pure function of progress."""

    def value(self, tokens: int, total_tokens: int) -> float:
        """The factor on the peak learning rate after `tokens` of `total_tokens`."""
        raise NotImplementedError


class Reweighter(Method):
    """How much each token's loss counts."""

    def weights(self, loss_BT: torch.Tensor, weight_BT: torch.Tensor, tokens: int, total_tokens: int) -> torch.Tensor:
        """weight_BT' for this batch, from detached losses; the weights of the batch keep their sum."""
        raise NotImplementedError


class Source(Protocol):
    """Training sequences by number: a pure function of (seed, source, epoch, index), given when it was made."""

    @property
    def name(self) -> str:
        """Tells the sources of a run apart: each has its own cursor."""
        ...

    def sequence(self, index: int) -> npt.NDArray[np.int64]:
        """T + 1 token ids of the index-th sequence since the start of training, over epochs."""
        ...

    def documents(self, index: int) -> list[bytes]:
        """Ids of the documents that sequence was cut from."""
        ...
