"""Continued byte-level BPE: against recounting after every merge, and against the trainer of `tokenizers`."""

import collections
import itertools
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from seedbed.model.vocabulary import next_merges, pieces_of, with_merges
from seedbed.text.bpe.learning import Pieces, learn
from seedbed.tokenize.tokenizers.byte_bpe import ByteBpe
from tests.conftest import examples, sample_texts

TEXTS = [row["text"] for row in sample_texts()]
RUSSIAN = ["Показать версию и выйти. Файл не найден: проверьте путь к файлу.", "Файлы каталога показаны по порядку."]


def trained(size, texts):
    """By the library."""
    return ByteBpe(vocab_size=size).make(iter(texts))


def pieces(words):
    ids = list(itertools.chain.from_iterable(word for word, _ in words))
    offsets = np.cumsum([0, *(len(word) for word, _ in words)])
    return Pieces(np.array(ids, np.int64), offsets, np.array([count for _, count in words], np.int64))


def recounted(words, spelled, n_merges, least, first_id):
    """All pairs counted again before every merge."""
    words, weights = [list(word) for word, _ in words], [count for _, count in words]
    spelled, merges, taken = dict(spelled), [], set(spelled.values())
    while len(merges) < n_merges:
        counts = collections.Counter()
        for word, weight in zip(words, weights, strict=True):
            for pair in itertools.pairwise(word):
                counts[pair] += weight
        left = [
            (-count, pair)
            for pair, count in counts.items()
            if count >= max(least, 1) and spelled[pair[0]] + spelled[pair[1]] not in taken
        ]
        if not left:
            break
        pair, token = min(left)[1], first_id + len(merges)
        spelled[token] = spelled[pair[0]] + spelled[pair[1]]
        taken.add(spelled[token])
        merges.append(pair)
        words = [joined(word, pair, token) for word in words]
    return merges


def joined(word, pair, token):
    found = []
    for key in word:
        if found and (found[-1], key) == pair:
            found[-1] = token
        else:
            found.append(key)
    return found


@examples(80)
@given(
    st.lists(st.tuples(st.lists(st.integers(0, 3), max_size=12), st.integers(1, 4)), max_size=6),
    st.integers(0, 12),
    st.integers(1, 4),
)
def test_the_merges_are_those_of_recounting_after_each(words, n_merges, least):
    spelled = {0: b"a", 1: b"b", 2: b"ab", 3: b"c"}
    expected = recounted(words, spelled, n_merges, least, 10)
    assert learn(pieces(words), spelled, n_merges, least, 10) == expected


def test_from_the_bare_bytes_they_are_those_of_the_library_on_the_same_text():
    texts = TEXTS + RUSSIAN
    bare, whole = trained(257, texts), json.loads(trained(900, texts))
    merges = next_merges(bare, iter(texts), 900 - 257, 2, 257)
    continued = json.loads(with_merges(bare, merges, 257))
    assert len(merges) == 900 - 257
    assert continued["model"]["merges"] == whole["model"]["merges"]
    assert continued["model"]["vocab"] == whole["model"]["vocab"]


def test_half_way_on_the_same_text_it_goes_on_as_if_it_had_not_stopped():
    half, whole = trained(500, TEXTS), json.loads(trained(700, TEXTS))
    merges = next_merges(half, iter(TEXTS), 200, 2, 500)
    assert json.loads(with_merges(half, merges, 500))["model"]["merges"] == whole["model"]["merges"]


def test_a_long_piece_does_not_take_long():
    """A text of 200 kB without a break; the time of rewriting the piece at every merge would be minutes."""
    generator = np.random.default_rng(0)
    ids = generator.integers(0, 4, 200_000)
    found = learn(pieces([(ids.tolist(), 1)]), {i: bytes([97 + i]) for i in range(4)}, 2000, 2, 4)
    assert len(found) == 2000


def test_nothing_is_learned_from_nothing():
    assert learn(pieces([]), {0: b"a"}, 5, 1, 1) == []
    assert learn(pieces([([0], 9), ([], 3)]), {0: b"a"}, 5, 1, 1) == []
    assert next_merges(trained(300, TEXTS), iter(["", ""]), 5, 1, 300) == []


@pytest.mark.parametrize("ignore_merges", [False, True])
def test_what_a_new_token_is_made_of_is_what_the_old_tokenizer_writes_it_with(ignore_merges):
    told = json.loads(trained(400, TEXTS))
    told["model"]["ignore_merges"] = ignore_merges
    definition = json.dumps(told)
    merges = next_merges(definition, iter(RUSSIAN), 60, 1, 400)
    bare = {**told, "pre_tokenizer": None}
    grown = {**json.loads(with_merges(definition, merges, 400)), "pre_tokenizer": None}
    names = {key: token for token, key in grown["model"]["vocab"].items()}
    old, new = Tokenizer.from_str(json.dumps(bare)), Tokenizer.from_str(json.dumps(grown))
    assert len(merges) == 60
    for key, parts in enumerate(pieces_of(merges, 400), 400):
        assert old.encode(names[key]).ids == parts.tolist()
        assert new.encode(names[key]).ids == [key], "a new token cannot be reached"
