"""Longest: of the same documents, the one with the most text.

What      Prefers the document with the most bytes: the one least likely to have been cut short.
Source    none; the usual choice where duplicates are not of one length.
Formula   worth = n_bytes, as the filter `size` measured it
Shapes    candidates_M -> worth_M.
Units     bytes.
Fidelity  Exact.
Errors    A plan without the filter `size` is refused. Equal lengths are a tie, for the next policy or the id.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pyarrow as pa

from seedbed.core import arrow
from seedbed.curate.contract import FloatArray, Survivor

_BYTES = "size.n_bytes"


@dataclasses.dataclass(frozen=True)
class Longest(Survivor):
    """No parameters."""

    def reads(self) -> tuple[str, ...]:
        """The length."""
        return (_BYTES,)

    def worth(self, candidates: pa.Table) -> FloatArray:
        """n_bytes_M."""
        return arrow.numpy(candidates, _BYTES).astype(np.float64)
