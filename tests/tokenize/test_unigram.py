"""Unigram: the likeliest pieces, found by brute force too; no byte lost; text cannot name a byte or an end."""

from __future__ import annotations

import itertools
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedbed.core.errors import RecipeError
from seedbed.core.nouns import DocumentBatch
from seedbed.tokenize.contract import END_OF_TEXT
from seedbed.tokenize.encode import Encoder
from seedbed.tokenize.tokenizers.unigram import ASCII, BYTES, ESCAPE, MARK, NEVER, Unigram
from tests.conftest import examples, sample_texts

TEXTS = [row["text"] for row in sample_texts()[:8]]
DEFINITION = Unigram(vocab_size=600).make(iter(TEXTS))
ENCODER = Encoder(DEFINITION)
VOCAB = [tuple(entry) for entry in json.loads(DEFINITION)["model"]["vocab"]]
HARD = st.sampled_from(["<0x41>", "<0xFF>", END_OF_TEXT, MARK, ESCAPE, ESCAPE + "a", ESCAPE + "b", " ", "  ", "\r\n",
                        "\n\n", "\t", "\x00", "é", "e\u0301", "日本", "Жё", "\U0001f600", "\ufffd"])  # fmt: skip


def encode(texts: list[str]) -> list[list[int]]:
    ids, offsets = ENCODER.encode(*DocumentBatch.of(texts).text_buffers())
    return [ids[a:b].tolist() for a, b in itertools.pairwise(offsets)]


@given(st.lists(st.lists(st.one_of(HARD, st.text(max_size=8)), max_size=6).map("".join), max_size=4))
@examples(80)
def test_no_byte_is_lost_and_every_document_ends(texts: list[str]) -> None:
    for text, piece in zip(texts, encode(texts), strict=True):
        assert piece[-1] == ENCODER.end_id
        assert ENCODER.end_id not in piece[:-1]
        assert ENCODER.decode(piece) == text


def test_names_of_special_tokens_and_bytes_in_a_text_stay_text() -> None:
    names = [END_OF_TEXT, *BYTES]
    bare = {ENCODER.end_id, *range(1, 257)}
    for name, piece in zip(names, encode(names), strict=True):
        assert bare.isdisjoint(piece[:-1]), name
        assert ENCODER.decode(piece) == name


def test_a_character_that_is_no_piece_is_written_as_its_bytes() -> None:
    (ids,) = encode(["日"])
    assert [VOCAB[i][0] for i in ids[:-1]] == [MARK, *(f"<0x{byte:02X}>" for byte in "日".encode())]


@pytest.mark.parametrize("word", ["database", "tables", "the", "statement", "x=1;y", "sqliteish"])
def test_the_segmentation_is_the_likeliest_of_all(word: str) -> None:
    """Fidelity: brute force over the 2^(n-1) ways to cut the word."""
    score = {piece: value for piece, value in VOCAB if value > NEVER}
    marked, best = MARK + word, (-math.inf, ())
    for cuts in itertools.product([False, True], repeat=len(marked) - 1):
        at = [0, *(i + 1 for i, cut in enumerate(cuts) if cut), len(marked)]
        parts = tuple(marked[a:b] for a, b in itertools.pairwise(at))
        if all(part in score for part in parts):
            best = max(best, (sum(score[part] for part in parts), parts))
    (ids,) = encode([word])
    assert tuple(VOCAB[i][0] for i in ids[:-1]) == best[1]


def test_pieces_are_learned_and_ordered() -> None:
    assert ENCODER.vocab_size == len(VOCAB) == 600
    assert VOCAB[0][0] == END_OF_TEXT
    assert ENCODER.end_id == 0
    scores = [value for _, value in VOCAB[257:]]
    assert scores == sorted(scores, reverse=True)
    assert len({piece for piece, _ in VOCAB}) == 600
    pieces = encode(TEXTS)
    assert sum(map(len, pieces)) < 0.6 * sum(len(text.encode()) for text in TEXTS)
    assert sum(i in range(1, 257) for piece in pieces for i in piece) < 0.001 * sum(map(len, pieces))


def test_frequent_words_are_pieces_and_more_frequent_ones_likelier() -> None:
    score = dict(VOCAB)
    assert score[MARK + "the"] > score[MARK + "database"] > NEVER


def test_made_again_it_is_the_same() -> None:
    assert Unigram(vocab_size=600).make(iter(TEXTS)) == DEFINITION


def test_a_pool_that_says_little_gives_what_there_is() -> None:
    for texts in ([], [""], ["a"]):
        encoder = Encoder(Unigram().make(iter(texts)))
        assert encoder.vocab_size >= 257 + len(ASCII)
        ids, _ = encoder.encode(*DocumentBatch.of(["Ab ж"]).text_buffers())
        assert encoder.decode(ids.tolist()) == "Ab ж"


def test_many_characters_leave_room_for_pieces() -> None:
    texts = ["".join(map(chr, range(0x4E00, 0x5200))) + " the same words again" * 300]
    encoder = Encoder(Unigram(vocab_size=512).make(iter(texts)))
    assert encoder.vocab_size <= 512
    ids, _ = encoder.encode(*DocumentBatch.of(texts).text_buffers())
    assert encoder.decode(ids.tolist()) == texts[0]
    assert np.mean(ids > 256) > 0.3


def test_the_vocabulary_holds_the_bytes() -> None:
    with pytest.raises(RecipeError, match="vocab_size: 511 must be >= 512"):
        Unigram(vocab_size=511)
