import numpy as np
import pytest
from scipy import optimize

from seedbed.core import arrow
from seedbed.core.errors import SeedbedError
from seedbed.predict.laws.sigmoid import Sigmoid
from tests.predict.law_examples import sigmoid as example

TRUE = {"a": -0.73, "x0": 0.767, "k": 12.7, "b": 0.99}


def curve(loss, a, x0, k, b):
    return a / (1 + np.exp(-k * (loss - x0))) + b


def fit(loss, accuracy, **parameters):
    return Sigmoid(**{"n_bootstrap": 0, **parameters}).fit(arrow.table({"loss": loss, "accuracy": accuracy}))


def test_reaches_the_least_squares_that_scipy_finds():
    # Bhagia et al. 2024 fit with scipy's curve_fit, from (min - 1, 0.9, 3, 1), within these bounds
    loss, accuracy = (np.array(values) for values in example.runs().values())
    start, bounds = [accuracy.min() - 1, 0.9, 3, 1], ([-1, 0, 0, 0], [0, np.inf, np.inf, 1])
    trusted, _ = optimize.curve_fit(curve, loss, accuracy, p0=start, bounds=bounds, ftol=1e-14, xtol=1e-14, gtol=1e-14)
    found = fit(loss, accuracy)
    assert list(found.coefficients) == list(TRUE)
    assert [each.value for each in found.coefficients.values()] == pytest.approx(list(trusted), rel=1e-4)
    assert found.objective == pytest.approx(np.sum((curve(loss, *trusted) - accuracy) ** 2) / 2, rel=1e-9)
    assert found.forecast({"loss": 0.5}).value == pytest.approx(curve(0.5, *trusted), abs=1e-6)


def test_one_far_point_pulls_with_its_square():
    # plain squares: a robust loss would leave the curve where it was
    loss = np.linspace(0.6, 1.1, 30)
    accuracy = curve(loss, **TRUE)
    accuracy[15] -= 0.3
    far = fit(loss, accuracy)
    trusted, _ = optimize.curve_fit(
        curve, loss, accuracy, p0=list(TRUE.values()), bounds=([-1, 0, 0, 0], [0, 9, 99, 1])
    )
    assert far.forecast({"loss": 0.8}).value == pytest.approx(curve(0.8, *trusted), abs=1e-5)


def test_exact_curves_come_back_and_stay_within_bounds():
    loss = np.linspace(0.5, 1.5, 20)
    found = fit(loss, curve(loss, **TRUE))
    assert {name: each.value for name, each in found.coefficients.items()} == pytest.approx(TRUE, rel=1e-4)
    assert found.warnings == ()
    above = fit(loss, curve(loss, -0.73, 0.767, 12.7, 1.2))  # no accuracy ends above 1
    assert above.coefficients["b"].value == 1
    assert any("b ended on a bound" in warning for warning in above.warnings)
    rising = fit(loss, curve(loss, 0.5, 0.9, 10, 0.2))  # nor rises with loss
    assert rising.coefficients["a"].value <= 0
    assert rising.coefficients["k"].value >= 0


def test_half_a_curve_is_said():
    loss = np.linspace(0.9, 1.3, 20)
    found = fit(loss, curve(loss, **TRUE) + 1e-4 * np.sin(np.arange(20)))
    assert any("only the lower half" in warning for warning in found.warnings)


def test_the_interval_holds_new_points_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    loss = np.linspace(0.6, 1.1, 30)
    held = []
    for seed in range(8):
        found = fit(loss, curve(loss, **TRUE) + 0.01 * rng.standard_normal(30), n_bootstrap=60, seed=seed)
        for at in (0.55, 0.7, 0.8, 1.0):
            value, low, high = found.forecast({"loss": at})
            assert low <= value <= high
            held += [low <= new <= high for new in curve(at, **TRUE) + 0.01 * rng.standard_normal(20)]
    assert 0.88 <= np.mean(held) <= 0.99


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"loss": [0.5, 0.6, 0.7, 0.8], "accuracy": [0.9, 0.8, 0.6, 0.4]}, "4 runs cannot"),
        ({"loss": [0.5] * 6, "accuracy": [0.9, 0.8, 0.7, 0.6, 0.5, 0.4]}, "same loss"),
        ({"loss": [0.5, 0.6, 0.7, 0.8, None], "accuracy": [0.9] * 5}, "row 5, column 'loss'"),
        ({"los": [0.5] * 5, "accuracy": [0.9] * 5}, "Rename los to loss"),
    ],
)
def test_points_that_carry_no_curve_are_refused(columns, said):
    with pytest.raises(SeedbedError, match=said):
        Sigmoid().fit(arrow.table(columns))
