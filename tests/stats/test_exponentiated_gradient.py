"""One step on the simplex: by hand, by brute force, and what must not change it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from seedbed.core.errors import SeedbedError
from seedbed.stats.exponentiated_gradient import averaged, moved

GAINS = st.lists(st.floats(-5, 5), min_size=2, max_size=6)


def test_a_step_by_hand():
    weight_D = moved(np.array([0.5, 0.25, 0.25]), np.log([2.0, 4.0, 8.0]), smoothing=0.1)
    assert weight_D == pytest.approx(0.9 * np.array([1.0, 1.0, 2.0]) / 4 + 0.1 / 3)
    assert moved(np.array([0.5, 0.5]), np.array([1.0, 0.0]), rate=np.log(3)) == pytest.approx([0.75, 0.25])


@pytest.mark.parametrize("seed", range(3))
def test_it_is_the_point_that_weighs_gain_against_divergence(seed):
    rng = np.random.default_rng(seed)
    weight_D, gain_D, rate = rng.dirichlet(np.ones(4)), rng.normal(size=4), 0.7

    def loss(p):
        return -p @ gain_D + (p * np.log(p / weight_D)).sum() / rate

    found = minimize(
        loss, np.full(4, 0.25), bounds=[(1e-9, 1)] * 4, constraints=[{"type": "eq", "fun": lambda p: p.sum() - 1}],
        method="SLSQP", options={"ftol": 1e-15, "maxiter": 500},
    )  # fmt: skip
    step_D = moved(weight_D, gain_D, rate=rate)
    assert step_D == pytest.approx(found.x, abs=1e-5)
    assert loss(step_D) == pytest.approx(found.fun, abs=1e-9)


@given(GAINS, st.floats(-3, 3), st.floats(0, 0.5))
def test_on_the_simplex_and_blind_to_what_all_gain(gains, more, smoothing):
    gain_D, D = np.array(gains), len(gains)
    weight_D = moved(np.full(D, 1 / D), gain_D, smoothing=smoothing)
    assert weight_D.sum() == pytest.approx(1, abs=1e-12)
    assert weight_D.min() >= smoothing / D
    assert moved(np.full(D, 1 / D), gain_D + more, smoothing=smoothing) == pytest.approx(weight_D, abs=1e-12)
    assert moved(np.full(D, 1 / D), gain_D[::-1], smoothing=smoothing) == pytest.approx(weight_D[::-1], abs=1e-12)


def test_no_weight_comes_from_nothing_and_none_overflows():
    assert moved(np.array([0.0, 1.0]), np.array([1e6, -1e6])).tolist() == [0.0, 1.0]
    assert moved(np.array([0.0, 1.0]), np.array([1e6, 0.0]), smoothing=0.5).tolist() == [0.25, 0.75]
    with pytest.raises(ValueError, match="finite"):
        moved(np.full(2, 0.5), np.array([np.nan, 0]))
    with pytest.raises(ValueError, match="not all 0"):
        moved(np.zeros(2), np.zeros(2))


def test_the_average_names_what_it_cannot_average():
    steps = np.array([[0.2, 0.8], [0.4, 0.6]])
    assert averaged(steps, "here", "ab") == pytest.approx([0.3, 0.7])
    with pytest.raises(SeedbedError, match=r"here: the weight of b is not finite at step 2"):
        averaged(np.array([[0.2, 0.8], [0.4, np.nan]]), "here", "ab")
    for nothing in (None, steps[:0]):
        with pytest.raises(SeedbedError, match="no step"):
            averaged(nothing, "here", "ab")
