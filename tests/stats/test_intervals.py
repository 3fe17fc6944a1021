import numpy as np
import pytest
from scipy import stats as scipy_stats

from seedbed.stats.intervals import bootstrap_interval, mean_interval, paired_interval, t_quantile


def test_worked_example_with_three_seeds():
    # mean 2, sd 1, t(2, 97.5 %) = 4.302652730: 2 -+ 4.302653 / sqrt(3)
    found = mean_interval(np.array([1.0, 2.0, 3.0]))
    assert (found.value, found.n) == (2.0, 3)
    assert (found.low, found.high) == pytest.approx((2 - 2.4841377, 2 + 2.4841377), abs=1e-6)
    assert not found.excludes_zero


def test_paired_interval_agrees_with_scipy():
    rng = np.random.default_rng(0)
    first, second = rng.normal(1, 1, 9), rng.normal(0, 1, 9)
    trusted = scipy_stats.ttest_rel(first, second).confidence_interval(0.9)
    found = paired_interval(first, second, 0.9)
    assert (found.low, found.high) == pytest.approx((trusted.low, trusted.high), abs=1e-12)
    assert t_quantile(0.975, 4) == pytest.approx(scipy_stats.t.ppf(0.975, 4))


def test_one_value_has_no_bounds_and_none_is_an_error():
    alone = mean_interval(np.array([0.5]))
    assert (alone.low, alone.high, alone.excludes_zero) == (None, None, False)
    with pytest.raises(ValueError, match="at least one"):
        mean_interval(np.array([]))
    with pytest.raises(ValueError, match="finite"):
        mean_interval(np.array([1.0, np.nan]))


def test_t_intervals_hold_the_truth_as_often_as_they_say():
    rng = np.random.default_rng(5)
    holds = [abs(i.value) <= i.high - i.value for i in (mean_interval(rng.normal(0, 1, 4)) for _ in range(2000))]
    assert np.mean(holds) == pytest.approx(0.95, abs=0.02)


def test_bootstrap_agrees_with_scipy_on_skewed_data():
    rows = np.random.default_rng(2).lognormal(0, 1.5, 25)
    bounds = {}
    for kind, method in (("percentile", "percentile"), ("bca", "BCa")):
        trusted = scipy_stats.bootstrap((rows,), np.mean, n_resamples=9999, method=method, rng=3).confidence_interval
        found = bootstrap_interval(rows, lambda r: float(np.mean(r)), seed=0, resamples=6000, kind=kind)
        assert (found.low, found.high) == pytest.approx(trusted, rel=0.05)
        bounds[kind] = found
    assert bounds["bca"].high > 1.15 * bounds["percentile"].high  # the correction is not lost in the tolerance


def test_bootstrap_is_seeded_and_a_constant_has_no_width():
    rows = np.random.default_rng(2).normal(size=30)
    first, again = (bootstrap_interval(rows, np.median, seed=9, resamples=200) for _ in range(2))
    assert first == again != bootstrap_interval(rows, np.median, seed=8, resamples=200)
    flat = bootstrap_interval(np.ones(5), np.mean, seed=0, resamples=50, kind="bca")
    assert (flat.low, flat.high) == (1.0, 1.0)
