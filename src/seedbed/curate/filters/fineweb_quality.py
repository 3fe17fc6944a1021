"""FineWeb quality: do lines end like sentences, are they long enough, and do they not repeat?

What      Four fractions, found by comparing good and bad crawls, that catch lists, menus and repeated lines which the
          Gopher and C4 rules leave.
Source    Penedo et al. 2024, arXiv 2406.17557, section 3.5; FineWebQualityFilter of datatrove 0.10.1, which FineWeb was
          made with, for what counts as what.
Formula   lines                  lines that are not blank
          terminal_punctuation   lines whose last character ends a sentence in some script / lines
          short_lines            lines of at most short_line_length characters / lines
          duplicate_line_chars   characters in second and further occurrences of a line / characters but newlines
          newlines_per_word      newlines / words
          "paper": lines are split at newlines and trimmed, and may also end in " or '; words are split at any Unicode
          whitespace.
          "datatrove": lines keep their whitespace, so that one with a space after its full stop ends in a space; words
          are spaCy's English tokens.
Shapes    documents_N -> five columns of N.
Units     lines is a count, short_line_length characters, newlines_per_word newlines a word, the others fractions.
Fidelity  Adapted in dialect "paper": newlines are counted against whitespace words, which are fewer than spaCy's tokens
          (so this rule is a little stricter), and lines end in Unicode's Sentence_Terminal or one of the two straight
          quotes.
          Exact in "datatrove", numbers and verdicts; blank texts break min_lines here as they are "empty" there.
          Breaks at < 0.12, > 0.67, > 0.01, > 0.3 in both.
Errors    No text raises. Without lines or words the numbers are 0, which breaks min_lines and
          min_terminal_punctuation.
"""

from __future__ import annotations

import dataclasses
from functools import cache
from typing import Annotated, ClassVar, Literal

import numpy as np
import pyarrow as pa
from annotated_types import Ge, Le

from seedbed.core.nouns import DocumentBatch, Signal
from seedbed.curate.contract import Filter, Rule
from seedbed.text import unicode
from seedbed.text.kernel import Bytes, Flags, Ints, kernel
from seedbed.text.rules import datatrove_characters
from seedbed.text.rules.lines import line_repeats, lines, repeats
from seedbed.text.rules.segments import characters, filled_lines
from seedbed.text.spacy.words import spacy_words
from seedbed.text.vectors import BLOCK, NONE, between, count_bits
from seedbed.text.words.scripts import script_words
from seedbed.text.words.whitespace import count_words, words

_NEWLINE = ord("\n")


@dataclasses.dataclass(frozen=True)
class FinewebQuality(Filter):
    """Thresholds of FineWeb's own rules; None switches one off. `short_line_length` shapes the measurement.

    Args:
        words: "scripts" also cuts what is written without spaces into words; for the dialect "paper" alone, the other
            has words of its own.
    """

    version: ClassVar[int] = 2
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

    dialect: Literal["paper", "datatrove"] = "paper"
    words: Literal["whitespace", "scripts"] = "whitespace"
    short_line_length: Annotated[int, Ge(0)] = 30
    min_lines: Annotated[int | None, Ge(0)] = 1
    min_terminal_punctuation: Annotated[float | None, Ge(0), Le(1)] = 0.12
    max_short_lines: Annotated[float | None, Ge(0), Le(1)] = 0.67
    max_duplicate_line_chars: Annotated[float | None, Ge(0), Le(1)] = 0.01
    max_newlines_per_word: Annotated[float | None, Ge(0)] = 0.3

    def __post_init__(self) -> None:
        """Raises RecipeError for words that the dialect does not have."""
        super().__post_init__()
        self.check_words(self.words, self.dialect)

    def measure(self, documents: DocumentBatch) -> pa.Table:
        """The five numbers of every document."""
        data, offsets = documents.text_buffers()
        if self.dialect == "datatrove":
            found, ends = documents.derive(filled_lines), datatrove_characters.terminals()
            split, repeated = spacy_words, repeats(found)
        else:
            found, ends = documents.derive(lines), _paper_ends()
            split, repeated = script_words if self.words == "scripts" else words, documents.derive(line_repeats)
        counts = np.zeros((3, len(documents)), np.int64)
        _count_lines(data, found.first, found.end, found.chars, self.short_line_length, ends, counts)
        _count_newlines(data, offsets, counts)
        counted = documents.derive(count_words) if split is words else documents.derive(split).per_document
        n_lines, n_words = np.maximum(repeated.n, 1), np.maximum(counted, 1)
        n_characters = documents.derive(characters) - counts[2]
        return self.table(
            {
                "lines": repeated.n,
                "terminal_punctuation": counts[0] / n_lines,
                "short_lines": counts[1] / n_lines,
                "duplicate_line_chars": repeated.later_chars / np.maximum(n_characters, 1),
                "newlines_per_word": counts[2] / n_words,
            }
        )


@cache
def _paper_ends() -> Flags:
    """Of every code point: whether a line may end with it."""
    found = unicode.flags() & unicode.TERMINAL != 0
    found[[ord('"'), ord("'")]] = True
    return found


@kernel
def _count_lines(data: Bytes, first: Ints, end: Ints, chars: Ints, short: int, ends: Flags, counts: Ints) -> None:
    """Lines that end like a sentence, and short ones."""
    for d in range(len(first) - 1):
        for s in range(first[d], first[d + 1]):
            last = end[s] - 1
            while data[last] & 0xC0 == 0x80:
                last -= 1
            code, _ = unicode.code_point(data, last)
            counts[0, d] += ends[code]
            counts[1, d] += chars[s] <= short


@kernel
def _count_newlines(data: Bytes, offsets: Ints, counts: Ints) -> None:
    for d in range(len(offsets) - 1):
        for at in range(offsets[d], offsets[d + 1], BLOCK):
            newlines = between(data, at, _NEWLINE, _NEWLINE)
            if newlines != NONE and offsets[d + 1] - at < BLOCK:
                newlines &= (np.uint64(1) << np.uint64(offsets[d + 1] - at)) - np.uint64(1)
            counts[2, d] += count_bits(newlines)
