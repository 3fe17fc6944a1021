from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from seedbed.core.nouns import DocumentBatch
from seedbed.curate.filters.fineweb_quality import FinewebQuality
from seedbed.text.unicode import sentence_terminals
from tests.conftest import examples

PIECES = [
    "word ",
    "語。",
    "größe?",
    "नमस्ते।",
    "😀",
    ".",
    '"',
    "”",
    "\n",
    "\n\n",
    " ",
    "x" * 29,
    "a line of its own.\n",
    "\u3000",
]
TEXTS = st.lists(st.lists(st.sampled_from(PIECES), max_size=60).map("".join), min_size=1, max_size=4)
ENDS = {*map(chr, sentence_terminals()), '"', "'"}


def brute(text, short=30):
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    n = max(1, len(lines))
    later = sum(len(line) * (count - 1) for line, count in Counter(lines).items())
    return {
        "lines": len(lines),
        "terminal_punctuation": sum(line[-1] in ENDS for line in lines) / n,
        "short_lines": sum(len(line) <= short for line in lines) / n,
        "duplicate_line_chars": later / max(1, len(text.replace("\n", ""))),
        "newlines_per_word": text.count("\n") / max(1, len(text.split())),
    }


@examples(100)
@given(TEXTS, st.integers(0, 40))
def test_every_number_matches_brute_force(texts, short):
    rows = FinewebQuality(short_line_length=short).measure(DocumentBatch.of(texts)).to_pylist()
    for row, text in zip(rows, texts, strict=True):
        np.testing.assert_allclose(list(row.values()), list(brute(text, short).values()), rtol=1e-12)


def fails(text):
    method = FinewebQuality()
    return [rule for rule, rows in method.failures(method.measure(DocumentBatch.of([text]))).items() if rows[0]]


def test_thresholds_are_the_papers():
    good = [f"This is line {k}, which is long enough to be prose." for k in range(50)]
    bare = [line[:-1] for line in good]
    assert fails("\n".join(good)) == []
    assert fails("\n".join(bare)) == ["min_terminal_punctuation"]
    assert fails("\n".join(good[:6] + bare[6:])) == []  # 6 of 50 is .12
    assert fails("\n".join(good[:5] + bare[6:])) == ["min_terminal_punctuation"]
    short = [f"Line {k} here is short." for k in range(100)]
    assert fails("\n".join(good[:33] + short[:67])) == []
    assert fails("\n".join(good[:32] + short[:67])) == ["max_short_lines"]
    assert fails("\n".join([*good[:5], good[0]])) == ["max_duplicate_line_chars"]
    assert "max_newlines_per_word" in fails("\n".join(f"{'long' * 8} {k}word." for k in range(50)))
    assert fails("") == fails("\n \n") or fails("") == ["min_lines", "min_terminal_punctuation"]
    assert fails("") == ["min_lines", "min_terminal_punctuation"]


def test_a_line_may_end_in_any_script():
    ends = FinewebQuality().measure(DocumentBatch.of(["語。", "كيف؟", "नमस्ते।", "Հայ։", "no", "a,", 'so"', "“so”"]))
    assert ends.column("terminal_punctuation").to_pylist() == [1, 1, 1, 1, 0, 0, 1, 0]
