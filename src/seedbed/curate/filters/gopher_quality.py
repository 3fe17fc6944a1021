"""Gopher quality: does the text look like prose people wrote, by counts of words, symbols and stop words?

What      Eight counts that separate running text from menus, tables, code and lists.
Source    Rae et al. 2021, arXiv 2112.11446, appendix A1.1. What the paper leaves open (how to split, which bullets) is
          settled as in DCLM, Li et al. 2024, arXiv 2406.11794.
Formula   words              w = number of runs without whitespace
          mean_word_length   characters of words / w
          hash_ratio         count("#") / w
          ellipsis_ratio     (count("...") + count(". . .") + count("…")) / w
          bullet_lines       lines that begin with one of ● • * - / lines
          ellipsis_lines     lines that end with "..." or ". . ." or "…" / lines
          alphabetic_words   words with at least one letter / w
          stop_words         words that are, in lower case, one of: the be to of and that have with
          dialect "paper": words are split at any Unicode whitespace; lines at newlines, trimmed, blank ones left out;
          stop words are counted by occurrence, with no punctuation attached.
Shapes    documents_N -> eight columns of N.
Units     words and stop_words are counts, mean_word_length characters a word, the others fractions or per word.
Fidelity  Adapted: the two symbol ratios have a rule each, as the paper words it, where DCLM adds them up; ". . ."
          counts as an ellipsis, as in DCLM. Matters only for texts with many symbols of both kinds.
          Letters and whitespace are those of the running Python's Unicode version.
Errors    No text raises. Without words or lines the numbers are 0, which breaks min_words.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated, ClassVar, Literal

import numpy as np
import pyarrow as pa
from annotated_types import Ge, Le

from seedbed.core.nouns import DocumentBatch, Signal
from seedbed.curate.contract import Filter, Rule
from seedbed.text.kernel import Bytes, Flags, Hashes, Ints, kernel
from seedbed.text.lines import lines
from seedbed.text.words import words

STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")
_STOP_KEYS = np.array([int.from_bytes(b"\x01" + word.encode(), "big") for word in STOP_WORDS], np.uint64)
_HASH, _DOT, _SPACE = ord("#"), ord("."), ord(" ")


@dataclasses.dataclass(frozen=True)
class GopherQuality(Filter):
    """Thresholds of the quality rules; None switches one off."""

    signals: ClassVar[tuple[Signal, ...]] = (
        Signal("words", "words", "int", low=0),
        Signal("mean_word_length", "characters per word", low=0),
        Signal("hash_ratio", "# per word", low=0),
        Signal("ellipsis_ratio", "ellipses per word", low=0),
        Signal("bullet_lines", "fraction of lines", low=0, high=1),
        Signal("ellipsis_lines", "fraction of lines", low=0, high=1),
        Signal("alphabetic_words", "fraction of words", low=0, high=1),
        Signal("stop_words", "words", "int", low=0),
    )
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule("min_words", "words", "min"),
        Rule("max_words", "words", "max"),
        Rule("min_mean_word_length", "mean_word_length", "min"),
        Rule("max_mean_word_length", "mean_word_length", "max"),
        Rule("max_hash_ratio", "hash_ratio", "max"),
        Rule("max_ellipsis_ratio", "ellipsis_ratio", "max"),
        Rule("max_bullet_lines", "bullet_lines", "max"),
        Rule("max_ellipsis_lines", "ellipsis_lines", "max"),
        Rule("min_alphabetic_words", "alphabetic_words", "min"),
        Rule("min_stop_words", "stop_words", "min"),
    )

    dialect: Literal["paper"] = "paper"
    min_words: Annotated[int | None, Ge(0)] = 50
    max_words: Annotated[int | None, Ge(0)] = 100_000
    min_mean_word_length: Annotated[float | None, Ge(0)] = 3.0
    max_mean_word_length: Annotated[float | None, Ge(0)] = 10.0
    max_hash_ratio: Annotated[float | None, Ge(0)] = 0.1
    max_ellipsis_ratio: Annotated[float | None, Ge(0)] = 0.1
    max_bullet_lines: Annotated[float | None, Ge(0), Le(1)] = 0.9
    max_ellipsis_lines: Annotated[float | None, Ge(0), Le(1)] = 0.3
    min_alphabetic_words: Annotated[float | None, Ge(0), Le(1)] = 0.8
    min_stop_words: Annotated[int | None, Ge(0)] = 2

    def measure(self, documents: DocumentBatch) -> pa.Table:
        """The eight numbers of every document."""
        data, offsets = documents.text_buffers()
        found, found_lines = documents.derive(words), documents.derive(lines)
        symbols = np.zeros((2, len(documents)), np.int64)
        _count_symbols(data, offsets, symbols)
        marked = np.zeros((2, len(documents)), np.int64)
        _count_marked_lines(data, found_lines.first, found_lines.start, found_lines.end, marked)
        counts = np.zeros((3, len(documents)), np.int64)
        _count_words(data, found.first, found.start, found.end, found.chars, found.alphabetic, _STOP_KEYS, counts)
        n_words = np.maximum(found.per_document, 1)
        n_lines = np.maximum(found_lines.per_document, 1)
        return self.table(
            {
                "words": found.per_document,
                "mean_word_length": counts[0] / n_words,
                "hash_ratio": symbols[0] / n_words,
                "ellipsis_ratio": symbols[1] / n_words,
                "bullet_lines": marked[0] / n_lines,
                "ellipsis_lines": marked[1] / n_lines,
                "alphabetic_words": counts[1] / n_words,
                "stop_words": counts[2],
            }
        )


@kernel
def _starts_ellipsis(data: Bytes, at: int, stop: int) -> int:
    """Bytes of "…" (1), "..." (2) or ". . ." (3) at `at`: its kind, or 0."""
    if data[at] == _DOT and at + 3 <= stop and data[at + 1] == _DOT and data[at + 2] == _DOT:
        return 2
    if at + 3 <= stop and data[at] == 0xE2 and data[at + 1] == 0x80 and data[at + 2] == 0xA6:
        return 1
    if data[at] == _DOT and at + 5 <= stop and data[at + 1] == _SPACE and data[at + 2] == _DOT:
        return 3 if data[at + 3] == _SPACE and data[at + 4] == _DOT else 0
    return 0


@kernel
def _count_symbols(data: Bytes, offsets: Ints, symbols: Ints) -> None:
    """Hashes and ellipses; each spelling of an ellipsis is counted without overlap with itself."""
    for d in range(len(offsets) - 1):
        stop, dots_until, spaced_until = offsets[d + 1], offsets[d], offsets[d]
        for at in range(offsets[d], stop):
            if data[at] == _HASH:
                symbols[0, d] += 1
            if data[at] != _DOT and data[at] != 0xE2:
                continue
            kind = _starts_ellipsis(data, at, stop)
            if kind == 1:
                symbols[1, d] += 1
            elif kind == 2 and at >= dots_until:
                symbols[1, d] += 1
                dots_until = at + 3
            elif kind == 3 and at >= spaced_until:
                symbols[1, d] += 1
                spaced_until = at + 5


@kernel
def _count_marked_lines(data: Bytes, first: Ints, start: Ints, end: Ints, marked: Ints) -> None:
    """Lines that begin with a bullet, and lines that end in an ellipsis."""
    for d in range(len(first) - 1):
        for s in range(first[d], first[d + 1]):
            at, stop = start[s], end[s]
            if data[at] == 0x2A or data[at] == 0x2D:  # * -
                marked[0, d] += 1
            elif at + 3 <= stop and data[at] == 0xE2:  # U+2022 E2 80 A2, U+25CF E2 97 8F
                one = data[at + 1] == 0x80 and data[at + 2] == 0xA2
                marked[0, d] += one or (data[at + 1] == 0x97 and data[at + 2] == 0x8F)
            short = at <= stop - 3 and _starts_ellipsis(data, stop - 3, stop) != 0
            marked[1, d] += short or (at <= stop - 5 and _starts_ellipsis(data, stop - 5, stop) == 3)


@kernel
def _count_words(
    data: Bytes,
    first: Ints,
    start: Ints,
    end: Ints,
    chars: Ints,
    alphabetic: Flags,
    stop_keys: Hashes,
    counts: Ints,
) -> None:
    """Characters in words, words with a letter, stop words."""
    for d in range(len(first) - 1):
        n_chars, n_alphabetic, n_stop = 0, 0, 0
        for w in range(first[d], first[d + 1]):
            n_chars += chars[w]
            n_alphabetic += alphabetic[w]
            if end[w] - start[w] > 4:
                continue
            key = np.uint64(1)  # so that leading NULs count
            for at in range(start[w], end[w]):
                byte = data[at] | 0x20 if 65 <= data[at] <= 90 else data[at]
                key = key << np.uint64(8) | np.uint64(byte)
            for stop_key in stop_keys:
                n_stop += key == stop_key
        counts[0, d], counts[1, d], counts[2, d] = n_chars, n_alphabetic, n_stop
