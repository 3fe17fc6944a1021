import re
from collections import Counter

import numpy as np
import pytest

from seedbed.core.nouns import DocumentBatch
from seedbed.text.features import Csr, hashed_ngrams

STRANGE = [
    "",
    "a",
    "\x00",
    "🌱🌱 ok",
    "don't STOP_me, now!  x",
    "word " * 20_000,
    "ß É Ж",
    "…—",
    " \n\t",
    "天地 玄黄，宇宙",
]


def features(texts, **how):
    given = {"ngrams": 2, "buckets": 2**31} | how
    return hashed_ngrams(*DocumentBatch.of(texts).text_buffers(), **given)


def row(x, i):
    here = slice(x.indptr_N1[i], x.indptr_N1[i + 1])
    return dict(zip(x.index[here].tolist(), x.value[here].tolist(), strict=True))


def expected_ngrams(text, ngrams, unit, lower):
    text = text.lower() if lower else text
    tokens = re.findall(r"\w+|[^\w\s]+" if unit == "words" else r"\S", text)
    return Counter(tuple(tokens[i : i + n]) for n in range(1, ngrams + 1) for i in range(len(tokens) - n + 1))


@pytest.mark.parametrize("ngrams", [1, 2, 3, 5])
@pytest.mark.parametrize("unit", ["words", "characters"])
@pytest.mark.parametrize("lower", [True, False])
def test_counts_are_those_of_the_regular_expression(ngrams, unit, lower):
    texts = [*STRANGE, "One one two One ONE two", "two One", "a a a a a"]
    x = features(texts, ngrams=ngrams, unit=unit, lower=lower)
    assert len(x) == len(texts)
    names = {}
    for i, text in enumerate(texts):
        expected, found = expected_ngrams(text, ngrams, unit, lower), row(x, i)
        assert sorted(found.values()) == sorted(expected.values()), text
        single = {gram: features([" ".join(gram)], ngrams=len(gram), unit=unit, lower=lower) for gram in expected}
        for gram, alone in single.items():
            # the longest n-gram of a text of its own words occurs once there, and is not among its shorter ones
            shorter = (
                features([" ".join(gram)], ngrams=len(gram) - 1, unit=unit, lower=lower) if len(gram) > 1 else None
            )
            only = set(row(alone, 0)) - (set(row(shorter, 0)) if shorter else set())
            assert len(only) == 1
            bucket = only.pop()
            assert names.setdefault(bucket, gram) == gram, "no two n-grams share one of 2**31 buckets here"
            assert found[bucket] == expected[gram]


def test_rows_are_sorted_and_blind_to_their_neighbours():
    x = features(STRANGE, buckets=50, ngrams=3)
    for i, text in enumerate(STRANGE):
        here = slice(x.indptr_N1[i], x.indptr_N1[i + 1])
        assert (np.diff(x.index[here]) > 0).all()
        assert row(features([text], buckets=50, ngrams=3), 0) == row(x, i)
    assert x.index.max() < 50
    assert len(features([])) == 0


def test_words_of_fifty_thousand_fill_the_buckets_evenly():
    x = features([" ".join(f"word{i}" for i in range(50_000))], ngrams=1, buckets=100)
    count = np.array([row(x, 0)[b] for b in range(100)])
    assert ((count - 500) ** 2 / 500).sum() < 160  # chi-square, 99 degrees of freedom, p = 1e-4


def test_scales_and_rows():
    x = features(["a a b", "", "c c"], ngrams=1)
    assert sorted(row(x.scaled("mean"), 0).values()) == pytest.approx([1 / 3, 2 / 3])
    assert sorted(row(x.scaled("l2"), 0).values()) == pytest.approx([1 / 5**0.5, 2 / 5**0.5])
    assert row(x.scaled("l2"), 1) == {}
    assert list(row(x.scaled("mean"), 2).values()) == [1.0]
    assert x.scaled("none") is x
    assert len(features([]).scaled("l2")) == 0
    assert row(features(["", ""]).scaled("mean"), 1) == {}
    picked = x.rows(np.array([2, 1, 0, 0]))
    assert [row(picked, i) for i in range(4)] == [row(x, i) for i in (2, 1, 0, 0)]
    assert isinstance(picked, Csr)


def test_nonsense_is_refused():
    with pytest.raises(ValueError, match="n-grams of 0"):
        features(["a"], ngrams=0)
