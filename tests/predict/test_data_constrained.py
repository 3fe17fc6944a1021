import json

import numpy as np
import pytest

from seedbed.core import arrow
from seedbed.core.errors import SeedbedError
from seedbed.predict.laws import data_constrained
from seedbed.predict.laws.chinchilla import Chinchilla
from seedbed.predict.laws.chinchilla import value as dense
from seedbed.predict.laws.data_constrained import DataConstrained, published, worth
from tests.predict.law_examples.data_constrained import LAW, runs

SERIES = {55e9: 2.5695, 28e9: 2.5755, 18e9: 2.583, 14e9: 2.5908, 11e9: 2.5994, 9e9: 2.6064, 4e9: 2.6925, 1.25e9: 3.4255}
"""Published validation losses of 2.8 B parameters on 55 B tokens, by distinct tokens (means over seeds)."""


def plan(params, tokens, unique):
    return {"params": params, "tokens": tokens, "unique_tokens": unique}


def made(rows, noise=0.0, seed=0):
    N, D, epochs = np.array(rows).T
    loss = published().predict_all({"params": N, "tokens": D, "epochs": epochs})
    loss = loss * np.exp(noise * np.random.default_rng(seed).standard_normal(len(N)))
    return {"params": N, "tokens": D, "epochs": epochs, "loss": loss}


def fit(columns, law=LAW):
    return law.fit(arrow.table(columns))


def test_the_published_fit_gives_the_authors_check_values():
    # huggingface/datablations, README: losses printed for two ways to spend 9.2e21 FLOP on 25 B distinct tokens
    assert published().predict(plan(6.34e9, 242e9, 25e9)) == pytest.approx(2.2256440889984477, rel=1e-12)
    assert published().predict(plan(8.67e9, 178e9, 25e9)) == pytest.approx(2.2269634075087867, rel=1e-12)


def test_the_published_fit_by_the_formula_written_out():
    A, B, E, alpha, beta, R_D, R_N = data_constrained.PUBLISHED.values()
    for N, D, U in ((1e8, 1e10, 1e9), (5e9, 5e10, 5e10), (7e6, 1e10, 7e9), (9e9, 9e10, 1e10)):
        G = (alpha * A / (beta * B)) ** (1 / (alpha + beta))
        V = min(N, G * (U * G) ** (beta / alpha))
        D_ = U + U * R_D * (1 - np.exp(-(D / U - 1) / R_D))
        N_ = V + V * R_N * (1 - np.exp(-(N / V - 1) / R_N))
        assert published().predict(plan(N, D, U)) == pytest.approx(E + A / N_**alpha + B / D_**beta, rel=1e-12)


def test_the_best_division_of_1e22_flop_over_25_billion_distinct_tokens():
    found = published().optimum(1e22, {"unique_tokens": 25e9})
    assert found["params"].value == pytest.approx(7.0262e9, rel=1e-3)
    assert found["tokens"].value / 25e9 == pytest.approx(9.4883, rel=1e-3)
    assert found["loss"].value == pytest.approx(2.2221293, rel=1e-6)


@pytest.mark.parametrize(
    ("epochs", "value"), [(1, 1), (2, 0.984), (4, 0.931), (8, 0.828), (16, 0.661), (40, 0.379), (100, 0.164)]
)
def test_what_a_repeated_token_is_worth(epochs, value):
    assert worth(epochs) == pytest.approx(value, abs=5e-4)
    repeated = published().predict({"params": 1e7, "tokens": 1e10 * epochs, "epochs": epochs})
    fresh = published().predict({"params": 1e7, "tokens": 1e10 * epochs * worth(epochs), "epochs": 1})
    assert repeated == pytest.approx(fresh, rel=1e-12)


def test_differences_in_a_published_series_hold_to_14_epochs_and_44_are_refused():
    off = {U: loss - published().predict(plan(2.8e9, 55e9, U)) for U, loss in SERIES.items()}
    believed = [value for U, value in off.items() if U >= 4e9]
    assert max(believed) - min(believed) < 0.02
    assert np.mean(believed) == pytest.approx(0.215, abs=0.01)  # levels differ: said in its warnings
    assert any("compare differences" in each for each in published().warnings)
    assert off[1.25e9] - np.mean(believed) > 0.45
    published().forecast(plan(2.8e9, 55e9, 4e9))
    with pytest.raises(SeedbedError, match=r"44 epochs are beyond 16.*over-fitting"):
        published().forecast(plan(2.8e9, 55e9, 1.25e9))


def test_with_one_epoch_it_is_chinchillas_law():
    params_P = np.array([-0.8, -0.6, -0.4, 0.35, 0.4, np.log(1e12), np.log(1e12)])
    rng = np.random.default_rng(0)
    points = {"params": rng.normal(size=30), "tokens": rng.normal(size=30), "epochs": np.ones(30)}
    assert data_constrained.value(params_P, points)[0] == pytest.approx(dense(params_P[:5], points)[0], rel=1e-9)
    small = {**points, "params": points["tokens"] - 4}  # no more than the text can teach: whatever R_D and R_N are
    params_P[5:] = np.log([3, 2])
    assert data_constrained.value(params_P, small)[0] == pytest.approx(dense(params_P[:5], small)[0], rel=1e-12)


def test_runs_of_one_epoch_alone_give_chinchillas_fit():
    columns = {name: np.array(values)[:16] for name, values in runs().items()}
    mine = fit(columns)
    parent = Chinchilla(n_bootstrap=0, tie=(("alpha", "beta"),)).fit(arrow.table(columns))
    assert mine.objective == pytest.approx(parent.objective, rel=1e-9)
    at = {"params": 2e8, "tokens": 5e10}
    assert mine.predict({**at, "epochs": 1}) == pytest.approx(parent.predict(at), rel=1e-7)
    assert any("this is Chinchilla's law" in w for w in mine.warnings)
    with pytest.raises(SeedbedError, match="epochs 4 lies"):
        mine.forecast({**at, "epochs": 4})


def test_repeats_may_be_given_where_none_were_tried():
    columns = {name: np.array(values)[:16] for name, values in runs().items()}
    told = DataConstrained(n_bootstrap=0, fix={"R_D": 15.387756, "R_N": 5.309743})
    at = {"params": 3e8, "tokens": 6e10, "epochs": 4}
    assert fit(columns, told).forecast(at).value == pytest.approx(published().predict(at), rel=3e-3)


@pytest.mark.parametrize("joint", [False, True])
def test_the_law_that_made_the_runs_is_found(joint):
    law = DataConstrained(n_bootstrap=20, joint=joint)
    found = fit({name: np.array(values) for name, values in runs().items()}, law)
    for name, value in data_constrained.PUBLISHED.items():
        low, high = (found.coefficients[name].value * each for each in (1 / 1.5, 1.5))
        assert low < value < high, name
    at = {"params": 5e8, "tokens": 1e11, "epochs": 12.0}
    estimate = found.forecast(at)
    assert estimate.low < published().predict(at) < estimate.high
    assert estimate.high - estimate.low < 0.02
    again = law.load(json.loads(json.dumps(found.to_json(), allow_nan=False)))
    assert again.forecast(at) == estimate


def test_the_first_stage_reads_runs_of_one_epoch_alone():
    columns = {name: np.array(values) for name, values in runs().items()}
    spoilt = {**columns, "loss": np.where(np.arange(34) < 16, columns["loss"], 1.1 * columns["loss"])}
    first, other = fit(columns), fit(spoilt)
    for name in data_constrained.FIRST:
        assert first.coefficients[name].value == pytest.approx(other.coefficients[name].value, rel=1e-9)
    assert other.coefficients["R_D"].value < first.coefficients["R_D"].value


def test_runs_of_one_epoch_that_are_too_large_for_their_text_are_told_of():
    large = [(N, D, 1.0) for N in (1e7, 1e8, 1e9) for D in (1e9, 1e10, 1e11)]
    rows = [*large, *((N, 1e10, e) for N in (1e7, 1e9) for e in (4.0, 12.0))]
    assert any("have more parameters than the fit says" in each for each in fit(made(rows, 1e-4)).warnings)
    assert not any("have more parameters" in each for each in fit(runs()).warnings)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda r: {k: v for k, v in r.items() if k != "epochs"}, "Give epochs, or unique_tokens"),
        (lambda r: {**r, "epochs": np.where(np.arange(34) == 2, 0.5, r["epochs"])}, r"row 3, column 'epochs'.*0.5"),
        (lambda r: {k: v[12:] for k, v in r.items()}, "too few for the first stage"),
        (lambda r: {**{k: v for k, v in r.items() if k != "epochs"}, "unique_tokens": [0.0] * 34}, "'unique_tokens'"),
    ],
)
def test_what_cannot_be_meant(change, said):
    columns = {name: np.array(values) for name, values in runs().items()}
    columns["epochs"] = columns["tokens"] / columns.pop("unique_tokens")
    columns = {name: columns[name] for name in ("params", "tokens", "epochs", "loss")}
    rows = change(columns)
    with pytest.raises(SeedbedError, match=said):
        fit(rows)


def test_more_epochs_are_never_forecast_to_hurt_nor_less_than_one_allowed():
    losses = [published().predict({"params": 1e9, "tokens": 2e10 * e, "epochs": e}) for e in range(1, 17)]
    assert np.all(np.diff(losses) < 0)
    with pytest.raises(SeedbedError, match="less than one reading"):
        published().forecast({"params": 1e9, "tokens": 2e10, "epochs": 0.5})
