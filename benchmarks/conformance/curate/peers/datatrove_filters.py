"""datatrove's three English filters, asked for their numbers and verdicts. Runs where datatrove 0.10.1 and spaCy are.

pip install "datatrove[processing]==0.10.1" spacy
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from datatrove.data import Document
from datatrove.pipeline.filters import FineWebQualityFilter, GopherQualityFilter, GopherRepetitionFilter
from peer import Answer, Recorder, answer

NGRAMS = {n: f"top_{n}gram_chars" for n in (2, 3, 4)} | {n: f"repeated_{n}gram_chars" for n in range(5, 11)}


def verdict(kind: type, text: str, **thresholds: object) -> str:
    """The reason why the filter drops the text, or an empty string; what it divides by zero is neither."""
    try:
        kept = kind(**thresholds).filter(Document(text=text, id="0"))
    except ZeroDivisionError:
        return "division by zero"
    return kept[1] if isinstance(kept, tuple) else "" if kept else "dropped"


def quality(text: str) -> Answer:
    seen: Answer = {}
    names = {
        "min_doc_words": "words",
        "min_avg_word_length": "average_word_length",
        "max_bullet_lines_ratio": "bullet_lines",
        "max_ellipsis_lines_ratio": "ellipsis_lines",
        "max_non_alpha_words_ratio": "alphabetic_words",
        "min_stop_words": "stop_words",
    }
    symbols = Symbols()
    recorders = {parameter: Recorder(name, seen) for parameter, name in names.items()}
    verdict(
        GopherQualityFilter,
        text,
        **recorders,
        max_symbol_word_ratio=symbols,
        max_doc_words=None,
        max_avg_word_length=None,
    )
    return {**seen, "symbol_ratio": max(symbols.ratios, default=0.0), "dropped": verdict(GopherQualityFilter, text)}


class Symbols:
    """The one threshold that is asked twice: of hashes, then of ellipses."""

    def __init__(self) -> None:
        self.ratios: list[float] = []

    def __lt__(self, ratio: float) -> bool:
        self.ratios.append(ratio)
        return False


def repetition(text: str) -> Answer:
    seen: Answer = {}
    verdict(
        GopherRepetitionFilter,
        text,
        dup_line_frac=Recorder("duplicate_lines", seen),
        dup_line_char_frac=Recorder("duplicate_line_chars", seen),
        dup_para_frac=Recorder("duplicate_paragraphs", seen),
        dup_para_char_frac=Recorder("duplicate_paragraph_chars", seen),
        top_n_grams=tuple((n, Recorder(NGRAMS[n], seen)) for n in (2, 3, 4)),
        dup_n_grams=tuple((n, Recorder(NGRAMS[n], seen)) for n in range(5, 11)),
    )
    return {**seen, "dropped": verdict(GopherRepetitionFilter, text)}


def fineweb(text: str) -> Answer:
    seen: Answer = {}
    names = {
        "line_punct_thr": "terminal_punctuation",
        "short_line_thr": "short_lines",
        "char_duplicates_ratio": "duplicate_line_chars",
        "new_line_ratio": "newlines_per_word",
    }
    verdict(FineWebQualityFilter, text, **{parameter: Recorder(name, seen) for parameter, name in names.items()})
    return {**seen, "dropped": verdict(FineWebQualityFilter, text)}


def everything(text: str) -> Answer:
    return {"gopher_quality": quality(text), "gopher_repetition": repetition(text), "fineweb_quality": fineweb(text)}


if __name__ == "__main__":
    answer(everything)
