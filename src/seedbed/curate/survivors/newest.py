"""Newest: of the same documents, the one fetched or written last.

What      Prefers the document with the latest date; one without a date comes last.
Source    none; for crawls in which a page is fetched again after it was mended.
Formula   worth = place of the date among the dates of all candidates, as ISO 8601 in UTC sorts; -1 without a date
Shapes    candidates_M -> worth_M.
Units     Rank.
Fidelity  Exact: for dates of one precision. 2024-05-01 counts as earlier than any time on that day.
Errors    None raises. Equal dates are a tie, for the next policy or the id.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pyarrow as pa

from seedbed.core import arrow
from seedbed.curate.contract import FloatArray, Survivor


@dataclasses.dataclass(frozen=True)
class Newest(Survivor):
    """No parameters."""

    def reads(self) -> tuple[str, ...]:
        """The date."""
        return ("date",)

    def worth(self, candidates: pa.Table) -> FloatArray:
        """The rank of the date."""
        dates = np.array([date or "" for date in arrow.strings(candidates, "date")], np.str_)
        _, rank_M = np.unique(dates, return_inverse=True)
        return np.where(dates == "", -1, rank_M).astype(np.float64)
