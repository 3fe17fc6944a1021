import numpy as np
import pytest

from seedbed.core import arrow
from seedbed.core.errors import SeedbedError
from seedbed.core.nouns import DocumentBatch
from seedbed.evaluate.accuracy import difference, summarise_answers
from seedbed.evaluate.answers import ANSWERS
from seedbed.evaluate.baselines import Differences, ShorterWins, ngram_baseline
from seedbed.stats.intervals import paired_interval, share_interval
from tests.evaluate.toy_models import WordBigrams


def rows(correct, groups, families=None, chance=0.5):
    n = len(correct)
    filled = {"rank": [1.0] * n, "margin": [0.0] * n, "frequency": [np.nan] * n, "chance": [chance] * n}
    outcome = {"log_likelihood_nats": [-1.0] * n, "n_tokens": [2] * n, "n_bytes": [4] * n}
    names = {"item": [f"i{k}" for k in range(n)], "domain": groups, "family": families or [""] * n}
    return arrow.table({**names, **outcome, **filled, "correct": correct}, ANSWERS)


def test_groups_and_families_and_the_whole():
    found = summarise_answers(rows([1, 1, 1, 0, 0.5, 0], list("aaabbc"), ["f", "f", "f", "f", "f", "g"]))
    assert [(name, one.accuracy.value, one.items) for name, one in found.groups.items()] == [
        ("a", 1.0, 3),
        ("b", 0.25, 2),
        ("c", 0.0, 1),
    ]
    assert found.overall.accuracy == share_interval(3.5 / 6, 6)
    assert found.families == {"f": pytest.approx(0.625), "g": 0.0}
    assert found.over_groups.value == pytest.approx(1.25 / 3)
    assert found.over_groups.n == 3
    assert found.overall.centered == pytest.approx(1 / 6)
    assert found.overall.bits_per_byte == pytest.approx(0.25 / np.log(2))
    assert found.to_json()["groups"]["a"]["accuracy"] == 1.0


def test_two_models_are_compared_item_by_item():
    first, second = rows([1, 1, 0, 1], list("aabb")), rows([0, 1, 0, 0.5], list("aabb"))
    found = difference(first, second)
    assert found[""] == paired_interval(np.array([1, 1, 0, 1.0]), np.array([0, 1, 0, 0.5]))
    assert found["a"].value == 0.5
    assert found["b"].value == 0.25
    with pytest.raises(SeedbedError, match="did not answer the same items"):
        difference(first, rows([1, 1], list("aa")))
    with pytest.raises(SeedbedError, match="no items"):
        summarise_answers(rows([], []))


def test_length_alone_prefers_the_shorter_text_whatever_stands_before():
    nats, n_bytes, greedy = ShorterWins().continuation_log_likelihoods(["", "long context", ""], ["ab", "ab", "é é"])
    assert nats[0] == nats[1] > nats[2]
    assert n_bytes.tolist() == [2, 2, 5]
    assert not greedy.any()
    assert ShorterWins().log_likelihoods(DocumentBatch.of(["ab"]))[0].tolist() == nats[:1].tolist()


def test_a_model_of_whole_texts_gives_differences():
    model = WordBigrams("the cat sat on the mat . the dog sat on the log .")
    nats, counts, _ = Differences(model).continuation_log_likelihoods(
        ["the cat", "the cat", ""], [" sat on", " mat", "the"]
    )
    size = len(model.vocabulary)
    by_hand = np.log(2 / (1 + size)) + np.log(3 / (2 + size))  # sat | cat, on | sat
    np.testing.assert_allclose(nats[0], by_hand)
    np.testing.assert_allclose(nats[1], np.log(1 / (1 + size)))
    np.testing.assert_allclose(nats[2], np.log(3 / (2 + size)))
    assert counts.tolist() == [2, 1, 1]


def test_the_ngram_baseline_prefers_what_it_counted():
    batches = [DocumentBatch.of(["the cat sat on the mat\nthe dog sat on the log"] * 3), DocumentBatch.of(["a b c"])]
    model = ngram_baseline(batches)
    nats, counts, greedy = model.continuation_log_likelihoods(["the cat"] * 2 + [""], [" sat on", " on sat", "the cat"])
    assert nats[0] > nats[1]
    assert counts.tolist() == [2, 2, 3]  # the line's end is a word where there was no line before
    assert not greedy.any()
