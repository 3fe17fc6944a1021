"""Do `refinedweb_lines` and `refinedweb_removal` leave the text and count the words that DCLM and RedStone do?

    python benchmarks/conformance/curate/refinedweb.py --corpus DIR --peer-python PATH --dclm DIR --redstone DIR

The corpus is a folder of JSON lines with `text`, and `language` or `metadata.lang`. --dclm and --redstone are
checkouts; what the interpreter needs stands at the head of the scripts in `peers`; nothing is installed here. A peer
that is not given is left out. The result is benchmarks/results/conformance_refinedweb.csv.
"""

from __future__ import annotations

import argparse
import csv
from collections import Counter
from pathlib import Path
from typing import Any

from peer import LANGUAGES, Answer, ask, sample

from seedbed.core.nouns import DocumentBatch
from seedbed.curate.edits.refinedweb_lines import RefinedwebLines
from seedbed.curate.filters.refinedweb_removal import RefinedwebRemoval

HERE = Path(__file__).parent
RESULT = HERE.parents[1] / "results" / "conformance_refinedweb.csv"


def main() -> None:
    """Write the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--corpus", type=Path, required=True)
    options.add_argument("--peer-python", required=True)
    options.add_argument("--dclm")
    options.add_argument("--redstone")
    options.add_argument("--documents", type=int, default=5000)
    options.add_argument("--languages", nargs="+", default=LANGUAGES)
    given = options.parse_args()
    documents = sample(given.corpus, given.documents, given.languages)
    rows: list[dict[str, Any]] = []
    for dialect in ("dclm", "redstone"):
        checkout = getattr(given, dialect)
        if checkout is not None:
            script = HERE / "peers" / f"refinedweb_{dialect}.py"
            rows.extend(
                compare(dialect, documents, ask(given.peer_python, script, [t for _, t in documents], checkout))
            )
    with RESULT.open("w", newline="") as out:
        writer = csv.DictWriter(out, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    for row in rows:
        if row["language"] == "all":
            print(row)


def compare(dialect: str, documents: list[tuple[str, str]], answers: list[Answer]) -> list[dict[str, Any]]:
    """A row a language, and one for all."""
    batch = DocumentBatch.of([text for _, text in documents])
    edited = RefinedwebLines(dialect=dialect).edit(batch).texts.to_pylist()
    removal = RefinedwebRemoval(dialect=dialect)
    signals = removal.measure(batch)
    failures = removal.failures(signals)["max_removed_words"].tolist()
    counts: dict[str, Counter[str]] = {}
    for d, (language, signal) in enumerate(zip((name for name, _ in documents), signals.to_pylist(), strict=True)):
        theirs = answers[d]
        row = {
            "documents": 1,
            "dropped": theirs["dropped"],
            "same_texts": theirs["text"] in (None, edited[d]),
            "same_words": signal["words"] == theirs["words"],
            "same_removed_words": abs(signal["removed_words"] - theirs["removed_words"]) < 1e-6,
            "same_verdicts": failures[d] == theirs["dropped"],
        }
        for key in (language, "all"):
            counts.setdefault(key, Counter()).update(row)
    return [{"dialect": dialect, "language": language, **row} for language, row in counts.items()]


if __name__ == "__main__":
    main()
