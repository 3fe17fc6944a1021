from collections import Counter

import numpy as np
import pytest

from seedbed.core import arrow
from seedbed.core.errors import RecipeError, SeedbedError
from seedbed.evaluate.accuracy import by_frequency, growth, summarise_answers
from seedbed.evaluate.facts import TEMPLATES, make_facts, sentences
from seedbed.evaluate.items import Line
from seedbed.evaluate.tasks.planted_facts import PlantedFacts
from tests.evaluate.toy_models import Scripted

FREQUENCIES = (0, 1, 4, 16)


@pytest.fixture(scope="module")
def facts():
    return make_facts(FREQUENCIES, 16, seed=1, n_answers=8)


def items_of(facts):
    return [PlantedFacts().item(Line("facts.jsonl", i, fact.line())) for i, fact in enumerate(facts, 1)]


def test_the_pool_says_each_fact_as_often_as_it_claims(facts):
    said = sentences(facts, seed=0)
    assert len(said) == sum(fact.frequency for fact in facts) == 2 * 16 * 21
    assert said == sentences(facts, seed=0) != sentences(facts, seed=1)
    for fact in facts:
        mine = [sentence for sentence in said if fact.name in sentence]
        assert len(mine) == fact.frequency
        assert all(sentence.endswith(f" {fact.answer}.") for sentence in mine)
        prompt = fact.line()["prompt"]
        assert sum(sentence.startswith(prompt + " ") for sentence in mine) == -(-fact.frequency // 2)
    names = [fact.name for fact in facts]
    assert len(set(names)) == len(names)
    assert not set(names) & {fact.answer for fact in facts}


def test_no_answer_is_more_common_than_another_at_any_frequency(facts):
    counts = Counter((fact.relation, fact.frequency, fact.answer) for fact in facts)
    assert set(counts.values()) == {2}
    assert len(counts) == len(TEMPLATES) * len(FREQUENCIES) * 8


def test_recall_is_a_rank_among_the_other_answers_grouped_by_frequency(facts):
    items = items_of(facts)
    chosen = [items[0], items[16], items[32], items[33]]
    told = {(item.context, " " + item.choices[0]): nats for item, nats in zip(chosen, (0.0, -1.0, 1.0, 0.0))}  # noqa: B905
    told[chosen[3].context, " " + chosen[3].choices[5]] = 2.0
    rows = PlantedFacts().score(Scripted(told), chosen)
    assert arrow.numpy(rows, "rank").tolist() == [4.5, 8.0, 1.0, 5.0]
    assert arrow.numpy(rows, "correct").tolist() == [1 / 8, 0.0, 1.0, 0.0]
    assert arrow.numpy(rows, "frequency").tolist() == [0, 1, 4, 4]
    found = summarise_answers(rows)
    assert list(found.groups) == ["read 0 times", "read 1 times", "read 4 times"]
    told = by_frequency(rows)
    assert [(level, one.accuracy.value, one.items) for level, one in told.items()] == [
        (0, 1 / 8, 1),
        (1, 0, 1),
        (4, 0.5, 2),
    ]


def test_growth_is_found_where_it_is_and_not_where_it_is_not(facts):
    items = items_of(make_facts((0, 1, 4, 16, 64), 40, seed=2, n_answers=8))
    rng = np.random.default_rng(0)
    learned = {(item.context, " " + item.choices[0]): float(rng.random() < item.frequency / 64) for item in items}
    found = growth(PlantedFacts().score(Scripted(learned), items))
    assert found.slope.low > 0
    assert found.rank_correlation == 1
    x = np.log10([item.frequency for item in items if item.frequency > 0])
    y = arrow.numpy(PlantedFacts().score(Scripted(learned), items), "correct")[[i.frequency > 0 for i in items]]
    assert found.correlation == pytest.approx(np.corrcoef(x, y)[0, 1])
    assert found.slope.value == pytest.approx(np.polyfit(x, y, 1)[0])
    shuffled = dict(zip(learned, rng.permutation(list(learned.values())), strict=True))
    control = growth(PlantedFacts().score(Scripted(shuffled), items))
    assert not control.slope.excludes_zero
    assert abs(control.correlation) < 0.15


def test_growth_needs_two_frequencies(facts):
    rows = PlantedFacts().score(Scripted({}), items_of(facts)[:20])
    with pytest.raises(SeedbedError, match="two frequencies"):
        growth(rows)


def test_a_fact_that_is_none_is_refused(facts):
    good = facts[0].line()
    for change, said in [
        ({"distractors": [good["answer"]]}, "field 'distractors': holds the answer"),
        ({"distractors": []}, "field 'distractors': holds 0 different texts"),
        ({"frequency": -1}, "field 'frequency': -1 is no number from 0 up"),
        ({"frequency": None}, "field 'frequency': null is no number"),
        ({"prompt": ""}, "field 'prompt': is empty"),
    ]:
        with pytest.raises(SeedbedError, match=rf"facts\.jsonl, line 2, {said}"):
            PlantedFacts().item(Line("facts.jsonl", 2, {**good, **change}))
    with pytest.raises(RecipeError, match="1 answers"):
        make_facts((1,), 3, seed=0, n_answers=1)
