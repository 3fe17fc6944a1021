"""Best signal: of the same documents, the one with the best of a measured number.

What      Prefers the document whose signal is highest, or lowest.
Source    none; the choice by quality in place of chance.
Formula   worth = signal where prefer = highest, -signal where prefer = lowest
Shapes    candidates_M -> worth_M.
Units     The signal's.
Fidelity  Exact.
Errors    A plan in which no filter measures the signal is refused, and so is a signal that is a text. Equal numbers
          are a tie, for the next policy or the id.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated, Literal

import numpy as np
import pyarrow as pa
from annotated_types import MinLen

from seedbed.core import arrow
from seedbed.core.errors import RecipeError
from seedbed.curate.contract import FloatArray, Survivor


@dataclasses.dataclass(frozen=True)
class BestSignal(Survivor):
    """Which signal.

    Args:
        signal: as `filter.signal`.
    """

    signal: Annotated[str, MinLen(1)] = "size.n_bytes"
    prefer: Literal["highest", "lowest"] = "highest"

    def reads(self) -> tuple[str, ...]:
        """The signal."""
        return (self.signal,)

    def worth(self, candidates: pa.Table) -> FloatArray:
        """The signal, or its negative."""
        values = arrow.numpy(candidates, self.signal)
        if values.dtype.kind not in "iufb":
            raise RecipeError(f"{self.path()}.signal", f"{self.signal} is a text and has no best", "Name a number.")
        return values.astype(np.float64) if self.prefer == "highest" else -values.astype(np.float64)
