"""LayerNorm: mean 0 and variance 1 in each position.

What      Each position's vector loses its mean and is divided by its deviation; a learned gain and bias follow.
Source    Ba, Kiros & Hinton 2016, arXiv 1607.06450, section 3; placed before each part and once at the end as in GPT-2
          (Radford et al. 2019, section 2.3). The arithmetic is torch's.
Formula   y = (x - mean(x)) / sqrt(var(x) + eps) * weight + bias, with the variance over C, not C - 1
Shapes    x_C -> y_C, over the last axis
Units     plain numbers
Fidelity  Exact; compared with the formula in float64.
Errors    NaN gives NaN; a vector of equal numbers gives the bias.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated

import torch
from annotated_types import Gt, Le
from torch import Tensor, nn
from torch.nn import functional

from seedbed.model.contract import Norm


@dataclasses.dataclass(frozen=True)
class LayerNorm(Norm):
    """LayerNorm.

    Args:
        eps: added to the variance.
        bias: whether a learned number is added to each channel.
    """

    eps: Annotated[float, Gt(0), Le(1)] = 1e-5
    bias: bool = True

    def build(self, width: int) -> nn.Module:
        """Gains start at 1, biases at 0."""
        return LayerNormLayer(width, self.eps, self.bias)

    def parameters(self, width: int) -> int:
        """A gain a channel, and a bias where there is one."""
        return width * (2 if self.bias else 1)


class LayerNormLayer(nn.Module):
    """(x - mean) / deviation * weight + bias."""

    bias: nn.Parameter | None

    def __init__(self, width: int, eps: float, bias: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width)) if bias else None
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """Same shape as x; mean and variance run over the last axis."""
        return functional.layer_norm(x, (x.shape[-1],), self.weight, self.bias, self.eps)
