"""Full attention: every token reads all tokens before it.

What      Causal self-attention in heads; with fewer key and value heads than query heads, groups of query heads share
          one.
Source    Vaswani et al. 2017, arXiv 1706.03762, section 3.2; groups: Ainslie et al. 2023, arXiv 2305.13245, section
          2.2.
Formula   y_t = sum_{s <= t} softmax_s(scale q_t . k_s) v_s
          scale = 1 / sqrt(D) unless the parametrization says otherwise
Shapes    x_BTC -> y_BTC; queries H, keys and values K heads of width D
Units     plain numbers
Fidelity  Exact; compared with a decoder written position by position, groups with repeated heads.
Errors    NaN at one position gives NaN at those behind it.
"""

from __future__ import annotations

import dataclasses

from torch import nn

from seedbed.model.attention import SoftmaxAttention, softmax_multiply_adds, softmax_parameters
from seedbed.model.contract import Attention, Heads


@dataclasses.dataclass(frozen=True)
class FullAttention(Attention):
    """Attention over all tokens before."""

    def build(self, heads: Heads, layer: int) -> nn.Module:
        """The same in every layer."""
        return SoftmaxAttention(heads, layer)

    def parameters(self, heads: Heads) -> int:
        """Four matrices and their biases."""
        return softmax_parameters(heads)

    def multiply_adds(self, heads: Heads, length: int, layer: int) -> float:
        """Projections, and (length + 1) / 2 positions seen on average."""
        del layer
        return softmax_multiply_adds(heads, length, None)
