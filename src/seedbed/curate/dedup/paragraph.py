"""Paragraph: cut paragraphs that stand elsewhere in the corpus already, such as licences, biographies and notices.

What      Finds paragraphs, which are parted by blank lines, that occur more than once in the whole corpus and cuts all
          occurrences but the first.
Source    Soldaini et al. 2024, Dolma, arXiv 2402.00159, section on deduplication, whose paragraphs are lines; the
          comparison of folded text after Wenzek et al. 2020, CCNet, arXiv 1911.00359.
Formula   key = hash of the paragraph without whitespace at its ends; folded: hash of its folded words (lower case, no
          accents, no punctuation, each run of digits 0), or of the paragraph itself where it has none
          a paragraph goes if its key occurred before, in the order of (document id, position in the text)
Shapes    documents_N -> keys of P paragraphs; documents_N, repeated_P -> texts_N with spans.
Units     min_chars in code points.
Fidelity  Adapted: Dolma splits at every newline (see `line`) and asks a Bloom filter, which takes some new paragraphs
          for repeats; here 64 bits of a hash are compared: expected wrong cuts among n paragraphs are n^2 / 2^65.
Errors    No text raises. A text of which no paragraph is left becomes empty.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated

import numpy as np
from annotated_types import Ge

from seedbed.core.nouns import DocumentBatch
from seedbed.curate.contract import BoolArray, Edited, PassageDeduper, Passages
from seedbed.text.repeats import passages
from seedbed.text.rules.lines import paragraphs


@dataclasses.dataclass(frozen=True)
class Paragraph(PassageDeduper):
    """Which paragraphs count as equal.

    Args:
        folded: whether case, accents, digits and punctuation do not count.
        min_chars: shorter paragraphs are never cut.
    """

    folded: bool = False
    min_chars: Annotated[int, Ge(1)] = 1

    def passages(self, documents: DocumentBatch) -> Passages:
        """A key a paragraph; 0 for paragraphs that are too short."""
        found = documents.derive(paragraphs)
        keys = passages.segment_keys(documents.text_buffers()[0], found, self.folded)
        return Passages(found.first, np.where(found.chars < self.min_chars, 0, keys).astype(np.uint64))

    def cut(self, documents: DocumentBatch, repeated_P: BoolArray) -> Edited:
        """The texts without repeated paragraphs."""
        buffers = documents.text_buffers()
        spans = passages.segment_spans(*buffers, documents.derive(paragraphs), repeated_P)
        return Edited.cut(documents, passages.without(*buffers, *spans), spans, "duplicate_paragraph")
