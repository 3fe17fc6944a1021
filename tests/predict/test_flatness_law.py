import itertools
import json

import numpy as np
import pytest
from scipy import stats

from seedbed.core import arrow
from seedbed.core.errors import SeedbedError
from seedbed.predict.contract import FittedLaw, Law
from seedbed.predict.laws.flatness import Flatness
from seedbed.stats.correlation import pearson_interval, shuffled_p, spearman_interval


def made(seed=0, n=12, noise=0.02, m=0.3):
    """Models of one loss; sharper ones need more bits."""
    rng = np.random.default_rng(seed)
    trace = np.exp(rng.uniform(2, 5, n))
    score = 2 + m * np.log(trace) + noise * rng.standard_normal(n)
    return {"loss": 3 + 0.004 * rng.uniform(-1, 1, n), "flatness": trace, "score": score}


def fit(columns, **parameters):
    return Flatness(**parameters).fit(arrow.table(columns))


def test_rank_correlation_and_line_are_those_of_scipy():
    runs = made(noise=0.4)
    fitted = fit(runs)
    assert fitted.coefficients["rho"].value == pytest.approx(stats.spearmanr(runs["flatness"], runs["score"])[0])
    trusted = stats.linregress(np.log(runs["flatness"]), runs["score"])
    assert fitted.coefficients["m"].value == pytest.approx(trusted.slope, rel=1e-12)
    assert fitted.facts["p_value"] == pytest.approx(trusted.pvalue, rel=1e-9)
    beside = fitted.facts["spearman_of_loss"]["value"]
    assert beside == pytest.approx(stats.spearmanr(runs["loss"], runs["score"])[0])


def test_the_p_of_shuffles_is_that_of_all_pairings():
    rng = np.random.default_rng(1)
    a, b = rng.standard_normal(6), rng.standard_normal(6)
    size = abs(stats.spearmanr(a, b)[0])
    every = [abs(stats.spearmanr(a, order)[0]) >= size - 1e-12 for order in itertools.permutations(b)]
    assert shuffled_p(a, b, seed=0) == pytest.approx(np.mean(every), abs=0.02)


def test_intervals_of_correlations_hold_the_truth_about_as_often_as_promised():
    held_r, held_rho = [], []
    true_rho = 6 / np.pi * np.arcsin(0.6 / 2)  # Spearman's of two normal variables of correlation 0.6
    for seed in range(400):
        pairs = np.random.default_rng(seed).multivariate_normal([0, 0], [[1, 0.6], [0.6, 1]], 15)
        r = pearson_interval(float(np.corrcoef(pairs.T)[0, 1]), 15)
        rho = spearman_interval(pairs[:, 0], pairs[:, 1])
        held_r.append(r.low <= 0.6 <= r.high)
        held_rho.append(rho.low <= true_rho <= rho.high)
    assert 0.92 <= np.mean(held_r) <= 0.98
    assert 0.92 <= np.mean(held_rho) <= 0.99


def test_a_perfect_order_of_few_runs_still_has_an_interval():
    interval = spearman_interval(np.arange(6.0), np.arange(6.0))
    assert interval.value == interval.high == 1
    assert 0 < interval.low < 0.9
    falling = spearman_interval(np.arange(6.0), -np.arange(6.0))
    assert (falling.low, falling.high) == pytest.approx((-interval.high, -interval.low))
    assert spearman_interval(np.arange(3.0), np.arange(3.0)).low is None


def test_forecast_of_a_new_run():
    fitted = fit(made(noise=0.02))
    value, low, high = fitted.forecast({"flatness": 50.0})
    assert value == pytest.approx(2 + 0.3 * np.log(50), abs=0.05)
    assert low < value < high
    assert (fitted.answer, [v.name for v in fitted.variables]) == ("score", ["flatness"])
    with pytest.raises(SeedbedError, match="times beyond the rows"):
        fitted.forecast({"flatness": 1e5})


def test_runs_of_different_loss_are_refused_with_the_one_furthest_out():
    runs = made()
    runs["loss"][4] = 3.2
    with pytest.raises(SeedbedError, match=r"runs, row 5, column 'loss': 3\.2 beside a median of 3") as refused:
        fit(runs)
    assert "tolerance" in refused.value.mend
    assert fit(runs, tolerance=0.3).line.n == 12
    shuffled = {name: column[::-1] for name, column in runs.items()}
    with pytest.raises(SeedbedError, match="row 8"):
        fit(shuffled)


def test_it_always_says_that_the_trace_is_no_invariant_and_when_it_may_be_chance():
    clear, none = fit(made()), fit(made(noise=3.0, seed=4))
    assert any("no invariant" in warning for warning in clear.warnings)
    assert not any("chance" in warning for warning in clear.warnings)
    assert any("may be chance" in warning for warning in none.warnings)
    assert any("6 runs" in warning for warning in fit(made(n=6)).warnings)


def test_unit_of_the_trace_and_order_of_runs_do_not_matter():
    runs = made(noise=0.1)
    scaled = fit(runs | {"flatness": runs["flatness"] * 1e3})
    assert scaled.forecast({"flatness": 5e4}) == pytest.approx(fit(runs).forecast({"flatness": 50.0}))
    order = np.random.default_rng(0).permutation(12)
    assert fit({name: column[order] for name, column in runs.items()}) == fit(runs)
    repeated = fit({name: np.append(column, column[:1]) for name, column in runs.items()})
    assert repeated.coefficients == fit(runs).coefficients
    assert any("repeats row 1" in warning for warning in repeated.warnings)


def test_a_stored_fit_forecasts_the_same():
    fitted: FittedLaw = fit(made())
    again = Flatness().load(json.loads(json.dumps(fitted.to_json(), allow_nan=False)))
    assert again.forecast({"flatness": 40.0}) == fitted.forecast({"flatness": 40.0})
    assert again.to_json() == fitted.to_json()
    assert isinstance(Flatness(), Law)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"flatness": [1, -2, 3, 4]}, "row 2, column 'flatness'"),
        ({"flatness": [2, 2, 2, 2]}, "same flatness"),
        ({"score": [2, 2, 2, 2]}, "same score"),
        ({"score": [2, 3, None, 2]}, "row 3, column 'score'"),
        ({"loss": [3, 3, 3, None]}, "row 4, column 'loss'"),
    ],
)
def test_bad_tables_are_errors_by_row_and_column(change, match):
    runs = {"loss": [3, 3.0, 3, 3], "flatness": [1, 2, 3, 4], "score": [1, 2, 3, 5.0]}
    with pytest.raises(SeedbedError, match=match):
        fit(runs | change)
    with pytest.raises(SeedbedError, match="3 runs cannot carry"):
        fit({name: column[:3] for name, column in runs.items()})
    with pytest.raises(SeedbedError, match="no column 'score'"):
        fit({name: runs[name] for name in ("loss", "flatness")})
