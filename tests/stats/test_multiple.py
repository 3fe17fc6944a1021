import numpy as np
import pytest
from scipy import stats as trusted

from seedbed.stats.multiple import holm, mean_p, simultaneous_intervals


def test_holm_worked_by_hand():
    # sorted 0.01 0.02 0.03 0.04: times 4 3 2 1 = 0.04 0.06 0.06 0.04; none below an earlier one
    assert holm(np.array([0.04, 0.01, 0.03, 0.02])) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm(np.array([0.6, 0.7])) == pytest.approx([1.0, 1.0])
    assert len(holm(np.zeros(0))) == 0
    with pytest.raises(ValueError, match="between 0 and 1"):
        holm(np.array([1.2]))


def test_mean_p_is_students_t():
    values = np.array([0.3, -0.1, 0.4, 0.2, 0.15])
    assert mean_p(values) == pytest.approx(trusted.ttest_1samp(values, 0).pvalue)
    assert mean_p(values[:1]) is None
    assert (mean_p(np.zeros(3)), mean_p(np.ones(3))) == (1.0, 0.0)


def test_intervals_hold_together_and_adjusted_findings_are_rare():
    rng = np.random.default_rng(0)
    all_hold, any_found, any_alone = [], [], []
    for _ in range(600):
        values = [rng.standard_normal(5) for _ in range(10)]
        all_hold.append(all(not one.excludes_zero for one in simultaneous_intervals(values)))
        p = np.array([mean_p(one) for one in values])
        any_found.append((holm(p) <= 0.05).any())
        any_alone.append((p <= 0.05).any())
    assert np.mean(all_hold) == pytest.approx(0.95, abs=0.025)
    assert np.mean(any_found) == pytest.approx(0.05, abs=0.025)
    assert np.mean(any_alone) > 0.3
