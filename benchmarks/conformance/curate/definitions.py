"""Where the dialects "paper" and "datatrove" decide differently over a document: which rule it is, which definition.

    python benchmarks/conformance/curate/definitions.py --corpus DIR [--documents 5000] [--languages en]

The chain is FineWeb's: Gopher repetition, Gopher quality, C4's lines and page rules, FineWeb quality. A document that
only one dialect drops is counted at each rule that drops it there (`documents`; `alone` where no other rule does). The
last columns count those on which the rule decides as datatrove does once "paper" takes over one definition of its:

    words       spaCy's English tokens, punctuation among them, in place of whitespace words
    sentences   those of spaCy's sentencizer in place of Punkt's
    formula     how lines are cut, what counts as repeated, what it is divided by, which stop words: datatrove's formula
                on whitespace words

Writes benchmarks/results/conformance_definitions.csv, with a row for the whole chain at its head. The dialect
"datatrove" is datatrove to the last verdict (gopher.py, c4.py and fineweb.py beside this file).
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
from peer import sample

from seedbed.core.nouns import DocumentBatch
from seedbed.curate.contract import Filter
from seedbed.curate.edits.c4_lines import C4Lines
from seedbed.curate.filters.c4_quality import C4Quality
from seedbed.curate.filters.fineweb_quality import FinewebQuality
from seedbed.curate.filters.gopher_quality import GopherQuality
from seedbed.curate.filters.gopher_repetition import GopherRepetition
from seedbed.text.rules.punkt import line_sentences
from seedbed.text.spacy.sentences import spacy_sentences
from seedbed.text.spacy.words import spacy_words
from seedbed.text.words.whitespace import count_words, words

RESULT = Path(__file__).parents[2] / "results" / "conformance_definitions.csv"
HEADER = ("dropped_by", "rule", "documents", "alone", "words", "sentences", "formula")
BATCH = 500
Dialect = Literal["paper", "datatrove"]
Broken = dict[str, np.ndarray[Any, Any]]
Swap = Callable[[DocumentBatch], dict[object, Any]]


def same(_: DocumentBatch) -> dict[object, Any]:
    return {}


def with_spacy_words(documents: DocumentBatch) -> dict[object, Any]:
    found = spacy_words(documents)
    return {words: found, count_words: found.per_document}


def with_spacy_sentences(documents: DocumentBatch) -> dict[object, Any]:
    return {line_sentences("3.4"): spacy_sentences(documents)}


def with_whitespace_words(documents: DocumentBatch) -> dict[object, Any]:
    return {spacy_words: words(documents)}


@dataclasses.dataclass(frozen=True)
class Reading:
    """A dialect, with what it is given in place of its own words or sentences."""

    dialect: Dialect
    swap: Swap

    def broken(self, texts: list[str]) -> Broken:
        """Rule -> which documents break it."""
        lines = C4Lines(dialect=self.dialect, terminal_punctuation=False, min_words_per_line=3)
        raw = self._batch(texts)
        edited = self._batch([text or "" for text in lines.edit(raw).texts.to_pylist()])
        filters: list[tuple[Filter, DocumentBatch]] = [
            (GopherRepetition(dialect=self.dialect), raw),
            (GopherQuality(dialect=self.dialect), raw),
            (C4Quality(dialect=self.dialect, min_sentences=5), edited),
            (FinewebQuality(dialect=self.dialect), edited),
        ]
        return {
            f"{method.name()}.{rule}": broken
            for method, documents in filters
            for rule, broken in method.failures(method.measure(documents)).items()
        }

    def _batch(self, texts: list[str]) -> DocumentBatch:
        """Methods ask a batch for its words and sentences: here it has been told before."""
        documents = DocumentBatch.of(texts)
        documents._derived.update(self.swap(documents))
        return documents


READINGS = {
    "paper": Reading("paper", same),
    "datatrove": Reading("datatrove", same),
    "words": Reading("paper", with_spacy_words),
    "sentences": Reading("paper", with_spacy_sentences),
    "formula": Reading("datatrove", with_whitespace_words),
}


def broken_by_reading(texts: list[str]) -> dict[str, Broken]:
    """Reading -> rule -> which documents break it."""
    found: dict[str, Broken] = {}
    for name, reading in READINGS.items():
        pieces = [reading.broken(texts[i : i + BATCH]) for i in range(0, len(texts), BATCH)]
        found[name] = {rule: np.concatenate([piece[rule] for piece in pieces]) for rule in pieces[0]}
    return found


def table(found: dict[str, Broken]) -> list[list[Any]]:
    """Rows of HEADER, the most frequent rule first; the chain at their head."""
    dropped = {name: np.any(np.stack(list(broken.values())), axis=0) for name, broken in found.items()}
    peer = dropped["datatrove"]
    apart = dropped["paper"] != peer
    rows: list[list[Any]] = []
    for dialect in ("paper", "datatrove"):
        only = apart & dropped[dialect]
        n_rules = np.sum(np.stack(list(found[dialect].values())), axis=0)
        for rule, broken in found[dialect].items():
            here = broken & only
            settled = [int((here & (found[name][rule] == found["datatrove"][rule])).sum()) for name in HEADER[4:]]
            if here.any():
                rows.append([dialect, rule, int(here.sum()), int((here & (n_rules == 1)).sum()), *settled])
    rows.sort(key=lambda row: -row[2])
    settled = [int((apart & (dropped[name] == peer)).sum()) for name in HEADER[4:]]
    return [["either", f"chain, of {len(peer)} documents", int(apart.sum()), "", *settled], *rows]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--documents", type=int, default=5000)
    parser.add_argument("--languages", nargs="+", default=["en"])
    asked = parser.parse_args()
    texts = [text for _, text in sample(asked.corpus, asked.documents, asked.languages)]
    rows = table(broken_by_reading(texts))
    with RESULT.open("w", newline="", encoding="utf-8") as out:
        csv.writer(out, lineterminator="\n").writerows([HEADER, *rows])
    for row in rows:
        print(*row)


if __name__ == "__main__":
    main()
