"""DCLM's line rules of dclm_baseline_refinedweb.yaml. Runs where c4_dclm.py runs, with the same third argument."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

sys.path.insert(0, str(Path(__file__).parents[1]))
for name in ("baselines", "baselines.mappers", "baselines.mappers.filters", "baselines.mappers.enrichers", "core"):
    sys.modules[name] = ModuleType(name)
    folder = name.replace(".", "/").replace("core", "baselines/core")
    sys.modules[name].__path__ = [str(Path(sys.argv[3], folder))]

from baselines.mappers import core_utils, modifiers  # noqa: E402
from peer import Answer, answer  # noqa: E402

CUT = {"max_length": 10, "remove_substring_only": True}
STEPS = [
    (modifiers.uppercase_ratio_line_modifier, {"max_ratio": 0.5}),
    (modifiers.numeric_ratio_line_modifier, {"max_ratio": 0.999999}),
    (modifiers.counter_line_modifier(), {}),
    (modifiers.line_length_modifier, {"min_length": 2}),
    (modifiers.substring_line_modifier("items in cart", **CUT), {}),
    (modifiers.substring_line_modifier("Read more...", location="suffix", **CUT), {}),
    (modifiers.substring_line_modifier("Sign-in", location="prefix", **CUT), {}),
]


def count_words(text: str) -> int:
    """As word_counter_enricher and word_removal_ratio_filter count them."""
    return len(core_utils.split_words(text, ignore_punctuation=True))


def clean(text: str) -> Answer:
    page, before = {"text": text}, count_words(text)
    left = text
    for step, parameters in STEPS:
        left = page["text"] if step(page, **parameters) else ""
        if not left:
            break
    removed = (before - count_words(left)) / before if before else 1.0
    return {"text": left, "words": before, "removed_words": removed, "dropped": removed > 0.05}


if __name__ == "__main__":
    answer(clean)
