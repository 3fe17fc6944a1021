import json

import numpy as np
import pytest

from seedbed.core import arrow
from seedbed.core.errors import SeedbedError
from seedbed.predict.contract import Allocates
from seedbed.predict.laws.chinchilla_envelope import ChinchillaEnvelope

A, B, E, ALPHA, BETA = 406.4, 410.7, 1.6934, 0.3392, 0.2849
EXPONENT = BETA / (ALPHA + BETA)


def best(flops):
    return (ALPHA * A / (BETA * B)) ** (1 / (ALPHA + BETA)) * (flops / 6) ** EXPONENT


def made(n_sizes=40, n_points=60, noise=0.0):
    """Points along the training of sizes from 20M to 20B parameters, from 1 to 400 tokens a parameter."""
    params, ratio = np.meshgrid(np.geomspace(2e7, 2e10, n_sizes), np.geomspace(1, 400, n_points), indexing="ij")
    params, tokens = params.ravel(), (params * ratio).ravel()
    loss = (E + A / params**ALPHA + B / tokens**BETA) * np.exp(
        noise * np.random.default_rng(0).standard_normal(len(params))
    )
    return {"params": params, "tokens": tokens, "loss": loss}


def fit(columns, **parameters):
    return ChinchillaEnvelope(**{"n_bootstrap": 0, **parameters}).fit(arrow.table(columns))


@pytest.fixture(scope="module")
def exact():
    return fit(made())


def test_the_exponent_of_a_known_law_comes_back_from_its_curves(exact):
    assert exact.coefficients["a"].value == pytest.approx(EXPONENT, abs=0.005)
    assert exact.coefficients["b"].value == pytest.approx(1 - EXPONENT, abs=0.005)
    for flops in (1e19, 1e21):
        assert exact.forecast({"flops": flops}).value == pytest.approx(best(flops), rel=0.05)
        told = exact.optimum(flops)
        assert 6 * told["params"].value * told["tokens"].value == pytest.approx(flops, rel=1e-6)
    assert exact.warnings == ()
    assert isinstance(exact, Allocates)


def test_each_best_point_is_the_lowest_of_all_sizes(exact):
    sizes = np.geomspace(2e7, 2e10, 40)
    for i in range(0, len(exact.flops), 97):
        tokens = exact.flops[i] / 6 / sizes
        reached = (tokens >= sizes) & (tokens <= 400 * sizes)
        loss = np.where(reached, E + A / sizes**ALPHA + B / tokens**BETA, np.inf)
        assert (
            abs(np.argmin(loss) - np.argmin(np.abs(sizes - exact.params[i]))) <= 1
        )  # curves are linear between points
        assert sizes[reached][0] < exact.params[i] < sizes[reached][-1]


def test_intervals_hold_the_exponent_and_rows_may_come_in_any_order():
    columns = made(n_sizes=15, n_points=25)
    found = fit(columns, n_bootstrap=60)
    assert found.coefficients["a"].low - 0.01 < EXPONENT < found.coefficients["a"].high + 0.01
    order = np.random.default_rng(1).permutation(len(columns["loss"]))
    again = fit({name: values[order] for name, values in columns.items()}, n_bootstrap=60)
    assert again.to_json() == found.to_json()
    stored = ChinchillaEnvelope().load(json.loads(json.dumps(found.to_json(), allow_nan=False)))
    assert stored.forecast({"flops": 1e22}) == found.forecast({"flops": 1e22})


def test_any_unit_gives_the_same_optimum(exact):
    columns = made()
    other = fit({"params": columns["params"] / 1e6, "tokens": columns["tokens"] / 1e9, "loss": columns["loss"] * 3})
    assert other.forecast({"flops": 1e5}).value * 1e6 == pytest.approx(exact.forecast({"flops": 1e20}).value, rel=1e-3)


def test_too_few_sizes_are_refused_and_few_are_told():
    assert any("only 4 sizes" in warning for warning in fit(made(n_sizes=6)).warnings)
    with pytest.raises(SeedbedError, match="2 sizes have 2 points"):
        fit(made(n_sizes=2))
    with pytest.raises(SeedbedError, match="0 sizes have 2 points"):
        fit(made(n_points=1))
    columns = made()
    columns["loss"] = E + A / columns["params"] ** ALPHA  # the largest always wins
    with pytest.raises(SeedbedError, match="0 sizes are the best of smaller and larger ones"):
        fit(columns)
    with pytest.raises(SeedbedError, match="times beyond the runs"):
        fit(made()).forecast({"flops": 1e27})
