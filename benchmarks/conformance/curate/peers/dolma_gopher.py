"""Dolma's taggers gopher_v1 and gopher_v2, asked for their attributes. Runs where dolma 1.2.1 is.

pip install dolma==1.2.1

Dolma's taggers only measure; its mixer drops. So there is no verdict of its own but the numbers against thresholds.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from dolma.core.data_types import Document
from dolma.taggers.gopher import GopherTagger, GopherTaggerV2
from peer import Answer, answer

TAGGERS = {"dolma_v1": GopherTagger(), "dolma_v2": GopherTaggerV2()}
NAMES = {
    "word_count": "words",
    "median_word_length": "average_word_length",
    "symbol_to_word_ratio": "symbol_ratio",
    "fraction_of_words_with_alpha_character": "alphabetic_words",
    "required_word_count": "stop_words",
    "fraction_of_lines_starting_with_bullet_point": "bullet_lines",
    "fraction_of_lines_ending_with_ellipsis": "ellipsis_lines",
    "fraction_of_duplicate_lines": "duplicate_lines",
    "fraction_of_characters_in_duplicate_lines": "duplicate_line_chars",
}
NAMES |= {f"fraction_of_characters_in_most_common_{n}grams": f"top_{n}gram_chars" for n in (2, 3, 4)}
NAMES |= {f"fraction_of_characters_in_duplicate_{n}grams": f"repeated_{n}gram_chars" for n in range(5, 11)}


def attributes(text: str) -> Answer:
    document = Document(source="", id="0", text=text)
    found: Answer = {}
    for dialect, tagger in TAGGERS.items():
        spans = tagger.predict(document).spans
        found[dialect] = {NAMES[span.type]: span.score for span in spans if span.type in NAMES}
    return found


if __name__ == "__main__":
    answer(attributes)
