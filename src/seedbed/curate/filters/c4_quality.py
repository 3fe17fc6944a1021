"""C4 quality: is what C4's line rules left a page of sentences, without placeholder text or code?

What      Counts what makes C4 drop a whole page. It measures text that the edit `c4_lines` has cleaned: the two
          together keep and drop the pages the one-pass original does.
Source    Raffel et al. 2020, arXiv 1910.10683, section 2.2; clean_page of tensorflow_datasets' c4_utils, the code that
          made C4. Dialects: see `c4_lines`.
Formula   lorem_ipsum    count("lorem ipsum"), ASCII letters in any case
          javascript     count("javascript"), ASCII letters in any case
          curly_braces   count("{")
          sentences      sentences in each line, summed up; dialect "dclm": in the page, of which lines may share one
          dialects "paper", "dclm" and "dolma": sentences are those of NLTK's Punkt with its English model (see
          seedbed.text.rules.punkt); dialect "datatrove": those of spaCy's sentencizer (see
          seedbed.text.spacy.sentences).
Shapes    documents_N -> four columns of N.
Units     Counts of occurrences and of sentences.
Fidelity  Exact, numbers and verdicts (benchmarks/results/conformance_c4.csv). Punkt changed with NLTK 3.6.6 and 3.10,
          so the original's counts are those of the NLTK it runs with: see `nltk`. Two differences: where the last
          line of a page ends in two blanks and a citation mark, datatrove counts a sentence more, of blanks; and NLTK
          3.10 overlooks a word of separators (U+001C to U+001F) alone at the start of a line, which "dclm" may have.
          The thresholds are those of the code that made C4. datatrove's own: min_sentences 5. Dolma's: min_sentences
          None and max_javascript 0, measured before `c4_lines`. The original and DCLM drop pages of more than 190,000
          characters before anything else, which is the rule of `page_length`.
Errors    No text raises. An empty text has 0 sentences, which breaks min_sentences.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated, ClassVar, Literal

import numpy as np
import pyarrow as pa
from annotated_types import Ge

from seedbed.core.errors import RecipeError
from seedbed.core.nouns import DocumentBatch, Signal
from seedbed.curate.contract import Filter, Rule
from seedbed.text.kernel import Bytes, Ints, kernel, leaf
from seedbed.text.rules.punkt import line_sentences, page_sentences
from seedbed.text.rules.punkt_english import NltkVersion
from seedbed.text.vectors import BLOCK, NONE, ONE, between, count_bits, lowest_bit

_LOREM_IPSUM = np.frombuffer(b"lorem ipsum", np.uint8)
_JAVASCRIPT = np.frombuffer(b"javascript", np.uint8)
_BRACE = ord("{")


@dataclasses.dataclass(frozen=True)
class C4Quality(Filter):
    """Thresholds of the page rules; None switches one off.

    Args:
        nltk: whose Punkt counts sentences: "3.4" (to 3.6.5), "3.8" (3.6.6 to 3.9) or "3.10". None: the one of
            the time when the dialect's corpus was made, "3.4" for C4 and "3.8" for DCLM; neither names it. The dialect
            "datatrove" has none.
    """

    version: ClassVar[int] = 3
    signals: ClassVar[tuple[Signal, ...]] = (
        Signal("lorem_ipsum", "occurrences", "int", low=0),
        Signal("javascript", "occurrences", "int", low=0),
        Signal("curly_braces", "occurrences", "int", low=0),
        Signal("sentences", "sentences", "int", low=0),
    )
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule("max_lorem_ipsum", "lorem_ipsum", "max"),
        Rule("max_javascript", "javascript", "max"),
        Rule("max_curly_braces", "curly_braces", "max"),
        Rule("min_sentences", "sentences", "min"),
    )

    dialect: Literal["paper", "datatrove", "dclm", "dolma"] = "paper"
    max_lorem_ipsum: Annotated[int | None, Ge(0)] = 0
    max_javascript: Annotated[int | None, Ge(0)] = None
    max_curly_braces: Annotated[int | None, Ge(0)] = 0
    min_sentences: Annotated[int | None, Ge(0)] = 3
    nltk: NltkVersion | None = None

    def __post_init__(self) -> None:
        """Raises RecipeError for a version of NLTK where the dialect does not ask it."""
        super().__post_init__()
        if self.nltk is not None and self.dialect == "datatrove":
            raise RecipeError(f"{self.path()}.nltk", "the dialect 'datatrove' counts with spaCy", "Leave it out.")

    def measure(self, documents: DocumentBatch) -> pa.Table:
        """The four counts of every document."""
        data, offsets = documents.text_buffers()
        counts = np.zeros((3, len(documents)), np.int64)
        _count_phrases(data, offsets, counts)
        columns = {"lorem_ipsum": counts[0], "javascript": counts[1], "curly_braces": counts[2]}
        return self.table({**columns, "sentences": self._sentences(documents)})

    def _sentences(self, documents: DocumentBatch) -> Ints:
        if self.dialect == "dclm":
            return documents.derive(page_sentences(self.nltk or "3.8"))
        if self.dialect != "datatrove":
            return documents.derive(line_sentences(self.nltk or "3.4"))
        from seedbed.text.spacy.sentences import spacy_sentences  # takes a moment to load

        return documents.derive(spacy_sentences)


@kernel
def _count_phrases(data: Bytes, offsets: Ints, counts: Ints) -> None:
    for d in range(len(offsets) - 1):
        at, stop = offsets[d], offsets[d + 1]
        while at < stop:
            braces = between(data, at, _BRACE, _BRACE)
            starts = between(data, at, 0x4C, 0x4C) | between(data, at, 0x6C, 0x6C)  # l
            starts |= between(data, at, 0x4A, 0x4A) | between(data, at, 0x6A, 0x6A)  # j
            if stop - at < BLOCK:
                inside = (ONE << np.uint64(stop - at)) - ONE
                braces &= inside
                starts &= inside
            counts[2, d] += count_bits(braces)
            while starts != NONE:
                place = at + lowest_bit(starts)
                counts[0, d] += _is_phrase(data, place, stop, _LOREM_IPSUM)
                counts[1, d] += _is_phrase(data, place, stop, _JAVASCRIPT)
                starts &= starts - ONE
            at += BLOCK


@leaf
def _is_phrase(data: Bytes, at: int, stop: int, phrase: Bytes) -> bool:
    """Whether `phrase`, which is lower case, stands at `at` in any case."""
    if at + len(phrase) > stop:
        return False
    for k in range(len(phrase)):
        byte = data[at + k]
        if (byte | 0x20 if 65 <= byte <= 90 else byte) != phrase[k]:
            return False
    return True
