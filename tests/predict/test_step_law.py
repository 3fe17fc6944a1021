import dataclasses
import json
import math

import numpy as np
import pytest

from seedbed.core import arrow
from seedbed.core.errors import SeedbedError
from seedbed.predict.contract import Recommends
from seedbed.predict.laws.step_law import StepLaw
from tests.step_law_cells import cells, deepseek, needs_truth, regret

SIZES, LENGTHS = (2e8, 5e8, 1e9), (5e9, 2e10, 8e10)
STEPS = np.log(2) * np.arange(-3, 4)
"""Of the sweeps, round a centre: factors of 1/8 to 8."""


def best(params, tokens):
    return 1.79 * params**-0.713 * tokens**0.307, 0.58 * tokens**0.571


def swept(params, tokens, noise=0.0, seed=0, offset=0.0, depth=0.01):
    """Columns of a cell: a bowl round its best point; `offset` shifts the grid off it."""
    rng = np.random.default_rng([seed, int(params), int(tokens)])
    rate, batch = best(params, tokens)
    at = np.array([(x + offset, y - offset) for x in STEPS for y in STEPS])
    loss = 2.5 + depth * (at**2).sum(axis=1) + noise * rng.standard_normal(len(at))
    n = len(at)
    rates, batches = rate * np.exp(at[:, 0]), batch * np.exp(at[:, 1])
    return [np.full(n, params), np.full(n, tokens), rates, batches, loss]


NAMES = ("params", "tokens", "learning_rate", "batch_tokens", "loss")


def table(parts):
    return dict(zip(NAMES, map(np.concatenate, zip(*parts, strict=True)), strict=True))


def grid(**parameters):
    return table([swept(n, d, **parameters) for n in SIZES for d in LENGTHS])


def fit(columns, **parameters):
    return StepLaw(**{"n_bootstrap": 100, **parameters}).fit(arrow.table(columns))


def plan(params, tokens):
    return {"params": params, "tokens": tokens}


@pytest.fixture(scope="module")
def noisy():
    return fit(grid(noise=0.004, offset=0.2))


def test_exact_sweeps_give_their_law_back():
    found = fit(grid(depth=0.05))  # so steep that the best run of a cell alone is kept
    told = {name: e.value for name, e in found.coefficients.items()}
    expected = {"rate_factor": 1.79, "rate_by_params": -0.713, "rate_by_tokens": 0.307,
                "batch_factor": 0.58, "batch_by_tokens": 0.571}  # fmt: skip
    assert told == pytest.approx(expected, rel=1e-6)
    here = found.hyperparameters(plan(3e9, 2e11))
    assert (here["learning_rate"].value, here["batch_tokens"].value) == pytest.approx(best(3e9, 2e11))
    assert found.forecast(plan(3e9, 2e11)) == here["learning_rate"]
    assert found.facts["cells"] == 9
    assert found.facts["kept"] == 9
    assert found.warnings == ()


def test_the_lines_are_least_squares_over_kept_runs(noisy):
    """The recipe by hand: runs within 0.25 % of their cell's lowest."""
    columns = grid(noise=0.004, offset=0.2)
    rows = np.column_stack(list(columns.values()))
    kept = []
    for n in SIZES:
        for d in LENGTHS:
            cell = rows[(rows[:, 0] == n) & (rows[:, 1] == d)]
            kept += [row for row in cell if row[4] <= 1.0025 * cell[:, 4].min()]
    logs = np.log(np.array(kept))
    one = np.ones(len(logs))
    rate = np.linalg.lstsq(np.column_stack([one, logs[:, 0], logs[:, 1]]), logs[:, 2], rcond=None)[0]
    batch = np.linalg.lstsq(np.column_stack([one, logs[:, 1]]), logs[:, 3], rcond=None)[0]
    plain = fit(columns, n_bootstrap=0)
    told = [e.value for e in plain.coefficients.values()]
    assert plain.facts["kept"] == len(kept)
    assert told == pytest.approx([math.exp(rate[0]), *rate[1:], math.exp(batch[0]), batch[1]], rel=1e-8)
    assert plain.forecast(plan(1e9, 1e10)).low == plain.forecast(plan(1e9, 1e10)).high
    averaged = fit(columns, n_bootstrap=1000).hyperparameters(plan(1e9, 1e10))
    assert averaged["learning_rate"].value == pytest.approx(plain.forecast(plan(1e9, 1e10)).value, rel=0.02)


def test_a_recommendation_lies_near_the_best_of_a_cell_that_was_not_swept(noisy):
    for n, d in ((2e9, 2e11), (1e8, 2e9)):
        here = noisy.hyperparameters(plan(n, d))
        rate, batch = best(n, d)
        assert here["learning_rate"].value == pytest.approx(rate, rel=0.5)
        assert here["batch_tokens"].value == pytest.approx(batch, rel=0.5)
        assert here["learning_rate"].low < rate < here["learning_rate"].high
        assert here["batch_tokens"].low < batch < here["batch_tokens"].high
    assert isinstance(noisy, Recommends)


def test_units_order_and_repetition_do_not_matter(noisy):
    columns = grid(noise=0.004, offset=0.2)
    order = np.random.default_rng(1).permutation(len(columns["loss"]))
    assert fit({name: values[order] for name, values in columns.items()}).to_json() == noisy.to_json()
    doubled = fit({name: np.tile(values, 2) for name, values in columns.items()})
    assert doubled.params == noisy.params
    assert any("repeats row" in warning for warning in doubled.warnings)
    units = {"params": 1e-6, "tokens": 1e-9, "batch_tokens": 1 / 2048, "learning_rate": 1.0, "loss": 1.44}
    other = fit({name: values * units[name] for name, values in columns.items()})
    mine, theirs = noisy.hyperparameters(plan(1e9, 1e10)), other.hyperparameters(plan(1e3, 10.0))
    assert theirs["learning_rate"] == pytest.approx(mine["learning_rate"], rel=1e-9)
    assert np.array(theirs["batch_tokens"]) * 2048 == pytest.approx(np.array(mine["batch_tokens"]), rel=1e-9)


def test_a_stored_fit_recommends_the_same(noisy):
    told = json.loads(json.dumps(noisy.to_json(), allow_nan=False))
    again = dataclasses.replace(noisy.law).load(told)
    assert again.hyperparameters(plan(1e9, 1e11)) == noisy.hyperparameters(plan(1e9, 1e11))
    assert again.to_json() == noisy.to_json()
    assert len(again.sample(plan(1e9, 1e11))) == 100
    del told["draws"]
    with pytest.raises(SeedbedError, match="cannot be read"):
        noisy.law.load(told)


def test_a_best_at_the_edge_of_a_sweep_is_warned_of():
    found = fit(grid(offset=3 * np.log(2)))  # its lowest rate and its highest batch are the best
    assert "in 9 of 9 cells the best run has the lowest learning_rate tried: the best may lie beyond" in found.warnings
    assert "in 9 of 9 cells the best run has the highest batch_tokens tried: the best may lie beyond" in found.warnings


def test_what_is_refused(noisy):
    with pytest.raises(SeedbedError, match=r"tokens 1e\+13 lies 125 times beyond"):
        noisy.forecast(plan(1e9, 1e13))
    with pytest.raises(SeedbedError, match="needs tokens"):
        noisy.forecast({"params": 1e9})
    with pytest.raises(SeedbedError, match="params nan must be"):
        noisy.forecast(plan(float("nan"), 1e10))
    with pytest.raises(SeedbedError, match="all runs have the same params"):
        fit(table([swept(1e9, d) for d in LENGTHS]))
    with pytest.raises(SeedbedError, match=r"3 cells .* lie in a row"):
        fit(table([swept(n, 20 * n) for n in SIZES]))
    with pytest.raises(SeedbedError, match="no column 'batch_tokens'"):
        fit({name: values for name, values in grid().items() if name != "batch_tokens"})
    wrong = grid()
    wrong["loss"][4] = np.inf
    with pytest.raises(SeedbedError, match="row 5, column 'loss'"):
        fit(wrong)


# Against the released runs --------------------------------------------------------------------------------------------


def of_cells(chosen):
    rows = [(*cell, *np.exp(row[:2]), row[2]) for cell, kept in chosen.items() for row in kept]
    return dict(zip(NAMES, np.array(rows).T, strict=True))


@needs_truth
def test_what_the_recipe_gives_on_the_released_runs():
    """Not the printed coefficients: those come from more runs than were released."""
    found = fit(of_cells(cells()))
    told = {name: e.value for name, e in found.coefficients.items()}
    assert found.facts["runs"] == 1911
    assert found.facts["kept"] == 129
    assert told["rate_by_params"] == pytest.approx(-0.766, abs=0.01)
    assert told["rate_by_tokens"] == pytest.approx(0.197, abs=0.01)
    assert told["batch_by_tokens"] == pytest.approx(0.6125, abs=0.01)
    assert found.warnings == ()


@needs_truth
def test_fitted_without_a_cell_it_predicts_that_cell():
    found = cells()
    left_out, others, inside = [], [], []
    for cell, rows in found.items():
        law = fit(of_cells({other: kept for other, kept in found.items() if other != cell}), n_bootstrap=50)
        here = law.hyperparameters(plan(*cell))
        left_out.append(regret(rows, here["learning_rate"].value, here["batch_tokens"].value))
        others.append(regret(rows, *deepseek(*cell)))
        near = np.exp(rows[rows[:, 2] <= 1.0025 * rows[:, 2].min()])
        inside += [
            here[name].low <= row[i] <= here[name].high
            for row in near
            for i, name in enumerate(("learning_rate", "batch_tokens"))
        ]
    assert len(left_out) == 17
    assert np.mean(left_out) < 0.0013
    assert np.max(left_out) < 0.003
    assert np.mean(left_out) < np.mean(others) / 6
    assert 0.9 <= np.mean(inside) <= 0.98, "near-best runs of a cell that was left out"
