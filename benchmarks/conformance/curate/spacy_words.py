"""Are our spaCy words and sentences the ones that spaCy gives? Token for token, on real documents of many languages.

    python benchmarks/conformance/curate/spacy_words.py --corpus DIR --peer-python PATH

The corpus is a folder of JSON lines with `text`, and `language` or `metadata.lang`. PATH is an interpreter that has
datatrove 0.10.1 and spaCy 3.8.18; nothing is installed here. It must be of the same Python version as this one, because
both sides ask the interpreter what a letter is. The result is benchmarks/results/conformance_spacy_words.csv.
"""

from __future__ import annotations

import argparse
import csv
import itertools
from collections import Counter
from pathlib import Path

from peer import LANGUAGES, ask, sample

from seedbed.core.nouns import DocumentBatch
from seedbed.text.spacy.sentences import spacy_sentences
from seedbed.text.spacy.words import spacy_words

HERE = Path(__file__).parent
RESULT = HERE.parents[1] / "results" / "conformance_spacy_words.csv"
COLUMNS = ("language", "documents", "same_words", "same_sentences", "tokens", "same_tokens")


def main() -> None:
    """Write the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--corpus", type=Path, required=True)
    options.add_argument("--peer-python", required=True)
    options.add_argument("--documents", type=int, default=5000)
    options.add_argument("--languages", nargs="+", default=LANGUAGES)
    given = options.parse_args()
    documents = sample(given.corpus, given.documents, given.languages)
    texts = [text for _, text in documents]
    answers = ask(given.peer_python, HERE / "peers" / "spacy_tokens.py", texts)
    ours, sentences = tokens(texts)
    counts: dict[str, Counter[str]] = {}
    for (language, _), mine, n_sentences, theirs in zip(documents, ours, sentences, answers, strict=True):
        same = Counter(mine) & Counter(theirs["words"])
        row = {
            "documents": 1,
            "same_words": mine == theirs["words"],
            "same_sentences": n_sentences == theirs["sentences"],
            "tokens": len(theirs["words"]),
            "same_tokens": same.total(),
        }
        for key in (language, "all"):
            counts.setdefault(key, Counter()).update(row)
    with RESULT.open("w", newline="") as out:
        writer = csv.DictWriter(out, COLUMNS)
        writer.writeheader()
        for language, row in counts.items():
            writer.writerow({"language": language, **row})
            print(language, *(f"{name}={row[name]}" for name in COLUMNS[1:]))


def tokens(texts: list[str]) -> tuple[list[list[str]], list[int]]:
    """Our words and our numbers of sentences."""
    batch = DocumentBatch.of(texts)
    data, _ = batch.text_buffers()
    found, raw = batch.derive(spacy_words), data.tobytes()
    words = [raw[start:end].decode() for start, end in zip(found.start.tolist(), found.end.tolist(), strict=True)]
    first = found.first.tolist()
    return [words[a:b] for a, b in itertools.pairwise(first)], batch.derive(spacy_sentences).tolist()


if __name__ == "__main__":
    main()
