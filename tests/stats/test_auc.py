import numpy as np
import pytest

from seedbed.stats.auc import rank_auc


def test_equals_the_count_of_won_pairs_with_ties():
    rng = np.random.default_rng(1)
    score, positive = rng.integers(0, 8, 60).astype(float), rng.random(60) < 0.4
    pairs = score[positive][:, None] - score[~positive][None, :]
    assert rank_auc(score, positive) == pytest.approx(np.mean((pairs > 0) + 0.5 * (pairs == 0)), abs=1e-12)


def test_needs_both_kinds():
    with pytest.raises(ValueError, match="positives and negatives"):
        rank_auc(np.zeros(3), np.ones(3, bool))
