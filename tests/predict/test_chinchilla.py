import csv
import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from scipy import optimize

from seedbed.core import arrow
from seedbed.core.errors import SeedbedError
from seedbed.predict.laws import chinchilla
from seedbed.predict.laws.chinchilla import Chinchilla, allocation

TRUTH = Path(__file__).parents[2].parent / "shared" / "truth"
EPOCH = (482.01, 2085.43, 1.8172, 0.3478, 0.3658)
SIZES, LENGTHS = (1e7, 3e7, 1e8, 3e8), (2e8, 1e9, 5e9, 2e10)


def law_loss(N, D, of=EPOCH):
    A, B, E, alpha, beta = of
    return E + A / N**alpha + B / D**beta


def made_runs(noise=0.0, seed=0, sizes=SIZES, lengths=LENGTHS):
    N, D = (grid.ravel() for grid in np.meshgrid(sizes, lengths))
    loss = law_loss(N, D) * np.exp(noise * np.random.default_rng(seed).standard_normal(len(N)))
    return {"params": N, "tokens": D, "loss": loss}


def fit(columns, **parameters):
    return Chinchilla(**{"n_bootstrap": 0, **parameters}).fit(arrow.table(columns))


@pytest.fixture(scope="module")
def noisy():
    return fit(made_runs(0.003), n_bootstrap=60)


def test_the_analytic_gradient_is_the_finite_difference():
    data = chinchilla._centred(*made_runs(0.01).values())
    params = np.array([-1.0, -0.7, -0.5, 0.4, 0.3])
    jacobian = chinchilla._log_loss(params, data)[1]
    for i, step in enumerate(np.eye(5) * 1e-6):
        up, down = (chinchilla._log_loss(params + s, data)[0] for s in (step, -step))
        assert np.allclose((up - down) / 2e-6, jacobian[:, i], atol=1e-8)


def test_exact_runs_give_their_law_back():
    found = fit(made_runs())
    assert list(found.coefficients.values()) == pytest.approx(EPOCH, rel=1e-4)
    assert found.predict(3e9, 2e11) == pytest.approx(law_loss(3e9, 2e11), rel=1e-6)
    assert found.n_agree >= 0.2 * found.n_starts
    assert found.warnings == ()


def test_reaches_the_minimum_that_an_independent_solver_finds(noisy):
    runs = made_runs(0.003)
    x, y, z = (np.log(column) for column in runs.values())

    def residuals(p):
        return np.logaddexp(np.logaddexp(p[0] - p[3] * x, p[1] - p[4] * y), p[2]) - z

    start = [np.log(400), np.log(400), 0.5, 0.35, 0.35]
    trusted = optimize.least_squares(residuals, start, loss="huber", f_scale=1e-3, xtol=1e-15, ftol=1e-15, gtol=1e-15)
    assert noisy.objective <= trusted.cost * (1 + 1e-6)
    assert noisy.objective == pytest.approx(trusted.cost, rel=1e-3)


def test_order_does_not_matter_and_duplication_hardly(noisy):
    runs = made_runs(0.003)
    order = np.random.default_rng(1).permutation(len(runs["loss"]))
    shuffled = fit({name: column[order] for name, column in runs.items()}, n_bootstrap=60)
    assert shuffled == noisy
    doubled = fit({name: np.tile(column, 2) for name, column in runs.items()})
    assert doubled.params == pytest.approx(noisy.params, abs=1e-4)
    assert doubled.objective == pytest.approx(2 * noisy.objective, rel=1e-6)


def test_units_do_not_matter(noisy):
    runs = made_runs(0.003)
    in_millions = fit(
        {"params": runs["params"] / 1e6, "tokens": runs["tokens"] / 1e9, "loss": runs["loss"] / np.log(2)}
    )
    expected = noisy.predict(2e9, 1e11)
    assert in_millions.predict(2e3, 1e2) * np.log(2) == pytest.approx(expected, rel=1e-6)
    assert in_millions.coefficients["alpha"] == pytest.approx(noisy.coefficients["alpha"], rel=1e-4)


@pytest.mark.parametrize(
    ("of", "ratio"), [((482.01, 2085.43, 0.3478, 0.3658), 18.39), ((406.4, 410.7, 0.3392, 0.2849), 59.08)]
)
def test_allocation_at_the_budget_of_chinchilla(of, ratio):
    # Besiroglu et al. and Hoffmann et al. (unrounded) at C = 5.76e23 FLOP
    params, tokens = allocation(*of, 5.76e23)
    assert tokens / params == pytest.approx(ratio, rel=1e-3)
    assert 6 * params * tokens == pytest.approx(5.76e23)


def test_optimum_is_the_lowest_point_of_its_budget():
    found = fit(made_runs())
    params, tokens = found.optimum(1e19)
    for factor in (0.8, 1.25):
        assert found.predict(params * factor, tokens / factor) > found.predict(params, tokens)
    with pytest.raises(SeedbedError, match="beyond the runs"):
        found.optimum(1e25)


def test_forecasts_are_refused_too_far_away(noisy):
    noisy.forecast(3e9, 2e11)
    noisy.forecast(1e6, 2e7)
    for params, tokens in ((3.1e9, 1e9), (1e8, 2.1e11), (0.9e6, 1e9), (1e8, 1.9e7)):
        with pytest.raises(SeedbedError, match="times beyond the runs"):
            noisy.forecast(params, tokens)
    with pytest.raises(SeedbedError, match="positive"):
        noisy.forecast(float("nan"), 1e9)


def test_intervals_hold_new_runs_about_as_often_as_they_say():
    held = []
    for seed in range(6):
        found = fit(made_runs(0.004, seed), n_bootstrap=30, seed=seed)
        rng = np.random.default_rng(100 + seed)
        for params, tokens in ((5e7, 2e9), (1e9, 5e10), (2e8, 1e9), (2e9, 1e11)):
            value, low, high = found.forecast(params, tokens)
            assert low <= value <= high
            held.append(low <= law_loss(params, tokens) * np.exp(0.004 * rng.standard_normal()) <= high)
    assert np.mean(held) >= 0.85


def test_redrawing_runs_gives_an_interval_too_and_is_seeded(noisy):
    first, again, other = (
        fit(made_runs(0.003), n_bootstrap=20, bootstrap="rows", seed=seed).forecast(1e9, 1e10) for seed in (1, 1, 2)
    )
    assert first == again != other
    assert first[0] == pytest.approx(noisy.predict(1e9, 1e10))
    assert first[1] < first[0] < first[2]


def test_the_interval_grows_with_the_distance(noisy):
    widths = [high - low for _, low, high in (noisy.forecast(1e8 * k, 5e9 * k) for k in (1, 10, 30))]
    assert widths[0] / noisy.predict(1e8, 5e9) < widths[1] / noisy.predict(1e9, 5e10)
    assert widths[1] < widths[2]


def test_a_stored_fit_forecasts_the_same(noisy):
    again = Chinchilla().load(json.loads(json.dumps(noisy.to_json(), allow_nan=False)))
    assert again == noisy
    assert again.forecast(1e9, 1e10) == noisy.forecast(1e9, 1e10)
    with pytest.raises(SeedbedError, match="no draws"):
        Chinchilla().load({name: value for name, value in noisy.to_json().items() if name != "draws"})


def test_runs_that_identify_little_say_so():
    narrow = fit(made_runs(0.001, sizes=(1e7, 3e7), lengths=(1e9, 2e9, 4e9)))
    text = " ".join(narrow.warnings)
    assert "params spans only a factor of 3" in text
    assert "tokens spans only a factor of 4" in text
    assert "6 runs" in text
    flat = made_runs(0.001)
    flat["loss"] = 2.0 + 0 * flat["loss"]
    with pytest.raises(SeedbedError, match="no best split"):
        fit(flat).optimum(1e18)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda r: {name: column[:5] for name, column in r.items()}, "5 runs cannot"),
        (lambda r: {**r, "params": np.full(16, 1e7)}, "same params"),
        (lambda r: {**r, "tokens": np.full(16, 1e9)}, "same tokens"),
        (lambda r: {**r, "loss": np.where(np.arange(16) == 3, np.nan, r["loss"])}, "row 4, column 'loss'"),
        (lambda r: {**r, "tokens": np.where(np.arange(16) == 0, 0, r["tokens"])}, "row 1, column 'tokens'"),
        (lambda r: {**r, "loss": [None, *r["loss"][1:]]}, "None is not a positive"),
        (lambda r: {**r, "params": ["many"] * 16}, "'many' is not"),
        (lambda r: {"params": r["params"], "token": r["tokens"], "loss": r["loss"]}, "Did you mean 'token'"),
    ],
)
def test_runs_that_cannot_be_fitted_are_refused_by_place(change, said):
    with pytest.raises(SeedbedError, match=said):
        fit(change(made_runs()))


LADDER = {"190M": 190354176, "370M": 371262464, "760M": 758220288, "1B": 1279395840}


def ladder_runs(task):
    rows = []
    for size, params in LADDER.items():
        for length in ("1xC", "2xC", "5xC", "10xC"):
            with (TRUTH / "olmo_ladder" / f"{size}-{length}.csv").open() as file:
                steps = list(csv.DictReader(file))
            values = [float(row[f"eval/downstream_bpb/{task}"]) for row in steps if row[f"eval/downstream_bpb/{task}"]]
            rows.append((params, float(steps[-1]["throughput/total_tokens"]), np.mean(values[-5:])))
    return dict(zip(("params", "tokens", "loss"), np.array(rows).T, strict=True))


@pytest.mark.skipif(not (TRUTH / "olmo_ladder").is_dir(), reason="needs ../shared/truth/olmo_ladder")
@pytest.mark.parametrize(
    ("task", "published"),
    [
        ("hellaswag_val_rc_5shot_bpb", 0.6531765996418648),
        ("piqa_val_rc_5shot_bpb", 0.8747948863685431),
        ("socialiqa_val_rc_5shot_bpb", 0.9915736909585439),
        ("arc_challenge_test_rc_5shot_bpb", 0.783323889494342),
        ("csqa_val_rc_5shot_bpb", 0.6617282976368006),
    ],
)
def test_reproduces_the_published_ladder_forecasts_of_13b_on_5t_tokens(task, published):
    # Bhagia et al. 2024, arXiv 2412.04403, step 1, fitted on 16 runs of 190M to 1.3B parameters
    found = fit(ladder_runs(task), max_extrapolation=30)
    assert found.forecast(13202396160, 5000080130048)[0] == pytest.approx(published, abs=2e-5)
    assert ("E" in found.bound_hits) == task.startswith("csqa")  # published: the floor of CSQA is not identified
    with pytest.raises(SeedbedError, match="beyond the runs"):
        dataclasses.replace(found, max_extrapolation=10).forecast(13202396160, 5000080130048)
