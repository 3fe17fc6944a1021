"""Sentence spans: cut runs of three sentences that stand elsewhere in the corpus already, as C4 was deduplicated.

What      Finds every run of n_sentences neighbouring sentences that occurs more than once in the whole corpus and cuts
          all occurrences but the first, mended together where they overlap.
Source    Raffel et al. 2020, Exploring the limits of transfer learning, arXiv 1910.10683, section 2.2: of any
          three-sentence span that occurs more than once all but one are discarded.
Formula   span_i = sentences i .. i + n_sentences - 1; key_i = hash of their hashes
          a span is a repeat if its key occurred before, in the order of (document id, position in the text)
          cut = union of the sentences of repeats, and one of the two gaps of whitespace around it; where a repeat
          overlaps the first occurrence in its own document, that stays whole
          sentences: those that NLTK's Punkt finds in each line (see seedbed.text.rules.punkt); compared as they stand,
          or folded: by their folded words (lower case, no accents, no punctuation, each run of digits 0), or as they
          stand where they have none
Shapes    documents_N -> keys of P spans; documents_N, repeated_P -> texts_N with spans.
Units     n_sentences in sentences.
Fidelity  Adapted: the paper says no more than the sentence above. Spans may cross lines here, whitespace between
          sentences does not count, and 64 bits of a hash are compared: expected wrong cuts among n spans are
          n^2 / 2^65. Punkt knows English; scripts whose sentences end in other marks have one sentence a line.
Errors    No text raises. A text of fewer than n_sentences sentences is left as it is; one of which nothing is left
          becomes empty. The paper drops pages of fewer than three sentences and datatrove those of fewer than 50 words
          as well: put `c4_quality` or `gopher_quality` behind it.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated

from annotated_types import Ge

from seedbed.core.nouns import DocumentBatch
from seedbed.curate.contract import BoolArray, Edited, PassageDeduper, Passages
from seedbed.text.repeats import passages, windows
from seedbed.text.rules.punkt import sentences_of_lines


@dataclasses.dataclass(frozen=True)
class SentenceSpans(PassageDeduper):
    """How long a span is, and which sentences count as equal.

    Args:
        folded: whether case, accents, digits and punctuation do not count.
    """

    n_sentences: Annotated[int, Ge(1)] = 3
    folded: bool = False

    def passages(self, documents: DocumentBatch) -> Passages:
        """A key a span."""
        return Passages(*windows.windows(self._sentences(documents), self.n_sentences))

    def cut(self, documents: DocumentBatch, repeated_P: BoolArray) -> Edited:
        """The texts without what repeated spans cover."""
        buffers = documents.text_buffers()
        spans = windows.covered(*buffers, self._sentences(documents), self.n_sentences, repeated_P)
        return Edited.cut(documents, passages.without(*buffers, *spans), spans, "duplicate_sentences")

    def _sentences(self, documents: DocumentBatch) -> windows.Tokens:
        found = documents.derive(sentences_of_lines)
        keys = passages.segment_keys(documents.text_buffers()[0], found, self.folded)
        return windows.Tokens(found.first, found.start, found.end, keys)
