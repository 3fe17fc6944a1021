"""Exact substring: cut passages of 50 tokens or more that stand elsewhere in the corpus, wherever they begin.

What      Finds every run of min_tokens neighbouring tokens that occurs more than once in the whole corpus and cuts all
          occurrences but the first, mended together where they overlap.
Source    Lee et al. 2022, Deduplicating training data makes language models better, arXiv 2107.06499, ExactSubstr,
          section 4.1; Penedo et al. 2023, RefinedWeb, arXiv 2306.01116, for its place in a pipeline.
Formula   window_i = tokens i .. i + min_tokens - 1; key_i = hash of the window
          a window is a repeat if its key occurred before, in the order of (document id, position in the text)
          cut = union of the bytes of repeats, and one of the two gaps of whitespace around it; where a repeat overlaps
          the first occurrence in its own document, that stays whole
          token: a run of letters, marks and digits, or one punctuation mark, or one letter of a script without spaces
Shapes    documents_N -> keys of P windows; documents_N, repeated_P -> texts_N with spans.
Units     min_tokens in tokens as above: about as many as those of a byte-pair tokenizer on English prose.
Fidelity  Adapted: a substring of min_tokens tokens occurs twice exactly where two windows are equal, so what repeats is
          found as with the suffix array of the original, up to the tokenizer (there BPE; here see above) and 64 bits of
          a hash: expected wrong cuts among n windows are n^2 / 2^65. The original strikes every occurrence
          (keep_first = false). Whitespace does not count here, case and punctuation do.
Errors    No text raises. A text of fewer than min_tokens tokens is left as it is; one of which nothing is left becomes
          empty.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated

from annotated_types import Ge

from seedbed.core.nouns import DocumentBatch
from seedbed.curate.contract import BoolArray, Edited, PassageDeduper, Passages
from seedbed.text.repeats import windows
from seedbed.text.repeats.passages import without


@dataclasses.dataclass(frozen=True)
class ExactSubstring(PassageDeduper):
    """How long a passage must be to count."""

    min_tokens: Annotated[int, Ge(1)] = 50

    def passages(self, documents: DocumentBatch) -> Passages:
        """A key a window."""
        return Passages(*windows.windows(documents.derive(_tokens), self.min_tokens))

    def cut(self, documents: DocumentBatch, repeated_P: BoolArray) -> Edited:
        """The texts without what repeated windows cover."""
        buffers = documents.text_buffers()
        spans = windows.covered(*buffers, documents.derive(_tokens), self.min_tokens, repeated_P)
        return Edited.cut(documents, without(*buffers, *spans), spans, "duplicate_substring")


def _tokens(documents: DocumentBatch) -> windows.Tokens:
    return windows.tokens(*documents.text_buffers())
