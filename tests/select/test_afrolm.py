"""AfroLM's split and its endings: shares, what is frozen, what the writer sees, and what becomes of its answer."""

import numpy as np
import pytest

from seedbed.core.cost import Cost
from seedbed.core.nouns import DocumentBatch
from seedbed.select.augmenters.afrolm import AfroLM
from seedbed.select.augmenting import BEGUN, FROZEN, HELD_OUT, READ, Corpus

N = 1000
RNG = np.random.default_rng(5)


def corpus_of(n: int, seed: int = 1) -> Corpus:
    rng = np.random.default_rng(seed)
    groups = np.array(["en", "yo", "sw"], object)[rng.integers(0, 3, n)]
    return Corpus(groups, rng.integers(0, 2**63, n, np.uint64), rng.integers(1, 300, n), np.zeros(n, np.bool_))


def some(corpus: Corpus, rows: np.ndarray) -> Corpus:
    columns = (corpus.group_N, corpus.key_N, corpus.n_words_N, corpus.synthetic_N)
    return Corpus(*(column[rows] for column in columns))


def grown(corpus: Corpus, n: int) -> Corpus:
    """With documents that a model wrote behind it."""
    more = corpus_of(n, seed=2)
    pairs = ((corpus.group_N, more.group_N), (corpus.key_N, more.key_N), (corpus.n_words_N, more.n_words_N))
    return Corpus(*(np.concatenate(pair) for pair in pairs), np.arange(len(corpus.key_N) + n) >= len(corpus.key_N))


def test_every_group_is_split_by_the_same_shares() -> None:
    corpus = corpus_of(N)
    use_N = AfroLM().split(corpus, number=1, seed=3)
    for group in ("en", "yo", "sw"):
        mine = use_N[corpus.group_N == group]
        n_frozen = len(mine) // 10
        assert (mine == FROZEN).sum() == n_frozen
        assert np.isin(mine, (HELD_OUT, BEGUN)).sum() == (len(mine) - n_frozen) // 5
    fits_N = (corpus.n_words_N >= 5) & (corpus.n_words_N < 256)
    assert fits_N[use_N == BEGUN].all()
    assert not fits_N[use_N == HELD_OUT].any(), "all that fit are begun where they are few"


def test_what_is_frozen_stays_frozen_while_the_rest_is_drawn_anew() -> None:
    corpus, method = corpus_of(N), AfroLM()
    first, second = (method.split(corpus, number=number, seed=3) for number in (1, 2))
    later = method.split(grown(corpus, 200), number=3, seed=3)
    assert np.array_equal(first == FROZEN, second == FROZEN)
    assert np.array_equal(first == FROZEN, later[:N] == FROZEN)
    assert not (later[N:] == FROZEN).any(), "what a model wrote measures nothing"
    assert (later[N:] == BEGUN).any(), "and is split like the rest"
    put_aside = [np.isin(use_N, (HELD_OUT, BEGUN)) for use_N in (first, second)]
    both = (put_aside[0] & put_aside[1]).sum() / put_aside[0].sum()
    assert both == pytest.approx(0.2, abs=0.1), "independent draws of a fifth"
    assert not np.array_equal(first == FROZEN, method.split(corpus, number=1, seed=4) == FROZEN)


def test_the_split_does_not_see_the_order() -> None:
    corpus, method = corpus_of(N), AfroLM(all_up_to=10, most=7)
    order = np.random.default_rng(0).permutation(N)
    use_N = method.split(corpus, number=2, seed=1)
    assert np.array_equal(method.split(some(corpus, order), number=2, seed=1), use_N[order])
    begun = [int((use_N[corpus.group_N == group] == BEGUN).sum()) for group in ("en", "yo", "sw")]
    assert begun == [7, 7, 7], "so many where there are more than all_up_to"
    assert np.array_equal(AfroLM().split(some(corpus, order[:3]), number=1, seed=0), [READ] * 3)
    assert AfroLM().split(some(corpus, order[:0]), number=1, seed=0).shape == (0,)


class Dictated:
    """A writer that says what it is told to, and remembers what it was shown."""

    cost = Cost()

    def __init__(self, *ends: str) -> None:
        self.ends, self.seen = list(ends), []

    def write(self, prefixes, n_tokens):
        self.seen += zip(prefixes, n_tokens, strict=True)
        return self.ends[: len(prefixes)]


def tokenised(texts: list[str], n_tokens: list[int]) -> DocumentBatch:
    offsets = np.cumsum([0, *n_tokens]).astype(np.int64)
    return DocumentBatch(DocumentBatch.of(texts).rows, (np.ones(offsets[-1], np.int64), offsets))


TWENTY = " ".join(f"w{i}" for i in range(20))
CHINESE = "天地玄黄宇宙洪荒日月"


def test_the_last_words_go_and_as_large_a_part_of_the_tokens_comes() -> None:
    documents = tokenised([TWENTY, TWENTY + " w20", CHINESE, "one two"], [41, 44, 31, 7])
    writer = Dictated(" a", " b", "c", " d")
    proposed = AfroLM().propose(documents, writer)
    seventeen = " ".join(f"w{i}" for i in range(17))
    assert writer.seen == [(seventeen, 6), (seventeen, 7), (CHINESE[:8], 5), ("one", 1)]
    assert proposed == [f"{seventeen} a", f"{seventeen} b", f"{CHINESE[:8]}c", "one d"]


def test_a_text_comes_back_only_where_the_model_writes_what_stood_there() -> None:
    documents = tokenised([TWENTY] * 2, [21] * 2)
    same, other = AfroLM().propose(documents, Dictated(" w17 w18 w19", " w17 w18 w18"))
    assert same == TWENTY
    assert other != TWENTY


def test_nothing_comes_of_nothing() -> None:
    documents = tokenised(["", "word", TWENTY, TWENTY, TWENTY], [1, 2, 21, 21, 21])
    proposed = AfroLM().propose(documents, writer := Dictated("", " \n", " caf\N{REPLACEMENT CHARACTER}"))
    assert len(writer.seen) == 3, "a text of one word has no beginning"
    assert proposed[:4] == ["", "", "", ""]
    assert proposed[4].endswith("w16 caf"), "a character that was not written to its end is left out"
    assert AfroLM().propose(tokenised([], []), Dictated()) == []
