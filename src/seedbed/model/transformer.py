"""The backbone: a Llama-style decoder, from token ids to logits, float32 throughout.

RMSNorm before each part (Zhang & Sennrich 2019, 1910.07467), rotary positions (Su et al. 2021, 2104.09864) in the
half-split layout of Hugging Face's Llama, gated SiLU feed-forward (Shazeer 2020, 2002.05202), grouped-query attention
(Ainslie et al. 2023, 2305.13245). Parameter names are those of a Llama checkpoint, so an export is a copy.
Axes: B sequences, T positions, V vocabulary, C width, H heads, D head width, F feed-forward width.
"""

from __future__ import annotations

import math
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from seedbed.core.errors import SeedbedError
from seedbed.model.shape import ModelShape
from seedbed.model.tensors import apply, split

__all__ = ["Decoder", "ModelShape", "initial_model", "rotary_tables", "rotate"]


class RMSNorm(nn.Module):
    """x / sqrt(mean(x^2) + eps) * weight."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """Same shape as x; the mean runs over the last axis."""
        return functional.rms_norm(x, (x.shape[-1],), self.weight, self.eps)


class Projection(nn.Module):
    """A matrix without bias, (out, in), as nn.Linear names it."""

    def __init__(self, width_in: int, width_out: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(width_out, width_in))

    def forward(self, x: Tensor) -> Tensor:
        """x @ weight.T."""
        return functional.linear(x, self.weight)


class Table(nn.Module):
    """A row a token. Unlike nn.Embedding it draws nothing from the global generator when made."""

    def __init__(self, rows: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(rows, width))

    def forward(self, ids: Tensor) -> Tensor:
        """The rows of `ids`."""
        return functional.embedding(ids, self.weight)


class Attention(nn.Module):
    """Causal self-attention with rotary positions."""

    def __init__(self, shape: ModelShape) -> None:
        super().__init__()
        self.heads, self.kv_heads, self.head_width = shape.n_heads, shape.kv_heads, shape.head_width
        kv_width = shape.kv_heads * shape.head_width
        self.q_proj = Projection(shape.d_model, shape.d_model)
        self.k_proj = Projection(shape.d_model, kv_width)
        self.v_proj = Projection(shape.d_model, kv_width)
        self.o_proj = Projection(shape.d_model, shape.d_model)

    def forward(self, x_BTC: Tensor, cos_TD: Tensor, sin_TD: Tensor) -> Tensor:
        """y_BTC; position t sees positions <= t."""
        B, T, C = x_BTC.shape
        # One product for the three projections: the matrices are small, so three calls would cost more than the copy.
        fused = torch.cat((self.q_proj.weight, self.k_proj.weight, self.v_proj.weight))
        qkv_BHTD = functional.linear(x_BTC, fused).view(B, T, -1, self.head_width).transpose(1, 2)
        qk_BHTD, v_BHTD = split(qkv_BHTD, (self.heads + self.kv_heads, self.kv_heads), 1)
        q_BHTD, k_BHTD = split(rotate(qk_BHTD, cos_TD, sin_TD), (self.heads, self.kv_heads), 1)
        grouped = self.kv_heads != self.heads
        y_BHTD = functional.scaled_dot_product_attention(q_BHTD, k_BHTD, v_BHTD, is_causal=True, enable_gqa=grouped)
        return self.o_proj(y_BHTD.transpose(1, 2).reshape(B, T, C))


class FeedForward(nn.Module):
    """down(silu(gate(x)) * up(x))."""

    def __init__(self, shape: ModelShape) -> None:
        super().__init__()
        self.gate_proj = Projection(shape.d_model, shape.feed_forward)
        self.up_proj = Projection(shape.d_model, shape.feed_forward)
        self.down_proj = Projection(shape.feed_forward, shape.d_model)

    def forward(self, x_BTC: Tensor) -> Tensor:
        """y_BTC."""
        return cast(Tensor, self.down_proj(functional.silu(self.gate_proj(x_BTC)) * self.up_proj(x_BTC)))


class Block(nn.Module):
    """x + attention(norm(x)), then x + feed_forward(norm(x))."""

    def __init__(self, shape: ModelShape) -> None:
        super().__init__()
        self.input_layernorm = RMSNorm(shape.d_model, shape.norm_eps)
        self.self_attn = Attention(shape)
        self.post_attention_layernorm = RMSNorm(shape.d_model, shape.norm_eps)
        self.mlp = FeedForward(shape)

    def forward(self, x_BTC: Tensor, cos_TD: Tensor, sin_TD: Tensor) -> Tensor:
        """y_BTC."""
        x_BTC = x_BTC + self.self_attn(self.input_layernorm(x_BTC), cos_TD, sin_TD)
        return x_BTC + cast(Tensor, self.mlp(self.post_attention_layernorm(x_BTC)))


class Backbone(nn.Module):
    """Embedding, blocks, final norm: everything below the head."""

    def __init__(self, shape: ModelShape) -> None:
        super().__init__()
        self.embed_tokens = Table(shape.vocab_size, shape.d_model)
        self.layers = nn.ModuleList(Block(shape) for _ in range(shape.n_layers))
        self.norm = RMSNorm(shape.d_model, shape.norm_eps)


class Decoder(nn.Module):
    """Token ids -> logits. Made by `initial_model` or read by `checkpoint.load_model`."""

    def __init__(self, shape: ModelShape) -> None:
        super().__init__()
        self.shape = shape
        self.model = Backbone(shape)
        self.lm_head = None if shape.tied_embeddings else Projection(shape.d_model, shape.vocab_size)
        cos, sin = rotary_tables(shape.context, shape.head_width, shape.rope_base)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)

    @property
    def head_weight(self) -> Tensor:
        """(V, C): the rows that score the vocabulary."""
        return self.model.embed_tokens.weight if self.lm_head is None else self.lm_head.weight

    def hidden(self, ids_BT: Tensor) -> Tensor:
        """x_BTC below the head, after the final norm. Raises SeedbedError where T exceeds the context."""
        T = ids_BT.shape[1]
        if self.shape.context < T:
            raise SeedbedError("model", f"{T} positions do not fit the context of {self.shape.context}")
        cos, sin = cast(Tensor, self.cos)[:T], cast(Tensor, self.sin)[:T]
        x_BTC = cast(Tensor, self.model.embed_tokens(ids_BT))
        for block in self.model.layers:
            x_BTC = block(x_BTC, cos, sin)
        return cast(Tensor, self.model.norm(x_BTC))

    def forward(self, ids_BT: Tensor) -> Tensor:
        """logits_BTV, float32."""
        return functional.linear(self.hidden(ids_BT), self.head_weight).float()


def rotary_tables(positions: int, head_width: int, base: float) -> tuple[Tensor, Tensor]:
    """(cos_TD, sin_TD) with D = head_width / 2 angles t * base^(-2i / head_width), computed in float64."""
    frequency_D = base ** (-torch.arange(0, head_width, 2, dtype=torch.float64) / head_width)
    angle_TD = torch.arange(positions, dtype=torch.float64)[:, None] * frequency_D
    return angle_TD.cos().float(), angle_TD.sin().float()


class Rotation(torch.autograd.Function):
    """Turns pairs by angles; its gradient turns them back. Written out because each pass over memory counts here."""

    @staticmethod
    def forward(ctx: Any, x_BHTD: Tensor, cos_TD: Tensor, sin_TD: Tensor) -> Tensor:  # pyright: ignore
        """The turned pairs."""
        ctx.save_for_backward(cos_TD, sin_TD)
        return _turn(x_BHTD, cos_TD, sin_TD, 1.0)

    @staticmethod
    def backward(ctx: Any, grad_BHTD: Tensor) -> tuple[Tensor, None, None]:  # pyright: ignore
        """A rotation's transpose is the rotation by the opposite angle."""
        cos_TD, sin_TD = cast("tuple[Tensor, Tensor]", ctx.saved_tensors)
        return _turn(grad_BHTD, cos_TD, sin_TD, -1.0), None, None


def _turn(x_BHTD: Tensor, cos_TD: Tensor, sin_TD: Tensor, sign: float) -> Tensor:
    turned = torch.empty_like(x_BHTD)
    first, second = x_BHTD.chunk(2, dim=-1)
    left, right = turned.chunk(2, dim=-1)
    torch.mul(first, cos_TD, out=left).addcmul_(second, sin_TD, value=-sign)
    torch.mul(second, cos_TD, out=right).addcmul_(first, sin_TD, value=sign)
    return turned


def rotate(x_BHTD: Tensor, cos_TD: Tensor, sin_TD: Tensor) -> Tensor:
    """Turn the pair (i, i + D/2) of every head by the angle of its position."""
    return apply(Rotation, x_BHTD, cos_TD, sin_TD)


def initial_model(shape: ModelShape, seed: int) -> Decoder:
    """A decoder drawn from `seed` alone: the global generator is neither read nor moved.

    Matrices are normal with deviation 1 / sqrt(inputs); what writes into the residual stream is smaller by
    sqrt(2 n_layers) (the two writers of each block; Radford et al. 2019, GPT-2, section 2.3). Embedding and head have
    deviation 0.02, norms are 1.
    """
    model = Decoder(shape)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            deviation = _deviation(name, shape)
            if deviation:
                parameter.normal_(0.0, deviation, generator=generator)
    return model


def _deviation(name: str, shape: ModelShape) -> float:
    """Initial deviation of a parameter; 0 leaves it as it is."""
    if name.endswith(("layernorm.weight", "norm.weight")):
        return 0.0
    if "embed_tokens" in name or "lm_head" in name:
        return 0.02
    residual = name.endswith(("o_proj.weight", "down_proj.weight"))
    fan_in = shape.feed_forward if "down_proj" in name else shape.d_model
    return fan_in**-0.5 / (math.sqrt(2 * shape.n_layers) if residual else 1.0)
