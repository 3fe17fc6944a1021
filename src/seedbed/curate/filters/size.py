"""Size: the bytes of a text, so that empty documents leave with a reason and the longest duplicate can survive.

What      Measures the UTF-8 bytes of a document and drops those outside a range; by default only empty ones.
Source    none; a bound every reader of raw text needs.
Formula   n_bytes = UTF-8 bytes of the text; dropped if n_bytes < min_bytes or n_bytes > max_bytes.
Shapes    N documents -> n_bytes_N.
Units     bytes.
Fidelity  Exact.
Errors    None: every text has a size.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated, ClassVar

import numpy as np
import pyarrow as pa
from annotated_types import Ge

from seedbed.core.nouns import DocumentBatch, Signal
from seedbed.curate.contract import Filter, Rule


@dataclasses.dataclass(frozen=True)
class Size(Filter):
    """See the module's docstring."""

    signals: ClassVar[tuple[Signal, ...]] = (Signal("n_bytes", "bytes", "int", low=0),)
    rules: ClassVar[tuple[Rule, ...]] = (Rule("min_bytes", "n_bytes", "min"), Rule("max_bytes", "n_bytes", "max"))

    min_bytes: Annotated[int, Ge(0)] = 1
    max_bytes: Annotated[int, Ge(0)] | None = None

    def measure(self, documents: DocumentBatch) -> pa.Table:
        """n_bytes_N."""
        return self.table({"n_bytes": np.diff(documents.text_buffers()[1])})
