import json

import numpy as np
import pytest

from seedbed.core import arrow
from seedbed.core.errors import SeedbedError
from seedbed.predict.contract import Allocates
from seedbed.predict.laws.chinchilla_isoflop import ChinchillaIsoflop, budgets

HOFFMANN, UNEQUAL = (406.4, 410.7, 1.6934, 0.3392, 0.2849), (4000.0, 30.0, 1.6934, 0.5, 0.2)
EXPONENT = 0.2849 / (0.3392 + 0.2849)
BUDGETS = np.geomspace(6e18, 3e21, 7)


def best(flops, of=HOFFMANN):
    A, B, _, alpha, beta = of
    return (alpha * A / (beta * B)) ** (1 / (alpha + beta)) * (flops / 6) ** (beta / (alpha + beta))


def made(shift=lambda i: 0.0, half=1.0, n=9, noise=0.0, flops_per_product=6.0, of=HOFFMANN):
    """`n` sizes within exp(half) times around the best, moved by shift(budget)."""
    rng = np.random.default_rng(0)
    C = np.repeat(BUDGETS, n)
    offset = np.concatenate([shift(i) + half * np.linspace(-1, 1, n) for i in range(len(BUDGETS))])
    params = best(C, of) * np.exp(offset)
    tokens = C / 6 / params
    A, B, E, alpha, beta = of
    loss = (E + A / params**alpha + B / tokens**beta) * np.exp(noise * rng.standard_normal(len(C)))
    return {"params": params, "tokens": tokens, "loss": loss, "flops": C * flops_per_product / 6}


def fit(columns, **parameters):
    return ChinchillaIsoflop(**{"n_bootstrap": 0, **parameters}).fit(arrow.table(columns))


def test_the_exponent_of_a_known_law_comes_back_from_symmetric_sampling():
    found = fit(made(half=0.7))
    assert found.coefficients["a"].value == pytest.approx(EXPONENT, abs=1e-6)
    assert found.coefficients["b"].value == pytest.approx(1 - EXPONENT, abs=1e-6)
    assert found.forecast({"flops": 5.76e23}).value == pytest.approx(best(5.76e23), rel=0.02)
    told = found.optimum(5.76e23)
    assert 6 * told["params"].value * told["tokens"].value == pytest.approx(5.76e23, rel=1e-6)
    assert found.warnings == ()
    assert isinstance(found, Allocates)


def test_the_parabola_is_the_least_squares_one():
    columns = made(noise=0.003)
    found = fit(columns)
    for i, flops in enumerate(BUDGETS):
        rows = np.isclose(columns["flops"], flops)
        x = np.log(columns["params"][rows] / 1e9)
        c = np.linalg.lstsq(np.stack([x**2, x, np.ones(9)], axis=1), columns["loss"][rows], rcond=None)[0]
        assert found.params[i] == pytest.approx(1e9 * np.exp(-c[1] / (2 * c[0])), rel=1e-6)


def test_the_known_bias_shows_without_noise_and_is_warned_about():
    def off(found):
        level = np.log(found.forecast({"flops": 1e21}).value / best(1e21, UNEQUAL))
        return found.coefficients["a"].value - 0.2 / 0.7, level

    sampled = {
        "none": made(half=0.4, of=UNEQUAL),
        "lopsided": made(lambda i: -0.8, half=1.2, of=UNEQUAL),
        "drifting": made(lambda i: 0.3 * (i - 3), half=1.6, of=UNEQUAL),
        "wide": made(half=2.5, of=UNEQUAL),
    }
    found = {name: fit(columns) for name, columns in sampled.items()}
    assert np.abs(off(found["none"])).max() < 0.01
    assert found["none"].warnings == ()
    for name, said in (("lopsided", "off the best one by up to"), ("wide", "times from the best one")):
        assert off(found[name])[0] == pytest.approx(0, abs=1e-4)  # the same in every budget: the level alone is wrong
        assert abs(off(found[name])[1]) > 0.05, name
        assert any(said in warning for warning in found[name].warnings)
    assert abs(off(found["none"])[0]) < 1e-4 < 0.004 < abs(off(found["drifting"])[0])
    assert any("moves the exponents" in warning for warning in found["drifting"].warnings)


def test_intervals_hold_the_exponent_and_rows_may_come_in_any_order():
    columns = made(half=0.7, noise=0.002)
    found = fit(columns, n_bootstrap=200)
    assert found.coefficients["a"].low < EXPONENT < found.coefficients["a"].high
    assert found.coefficients["a"].high - found.coefficients["a"].low < 0.1
    order = np.random.default_rng(1).permutation(len(columns["loss"]))
    again = fit({name: values[order] for name, values in columns.items()}, n_bootstrap=200)
    assert again.to_json() == found.to_json()
    stored = ChinchillaIsoflop().load(json.loads(json.dumps(found.to_json(), allow_nan=False)))
    assert stored.forecast({"flops": 1e22}) == found.forecast({"flops": 1e22})
    assert stored.optimum(1e22) == found.optimum(1e22)
    with pytest.raises(SeedbedError, match="cannot be read"):
        ChinchillaIsoflop().load({"flops": [1.0]})


def test_units_and_measured_flop_are_carried():
    plain, measured = fit(made()), fit(made(flops_per_product=9.0))
    assert measured.forecast({"flops": 1.5e21}).value == pytest.approx(plain.forecast({"flops": 1e21}).value, rel=1e-6)
    assert measured.optimum(1.5e21)["tokens"].value == pytest.approx(plain.optimum(1e21)["tokens"].value, rel=1e-6)
    columns = made()
    del columns["flops"]
    assert fit(columns).params == pytest.approx(plain.params)


def test_budgets_are_groups_of_near_flop():
    flops = np.array([1e18, 3e18, 1.02e18, 3.1e18, 9e18, 1.04e18])
    assert [rows.tolist() for rows in budgets(flops, 0.1)] == [[0, 2, 5], [1, 3], [4]]


def test_what_shows_no_optimum_is_refused_or_left_out():
    edge = made(lambda i: 3.0 if i == 0 else 0.0)
    assert "show no lowest loss inside" in fit(edge).warnings[0]
    with pytest.raises(SeedbedError, match="0 budgets show a lowest loss"):
        fit(made(lambda i: 3.0))
    with pytest.raises(SeedbedError, match="times beyond the runs"):
        fit(made()).forecast({"flops": 1e25})
    for plan in ({}, {"flops": -1.0}):
        with pytest.raises(SeedbedError, match="no budget"):
            fit(made()).forecast(plan)
    broken = made()
    broken["loss"][3] = -1
    with pytest.raises(SeedbedError, match="row 4, column 'loss'"):
        fit(broken)
