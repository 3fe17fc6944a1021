"""RMSNorm: the root mean square of a position is brought to 1; nothing is subtracted.

What      Each position's vector is divided by its root mean square and multiplied by a learned gain a channel.
Source    Zhang & Sennrich 2019, arXiv 1910.07467, equation 4; eps inside the root as in Llama (Touvron et al. 2023,
          arXiv 2302.13971).
Formula   y = x / sqrt(mean(x^2) + eps) * weight
Shapes    x_C -> y_C, over the last axis
Units     plain numbers
Fidelity  Exact; compared with the formula in float64.
Errors    NaN gives NaN; a vector of zeros stays zero.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated

import torch
from annotated_types import Gt, Le
from torch import Tensor, nn

from seedbed.model.contract import Norm
from seedbed.model.kernels.passes import rms_norm


@dataclasses.dataclass(frozen=True)
class RMSNorm(Norm):
    """RMSNorm.

    Args:
        eps: added to the mean square.
    """

    eps: Annotated[float, Gt(0), Le(1)] = 1e-5

    def build(self, width: int) -> nn.Module:
        """Gains start at 1."""
        return RMSNormLayer(width, self.eps)

    def parameters(self, width: int) -> int:
        """A gain a channel."""
        return width


class RMSNormLayer(nn.Module):
    """x / sqrt(mean(x^2) + eps) * weight."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """Same shape as x; the mean runs over the last axis."""
        return rms_norm(x, self.weight, self.eps)
