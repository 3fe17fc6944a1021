"""The Step Law: published figures, and its regret on the runs its authors released."""

import math

import numpy as np
import pytest

from seedbed.core.errors import SeedbedError
from seedbed.model.step_law import HIGHEST_RATE, PARAMETERS_RANGE, TOKENS_RANGE, StepLaw, step_law
from tests.step_law_cells import LENGTH, cells, deepseek, fits, kaplan_rate, needs_truth, regret, regret_of_rate


def test_the_released_tools_example_and_the_specs_table():
    example = step_law(7_000_000_000, 1_400_000_000_000)  # the tool's own: 7e9 1.4e12 2048 -> 9.347e-04, 2439.9 rows
    assert example.learning_rate == pytest.approx(9.347e-4, rel=0.025)  # of the mean fit; the formula is rounded
    assert example.batch_tokens / LENGTH == pytest.approx(2439.9, rel=0.002)
    assert step_law(1_000_000_000, 100_000_000_000).formula_rate == pytest.approx(1.66e-3, rel=0.025)
    assert step_law(1_000_000_000, 100_000_000_000).batch_tokens == pytest.approx(1.107e6, rel=0.001)
    assert step_law(125_000_000, 2_500_000_000).formula_rate == pytest.approx(2.3e-3, rel=0.025)
    assert step_law(125_000_000, 2_500_000_000).batch_tokens == pytest.approx(1.35e5, rel=0.01)
    assert step_law(10_000_000, 200_000_000).formula_rate == pytest.approx(6.6e-3, rel=0.025)
    assert step_law(1_000_000, 20_000_000).formula_rate == pytest.approx(1.65e-2, rel=0.01)
    assert step_law(1_000_000, 20_000_000).batch_tokens == pytest.approx(8600, rel=0.01)


def test_outside_its_range_it_answers_says_so_and_holds_the_rate():
    inside, small = step_law(500_000_000, 20_000_000_000), step_law(300_000, 1_000_000)
    assert inside.in_range
    assert not inside.is_held
    assert inside.learning_rate == inside.formula_rate
    assert not small.in_range
    assert small.is_held
    assert small.learning_rate == HIGHEST_RATE < small.formula_rate
    assert small.learning_rate_band == (HIGHEST_RATE, HIGHEST_RATE)
    corner = step_law(math.ceil(PARAMETERS_RANGE[0]), math.floor(TOKENS_RANGE[1]))
    assert corner.in_range
    assert corner.formula_rate == pytest.approx(HIGHEST_RATE, rel=0.02), "the highest rate inside the range"
    assert [step_law(n, 10**10).in_range for n in (10**8, 10**9, 10**10)] == [False, True, False]
    assert [step_law(5 * 10**8, d).in_range for d in (10**9, 10**10, 10**12)] == [False, True, False]


@pytest.mark.parametrize("tokens", [1, 10, 10**6, 10**14])
def test_a_batch_is_never_longer_than_the_training(tokens):
    assert 1 <= step_law(1000, tokens).batch_tokens <= tokens


def test_nothing_has_no_law():
    for parameters, tokens in ((0, 10), (10, 0)):
        with pytest.raises(SeedbedError, match="step_law"):
            step_law(parameters, tokens)


# Against the released runs --------------------------------------------------------------------------------------------


def law(parameters: float, tokens: float) -> StepLaw:
    return step_law(round(parameters), round(tokens))


@needs_truth
def test_regret_on_the_released_cells():
    found = cells()
    assert len(found) == 17
    assert all(law(*cell).in_range for cell in found)
    ours = [regret(rows, law(*cell).learning_rate, law(*cell).batch_tokens) for cell, rows in found.items()]
    others = [regret(rows, *deepseek(*cell)) for cell, rows in found.items()]
    kaplan = [regret_of_rate(rows, kaplan_rate(n)) for (n, _), rows in found.items()]
    assert np.mean(ours) == pytest.approx(0.001206, abs=5e-5)
    assert np.median(ours) == pytest.approx(0.001172, abs=5e-5)
    assert np.max(ours) == pytest.approx(0.002439, abs=5e-5)
    assert np.mean(others) == pytest.approx(0.00832, abs=5e-5)
    assert np.max(others) == pytest.approx(0.01116, abs=2e-4)
    assert np.isnan(kaplan).sum() == 2, "cells whose best batch was not tried at so low a rate"
    assert np.nanmean(kaplan) == pytest.approx(0.01369, abs=5e-5)


@needs_truth
def test_the_mean_of_the_released_fits_is_what_the_tool_tells():
    mean = fits().mean(axis=0)
    size, length = math.log(7e9), math.log(1.4e12)
    rate, batch = math.exp(mean[:3] @ [1, size, length]), math.exp(mean[3:] @ [1, length])
    assert rate == pytest.approx(9.347e-4, rel=1e-4)
    assert batch == pytest.approx(4.997e6, rel=1e-4)
    told = law(7e9, 1.4e12)  # the formula as printed, with three digits
    assert told.learning_rate == pytest.approx(0.981 * rate, rel=0.001)
    assert told.batch_tokens == pytest.approx(batch, rel=0.001)


@needs_truth
def test_the_bands_are_those_of_the_released_bootstrap_fits():
    each = fits()
    for n, d in ((3e8, 5e9), (1e9, 1e11), (7e9, 1.4e12), (4e5, 1e10)):
        rate = np.exp(each[:, :3] @ [1, math.log(n), math.log(d)])
        batch = np.exp(each[:, 3:] @ [1, math.log(d)])
        told = law(n, d)
        low, high = np.percentile(batch, [5, 95]) / np.exp(np.log(batch).mean())
        assert np.array(told.batch_tokens_band) / told.batch_tokens == pytest.approx([low, high], rel=0.02)
        if not told.is_held:
            low, high = np.percentile(rate, [5, 95]) / np.exp(np.log(rate).mean())
            assert np.array(told.learning_rate_band) / told.learning_rate == pytest.approx([low, high], rel=0.02)
