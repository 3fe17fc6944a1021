"""Skill-it: the update against brute force, graphs from planted trials, and prerequisites that come before."""

import itertools

import numpy as np
import pytest
from scipy.optimize import minimize

from seedbed.core.errors import SeedbedError
from seedbed.select.mixers.skill_it import SkillIt
from seedbed.select.mixing import Domains, Seen, Trial, Trials

NAMES = ("a", "b", "c", "d")


def domains(targets: tuple[str, ...] = NAMES, tokens=(400, 300, 200, 100)) -> Domains:
    names = NAMES[: len(tokens)]
    return Domains(names, np.array(tokens), targets, np.full(len(targets), 1 / max(1, len(targets))))


def softmax(x):
    return np.exp(x - x.max()) / np.exp(x - x.max()).sum()


def trained(asked: list[Trial], loss_of) -> Trials:
    """The trials, with `loss_of(shares, tokens)` for losses."""
    share_RD = np.array([trial.shares for trial in asked])
    tokens_R = np.array([trial.tokens for trial in asked])
    loss_RE = np.array([loss_of(*row) for row in zip(share_RD, tokens_R, strict=True)])
    return Trials(share_RD, tokens_R, np.full(len(asked), 1000), loss_RE)


PREREQUISITES = np.array([[1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 1], [0, 0, 0, 1]])
"""Each teaches the next."""


def chained(share_D, tokens):
    """Losses of skills of which each is learned from itself, and faster beside the one before it."""
    if tokens < 100_000:
        return np.full(4, 3.0)
    own, before = share_D, np.concatenate([[0], share_D[:-1]])
    return 3.0 - 1.0 * np.sqrt(own) - 0.8 * (own > 0) * np.sqrt(before)


def seen_of(method: SkillIt, about: Domains, loss_of, rounds=None) -> Seen:
    return Seen(trained(list(method.trials(about, 0)), loss_of), None, None if rounds is None else np.array(rounds))


def graph_of(method: SkillIt, about: Domains, loss_of):
    return np.array(method.mixture(about, seen_of(method, about, loss_of), 0).told["graph"])


def test_trials_are_singles_and_a_start_or_singles_and_pairs():
    singles = SkillIt(trial_tokens=1600).trials(domains(), 5)
    assert [trial.shares for trial in singles[:4]] == [tuple(row) for row in np.eye(4).tolist()]
    assert singles[4] == Trial((0.4, 0.3, 0.2, 0.1), 100, 1.0, 5)
    pairs = SkillIt(graph="pairs").trials(domains(), 5)
    assert len(pairs) == 4 * 5 // 2 + 1
    assert pairs[-1].tokens == pairs[0].tokens // 16
    assert {tuple(np.flatnonzero(trial.shares)) for trial in pairs[4:-1]} == set(itertools.combinations(range(4), 2))
    assert all(sum(trial.shares) == 1 and trial.tokens == pairs[0].tokens for trial in pairs[:-1])


def test_pairs_find_the_prerequisites_and_nothing_else():
    graph_DE = graph_of(SkillIt(graph="pairs"), domains(), chained)
    expected = np.where(np.eye(4) > 0, 1.0, 0.5) * PREREQUISITES
    assert np.array_equal(graph_DE, expected)
    weighted = graph_of(SkillIt(graph="pairs", edges="weighted"), domains(), chained)
    half = np.sqrt(0.5)
    assert weighted[0, 1] == pytest.approx((2.0 - (3 - half - 0.8 * half)) / 3.0)
    swapped = graph_of(SkillIt(graph="pairs"), domains(targets=("d", "b")), lambda s, t: chained(s, t)[[3, 1]])
    assert np.array_equal(swapped, expected[:, [3, 1]])


def test_shares_as_whole_documents_round_them_name_the_same_pair():
    method, about = SkillIt(graph="pairs"), domains()
    exact = seen_of(method, about, chained)
    near = np.where(exact.trials.share_RD > 0, exact.trials.share_RD + 0.01 * np.arange(1, 5), 0)
    rounded = Trials(near / near.sum(1, keepdims=True), *(getattr(exact.trials, n) for n in ("tokens_R", "params_R")),
                     exact.trials.loss_RE)  # fmt: skip
    assert method.mixture(about, Seen(rounded), 0).told == method.mixture(about, exact, 0).told


def test_singles_compare_with_the_start_over_targets_outside_the_pool():
    drop_DE = np.array([[0.5, 0.0], [0.0, 0.2], [-0.1, 0.002], [0.0, 0.0]])

    def loss_of(share_D, tokens):
        return np.array([4.0, 2.0]) * (1 - (share_D @ drop_DE if tokens > 100 else 0))

    about = domains(targets=("x", "y"))
    graph_DE = graph_of(SkillIt(trial_tokens=1600, edges="weighted"), about, loss_of)
    assert graph_DE == pytest.approx(np.array([[0.5, 0], [0, 0.2], [0, 0], [0, 0]]))
    assert graph_of(SkillIt(trial_tokens=1600), about, loss_of) == pytest.approx(0.5 * (graph_DE > 0))
    with pytest.raises(SeedbedError, match="the target 'x' is none of them"):
        graph_of(SkillIt(graph="pairs"), about, loss_of)


def alone(share_D, tokens):
    """Nothing teaches anything else."""
    del tokens
    return 3.0 - np.sqrt(share_D)


def test_a_graph_without_edges_is_a_softmax_of_the_losses():
    method, about = SkillIt(graph="pairs", prior="pool", step_size=0.3, window=2), domains()
    rounds = [[9.0, 9, 9, 9], [3.0, 2, 1, 2], [1.0, 2, 2, 1]]
    seen = seen_of(method, about, alone, rounds)
    share_D = method.mixture(about, seen, 0).share_D
    expected = softmax(np.log([0.4, 0.3, 0.2, 0.1]) + 0.3 * np.array([4.0, 4, 3, 3]))  # the last two rounds alone
    assert share_D == pytest.approx(expected, abs=1e-12)
    mean = SkillIt(graph="pairs", prior="pool", step_size=0.6, window=2, over_window="mean")
    assert mean.mixture(about, seen, 0).share_D == pytest.approx(expected, abs=1e-12)


def test_the_first_round_goes_by_the_graph():
    method, about = SkillIt(graph="pairs"), domains()
    expected = softmax(0.5 * np.array([1.5, 1.5, 1.5, 1.0]))
    for rounds in (None, np.zeros((0, 4))):
        assert method.mixture(about, seen_of(method, about, chained, rounds), 0).share_D == pytest.approx(expected)


def test_it_is_what_brute_force_over_the_simplex_finds():
    method, about = SkillIt(graph="pairs", edges="weighted", prior="pool", min_gain=0.0), domains()
    seen = seen_of(method, about, chained, [[2.0, 1.5, 1, 3], [1.0, 1, 0.5, 3]])
    mixture = method.mixture(about, seen, 0)
    pull_D = np.array(mixture.told["graph"]) @ seen.round_loss_KE.sum(0)
    prior_D = about.share_D

    def loss(p):
        return -p @ pull_D + (p * np.log(p / prior_D)).sum() / method.step_size

    found = minimize(
        loss, np.full(4, 0.25), bounds=[(1e-9, 1)] * 4, constraints=[{"type": "eq", "fun": lambda p: p.sum() - 1}],
        method="SLSQP", options={"ftol": 1e-15, "maxiter": 500},
    )  # fmt: skip
    assert mixture.share_D == pytest.approx(found.x, abs=1e-5)
    assert loss(mixture.share_D) == pytest.approx(found.fun, abs=1e-6)


def test_names_of_domains_mean_nothing_and_a_constant_neither_where_all_teach_as_much():
    method = SkillIt(graph="pairs", prior="pool")
    order = np.array([2, 0, 3, 1])
    rounds = np.array([[2.0, 1.5, 1, 3]])
    about = domains()
    plain = method.mixture(about, seen_of(method, about, chained, rounds), 0).share_D
    moved = Domains(tuple(NAMES[i] for i in order), about.tokens_D[order], NAMES, about.target_E)

    def in_order(share_D, tokens):
        back = np.empty(4)
        back[order] = share_D
        return chained(back, tokens)

    assert method.mixture(moved, seen_of(method, moved, in_order, rounds), 0).share_D == pytest.approx(plain[order])
    shifted = method.mixture(about, seen_of(method, about, alone, rounds + 7), 0).share_D
    assert shifted == pytest.approx(method.mixture(about, seen_of(method, about, alone, rounds), 0).share_D)
    uneven = method.mixture(about, seen_of(method, about, chained, rounds + 7), 0).share_D
    assert not np.allclose(uneven, plain)


def simulated(choose, rounds: int = 400) -> int:
    """Rounds until the third skill is learned, which needs the second, which needs the first; the fourth is easy."""
    known = np.zeros(4)
    for count in range(rounds):
        share_D = choose(count, 3.0 * (1 - known))
        before = np.concatenate([[1.0], known[:2], [1.0]])
        known = known + (1 - known) * (1 - np.exp(-np.array([1.0, 0.2, 0.2, 5.0]) * share_D * before**2))
        if known[2] > 0.8:
            return count
    return rounds


def test_a_skill_that_needs_another_is_learned_in_fewer_rounds_than_with_even_shares():
    method, about = SkillIt(graph="pairs", step_size=0.2), domains()
    chain = np.array([True, True, True, False])  # c and d are neighbours in `chained`, and here they are not

    def loss_of(share_D, tokens):
        return np.where(chain, chained(share_D, tokens), 3.0 - np.sqrt(share_D[3]))

    seen = seen_of(method, about, loss_of)
    heard: list[np.ndarray] = []

    def online(count, loss_E):
        if count:
            heard.append(loss_E)
        given = Seen(seen.trials, None, np.array(heard) if heard else None)
        return method.mixture(about, given, 0).share_D

    even = simulated(lambda count, loss_E: np.full(4, 0.25))
    assert simulated(online) < 0.8 * even < 0.8 * 400


def test_without_trials_or_with_losses_that_are_no_number_it_says_so():
    method, about = SkillIt(graph="pairs"), domains()
    with pytest.raises(SeedbedError, match="no trials"):
        method.mixture(about, Seen(), 0)
    with pytest.raises(SeedbedError, match="loss of trial 0 on a is not finite"):
        method.mixture(about, seen_of(method, about, lambda s, t: np.full(4, np.nan)), 0)
    with pytest.raises(SeedbedError, match="loss on b is not finite"):
        method.mixture(about, seen_of(method, about, chained, [[1.0, np.inf, 1, 1]]), 0)
