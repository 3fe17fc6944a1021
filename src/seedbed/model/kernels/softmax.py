"""Causal attention in blocks of a few queries whose scores stay in the nearest cache.

What lies ahead of a query is never computed, what it must not see (another document, beyond a window) is skipped where
whole tiles are. At 256 positions and heads of 32 forward and backward take a third of the time of torch's kernel.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from seedbed.model.kernels import attending
from seedbed.model.kernels.ground import apply, array, memory, share, steps, suits
from seedbed.model.tensors import split

_attention, _attention_backward = cast(Any, attending.attention), cast(Any, attending.attention_backward)


def attends(q_BHTD: Tensor, k_BKTD: Tensor, v_BKTD: Tensor) -> bool:
    """Whether `attention` can be asked."""
    joined = q_BHTD.shape[2] == k_BKTD.shape[2] and q_BHTD.stride(3) == k_BKTD.stride(3) == v_BKTD.stride(3) == 1
    return joined and suits(q_BHTD, k_BKTD, v_BKTD)


def attention(q_BHTD: Tensor, k_BKTD: Tensor, v_BKTD: Tensor, begin_BT: Tensor, scale: float) -> Tensor:
    """y_BHTD = softmax(scale q k^T) v over the positions from `begin_BT` to the query's own.

    `begin_BT`, of one sequence or of all, must not fall along a sequence.
    """
    return apply(_Attention, q_BHTD, k_BKTD, v_BKTD, begin_BT, scale)


class _Attention(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        q_BHTD: Tensor,
        k_BKTD: Tensor,
        v_BKTD: Tensor,
        begin_BT: Tensor,
        scale: float,  # pyright: ignore
    ) -> Tensor:
        B, H, T, D = q_BHTD.shape
        out_BTHD, (top_BHT, sum_BHT) = q_BHTD.new_empty(B, T, H, D), q_BHTD.new_empty(2, B, H, T)
        given = _given(q_BHTD, k_BKTD, v_BKTD, begin_BT, scale)
        made = array(out_BTHD), array(top_BHT), array(sum_BHT)

        def work(first: int, last: int, part: int) -> None:
            del part
            _attention(first, last, *given, *made)

        share(B * k_BKTD.shape[1], work)
        ctx.save_for_backward(q_BHTD, k_BKTD, v_BKTD, begin_BT, out_BTHD, top_BHT.add_(sum_BHT.log2_()))
        ctx.scale = scale
        return out_BTHD.transpose(1, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_BHTD: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:  # pyright: ignore
        q_BHTD, k_BKTD, v_BKTD, begin_BT, out_BTHD, log_sum_BHT = cast("tuple[Tensor, ...]", ctx.saved_tensors)
        B, H, T, D = q_BHTD.shape
        K = k_BKTD.shape[1]
        by_qkv_BTHD = q_BHTD.new_empty(B, T, H + 2 * K, D)
        given = _given(q_BHTD, k_BKTD, v_BKTD, begin_BT, ctx.scale)
        grad_BTHD = grad_BHTD.transpose(1, 2).contiguous()
        made = array(out_BTHD), array(log_sum_BHT), array(grad_BTHD), array(by_qkv_BTHD)

        def work(first: int, last: int, part: int) -> None:
            del part
            _attention_backward(first, last, *given, *made)

        share(B * K, work)
        by_qk_BHTD, by_v_BKTD = split(by_qkv_BTHD.transpose(1, 2), (H + K, K), 1)
        return *split(by_qk_BHTD, (H, K), 1), by_v_BKTD, None, None


def _given(q_BHTD: Tensor, k_BKTD: Tensor, v_BKTD: Tensor, begin_BT: Tensor, scale: float) -> tuple[Any, ...]:
    _, H, T, D = q_BHTD.shape
    parts = ((memory(part), steps(part)) for part in (q_BHTD, k_BKTD, v_BKTD))
    return (H, k_BKTD.shape[1], T, D), scale, array(begin_BT), *(each for part in parts for each in part)
