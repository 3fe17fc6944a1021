"""Losses that a part of the model adds of its own: their gradients join those of the main loss, their values do not.

What is trained on is the main loss alone, to the bit; a part hangs its loss on its own output, and backward passes a
share of 1 to it. The mean over the tokens of one forward pass is then one term beside a mean over the same tokens.
Where a step's tokens come in several passes (micro-batches, processes) whose gradients are summed, `share_of_step` says
which share of them a pass has.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from contextvars import ContextVar
from typing import Any, cast

from torch import Tensor, autograd

from seedbed.model.tensors import apply

_share: ContextVar[float] = ContextVar("share_of_step", default=1.0)


@contextlib.contextmanager
def share_of_step(share: float) -> Generator[None]:
    """Forward passes in here hold this share of the tokens whose gradients are summed to one step."""
    token = _share.set(share)
    try:
        yield
    finally:
        _share.reset(token)


def attached(output: Tensor, loss: Tensor) -> Tensor:
    """The output as it is; whoever takes gradients through it takes those of the loss too, times the share."""
    return apply(_Attached, output, loss * _share.get())


class _Attached(autograd.Function):
    @staticmethod
    def forward(ctx: Any, output: Tensor, loss: Tensor) -> Tensor:  # pyright: ignore
        ctx.save_for_backward(loss)
        return output.view_as(output)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:  # pyright: ignore
        (loss,) = cast("tuple[Tensor]", ctx.saved_tensors)
        return grad, loss.new_ones(loss.shape)
