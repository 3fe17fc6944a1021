import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedbed.stats.simplex import dirichlet, grid, lowest, pour, project

sizes = st.just(0.0) | st.floats(1e-3, 100)


def test_dirichlet_has_its_mean_and_variance():
    alpha = np.array([0.5, 2.0, 0.0, 4.0])
    share = dirichlet(alpha, 200_000, np.random.default_rng(0))
    total = alpha.sum()
    mean = alpha / total
    assert share.sum(axis=1) == pytest.approx(1)
    assert share.mean(axis=0) == pytest.approx(mean, abs=3e-3)
    assert share.var(axis=0) == pytest.approx(mean * (1 - mean) / (total + 1), rel=0.02)
    assert (share[:, 2] == 0).all()


def test_dirichlet_of_a_tiny_alpha_gives_corners_and_never_nan():
    share = dirichlet(np.array([1e-4, 3e-4]), 20_000, np.random.default_rng(1))
    assert np.isfinite(share).all()
    assert ((share > 0.999) | (share < 0.001)).all(axis=1).mean() > 0.99
    assert share[:, 0].mean() == pytest.approx(0.25, abs=0.02)
    with pytest.raises(ValueError, match="somewhere above 0"):
        dirichlet(np.zeros(2), 1, np.random.default_rng(0))


def test_the_grid_is_every_multiple():
    expected = {p for p in itertools.product(range(5), repeat=3) if sum(p) == 4}
    found = [tuple(round(x * 4) for x in row) for row in grid(3, 4)]
    assert set(found) == expected
    assert len(found) == len(expected)


def unimax(tokens, budget, epochs):
    """Algorithm 1 of the paper, as it is written: in order of size."""
    parts, left = [0.0] * len(tokens), budget
    for done, d in enumerate(sorted(range(len(tokens)), key=lambda d: tokens[d])):
        parts[d] = min(left / (len(tokens) - done), tokens[d] * epochs)
        left -= parts[d]
    return parts


@given(st.lists(st.floats(0.1, 100), min_size=1, max_size=6), st.floats(0, 500), st.floats(0.5, 4))
def test_pouring_evenly_is_the_loop_of_unimax(tokens, budget, epochs):
    found = pour(np.ones(len(tokens)), budget, np.array(tokens) * epochs)
    assert found == pytest.approx(unimax(tokens, budget, epochs), rel=1e-9, abs=1e-9)


@given(st.lists(st.tuples(sizes, sizes), min_size=1, max_size=6), st.floats(0, 300))
def test_what_is_poured_stays_under_its_caps_and_in_proportion(pairs, total):
    weight, cap = np.array(pairs).T
    part = pour(weight, total, cap)
    assert (part <= cap * (1 + 1e-12)).all()
    assert part.sum() == pytest.approx(min(total, cap[weight > 0].sum()), rel=1e-9, abs=1e-9)
    below = (part < cap * (1 - 1e-9)) & (weight > 1e-6)
    if below.any():
        level = part[below] / weight[below]
        assert level == pytest.approx(np.full(len(level), level[0]), rel=1e-6, abs=1e-12)
        full = (weight > 1e-6) & ~below
        assert (part[full] <= level[0] * weight[full] * (1 + 1e-6) + 1e-9).all()


@given(st.lists(st.tuples(st.floats(-5, 5), st.floats(0.05, 1.5)), min_size=1, max_size=6))
def test_the_projection_is_the_nearest_share_vector(pairs):
    point, cap = np.array(pairs).T
    if cap.clip(max=1).sum() < 1:
        with pytest.raises(ValueError, match="leave no room"):
            project(point, cap)
        return
    found = project(point, cap)
    assert found.sum() == pytest.approx(1, abs=1e-9)
    assert (found >= 0).all()
    assert (found <= cap + 1e-12).all()
    rng = np.random.default_rng(0)
    for _ in range(20):  # no feasible direction leads nearer: the normal cone of a convex set
        other = project(rng.normal(size=len(point)), cap)
        assert (point - found) @ (other - found) <= 1e-7


def test_projection_without_caps_by_hand():
    assert project(np.array([0.5, 0.8, -1.0])) == pytest.approx([0.35, 0.65, 0.0])


def test_the_lowest_of_a_convex_function_is_that_of_the_grid():
    rng = np.random.default_rng(4)
    t, k = rng.normal(size=(5, 3)) * 2, rng.random(5)

    def value(share):
        grown = k * np.exp(t @ share)
        return float(grown.sum()), grown @ t

    points = grid(3, 200)
    cap = np.array([0.5, 0.9, 0.3])
    for caps, allowed in ((None, points), (cap, points[(points <= cap + 1e-12).all(axis=1)])):
        share, lowest_value = lowest(value, [np.full(3, 1 / 3)], caps)
        best = min(value(point)[0] for point in allowed)
        assert lowest_value <= best + 1e-9
        assert lowest_value == pytest.approx(best, abs=1e-3)
        assert share.sum() == pytest.approx(1)
    with pytest.raises(ValueError, match="at least one start"):
        lowest(value, [])
