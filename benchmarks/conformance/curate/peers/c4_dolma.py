"""Dolma's tagger c4_v2, and what the mixer of configs/c4-replication makes of its spans. Runs where dolma 1.2.1 is.

pip install dolma==1.2.1

The mixer is a program of its own; here its two steps on one document are done in Python: drop by a page's span, cut out
a line's span. The list of bad words is left out.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from dolma.core.data_types import Document
from dolma.taggers.c4 import FasterC4Tagger
from peer import Answer, answer

TAGGER = FasterC4Tagger()
PAGE = ("has_curly_brace", "has_lorem_ipsum", "has_javascript")
LINES = ("lines_with_no_ending_punctuation", "lines_with_too_few_words")


def clean(text: str) -> Answer:
    spans = TAGGER.predict(Document(source="", id="0", text=text)).spans
    cut = sorted({(span.start, span.end) for span in spans if span.type in LINES})
    left, at = [], 0
    for start, end in cut:
        left.append(text[at:start])
        at = end
    found = [span.type for span in spans if span.type in PAGE]
    return {"text": "".join(left) + text[at:], "dropped": found[0] if found else ""}


if __name__ == "__main__":
    answer(clean)
