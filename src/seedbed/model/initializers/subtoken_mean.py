"""Sub-token mean: a new token enters as the mean of the pieces that the old tokenizer writes it with.

What      The row of a new token is the mean of the rows of its old pieces, in the input and in the output table.
Source    Gee et al. 2022, "Fast vocabulary transfer for language model compression" (FVT), EMNLP industry track;
          Mundra et al. 2024, arXiv 2407.05841.
Formula   e_new = (1 / n) SUM_i E[piece_i],  over its n pieces, one that comes twice counted twice
Shapes    tables (V, C), pieces of M tokens -> rows (M, C)
Units     of the tables
Fidelity  Exact. A token that the old tokenizer writes with nothing gets the mean of all rows.
Errors    None of its own.
"""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from torch import Tensor

from seedbed.model.new_rows import means_of_pieces, per_table
from seedbed.model.transforming import Initializer, NewTokens


@dataclasses.dataclass(frozen=True)
class SubtokenMean(Initializer):
    """The mean of the pieces' rows."""

    convex: ClassVar[bool] = True

    def rows(self, new: NewTokens) -> tuple[Tensor, Tensor | None]:
        """(input rows, output rows), each (M, C)."""
        return per_table(new.old.decoder, lambda table_VC: means_of_pieces(table_VC, new.pieces))
