"""Learned positions: a vector for each place, added to the embedding.

What      A table with a row a position, trained like the embedding. Where attention stays inside documents, places are
          counted from each document's first token in the sequence.
Source    Radford et al. 2018, "Improving language understanding by generative pre-training", section 3.1, and GPT-2
          (Radford et al. 2019); the table is called wpe there.
Formula   x_t = embedding[token_t] + weight[t]
Shapes    x_BTC -> y_BTC
Units     places in tokens
Fidelity  Exact; compared with the addition row by row, and with documents run alone.
Errors    A sequence longer than the context raises SeedbedError in the decoder.
"""

from __future__ import annotations

import dataclasses

from torch import Tensor

from seedbed.model.contract import Positions
from seedbed.model.layers import Places, Sight, Table


@dataclasses.dataclass(frozen=True)
class LearnedPositions(Positions):
    """A vector for each place."""

    def build(self, context: int, width: int, head_width: int) -> Places:
        """A row a position of the context."""
        del head_width
        return PlaceTable(context, width)

    def parameters(self, context: int, width: int) -> int:
        """A vector a position."""
        return context * width


class PlaceTable(Table, Places):
    """Adds rows."""

    def add(self, x_BTC: Tensor, sight: Sight) -> Tensor:
        """Embeddings plus the rows of their places."""
        return x_BTC + self(sight.place_BT)
