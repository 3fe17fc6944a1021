"""SwiGLU: a feed-forward whose inner channels are gated by another product of the same input.

What      Three matrices; one product passes through SiLU and multiplies another, a third leads back.
Source    Shazeer 2020, arXiv 2002.05202, equation 6; width 8/3 C as in Llama (Touvron et al. 2023, arXiv 2302.13971,
          section 2.2), so that three matrices hold what two of 4 C would.
Formula   y = down(silu(gate(x)) * up(x));  silu(z) = z / (1 + exp(-z))
Shapes    x_BTC -> y_BTC, inner width F
Units     plain numbers
Fidelity  Exact; compared with a decoder written position by position in float64. The default width is 8/3 C rounded
          to a multiple of 16; Llama rounds up to one of 256.
Errors    NaN gives NaN.
"""

from __future__ import annotations

import dataclasses

from torch import nn

from seedbed.model.contract import FeedForward
from seedbed.model.gated import GatedFeedForward, gated_width


@dataclasses.dataclass(frozen=True)
class SwiGLU(FeedForward):
    """A gated feed-forward."""

    def default_width(self, width: int) -> int:
        """8/3 of the model's, rounded to a multiple of 16."""
        return gated_width(width)

    def build(self, width: int, inner: int, bias: bool) -> nn.Module:
        """Three matrices."""
        return GatedFeedForward(width, inner, bias)

    def parameters(self, width: int, inner: int, bias: bool) -> int:
        """Three matrices and their biases."""
        return 3 * width * inner + (2 * inner + width if bias else 0)

    def multiply_adds(self, width: int, inner: int) -> float:
        """Three products."""
        return 3 * width * inner
