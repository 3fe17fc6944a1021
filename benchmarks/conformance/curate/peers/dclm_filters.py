"""DCLM's Gopher filters, asked for their numbers and verdicts. Runs where DCLM's repository and its libraries are.

git clone https://github.com/mlfoundations/dclm && git -C dclm checkout 361714b
pip install uniseg==0.10.1 nltk fasttext-numpy2-wheel unidecode transformers

The third argument is the cloned repository. Its packages are entered without their `__init__`, which import much more.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

sys.path.insert(0, str(Path(__file__).parents[1]))
for name in ("baselines", "baselines.mappers", "baselines.mappers.filters", "core"):
    sys.modules[name] = ModuleType(name)
    folder = name.replace(".", "/").replace("core", "baselines/core")
    sys.modules[name].__path__ = [str(Path(sys.argv[3], folder))]

from baselines.mappers.filters import content_filters as dclm  # noqa: E402
from peer import Answer, Recorder, answer  # noqa: E402

# baselines_configs/dclm_baseline_refinedweb.yaml
QUALITY: list[tuple[Callable[..., list[object]], dict[str, object]]] = [
    (dclm.page_length_filter, {"length_type": "word", "min_length": 50, "max_length": 100_000,
                               "ignore_punctuation": True}),
    (dclm.word_length_filter, {"min_length": 3, "max_length": 10}),
    (dclm.symbol_ratio_filter, {"max_symbol_to_word_ratio": 0.1}),
    (dclm.bullet_count_filter, {"max_bullet_start_ratio": 0.9}),
    (dclm.ellipsis_count_filter, {"max_ellipsis_end_ratio": 0.3}),
    (dclm.alphabetic_word_ratio_filter, {"max_ratio": 0.2}),
    (dclm.stop_word_filter, {"count_unique": False, "min_stop_word": 2}),
]  # fmt: skip


def quality(text: str) -> Answer:
    page, seen = {"text": text}, {}
    far = float("inf")
    dclm.page_length_filter(page, "word", Recorder("words", seen), far, ignore_punctuation=True)
    dclm.word_length_filter(page, Recorder("average_word_length", seen), far)
    dclm.symbol_ratio_filter(page, Recorder("symbol_ratio", seen))
    dclm.bullet_count_filter(page, Recorder("bullet_lines", seen))
    dclm.ellipsis_count_filter(page, Recorder("ellipsis_lines", seen))
    dclm.alphabetic_word_ratio_filter(page, Recorder("other_words", seen))
    dclm.stop_word_filter(page, False, Recorder("stop_words", seen))
    if "other_words" in seen:
        seen["alphabetic_words"] = 1 - seen.pop("other_words")
    broken = [rule.__name__ for rule, thresholds in QUALITY if not rule(page, **thresholds)]
    return {**seen, "dropped": broken[0] if broken else ""}


def repetition(text: str) -> Answer:
    page, seen, cache = {"text": text}, {}, {}
    for kind in ("line", "paragraph"):
        dclm.repetition_filter(page, kind, Recorder(f"duplicate_{kind}s", seen), False, cache=cache)
        dclm.repetition_filter(page, kind, Recorder(f"duplicate_{kind}_chars", seen), cache=cache)
    for n in range(2, 11):
        name = f"top_{n}gram_chars" if n < 5 else f"repeated_{n}gram_chars"
        dclm.repetition_filter(page, n, Recorder(name, seen), cache=cache)
    return {**seen, "dropped": "" if dclm.massive_web_repetition_filters(page) else "repetition"}


def everything(text: str) -> Answer:
    return {"gopher_quality": quality(text), "gopher_repetition": repetition(text)}


if __name__ == "__main__":
    answer(everything)
