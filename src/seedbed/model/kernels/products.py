"""x W^T through oneDNN: MKL, which torch asks for float32 products, leaves half of an AMD processor's vectors unused.

On a Zen 5 core oneDNN reaches 228 GFLOP/s where MKL reaches 100, at every shape of a small decoder; on Intel's
processors they are alike. Both compute in float32.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from seedbed.model.kernels.ground import apply, suits

_onednn = cast(Any, torch).ops.mkldnn if torch.backends.mkldnn.is_available() else None
_FEWEST_ROWS, _FEWEST_PRODUCTS = 16, 1 << 18
"""Below either the call costs more than it wins."""


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x @ weight.T + bias, with gradients."""
    rows = x.numel() // x.shape[-1]
    if not _wins(rows, weight) or not suits(x, weight, *(() if bias is None else (bias,))):
        return functional.linear(x, weight, bias)
    found = apply(_Linear, x, weight)
    return found if bias is None else found + bias


def product(x_NK: Tensor, weight_MK: Tensor) -> Tensor:
    """x @ weight.T without gradients, of any strides; what is neither dense nor turned is copied."""
    if not _wins(len(x_NK), weight_MK) or not suits(x_NK, weight_MK):
        return x_NK @ weight_MK.T
    if not weight_MK.is_contiguous() and not weight_MK.T.is_contiguous():
        weight_MK = weight_MK.contiguous()  # over other strides oneDNN is a thousand times slower
    return cast(Tensor, cast(Any, _onednn)._linear_pointwise(x_NK, weight_MK, None, "none", [], ""))


def outer(grad_NM: Tensor, x_NK: Tensor) -> Tensor:
    """grad.T @ x: a weight's gradient. The narrower of the two is turned, which takes a copy."""
    if x_NK.shape[1] < grad_NM.shape[1]:
        return product(x_NK.T, grad_NM.T).T
    return product(grad_NM.T, x_NK.T)


def _wins(rows: int, weight: Tensor) -> bool:
    return _onednn is not None and rows >= _FEWEST_ROWS and rows * weight.numel() >= _FEWEST_PRODUCTS


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:  # pyright: ignore
        ctx.save_for_backward(x, weight)
        return product(x.reshape(-1, x.shape[-1]), weight).view(*x.shape[:-1], -1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None]:  # pyright: ignore
        x, weight = cast("tuple[Tensor, Tensor]", ctx.saved_tensors)
        grad_NM = grad.reshape(-1, grad.shape[-1])
        by_x = product(grad_NM, weight.T).view(x.shape) if ctx.needs_input_grad[0] else None
        by_weight = outer(grad_NM, x.reshape(-1, x.shape[-1])) if ctx.needs_input_grad[1] else None
        return by_x, by_weight
