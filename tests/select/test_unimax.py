import numpy as np
import pytest

from seedbed.core.errors import SeedbedError
from seedbed.select.mixers.unimax import Unimax
from seedbed.select.mixing import Domains, Seen


def mixture(tokens, budget, **parameters):
    domains = Domains(tuple(f"d{i}" for i in range(len(tokens))), np.array(tokens), budget_tokens=budget)
    return Unimax(**parameters).mixture(domains, Seen(), 0)


def test_the_worked_example():
    """Budget 120 over sizes 10, 30, 100: 10 (capped), then 110 / 2 = 55 > 30 (capped), the rest 80."""
    found = mixture([10, 30, 100], 120)
    assert found.share_D == pytest.approx([10 / 120, 30 / 120, 80 / 120])
    assert found.told["capped"] == ["d0", "d1"]


def test_the_loop_of_algorithm_1_gives_the_same():
    rng = np.random.default_rng(0)
    for _ in range(200):
        tokens = rng.integers(1, 1000, rng.integers(1, 8))
        epochs, budget = rng.choice([0.5, 1.0, 4.0]), int(rng.integers(1, 5000))
        left, parts = float(budget), np.zeros(len(tokens))
        for done, d in enumerate(np.argsort(tokens, kind="stable")):
            parts[d] = min(left / (len(tokens) - done), epochs * tokens[d])
            left -= parts[d]
        assert mixture(tokens, budget, max_epochs=epochs).share_D == pytest.approx(parts / parts.sum())


def test_without_a_cap_in_reach_all_shares_are_equal():
    assert mixture([50, 60, 70], 30).share_D == pytest.approx([1 / 3] * 3)
    assert mixture([1, 60, 70], 0).share_D == pytest.approx([1 / 3] * 3)
    assert mixture([0, 60, 70], 10).share_D == pytest.approx([0, 1 / 2, 1 / 2])


def test_a_budget_beyond_all_caps_reads_everything_as_often_as_allowed():
    found = mixture([10, 30], 1000, max_epochs=2)
    assert found.share_D == pytest.approx([1 / 4, 3 / 4])
    assert found.told == {"capped": ["d0", "d1"], "most_tokens": 80.0}


def test_no_domain_with_a_token_is_an_error():
    with pytest.raises(SeedbedError, match="no domain has a token"):
        mixture([0, 0], 10)
