import numpy as np
import pytest
from scipy import optimize

from seedbed.core import arrow
from seedbed.predict.laws import kaplan
from seedbed.predict.laws.kaplan import PUBLISHED, Kaplan

Nc, Dc, ALPHA_N, ALPHA_D = PUBLISHED.values()


def law_loss(N, D):
    return ((Nc / N) ** (ALPHA_N / ALPHA_D) + Dc / D) ** ALPHA_D


def made_runs(noise=0.0):
    N, D = (grid.ravel() for grid in np.meshgrid([1e6, 1e7, 1e8, 1e9], [1e7, 1e8, 1e9, 1e10, 1e11]))
    loss = law_loss(N, D) * np.exp(noise * np.random.default_rng(0).standard_normal(len(N)))
    return {"params": N, "tokens": D, "loss": loss}


def fit(columns, **parameters):
    return Kaplan(**{"n_bootstrap": 0, **parameters}).fit(arrow.table(columns))


@pytest.fixture(scope="module")
def exact():
    return fit(made_runs(), max_extrapolation=1e6)


def test_exact_runs_give_the_published_law_back(exact):
    for name, published in PUBLISHED.items():
        assert exact.coefficients[name].value == pytest.approx(published, rel=1e-3)
    assert exact.predict({"params": 1e10, "tokens": 1e12}) == pytest.approx(law_loss(1e10, 1e12), rel=1e-6)
    assert exact.facts["starts_that_agree"] >= 0.2 * exact.facts["starts"]


def test_one_bottleneck_alone_is_a_power_law(exact):
    # equations 1.1 and 1.2, with the constants of 1.5
    assert exact.predict({"params": 1e6, "tokens": 1e40}) == pytest.approx((Nc / 1e6) ** ALPHA_N, rel=1e-5)
    assert exact.predict({"params": 1e60, "tokens": 1e9}) == pytest.approx((Dc / 1e9) ** ALPHA_D, rel=1e-5)


@pytest.mark.parametrize("N", [1e6, 1e8, 1e10])
def test_the_papers_rule_for_enough_data_follows(exact, N):
    # equation 4.4: D of 5e3 N^0.74 keeps the excess over L(N) near 2 percent; the paper rounds both numbers
    excess = exact.predict({"params": N, "tokens": 5e3 * N**0.74}) / exact.predict({"params": N, "tokens": 1e40}) - 1
    assert excess == pytest.approx(0.02, abs=0.002)
    tokens = Dc / (1.02 ** (1 / ALPHA_D) - 1) * (N / Nc) ** (ALPHA_N / ALPHA_D)
    assert law_loss(N, tokens) / (Nc / N) ** ALPHA_N == pytest.approx(1.02, rel=1e-9)


def test_the_best_size_grows_with_compute_as_the_docstring_says(exact):
    def best(flops):
        found = optimize.minimize_scalar(
            lambda n: exact.predict({"params": np.exp(n), "tokens": flops / 6 / np.exp(n)}), bounds=(5, 40),
            options={"xatol": 1e-8},
        )  # fmt: skip
        return found.x

    exponent = (best(1e22) - best(1e18)) / np.log(1e4)
    assert exponent == pytest.approx(ALPHA_D / (ALPHA_N + ALPHA_D), abs=1e-3)


def test_the_gradient_is_the_finite_difference():
    points = {"params": np.array([-2.0, 0.0, 1.5, 3.0]), "tokens": np.array([1.0, -1.0, 0.3, 4.0])}
    for params in ([0.1, -0.3, 0.08, 0.1], [-0.5, 0.2, 0.7, 0.05], [-1.0, -6.0, 0.0, 2.0]):
        jacobian = kaplan.value(np.array(params), points)[1]
        for i, step in enumerate(np.eye(4) * 1e-6):
            up, down = (kaplan.value(np.array(params) + s, points)[0] for s in (step, -step))
            assert np.allclose((up - down) / 2e-6, jacobian[:, i], rtol=1e-6, atol=1e-8)


def test_constants_can_be_held_and_an_offset_found():
    runs = made_runs()
    held = fit(runs, fix={"alpha_N": ALPHA_N, "alpha_D": ALPHA_D})
    assert held.coefficients["Nc"].value == pytest.approx(Nc, rel=1e-4)
    lifted = fit({**runs, "loss": runs["loss"] + 1.7}, offset=True)
    assert lifted.coefficients["offset"].value == pytest.approx(1.7, rel=0.02)
    assert lifted.predict({"params": 1e10, "tokens": 1e12}) == pytest.approx(law_loss(1e10, 1e12) + 1.7, rel=1e-3)
