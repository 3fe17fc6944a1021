"""Sliding-window attention: a token reads the nearest tokens only, in all layers or in most.

What      Causal self-attention over the last `window` tokens, the token itself among them; what lies further back comes
          through the layers. Every n-th layer may see everything.
Source    Beltagy et al. 2020 (Longformer), arXiv 2004.05150, section 3.1; in all layers of Mistral 7B (Jiang et al.
          2023, arXiv 2310.06825, section 2), in five layers of six of Gemma 3 (arXiv 2503.19786, section 2).
Formula   y_t = sum_{t - window < s <= t} softmax_s(scale q_t . k_s) v_s
          layers full_every, 2 full_every, ... (from 1) see all s <= t; full_every = 0: none does
Shapes    x_BTC -> y_BTC
Units     window in tokens; multiply-adds count what the window leaves, though a masked product computes the rest too
Fidelity  Exact; compared with a mask built pair by pair. Mistral counts as here: window - 1 tokens back and the token.
Errors    As full attention.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated

from annotated_types import Ge
from torch import nn

from seedbed.model.attention import SoftmaxAttention, softmax_multiply_adds, softmax_parameters
from seedbed.model.contract import Attention, Heads


@dataclasses.dataclass(frozen=True)
class SlidingWindow(Attention):
    """Attention over the nearest tokens.

    Args:
        window: tokens seen, the token itself among them.
        full_every: each layer whose number is a multiple of this sees all tokens; 0 for none.
    """

    window: Annotated[int, Ge(1)] = 4096
    full_every: Annotated[int, Ge(0)] = 0

    def window_of(self, layer: int) -> int | None:
        """Tokens seen in a layer; None for all."""
        return None if self.full_every and layer % self.full_every == 0 else self.window

    def build(self, heads: Heads, layer: int) -> nn.Module:
        """With this layer's window."""
        return SoftmaxAttention(heads, layer, self.window_of(layer))

    def parameters(self, heads: Heads) -> int:
        """Four matrices and their biases."""
        return softmax_parameters(heads)

    def multiply_adds(self, heads: Heads, length: int, layer: int) -> float:
        """Projections, and what the window leaves."""
        return softmax_multiply_adds(heads, length, self.window_of(layer))
