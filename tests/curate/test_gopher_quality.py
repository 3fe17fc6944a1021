import re
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedbed.core.errors import RecipeError
from seedbed.core.nouns import DocumentBatch
from seedbed.curate.filters.gopher_quality import STOP_WORDS, GopherQuality
from tests.conftest import examples

PIECES = [
    "the ",
    "To ",
    "OF",
    "And, ",
    "word ",
    "größe",
    "語",
    "😀 ",
    "3.5 ",
    "# ",
    "#",
    ".",
    ". ",
    "…",
    "\n",
    "\n\n",
    " ",
    "\u2003",
]
PIECES += ["• ", "● ", "- ", "* ", "...\n", ". . .", "‣ ", "⁦", "\x00", "İ", "K"]
TEXTS = st.lists(st.lists(st.sampled_from(PIECES), max_size=60).map("".join), min_size=1, max_size=4)


def brute(text):
    words = text.split()
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    w, n = max(1, len(words)), max(1, len(lines))
    return {
        "words": len(words),
        "average_word_length": sum(map(len, words)) / w,
        "symbol_ratio": max(text.count("#"), sum(map(text.count, ("...", ". . .", "…")))) / w,
        "bullet_lines": sum(line.startswith(("●", "•", "*", "-")) for line in lines) / n,
        "ellipsis_lines": sum(line.endswith(("...", ". . .", "…")) for line in lines) / n,
        "alphabetic_words": sum(any(map(str.isalpha, word)) for word in words) / w,
        "stop_words": sum(word.lower() in STOP_WORDS for word in words),
    }


def measure(*texts):
    return GopherQuality().measure(DocumentBatch.of(list(texts))).to_pylist()


@examples(100)
@given(TEXTS)
def test_every_number_matches_brute_force(texts):
    for row, text in zip(measure(*texts), texts, strict=True):
        expected = brute(text)
        assert row.keys() == expected.keys()
        np.testing.assert_allclose(list(row.values()), list(expected.values()), rtol=1e-12)


def fails(text):
    method = GopherQuality()
    return [rule for rule, rows in method.failures(method.measure(DocumentBatch.of([text]))).items() if rows[0]]


def test_thresholds_are_the_papers_and_inclusive():
    prose = "the and of word " * 13
    assert fails(prose) == []
    assert fails("the and word word " * 12) == ["min_words"]
    assert fails("the and of word " * 12 + "two more") == []  # exactly 50
    assert fails("ab " * 48 + "the be") == ["min_average_word_length"]
    assert fails("abcdefghijk " * 58 + "the be") == ["max_average_word_length"]
    assert fails(prose + "#" * 6) == ["max_symbol_ratio"]
    assert fails(prose + " ..." * 7) == ["max_symbol_ratio", "max_ellipsis_lines"]
    assert fails("word word word ...\nthe of word word\n" * 10) == ["max_symbol_ratio", "max_ellipsis_lines"]
    assert fails("- the word of words\n" * 20) == ["max_bullet_lines"]
    assert fails("the of 1234 word 5678 " * 12) == ["min_alphabetic_words"]
    assert fails("word " * 60 + "the") == ["min_stop_words"]


def test_golden_cases_of_the_paper_dialect():
    assert measure("")[0]["words"] == measure(" \n\t")[0]["words"] == 0
    assert measure("the the the")[0]["stop_words"] == 3  # occurrences, not distinct words
    assert measure("The Be To")[0]["stop_words"] == 3  # in any case
    assert measure("the, (be) to.")[0]["stop_words"] == 0  # but bare
    dialogue = '"No," he said. "Not to me, and not of that." ' * 10  # a fifth of its spaCy tokens are punctuation
    assert fails(dialogue) == []
    assert measure("● a\n  * b\n\n- c\n• d\n– e")[0]["bullet_lines"] == 4 / 5  # leading space or not
    assert measure("a...\nb …\nc . . .  \nd..")[0]["ellipsis_lines"] == 3 / 4
    assert measure("語" * 200)[0]["words"] == 1  # no spaces, one word: min_words says so


def test_a_rule_is_off_without_a_threshold():
    method = GopherQuality(min_words=None)
    assert "min_words" not in method.failures(method.measure(DocumentBatch.of(["short"])))


def test_words_of_scripts_belong_to_the_paper_dialect_alone():
    with pytest.raises(RecipeError, match="words of its own"):
        GopherQuality(dialect="dclm", words="scripts")


LINES = st.lists(st.sampled_from([*PIECES, "\r\n", "\x85", "\u2028", "\x0b", "-", "…"]), max_size=40).map("".join)


@examples(60)
@given(st.lists(LINES, min_size=1, max_size=3))
def test_dolma_matches_brute_force(texts):
    for dialect, cut in (("dolma_v1", "\n"), ("dolma_v2", "\n+")):
        rows = GopherQuality(dialect=dialect).measure(DocumentBatch.of(texts)).to_pylist()
        for row, text in zip(rows, texts, strict=True):
            words, lines = text.split(), re.split(cut, text)
            w = max(1, len(words))
            assert row["average_word_length"] == (statistics.median(map(len, words)) if words else 0)
            assert row["symbol_ratio"] == sum("#" in word or "…" in word for word in words) / w
            assert row["bullet_lines"] == sum(line.startswith(("*", "-")) for line in lines) / len(lines)
            assert row["ellipsis_lines"] == sum(line.endswith("…") for line in lines) / len(lines)
            assert row["stop_words"] == sum(word in STOP_WORDS for word in words)


@examples(60)
@given(st.lists(LINES, min_size=1, max_size=3))
def test_lines_of_datatrove_match_brute_force(texts):
    rows = GopherQuality(dialect="datatrove").measure(DocumentBatch.of(texts)).to_pylist()
    for row, text in zip(rows, texts, strict=True):
        lines = text.splitlines()
        n = max(1, len(lines))
        assert row["bullet_lines"] == sum(line.lstrip().startswith(("•", "-")) for line in lines) / n
        assert row["ellipsis_lines"] == sum(line.rstrip().endswith(("...", "…")) for line in lines) / n
