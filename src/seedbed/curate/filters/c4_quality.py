"""C4 quality: is what C4's line rules left a page of sentences, without placeholder text or code?

What      Counts what makes C4 drop a whole page. It measures text that the edit `c4_lines` has cleaned: the two
          together keep and drop the pages the one-pass original does.
Source    Raffel et al. 2020, arXiv 1910.10683, section 2.2; clean_page of tensorflow_datasets' c4_utils for the order.
Formula   lorem_ipsum    count("lorem ipsum"), ASCII letters in any case
          curly_braces   count("{")
          sentences      sum over lines of the sentences in a line
Shapes    documents_N -> three columns of N.
Units     Counts of occurrences and of sentences.
Fidelity  Adapted: sentences are counted by terminal punctuation, abbreviations and the letter that follows, where the
          original runs the trained Punkt model; the counts may differ by one around rare abbreviations, which matters
          for pages of about min_sentences sentences.
Errors    No text raises. An empty text has 0 sentences, which breaks min_sentences.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated, ClassVar, Literal

import numpy as np
import pyarrow as pa
from annotated_types import Ge

from seedbed.core.nouns import DocumentBatch, Signal
from seedbed.curate.contract import Filter, Rule
from seedbed.text.kernel import Bytes, Ints, kernel
from seedbed.text.sentences import sentences

_PHRASE = np.frombuffer(b"lorem ipsum", np.uint8)
_BRACE = ord("{")


@dataclasses.dataclass(frozen=True)
class C4Quality(Filter):
    """Thresholds of the page rules; None switches one off."""

    signals: ClassVar[tuple[Signal, ...]] = (
        Signal("lorem_ipsum", "occurrences", "int", low=0),
        Signal("curly_braces", "occurrences", "int", low=0),
        Signal("sentences", "sentences", "int", low=0),
    )
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule("max_lorem_ipsum", "lorem_ipsum", "max"),
        Rule("max_curly_braces", "curly_braces", "max"),
        Rule("min_sentences", "sentences", "min"),
    )

    dialect: Literal["paper"] = "paper"
    max_lorem_ipsum: Annotated[int | None, Ge(0)] = 0
    max_curly_braces: Annotated[int | None, Ge(0)] = 0
    min_sentences: Annotated[int | None, Ge(0)] = 5

    def measure(self, documents: DocumentBatch) -> pa.Table:
        """The three counts of every document."""
        data, offsets = documents.text_buffers()
        counts = np.zeros((2, len(documents)), np.int64)
        _count_phrases(data, offsets, _PHRASE, counts)
        columns = {"lorem_ipsum": counts[0], "curly_braces": counts[1]}
        return self.table({**columns, "sentences": documents.derive(sentences)})


@kernel
def _count_phrases(data: Bytes, offsets: Ints, phrase: Bytes, counts: Ints) -> None:
    for d in range(len(offsets) - 1):
        for at in range(offsets[d], offsets[d + 1]):
            byte = data[at]
            if byte == _BRACE:
                counts[1, d] += 1
            elif byte | 0x20 == phrase[0] and at + len(phrase) <= offsets[d + 1]:
                k = 1
                while k < len(phrase) and (data[at + k] | 0x20 if data[at + k] >= 64 else data[at + k]) == phrase[k]:
                    k += 1
                counts[0, d] += k == len(phrase)
