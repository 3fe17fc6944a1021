import numpy as np
import pytest

from seedbed.core import arrow
from seedbed.core.errors import SeedbedError
from seedbed.predict.contract import Allocates
from seedbed.predict.laws.chinchilla import Chinchilla, allocation
from seedbed.predict.optimum import isoflop
from tests.predict.law_examples import chinchilla as example

EPOCH, HOFFMANN = (482.01, 2085.43, 1.8172, 0.3478, 0.3658), (406.4, 410.7, 1.6934, 0.3392, 0.2849)


def exact(of, **columns):
    """A fit of runs that lie on the law."""
    A, B, E, alpha, beta = of
    made = {name: np.array(values) for name, values in example.runs().items()} | columns
    made["loss"] = E + A / made["params"] ** alpha + B / made["tokens"] ** beta
    return Chinchilla(n_bootstrap=0, max_extrapolation=1e4).fit(arrow.table(made))


@pytest.fixture(scope="module")
def noisy():
    return Chinchilla(n_bootstrap=60).fit(arrow.table(example.runs()))


@pytest.mark.parametrize(("of", "ratio"), [(EPOCH, 18.39), (HOFFMANN, 59.08)])
def test_equals_the_closed_form_at_the_budget_of_chinchilla(of, ratio):
    # Besiroglu et al. 2024 and Hoffmann et al. 2022 (unrounded) at 5.76e23 FLOP
    found = exact(of)
    best = found.optimum(5.76e23)
    own = [found.coefficients[name].value for name in ("A", "B", "alpha", "beta")]
    assert (best["params"].value, best["tokens"].value) == pytest.approx(allocation(*own, 5.76e23), rel=1e-6)
    assert best["tokens"].value / best["params"].value == pytest.approx(ratio, rel=1e-3)
    assert isinstance(found, Allocates)


def test_every_draw_is_searched_as_closely(noisy):
    best = noisy.optimum(1e19)
    drawn = np.array(
        [allocation(*[one[k] for k in ("A", "B", "alpha", "beta")], 1e19) for one in noisy.named(noisy.draws)]
    )
    assert best["params"] == pytest.approx(noisy.estimate(best["params"].value, drawn[:, 0]), rel=1e-4)
    assert best["tokens"] == pytest.approx(noisy.estimate(best["tokens"].value, drawn[:, 1]), rel=1e-4)
    assert best["loss"] == noisy.forecast({name: best[name].value for name in ("params", "tokens")})
    assert best["params"].low < best["params"].value < best["params"].high


def test_measured_flop_move_the_budget():
    made = {name: np.array(values) for name, values in example.runs().items()}
    told = exact(EPOCH, flops=9 * made["params"] * made["tokens"]).optimum(9e19)
    assert told["params"].value == pytest.approx(exact(EPOCH).optimum(6e19)["params"].value, rel=1e-6)


def test_is_refused_where_runs_end_or_show_no_optimum(noisy):
    with pytest.raises(SeedbedError, match="times beyond the runs"):
        noisy.optimum(1e25)
    with pytest.raises(SeedbedError, match="too far beyond the runs"):
        noisy.optimum(1e60)
    for wrong in (0.0, float("nan")):
        with pytest.raises(SeedbedError, match="no budget"):
            noisy.optimum(wrong)
    made = {name: np.array(values) for name, values in example.runs().items()}
    for column in ("params", "tokens"):  # the other of the two does nothing
        law = Chinchilla(n_bootstrap=0)
        flat = law.fit(arrow.table({**made, "loss": 1.8 + 480 / made[column] ** 0.35}))
        with pytest.raises(SeedbedError, match=r"no best split.*differ in both"):
            flat.optimum(1e19)


def test_the_isoflop_curve_is_the_forecast_along_the_budget(noisy):
    curve = isoflop(noisy, 1e19, 31)
    assert len(curve.params) == 31
    assert 6 * curve.params * curve.tokens == pytest.approx(np.full(31, 1e19))
    for i in (0, 15, 30):
        there = noisy.forecast({"params": curve.params[i], "tokens": curve.tokens[i]})
        assert (curve.value[i], curve.low[i], curve.high[i]) == pytest.approx(there)
    assert curve.value.min() >= noisy.optimum(1e19)["loss"].value
    assert np.interp(np.log(noisy.optimum(1e19)["params"].value), np.log(curve.params), curve.value) == pytest.approx(
        curve.value.min(), rel=1e-3
    )
