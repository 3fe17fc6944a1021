"""Does fineweb_quality in the dialect "datatrove" give the numbers and verdicts of the filter FineWeb was made with?

    pip install "datatrove[processing]==0.10.1" spacy==3.8.18        into an interpreter of its own

    python benchmarks/conformance/curate/fineweb.py --corpus DIR --peer-python PATH [--documents 5000]

The corpus is a folder of JSON lines with `text` and `language`. Writes benchmarks/results/conformance_fineweb.csv.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from agreement import agreement, write
from peer import LANGUAGES, ask, sample

from seedbed.core.nouns import DocumentBatch
from seedbed.curate.filters.fineweb_quality import FinewebQuality

PEER = Path(__file__).parent / "peers" / "datatrove_filters.py"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--peer-python", required=True)
    parser.add_argument("--documents", type=int, default=5000)
    parser.add_argument("--languages", nargs="+", default=LANGUAGES)
    asked = parser.parse_args()
    chosen = sample(asked.corpus, asked.documents, asked.languages)
    languages, texts = [language for language, _ in chosen], [text for _, text in chosen]
    told = [answer["fineweb_quality"] for answer in ask(asked.peer_python, PEER, texts)]
    method = FinewebQuality(dialect="datatrove")
    write("fineweb", list(agreement(method, "datatrove", "datatrove 0.10.1", DocumentBatch.of(texts), languages, told)))


if __name__ == "__main__":
    main()
