"""GELU: a feed-forward of two matrices with the Gaussian error linear unit between.

What      Two matrices; each number between them is multiplied by the chance that a standard normal one is smaller.
Source    Hendrycks & Gimpel 2016, arXiv 1606.08415, section 2; the tanh form as in GPT-2 (Hugging Face's gelu_new).
Formula   y = down(gelu(up(x)));  gelu(z) = z Phi(z), or
          z / 2 (1 + tanh(sqrt(2 / pi) (z + 0.044715 z^3))) where approximate
Shapes    x_BTC -> y_BTC, inner width F = 4 C unless the shape says otherwise
Units     plain numbers
Fidelity  Exact, both forms; compared with the formulas in float64.
Errors    NaN gives NaN.
"""

from __future__ import annotations

import dataclasses
from typing import cast

from torch import Tensor, nn
from torch.nn import functional

from seedbed.model.contract import FeedForward
from seedbed.model.layers import Projection


@dataclasses.dataclass(frozen=True)
class GELU(FeedForward):
    """Two matrices and a GELU.

    Args:
        approximate: the tanh form, which GPT-2 was trained with.
    """

    approximate: bool = True

    def default_width(self, width: int) -> int:
        """Four times the model's."""
        return 4 * width

    def build(self, width: int, inner: int, bias: bool) -> nn.Module:
        """Two matrices."""
        return GELULayer(width, inner, bias, self.approximate)

    def parameters(self, width: int, inner: int, bias: bool) -> int:
        """Two matrices and their biases."""
        return 2 * width * inner + (inner + width if bias else 0)

    def multiply_adds(self, width: int, inner: int) -> float:
        """Two products."""
        return 2 * width * inner


class GELULayer(nn.Module):
    """down(gelu(up(x)))."""

    def __init__(self, width: int, inner: int, bias: bool, approximate: bool) -> None:
        super().__init__()
        self.up_proj = Projection(width, inner, bias)
        self.down_proj = Projection(inner, width, bias)
        self.form = "tanh" if approximate else "none"

    def forward(self, x_BTC: Tensor) -> Tensor:
        """y_BTC."""
        return cast(Tensor, self.down_proj(functional.gelu(self.up_proj(x_BTC), approximate=self.form)))
