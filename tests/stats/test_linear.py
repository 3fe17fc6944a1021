import numpy as np
import pytest

from seedbed.stats.linear import LinearModel, fit_bradley_terry, fit_logistic, fit_ridge
from seedbed.text.features import Csr


def csr(dense):
    rows = [np.flatnonzero(row) for row in dense]
    indptr = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    index = np.concatenate(rows).astype(np.int32)
    value = np.concatenate([row[at] for row, at in zip(dense, rows, strict=True)]).astype(np.float32)
    return Csr(indptr, index, value, dense.shape[1])


@pytest.fixture
def dense():
    rng = np.random.default_rng(5)
    return np.where(rng.random((200, 12)) < 0.4, rng.normal(size=(200, 12)), 0.0).astype(np.float32)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def test_logistic_equals_scikit_learn(dense):
    linear_model = pytest.importorskip("sklearn.linear_model")
    rng = np.random.default_rng(0)
    weight = rng.random(200) + 0.1
    label = (rng.random(200) < sigmoid(dense @ rng.normal(size=12) - 0.5)).astype(float)
    l2 = 0.01
    reference = linear_model.LogisticRegression(C=1 / (l2 * weight.sum()), tol=1e-10, max_iter=10_000)
    reference.fit(dense.astype(float), label, sample_weight=weight)
    model = fit_logistic(csr(dense), label, weight_N=weight, l2=l2)
    assert model.weight == pytest.approx(reference.coef_[0], abs=1e-5)
    assert model.intercept == pytest.approx(reference.intercept_[0], abs=1e-5)
    assert model.predict(csr(dense)) == pytest.approx(reference.decision_function(dense.astype(float)), abs=1e-4)


def test_a_soft_label_is_both_labels_at_their_weights(dense):
    label = np.random.default_rng(1).random(200)
    soft = fit_logistic(csr(dense), label, l2=1e-3)
    both = csr(np.concatenate([dense, dense]))
    hard = fit_logistic(both, np.repeat([1.0, 0.0], 200), weight_N=np.concatenate([label, 1 - label]), l2=1e-3)
    assert soft.weight == pytest.approx(hard.weight, abs=1e-6)


def test_logistic_of_one_column_has_the_closed_form():
    x = csr(np.repeat([[1.0, 0.0], [0.0, 1.0]], 10, axis=0))
    model = fit_logistic(x, np.repeat([0.9, 0.2], 10), l2=0.0)
    assert model.predict(x)[[0, 10]] == pytest.approx(np.log([9, 0.25]), abs=1e-4)


@pytest.mark.parametrize("outputs", [1, 3])
def test_ridge_equals_the_normal_equations(dense, outputs):
    rng = np.random.default_rng(2)
    target, weight, l2 = rng.normal(size=(200, outputs)) + 7, rng.random(200), 0.03
    share = weight / weight.sum()
    wide = np.hstack([dense.astype(float), np.ones((200, 1))])
    penalty = l2 * np.diag([1.0] * 12 + [0.0])
    exact = np.linalg.solve(wide.T @ (share[:, None] * wide) + penalty, wide.T @ (share[:, None] * target))
    model = fit_ridge(csr(dense), target, weight_N=weight, l2=l2)
    assert model.weight == pytest.approx(exact[:-1], abs=1e-8)
    assert model.intercept == pytest.approx(exact[-1], abs=1e-8)
    assert model.predict(csr(dense)).shape == (200, outputs)
    alone = fit_ridge(csr(dense), target[:, 0], weight_N=weight, l2=l2)
    assert alone.predict(csr(dense)) == pytest.approx(model.predict(csr(dense))[:, 0], abs=1e-9)


def test_ridge_with_more_columns_than_rows_meets_its_optimum():
    rng = np.random.default_rng(3)
    dense = np.where(rng.random((40, 900)) < 0.05, 1.0, 0.0).astype(np.float32)
    target = rng.normal(size=40)
    model = fit_ridge(csr(dense), target, l2=1e-3)
    error = dense @ model.weight + model.intercept - target
    assert dense.T @ error / 40 + 1e-3 * model.weight == pytest.approx(np.zeros(900), abs=1e-7)
    assert error.mean() == pytest.approx(0, abs=1e-8)


def test_bradley_terry_of_two_items_is_the_log_odds():
    model = fit_bradley_terry(csr(np.eye(2)), np.array([0]), np.array([1]), np.array([0.8]), l2=1e-9)
    score = model.predict(csr(np.eye(2)))
    assert score[0] - score[1] == pytest.approx(np.log(4), abs=1e-3)


def test_bradley_terry_does_not_know_which_came_first_and_needs_no_zero(dense):
    rng = np.random.default_rng(4)
    first, second, p = rng.integers(0, 200, 500), rng.integers(0, 200, 500), rng.random(500)
    model = fit_bradley_terry(csr(dense), first, second, p)
    turned = fit_bradley_terry(csr(dense), second, first, 1 - p)
    assert model.weight == pytest.approx(turned.weight, abs=1e-6)
    assert model.intercept == 0
    shifted = np.hstack([dense, np.full((200, 1), 3.0, np.float32)])  # a constant added to every rating
    assert fit_bradley_terry(csr(shifted), first, second, p).weight == pytest.approx([*model.weight, 0.0], abs=1e-6)


def test_bradley_terry_finds_the_order_of_noisy_votes(dense):
    from scipy.stats import spearmanr

    rng = np.random.default_rng(6)
    truth = dense @ rng.normal(size=12)
    first, second = rng.integers(0, 200, 2000), rng.integers(0, 200, 2000)
    votes = rng.binomial(20, sigmoid(1.5 * (truth[first] - truth[second]))) / 20
    score = fit_bradley_terry(csr(dense), first, second, votes).predict(csr(dense))
    assert spearmanr(score, truth).statistic > 0.99


def test_fitting_repeats_to_the_bit_and_rows_are_blind_to_each_other(dense):
    label = np.linspace(0, 1, 200)
    models = [fit_logistic(csr(dense), label) for _ in range(2)]
    assert np.array_equal(models[0].weight, models[1].weight)
    together = models[0].predict(csr(dense))
    assert [models[0].predict(csr(dense[[i]]))[0] for i in range(200)] == together.tolist()
    assert models[0].predict(csr(np.zeros((1, 12))))[0] == models[0].intercept


def test_what_cannot_be_fitted_is_refused(dense):
    x = csr(dense)
    with pytest.raises(ValueError, match="each must be in"):
        fit_logistic(x, np.full(200, 1.5))
    with pytest.raises(ValueError, match="200 rows"):
        fit_logistic(x, np.zeros(3))
    with pytest.raises(ValueError, match="not all 0"):
        fit_logistic(x, np.zeros(200), weight_N=np.zeros(200))
    with pytest.raises(ValueError, match="finite"):
        fit_ridge(x, np.full(200, np.nan))
    with pytest.raises(ValueError, match="weights for 0 rows"):
        fit_bradley_terry(x, np.zeros(0, int), np.zeros(0, int), np.zeros(0))
    assert isinstance(fit_logistic(x, np.full(200, 0.5)), LinearModel)
