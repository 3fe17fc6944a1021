"""Bins: the threshold on an edge, every value counted, the broken part exactly what the rule breaks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seedbed.report.bins import BINS, binned

numbers = st.lists(
    st.one_of(st.floats(-1e6, 1e6, allow_subnormal=False), st.integers(0, 10**7).map(float)), min_size=1, max_size=60
)
wholes = st.lists(st.integers(0, 10**6).map(float), min_size=1, max_size=60)


def broken_in(edges: tuple[float, ...], counts: tuple[int, ...], threshold: float, side: str) -> int:
    middles = (np.array(edges)[1:] + np.array(edges)[:-1]) / 2
    return int(np.array(counts)[middles < threshold if side == "min" else middles > threshold].sum())


@settings(max_examples=60, deadline=None)
@given(
    st.one_of(numbers, wholes), st.one_of(st.integers(0, 1000).map(float), st.floats(-10, 10, allow_subnormal=False))
)
@pytest.mark.parametrize("side", ["min", "max"])
def test_bins_hold_what_the_rule_breaks(side: str, values: list[float], threshold: float) -> None:
    found = np.array(values)
    drawn = binned(found, threshold, side)  # pyright: ignore[reportArgumentType]
    assert sum(drawn.counts) + sum(drawn.outside) == len(values)
    assert np.all(np.diff(drawn.edges) > 0)
    inside = found[(found >= drawn.edges[0]) & (found <= drawn.edges[-1])]
    expected = int((inside < threshold).sum() if side == "min" else (inside > threshold).sum())
    assert broken_in(drawn.edges, drawn.counts, threshold, side) == expected


def test_a_value_on_the_threshold_passes() -> None:
    values = np.repeat([0.1, 0.3, 0.5], 300)
    assert broken_in(*_pair(values, "max"), 0.3, "max") == 300
    assert broken_in(*_pair(values, "min"), 0.3, "min") == 300


def _pair(values: np.ndarray, side: str) -> tuple[tuple[float, ...], tuple[int, ...]]:
    drawn = binned(values, 0.3, side)  # pyright: ignore[reportArgumentType]
    return drawn.edges, drawn.counts


def test_small_whole_numbers_get_a_bin_each() -> None:
    drawn = binned(np.array([0, 1, 1, 3, 5]), 2, "min")
    assert drawn.edges == (-0.5, 0.5, 1.5, 2.5, 3.5, 4.5, 5.5)
    assert drawn.counts == (1, 2, 0, 1, 0, 1)


def test_a_long_tail_of_counts_is_drawn_on_a_log_scale() -> None:
    values = np.round(np.exp(np.random.default_rng(0).normal(5, 2, 5000)))
    assert binned(values, 50, "min").scale == "log"
    assert binned(np.random.default_rng(0).random(5000), 0.5, "min").scale == "linear"
    assert len(binned(values, 50, "min").counts) <= BINS + 2


@pytest.mark.parametrize("values", [[], [float("nan")], [float("inf"), float("-inf")]])
def test_no_finite_value_gives_no_bins(values: list[float]) -> None:
    assert binned(np.array(values), 1.0, "min").counts == ()


@pytest.mark.parametrize("threshold", [None, 0.0, 7.0, 1e9])
def test_one_value_is_a_picture_too(threshold: float | None) -> None:
    drawn = binned(np.array([7, 7, 7]), threshold, "max")
    assert sum(drawn.counts) == 3
