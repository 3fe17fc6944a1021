"""datatrove's C4QualityFilter, as C4 has it and as FineWeb does. Runs where datatrove 0.10.1 and spaCy 3.8.18 are.

pip install "datatrove[processing]==0.10.1" spacy==3.8.18
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from datatrove.data import Document
from datatrove.pipeline.filters import C4QualityFilter
from peer import Answer, answer


class Noted(int):
    """A threshold that writes down what it is compared with; `number < threshold` asks it first."""

    seen: int | None = None

    def __gt__(self, number: int) -> bool:
        self.seen = number
        return number < int(self)


def clean(text: str, terminal: bool) -> Answer:
    """What it leaves, how many sentences it counts (None where it stops before), and why it drops the page."""
    min_sentences, page = Noted(5), Document(text=text, id="0")
    kept = C4QualityFilter(filter_no_terminal_punct=terminal, min_num_sentences=min_sentences).filter(page)
    return {"text": page.text, "sentences": min_sentences.seen, "dropped": kept[1] if isinstance(kept, tuple) else ""}


if __name__ == "__main__":
    answer(lambda text: {"c4": clean(text, True), "fineweb": clean(text, False)})
