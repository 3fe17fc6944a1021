"""Page length: is the text neither a fragment nor a book?

What      Counts characters and words and drops pages outside a range; by default only those of more than 190,000
          characters, as C4 drops them before anything else.
Source    is_valid_length of tensorflow_datasets' c4_utils, the code that made C4 (Raffel et al. 2020, arXiv
          1910.10683); page_length_filter of DCLM (Li et al. 2024, arXiv 2406.11794, commit 361714b) in its c4.yaml.
Formula   characters   code points of the text
          words        runs of characters that are no Unicode whitespace
Shapes    documents_N -> two columns of N.
Units     Counts of characters and of words.
Fidelity  Exact, numbers and verdicts. Bounds of others: CCNet min_characters 300 (Wenzek et al. 2020, arXiv
          1911.00359); the words of `gopher_quality` have bounds of their own, 50 and 100,000.
Errors    No text raises. An empty text measures 0 and 0.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated, ClassVar

import pyarrow as pa
from annotated_types import Ge

from seedbed.core.nouns import DocumentBatch, Signal
from seedbed.curate.contract import Filter, Rule
from seedbed.text.rules.segments import characters
from seedbed.text.words.whitespace import count_words


@dataclasses.dataclass(frozen=True)
class PageLength(Filter):
    """Thresholds; None switches one off."""

    signals: ClassVar[tuple[Signal, ...]] = (
        Signal("characters", "characters", "int", low=0),
        Signal("words", "words", "int", low=0),
    )
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule("min_characters", "characters", "min"),
        Rule("max_characters", "characters", "max"),
        Rule("min_words", "words", "min"),
        Rule("max_words", "words", "max"),
    )

    min_characters: Annotated[int | None, Ge(0)] = None
    max_characters: Annotated[int | None, Ge(0)] = 190_000
    min_words: Annotated[int | None, Ge(0)] = None
    max_words: Annotated[int | None, Ge(0)] = None

    def measure(self, documents: DocumentBatch) -> pa.Table:
        """The two numbers of every document."""
        return self.table({"characters": documents.derive(characters), "words": documents.derive(count_words)})
