"""Bins: the threshold on an edge, every value counted, the broken part exactly what the rule breaks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedbed.report.bins import BINS, binned
from tests.conftest import examples

numbers = st.lists(
    st.one_of(st.floats(-1e6, 1e6, allow_subnormal=False), st.integers(0, 10**7).map(float)), min_size=1, max_size=60
)
wholes = st.lists(st.integers(0, 10**6).map(float), min_size=1, max_size=60)


def broken_in(edges: tuple[float, ...], counts: tuple[int, ...], threshold: float, side: str) -> int:
    middles = (np.array(edges)[1:] + np.array(edges)[:-1]) / 2
    return int(np.array(counts)[middles < threshold if side == "min" else middles > threshold].sum())


def breaking(values: np.ndarray, threshold: float, side: str) -> np.ndarray:
    return values < threshold if side == "min" else values > threshold


@examples(60)
@given(
    st.one_of(numbers, wholes), st.one_of(st.integers(0, 1000).map(float), st.floats(-10, 10, allow_subnormal=False))
)
@pytest.mark.parametrize("side", ["min", "max"])
def test_bins_hold_what_the_rule_breaks(side: str, values: list[float], threshold: float) -> None:
    found = np.array(values)
    drawn = binned(found, threshold, side, breaking(found, threshold, side))  # pyright: ignore[reportArgumentType]
    assert sum(drawn.counts) + sum(drawn.outside) == len(values)
    assert np.all(np.diff(drawn.edges) > 0)
    inside = found[(found >= drawn.edges[0]) & (found <= drawn.edges[-1])]
    expected = int((inside < threshold).sum() if side == "min" else (inside > threshold).sum())
    assert broken_in(drawn.edges, drawn.counts, threshold, side) == expected == sum(drawn.broken)
    assert all(broken <= count for broken, count in zip(drawn.broken, drawn.counts, strict=True))


def test_a_value_on_the_threshold_passes() -> None:
    values = np.repeat([0.1, 0.3, 0.5], 300)
    assert broken_in(*_pair(values, "max"), 0.3, "max") == 300
    assert broken_in(*_pair(values, "min"), 0.3, "min") == 300


def _pair(values: np.ndarray, side: str) -> tuple[tuple[float, ...], tuple[int, ...]]:
    drawn = binned(values, 0.3, side, breaking(values, 0.3, side))  # pyright: ignore[reportArgumentType]
    return drawn.edges, drawn.counts


def test_small_whole_numbers_get_a_bin_each() -> None:
    values = np.array([0, 1, 1, 3, 5])
    drawn = binned(values, 2, "min", values < 2)
    assert drawn.edges == (-0.5, 0.5, 1.5, 2.5, 3.5, 4.5, 5.5)
    assert drawn.counts == (1, 2, 0, 1, 0, 1)
    assert drawn.broken == (1, 2, 0, 0, 0, 0)


def test_the_few_that_break_a_rule_are_in_the_picture() -> None:
    values = np.r_[np.zeros(5000), [26.0] * 6, 900.0]
    drawn = binned(values, 0, "max", values > 0)
    assert sum(drawn.broken) == 6
    assert sum(drawn.outside) == 1


def test_a_value_may_break_the_rule_of_its_own_language_only() -> None:
    values = np.array([1, 2, 2, 3])
    drawn = binned(values, 3, "min", np.array([False, True, False, False]))
    assert sum(drawn.broken) == 1
    assert drawn.broken[drawn.counts.index(2)] == 1


def test_a_long_tail_of_counts_is_drawn_on_a_log_scale() -> None:
    values = np.round(np.exp(np.random.default_rng(0).normal(5, 2, 5000)))
    drawn = binned(values, 50, "min", values < 50)
    assert drawn.scale == "log"
    assert len(drawn.counts) <= BINS + 2
    even = np.random.default_rng(0).random(5000)
    assert binned(even, 0.5, "min", even < 0.5).scale == "linear"


@pytest.mark.parametrize("values", [[], [float("nan")], [float("inf"), float("-inf")]])
def test_no_finite_value_gives_no_bins(values: list[float]) -> None:
    assert binned(np.array(values), 1.0, "min", np.zeros(len(values), np.bool_)).counts == ()


@pytest.mark.parametrize("threshold", [None, 0.0, 7.0, 1e9])
def test_one_value_is_a_picture_too(threshold: float | None) -> None:
    drawn = binned(np.array([7, 7, 7]), threshold, "max", np.zeros(3, np.bool_))
    assert sum(drawn.counts) == 3
