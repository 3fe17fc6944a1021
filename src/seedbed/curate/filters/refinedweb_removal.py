"""RefinedWeb removal: how much of a page do RefinedWeb's line rules take, so that it is better dropped whole?

What      Counts the words that the edit `refinedweb_lines` would remove. Put it before that edit.
Source    Penedo et al. 2023, RefinedWeb, arXiv 2306.01116, section 3.2 and appendix G.2: a document goes where the
          line rules remove more than 5 % of it. Dialects: see `refinedweb_lines`.
Formula   words           words of the text
          removed_words   (words - words of what the line rules leave) / words
          dialect "dclm": words are split at ASCII whitespace and NUL, as fastText does, and begin with a letter or a
          digit. Dialect "redstone": words are split at Unicode whitespace.
Shapes    documents_N -> two columns of N.
Units     words is a count, removed_words a fraction.
Fidelity  Exact for "dclm", Adapted for "redstone" as `refinedweb_lines` is. RedStone divides by zero on a text
          without words.
Errors    No text raises. Without words removed_words is 1, which breaks max_removed_words, as in DCLM.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated, ClassVar, Literal

import numpy as np
import pyarrow as pa
from annotated_types import Ge, Le

from seedbed.core.nouns import DocumentBatch, Signal
from seedbed.curate.contract import Filter, Rule
from seedbed.text.rules import refinedweb


@dataclasses.dataclass(frozen=True)
class RefinedwebRemoval(Filter):
    """The threshold of the rule; None switches it off."""

    version: ClassVar[int] = 2
    signals: ClassVar[tuple[Signal, ...]] = (
        Signal("words", "words", "int", low=0),
        Signal("removed_words", "fraction of words", low=0, high=1),
    )
    rules: ClassVar[tuple[Rule, ...]] = (Rule("max_removed_words", "removed_words", "max"),)

    dialect: Literal["dclm", "redstone"] = "dclm"
    max_removed_words: Annotated[float | None, Ge(0), Le(1)] = 0.05

    def measure(self, documents: DocumentBatch) -> pa.Table:
        """The two numbers of every document."""
        cleaned = documents.derive(refinedweb.CLEANERS[self.dialect])
        before, after = cleaned.words_before, cleaned.words_after
        removed = np.where(before == 0, 1.0, (before - after) / np.maximum(before, 1))
        return self.table({"words": before, "removed_words": removed})
