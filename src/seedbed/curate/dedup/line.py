"""Line: cut lines that stand elsewhere in the corpus already, such as menus, notices and mastheads.

What      Finds lines that occur more than once in the whole corpus and cuts all occurrences but the first.
Source    Wenzek et al. 2020, CCNet, arXiv 1911.00359, section 3.1: lines ("paragraphs" there) compared after
          normalisation, by 64 bits of a hash.
Formula   key = hash of the line without whitespace at its ends; folded: hash of its folded words (lower case, no
          accents, no punctuation, each run of digits 0), or of the line itself where it has none
          a line goes if its key occurred before, in the order of (document id, position in the text)
Shapes    documents_N -> keys of P lines; documents_N, repeated_P -> texts_N with spans.
Units     min_chars in code points.
Fidelity  Adapted: CCNet strikes the first occurrence too (keep_first = false), compares folded lines (folded = true;
          its normalisation writes 0 for each digit), hashes with SHA-1, and looks for repeats among 50 shards at a
          time; here the whole corpus is compared. With two lines of one key, a cut could be wrong: expected cuts of
          that kind among n lines are n^2 / 2^65.
Errors    No text raises. Blank lines are none; a text of which no line is left becomes empty.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated

import numpy as np
from annotated_types import Ge

from seedbed.core.nouns import DocumentBatch
from seedbed.curate.contract import BoolArray, Edited, PassageDeduper, Passages
from seedbed.text.repeats import passages
from seedbed.text.rules.lines import lines


@dataclasses.dataclass(frozen=True)
class Line(PassageDeduper):
    """Which lines count as equal.

    Args:
        folded: whether case, accents, digits and punctuation do not count.
        min_chars: shorter lines are never cut: a list of one-word lines may be content.
    """

    folded: bool = False
    min_chars: Annotated[int, Ge(1)] = 1

    def passages(self, documents: DocumentBatch) -> Passages:
        """A key a line; 0 for lines that are too short."""
        found = documents.derive(lines)
        keys = passages.segment_keys(documents.text_buffers()[0], found, self.folded)
        return Passages(found.first, np.where(found.chars < self.min_chars, 0, keys).astype(np.uint64))

    def cut(self, documents: DocumentBatch, repeated_P: BoolArray) -> Edited:
        """The texts without repeated lines."""
        buffers = documents.text_buffers()
        spans = passages.segment_spans(*buffers, documents.derive(lines), repeated_P)
        return Edited.cut(documents, passages.without(*buffers, *spans), spans, "duplicate_line")
