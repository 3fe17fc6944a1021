import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from seedbed.stats.crps import crps_of_quantiles, crps_of_sample
from tests.conftest import examples

NUMBERS = st.lists(st.floats(-50, 50), min_size=1, max_size=12)


def of_normal(mean, sd, observed):
    # Gneiting and Raftery 2007, equation 21
    z = (observed - mean) / sd
    return sd * (z * (2 * stats.norm.cdf(z) - 1) + 2 * stats.norm.pdf(z) - 1 / np.sqrt(np.pi))


@pytest.mark.parametrize("observed", [3.0, 2.9, 3.2, 3.6])
def test_a_normal_forecast_scores_as_its_closed_form(observed):
    expected = of_normal(3.0, 0.1, observed)
    at = (np.arange(20_000) + 0.5) / 20_000
    sample = stats.norm.ppf(at, 3.0, 0.1)
    assert crps_of_sample(sample, observed) == pytest.approx(expected, rel=1e-3)
    quantiles = np.quantile(sample, np.linspace(0, 1, 101))
    assert crps_of_quantiles(quantiles, observed) == pytest.approx(expected, rel=2e-2)
    fine = np.quantile(sample, np.linspace(0, 1, 5001))
    assert crps_of_quantiles(fine, observed) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("observed", [-0.5, 0.0, 0.2, 0.5, 1.0, 1.7])
def test_quantiles_are_integrated_exactly(observed):
    # uniform on [0, 1]: integral of (F - step)^2
    expected = integrate.quad(
        lambda x: (np.clip(x, 0, 1) - (observed <= x)) ** 2, -1, 2, points=[0, 1, min(max(observed, -1), 2)]
    )[0]
    for n in (2, 3, 101):
        assert crps_of_quantiles(np.linspace(0, 1, n), observed) == pytest.approx(expected, abs=1e-9)


@examples(60)
@given(NUMBERS, st.floats(-60, 60))
def test_a_sample_scores_as_the_double_sum(numbers, observed):
    x = np.array(numbers)
    expected = np.abs(x - observed).mean() - np.abs(x[:, None] - x[None, :]).mean() / 2
    assert crps_of_sample(x, observed) == pytest.approx(expected, abs=1e-9)
    assert crps_of_sample(x[::-1], observed) == crps_of_sample(x, observed)


def test_one_number_scores_its_error_and_steps_score_as_the_sample():
    assert crps_of_sample(np.array([2.0]), 3.5) == 1.5
    assert crps_of_quantiles(np.array([2.0, 2.0, 2.0]), 3.5) == 1.5
    assert crps_of_quantiles(np.array([2.0, 2.0, 2.0]), 2.0) == 0.0
    two = np.repeat([1.0, 4.0], 5000)  # equally likely: a step in the middle
    assert crps_of_quantiles(two, 2.0) == pytest.approx(crps_of_sample(np.array([1.0, 4.0]), 2.0), abs=1e-3)


@pytest.mark.parametrize("bad", [[], [1.0], [2.0, 1.0], [1.0, float("nan")]])
def test_what_is_no_distribution_is_refused(bad):
    with pytest.raises(ValueError, match="quantiles"):
        crps_of_quantiles(np.array(bad), 1.0)
    with pytest.raises(ValueError, match="finite"):
        crps_of_sample(np.array([]), 1.0)
