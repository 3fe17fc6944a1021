"""URL pattern: keeps documents by where they came from; with true labels, the ceiling of every selection method.

What      Scores 1 where the document's url (or source) matches one of the glob patterns, else 0.
Source    none; the clean-label upper bound of a comparison, and an allow-list for everyday use.
Formula   score_N = 1 if any pattern matches else 0
Shapes    documents -> score_N
Units     score is 0 or 1; higher means keep.
Fidelity  Exact: shell globs over the whole field (* any text, ? one character, [..] a set), case matters unless
          ignore_case. Python's globs hold each star to its first fit, so no pattern can blow up on a long url.
Errors    No pattern, or an empty field, scores 0 (an empty pattern or "*" matches the empty field). Ties are the
          selector's.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import re
from typing import Literal

import numpy as np
import pyarrow as pa

from seedbed.core import arrow
from seedbed.core.nouns import DocumentBatch, Signal, signals_schema
from seedbed.select.contract import Given, Scorer


@dataclasses.dataclass(frozen=True)
class UrlPattern(Scorer):
    """Which documents are in.

    Args:
        patterns: globs; one that matches is enough.
        field: which column they are held against.
        ignore_case: compare in lower case.
    """

    signals = (Signal("score", "1 in, 0 out", low=0, high=1),)

    patterns: tuple[str, ...] = ()
    field: Literal["url", "source"] = "url"
    ignore_case: bool = False

    def fit(self, given: Given) -> FittedUrlPattern:  # noqa: ARG002 - there is nothing to learn
        """The patterns, compiled."""
        patterns = [pattern.lower() if self.ignore_case else pattern for pattern in self.patterns]
        return FittedUrlPattern(tuple(re.compile(fnmatch.translate(p)) for p in patterns), self.field, self.ignore_case)


@dataclasses.dataclass(frozen=True)
class FittedUrlPattern:
    """Ready to measure."""

    patterns: tuple[re.Pattern[str], ...]
    field: str
    ignore_case: bool

    def measure(self, documents: DocumentBatch) -> pa.Table:
        """1 where a pattern matches the whole field."""
        values = documents.column(self.field)
        if self.ignore_case:
            values = [value.lower() for value in values]
        score_N = np.array([any(p.match(value) for p in self.patterns) for value in values], np.float64)
        return arrow.table({"score": score_N}, signals_schema(UrlPattern.signals))
