"""Two one-sided tests beside scipy's, and how often they are wrong."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats as scipy_stats

from seedbed.stats.equivalence import equivalence


@pytest.mark.parametrize("shift", [-0.3, -0.05, 0.0, 0.02, 0.4])
def test_it_agrees_with_two_tests_of_scipy(shift: float) -> None:
    rng = np.random.default_rng(2)
    first, second = rng.normal(shift, 0.05, 7), rng.normal(0, 0.05, 7)
    found = equivalence(first, second, 0.1)
    difference = first - second
    above = scipy_stats.ttest_1samp(difference, -0.1, alternative="greater").pvalue
    below = scipy_stats.ttest_1samp(difference, 0.1, alternative="less").pvalue
    assert found.p_equivalent == pytest.approx(max(above, below), rel=1e-9)
    assert found.p_different == pytest.approx(scipy_stats.ttest_rel(first, second).pvalue, rel=1e-9)
    bounds = scipy_stats.t.interval(0.9, 6, difference.mean(), scipy_stats.sem(difference))
    assert (found.low, found.high) == pytest.approx(bounds)
    assert (found.conclusion == "equivalent") == (found.low > -0.1 and found.high < 0.1)


def test_each_conclusion() -> None:
    zero = np.zeros(5)
    noise = np.array([-2.0, -1.0, 0.0, 1.0, 2.0])
    assert equivalence(zero + 0.001 * noise, zero, 0.02).conclusion == "equivalent"
    assert equivalence(zero + 0.01 * noise + 0.1, zero, 0.02).conclusion == "higher"
    assert equivalence(zero + 0.01 * noise - 0.1, zero, 0.02).conclusion == "lower"
    assert equivalence(zero + 0.1 * noise, zero, 0.02).conclusion == "undecided"  # no difference found is no equality
    assert equivalence(zero + 0.001 * noise + 0.005, zero, 0.02).conclusion == "equivalent"  # different, and too little


def test_pairs_without_spread_are_judged_by_the_margin() -> None:
    ones = np.ones(3)
    assert equivalence(ones, ones, 0.1).conclusion == "equivalent"
    assert equivalence(ones + 0.5, ones, 0.25).conclusion == "higher"
    assert equivalence(ones + 0.25, ones, 0.25).p_equivalent == 0.5
    assert equivalence(np.array([1.0]), np.array([1.0]), 0.1).conclusion == "undecided"


def test_at_the_margin_equivalence_is_claimed_as_seldom_as_said() -> None:
    rng = np.random.default_rng(4)
    zero = np.zeros(5)
    claims = [equivalence(rng.normal(0.1, 0.02, 5), zero, 0.1).conclusion == "equivalent" for _ in range(2000)]
    assert np.mean(claims) == pytest.approx(0.05, abs=0.02)


def test_what_is_no_pair_is_refused() -> None:
    for first, second in ((np.zeros(0), np.zeros(0)), (np.zeros(2), np.zeros(3))):
        with pytest.raises(ValueError, match="of one length"):
            equivalence(first, second, 0.1)
    with pytest.raises(ValueError, match="finite"):
        equivalence(np.array([np.nan, 1.0]), np.zeros(2), 0.1)
    with pytest.raises(ValueError, match="margin must be above 0"):
        equivalence(np.zeros(2), np.zeros(2), 0.0)
