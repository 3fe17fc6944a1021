import json

import numpy as np
import pytest

from seedbed import catalogue
from seedbed.core import arrow
from seedbed.core.errors import RecipeError, SeedbedError
from seedbed.predict.contract import Law
from seedbed.predict.laws.chain import Chain
from seedbed.predict.laws.chinchilla import Chinchilla
from seedbed.predict.laws.sigmoid import Sigmoid
from tests.predict.few_starts import few_starts  # noqa: F401
from tests.predict.law_examples import chinchilla as losses
from tests.predict.law_examples import sigmoid

PLAN = {"params": 6e8, "tokens": 4e10}


def loss_of(N, D):
    return 0.5 + 300 / N**0.4 + 500 / D**0.4


def accuracy_of(loss):
    return -0.7 / (1 + np.exp(-6 * (loss - 0.8))) + 0.95


def runs(noise=0.0, seed=0):
    rng = np.random.default_rng(seed)
    N, D = (grid.ravel() for grid in np.meshgrid([1e7, 3e7, 1e8, 3e8], [2e8, 1e9, 5e9, 2e10]))
    loss = loss_of(N, D) * np.exp(noise * rng.standard_normal(len(N)))
    return {"params": N, "tokens": D, "loss": loss, "accuracy": accuracy_of(loss) + noise * rng.standard_normal(len(N))}


def chain(n_bootstrap=0, **parameters):
    first = Chinchilla(n_bootstrap=n_bootstrap, params_count="total")
    return Chain(**{"first": first, "second": Sigmoid(n_bootstrap=n_bootstrap), **parameters})


@pytest.fixture(scope="module")
def noisy():
    return chain(60).fit(arrow.table(runs(0.004)))


def test_the_answer_of_the_first_is_the_variable_of_the_second(noisy):
    exact = chain().fit(arrow.table(runs()))
    assert exact.forecast(PLAN).value == pytest.approx(accuracy_of(loss_of(6e8, 4e10)), abs=1e-4)
    assert (exact.answer, [v.name for v in exact.variables]) == ("accuracy", ["params", "tokens"])
    middle = noisy.first.forecast(PLAN)
    assert noisy.between(PLAN) == middle
    assert noisy.forecast(PLAN).value == noisy.second.forecast({"loss": middle.value}).value
    assert {"loss.alpha", "loss.E", "accuracy.k", "accuracy.x0"} <= set(noisy.coefficients)
    assert noisy.coefficients["loss.alpha"] == noisy.first.coefficients["alpha"]


def test_every_draw_of_the_first_goes_through_a_draw_of_the_second(noisy):
    sample_R, loss_R = noisy.sample(PLAN), noisy.first.sample(PLAN)
    draws = list(zip(noisy.second.named(noisy.second.draws), noisy.second.noise, strict=True))
    through_RR = np.array(
        [[c["a"] / (1 + np.exp(-c["k"] * (loss - c["x0"]))) + c["b"] + more for c, more in draws] for loss in loss_R]
    )
    off_RR = np.abs(through_RR - sample_R[:, None])
    assert off_RR.min(axis=1).max() < 1e-9
    assert sorted(off_RR.argmin(axis=1)) == list(range(60))
    value, low, high = noisy.forecast(PLAN)
    assert (low, high) == pytest.approx(tuple(np.quantile(sample_R, [0.025, 0.975])))
    assert low < value < high


def test_the_spread_is_that_of_both_steps():
    # of independent steps the variances add, the first's times the slope of the second squared
    found = chain(300).fit(arrow.table(runs(0.004)))  # fewer could not tell independent steps from paired ones
    loss = found.between(PLAN).value
    a, x0, k, _ = (each.value for name, each in found.coefficients.items() if name.startswith("accuracy"))
    share = 1 / (1 + np.exp(-k * (loss - x0)))
    slope = a * k * share * (1 - share)
    steps = np.array([np.std(found.first.sample(PLAN)) * slope, np.std(found.second.sample({"loss": loss}))])
    assert np.abs(steps).min() > 0.3 * np.abs(steps).max()
    assert np.std(found.sample(PLAN)) == pytest.approx(np.sqrt(np.sum(steps**2)), rel=0.08)


def test_one_step_without_draws_leaves_those_of_the_other():
    table = arrow.table(runs(0.004))
    only_second = chain(first=Chinchilla(n_bootstrap=0), second=Sigmoid(n_bootstrap=20)).fit(table)
    loss = only_second.between(PLAN).value
    assert sorted(only_second.sample(PLAN)) == pytest.approx(sorted(only_second.second.sample({"loss": loss})))
    only_first = chain(first=Chinchilla(n_bootstrap=20), second=Sigmoid(n_bootstrap=0)).fit(table)
    through = [only_first.second.predict({"loss": loss}) for loss in only_first.first.sample(PLAN)]
    assert only_first.sample(PLAN) == pytest.approx(through)
    neither = chain().fit(table)
    assert len(neither.sample(PLAN)) == 0
    assert neither.forecast(PLAN).low == neither.forecast(PLAN).high


def test_each_step_reads_the_rows_that_hold_its_columns():
    whole = runs(0.002)
    more = sigmoid.runs()
    empty = [None] * len(more["loss"])
    one = {name: [*values.tolist(), *(more.get(name) or empty)] for name, values in whole.items()}
    one["accuracy"][:4] = [None, None, float("nan"), None]
    found = chain().fit(arrow.table(one))
    assert found.first.forecast(PLAN) == chain().fit(arrow.table(whole)).first.forecast(PLAN)
    points = {"loss": one["loss"][4:], "accuracy": one["accuracy"][4:]}
    assert found.second.forecast({"loss": 0.8}) == Sigmoid(n_bootstrap=0).fit(arrow.table(points)).forecast(
        {"loss": 0.8}
    )


def test_a_stored_chain_forecasts_the_same(noisy):
    told = json.loads(json.dumps(noisy.to_json(), allow_nan=False))
    law = catalogue.build(Law, {told["law"]: told["parameters"]}, "law")  # methods inside a method, from JSON
    assert law == noisy.law
    again = law.load(told)
    assert again.forecast(PLAN) == noisy.forecast(PLAN)
    assert (again.coefficients, again.warnings, again.facts) == (noisy.coefficients, noisy.warnings, noisy.facts)
    del told["second"]
    with pytest.raises(SeedbedError, match="cannot be read"):
        law.load(told)


def test_the_usual_chain_is_of_loss_and_of_accuracy():
    assert catalogue.build(Law, "predict.laws.chain", "law") == Chain(Chinchilla(), Sigmoid())
    given = {"chain": {"first": {"chinchilla": {"n_bootstrap": 0}}, "second": {"sigmoid": {"seed": 3}}}}
    assert catalogue.build(Law, given, "law") == Chain(Chinchilla(n_bootstrap=0), Sigmoid(seed=3))


def test_chains_of_chains():
    inner = chain(20)
    outer = Chain(inner, Sigmoid(n_bootstrap=20))
    with pytest.raises(SeedbedError, match="foretells accuracy, which sigmoid does not read"):
        outer.fit(arrow.table(runs(0.002)))


def test_what_lies_outside_either_step_is_told_and_refused(noisy):
    assert noisy.outside({"params": 3e9, "tokens": 2e10}) == {
        "params": pytest.approx(10),
        "tokens": 1,
        "loss": noisy.second.outside({"loss": noisy.between({"params": 3e9, "tokens": 2e10}).value})["loss"],
    }
    assert noisy.outside({"params": 1e10, "tokens": 2e10}) == {"params": pytest.approx(100 / 3), "tokens": 1}
    with pytest.raises(SeedbedError, match="params 1e"):
        noisy.forecast({"params": 1e10, "tokens": 2e10})
    narrow = chain(second=Sigmoid(n_bootstrap=0, max_extrapolation=1)).fit(arrow.table(runs()))
    with pytest.raises(SeedbedError, match=r"loss .* beyond the runs"):
        narrow.forecast({"params": 3e9, "tokens": 2e11})


def test_errors_name_the_step():
    table = {name: values[:5] for name, values in losses.runs().items()}
    with pytest.raises(SeedbedError, match=r"the first step, chinchilla"):
        chain().fit(arrow.table(table))
    with pytest.raises(SeedbedError, match=r"no column 'accuracy' \(the second step, sigmoid\)"):
        chain().fit(arrow.table(losses.runs()))
    with pytest.raises(RecipeError, match=r"levels 0\.95 and 0\.5"):
        chain(second=Sigmoid(n_bootstrap=0, level=0.5)).fit(arrow.table(runs()))
