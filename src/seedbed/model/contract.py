"""The questions a model asks of its parts: six slots, each a shelf of this room. No torch is needed to read this file.

Norm             how is the residual stream brought to scale before it is read?
Positions        how does a token know where it stands?
Attention        what does a token read of those before it?
FeedForward      what is done with each position alone?
DepthScaling     by what are the norms' outputs multiplied, layer by layer?
Parametrization  how do initial size, rate and decay of a weight follow from its place and the model's width?

A part builds its module from the few sizes it is told; it never sees the whole shape. Layers are counted from 1.
Matrices that write into the residual stream are called o_proj or down_proj, as in a Llama checkpoint: what is drawn
smaller for the sake of depth is known by that.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias

from seedbed.core.method import Method

if TYPE_CHECKING:
    from torch import nn

    from seedbed.model.layers import Places

Biases: TypeAlias = Literal["none", "qkv", "all"]
"""Which matrices have a bias: none, the attention's three inputs (Qwen2), or all of the blocks (GPT-2)."""

Kind: TypeAlias = Literal["embedding", "matrix", "vector", "head"]
"""What a weight is, to optimizers and parametrizations: a table of rows that are looked up, a matrix of a block, gains
and biases, or the matrix that scores the vocabulary (a tied one counts as embedding)."""


@dataclasses.dataclass(frozen=True)
class Heads:
    """The sizes of an attention.

    Args:
        model_width: of the residual stream.
        query, key_value: numbers of heads.
        width: of one head.
        scale: factor on the products of queries and keys.
        biases: which matrices have one.
        norm: of each query's and each key's head, or None.
    """

    model_width: int
    query: int
    key_value: int
    width: int
    scale: float
    biases: Biases = "none"
    norm: Norm | None = None


class Norm(Method):
    """How the residual stream is brought to scale."""

    def build(self, width: int) -> nn.Module:
        """x -> y of the same shape, over the last axis."""
        raise NotImplementedError

    def parameters(self, width: int) -> int:
        """Numbers it learns."""
        raise NotImplementedError


class Positions(Method):
    """How a token knows where it stands."""

    even_heads: ClassVar[bool] = False
    """Whether heads must be of even width."""

    def build(self, context: int, width: int, head_width: int) -> Places:
        """What acts on embeddings, or on queries and keys."""
        raise NotImplementedError

    def parameters(self, context: int, width: int) -> int:
        """Numbers it learns; scaling laws count them with the embedding."""
        raise NotImplementedError


class Attention(Method):
    """What a token reads of those before it."""

    def build(self, heads: Heads, layer: int) -> nn.Module:
        """(x_BTC, sight) -> y_BTC; see layers.Sight."""
        raise NotImplementedError

    def parameters(self, heads: Heads) -> int:
        """Numbers a layer learns."""
        raise NotImplementedError

    def multiply_adds(self, heads: Heads, length: int, layer: int) -> float:
        """Multiplications with their additions of one forward pass, per token of a sequence of `length`."""
        raise NotImplementedError


class FeedForward(Method):
    """What is done with each position alone."""

    def default_width(self, width: int) -> int:
        """The inner width where the shape names none."""
        raise NotImplementedError

    def build(self, width: int, inner: int, bias: bool) -> nn.Module:
        """x_BTC -> y_BTC."""
        raise NotImplementedError

    def parameters(self, width: int, inner: int, bias: bool) -> int:
        """Numbers a layer learns."""
        raise NotImplementedError

    def multiply_adds(self, width: int, inner: int) -> float:
        """Multiplications with their additions of one forward pass, per token."""
        raise NotImplementedError


class DepthScaling(Method):
    """By what the norms' outputs are multiplied, layer by layer."""

    def factor(self, layer: int) -> float:
        """For both norms of a layer."""
        raise NotImplementedError


class Parametrization(Method):
    """How a weight's initial size, rate and decay follow from its place and the model's width."""

    @property
    def scales_residual(self) -> bool:
        """Whether what writes into the residual stream is drawn smaller in deep models."""
        return False

    def deviation(self, kind: Kind, fan_in: int, writers: int) -> float:
        """Standard deviation of a fresh weight; `writers` into the residual stream, or 1 for a weight that is none."""
        raise NotImplementedError

    def lr_scale(self, kind: Kind, width: int) -> float:
        """Factor on the learning rate, in a model of this width."""
        del kind, width
        return 1.0

    def decay_scale(self, kind: Kind, width: int) -> float:
        """Factor on the weight decay, which is multiplied by the learning rate too."""
        del kind, width
        return 1.0

    def attention_scale(self, head_width: int) -> float:
        """Factor on the products of queries and keys."""
        return head_width**-0.5

    def output_multiplier(self, width: int) -> float:
        """Factor on what the head reads."""
        del width
        return 1.0
