import json
from pathlib import Path

import numpy as np
import pytest

from seedbed.core import arrow
from seedbed.core.errors import SeedbedError
from seedbed.core.nouns import DocumentBatch
from seedbed.evaluate.accuracy import summarise_answers
from seedbed.evaluate.answers import ANSWERS
from seedbed.evaluate.baselines import ShorterWins, ngram_baseline
from seedbed.evaluate.items import Line, read_lines
from seedbed.evaluate.tasks.minimal_pairs import MinimalPairs
from tests.conftest import sample_texts
from tests.evaluate.toy_models import Scripted

BLIMP = Path(__file__).parents[3] / "shared" / "truth" / "blimp"
needs_blimp = pytest.mark.skipif(not BLIMP.exists(), reason="BLiMP is not at ../shared/truth/blimp")


def line(number=1, **fields):
    return Line("pairs.jsonl", number, fields)


def test_the_likelier_sentence_wins_and_a_tie_is_half_a_point():
    told = {
        ("", "good 1"): -3.0,
        ("", "bad 1"): -5.0,
        ("", "good 2"): -5.0,
        ("", "bad 2"): -4.5,
        ("A", " good 3"): -1.0,
    }
    told[("A", " bad 3")] = -1.0
    items = [MinimalPairs().item(line(i, good=f"good {i}", bad=f"bad {i}", paradigm="p")) for i in (1, 2)]
    items.append(MinimalPairs().item(line(3, good="good 3", bad="bad 3", context="A", UID="q", linguistics_term="t")))
    rows = MinimalPairs().score(Scripted(told), items)
    assert rows.schema.equals(ANSWERS)
    assert arrow.numpy(rows, "correct").tolist() == [1.0, 0.0, 0.5]
    assert arrow.numpy(rows, "margin").tolist() == [2.0, -0.5, 0.0]
    assert arrow.numpy(rows, "rank").tolist() == [1.0, 2.0, 1.5]
    assert arrow.numpy(rows, "log_likelihood_nats").tolist() == [-3.0, -5.0, -1.0]
    assert arrow.numpy(rows, "chance").tolist() == [0.5] * 3
    assert arrow.strings(rows, "domain") == ["p", "p", "q"]
    assert arrow.strings(rows, "item") == ["pairs:1", "pairs:2", "pairs:3"]


def test_a_model_without_an_opinion_scores_chance():
    items = [MinimalPairs().item(line(i, good=f"g{i}", bad=f"b{i}")) for i in range(10)]
    assert summarise_answers(MinimalPairs().score(Scripted({}), items)).overall.accuracy.value == 0.5


def test_a_pair_without_a_difference_is_refused():
    for fields, said in [
        ({"good": "a", "bad": "a"}, "field 'bad': is the same"),
        ({"good": "a"}, "field 'bad': is missing"),
        ({"good": "a", "bad": 3}, "field 'bad': 3 is no text"),
        ({"bad": "a", "good": ""}, "field 'good': is empty"),
    ]:
        with pytest.raises(SeedbedError, match=f"pairs.jsonl, line 1, {said}"):
            MinimalPairs().item(line(**fields))


def test_an_impossible_likelihood_is_refused():
    items = [MinimalPairs().item(line(good="a", bad="b"))]
    with pytest.raises(SeedbedError, match="pairs:1: a choice has log-likelihood nan"):
        MinimalPairs().score(Scripted({("", "b"): float("nan")}), items)


@needs_blimp
def test_blimp_is_read_and_the_published_means_are_those_of_its_paradigms():
    items = [MinimalPairs().item(one) for one in read_lines(BLIMP / "BLiMP.zip")]
    assert len(items) == 67_000
    family_of = {item.group: item.family for item in items}
    assert len(family_of) == 67
    lines = (BLIMP / "models_summary.jsonl").read_text().splitlines()
    published = {(row["UID"], row["linguistics_term"]): row for row in map(json.loads, lines)}
    assert {key[0] for key in published} - {"overall"} == set(family_of)
    for model in ("ngram", "lstm", "txl", "gpt2"):
        share = {group: published[group, family][model] for group, family in family_of.items()}
        right = np.arange(len(items)) % 1000 < np.array([round(1000 * share[item.group]) for item in items])
        rows = MinimalPairs().score(InTurn(np.where(right, 0.0, -2.0)), items)
        found = summarise_answers(rows)
        assert found.overall.accuracy.value == pytest.approx(published["overall", "overall"][model], abs=1e-6)
        assert found.over_groups.value == pytest.approx(published["overall", "overall"][model], abs=1e-6)
        for family, value in found.families.items():
            assert value == pytest.approx(published["overall", family][model], abs=1e-6)
        assert len(found.families) == 12


class InTurn:
    """Gives the good sentence of each pair its value in turn, since some sentences stand in several pairs; bad: -1."""

    def __init__(self, good_N):
        self.nats = np.column_stack([good_N, np.full(len(good_N), -1.0)]).ravel()

    def continuation_log_likelihoods(self, contexts, continuations):
        assert len(contexts) == len(continuations) == len(self.nats)
        return self.nats, np.ones(len(self.nats), int), np.zeros(len(self.nats), bool)


@needs_blimp
def test_baselines_on_blimp_stand_where_they_should():
    items = [MinimalPairs().item(one) for one in read_lines(BLIMP / "BLiMP.zip")][::10]
    short = summarise_answers(MinimalPairs().score(ShorterWins(), items))
    assert 0.5 < short.overall.accuracy.value < 0.65
    texts = [row["text"] for row in sample_texts()]
    counted = summarise_answers(MinimalPairs().score(ngram_baseline([DocumentBatch.of(texts)]), items))
    assert 0.5 < counted.overall.accuracy.value < 0.7
