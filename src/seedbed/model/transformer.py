"""The decoder: from token ids to logits, made of the parts its shape names, float32 unless autocast says otherwise.

Blocks are pre-norm: x + part(norm(x)). Parameter names are those of a Llama checkpoint, so an export is a copy.
Axes: B sequences, T positions, V vocabulary, C width.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from seedbed.core.errors import SeedbedError
from seedbed.model.contract import Kind
from seedbed.model.layers import Cache, Projection, Sight, Table
from seedbed.model.shape import ModelShape

__all__ = ["Cache", "Decoder", "ModelShape", "initial_model", "kind_of"]


class Block(nn.Module):
    """x + attention(norm(x)), then x + feed_forward(norm(x)); norms times a factor where depth is scaled."""

    def __init__(self, shape: ModelShape, layer: int) -> None:
        super().__init__()
        self.factor = 1.0 if shape.depth_scaling is None else shape.depth_scaling.factor(layer)
        self.input_layernorm = shape.norm.build(shape.d_model)
        self.self_attn = shape.attention.build(shape.heads, layer)
        self.post_attention_layernorm = shape.norm.build(shape.d_model)
        self.mlp = shape.feed_forward.build(shape.d_model, shape.ff_width, shape.biases == "all")

    def forward(self, x_BTC: Tensor, sight: Sight) -> Tensor:
        """y_BTC."""
        x_BTC = x_BTC + cast(Tensor, self.self_attn(_times(self.input_layernorm(x_BTC), self.factor), sight))
        return x_BTC + cast(Tensor, self.mlp(_times(self.post_attention_layernorm(x_BTC), self.factor)))


def _times(x: Tensor, factor: float) -> Tensor:
    """A factor of 1 costs nothing."""
    return x if factor == 1.0 else x * factor


class Backbone(nn.Module):
    """Embedding, positions, blocks, final norm: everything below the head."""

    def __init__(self, shape: ModelShape) -> None:
        super().__init__()
        self.embed_tokens = Table(shape.vocab_size, shape.d_model)
        self.embed_positions = shape.positions.build(shape.context, shape.d_model, shape.head_width)
        self.layers = nn.ModuleList(Block(shape, layer) for layer in range(1, shape.n_layers + 1))
        self.norm = shape.norm.build(shape.d_model)


class Decoder(nn.Module):
    """Token ids -> logits. Made by `initial_model` or read by `checkpoint.load_model`."""

    def __init__(self, shape: ModelShape) -> None:
        super().__init__()
        self.shape = shape
        self.model = Backbone(shape)
        self.lm_head = None if shape.tied_embeddings else Projection(shape.d_model, shape.vocab_size)

    @property
    def head_weight(self) -> Tensor:
        """(V, C): the rows that score the vocabulary."""
        return self.model.embed_tokens.weight if self.lm_head is None else self.lm_head.weight

    def hidden(self, ids_BT: Tensor, document_BT: Tensor | None = None, *, cache: Cache | None = None) -> Tensor:
        """x_BTC below the head, after the final norm: logits are its products with `head_weight`.

        Args:
            ids_BT: tokens; with a cache those behind what it holds.
            document_BT: number of each token's document; attention stays inside documents. One document lies together.
            cache: keys and values of the tokens before, which grows by these; not with documents.

        Raises:
            SeedbedError: where the positions exceed the context.
        """
        assert cache is None or document_BT is None, "a cache holds one document a row"
        T, places = ids_BT.shape[1], self.model.embed_positions
        sight = Sight(places, T, ids_BT.device, document_BT, cache)
        if self.shape.context < sight.first + T:
            raise SeedbedError("model", f"{sight.first + T} positions do not fit the context of {self.shape.context}")
        x_BTC = places.add(cast(Tensor, self.model.embed_tokens(ids_BT)), sight)
        for block in self.model.layers:
            x_BTC = block(x_BTC, sight)
        if cache is not None:
            cache.length += T
        return _times(self.model.norm(x_BTC), self.shape.parametrization.output_multiplier(self.shape.d_model))

    def forward(self, ids_BT: Tensor, document_BT: Tensor | None = None) -> Tensor:
        """logits_BTV, float32."""
        return functional.linear(self.hidden(ids_BT, document_BT), self.head_weight).float()


def initial_model(shape: ModelShape, seed: int) -> Decoder:
    """A decoder drawn from `seed` alone: the global generator is neither read nor moved.

    Deviations are the parametrization's; gains stay 1 and biases 0.
    """
    model = Decoder(shape)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            writers = 2 * shape.n_layers if ".o_proj." in name or ".down_proj." in name else 1
            deviation = shape.parametrization.deviation(kind_of(name, parameter), parameter.shape[-1], writers)
            if deviation:
                parameter.normal_(0.0, deviation, generator=generator)
    return model


def kind_of(name: str, parameter: Tensor) -> Kind:
    """What a weight is, by its place and its axes."""
    if parameter.ndim < 2:
        return "vector"
    if ".embed_" in name:
        return "embedding"
    return "head" if name.startswith("lm_head.") else "matrix"
