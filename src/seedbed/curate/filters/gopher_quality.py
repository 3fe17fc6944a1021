"""Gopher quality: does the text look like prose people wrote, by counts of words, symbols and stop words?

What      Seven numbers that separate running text from menus, tables, code and lists.
Source    Rae et al. 2021, arXiv 2112.11446, appendix A1.1. What the paper leaves open (how to split, which bullets) is
          settled as in DCLM, Li et al. 2024, arXiv 2406.11794. Dialects: GopherQualityFilter of datatrove 0.10.1; the
          taggers gopher_v1 and gopher_v2 of dolma 1.2.1; the filters of DCLM's dclm_baseline_refinedweb.yaml,
          github.com/mlfoundations/dclm 361714b.
Formula   words                number of words w
          average_word_length  characters of words / w
          symbol_ratio         the larger of hashes count("#") / w and ellipses / w
          bullet_lines         lines that begin with a bullet / lines
          ellipsis_lines       lines that end with an ellipsis / lines
          alphabetic_words     words with at least one letter / w
          stop_words           words that are one of: the be to of and that have with
          "paper": words are runs without Unicode whitespace; lines are split at newlines, trimmed, blank ones left out;
          bullets are ● • * -, ellipses "..." ". . ." "…"; stop words in any case, by occurrence, bare of punctuation.
          "dclm": as the paper, but `words` are runs without ASCII whitespace that begin with a letter or digit, and
          symbol_ratio adds hashes and ellipses up.
          "dolma_v1": words as the paper; average_word_length is the median; symbol_ratio is the share of words with a #
          or …; lines end at each newline, untrimmed, blank ones count; bullets * -, ellipsis …; stop words in lower
          case, by occurrence. "dolma_v2": the same, lines split at runs of newlines.
          "datatrove": words are spaCy's English tokens; `words` and average_word_length leave out tokens that are all
          punctuation, the other ratios do not; lines as `str.splitlines`, blank ones count; bullets • -, ellipses
          "..." "…"; stop words in lower case, different ones.
Shapes    documents_N -> seven columns of N.
Units     words and stop_words are counts, average_word_length characters, symbol_ratio symbols a word, the others
          fractions.
Fidelity  Adapted in dialect "paper": ". . ." counts as an ellipsis, as in DCLM. With words="scripts" texts without
          spaces count words too; thresholds of word length are not made for them.
          Exact in "datatrove", "dolma_v1", "dolma_v2" and "dclm", numbers and verdicts, but for texts without words,
          where peers divide by zero or give NaN and here the numbers are 0: min_words drops them in every dialect.
          All peers use the paper's thresholds. Letters and whitespace are those of the running Python's Unicode.
Errors    No text raises. Without words or lines the numbers are 0, which breaks min_words.
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
from seedbed.text.kernel import Ints
from seedbed.text.rules import datatrove_characters, segments
from seedbed.text.rules import gopher as gopher_counts
from seedbed.text.rules.gopher import CHARACTER, DOTS, SPACED_DOTS
from seedbed.text.rules.lines import Segments, lines
from seedbed.text.spacy.words import spacy_words
from seedbed.text.words.scripts import script_words
from seedbed.text.words.uniseg import alphanumeric
from seedbed.text.words.whitespace import Words, words

STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")
Dialect: TypeAlias = Literal["paper", "datatrove", "dolma_v1", "dolma_v2", "dclm"]


@dataclasses.dataclass(frozen=True)
class _Reading:
    """How a dialect cuts a text, and what it calls a bullet and an ellipsis."""

    words: Callable[[DocumentBatch], Words]
    lines: Callable[[DocumentBatch], Segments | segments.Bounds]
    bullets: str
    ellipses: int


_READINGS: dict[str, _Reading] = {
    "paper": _Reading(words, lines, "●•*-", CHARACTER | DOTS | SPACED_DOTS),
    "dclm": _Reading(words, lines, "●•*-", CHARACTER | DOTS | SPACED_DOTS),
    "dolma_v1": _Reading(words, segments.newline_lines, "*-", CHARACTER),
    "dolma_v2": _Reading(words, segments.newline_run_lines, "*-", CHARACTER),
    "datatrove": _Reading(spacy_words, segments.python_lines, "•-", CHARACTER | DOTS),
}


@dataclasses.dataclass(frozen=True)
class GopherQuality(Filter):
    """Thresholds of the quality rules; None switches one off.

    Args:
        words: "scripts" also cuts what is written without spaces into words; for the dialect "paper" alone, the others
            have words of their own.
    """

    version: ClassVar[int] = 2
    signals: ClassVar[tuple[Signal, ...]] = (
        Signal("words", "words", "int", low=0),
        Signal("average_word_length", "characters per word", low=0),
        Signal("symbol_ratio", "symbols per word", low=0),
        Signal("bullet_lines", "fraction of lines", low=0, high=1),
        Signal("ellipsis_lines", "fraction of lines", low=0, high=1),
        Signal("alphabetic_words", "fraction of words", low=0, high=1),
        Signal("stop_words", "words", "int", low=0),
    )
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule("min_words", "words", "min"),
        Rule("max_words", "words", "max"),
        Rule("min_average_word_length", "average_word_length", "min"),
        Rule("max_average_word_length", "average_word_length", "max"),
        Rule("max_symbol_ratio", "symbol_ratio", "max"),
        Rule("max_bullet_lines", "bullet_lines", "max"),
        Rule("max_ellipsis_lines", "ellipsis_lines", "max"),
        Rule("min_alphabetic_words", "alphabetic_words", "min"),
        Rule("min_stop_words", "stop_words", "min", languages=("en",)),
    )

    dialect: Dialect = "paper"
    words: Literal["whitespace", "scripts"] = "whitespace"
    min_words: Annotated[int | None, Ge(0)] = 50
    max_words: Annotated[int | None, Ge(0)] = 100_000
    min_average_word_length: Annotated[float | None, Ge(0)] = 3.0
    max_average_word_length: Annotated[float | None, Ge(0)] = 10.0
    max_symbol_ratio: Annotated[float | None, Ge(0)] = 0.1
    max_bullet_lines: Annotated[float | None, Ge(0), Le(1)] = 0.9
    max_ellipsis_lines: Annotated[float | None, Ge(0), Le(1)] = 0.3
    min_alphabetic_words: Annotated[float | None, Ge(0), Le(1)] = 0.8
    min_stop_words: Annotated[int | None, Ge(0)] = 2

    def __post_init__(self) -> None:
        """Raises RecipeError for words that the dialect does not have."""
        super().__post_init__()
        self.check_words(self.words, self.dialect)

    def measure(self, documents: DocumentBatch) -> pa.Table:
        """The seven numbers of every document."""
        reading = _READINGS[self.dialect]
        data, _ = documents.text_buffers()
        found_words = documents.derive(script_words if self.words == "scripts" else reading.words)
        found_lines = documents.derive(reading.lines)
        punctuation = datatrove_characters.punctuation() if self.dialect == "datatrove" else None
        ignores_case = self.dialect in ("paper", "dclm")
        counts = gopher_counts.count_words(
            data, found_words, STOP_WORDS, ignore_case=ignores_case, punctuation=punctuation
        )
        bullets, ellipses = gopher_counts.count_marked_lines(data, found_lines, reading.bullets, reading.ellipses)
        n_words, n_lines = np.maximum(found_words.per_document, 1), np.maximum(found_lines.per_document, 1)
        n_counted, average = counts.counted, counts.chars / np.maximum(counts.counted, 1)
        if self.dialect == "dclm":
            n_counted = gopher_counts.count_fasttext_words(*documents.text_buffers(), alphanumeric())
        elif self.dialect.startswith("dolma"):
            average = gopher_counts.double_median_length(found_words) / 2
        return self.table(
            {
                "words": n_counted,
                "average_word_length": average,
                "symbol_ratio": self._symbols(documents, found_words) / n_words,
                "bullet_lines": bullets / n_lines,
                "ellipsis_lines": ellipses / n_lines,
                "alphabetic_words": counts.alphabetic / n_words,
                "stop_words": counts.distinct_stops if self.dialect == "datatrove" else counts.stops,
            }
        )

    def _symbols(self, documents: DocumentBatch, found_words: Words) -> Ints:
        """What is weighed against words."""
        data, offsets = documents.text_buffers()
        if self.dialect.startswith("dolma"):
            return gopher_counts.count_symbol_words(data, found_words)
        hashes, characters, dots, spaced_dots = gopher_counts.count_symbols(data, offsets)
        ellipses = characters + dots if self.dialect == "datatrove" else characters + dots + spaced_dots
        return hashes + ellipses if self.dialect == "dclm" else np.maximum(hashes, ellipses)
