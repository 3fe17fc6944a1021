import numpy as np
import pytest

from seedbed.core.errors import RecipeError, SeedbedError
from seedbed.select.mixers.temperature import Temperature
from seedbed.select.mixing import Domains, Seen


def shares(tokens, budget=0, **parameters):
    domains = Domains(tuple(f"d{i}" for i in range(len(tokens))), np.array(tokens), budget_tokens=budget)
    return Temperature(**parameters).mixture(domains, Seen(), 0)


def test_the_worked_example():
    """Sizes 1 : 8 : 27 at T = 3 become 1 : 2 : 3."""
    assert shares([1000, 8000, 27000], temperature=3).share_D == pytest.approx([1 / 6, 2 / 6, 3 / 6])


def test_the_default_is_mt5s_exponent():
    tokens = np.array([10.0, 250.0, 4000.0])
    assert shares([10, 250, 4000]).share_D == pytest.approx(tokens**0.3 / (tokens**0.3).sum())


def test_its_ends_are_the_pool_and_equal_shares():
    assert shares([1, 3, 4], temperature=1).share_D == pytest.approx([1 / 8, 3 / 8, 4 / 8])
    assert shares([1, 3, 10**15], temperature=1e6).share_D == pytest.approx([1 / 3] * 3, abs=1e-4)


def test_a_domain_without_tokens_gets_nothing_and_the_order_does_not_matter():
    assert shares([0, 5, 5]).share_D == pytest.approx([0, 0.5, 0.5])
    assert shares([7, 90, 4]).share_D == pytest.approx(shares([4, 90, 7]).share_D[::-1])


def test_it_tells_how_often_a_domain_is_read():
    assert shares([100, 900], budget=1000, temperature=1e6).told["most_epochs"] == pytest.approx(5, rel=1e-3)


def test_what_cannot_be_meant():
    with pytest.raises(SeedbedError, match="no domain has a token"):
        shares([0, 0])
    with pytest.raises(RecipeError, match="temperature"):
        Temperature(temperature=0)
