"""The head and its cross-entropy in one step: logits are made, used and forgotten chunk by chunk.

With logits z = h W^T, the loss of a token is logsumexp(z) - z_target, and its gradient by z is softmax(z) - onehot.
A chunk of logits is turned into exp(z - max) in place; the normaliser and the token's weight are applied on the narrow
side (h), so no pass over the wide logits is spent on them. Nothing is computed twice: forward keeps
exp(z - max) - onehot sum exp(z - max) of each chunk for backward.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from seedbed.model.kernels.passes import exponents
from seedbed.model.kernels.products import outer, product
from seedbed.model.tensors import apply

CHUNK_LOGITS = 1 << 25
"""Logits made at a time: 128 MB. The weight's gradient is summed chunk by chunk, so few chunks are quicker."""


def tokens_at_a_time(vocabulary: int) -> int:
    """Tokens in a chunk; a function of the vocabulary alone, so that sums are taken in the same order everywhere."""
    return max(64, CHUNK_LOGITS // vocabulary)


def linear_cross_entropy(hidden_BTC: Tensor, weight_VC: Tensor, target_BT: Tensor) -> Tensor:
    """loss_BT in nats, float32: -log softmax(hidden W^T)[target]."""
    with torch.autocast(hidden_BTC.device.type, enabled=False):
        hidden_NC = hidden_BTC.reshape(-1, hidden_BTC.shape[-1]).float()
        loss_N = apply(LinearCrossEntropy, hidden_NC, weight_VC.float(), target_BT.reshape(-1))
    return loss_N.view(target_BT.shape)


class LinearCrossEntropy(torch.autograd.Function):
    """loss_N of (hidden_NC, weight_VC, target_N); gradients by hidden and weight."""

    @staticmethod
    def forward(ctx: Any, hidden_NC: Tensor, weight_VC: Tensor, target_N: Tensor) -> Tensor:  # pyright: ignore
        """Nats of each token."""
        kept: list[tuple[Tensor, Tensor]] = []
        loss_N = hidden_NC.new_empty(len(hidden_NC))
        step = tokens_at_a_time(len(weight_VC))
        for begin in range(0, len(hidden_NC), step):
            piece = slice(begin, begin + step)
            logits = product(hidden_NC[piece], weight_VC)
            chosen = logits.gather(1, target_N[piece, None])
            top, scale = exponents(logits)
            loss_N[piece] = (scale.log() + top - chosen).squeeze(1)
            if any(ctx.needs_input_grad):
                logits.scatter_(1, target_N[piece, None], logits.gather(1, target_N[piece, None]) - scale)
                kept.append((logits, scale))
        ctx.save_for_backward(hidden_NC, weight_VC)
        ctx.kept = kept
        return loss_N

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_N: Tensor) -> tuple[Tensor, Tensor, None]:  # pyright: ignore
        """The chain rule, chunk by chunk."""
        hidden_NC, weight_VC = cast("tuple[Tensor, Tensor]", ctx.saved_tensors)
        grad_hidden = torch.empty_like(hidden_NC)
        grad_weight = torch.zeros_like(weight_VC)
        step = tokens_at_a_time(len(weight_VC))
        for i, (slope, scale) in enumerate(cast("list[tuple[Tensor, Tensor]]", ctx.kept)):
            piece = slice(i * step, (i + 1) * step)
            share = grad_N[piece, None] / scale
            torch.mul(product(slope, weight_VC.T), share, out=grad_hidden[piece])
            grad_weight += outer(slope, hidden_NC[piece] * share)
        ctx.kept = []
        return grad_hidden, grad_weight, None
