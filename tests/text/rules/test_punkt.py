import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedbed.core.nouns import DocumentBatch
from seedbed.text.rules.punkt import line_sentences, page_sentences
from tests.conftest import examples

GOLDEN = json.loads(Path(__file__).with_name("punkt_golden.json").read_text())
VERSIONS = ["3.4", "3.8", "3.10"]
# Counts of NLTK 3.9.4, where each shows one rule.
RULES = [
    ("", 0),
    (" \n ", 0),
    ("no end", 1),
    ("One. two! three? Four", 4),
    ("Dr. Smith met J. R. Jones of the U.S. Army in 3.5 hours.", 1),  # abbreviations, initials
    ("She lives in Ill. The house is old.", 2),  # a word that begins sentences
    ("She lives in Ill. near the lake.", 1),
    ("He left... slowly... Then he went. On.", 2),  # dots; "Then" begins few of the model's sentences
    ("Version 3. is out. See 4. The end.", 3),  # a number before lower case
    ("It is by B. Smith. Or by A. Bach. So.", 3),  # a collocation; a name
    ("The vice-pres. then. The vice-sen. here.", 3),  # an abbreviation behind a hyphen
    ("He is in St. \u212anown here.", 2),  # a Kelvin sign is a K
    ("In \u212ay. then so.", 1),
    ("one line\nanother line", 1),
    ("What?! No.", 2),
    ("What ?! No.", 3),  # the first mark of a word too
    ('He said "stop." Then (he left.) So.', 3),  # closing marks
    ('He said "stop."', 1),
    ("一つ。二つ！三つ？", 1),
    ("He said \u201cstop.\u201d Then he left.", 1),  # no quotes before NLTK 3.10
]
PIECES = ["word", "Word", "J", "Ill", "3", ".", ".", "...", "!", "?", '"', ")", " ", " ", "\n", "\u00a0", "é", "語"]
TEXTS = st.lists(st.lists(st.sampled_from(PIECES), max_size=40).map("".join), min_size=1, max_size=4)


@pytest.mark.parametrize(("text", "n_sentences"), RULES)
def test_each_rule(text, n_sentences):
    assert count([text], "3.8") == [n_sentences]


@pytest.mark.parametrize("nltk", VERSIONS)
def test_counts_are_those_of_nltk(nltk):
    """Frozen output of NLTK; scripts/build_punkt_golden.py says which and how."""
    found = count(GOLDEN["texts"], nltk)
    assert [text for text, n, m in zip(GOLDEN["texts"], GOLDEN["counts"][nltk], found, strict=True) if n != m] == []


def test_versions_of_nltk_differ():
    assert [count(["What ?! No.", "“So.” Then."], nltk) for nltk in VERSIONS] == [[2, 1], [3, 1], [3, 2]]


@examples(100)
@given(TEXTS, st.sampled_from(VERSIONS))
def test_lines_are_texts_of_their_own(texts, nltk):
    found = DocumentBatch.of(texts).derive(line_sentences(nltk)).tolist()
    assert found == [sum(count(text.split("\n"), nltk)) for text in texts]


@pytest.mark.parametrize("nltk", VERSIONS)
def test_long_runs_of_marks_take_no_time(nltk):
    runs = [".", "! ", "!", "a.b.", "mr. ", ".\u00a0", "!\u00a0", '!"', ". . "]
    count(["warm."], nltk)
    started = time.process_time()
    count([run * 100_000 + "a" for run in runs], nltk)
    assert time.process_time() - started < 2


def count(texts, nltk):
    return DocumentBatch.of(texts).derive(page_sentences(nltk)).tolist()
