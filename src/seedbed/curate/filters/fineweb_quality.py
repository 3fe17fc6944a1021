"""FineWeb quality: do lines end like sentences, are they long enough, and do they not repeat?

What      Four fractions, found by comparing good and bad crawls, that catch lists, menus and repeated lines which the
          Gopher and C4 rules leave.
Source    Penedo et al. 2024, arXiv 2406.17557, section 3.5; datatrove's FineWebQualityFilter for what counts as what.
Formula   lines                  lines that are not blank
          terminal_punctuation   lines whose last character ends a sentence in some script, or is " or ' / lines
          short_lines            lines of at most short_line_length characters / lines
          duplicate_line_chars   characters in second and further occurrences of a line / characters but newlines
          newlines_per_word      newlines / words
          dialect "paper": lines are split at newlines and trimmed; words are split at any Unicode whitespace.
Shapes    documents_N -> five columns of N.
Units     lines is a count, short_line_length characters, newlines_per_word newlines a word, the others fractions.
Fidelity  Adapted: newlines are counted against whitespace words, where datatrove counts spaCy tokens (more of them, so
          this rule is a little stricter). Ends of sentences are Unicode's Sentence_Terminal with the two straight
          quotes, a superset of the set FineWeb was made with. Breaks at < 0.12, > 0.67, > 0.01, > 0.3.
Errors    No text raises. Without lines or words the numbers are 0, which breaks min_lines and
          min_terminal_punctuation.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated, ClassVar, Literal

import numpy as np
import pyarrow as pa
from annotated_types import Ge, Le

from seedbed.core.nouns import DocumentBatch, Signal
from seedbed.curate.contract import Filter, Rule
from seedbed.text import unicode
from seedbed.text.kernel import Bytes, Ints, kernel
from seedbed.text.lines import line_repeats, lines
from seedbed.text.words import words

_NEWLINE, _QUOTE, _APOSTROPHE = ord("\n"), ord('"'), ord("'")


@dataclasses.dataclass(frozen=True)
class FinewebQuality(Filter):
    """Thresholds of FineWeb's own rules; None switches one off. `short_line_length` shapes the measurement."""

    signals: ClassVar[tuple[Signal, ...]] = (
        Signal("lines", "lines", "int", low=0),
        Signal("terminal_punctuation", "fraction of lines", low=0, high=1),
        Signal("short_lines", "fraction of lines", low=0, high=1),
        Signal("duplicate_line_chars", "fraction of characters", low=0, high=1),
        Signal("newlines_per_word", "newlines per word", low=0),
    )
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule("min_lines", "lines", "min"),
        Rule("min_terminal_punctuation", "terminal_punctuation", "min"),
        Rule("max_short_lines", "short_lines", "max"),
        Rule("max_duplicate_line_chars", "duplicate_line_chars", "max"),
        Rule("max_newlines_per_word", "newlines_per_word", "max"),
    )

    dialect: Literal["paper"] = "paper"
    short_line_length: Annotated[int, Ge(0)] = 30
    min_lines: Annotated[int | None, Ge(0)] = 1
    min_terminal_punctuation: Annotated[float | None, Ge(0), Le(1)] = 0.12
    max_short_lines: Annotated[float | None, Ge(0), Le(1)] = 0.67
    max_duplicate_line_chars: Annotated[float | None, Ge(0), Le(1)] = 0.01
    max_newlines_per_word: Annotated[float | None, Ge(0)] = 0.3

    def measure(self, documents: DocumentBatch) -> pa.Table:
        """The five numbers of every document."""
        data, offsets = documents.text_buffers()
        found, repeats = documents.derive(lines), documents.derive(line_repeats)
        counts = np.zeros((4, len(documents)), np.int64)
        _count_lines(data, found.first, found.end, found.chars, self.short_line_length,
                     unicode.flags(), counts)  # fmt: skip
        _count_characters(data, offsets, counts)
        n_lines = np.maximum(repeats.n, 1)
        n_words = np.maximum(documents.derive(words).per_document, 1)
        return self.table(
            {
                "lines": repeats.n,
                "terminal_punctuation": counts[0] / n_lines,
                "short_lines": counts[1] / n_lines,
                "duplicate_line_chars": repeats.later_chars / np.maximum(counts[2], 1),
                "newlines_per_word": counts[3] / n_words,
            }
        )


@kernel
def _count_lines(data: Bytes, first: Ints, end: Ints, chars: Ints, short: int, flags: Bytes, counts: Ints) -> None:
    """Lines that end like a sentence, and short ones."""
    for d in range(len(first) - 1):
        for s in range(first[d], first[d + 1]):
            last = end[s] - 1
            while data[last] & 0xC0 == 0x80:
                last -= 1
            code, _ = unicode.code_point(data, last)
            counts[0, d] += flags[code] & unicode.TERMINAL != 0 or code in (_QUOTE, _APOSTROPHE)
            counts[1, d] += chars[s] <= short


@kernel
def _count_characters(data: Bytes, offsets: Ints, counts: Ints) -> None:
    """Characters but newlines, and newlines."""
    for d in range(len(offsets) - 1):
        characters, newlines = 0, 0
        for at in range(offsets[d], offsets[d + 1]):
            characters += data[at] & 0xC0 != 0x80
            newlines += data[at] == _NEWLINE
        counts[2, d], counts[3, d] = characters - newlines, newlines
