"""Gopher repetition: how much of the text says the same thing again, as lines, paragraphs and word n-grams?

What      Thirteen fractions of a document that is made of repeats: boilerplate, spam, loops of a generator.
Source    Rae et al. 2021, arXiv 2112.11446, appendix A1.1, table A1. What the paper leaves open is settled as in DCLM,
          Li et al. 2024, arXiv 2406.11794. Dialects: GopherRepetitionFilter of datatrove 0.10.1; the taggers gopher_v1
          and gopher_v2 of dolma 1.2.1; massive_web_repetition_filters of DCLM, github.com/mlfoundations/dclm 361714b.
Formula   duplicate_lines            lines whose text occurs more than once / lines (every occurrence counts)
          duplicate_line_chars       characters in those lines / characters in all lines; paragraphs alike
          top_Ngram_chars            count * characters of the most frequent word n-gram / characters in words;
                                     the longest among equally frequent ones; 0 where none occurs twice
          repeated_Ngram_chars       characters of words inside any n-gram that occurs more than once, each word once,
                                     / characters in words
          "paper": lines are split at newlines, paragraphs at two or more, both trimmed and blank ones left out;
          words are split at any Unicode whitespace; no case folding.
          "dclm": the same of words by Unicode's word boundaries (uniseg) that begin with a letter or digit.
          "dolma_v1": lines end at each newline, untrimmed, blank ones count; line characters are weighed against
          characters in words; the first among equally frequent n-grams, even where it occurs once; repeated n-grams
          against all n-grams of the length, every occurrence of both counted; no paragraphs.
          "dolma_v2": the same, lines split at runs of newlines.
          "datatrove": spaCy's English tokens; lines and paragraphs split at runs of newlines, untrimmed, only second
          and further occurrences count; everything against all characters of the text; top n-grams as in Dolma, with a
          space between words; repeated n-grams from left to right, without overlap, the first occurrence left out.
Shapes    documents_N -> thirteen columns of N; eleven in the dialects of Dolma, which have no paragraphs.
Units     Fractions; top_Ngram_chars may exceed 1 where an n-gram overlaps itself ("a a a a"), and
          duplicate_line_chars does in Dolma, which weighs lines with their spaces against words.
Fidelity  Adapted in dialect "paper": words keep the punctuation attached to them, so repeats that differ in punctuation
          are not seen; scripts without spaces give few n-grams unless words="scripts".
          Exact in "datatrove", "dolma_v1", "dolma_v2" and "dclm", numbers and verdicts, but for texts that are empty or
          all whitespace: datatrove drops an empty text and DCLM both, here no repetition rule does (min_words does).
          Thresholds are table A1 in all of them; Dolma's own configuration differs, see `dolma_v1_5`. Equal texts are
          found by 64-bit hashes.
Errors    No text raises. Without lines, paragraphs or repeated n-grams the numbers are 0.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Annotated, ClassVar, Literal, TypeAlias

import numpy as np
import pyarrow as pa
from annotated_types import Ge, Le

from seedbed.core.nouns import DocumentBatch, Signal
from seedbed.curate.contract import Filter, Rule
from seedbed.text.kernel import Floats
from seedbed.text.rules import datatrove_ngrams, dolma_ngrams, ngrams, segments
from seedbed.text.rules.lines import Segments, line_repeats, paragraph_repeats, repeats
from seedbed.text.spacy.words import spacy_words
from seedbed.text.words.scripts import script_words
from seedbed.text.words.uniseg import uniseg_words
from seedbed.text.words.whitespace import Words, words

Dialect: TypeAlias = Literal["paper", "datatrove", "dolma_v1", "dolma_v2", "dclm"]
_PARAGRAPHS = frozenset({"duplicate_paragraphs", "duplicate_paragraph_chars"})


@dataclasses.dataclass(frozen=True)
class GopherRepetition(Filter):
    """Thresholds of the repetition rules; None switches one off.

    Args:
        words: "scripts" also cuts what is written without spaces into words; for the dialect "paper" alone, the others
            have words of their own.
    """

    version: ClassVar[int] = 2
    signals: ClassVar[tuple[Signal, ...]] = (
        Signal("duplicate_lines", "fraction of lines", low=0, high=1),
        Signal("duplicate_paragraphs", "fraction of paragraphs", low=0, high=1),
        Signal("duplicate_line_chars", "fraction of characters", low=0),
        Signal("duplicate_paragraph_chars", "fraction of characters", low=0, high=1),
        Signal("top_2gram_chars", "characters per character", low=0, high=3),
        Signal("top_3gram_chars", "characters per character", low=0, high=5),
        Signal("top_4gram_chars", "characters per character", low=0, high=7),
        Signal("repeated_5gram_chars", "fraction of characters", low=0, high=1),
        Signal("repeated_6gram_chars", "fraction of characters", low=0, high=1),
        Signal("repeated_7gram_chars", "fraction of characters", low=0, high=1),
        Signal("repeated_8gram_chars", "fraction of characters", low=0, high=1),
        Signal("repeated_9gram_chars", "fraction of characters", low=0, high=1),
        Signal("repeated_10gram_chars", "fraction of characters", low=0, high=1),
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

    dialect: Dialect = "paper"
    words: Literal["whitespace", "scripts"] = "whitespace"
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

    def __post_init__(self) -> None:
        """Raises RecipeError for words that the dialect does not have."""
        super().__post_init__()
        self.check_words(self.words, self.dialect)

    @classmethod
    def dolma_v1_5(cls) -> GopherRepetition:
        """As configured for the Common Crawl part of Dolma v1.5: its thresholds, without the rules that it lacks.

        Its configuration asks for `most_common_2gram`, its tagger writes `most_common_2grams`: those rules never fired.
        """
        return cls(
            dialect="dolma_v1",
            max_duplicate_paragraphs=None,
            max_duplicate_line_chars=0.30,
            max_duplicate_paragraph_chars=None,
            max_top_2gram_chars=None,
            max_top_3gram_chars=None,
            max_top_4gram_chars=None,
        )

    def lacking(self) -> frozenset[str]:
        """Dolma's taggers know no paragraphs."""
        return _PARAGRAPHS if self.dialect.startswith("dolma") else frozenset()

    def measure(self, documents: DocumentBatch) -> pa.Table:
        """The numbers of every document."""
        if self.dialect == "datatrove":
            return self.table(_datatrove(documents))
        if self.dialect == "dolma_v1":
            return self.table(_dolma(documents, segments.newline_lines))
        if self.dialect == "dolma_v2":
            return self.table(_dolma(documents, segments.newline_run_lines))
        split = uniseg_words if self.dialect == "dclm" else script_words if self.words == "scripts" else words
        return self.table(_paper(documents, split))


def _paper(documents: DocumentBatch, split: Callable[[DocumentBatch], Words]) -> dict[str, Floats]:
    lines, paragraphs = documents.derive(line_repeats), documents.derive(paragraph_repeats)
    columns = {
        "duplicate_lines": lines.repeated / np.maximum(lines.n, 1),
        "duplicate_paragraphs": paragraphs.repeated / np.maximum(paragraphs.n, 1),
        "duplicate_line_chars": lines.repeated_chars / np.maximum(lines.chars, 1),
        "duplicate_paragraph_chars": paragraphs.repeated_chars / np.maximum(paragraphs.chars, 1),
    }
    return columns | _named(*ngrams.repetition(documents.derive(split)))


def _datatrove(documents: DocumentBatch) -> dict[str, Floats]:
    chars = documents.derive(segments.characters)
    columns: dict[str, Floats] = {}
    for name, split in (("line", segments.newline_run_lines), ("paragraph", segments.newline_run_paragraphs)):
        found = repeats(documents.derive(split))
        columns[f"duplicate_{name}s"] = found.later / np.maximum(found.n, 1)
        columns[f"duplicate_{name}_chars"] = found.later_chars / np.maximum(chars, 1)
    found = documents.derive(spacy_words)
    return columns | _named(*datatrove_ngrams.repetition(documents.text_buffers()[0], found, chars))


def _dolma(documents: DocumentBatch, split: Callable[[DocumentBatch], Segments]) -> dict[str, Floats]:
    lines = repeats(documents.derive(split))
    top_3D, repeated_6D, chars_D = dolma_ngrams.repetition(documents.derive(words))
    columns = {
        "duplicate_lines": lines.repeated / np.maximum(lines.n, 1),
        "duplicate_line_chars": lines.repeated_chars / np.maximum(chars_D, 1),
    }
    return columns | _named(top_3D, repeated_6D)


def _named(top_3D: Floats, repeated_6D: Floats) -> dict[str, Floats]:
    columns = {f"top_{n}gram_chars": top_3D[i] for i, n in enumerate(ngrams.TOP)}
    return columns | {f"repeated_{n}gram_chars": repeated_6D[i] for i, n in enumerate(ngrams.COVERED)}
