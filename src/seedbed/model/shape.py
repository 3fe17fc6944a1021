"""The shape of a decoder: the numbers that say how large it is and how it reads. Needs no torch."""

from __future__ import annotations

import dataclasses
from typing import Annotated

from annotated_types import Ge, Gt, Le

from seedbed.core import parameters
from seedbed.core.errors import RecipeError


@dataclasses.dataclass(frozen=True)
class ModelShape:
    """A Llama-style decoder.

    Args:
        vocab_size: rows of the embedding.
        d_model: width of the residual stream.
        n_layers: blocks.
        n_heads: query heads; d_model / n_heads must be even, for rotary positions.
        n_kv_heads: key and value heads; None means n_heads (below n_heads: grouped-query attention).
        d_ff: width of the gated feed-forward; None means 8/3 d_model rounded to a multiple of 16.
        context: longest sequence in tokens.
        tied_embeddings: the head is the embedding.
        rope_base: base of the rotary frequencies.
        norm_eps: added to the mean square in RMSNorm.
    """

    vocab_size: Annotated[int, Ge(2), Le(1 << 24)]
    d_model: Annotated[int, Ge(2), Le(1 << 16)] = 96
    n_layers: Annotated[int, Ge(1), Le(1024)] = 3
    n_heads: Annotated[int, Ge(1), Le(1024)] = 4
    n_kv_heads: Annotated[int | None, Ge(1), Le(1024)] = None
    d_ff: Annotated[int | None, Ge(1), Le(1 << 20)] = None
    context: Annotated[int, Ge(2), Le(1 << 20)] = 256
    tied_embeddings: bool = True
    rope_base: Annotated[float, Gt(0)] = 10000.0
    norm_eps: Annotated[float, Gt(0), Le(1)] = 1e-5

    def __post_init__(self) -> None:
        """Raises RecipeError naming the first field that cannot be meant."""
        where = "model.shape"
        parameters.check(self, where)
        if self.d_model % self.n_heads:
            what = f"{self.d_model} is not divisible by n_heads={self.n_heads}"
            raise RecipeError(f"{where}.d_model", what, "Choose d_model as a multiple of n_heads.")
        if self.head_width % 2:
            what = f"{self.d_model} / n_heads={self.n_heads} gives heads of odd width {self.head_width}"
            raise RecipeError(f"{where}.d_model", what, "Rotary positions need heads of even width.")
        if self.n_heads % self.kv_heads:
            what = f"{self.kv_heads} does not divide n_heads={self.n_heads}"
            raise RecipeError(f"{where}.n_kv_heads", what, "Every group must have the same number of query heads.")

    @property
    def head_width(self) -> int:
        """Width of one head."""
        return self.d_model // self.n_heads

    @property
    def kv_heads(self) -> int:
        """Key and value heads, resolved."""
        return self.n_heads if self.n_kv_heads is None else self.n_kv_heads

    @property
    def feed_forward(self) -> int:
        """Width of the gated feed-forward, resolved."""
        return max(16, round(self.d_model * 8 / 3 / 16) * 16) if self.d_ff is None else self.d_ff
