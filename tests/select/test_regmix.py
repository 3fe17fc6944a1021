import sys

import numpy as np
import pytest

from seedbed.core.errors import SeedbedError
from seedbed.select.mixers.regmix import STEP, Regmix
from seedbed.select.mixing import Domains, Seen, Trials
from seedbed.stats.regression import regression

POOL = np.array([500, 1000, 2000, 4000, 8000, 16000])
DOMAINS = Domains(tuple("abcdef"), POOL, ("t",), np.ones(1), 10_000)
SLOPES = np.array([-1.5, -0.5, 0.8, 0.2, 1.0, 0.4])


def truth(shares):
    return 2 + 1.5 * np.exp(shares @ SLOPES)


def seen(method, noise=0.0, seed=0):
    shares = np.array([trial.shares for trial in method.trials(DOMAINS, seed)])
    loss = truth(shares) + noise * np.random.default_rng(9).normal(size=len(shares))
    n = len(shares)
    return Seen(trials=Trials(shares, np.full(n, 1000), np.full(n, 10), loss[:, None]))


def test_trials_are_those_of_the_sampler():
    method = Regmix(n_trials=400, max_ratio=15)
    trials = method.trials(DOMAINS, 0)
    shares = np.array([trial.shares for trial in trials])
    assert shares.shape == (400, 6)
    assert len(np.unique(shares, axis=0)) == 400
    assert shares.sum(axis=1) == pytest.approx(1, abs=1e-9)
    assert np.abs(shares / STEP - np.round(shares / STEP)).max() < 1e-6
    assert (shares <= np.minimum(15 * DOMAINS.share_D, 1) + STEP).all()
    prior = POOL**0.5 / (POOL**0.5).sum()
    unlimited = np.array([t.shares for t in Regmix(n_trials=3000, max_ratio=1e6).trials(DOMAINS, 1)])
    assert unlimited.mean(axis=0) == pytest.approx(prior, abs=0.03)
    assert (unlimited.max(axis=1) > 0.99).mean() > 0.02  # weak draws lie in corners
    assert (unlimited.min(axis=1) > 0.01).mean() > 0.02  # strong ones do not
    assert method.trials(DOMAINS, 0) == trials
    assert method.trials(DOMAINS, 1) != trials


@pytest.mark.parametrize(("n", "regressor", "least"), [(128, "lightgbm", 0.9), (24, "linear", 0.8)])
def test_finds_a_good_mixture_on_a_known_surface(n, regressor, least):
    method = Regmix(n_trials=n, regressor=regressor, simulated=20_000, trees=300, learning_rate=0.03)
    found = method.mixture(DOMAINS, seen(method), 0)
    assert found.share_D.sum() == pytest.approx(1)
    assert found.told["heldout_spearman"] > least
    assert truth(found.share_D) < truth(np.full(6, 1 / 6)) - 0.2
    assert truth(found.share_D) < truth(DOMAINS.share_D) - 0.2
    if regressor == "lightgbm":  # a plane promises what it cannot know
        assert found.told["expected_loss_share"] == pytest.approx(truth(found.share_D), abs=0.4)


def test_the_error_it_tells_is_that_on_trials_it_has_not_seen():
    method = Regmix(n_trials=60, regressor="linear", simulated=2000, folds=6)
    given = seen(method, noise=0.05)
    told = method.mixture(DOMAINS, given, 3).told
    shares, loss = given.trials.share_RD, given.trials.loss_RE[:, 0]
    fold = np.random.default_rng(3).permutation(60) % 6
    off = [
        regression("linear", shares[fold != f], loss[fold != f])(shares[fold == f]) - loss[fold == f] for f in range(6)
    ]
    assert told["heldout_error"] == pytest.approx(np.abs(np.concatenate(off)).mean())
    seen_error = np.abs(regression("linear", shares, loss)(shares) - loss).mean()
    assert told["heldout_error"] > seen_error


def test_the_result_does_not_depend_on_chance_but_the_seed():
    method = Regmix(n_trials=32, simulated=1000, trees=50)
    given = seen(method)
    first, again = (method.mixture(DOMAINS, given, 4) for _ in range(2))
    assert (first.share_D == again.share_D).all()
    assert first.told == again.told


def test_what_cannot_be_learned_from(monkeypatch):
    method = Regmix(n_trials=8, simulated=100)
    given = seen(method)
    given.trials.loss_RE[3] = np.nan
    with pytest.raises(SeedbedError, match=r"trial 3, of .* has losses"):
        method.mixture(DOMAINS, given, 0)
    few = Trials(*(getattr(seen(method).trials, name)[:5] for name in ("share_RD", "tokens_R", "params_R", "loss_RE")))
    with pytest.raises(SeedbedError, match="5 trials are too few"):
        method.mixture(DOMAINS, Seen(trials=few), 0)
    alone = Domains(("a",), np.array([10]), ("t",), np.ones(1))
    assert method.mixture(alone, given, 0).share_D.tolist() == [1.0]
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    with pytest.raises(SeedbedError, match=r"needs the library lightgbm.*seedbed\[mix\]"):
        method.identity()
    assert Regmix(regressor="linear").identity()["parameters"]["regressor"] == "linear"
