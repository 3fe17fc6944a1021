"""The gated feed-forward, as several parts are made of it."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from seedbed.model.kernels.passes import gated_silu
from seedbed.model.layers import Projection, project


def gated_width(width: int) -> int:
    """8/3 of the model's, rounded to a multiple of 16: three matrices then hold what two of 4 C would."""
    return max(16, round(width * 8 / 3 / 16) * 16)


class GatedFeedForward(nn.Module):
    """down(silu(gate(x)) * up(x))."""

    def __init__(self, width: int, inner: int, bias: bool) -> None:
        super().__init__()
        self.gate_proj = Projection(width, inner, bias)
        self.up_proj = Projection(width, inner, bias)
        self.down_proj = Projection(inner, width, bias)

    def forward(self, x_BTC: Tensor) -> Tensor:
        """y_BTC."""
        return cast(Tensor, self.down_proj(gated_silu(project(x_BTC, self.gate_proj, self.up_proj))))
