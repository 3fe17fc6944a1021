"""What is asked of transforms: a checkpoint becomes another one, offline, in float32, and it is said what that moved.

Transform     how does a trained model become one of another vocabulary, size or mind, without a training step?
Initializer   with which rows do tokens enter that a model has never seen?

A transform says beforehand what it promises; `movement.moved` measures it on text, and a broken promise is an error.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from seedbed.core.method import Method

if TYPE_CHECKING:
    from torch import Tensor

    from seedbed.model.shape import ModelShape
    from seedbed.model.transformer import Decoder

Promise: TypeAlias = Literal["exact", "greedy", "none"]
"""What a transform keeps of the function on text in tokens that both models know: the logits ("exact", up to rounding),
the likeliest token ("greedy"), or nothing that could be promised."""


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """A model with its tokenizer, as transforms take and give it; nobody changes one.

    Args:
        decoder: in float32, on the CPU.
        tokenizer_json: the tokenizer's definition, where one travels with the model.
        end_of_text: id of the token that ends a text, where one is known.
    """

    decoder: Decoder
    tokenizer_json: str | None = None
    end_of_text: int | None = None


def no_texts() -> Iterator[str]:
    """Nothing to read."""
    return iter(())


@dataclasses.dataclass(frozen=True)
class Given:
    """What a transform is handed beside the checkpoint.

    Args:
        texts: gives the texts it may read, from the beginning each time it is called.
        models: role -> checkpoint, for each of the transform's `roles`.
        seed: of all chance.
    """

    texts: Callable[[], Iterator[str]] = no_texts
    models: Mapping[str, Checkpoint] = dataclasses.field(default_factory=dict[str, Checkpoint])
    seed: int = 0


class Transform(Method):
    """Checkpoint -> checkpoint."""

    needs_texts: ClassVar[bool] = False
    """Whether it reads text."""
    roles: ClassVar[tuple[str, ...]] = ()
    """Further models that it needs, by role."""

    def promise(self, shape: ModelShape) -> Promise:
        """What it keeps of the function of a model of this shape."""
        del shape
        return "none"

    def apply(self, checkpoint: Checkpoint, given: Given) -> Checkpoint:
        """The new checkpoint. Raises SeedbedError where this one cannot be transformed so."""
        raise NotImplementedError


@dataclasses.dataclass(frozen=True)
class NewTokens:
    """Tokens that enter a vocabulary: rows V .. V + M - 1 behind the V old ones, whose ids stay.

    Args:
        old: the checkpoint that does not know them.
        tokenizer_json: the new tokenizer's definition.
        pieces: of each new token, in order: the ids that the old tokenizer writes it with.
        texts: gives texts in which they occur, from the beginning each time it is called.
        seed: of all chance.
    """

    old: Checkpoint
    tokenizer_json: str
    pieces: tuple[npt.NDArray[np.int64], ...]
    texts: Callable[[], Iterator[str]] = no_texts
    seed: int = 0


class Initializer(Method):
    """Rows of tokens that a model has never seen."""

    needs_texts: ClassVar[bool] = False
    """Whether it reads text."""
    convex: ClassVar[bool] = False
    """Whether every new output row is a convex combination of old ones: then greedy decoding does not change."""

    def rows(self, new: NewTokens) -> tuple[Tensor, Tensor | None]:
        """(input rows, output rows), each (M, C) in float32; None for the second where the model ties the two."""
        raise NotImplementedError
