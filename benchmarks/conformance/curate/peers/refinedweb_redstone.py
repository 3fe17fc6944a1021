"""RedStone's line rules, on lines. Runs where RedStone's repository and two of its libraries are.

git clone https://github.com/microsoft/RedStone && git -C RedStone checkout e731748
pip install regex loguru

The third argument is the cloned repository. Two things are changed: lines are what lies between newlines, where
RedStone splits sentences (and does this itself when its splitter takes too long), and the patterns are a tuple, where
RedStone's generator is used up by the first line.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(sys.argv[3], "GeneralDomain/redstone_cc/algos")))
for name, attributes in {
    "stopit": ("SignalTimeout", "ThreadingTimeout"),
    "sentence_splitter": ("split_text_into_sentences",),
}.items():
    sys.modules[name] = ModuleType(name)
    for attribute in attributes:
        setattr(sys.modules[name], attribute, None)

from peer import Answer, answer  # noqa: E402
from rule_based_filters.model.document import Document  # noqa: E402
from rule_based_filters.model.violations import Violations  # noqa: E402
from rule_based_filters.ruleset import refinedweb  # noqa: E402

refinedweb.gopher_filter = lambda _: Violations()
refinedweb.EXCLUDE_PATTERNS = tuple(
    refinedweb.regex.compile(pattern)
    for pattern in ("^sign in", "^sign-in", "^sign up", "^sign-up", "read more...$", "items in cart")
)


def clean(text: str) -> Answer:
    document = Document(text, "en")
    document.__dict__["sents"] = text.split("\n")
    words = sum(len(line.split()) for line in document.normalized_sents)
    if words == 0:
        return {"text": None, "words": 0, "removed_words": 1.0, "dropped": True}
    violations = refinedweb.refinedweb_filter(document)
    out = [len(line.split()) for i, line in enumerate(document.normalized_sents) if i in violations.excluded_lines]
    dropped = "line_document_discarded" in violations.doc_violations
    violations.doc_violations.clear()
    left = violations.apply_to_doc(document)
    return {"text": left, "words": words, "removed_words": sum(out) / words, "dropped": dropped}


if __name__ == "__main__":
    answer(clean)
