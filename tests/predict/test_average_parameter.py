import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedbed.core import arrow
from seedbed.core.errors import SeedbedError
from seedbed.predict.contract import PARAMS, TOKENS
from seedbed.predict.form import sum_of_terms
from seedbed.predict.laws.average_parameter import AverageParameter, average_of, average_of_schedule
from seedbed.predict.laws.chinchilla import Chinchilla
from seedbed.predict.power_terms import PowerTerm, power_terms
from tests.conftest import examples
from tests.predict.law_examples import average_parameter as example

TRUTH = {"A": example.A, "B": example.B, "E": example.E, "alpha": example.ALPHA, "beta": example.BETA}


def fit(columns, law=AverageParameter, **parameters):
    return law(**{"n_bootstrap": 0, **parameters}).fit(arrow.table(columns))


def dense(noise=0.003):
    """Dense runs alone, as a table that knows no average."""
    N, D = (grid.ravel() for grid in np.meshgrid([1e7, 3e7, 1e8, 3e8], [2e8, 1e9, 5e9, 2e10]))
    loss = 1.82 + 482 / N**0.348 + 2085 / D**0.366
    return {"params": N, "tokens": D, "loss": loss * np.exp(noise * np.random.default_rng(0).standard_normal(len(N)))}


def test_a_table_of_dense_runs_gives_chinchillas_fit_and_forecasts():
    runs = dense()
    parent = fit(runs, Chinchilla)
    for columns in (runs, {**runs, "average_params": runs["params"]}):
        found = fit(columns)
        for name, estimate in parent.coefficients.items():
            if name in found.coefficients:  # Chinchilla also tells what is derived from them
                assert found.coefficients[name] == pytest.approx(estimate, rel=1e-9)
        for plan in ({"params": 1e9, "tokens": 1e11}, {"params": 2e6, "tokens": 3e8}):
            assert found.forecast(plan).value == pytest.approx(parent.forecast(plan).value, rel=1e-12)
            own = {"average_params": plan["params"], "tokens": plan["tokens"]}
            assert found.forecast(own) == found.forecast(plan)


def test_the_interval_of_dense_runs_is_chinchillas():
    plan = {"params": 1e9, "tokens": 1e11}
    mine, parents = (fit(dense(), law, n_bootstrap=20).forecast(plan) for law in (AverageParameter, Chinchilla))
    assert mine == pytest.approx(parents, rel=1e-9)


@given(
    st.lists(st.tuples(st.floats(1.0, 1e9), st.floats(1.0, 1e9)), min_size=1, max_size=20),
)
@examples(50)
def test_compute_is_six_times_the_average_times_the_tokens(pieces):
    params, tokens = (np.array(column) for column in zip(*pieces, strict=True))
    average = average_of(params, tokens)
    assert 6 * average * tokens.sum() == pytest.approx((6 * params * tokens).sum(), rel=1e-12)
    assert params.min() * (1 - 1e-12) <= average <= params.max() * (1 + 1e-12)


@given(st.floats(1.0, 1e12), st.lists(st.floats(1.0, 1e9), min_size=1, max_size=20))
@examples(50)
def test_a_dense_run_has_the_size_it_has(params, tokens):
    assert average_of(np.full(len(tokens), params), tokens) == pytest.approx(params, rel=1e-12)
    assert average_of_schedule(params, params / 2, np.zeros(len(tokens)), tokens) == pytest.approx(params, rel=1e-12)


def test_averages_worked_out_by_hand():
    # a quarter of the tokens at 100, half at a mean of 60, a quarter at 20
    assert average_of([100, 60, 20], [25, 50, 25]) == pytest.approx(60)
    assert average_of_schedule(100, 80, [0, 0.5, 1.0], [25, 50, 25]) == pytest.approx(60)
    # the cubic ramp of Zhu & Gupta 2017 from 0 to s spends 3/4 s on the average
    u = (np.arange(100_000) + 0.5) / 100_000
    ramp = 0.8 * (1 - (1 - u) ** 3)
    assert average_of_schedule(1e6, 1e6, ramp, np.ones(len(u))) == pytest.approx(1e6 * (1 - 0.6), rel=1e-9)


def test_pruned_and_dense_runs_give_their_law_back_and_no_other_size_does():
    runs = example.runs()
    found = fit(runs)
    assert found.coefficients["alpha"].value == pytest.approx(example.ALPHA, abs=0.02)
    assert found.coefficients["E"].value == pytest.approx(example.E, rel=0.03)
    spread = np.std(found.residuals)
    assert spread < 0.0035
    for size in ("params", "final_params"):
        other = fit({"params": runs[size], "tokens": runs["tokens"], "loss": runs["loss"]}, Chinchilla)
        assert np.std(other.residuals) > 4 * spread


def test_exact_runs_give_their_constants_back():
    runs = example.runs()
    average, tokens = np.array(runs["average_params"]), np.array(runs["tokens"])
    runs["loss"] = example.E + example.A / average**example.ALPHA + example.B / tokens**example.BETA
    assert {n: e.value for n, e in fit(runs).coefficients.items()} == pytest.approx(TRUTH, rel=1e-3)


def test_asks_which_parameters_were_counted():
    assert any("params_count" in warning for warning in fit(example.runs()).warnings)
    assert not any("params_count" in warning for warning in fit(example.runs(), params_count="total").warnings)


@pytest.mark.parametrize(
    ("work", "said"),
    [
        (lambda: average_of([], []), "positive finite"),
        (lambda: average_of([1.0, 0.0], [1.0, 1.0]), "active parameters must be positive"),
        (lambda: average_of([1.0], [float("nan")]), "tokens must be positive"),
        (lambda: average_of([1.0, 2.0], [1.0]), "2 numbers of parameters for 1 of tokens"),
        (lambda: average_of_schedule(10, 5, [50], [1]), "not percent"),
        (lambda: average_of_schedule(10, 11, [0.5], [1]), "cannot be prunable"),
        (lambda: fit({"tokens": [1e6] * 8, "loss": [3.0] * 8}), "no column 'average_params'"),
    ],
)
def test_what_is_no_training_is_refused(work, said):
    with pytest.raises(SeedbedError, match=said):
        work()


@pytest.mark.parametrize("n", [1, 2, 3])
def test_terms_of_any_number_have_the_finite_differences_as_gradient(n):
    names = [("params", "A", "alpha"), ("tokens", "B", "beta"), ("batch", "C", "gamma")][:n]
    variables = {"params": PARAMS, "tokens": TOKENS}
    terms = [PowerTerm(variables.get(v, type(PARAMS)(v)), factor, exponent) for v, factor, exponent in names]
    form = power_terms(terms)
    rng = np.random.default_rng(n)
    points = {term.variable.name: rng.normal(size=12) for term in terms}
    params = rng.normal(size=2 * n + 1)
    value, jacobian = form.value(params, points)
    by_hand = [params[i] - params[n + 1 + i] * points[name] for i, (name, _, _) in enumerate(names)]
    assert np.array_equal(value, sum_of_terms(np.stack([*by_hand, np.full(12, params[n])]))[0])
    assert jacobian.shape == (12, 2 * n + 1)
    for i, step in enumerate(np.eye(2 * n + 1) * 1e-6):
        up, down = (form.value(params + s, points)[0] for s in (step, -step))
        assert np.allclose((up - down) / 2e-6, jacobian[:, i], atol=1e-8)
    one_a_point = form.value(np.tile(params[:, None], 12), points)
    assert np.array_equal(one_a_point[0], value)
    assert np.array_equal(one_a_point[1], jacobian)
    assert form.names == (*(f for _, f, _ in names), "E", *(e for _, _, e in names))
    assert {len(start) for start in form.starts(points, value)} == {2 * n + 1}
