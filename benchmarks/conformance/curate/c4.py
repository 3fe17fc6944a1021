"""Do `c4_lines` and `c4_quality` leave the text, count the sentences and drop the pages that the originals do?

    python benchmarks/conformance/curate/c4.py --corpus DIR --peer-python PATH --dolma-python PATH --dclm DIR \
        --nltk 3.4=DIR --nltk 3.8=DIR --nltk 3.10=DIR

The corpus is a folder of JSON lines with `text`, and `language` or `metadata.lang`. --peer-python is an interpreter
with datatrove, tensorflow-datasets, NLTK and what DCLM needs; --dolma-python one with dolma; --dclm a checkout of DCLM;
--nltk a folder with NLTK 3.6.5, 3.9.4 or 3.10.4 (pip install --no-deps --target DIR nltk==...) as `nltk` of
`c4_quality` calls it: tensorflow-datasets and DCLM count sentences with whichever version is installed. What each needs
stands at the head of its script in `peers`; nothing is installed here. A peer that is not given is left out. The
result is benchmarks/results/conformance_c4.csv.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
from collections import Counter
from pathlib import Path
from typing import Any

from peer import LANGUAGES, Answer, ask, sample

from seedbed.core.nouns import DocumentBatch
from seedbed.curate.edits.c4_lines import C4Lines
from seedbed.curate.filters.c4_quality import C4Quality
from seedbed.text.rules.punkt_english import NltkVersion

HERE = Path(__file__).parent
RESULT = HERE.parents[1] / "results" / "conformance_c4.csv"
MOST_CHARACTERS = 190_000
"""DCLM drops longer pages first, which is no rule of ours: they are left out."""


@dataclasses.dataclass(frozen=True)
class Comparison:
    """One setting of ours against one peer's.

    Args:
        key: picks its answer where the script gives several.
    """

    name: str
    script: str
    key: str | None
    lines: C4Lines
    quality: C4Quality


COMPARISONS = (
    Comparison(
        "datatrove: C4",
        "c4_datatrove.py",
        "c4",
        C4Lines(dialect="datatrove", min_words_per_line=3),
        C4Quality(dialect="datatrove", min_sentences=5),
    ),
    Comparison(
        "datatrove: FineWeb",
        "c4_datatrove.py",
        "fineweb",
        C4Lines(dialect="datatrove", min_words_per_line=3, terminal_punctuation=False),
        C4Quality(dialect="datatrove", min_sentences=5),
    ),
    Comparison(
        "dolma: c4_v2",
        "c4_dolma.py",
        None,
        C4Lines(dialect="dolma", min_words_per_line=3),
        C4Quality(dialect="dolma", max_javascript=0, min_sentences=None),
    ),
)


def of_nltk(nltk: NltkVersion) -> list[Comparison]:
    """Those that count with Punkt."""
    return [
        Comparison(f"paper: tensorflow_datasets, NLTK {nltk}", "c4_tfds.py", None, C4Lines(), C4Quality(nltk=nltk)),
        Comparison(
            f"dclm: c4.yaml, NLTK {nltk}",
            "c4_dclm.py",
            None,
            C4Lines(dialect="dclm"),
            C4Quality(dialect="dclm", nltk=nltk),
        ),
    ]


def main() -> None:
    """Write the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--corpus", type=Path, required=True)
    options.add_argument("--peer-python")
    options.add_argument("--dolma-python")
    options.add_argument("--dclm")
    options.add_argument("--nltk", action="append", default=[], metavar="VERSION=DIR")
    options.add_argument("--documents", type=int, default=5000)
    options.add_argument("--languages", nargs="+", default=LANGUAGES)
    given = options.parse_args()
    documents = sample(given.corpus, given.documents, given.languages)
    answers: dict[tuple[str, ...], list[Answer]] = {}
    rows: list[dict[str, Any]] = []
    folders = dict(option.split("=", 1) for option in given.nltk)
    with_punkt = [comparison for nltk in folders for comparison in of_nltk(nltk)]
    for comparison in [*with_punkt, *COMPARISONS]:
        script = comparison.script
        python = given.dolma_python if "dolma" in script else given.peer_python
        more = [given.dclm] if "dclm" in script else []
        more += [folders[str(comparison.quality.nltk)]] if comparison in with_punkt else []
        if python is None or None in more:
            continue
        asked = (script, *more)
        if asked not in answers:
            answers[asked] = ask(python, HERE / "peers" / script, [text for _, text in documents], *more)
        theirs = [answer[comparison.key] if comparison.key else answer for answer in answers[asked]]
        rows.extend(compare(comparison, documents, theirs))
    with RESULT.open("w", newline="") as out:
        writer = csv.DictWriter(out, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    for row in rows:
        if row["language"] == "all":
            print(row)


def compare(comparison: Comparison, documents: list[tuple[str, str]], answers: list[Answer]) -> list[dict[str, Any]]:
    """A row a language, and one for all."""
    texts = [text for _, text in documents]
    edited: list[str] = comparison.lines.edit(DocumentBatch.of(texts)).texts.to_pylist()
    quality = comparison.quality
    signals = quality.measure(DocumentBatch.of(texts if quality.dialect == "dolma" else edited))
    failures = [flags.tolist() for flags in quality.failures(signals).values()]
    sentences = signals.column("sentences").to_pylist()
    counts: dict[str, Counter[str]] = {}
    for d, (language, text) in enumerate(documents):
        theirs = answers[d]
        if theirs["dropped"] == "too_long":
            assert len(text) > MOST_CHARACTERS
            continue
        dropped = any(flags[d] for flags in failures)
        row = {"documents": 1, "same_verdicts": dropped == bool(theirs["dropped"]), "dropped": bool(theirs["dropped"])}
        reached = theirs["text"] is not None and theirs["dropped"] in ("", "too_few_sentences")
        if reached and not (comparison.script == "c4_datatrove.py" and theirs["dropped"]):
            row |= {"texts": 1, "same_texts": edited[d] == theirs["text"]}
        if reached and theirs.get("sentences") is not None:
            row |= {"counted": 1, "same_sentences": sentences[d] == theirs["sentences"]}
        for key in (language, "all"):
            counts.setdefault(key, Counter()).update(row)
    names = ("documents", "dropped", "same_verdicts", "texts", "same_texts", "counted", "same_sentences")
    return [
        {"comparison": comparison.name, "language": language, **{name: row[name] for name in names}}
        for language, row in counts.items()
    ]


if __name__ == "__main__":
    main()
