import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedbed.core.nouns import DocumentBatch
from seedbed.text.spacy import words as module
from seedbed.text.spacy.sentences import spacy_sentences
from seedbed.text.spacy.words import spacy_words
from seedbed.text.words import whitespace as words
from tests.conftest import examples

GOLDEN = json.loads(Path(__file__).with_name("golden.json").read_text())["texts"]
PIECES = ["word", "Mr.", "don't", ":)", "(", ")", ".", "...", "5km", "a-b", "http://a.b/c-d", "°C.", "x-", "語。", "'s"]
TEXTS = st.lists(st.lists(st.sampled_from([*PIECES, " ", " ", "\n", "  "]), max_size=40).map("".join), min_size=1)


def tokens(texts):
    batch = DocumentBatch.of(texts)
    found, raw = batch.derive(spacy_words), batch.text_buffers()[0].tobytes()
    spans = [raw[a:b].decode() for a, b in zip(found.start.tolist(), found.end.tolist(), strict=True)]
    first = found.first.tolist()
    return [spans[a:b] for a, b in itertools.pairwise(first)]


def test_tokens_are_those_of_spacy():
    """Frozen output of spaCy; scripts/build_spacy_golden.py says which and how."""
    for (text, _, *theirs), ours in zip(GOLDEN, tokens([row[0] for row in GOLDEN]), strict=True):
        assert ours == theirs, text


def test_sentences_are_those_of_spacy():
    counts = DocumentBatch.of([row[0] for row in GOLDEN]).derive(spacy_sentences)
    for (text, theirs, *_), ours in zip(GOLDEN, counts.tolist(), strict=True):
        assert ours == theirs, text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        (" \n\t", ""),
        ("Hello, (world)!", "Hello , ( world ) !"),
        ("They don't; it's Mr. O'Neil's.", "They do n't ; it 's Mr. O'Neil 's ."),
        ("well-known 3-4 a--b x...y", "well - known 3 - 4 a -- b x ... y"),
        ("5km 10%. US$5 20°C.", "5 km 10 % . US$ 5 20 ° C ."),
        ("see http://a-b.com/c-d, e-mail a.b@c-d.org.", "see http://a-b.com/c-d , e - mail a.b@c-d.org ."),
        ("10.0.0.1/a-b 8.8.8.8/a-b", "10.0.0.1 / a - b 8.8.8.8/a-b"),
        ("fine :) and (:", "fine :) and (:"),
        ("x-°C. foo-a.", "x- ° C . foo - a."),
        ("°C.° b (°F.°", "° C . ° b ( ° F . °"),  # a phrase of two tokens becomes three
        ("语言,模型。第二句!", "语言 , 模型。第二句 !"),
    ],
)
def test_rules_by_hand(text, expected):
    assert tokens([text]) == [expected.split()]


@examples(60)
@given(TEXTS)
def test_every_character_is_in_one_word_and_neighbours_change_nothing(texts):
    found = tokens(texts)
    for text, ours in zip(texts, found, strict=True):
        assert "".join(ours) == "".join(text.split())
        assert tokens([text]) == [ours]


def test_words_are_described_as_whitespace_words_are():
    text = "größe 語 foo9 ---"
    ours, theirs = (DocumentBatch.of([text]).derive(ask) for ask in (spacy_words, words.words))
    for column in ("start", "end", "chars", "hash", "alphabetic"):
        assert np.array_equal(getattr(ours, column)[:3], getattr(theirs, column)[:3])
    assert not ours.alphabetic[3:].any()


def test_there_is_room_for_more_words_than_guessed(monkeypatch):
    texts = ["one two", "(" * 3000, "°C.° " * 200, "three"]
    usual = tokens(texts)
    monkeypatch.setattr(module, "_BYTES_PER_WORD", 10**9)
    assert tokens(texts) == usual
    assert len(usual[1]) == 3000
    assert usual[2] == ["°", "C", ".", "°"] * 200


@pytest.mark.parametrize(
    ("text", "n_sentences"),
    [
        ("", 0),
        ("One. Two.", 2),
        ("Mr. Smith. e.g. this... and that.", 2),
        ('He said "stop." Then left.', 2),
        ("a\n\nb", 3),
        ("End.  \nNext.", 3),
        ("End. \nNext.", 2),
        ("What?! No.", 2),
    ],
)
def test_sentences_by_hand(text, n_sentences):
    assert DocumentBatch.of([text]).derive(spacy_sentences).tolist() == [n_sentences]
