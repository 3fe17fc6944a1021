import dataclasses
import itertools

import numpy as np
import pytest

from seedbed.core.errors import SeedbedError
from seedbed.select.mixers.merge_proxy import MergeProxy
from seedbed.select.mixing import Domains, Seen, Trials

DOMAINS = Domains(("a", "b", "c", "d"), np.array([10, 20, 30, 40]), ("s", "t"), np.array([0.25, 0.75]))
AIMS = np.array([[1.0, 0.0], [0.0, 1.0]])
WEIGHTS = np.array([[3.0, 0.0], [0.0, 2.0], [0.6, 0.9], [-4.0, -4.0]])
"""A model is a point, its loss on a target is half the squared distance: averages of points are models too."""
METHOD = MergeProxy(trial_tokens=100, start_tokens=50, start_domains=("a", "b"), checks=3, candidates=64)


def loss(weights):
    """loss_ME"""
    return 1.0 + 0.5 * ((np.atleast_2d(weights)[:, None, :] - AIMS) ** 2).sum(axis=2)


def seen(method=METHOD, weights=WEIGHTS):
    trials = method.trials(DOMAINS, 0)
    shares = np.array([trial.shares for trial in trials])
    points = shares @ weights  # training on a union of quadratic losses ends at the mean: a closed form
    given = Trials(shares, np.array([t.tokens for t in trials]), np.ones(len(trials), np.int64), loss(points))
    return Seen(trials=given, merged=lambda share_MR: loss(share_MR @ points))


def test_it_asks_for_a_model_a_domain_from_one_start():
    trials = METHOD.trials(DOMAINS, 7)
    ones = np.array([trial.shares for trial in trials[:4]])
    assert (ones == np.eye(4)).all()
    assert {(t.tokens, t.seed) for t in trials[:4]} == {(100, 0)}
    [start] = {trial.init for trial in trials}
    assert start.shares == (0.5, 0.5, 0, 0)
    assert start.tokens == 50
    pairs = trials[4:]
    assert {t.tokens for t in pairs} == {200}
    assert all(sorted(t.shares) == [0, 0, 0.5, 0.5] for t in pairs)
    assert {t.init for t in dataclasses.replace(METHOD, start_tokens=0).trials(DOMAINS, 0)} == {None}


def test_a_new_domain_adds_one_trial_and_changes_none():
    more = Domains(("a", "b", "c", "d", "e"), np.arange(1, 6) * 10, DOMAINS.targets, DOMAINS.target_E)
    method = dataclasses.replace(METHOD, checks=0)
    before, after = method.trials(DOMAINS, 0), method.trials(more, 0)
    assert [t.shares[:4] for t in after[:4]] == [t.shares for t in before]
    assert after[4].shares == (0, 0, 0, 0, 1)
    assert len(after) == 5


def test_takes_the_set_with_the_lowest_average_as_brute_force_does():
    found = METHOD.mixture(DOMAINS, seen(), 0)
    best, shares = np.inf, None
    for size in range(1, 5):
        for chosen in itertools.combinations(range(4), size):
            point = WEIGHTS[list(chosen)].mean(axis=0)
            value = float(loss(point)[0] @ DOMAINS.target_E)
            if value < best:
                best, shares = value, np.array([d in chosen for d in range(4)]) / size
    assert found.share_D == pytest.approx(shares)
    assert found.told["loss_of_the_average"] == pytest.approx(best)
    assert found.told["candidates"] == 15


def test_where_averages_are_models_they_foretell_training_and_means_of_losses_do_not():
    told = dataclasses.replace(METHOD, checks=6).mixture(DOMAINS, seen(dataclasses.replace(METHOD, checks=6)), 0).told
    assert told["checked"] == 6
    assert told["heldout_error"] == pytest.approx(0, abs=1e-12)
    assert told["pearson_trained"] == pytest.approx(1)
    assert told["heldout_error_mean_of_losses"] > 0.5
    assert told["pearson_trained_mean_of_losses"] < 0.999
    points = np.array([WEIGHTS[[i, j]].mean(axis=0) for i, j in itertools.combinations(range(4), 2)])
    single = loss(WEIGHTS) @ DOMAINS.target_E
    means = np.array([single[[i, j]].mean() for i, j in itertools.combinations(range(4), 2)])
    assert told["heldout_error_mean_of_losses"] == pytest.approx(np.abs(means - loss(points) @ DOMAINS.target_E).mean())


def test_weighted_averages_and_fewer_candidates():
    method = dataclasses.replace(METHOD, weighted=300, candidates=6, most_domains=2, checks=0)
    found = method.mixture(DOMAINS, seen(method), 1)
    assert found.told["candidates"] == 306
    plain = dataclasses.replace(method, weighted=0).mixture(DOMAINS, seen(method), 1)
    assert found.told["loss_of_the_average"] < plain.told["loss_of_the_average"]
    assert (plain.share_D > 0).sum() <= 2
    many = Domains(tuple(f"d{i}" for i in range(20)), np.ones(20, np.int64), DOMAINS.targets, DOMAINS.target_E)
    rows = MergeProxy(candidates=9)._candidates(len(many.names), 0)
    assert rows.shape == (9, 20)
    assert rows.sum(axis=1) == pytest.approx(1)


def test_what_cannot_be_meant():
    with pytest.raises(SeedbedError, match="start_domains names 'aa', which the pool lacks"):
        dataclasses.replace(METHOD, start_domains=("aa",)).trials(DOMAINS, 0)
    given = seen()
    given.trials.loss_RE[2, 0] = np.nan
    with pytest.raises(SeedbedError, match=r"trial 2, of .* has losses"):
        METHOD.mixture(DOMAINS, given, 0)
