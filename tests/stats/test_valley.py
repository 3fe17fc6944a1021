import itertools

import numpy as np
import pytest
from scipy import stats

from seedbed.stats.valley import otsu, valley


def test_otsu_is_the_best_of_all_splits():
    rng = np.random.default_rng(1)
    for values in (rng.normal(size=40), np.repeat([1.0, 2.0, 5.0, 9.0], [3, 4, 1, 2]), rng.integers(0, 5, 30) * 1.0):
        unique = np.unique(values)
        best = max(
            ((low + high) / 2 for low, high in itertools.pairwise(unique)),
            key=lambda t: (values < t).mean() * (values > t).mean()
            * (values[values < t].mean() - values[values > t].mean()) ** 2,
        )  # fmt: skip
        found = otsu(values)
        assert found.threshold == pytest.approx(best)
        below, above = values[values < best], values[values > best]
        within = (below.var() * len(below) + above.var() * len(above)) / len(values)
        assert found.explained == pytest.approx(1 - within / values.var())


def test_what_otsu_explains_tells_one_group_from_two():
    normal = stats.norm.ppf((np.arange(20_000) + 0.5) / 20_000)
    assert otsu(normal).explained == pytest.approx(2 / np.pi, abs=1e-3)
    assert otsu(np.linspace(0, 1, 5001)).explained == pytest.approx(0.75, abs=1e-3)
    assert otsu(np.repeat([0.0, 1.0], 5)).explained == pytest.approx(1)


def test_valley_finds_the_two_normals_and_the_least_density_between_them():
    rng = np.random.default_rng(2)
    values = np.concatenate([rng.normal(2, 0.5, 1000), rng.normal(6, 1.0, 9000)])
    found = valley(values)
    assert found.mean_2 == pytest.approx((2, 6), abs=0.08)
    assert found.deviation_2 == pytest.approx((0.5, 1.0), abs=0.05)
    assert found.share_2 == pytest.approx((0.1, 0.9), abs=0.01)
    assert found.separation == pytest.approx(4 / np.sqrt((0.25 + 1) / 2), abs=0.2)
    grid = np.linspace(2, 6, 4001)
    density = 0.1 * stats.norm.pdf(grid, 2, 0.5) + 0.9 * stats.norm.pdf(grid, 6, 1)
    assert found.threshold == pytest.approx(grid[np.argmin(density)], abs=0.1)
    assert found.threshold < otsu(values).threshold, "Otsu's split is drawn to the larger group"
    assert valley(rng.permutation(values)) == found


def test_one_group_has_no_valley():
    rng = np.random.default_rng(3)
    assert valley(rng.normal(size=5000)).threshold is None
    assert valley(np.full(10, 3.0)).threshold is None
    assert valley(np.zeros(0)).threshold is None
    assert valley(np.array([1.0])).separation == 0


def test_many_numbers_are_stood_for_by_quantiles_and_two_points_are_two_groups():
    rng = np.random.default_rng(4)
    values = np.concatenate([rng.normal(0, 1, 30_000), rng.normal(8, 1, 30_000)])
    assert valley(values).threshold == pytest.approx(4, abs=0.1)
    assert valley(np.array([0.0, 0.0, 5.0, 5.0])).threshold == pytest.approx(2.5, abs=0.01)
