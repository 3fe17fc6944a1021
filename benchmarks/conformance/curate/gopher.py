"""Do the dialects of the Gopher filters give the numbers and verdicts of the code they are named after?

    pip install "datatrove[processing]==0.10.1" spacy==3.8.18 uniseg==0.10.1 nltk unidecode transformers
    pip install --no-deps dolma==1.2.1
    pip install msgspec smart-open blingfire necessary omegaconf platformdirs anyascii
    git clone https://github.com/mlfoundations/dclm && git -C dclm checkout 361714b

    python benchmarks/conformance/curate/gopher.py --corpus DIR --peer-python PATH --dclm DIR [--documents 5000]

The peers are installed into an interpreter of their own (one for all three), which --peer-python names. The corpus is a
folder of JSON lines with `text` and `language`. Writes benchmarks/results/conformance_gopher.csv.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from agreement import agreement, write
from peer import LANGUAGES, Answer, ask, sample

from seedbed.core.nouns import DocumentBatch
from seedbed.curate.filters.gopher_quality import GopherQuality
from seedbed.curate.filters.gopher_repetition import GopherRepetition

PEERS = Path(__file__).parent / "peers"
NAMES = {"datatrove": "datatrove 0.10.1", "dolma_v1": "dolma 1.2.1", "dolma_v2": "dolma 1.2.1", "dclm": "dclm 361714b"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--peer-python", required=True)
    parser.add_argument("--dclm", required=True, help="folder of DCLM's repository")
    parser.add_argument("--documents", type=int, default=5000)
    parser.add_argument("--languages", nargs="+", default=LANGUAGES)
    asked = parser.parse_args()
    chosen = sample(asked.corpus, asked.documents, asked.languages)
    languages, texts = [language for language, _ in chosen], [text for _, text in chosen]
    answers = of_peers(asked.peer_python, asked.dclm, texts)
    documents = DocumentBatch.of(texts)
    rows: list[list[Any]] = []
    for dialect, peer in NAMES.items():
        for kind in (GopherQuality, GopherRepetition):
            told = [answer[kind.name()] for answer in answers[dialect]]
            rows += agreement(kind(dialect=dialect), dialect, peer, documents, languages, told)
    write("gopher", rows)


def of_peers(python: str, dclm: str, texts: list[str]) -> dict[str, list[Answer]]:
    """Dialect -> an answer a text: method -> numbers."""
    both = ask(python, PEERS / "dolma_gopher.py", texts)
    found = {version: [_parted(answer[version]) for answer in both] for version in ("dolma_v1", "dolma_v2")}
    found["datatrove"] = ask(python, PEERS / "datatrove_filters.py", texts)
    found["dclm"] = ask(python, PEERS / "dclm_filters.py", texts, dclm)
    return found


def _parted(answer: Answer) -> Answer:
    """Dolma's attributes by the method that has them."""
    names = {kind.name(): [signal.name for signal in kind.signals] for kind in (GopherQuality, GopherRepetition)}
    return {method: {name: answer[name] for name in answer if name in known} for method, known in names.items()}


if __name__ == "__main__":
    main()
