"""Gopher repetition: how much of the text says the same thing again, as lines, paragraphs and word n-grams?

What      Thirteen fractions of a document that is made of repeats: boilerplate, spam, loops of a generator.
Source    Rae et al. 2021, arXiv 2112.11446, appendix A1.1, table A1. What the paper leaves open is settled as in DCLM,
          Li et al. 2024, arXiv 2406.11794.
Formula   duplicate_lines            lines whose text occurs more than once / lines (every occurrence counts)
          duplicate_line_chars       characters in those lines / characters in all lines; paragraphs alike
          top_Ngram_chars            count * characters of the most frequent word n-gram / characters in words;
                                     the longest among equally frequent ones; 0 where none occurs twice
          repeated_Ngram_chars       characters of words inside any n-gram that occurs more than once, each word once,
                                     / characters in words
          dialect "paper": lines are split at newlines, paragraphs at two or more, both trimmed and blank ones left out;
          words are split at any Unicode whitespace; no case folding.
Shapes    documents_N -> thirteen columns of N.
Units     Fractions; top_Ngram_chars may exceed 1, up to N, where an n-gram overlaps itself ("a a a a").
Fidelity  Adapted: words keep the punctuation attached to them, where DCLM splits by UAX 29 and leaves punctuation out,
          so repeats that differ in punctuation are not seen and scripts without spaces give few n-grams. Equal texts
          are found by 64-bit hashes.
Errors    No text raises. Without lines, paragraphs or repeated n-grams the numbers are 0.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated, ClassVar, Literal

import numpy as np
import pyarrow as pa
from annotated_types import Ge, Le

from seedbed.core.nouns import DocumentBatch, Signal
from seedbed.curate.contract import Filter, Rule
from seedbed.text import ngrams
from seedbed.text.lines import line_repeats, paragraph_repeats
from seedbed.text.words import words


@dataclasses.dataclass(frozen=True)
class GopherRepetition(Filter):
    """Thresholds of the repetition rules; None switches one off."""

    signals: ClassVar[tuple[Signal, ...]] = (
        Signal("duplicate_lines", "fraction of lines", low=0, high=1),
        Signal("duplicate_paragraphs", "fraction of paragraphs", low=0, high=1),
        Signal("duplicate_line_chars", "fraction of characters in lines", low=0, high=1),
        Signal("duplicate_paragraph_chars", "fraction of characters in paragraphs", low=0, high=1),
        Signal("top_2gram_chars", "characters per character in words", low=0, high=2),
        Signal("top_3gram_chars", "characters per character in words", low=0, high=3),
        Signal("top_4gram_chars", "characters per character in words", low=0, high=4),
        Signal("repeated_5gram_chars", "fraction of characters in words", low=0, high=1),
        Signal("repeated_6gram_chars", "fraction of characters in words", low=0, high=1),
        Signal("repeated_7gram_chars", "fraction of characters in words", low=0, high=1),
        Signal("repeated_8gram_chars", "fraction of characters in words", low=0, high=1),
        Signal("repeated_9gram_chars", "fraction of characters in words", low=0, high=1),
        Signal("repeated_10gram_chars", "fraction of characters in words", low=0, high=1),
    )
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule("max_duplicate_lines", "duplicate_lines", "max"),
        Rule("max_duplicate_paragraphs", "duplicate_paragraphs", "max"),
        Rule("max_duplicate_line_chars", "duplicate_line_chars", "max"),
        Rule("max_duplicate_paragraph_chars", "duplicate_paragraph_chars", "max"),
        Rule("max_top_2gram_chars", "top_2gram_chars", "max"),
        Rule("max_top_3gram_chars", "top_3gram_chars", "max"),
        Rule("max_top_4gram_chars", "top_4gram_chars", "max"),
        Rule("max_repeated_5gram_chars", "repeated_5gram_chars", "max"),
        Rule("max_repeated_6gram_chars", "repeated_6gram_chars", "max"),
        Rule("max_repeated_7gram_chars", "repeated_7gram_chars", "max"),
        Rule("max_repeated_8gram_chars", "repeated_8gram_chars", "max"),
        Rule("max_repeated_9gram_chars", "repeated_9gram_chars", "max"),
        Rule("max_repeated_10gram_chars", "repeated_10gram_chars", "max"),
    )

    dialect: Literal["paper"] = "paper"
    max_duplicate_lines: Annotated[float | None, Ge(0), Le(1)] = 0.30
    max_duplicate_paragraphs: Annotated[float | None, Ge(0), Le(1)] = 0.30
    max_duplicate_line_chars: Annotated[float | None, Ge(0), Le(1)] = 0.20
    max_duplicate_paragraph_chars: Annotated[float | None, Ge(0), Le(1)] = 0.20
    max_top_2gram_chars: Annotated[float | None, Ge(0)] = 0.20
    max_top_3gram_chars: Annotated[float | None, Ge(0)] = 0.18
    max_top_4gram_chars: Annotated[float | None, Ge(0)] = 0.16
    max_repeated_5gram_chars: Annotated[float | None, Ge(0), Le(1)] = 0.15
    max_repeated_6gram_chars: Annotated[float | None, Ge(0), Le(1)] = 0.14
    max_repeated_7gram_chars: Annotated[float | None, Ge(0), Le(1)] = 0.13
    max_repeated_8gram_chars: Annotated[float | None, Ge(0), Le(1)] = 0.12
    max_repeated_9gram_chars: Annotated[float | None, Ge(0), Le(1)] = 0.11
    max_repeated_10gram_chars: Annotated[float | None, Ge(0), Le(1)] = 0.10

    def measure(self, documents: DocumentBatch) -> pa.Table:
        """The thirteen numbers of every document."""
        lines, paragraphs = documents.derive(line_repeats), documents.derive(paragraph_repeats)
        top, covered = ngrams.repetition(documents.derive(words))
        columns = {
            "duplicate_lines": lines.repeated / np.maximum(lines.n, 1),
            "duplicate_paragraphs": paragraphs.repeated / np.maximum(paragraphs.n, 1),
            "duplicate_line_chars": lines.repeated_chars / np.maximum(lines.chars, 1),
            "duplicate_paragraph_chars": paragraphs.repeated_chars / np.maximum(paragraphs.chars, 1),
        }
        columns |= {f"top_{n}gram_chars": top[i] for i, n in enumerate(ngrams.TOP)}
        columns |= {f"repeated_{n}gram_chars": covered[i] for i, n in enumerate(ngrams.COVERED)}
        return self.table(columns)
