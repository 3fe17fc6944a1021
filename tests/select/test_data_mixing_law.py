import numpy as np
import pytest
from scipy.optimize import approx_fprime

from seedbed.core.errors import SeedbedError
from seedbed.select.mixers.data_mixing_law import DataMixingLaw
from seedbed.select.mixing import Domains, Seen, Trials
from seedbed.stats.mixing_law import fitted, objective
from seedbed.stats.simplex import grid
from tests.released_mixtures import needs_truth, published

DOMAINS = Domains(("a", "b", "c"), np.array([1000, 2000, 3000]), ("s", "t"), np.array([0.6, 0.4]), 0)
T = np.array([[-2.0, -0.5, 0.8], [0.5, -1.5, 0.1]])
METHOD = DataMixingLaw(n_trials=24, starts=5, trial_tokens=100)


def truth(shares):
    """loss_RE"""
    return np.array([1.5, 2.0]) + np.array([0.8, 1.2]) * np.exp(shares @ T.T)


def seen(noise=0.0, method=METHOD):
    shares = np.array([trial.shares for trial in method.trials(DOMAINS, 0)])
    loss = truth(shares) + noise * np.random.default_rng(1).normal(size=(len(shares), 2))
    return Seen(trials=Trials(shares, np.full(len(shares), 100), np.full(len(shares), 10), loss))


def test_the_gradient_is_that_of_finite_differences():
    rng = np.random.default_rng(0)
    shares, loss = rng.dirichlet(np.ones(4), 20), 2 + rng.random(20) / 20
    for _ in range(5):
        params = rng.normal(size=6) * 0.3
        _, gradient = objective(shares, loss, 0.02, params)
        numeric = approx_fprime(params, lambda p: objective(shares, loss, 0.02, p)[0], 1e-7)
        assert np.abs(numeric - gradient).max() < 1e-5 * np.abs(gradient).max()


def test_foretells_held_out_mixtures_of_a_known_law():
    """K = 3, 24 mixtures, noise of 0.002: predictions are compared, since (k, t) are known up to a shift only."""
    given = seen(noise=0.002)
    law = fitted(given.trials.share_RD, given.trials.loss_RE[:, 0], starts=5)
    held = grid(3, 12)
    off = np.abs(law(held) - truth(held)[:, 0])
    assert off.mean() < 5 * 0.002
    assert law.t_D.mean() == pytest.approx(0, abs=1e-9)


def test_takes_the_lowest_mixture_there_is():
    found = METHOD.mixture(DOMAINS, seen(), 0)
    points = grid(3, 50)
    values = truth(points) @ DOMAINS.target_E
    mine = float(truth(found.share_D[None])[0] @ DOMAINS.target_E)
    assert mine <= values.min() + 1e-3
    assert found.share_D == pytest.approx(points[values.argmin()], abs=0.03)
    assert found.told["expected_loss_share"] == pytest.approx(mine, abs=1e-3)
    assert found.told["heldout_error"] < 1e-3
    assert found.told["heldout_r2"] > 0.999
    assert found.told["expected_loss_uniform"] == pytest.approx(
        float(truth(np.full((1, 3), 1 / 3))[0] @ DOMAINS.target_E), abs=1e-3
    )


def test_stays_under_what_the_pool_can_give():
    tight = Domains(DOMAINS.names, DOMAINS.tokens_D, DOMAINS.targets, DOMAINS.target_E, 4000)
    method = DataMixingLaw(n_trials=24, starts=5, max_epochs=1)
    found = method.mixture(tight, seen(), 0).share_D
    cap = np.array([0.25, 0.5, 0.75])
    assert (found <= cap + 1e-9).all()
    points = grid(3, 100)
    allowed = points[(points <= cap + 1e-9).all(axis=1)]
    best = (truth(allowed) @ DOMAINS.target_E).min()
    assert float(truth(found[None])[0] @ DOMAINS.target_E) <= best + 1e-3
    beyond = Domains(DOMAINS.names, DOMAINS.tokens_D, DOMAINS.targets, DOMAINS.target_E, 10**6)
    assert method.mixture(beyond, seen(), 0).share_D.sum() == pytest.approx(1)


def test_trials_are_spread_and_distinct():
    trials = METHOD.trials(DOMAINS, 0)
    shares = np.array([trial.shares for trial in trials])
    assert len(np.unique(shares, axis=0)) == len(trials) == 24
    assert shares.sum(axis=1) == pytest.approx(1)
    assert (shares.max(axis=0) > 0.8).all()
    assert (shares == 0).any(axis=0).all()
    assert METHOD.trials(DOMAINS, 0) == trials


@needs_truth
def test_fits_the_published_losses_of_two_domains():
    n = 0
    for size in ("70M", "160M"):
        for (step, _), losses in published(size).items():
            if step == 30_000 and len(losses) >= 5:
                first = np.array(sorted(losses))
                shares = np.column_stack([first, 1 - first])
                loss = np.array([losses[share] for share in first])
                assert np.abs(fitted(shares, loss, starts=6)(shares) - loss).max() <= 0.006
                n += 1
    assert n >= 4


@needs_truth
def test_foretells_what_the_published_fits_foretell():
    """160M at 30,000 steps: c + k exp(t r), r the share of the domain itself."""
    share = np.array([0.25, 0.375, 0.5, 0.625, 0.75])
    shares = np.column_stack([share, 1 - share])
    released = {
        "Pile-CC": ([3.3660, 3.2936, 3.2300, 3.1921, 3.1634], (3.0823, 0.5371, -2.536)),
        "Github": ([1.2130, 1.1553, 1.1066, 1.0762, 1.0412], (0.9242, 0.4500, -1.778)),
    }
    found = {domain: losses for (step, domain), losses in published("160M").items() if step == 30_000}
    for domain, (losses, (c, k, t)) in released.items():
        [name] = [name for name in found if name.lower() == domain.lower()]
        assert sorted(found[name].values(), reverse=True) == pytest.approx(losses, abs=6e-5)
        law = fitted(shares, np.array(losses), starts=6)
        assert law(shares) == pytest.approx(c + k * np.exp(t * share), abs=0.002)


def test_what_cannot_be_fitted():
    given = seen()
    few = Trials(*(getattr(given.trials, n)[:3] for n in ("share_RD", "tokens_R", "params_R", "loss_RE")))
    with pytest.raises(SeedbedError, match="3 trials for 3 domains are too few"):
        METHOD.mixture(DOMAINS, Seen(trials=few), 0)
    given.trials.loss_RE[2, 1] = 0.0
    with pytest.raises(SeedbedError, match="trial 2 has a loss of 0 or less"):
        METHOD.mixture(DOMAINS, given, 0)
    given.trials.loss_RE[2, 1] = np.inf
    with pytest.raises(SeedbedError, match="trial 2, of"):
        METHOD.mixture(DOMAINS, given, 0)
    alone = Domains(("a",), np.array([10]), ("t",), np.ones(1))
    assert METHOD.mixture(alone, given, 0).share_D.tolist() == [1.0]
