"""The product's inverse against dense solves, influence against refitting, and bandits against what they must do."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from seedbed.stats.bandit import Bandit
from seedbed.stats.kfac import Kronecker
from seedbed.stats.ranks import spearman


def square(n: int, rows: int) -> np.ndarray:
    rng = np.random.default_rng(4)
    x = rng.normal(size=(rows, n)) * rng.uniform(0.1, 3, n)
    return x.T @ x / rows


@pytest.mark.parametrize(("outputs", "inputs", "damping"), [(3, 5, 0.3), (1, 4, 1e-3), (6, 2, 10.0)])
def test_the_inverse_is_that_of_the_dense_product(outputs, inputs, damping):
    rng = np.random.default_rng(4)
    input_II, output_OO, vector = square(inputs, 40), square(outputs, 40), rng.normal(size=(outputs, inputs))
    dense = np.kron(output_OO, input_II) + damping * np.eye(outputs * inputs)
    wanted = np.linalg.solve(dense, vector.reshape(-1)).reshape(outputs, inputs)
    curvature = Kronecker.of(input_II, output_OO)
    assert curvature.solve(vector, damping) == pytest.approx(wanted, rel=1e-9, abs=1e-12)
    assert curvature.mean == pytest.approx(np.linalg.eigvalsh(np.kron(output_OO, input_II)).mean())


def test_the_product_is_the_exact_fisher_where_inputs_and_slopes_are_independent():
    """Pairs of every input with every slope: E[vec(d x^T) vec(d x^T)^T] is the product, to rounding."""
    rng = np.random.default_rng(4)
    x, d = rng.normal(size=(30, 4)), rng.normal(size=(20, 3))
    pairs = np.einsum("no,mi->nmoi", d, x).reshape(600, 12)
    fisher = pairs.T @ pairs / 600
    curvature = Kronecker.of(x.T @ x / 30, d.T @ d / 20)
    vector = rng.normal(size=(3, 4))
    wanted = np.linalg.solve(fisher + 0.05 * np.eye(12), vector.reshape(-1)).reshape(3, 4)
    assert curvature.solve(vector, 0.05) == pytest.approx(wanted, rel=1e-8)


def test_influence_on_a_ridge_regression_is_what_refitting_shows():
    """One output: outputs = 1, inputs = X^T X / n, damping = the penalty: the Hessian itself."""
    rng = np.random.default_rng(4)
    n, width, penalty = 300, 6, 0.1
    x, x_ref = rng.normal(size=(n, width)), rng.normal(size=(25, width))
    truth = rng.normal(size=width)
    y, y_ref = x @ truth + rng.normal(size=n), x_ref @ truth + rng.normal(size=25)

    def fitted(weight_N):
        hessian = (x * weight_N[:, None]).T @ x / n + penalty * np.eye(width)
        return np.linalg.solve(hessian, (x * weight_N[:, None]).T @ y / n)

    def loss(w):
        return 0.5 * np.mean((x_ref @ w - y_ref) ** 2)

    w = fitted(np.ones(n))
    by_ref = ((x_ref @ w - y_ref)[:, None] * x_ref).mean(0)
    by_document = (x @ w - y)[:, None] * x
    curvature = Kronecker.of(x.T @ x / n, np.ones((1, 1)))
    influence = -by_document @ curvature.solve(by_ref[None], penalty)[0]

    brute, without = np.zeros(n), np.zeros(n)
    for i in range(n):
        for sign in (1, -1):
            weight = np.ones(n)
            weight[i] += sign * 1e-4 * n
            brute[i] += sign * loss(fitted(weight)) / 2e-4
        weight = np.ones(n)
        weight[i] = 0
        without[i] = loss(fitted(weight)) - loss(w)
    assert np.corrcoef(influence, brute)[0, 1] > 0.9999
    assert np.abs(influence - brute).max() < 1e-3 * np.abs(brute).max()
    assert np.corrcoef(-influence / n, without)[0, 1] > 0.99


def test_a_singular_product_needs_damping_and_strange_factors_are_refused():
    curvature = Kronecker.of(np.diag([1.0, 0.0]), np.eye(2))
    with pytest.raises(ValueError, match="give more than 0"):
        curvature.solve(np.ones((2, 2)), 0.0)
    assert np.isfinite(curvature.solve(np.ones((2, 2)), 1e-6)).all()
    with pytest.raises(ValueError, match="symmetric and finite"):
        Kronecker.of(np.array([[1.0, 2.0], [0.0, 1.0]]), np.eye(2))


MEANS = np.array([0.0, 0.1, 0.3, 0.5])


def shares(alpha: float, seed: int, pulls: int = 400) -> np.ndarray:
    """Share of pulls of each of four arms with these mean rewards."""
    rng, bandit = np.random.default_rng(seed), Bandit(4, alpha=alpha)
    for _ in range(pulls):
        [arm] = bandit.best(1, np.ones(4, bool))
        bandit.tell(arm, np.array([MEANS[arm] + 0.2 * rng.normal()]))
    return bandit.pulls_K / pulls


def entropy(share: np.ndarray) -> float:
    return float(-(share[share > 0] * np.log(share[share > 0])).sum())


def test_alpha_spreads_the_pulls_and_without_it_the_best_is_kept():
    pulled = {alpha: np.array([shares(alpha, seed) for seed in range(12)]) for alpha in (0.0, 0.5, 2.0, 20.0)}
    entropies = [np.mean([entropy(share) for share in runs]) for runs in pulled.values()]
    assert entropies == sorted(entropies)
    assert entropies[-1] > 1.3, "a large alpha is near to uniform"
    assert (pulled[0.0].max(1) > 0.9).mean() > 0.5, "without one the first good arm is kept"
    assert pulled[0.5].mean(0).argmax() == 3
    for seed in range(5):
        assert (shares(0.0, seed, pulls=4) == 0.25).all(), "every arm is pulled once before any is twice"


def test_bounds_are_those_of_the_formula_and_arms_that_are_closed_are_left_out():
    bandit = Bandit(3, alpha=1.5)
    assert np.isinf(bandit.bounds()).all()
    bandit.tell(0, np.array([1.0, 3.0]))
    bandit.tell(1, np.array([0.0]))
    deviation = np.std([1.0, 3.0, 0.0])
    wanted = [2.0 + 1.5 * deviation * np.sqrt(np.log(3)), 1.5 * deviation * np.sqrt(2 * np.log(3)), np.inf]
    assert bandit.bounds() == pytest.approx(wanted)
    assert bandit.best(2, np.array([True, True, False])) == [0, 1]
    assert bandit.best(5, np.array([True, True, True])) == [2, 0, 1]
    with pytest.raises(ValueError, match="arm 2 is not finite"):
        bandit.tell(2, np.array([np.nan]))


def test_the_mean_forgets_at_the_rate_it_is_told():
    forgetting, plain = Bandit(1, alpha=0, decay=0.5), Bandit(1, alpha=0)
    for reward in (1.0, 0.0, 4.0):
        forgetting.tell(0, np.array([reward]))
        plain.tell(0, np.array([reward]))
    assert plain.mean_K[0] == pytest.approx(5 / 3)
    assert forgetting.mean_K[0] == pytest.approx((0.25 * 1 + 0.5 * 0 + 4) / 1.75)


def test_rank_correlation_is_scipys_and_of_ties_alone_it_is_nothing():
    rng = np.random.default_rng(4)
    a, b = rng.integers(0, 6, 50).astype(float), rng.normal(size=50)
    assert spearman(a, b) == pytest.approx(spearmanr(a, b).statistic)
    assert spearman(a, a) == pytest.approx(1)
    assert spearman(np.ones(5), np.arange(5.0)) == 0
    assert spearman(np.zeros(0), np.zeros(0)) == 0
    with pytest.raises(ValueError, match="3 and 2 entries"):
        spearman(np.ones(3), np.ones(2))
