"""The Step Law: published figures, and its regret on the runs its authors released."""

import csv
import math
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from scipy.interpolate import LinearNDInterpolator

from seedbed.core.errors import SeedbedError
from seedbed.model.step_law import HIGHEST_RATE, PARAMETERS_RANGE, TOKENS_RANGE, StepLaw, step_law

TRUTH = Path(__file__).parents[3] / "shared" / "truth" / "steplaw"
needs_truth = pytest.mark.skipif(not TRUTH.exists(), reason="published results are absent: ../shared/truth/steplaw")

LENGTH = 2048
FLAT = 0.0025  # the authors' fit keeps runs this close to the best of their cell


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


def cells() -> dict[tuple[float, float], np.ndarray]:
    """(N, D) -> rows (ln rate, ln batch tokens, loss)."""
    found = defaultdict(list)
    with (TRUTH / "dense_lr_bs_loss.csv").open() as file:
        for row in csv.DictReader(file):
            place = (math.log(float(row["lr"])), math.log(LENGTH * float(row["bs"])))
            found[float(row["N"]), float(row["D"])].append((*place, float(row["smooth loss"])))
    return {cell: np.array(rows) for cell, rows in found.items()}


def regret(rows: np.ndarray, rate: float, batch: float) -> float:
    """Excess over the cell's best, as a fraction, of the losses interpolated at a point."""
    loss = LinearNDInterpolator(rows[:, :2], rows[:, 2])(math.log(rate), math.log(batch))
    return float(loss) / rows[:, 2].min() - 1


def law(parameters: float, tokens: float) -> StepLaw:
    return step_law(round(parameters), round(tokens))


def deepseek(parameters: float, tokens: float) -> tuple[float, float]:
    """Bi et al. 2024, arXiv 2401.02954: rate and batch from the compute."""
    compute = 6 * parameters * tokens
    return 0.3118 * compute**-0.125, 0.2920 * compute**0.3271


@needs_truth
def test_regret_on_the_released_cells():
    found = cells()
    assert len(found) == 17
    assert all(law(*cell).in_range for cell in found)
    ours = [regret(rows, law(*cell).learning_rate, law(*cell).batch_tokens) for cell, rows in found.items()]
    others = [regret(rows, *deepseek(*cell)) for cell, rows in found.items()]
    assert np.mean(ours) < 0.0013
    assert np.median(ours) == pytest.approx(0.001172, abs=5e-5)
    assert np.max(ours) == pytest.approx(0.002439, abs=5e-5)
    assert np.mean(others) == pytest.approx(0.00832, abs=5e-5)
    assert np.mean(others) > 6 * np.mean(ours)


@needs_truth
def test_the_laws_form_fitted_without_a_cell_predicts_that_cell():
    found, left_out = cells(), []
    for cell, rows in found.items():
        near = [(other, kept) for other, kept in found.items() if other != cell]
        chosen = [
            (*np.log(other), *row) for other, kept in near for row in kept if row[2] <= kept[:, 2].min() * (1 + FLAT)
        ]
        n, d, rate, batch, _ = np.array(chosen).T
        one = np.ones_like(n)
        of_rate = np.linalg.lstsq(np.stack([one, n, d], 1), rate, rcond=None)[0]
        of_batch = np.linalg.lstsq(np.stack([one, d], 1), batch, rcond=None)[0]
        at = np.array([1.0, *np.log(cell)])
        left_out.append(regret(rows, math.exp(of_rate @ at), math.exp(of_batch @ at[[0, 2]])))
    assert np.mean(left_out) < 0.0025
    assert np.mean(left_out) < np.mean([regret(rows, *deepseek(*cell)) for cell, rows in found.items()]) / 4


@needs_truth
def test_the_bands_are_those_of_the_released_bootstrap_fits():
    with (TRUTH / "1004_fitted_lr_bs_scaling_model_parameters.csv").open() as file:
        fits = np.array([[float(x) for x in row] for row in list(csv.reader(file))[1:]])
    for n, d in ((3e8, 5e9), (1e9, 1e11), (7e9, 1.4e12), (4e5, 1e10)):
        rate = np.exp(fits[:, :3] @ [1, math.log(n), math.log(d)])
        batch = np.exp(fits[:, 3:] @ [1, math.log(d)])
        told = law(n, d)
        low, high = np.percentile(batch, [5, 95]) / np.exp(np.log(batch).mean())
        assert np.array(told.batch_tokens_band) / told.batch_tokens == pytest.approx([low, high], rel=0.02)
        if not told.is_held:
            low, high = np.percentile(rate, [5, 95]) / np.exp(np.log(rate).mean())
            assert np.array(told.learning_rate_band) / told.learning_rate == pytest.approx([low, high], rel=0.02)
