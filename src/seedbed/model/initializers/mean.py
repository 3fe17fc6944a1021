"""Mean: every new token enters as the mean of all old ones.

What      All new rows are the mean of the old rows, of the input and of the output table each by itself. A new token
          then scores what old ones score on average, and never more than the best of them.
Source    Hewitt 2021, "Initializing new word embeddings for pretrained language models" (technical note); compared in
          Mundra et al. 2024, arXiv 2407.05841.
Formula   e_new = (1 - apart) mean(E) + apart E[r],  r drawn evenly from the old tokens for each new one
Shapes    tables (V, C) -> rows (M, C)
Units     of the tables
Fidelity  Exact with apart = 0, the default: the rows are the same until training parts them, which the first batch
          that holds them does, since each has gradients of its own. `apart` is ours: published code that parts them
          adds normal noise, which leaves the convex hull and with it the promise about greedy decoding; this does not.
Errors    None of its own.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated, ClassVar

import torch
from annotated_types import Ge, Le
from torch import Tensor

from seedbed.model.new_rows import per_table
from seedbed.model.transforming import Initializer, NewTokens


@dataclasses.dataclass(frozen=True)
class Mean(Initializer):
    """The mean of the old rows.

    Args:
        apart: how far each row is moved from the mean towards one old row, drawn at random.
    """

    convex: ClassVar[bool] = True

    apart: Annotated[float, Ge(0), Le(1)] = 0.0

    def rows(self, new: NewTokens) -> tuple[Tensor, Tensor | None]:
        """(input rows, output rows), each (M, C); the old token that a row is moved towards is the same in both."""
        generator = torch.Generator().manual_seed(new.seed)
        drawn_M = torch.randint(new.old.decoder.shape.vocab_size, (len(new.pieces),), generator=generator)
        return per_table(new.old.decoder, lambda table_VC: torch.lerp(table_VC.mean(0), table_VC[drawn_M], self.apart))
