"""The rules of C4 and mC4 that look at a page's length alone. Runs where tensorflow-datasets and datatrove are.

pip install tensorflow-datasets==4.9.10 datatrove==0.10.1
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from datatrove.data import Document
from datatrove.pipeline.filters.c4_filters import C4ParagraphFilter
from peer import Answer, answer
from tensorflow_datasets.text import c4_utils

c4_utils.get_counter_inc_fn = lambda _: lambda *_: None  # which counts in Apache Beam
DATATROVE = C4ParagraphFilter()


def judge(text: str) -> Answer:
    page = c4_utils.PageFeatures(text=text)
    return {
        "mC4: tensorflow_datasets": c4_utils.paragraph_filter(page),
        "mC4: datatrove": DATATROVE.filter(Document(text=text, id="")) is True,
        "C4 page length: tensorflow_datasets": c4_utils.is_valid_length(page),
    }


if __name__ == "__main__":
    answer(judge)
