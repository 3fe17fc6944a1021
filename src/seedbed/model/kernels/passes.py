"""Passes over rows that read memory once, where torch's own operations read it several times."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from seedbed.model.kernels import rows
from seedbed.model.kernels.ground import apply, array, memory, share, steps, suits


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """x / sqrt(mean(x^2) + eps) * weight over the last axis."""
    if not suits(x, weight):
        return functional.rms_norm(x, (x.shape[-1],), weight, eps)
    return apply(_RMSNorm, x, weight, eps)


def gated_silu(both: Tensor) -> Tensor:
    """silu(gate) * up, where the last axis holds the gates, then the ups."""
    if not suits(both):
        gate, up = both.chunk(2, dim=-1)
        return functional.silu(gate) * up
    return apply(_GatedSilu, both)


def turn(x_BHTD: Tensor, cos_TD: Tensor, sin_TD: Tensor, sign: float) -> Tensor:
    """The pair (i, i + D/2) of every head turned by sign times the angle of its position. Without gradients."""
    B, H, T, D = x_BHTD.shape
    turned_BHTD = x_BHTD.new_empty(B, T, H, D).transpose(1, 2)
    if suits(x_BHTD, cos_TD, sin_TD) and x_BHTD.stride(3) == 1:
        out, tables = array(turned_BHTD.transpose(1, 2)), (array(cos_TD), array(sin_TD))
        given = memory(x_BHTD), steps(x_BHTD)
        share(B * T, lambda first, last, _: rows.turn(first, last, H, *given, *tables, sign, out))
        return turned_BHTD
    first, second = x_BHTD.chunk(2, dim=-1)
    left, right = turned_BHTD.chunk(2, dim=-1)
    torch.mul(first, cos_TD, out=left).addcmul_(second, sin_TD, value=-sign)
    torch.mul(second, cos_TD, out=right).addcmul_(first, sin_TD, value=sign)
    return turned_BHTD


def exponents(logits_NV: Tensor) -> tuple[Tensor, Tensor]:
    """(top_N1, sum_N1): logits become exp(logits - top), in place. Without gradients."""
    if suits(logits_NV):
        top, total = logits_NV.new_empty(2, len(logits_NV), 1)
        arrays = array(logits_NV), array(top[:, 0]), array(total[:, 0])
        share(len(logits_NV), lambda first, last, _: rows.exponents(first, last, *arrays))
        return top, total
    top = logits_NV.amax(1, keepdim=True)
    return top, logits_NV.sub_(top).exp_().sum(1, keepdim=True)


def _rows(x: Tensor) -> Any:
    return array(x.reshape(-1, x.shape[-1]))


def _copy(weight: Tensor) -> Any:
    """A parameter's own memory must not be shown to arrays: FSDP could no longer give it back."""
    return array(weight.detach().clone())


class _RMSNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, eps: float) -> Tensor:  # pyright: ignore
        x = x.contiguous()
        out, inverse = torch.empty_like(x), x.new_empty(x.numel() // x.shape[-1])
        arrays = _rows(x), _copy(weight), eps, _rows(out), array(inverse)
        share(len(inverse), lambda first, last, _: rows.rms_norm(first, last, *arrays))
        ctx.save_for_backward(x, weight, inverse)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:  # pyright: ignore
        x, weight, inverse = cast("tuple[Tensor, Tensor, Tensor]", ctx.saved_tensors)
        by_x, by_weight = torch.empty_like(x), weight.new_zeros(torch.get_num_threads(), len(weight))
        arrays = _rows(x), _copy(weight), array(inverse), _rows(grad.contiguous()), _rows(by_x)
        sums = array(by_weight)
        share(len(inverse), lambda first, last, part: rows.rms_norm_backward(first, last, *arrays, sums[part]))
        return by_x, by_weight.sum(0) if len(by_weight) > 1 else by_weight[0], None


class _GatedSilu(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, both: Tensor) -> Tensor:  # pyright: ignore
        both = both.contiguous()
        out = both.new_empty(*both.shape[:-1], both.shape[-1] // 2)
        arrays = _rows(both), _rows(out)
        share(len(arrays[0]), lambda first, last, _: rows.gated_silu(first, last, *arrays))
        ctx.save_for_backward(both)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:  # pyright: ignore
        (both,) = cast("tuple[Tensor]", ctx.saved_tensors)
        by_both = torch.empty_like(both)
        arrays = _rows(both), _rows(grad.contiguous()), _rows(by_both)
        share(len(arrays[0]), lambda first, last, _: rows.gated_silu_backward(first, last, *arrays))
        return by_both
