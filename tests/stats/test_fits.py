import numpy as np
import pytest
from scipy import special

from seedbed.stats.fits import condition_number, descend_together, huber, minimise


def test_huber_agrees_with_scipy_and_its_slope_is_its_derivative():
    r = np.linspace(-0.01, 0.01, 41)
    value, slope = huber(r, 1e-3)
    assert np.allclose(value, special.huber(1e-3, r), atol=1e-15)
    step = 1e-8
    numeric = (special.huber(1e-3, r + step) - special.huber(1e-3, r - step)) / (2 * step)
    assert np.allclose(slope, numeric, atol=2e-8)


def two_wells(p):
    x, y = p
    return float((x * x - 1) ** 2 + 0.3 * x + y * y), np.array([4 * x * (x * x - 1) + 0.3, 2 * y])


def test_many_starts_find_the_deeper_well_that_one_start_misses():
    bounds = [(-3.0, 3.0), (-3.0, 3.0)]
    starts = [np.array([x, 0.0]) for x in (1.0, 0.9, -1.2)]
    assert minimise(two_wells, starts[:1], bounds).params_P[0] > 0.9
    fit = minimise(two_wells, starts, bounds)
    assert fit.params_P == pytest.approx([-1.0356, 0], abs=1e-3)
    assert (fit.n_starts, fit.n_agree) == (3, 1)
    assert not fit.at_bound_P.any()


def test_a_parameter_on_its_bound_is_reported():
    fit = minimise(two_wells, [np.array([-2.0, 1.0])], [(-3.0, 3.0), (0.5, 3.0)])
    assert fit.at_bound_P.tolist() == [False, True]


def test_condition_number_of_known_matrices():
    assert condition_number(np.diag([8.0, 2.0])) == pytest.approx(4)
    assert condition_number(np.array([[1.0, 1.0], [1.0, 1.0]])) > 1e15


def test_no_start_is_an_error():
    with pytest.raises(ValueError, match="start"):
        minimise(two_wells, [], [])


def bent(params_RP, x):
    """(a exp(-b x), jacobian) of R pairs (a, b)."""
    a, b = params_RP.T[:, :, None]
    shape = np.exp(-b * x)
    return a * shape, np.stack([shape, -a * x * shape], axis=2)


def test_refits_go_down_together_to_where_each_goes_alone():
    rng, x, delta, bounds = np.random.default_rng(0), np.linspace(0, 3, 25), 0.02, [(0.0, 5.0), (0.0, 2.0)]
    truth = np.column_stack([rng.uniform(1, 3, 12), rng.uniform(0.3, 1.5, 12)])
    observed = bent(truth, x)[0] + 0.05 * rng.standard_t(3, (12, 25))
    start = np.tile([1.0, 0.5], (12, 1))
    together = descend_together(lambda p: bent(p, x), start, observed, delta, bounds)
    for i in range(12):

        def objective(p, i=i):
            predicted, jacobian = bent(p[None], x)
            value, slope = huber(predicted[0] - observed[i], delta)
            return value.sum(), slope @ jacobian[0]

        alone = minimise(objective, [start[i]], bounds)
        assert objective(together[i])[0] == pytest.approx(alone.objective, rel=1e-4)
        assert together[i] == pytest.approx(alone.params_P, abs=1e-3)
        assert descend_together(lambda p: bent(p, x), start[:1], observed[i : i + 1], delta, bounds) == pytest.approx(
            together[i : i + 1], abs=1e-6
        )


def test_refits_stay_within_their_bounds():
    x = np.linspace(0, 3, 25)
    observed, bounds = bent(np.array([[2.0, 1.0]]), x)[0], [(0.0, 5.0), (0.0, 0.4)]
    found = descend_together(lambda p: bent(p, x), np.array([[1.0, 0.2]]), observed, 10.0, bounds)
    assert found[0, 1] == 0.4
    factor = bent(np.array([[1.0, 0.4]]), x)[0][0]
    assert found[0, 0] == pytest.approx(factor @ observed[0] / (factor @ factor), rel=1e-6)
