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


def test_a_pair_without_two_sentences_is_refused():
    for fields, said in [
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
    rows = [json.loads(line) for line in lines]
    published = {row["UID"]: row for row in rows if row["UID"] != "overall"}
    means = {row["linguistics_term"]: row for row in rows if row["UID"] == "overall"}
    assert set(published) == set(family_of)
    # the summary counts the files' s-selection among the argument structures
    assert {family_of[name] for name, row in published.items() if row["linguistics_term"] != family_of[name]} == {
        "s-selection"
    }
    for model in ("ngram", "lstm", "txl", "gpt2"):
        right = np.array([round(1000 * published[item.group][model]) for item in items]) > np.arange(67_000) % 1000
        found = summarise_answers(MinimalPairs().score(InTurn(np.where(right, 0.0, -2.0)), items))
        assert found.overall.accuracy.value == pytest.approx(means["overall"][model], abs=1e-6)
        assert found.over_groups.value == pytest.approx(means["overall"][model], abs=1e-6)
        told = {name: value for name, value in found.families.items() if name in means}
        del told["argument_structure"]
        assert told == {name: pytest.approx(means[name][model], abs=1e-6) for name in told}
        assert len(told) == 11
        assert {name: one.accuracy.value for name, one in found.groups.items()} == pytest.approx(
            {name: row[model] for name, row in published.items()}
        )


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
    assert 0.45 < short.overall.accuracy.value < 0.55
    names = ("target_eval", "target_select", "eval_debian", "eval_graphics", "eval_society")
    texts = [row["text"] for name in names for row in sample_texts(f"{name}.jsonl.gz")]
    ours = summarise_answers(MinimalPairs().score(ngram_baseline([DocumentBatch.of(texts)]), items)).groups
    lines = (BLIMP / "models_summary.jsonl").read_text().splitlines()
    published = {row["UID"]: row["ngram"] for row in map(json.loads, lines)}
    pairs = [(ours[name].accuracy.value, published[name]) for name in ours]
    ranks = [np.argsort(np.argsort(values)) for values in zip(*pairs, strict=True)]
    # 0.7 MB of text finds the same paradigms hard as the published model of billions of words
    assert np.corrcoef(ranks)[0, 1] > 0.4
