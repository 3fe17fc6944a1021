import numpy as np
import pytest

from seedbed.core import arrow
from seedbed.core.errors import SeedbedError
from seedbed.evaluate.accuracy import summarise_answers
from seedbed.evaluate.answers import ANSWERS
from seedbed.evaluate.items import Line
from seedbed.evaluate.tasks.cloze import Cloze
from tests.evaluate.toy_models import Scripted


def test_right_is_what_greedy_decoding_would_write():
    fields = [{"context": "She opened the", "answer": "door"}, {"context": "He ate", "answer": "é", "group": "food"}]
    items = [Cloze().item(Line("cloze.jsonl", i, one)) for i, one in enumerate(fields, 1)]
    told = {("She opened the", " door"): (-2.5, 2, True), ("He ate", " é"): (-0.1, 1, False)}
    rows = Cloze().score(Scripted(told), items)
    assert rows.schema.equals(ANSWERS)
    assert arrow.numpy(rows, "correct").tolist() == [1.0, 0.0]  # not the likelier answer: the one that is written
    assert arrow.numpy(rows, "log_likelihood_nats").tolist() == [-2.5, -0.1]
    assert arrow.numpy(rows, "n_bytes").tolist() == [4, 2]
    assert arrow.numpy(rows, "n_tokens").tolist() == [2, 1]
    assert arrow.strings(rows, "domain") == ["cloze", "food"]
    found = summarise_answers(rows)
    assert (found.overall.accuracy.value, found.overall.chance) == (0.5, 0.0)
    assert found.overall.bits_per_byte == pytest.approx(2.6 / 6 / np.log(2))
    assert found.to_json()["rank"] is None


def test_an_answer_behind_nothing_is_refused():
    with pytest.raises(SeedbedError, match=r"cloze\.jsonl, line 1, field 'context': is empty"):
        Cloze().item(Line("cloze.jsonl", 1, {"context": "", "answer": "a"}))
    with pytest.raises(SeedbedError, match=r"cloze\.jsonl, line 1, field 'answer': is missing"):
        Cloze().item(Line("cloze.jsonl", 1, {"context": "a"}))
