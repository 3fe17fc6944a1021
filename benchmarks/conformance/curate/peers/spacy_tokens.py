"""datatrove's English words and sentences, from its SpaCyTokenizer. Runs where datatrove 0.10.1 and spaCy 3.8.18 are.

pip install "datatrove[processing]==0.10.1" spacy==3.8.18
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from datatrove.utils.text import split_into_sentences, split_into_words
from peer import Answer, answer


def tokens(text: str) -> Answer:
    lines = text.split("\n") if text else []
    return {"words": split_into_words(text), "sentences": sum(len(split_into_sentences(line)) for line in lines)}


if __name__ == "__main__":
    answer(tokens)
