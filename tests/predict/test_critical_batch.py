import json

import numpy as np
import pytest
from scipy import optimize

from seedbed.core import arrow
from seedbed.core.errors import SeedbedError
from seedbed.predict import batch_curves
from seedbed.predict.laws.critical_batch import CriticalBatch

B_STAR, ALPHA_B = 2e8, 0.21
BATCHES = (1e4, 4e4, 1.6e5, 6.4e5, 2.5e6, 1e7)


def critical(loss):
    return B_STAR / loss ** (1 / ALPHA_B)


def least_steps(loss):
    return (2.1e3 / (loss - 2.2) ** (1 / 0.76)) if np.isscalar(loss) else None


def made_runs(noise=0.0, seed=0, batches=BATCHES, points=60):
    """Points of curves for which S = Smin(L) (1 + Bcrit(L) / B) at every loss."""
    rng = np.random.default_rng(seed)
    rows = []
    for batch in batches:
        for loss in np.geomspace(3.2, 7.0, points):
            steps = least_steps(loss) * (1 + critical(loss) / batch)
            rows.append((batch, steps, loss * np.exp(noise * rng.standard_normal())))
    return dict(zip(("batch_tokens", "steps", "loss"), np.array(rows).T, strict=True))


def fit(columns, **parameters):
    return CriticalBatch(**{"n_bootstrap": 0, "skip_first": 0.0, **parameters}).fit(arrow.table(columns))


def test_exact_curves_give_their_critical_batch_back():
    fitted = fit(made_runs())
    assert fitted.coefficients["B_star"].value == pytest.approx(B_STAR, rel=0.01)
    assert fitted.coefficients["alpha_B"].value == pytest.approx(ALPHA_B, rel=0.005)
    for loss in (3.5, 4.5, 6.0):
        assert fitted.forecast({"loss": loss}).value == pytest.approx(critical(loss), rel=0.01)
        least = fitted.least({"loss": loss})
        assert least["steps"].value == pytest.approx(least_steps(loss), rel=0.02)
        assert least["tokens"].value == pytest.approx(least_steps(loss) * critical(loss), rel=0.03)


def test_the_fit_of_one_loss_is_the_papers_hyperbola():
    # (S / Smin - 1)(E / Emin - 1) = 1 by an independent solver on S and E themselves
    rng = np.random.default_rng(3)
    B = np.array(BATCHES)
    S = 700 * (1 + 3e5 / B) * np.exp(0.02 * rng.standard_normal(len(B)))
    told = batch_curves.hyperbola(np.log(B), np.log(S))

    def steps(b, least, tokens):
        low = max(least, tokens / b) * (1 + 1e-12)
        return optimize.brentq(lambda t: (t / least - 1) * (t * b / tokens - 1) - 1, low, 1e12)

    def off(p):
        return [np.log(s / steps(b, *np.exp(p))) for s, b in zip(S, B, strict=True)]

    trusted = optimize.least_squares(off, np.log([500, 1e8])).x
    assert told == pytest.approx((trusted[0], trusted[1] - trusted[0]), abs=1e-4)


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    held = []
    for seed in range(6):
        fitted = fit(made_runs(0.01, seed), n_bootstrap=40)
        for loss in (3.6, 5.0):
            told = fitted.forecast({"loss": loss})
            held.append(told.low <= critical(loss) <= told.high)
            assert told.value == pytest.approx(critical(loss), rel=0.1)
            assert told.low < told.value < told.high < told.low * 1.8
    assert np.mean(held) >= 0.75


def test_order_and_repeated_rows_do_not_matter():
    runs = made_runs(0.01)
    fitted = fit(runs, n_bootstrap=20)
    twice = fit({name: np.tile(column, 2)[::-1] for name, column in runs.items()}, n_bootstrap=20)
    assert twice.forecast({"loss": 4.0}) == fitted.forecast({"loss": 4.0})
    assert twice.least({"loss": 4.0}) == fitted.least({"loss": 4.0})
    levels = fit(runs, n_bootstrap=20, bootstrap="levels").forecast({"loss": 4.0})
    assert levels.value == fitted.forecast({"loss": 4.0}).value
    assert levels.low < levels.value < levels.high


def test_units_do_not_matter():
    runs = made_runs(0.01)
    told = fit(runs).predict({"loss": 4.0})
    other = {"batch_tokens": runs["batch_tokens"] / 1e6, "steps": runs["steps"] / 1e3, "loss": runs["loss"] / np.log(2)}
    assert fit(other).predict({"loss": 4.0 / np.log(2)}) * 1e6 == pytest.approx(told, rel=1e-6)


def test_a_stored_fit_forecasts_the_same():
    fitted = fit(made_runs(0.01), n_bootstrap=20)
    again = fitted.law.load(json.loads(json.dumps(fitted.to_json(), allow_nan=False)))
    assert again.forecast({"loss": 4.0}) == fitted.forecast({"loss": 4.0})
    assert again.least({"loss": 4.0}) == fitted.least({"loss": 4.0})
    assert again.to_json() == fitted.to_json()
    with pytest.raises(SeedbedError, match="cannot be read"):
        fitted.law.load({"levels": [[1.0]]})


def test_what_runs_do_not_tell_is_said():
    far = " ".join(fit(made_runs(batches=(3e6, 1e7, 3e7, 1e8))).warnings)
    assert "below all batch sizes" in far
    assert "4 batch sizes" in far
    only_steps = made_runs(0.001, batches=(1e12, 3e12, 1e13))
    with pytest.raises(SeedbedError, match="0 losses tell a critical batch"):
        fit(only_steps)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda r: {name: column[:120] for name, column in r.items()}, "2 batch sizes cannot"),
        (lambda r: {**r, "params": np.arange(360.0) + 1}, "several sizes"),
        (lambda r: {**r, "loss": np.where(np.arange(360) == 7, -1, r["loss"])}, "row 8, column 'loss'"),
        (lambda r: {"batch": r["batch_tokens"], "steps": r["steps"], "loss": r["loss"]}, "no column 'batch_tokens'"),
    ],
)
def test_runs_that_cannot_be_fitted_are_refused_by_place(change, said):
    with pytest.raises(SeedbedError, match=said):
        fit(change(made_runs()))


def test_forecasts_outside_are_refused():
    fitted = fit(made_runs())
    with pytest.raises(SeedbedError, match="times beyond those fitted"):
        fitted.forecast({"loss": 2.0})
    fitted.forecast({"loss": 3.0})
    with pytest.raises(SeedbedError, match="the limit is 1"):
        fitted.least({"loss": 3.0})
    with pytest.raises(SeedbedError, match="needs loss"):
        fitted.forecast({"los": 3.0})
