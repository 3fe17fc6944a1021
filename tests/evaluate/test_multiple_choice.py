import pytest

from seedbed.core import arrow
from seedbed.core.errors import SeedbedError
from seedbed.evaluate.baselines import ShorterWins
from seedbed.evaluate.items import Line
from seedbed.evaluate.tasks.multiple_choice import MultipleChoice
from tests.evaluate.toy_models import Scripted

CHOICES = ["ab", "éééé", "abcdefgh", "abcdefghijkl"]
TOLD = {
    ("q", " ab"): (-4.0, 1, False),  # best sum; 2 a character, 2 a byte, 4 a token; pmi -3
    ("q", " éééé"): (-5.0, 1, False),  # 1.25 a character, 0.625 a byte, 5 a token; pmi -1
    ("q", " abcdefgh"): (-8.0, 8, False),  # 1 a character, 1 a byte, 1 a token; pmi 0
    ("q", " abcdefghijkl"): (-9.0, 3, False),  # 0.75 a character, 0.75 a byte, 3 a token; pmi 11
    ("", " ab"): -1.0,
    ("", " éééé"): -4.0,
    ("", " abcdefgh"): -8.0,
    ("", " abcdefghijkl"): -20.0,
}
BEST = {"none": 0, "characters": 3, "bytes": 1, "tokens": 2, "pmi": 3}


@pytest.mark.parametrize("normalise", list(BEST))
def test_each_normalisation_against_a_worked_example(normalise):
    task = MultipleChoice(normalise=normalise)
    line = {"question": "q", "choices": CHOICES}
    items = [task.item(Line("mc.jsonl", i + 1, {**line, "answer": i})) for i in range(4)]
    model = Scripted(TOLD)
    rows = task.score(model, items)
    assert arrow.numpy(rows, "correct").tolist() == [float(i == BEST[normalise]) for i in range(4)]
    assert arrow.numpy(rows, "chance").tolist() == [0.25] * 4
    assert sorted(arrow.numpy(rows, "rank").tolist()) == [1.0, 2.0, 3.0, 4.0]
    assert arrow.numpy(rows, "log_likelihood_nats").tolist() == [-4.0, -5.0, -8.0, -9.0]
    assert arrow.numpy(rows, "n_bytes").tolist() == [2, 8, 8, 12]
    assert len(model.asked) == (32 if normalise == "pmi" else 16)


def test_pmi_asks_behind_the_unconditional_context():
    task = MultipleChoice(normalise="pmi", unconditional="Answer:", delimiter="\n")
    model = Scripted({})
    task.score(model, [task.item(Line("mc.jsonl", 1, {"context": "q", "choices": ["a", "b"], "answer": "b"}))])
    assert model.asked == [("q", "\na"), ("q", "\nb"), ("Answer:", "\na"), ("Answer:", "\nb")]


@pytest.mark.parametrize("normalise", list(BEST))
def test_length_alone_wins_only_where_length_counts(normalise):
    task = MultipleChoice(normalise=normalise)
    line = Line("mc.jsonl", 1, {"question": "q", "choices": ["wxyz", "a", "bcd"], "answer": "a"})
    (correct,) = arrow.numpy(task.score(ShorterWins(), [task.item(line)]), "correct").tolist()
    if normalise == "none":
        assert correct == 1
    elif normalise == "pmi":
        assert correct == pytest.approx(1 / 3)
    else:
        assert correct in (0.0, pytest.approx(1 / 3))


def test_an_answer_is_an_index_or_a_choice():
    task, line = MultipleChoice(), {"question": "q", "choices": ["a", "b"]}
    assert task.item(Line("mc.jsonl", 1, {**line, "answer": "b"})).answer == 1
    assert task.item(Line("mc.jsonl", 1, {**line, "answer": 0, "group": "g"})).group == "g"
    for answer in (2, -1, "c", True, None, 0.0):
        with pytest.raises(SeedbedError, match=r"mc\.jsonl, line 3, field 'answer': is none of the choices.* 0 to 1"):
            task.item(Line("mc.jsonl", 3, {**line, "answer": answer}))
    with pytest.raises(SeedbedError, match="field 'answer': is missing"):
        task.item(Line("mc.jsonl", 3, line))
    for choices in (["a"], ["a", "a"], "ab", ["a", ""], ["a", 1]):
        with pytest.raises(SeedbedError, match="line 3, field 'choices'"):
            task.item(Line("mc.jsonl", 3, {"question": "q", "choices": choices, "answer": 0}))
