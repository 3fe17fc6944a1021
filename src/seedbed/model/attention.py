"""Softmax attention over the tokens before, all or the nearest: what the methods of attentions/ share."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from seedbed.model.contract import Heads
from seedbed.model.kernels.softmax import attends, attention
from seedbed.model.layers import Projection, Sight, project
from seedbed.model.tensors import split


class SoftmaxAttention(nn.Module):
    """Causal self-attention, in groups of query heads that share a key and value head.

    Args:
        layer: counted from 1; names its place in a cache.
        window: the nearest tokens that are seen, the token itself among them; None for all.
    """

    q_norm: nn.Module | None
    k_norm: nn.Module | None

    def __init__(self, heads: Heads, layer: int, window: int | None = None) -> None:
        super().__init__()
        self.heads, self.layer, self.window = heads, layer, window
        query_width, kv_width = heads.query * heads.width, heads.key_value * heads.width
        self.q_proj = Projection(heads.model_width, query_width, heads.biases != "none")
        self.k_proj = Projection(heads.model_width, kv_width, heads.biases != "none")
        self.v_proj = Projection(heads.model_width, kv_width, heads.biases != "none")
        self.o_proj = Projection(query_width, heads.model_width, heads.biases == "all")
        self.q_norm = None if heads.norm is None else heads.norm.build(heads.width)
        self.k_norm = None if heads.norm is None else heads.norm.build(heads.width)

    def forward(self, x_BTC: Tensor, sight: Sight) -> Tensor:
        """y_BTC; position t sees positions <= t."""
        q_BHTD, k_BHTD, v_BHTD = self._project(x_BTC, sight)
        if sight.cache is not None:
            k_BHTD, v_BHTD = sight.cache.extend(self.layer, k_BHTD, v_BHTD)
        y_BHTD = self._attend(q_BHTD, k_BHTD, v_BHTD, sight)
        B, T = x_BTC.shape[:2]
        return self.o_proj(y_BHTD.transpose(1, 2).reshape(B, T, -1))

    def _attend(self, q_BHTD: Tensor, k_BHTD: Tensor, v_BHTD: Tensor, sight: Sight) -> Tensor:
        if attends(q_BHTD, k_BHTD, v_BHTD):
            return attention(q_BHTD, k_BHTD, v_BHTD, sight.begin_BT(self.window), self.heads.scale)
        return attend(q_BHTD, k_BHTD, v_BHTD, sight.mask(self.window), self.heads.scale)

    def _project(self, x_BTC: Tensor, sight: Sight) -> tuple[Tensor, Tensor, Tensor]:
        """Queries and keys that know their place, and values."""
        B, T, _ = x_BTC.shape
        query, kv = self.heads.query, self.heads.key_value
        qkv_BTG = project(x_BTC, self.q_proj, self.k_proj, self.v_proj)
        qkv_BHTD = qkv_BTG.view(B, T, -1, self.heads.width).transpose(1, 2)
        qk_BHTD, v_BHTD = split(qkv_BHTD, (query + kv, kv), 1)
        if self.q_norm is not None and self.k_norm is not None:
            q_BHTD, k_BHTD = split(qk_BHTD, (query, kv), 1)
            qk_BHTD = torch.cat((cast(Tensor, self.q_norm(q_BHTD)), cast(Tensor, self.k_norm(k_BHTD))), 1)
        q_BHTD, k_BHTD = split(sight.places.turn(qk_BHTD, sight), (query, kv), 1)
        return q_BHTD, k_BHTD, v_BHTD


def attend(q_BHTD: Tensor, k_BHSD: Tensor, v_BHSD: Tensor, mask: Tensor | None, scale: float) -> Tensor:
    """y_BHTD = softmax(scale q k^T) v, over what the mask shows; without one over all that is not behind."""
    return functional.scaled_dot_product_attention(
        q_BHTD,
        k_BHSD,
        v_BHSD,
        attn_mask=mask,
        is_causal=mask is None and q_BHTD.shape[2] == k_BHSD.shape[2],
        scale=scale,
        enable_gqa=q_BHTD.shape[1] != k_BHSD.shape[1],
    )


def softmax_parameters(heads: Heads) -> int:
    """Numbers a layer learns."""
    query_width, kv_width = heads.query * heads.width, heads.key_value * heads.width
    found = (2 * query_width + 2 * kv_width) * heads.model_width
    if heads.biases != "none":
        found += query_width + 2 * kv_width
    if heads.biases == "all":
        found += heads.model_width
    return found + (0 if heads.norm is None else 2 * heads.norm.parameters(heads.width))


def softmax_multiply_adds(heads: Heads, length: int, window: int | None) -> float:
    """Per token: the four projections, and the scores and the mix of values over what a token sees on average."""
    near = length if window is None else min(window, length)
    seen = (near * (near + 1) / 2 + (length - near) * near) / length
    projections = (2 * heads.query + 2 * heads.key_value) * heads.width * heads.model_width
    return projections + 2 * heads.query * heads.width * seen
