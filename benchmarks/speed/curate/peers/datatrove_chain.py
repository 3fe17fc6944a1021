"""datatrove's FineWeb filters over JSON Lines, in one process: a line of JSON with what it cost and kept.

    python datatrove_chain.py INPUT_FOLDER OUT_FOLDER --words spacy|plain

pip install "datatrove[io,processing]==0.10.1" spacy

With `plain` words are what `str.split` gives and sentences end at . ! ? before whitespace, so that the cost of the
tokenizer can be told from the rest. One short document goes through first, so that models are loaded.
"""

from __future__ import annotations

import argparse
import json
import logging
import re
import time
from collections import deque
from pathlib import Path
from typing import Any

from datatrove.data import Document
from datatrove.pipeline.filters import (
    C4QualityFilter,
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
)
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.writers import JsonlWriter
from datatrove.utils.logging import logger
from datatrove.utils.word_tokenizers import WordTokenizer


class Plain(WordTokenizer):
    """Words by whitespace, sentences by a regular expression."""

    _sentence = re.compile(r".+?(?:[.!?]+(?=\s)|$)", re.DOTALL)

    def word_tokenize(self, text: str) -> list[str]:
        return text.split()

    def sent_tokenize(self, text: str) -> list[str]:
        return [match.group().strip() for match in self._sentence.finditer(text)]

    def span_tokenize(self, text: str) -> list[tuple[int, int]]:
        return [match.span() for match in self._sentence.finditer(text)]


def filters(words: str) -> list[Any]:
    language: Any = Plain() if words == "plain" else "eng_Latn"
    return [
        GopherRepetitionFilter(language=language),
        GopherQualityFilter(language=language),
        C4QualityFilter(filter_no_terminal_punct=False, language=language),
        FineWebQualityFilter(language=language),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--words", choices=["spacy", "plain"], default="spacy")
    asked = parser.parse_args()
    logger.remove()
    logging.disable()
    steps = filters(asked.words)
    for step in steps:
        step.filter(Document(text="A page of one line, to begin with. It has two sentences.", id="0"))
    start_cpu = time.process_time()
    wall = time.time()
    reader = JsonlReader(str(asked.folder), compression=None, doc_progress=False)
    writer = JsonlWriter(str(asked.out), output_filename="${rank}.jsonl", compression=None)
    documents: Any = None
    for step in (reader, *steps, writer):
        documents = step.run(documents, 0, 1)
    deque(documents, maxlen=0)
    writer.close()
    told = {"cpu": time.process_time() - start_cpu, "wall": time.time() - wall, "start_cpu": start_cpu}
    kept = [json.loads(line)["id"] for file in asked.out.glob("*.jsonl") for line in file.open(encoding="utf-8")]
    print(json.dumps({**told, "kept_ids": kept}))


if __name__ == "__main__":
    main()
