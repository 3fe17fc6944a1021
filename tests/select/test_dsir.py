import itertools
import re
from collections import Counter

import numpy as np
import pytest

from seedbed.core import arrow
from seedbed.core.errors import SeedbedError
from seedbed.core.nouns import DocumentBatch
from seedbed.select.contract import Given
from seedbed.select.run import choose
from seedbed.select.scorers import dsir
from seedbed.select.scorers.dsir import Dsir
from seedbed.select.selectors.gumbel_top_k import GumbelTopK
from seedbed.stats.auc import rank_auc
from seedbed.text import unicode

STRANGE = ["", "a", "\x00", "🌱🌱 ok", "don't STOP_me, now!  x", "word " * 20_000, "ß É Ж", "…—"]


def fit(target, pool, **parameters):
    return Dsir(**parameters).fit(Given(target=[DocumentBatch.of(target)], pool=[DocumentBatch.of(pool)]))


def scores(fitted, texts):
    return arrow.numpy(fitted.measure(DocumentBatch.of(texts)), "score")


def tokens_by_regex(text):
    return re.findall(r"\w+|[^\w\s]+", text.lower())


def hashes(text):
    data, offsets = DocumentBatch.of([text]).text_buffers()
    known, at, found = unicode.tables(), 0, []
    while True:
        at, token = dsir.next_token(data, at, offsets[1], known.flags, known.lower)
        if token == 0:
            return found
        found.append(token)


@pytest.mark.parametrize("text", STRANGE)
def test_tokens_are_those_of_the_regular_expression(text):
    names = tokens_by_regex(text)
    found = hashes(text)
    assert len(found) == len(names)
    assert len(set(zip(names, found, strict=True))) == len(set(names)) == len(set(found))


def words(rng, vocabulary, p, n_documents, length):
    return [" ".join(rng.choice(vocabulary, length, p=p)) for _ in range(n_documents)]


@pytest.mark.parametrize(("ngrams", "smoothing"), [(1, 0.0), (2, 0.0), (2, 1.5)])
def test_equals_brute_force_over_few_buckets(ngrams, smoothing):
    rng = np.random.default_rng(3)
    vocabulary = [f"w{i}" for i in range(12)]
    target = words(rng, vocabulary, rng.dirichlet(np.ones(12)), 6, 9)
    pool = [*words(rng, vocabulary, None, 9, 14), "", "new words here"]
    fitted = fit(target, pool, buckets=20, ngrams=ngrams, target_smoothing=smoothing)

    def features(text):
        found = hashes(text)
        pairs = [
            dsir.mix(np.uint64(dsir.extend(np.uint64(dsir.extend(np.uint64(2), a)), b)))
            for a, b in itertools.pairwise(map(np.uint64, found))
        ]
        return [int(h) % 20 for h in (found + pairs if ngrams == 2 else found)]

    counts = [np.zeros(20) for _ in range(2)]
    for side, texts in zip(counts, (target, pool), strict=True):
        for text in texts:
            np.add.at(side, features(text), 1)
    p_target = (counts[0] + smoothing) / (counts[0] + smoothing).sum()
    ratio = np.log(p_target + 1e-8) - np.log(counts[1] / counts[1].sum() + 1e-8)
    expected = [sum(ratio[b] for b in features(text)) for text in pool]
    assert scores(fitted, pool) == pytest.approx(expected, abs=1e-9)


def test_buckets_are_used_evenly():
    ids = Counter(int(hashes(f"word{i}")[0]) % 10 for i in range(5000))
    assert sum((ids[b] - 500) ** 2 / 500 for b in range(10)) < 34  # chi-square, 9 degrees of freedom, p = 1e-4


@pytest.fixture(scope="module")
def domains():
    """A pool of four topics with overlapping vocabularies, the first of them the target."""
    rng = np.random.default_rng(11)
    vocabulary = np.array([f"word{i}" for i in range(400)])
    mixes = [0.8 * rng.dirichlet(np.full(400, 0.1)) + 0.2 / 400 for _ in range(4)]
    pool = [text for p in mixes for text in words(rng, vocabulary, p, 150, 80)]
    return words(rng, vocabulary, mixes[0], 100, 80), pool, np.repeat(np.arange(4), 150)


def distribution(texts):
    counts = Counter(token for text in texts for token in text.split())
    values = np.array([counts[f"word{i}"] + 0.5 for i in range(400)])
    return values / values.sum()


def test_the_selection_is_five_times_closer_to_the_target_than_chance(domains):
    target, pool, label = domains
    score_N = scores(fit(target, pool), pool)
    assert rank_auc(score_N, label == 0) > 0.99
    ids, length = DocumentBatch.of(pool).ids, np.full(len(pool), 80)
    divergence = []
    for given in (score_N, np.zeros(len(pool))):
        weights = choose(GumbelTopK(), ids, given, length, 80 * 120, seed=0)
        kept = [pool[i] for i in np.flatnonzero(arrow.numpy(weights, "copies"))]
        p, q = distribution(target), distribution(kept)
        divergence.append(float(np.sum(p * np.log(p / q))))
    assert divergence[0] * 5 <= divergence[1]


def test_sampling_law_one_word_documents_follow_the_target():
    # One draw from many documents: importance resampling turns pool frequencies into the target's.
    pool = ["red"] * 200 + ["green"] * 150 + ["blue"] * 50
    target = ["red"] * 10 + ["green"] * 30 + ["blue"] * 60
    score_N = scores(fit(target, pool, ngrams=1), pool)
    ids, ones = DocumentBatch.of(pool).ids, np.ones(len(pool), np.int64)
    drawn = Counter(
        pool[int(np.argmax(arrow.numpy(choose(GumbelTopK(), ids, score_N, ones, 1, seed), "copies")))]
        for seed in range(2000)
    )
    found = [drawn[colour] / 2000 for colour in ("red", "green", "blue")]
    assert found == pytest.approx([0.1, 0.3, 0.6], abs=0.045)


def test_length_normalise_is_the_mean_and_short_is_not_punished(domains):
    target, pool, _ = domains
    plain, mean = (fit(target, pool, length_normalise=flag).measure(DocumentBatch.of(pool)) for flag in (False, True))
    n = arrow.numpy(plain, "n_features")
    assert n[0] == 80 + 79
    assert arrow.numpy(mean, "score") == pytest.approx(arrow.numpy(plain, "score") / n)


def test_strange_texts_score_finite_and_blind_to_their_neighbours(domains):
    fitted = fit(*domains[:2])
    together = scores(fitted, STRANGE)
    assert np.isfinite(together).all()
    assert together[0] == 0
    assert [scores(fitted, [text])[0] for text in STRANGE] == together.tolist()


def test_fitting_walks_batches_and_a_side_without_words_is_an_error():
    whole, halves = (
        Dsir().fit(Given(target=[DocumentBatch.of(["a b"])], pool=[DocumentBatch.of(part) for part in parts]))
        for parts in ([["a b", "c d"]], [["a b"], ["c d"]])
    )
    assert np.array_equal(whole.log_ratio_K, halves.log_ratio_K)
    with pytest.raises(SeedbedError, match=r"dsir, target: there is no text"):
        fit([" "], ["a"])
    with pytest.raises(SeedbedError, match=r"dsir, pool"):
        fit(["a"], [])


def test_a_pair_is_not_its_reverse_and_doubled_words_differ() -> None:
    pairs = ["left right", "right left", "far far", "near near"]
    fitted = Dsir(buckets=2**24).fit(
        Given(target=[DocumentBatch.of(pairs[:1] + pairs[2:3])], pool=[DocumentBatch.of(pairs)])
    )
    seen, reverse, doubled, other = fitted.measure(DocumentBatch.of(pairs)).column("score").to_pylist()
    assert seen > reverse
    assert doubled > other
