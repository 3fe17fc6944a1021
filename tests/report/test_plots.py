"""Plots: what is drawn is what was measured."""

from __future__ import annotations

import re

import matplotlib
import numpy as np

from seedbed.report import plots
from seedbed.report.data import Distribution, LossCurve


def test_smoothing_keeps_a_straight_line_straight_and_a_constant_constant() -> None:
    tokens = tuple(np.arange(1.0, 401) * 1000)
    flat = LossCurve("a", 0, tokens, (3.0,) * 400)
    grid, loss_SG = plots.on_one_grid([flat])
    assert np.allclose(loss_SG, 3.0)
    slope = LossCurve("a", 1, tokens, tuple(10 - np.array(tokens) / 1e5))
    _, sloped = plots.on_one_grid([slope])
    middle = slice(20, -20)
    assert np.allclose(sloped[0][middle], (10 - grid / 1e5)[middle], atol=1e-3)


def test_the_grid_lies_where_all_seeds_have_losses_past_the_skipped_start() -> None:
    long = LossCurve("a", 0, (1e3, 5e5, 1e6), (9.0, 5.0, 4.0))
    short = LossCurve("a", 1, (2e3, 4e5, 8e5), (9.0, 5.0, 4.0))
    grid, loss_SG = plots.on_one_grid([long, short])
    assert grid[0] == plots.SKIPPED_START * 8e5
    assert grid[-1] == 8e5
    assert loss_SG.shape == (2, len(grid))


def test_a_run_of_one_logged_step_is_drawn() -> None:
    one = LossCurve("a", 0, (1000.0,), (5.0,))
    assert "<svg" in plots.loss_plot([one], ["a"], 400)


def test_the_threshold_stands_between_whole_numbers() -> None:
    edges = tuple(np.arange(-0.5, 6))
    of = Distribution(
        "s",
        "min_stop_words",
        "stop_words",
        "words",
        "min",
        2,
        edges,
        (1, 1, 1, 1, 1, 1),
        (1, 1, 0, 0, 0, 0),
        "linear",
        6,
        2,
        2,
    )
    assert plots._line(of, 2, np.array(edges), np.asarray) == 1.5
    logged = np.log10(1 + np.array(edges))
    assert plots._line(of, 2, logged, lambda x: np.log10(1 + x)) == logged[2]


def test_colours_are_variables_of_the_page() -> None:
    of = Distribution("s", "r", "x", "u", "max", 0.5, (0.0, 0.5, 1.0), (3, 1), (0, 1), "linear", 4, 1, 1)
    drawn = plots.histogram(of, "h0")
    assert "var(--kept)" in drawn
    assert "var(--dropped)" in drawn
    assert not re.search(r"(?:fill|stroke): #", drawn)
    assert 'aria-label="Histogram of x (u), max 0.5: 25.0 % beyond it."' in drawn


def test_drawing_leaves_the_settings_of_the_plotting_library_alone() -> None:
    before = dict(matplotlib.rcParams)
    plots.loss_plot([LossCurve("a", 0, (1.0, 2.0), (5.0, 4.0))], ["a"], 400)
    assert dict(matplotlib.rcParams) == before
