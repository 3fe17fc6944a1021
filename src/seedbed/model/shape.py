"""Sizes and parts of a decoder: plain data. The parts' files, and torch with them, are read when a shape is made."""

from __future__ import annotations

import dataclasses
from typing import Annotated

from annotated_types import Ge, Le

from seedbed.core import parameters
from seedbed.core.errors import RecipeError
from seedbed.model.contract import (
    Attention,
    Biases,
    DepthScaling,
    FeedForward,
    Heads,
    Norm,
    Parametrization,
    Positions,
)


def _rms_norm() -> Norm:
    from seedbed.model.norms.rms_norm import RMSNorm

    return RMSNorm()


def _rope() -> Positions:
    from seedbed.model.positions.rope import RoPE

    return RoPE()


def _full_attention() -> Attention:
    from seedbed.model.attentions.full import FullAttention

    return FullAttention()


def _swiglu() -> FeedForward:
    from seedbed.model.feed_forwards.swiglu import SwiGLU

    return SwiGLU()


def _standard() -> Parametrization:
    from seedbed.model.parametrizations.standard import Standard

    return Standard()


@dataclasses.dataclass(frozen=True)
class ModelShape:
    """A decoder with its norms before each part; Llama's parts unless others are named.

    Args:
        vocab_size: rows of the embedding.
        d_model: width of the residual stream.
        n_layers: blocks.
        n_heads: query heads.
        n_kv_heads: key and value heads; None means n_heads (below n_heads: grouped-query attention).
        d_ff: inner width of the feed-forward; None means the part's own choice.
        head_dim: width of a head; None means d_model / n_heads.
        context: longest sequence in tokens.
        tied_embeddings: the head is the embedding.
        biases: "none", "qkv" (queries, keys and values, as in Qwen2) or "all" (every matrix of a block, as in GPT-2).
        qk_norm: each head's queries and keys pass a norm of their own, as in Qwen3.
        norm, positions, attention, feed_forward: the parts.
        depth_scaling: what multiplies the norms' outputs, layer by layer; None for nothing.
        parametrization: initial sizes, and factors on rates and decays.
    """

    vocab_size: Annotated[int, Ge(2), Le(1 << 24)]
    d_model: Annotated[int, Ge(2), Le(1 << 16)] = 96
    n_layers: Annotated[int, Ge(1), Le(1024)] = 3
    n_heads: Annotated[int, Ge(1), Le(1024)] = 4
    n_kv_heads: Annotated[int | None, Ge(1), Le(1024)] = None
    d_ff: Annotated[int | None, Ge(1), Le(1 << 20)] = None
    head_dim: Annotated[int | None, Ge(1), Le(1 << 16)] = None
    context: Annotated[int, Ge(2), Le(1 << 20)] = 256
    tied_embeddings: bool = True
    biases: Biases = "none"
    qk_norm: bool = False
    norm: Norm = dataclasses.field(default_factory=_rms_norm)
    positions: Positions = dataclasses.field(default_factory=_rope)
    attention: Attention = dataclasses.field(default_factory=_full_attention)
    feed_forward: FeedForward = dataclasses.field(default_factory=_swiglu)
    depth_scaling: DepthScaling | None = None
    parametrization: Parametrization = dataclasses.field(default_factory=_standard)

    def __post_init__(self) -> None:
        """Raises RecipeError naming the first field that cannot be meant."""
        where = "model.shape"
        parameters.check(self, where)
        if self.head_dim is None and self.d_model % self.n_heads:
            what = f"{self.d_model} is not divisible by n_heads={self.n_heads}"
            raise RecipeError(f"{where}.d_model", what, "Choose d_model as a multiple of n_heads, or give head_dim.")
        if self.head_width % 2 and self.positions.even_heads:
            field = "d_model" if self.head_dim is None else "head_dim"
            what = f"with n_heads={self.n_heads} it gives heads of odd width {self.head_width}"
            raise RecipeError(f"{where}.{field}", what, "Rotary positions need heads of even width.")
        if self.n_heads % self.kv_heads:
            what = f"{self.kv_heads} does not divide n_heads={self.n_heads}"
            raise RecipeError(f"{where}.n_kv_heads", what, "Every group must have the same number of query heads.")
        if self.depth_scaling is not None and self.parametrization.scales_residual:
            what = f"{self.depth_scaling.name()} and residual writers drawn smaller for depth damp too much together"
            mend = f"Give {self.parametrization.name()} scaled_residual=false, or leave depth_scaling out."
            raise RecipeError(f"{where}.depth_scaling", what, mend)

    @property
    def head_width(self) -> int:
        """Width of one head, resolved."""
        return self.d_model // self.n_heads if self.head_dim is None else self.head_dim

    @property
    def kv_heads(self) -> int:
        """Key and value heads, resolved."""
        return self.n_heads if self.n_kv_heads is None else self.n_kv_heads

    @property
    def ff_width(self) -> int:
        """Inner width of the feed-forward, resolved."""
        return self.feed_forward.default_width(self.d_model) if self.d_ff is None else self.d_ff

    @property
    def heads(self) -> Heads:
        """The sizes of an attention."""
        scale = self.parametrization.attention_scale(self.head_width)
        norm = self.norm if self.qk_norm else None
        return Heads(self.d_model, self.n_heads, self.kv_heads, self.head_width, scale, self.biases, norm)
