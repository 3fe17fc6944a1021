"""Squared ReLU: a feed-forward of two matrices with max(0, z)^2 between.

What      Two matrices; what is negative between them becomes 0, the rest is squared.
Source    So et al. 2021 (Primer), arXiv 2109.08668, section 4.
Formula   y = down(max(0, up(x))^2)
Shapes    x_BTC -> y_BTC, inner width F = 4 C unless the shape says otherwise
Units     plain numbers
Fidelity  Exact; compared with the formula in float64.
Errors    NaN gives NaN; squares of large numbers overflow in half precision.
"""

from __future__ import annotations

import dataclasses
from typing import cast

from torch import Tensor, nn
from torch.nn import functional

from seedbed.model.contract import FeedForward
from seedbed.model.layers import Projection


@dataclasses.dataclass(frozen=True)
class SquaredReLU(FeedForward):
    """Two matrices and a squared ReLU."""

    def default_width(self, width: int) -> int:
        """Four times the model's."""
        return 4 * width

    def build(self, width: int, inner: int, bias: bool) -> nn.Module:
        """Two matrices."""
        return SquaredReLULayer(width, inner, bias)

    def parameters(self, width: int, inner: int, bias: bool) -> int:
        """Two matrices and their biases."""
        return 2 * width * inner + (inner + width if bias else 0)

    def multiply_adds(self, width: int, inner: int) -> float:
        """Two products."""
        return 2 * width * inner


class SquaredReLULayer(nn.Module):
    """down(max(0, up(x))^2)."""

    def __init__(self, width: int, inner: int, bias: bool) -> None:
        super().__init__()
        self.up_proj = Projection(width, inner, bias)
        self.down_proj = Projection(inner, width, bias)

    def forward(self, x_BTC: Tensor) -> Tensor:
        """y_BTC."""
        return cast(Tensor, self.down_proj(functional.relu(self.up_proj(x_BTC)).square()))
