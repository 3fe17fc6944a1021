"""DoGE: one step by hand, a quadratic world in closed form, planted domains that help or hinder."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from seedbed.core.errors import RecipeError, SeedbedError
from seedbed.model.shape import ModelShape
from seedbed.select.mixers.doge import Doge
from seedbed.select.mixing import Domains, Seen, StepSeen
from seedbed.train.domain_proxy import ProxyPlan, train_proxy
from seedbed.train.objectives.causal_lm import CausalLM
from seedbed.train.optimizers.adamw import AdamW
from seedbed.train.plan import TrainPlan
from seedbed.train.schedules.constant import Constant
from seedbed.train.source import TokenSource
from tests.train.markov_language import VOCAB, documents, ids, shards, transitions

CONTEXT = 24


def domains(count: int, targets: tuple[str, ...] = ()) -> Domains:
    return Domains(
        tuple("abcdef"[:count]), np.full(count, 100), targets, np.full(len(targets), 1 / max(1, len(targets)))
    )


def seen(alignment_D, norm_D, rate: float = 1e-3) -> StepSeen:
    nothing = np.full(len(norm_D), np.nan)
    return StepSeen(nothing, nothing, np.asarray(alignment_D, float), np.asarray(norm_D, float), rate, 1e-3)


def softmax(x):
    return np.exp(x) / np.exp(x).sum()


def test_a_step_by_hand():
    run, law = Doge().proxy()
    assert (run.gradients, run.reference) == (True, False)
    weight_D = law.next(np.array([0.5, 0.3, 0.2]), seen([3.0, -2.0, 40.0], [1.0, 2.0, 3.0], rate=5e-3))
    # mean norm 2: 1.5, -1, 20, clipped to [0, 5], times the rate, over mu
    assert weight_D == pytest.approx(softmax(np.log([0.5, 0.3, 0.2]) + np.array([1.5, 0, 5]) * 5e-3 / 0.01), rel=1e-5)
    smooth = Doge(smoothing=0.3).proxy()[1]
    assert smooth.next(np.array([0.5, 0.5]), seen([1, 1], [1, 1])) == pytest.approx([0.5, 0.5])
    assert smooth.next(np.array([0.9, 0.1]), seen([1, 1], [1, 1])) == pytest.approx([0.78, 0.22])


def test_a_domain_that_is_not_there_keeps_its_place():
    law = Doge().proxy()[1]
    weight_D = law.next(np.full(3, 1 / 3), seen([2.0, np.nan, 0.0], [1.0, np.nan, 1.0]))
    assert weight_D == pytest.approx(softmax(np.array([2.0, 0, 0]) / (1 + 1e-6) * 0.1))
    nothing = np.full(3, np.nan)
    assert law.next(np.full(3, 1 / 3), seen(nothing, nothing)) == pytest.approx([1 / 3] * 3)


def quadratic(theta, centre_DK):
    """Domain losses |theta - centre|^2 / 2: gradients, and their alignments with the sum of all."""
    gradient_DK = theta - centre_DK
    return gradient_DK, gradient_DK @ gradient_DK.sum(0)


def test_on_a_quadratic_alignment_is_how_fast_the_losses_fall_and_self_can_be_left_out():
    rng = np.random.default_rng(2)
    theta, centre_DK = rng.normal(size=5), rng.normal(size=(4, 5))
    gradient_DK, alignment_D = quadratic(theta, centre_DK)

    def losses_D(at):
        return ((at - centre_DK) ** 2).sum(1) / 2

    for d in range(4):
        fall = (losses_D(theta + 1e-5 * gradient_DK[d]) - losses_D(theta - 1e-5 * gradient_DK[d])) / 2e-5
        assert alignment_D[d] == pytest.approx(fall.sum(), rel=1e-6)
    norm_D = np.linalg.norm(gradient_DK, axis=1)
    free = Doge(lowest=-1e9, highest=1e9)
    for include_self in (True, False):
        law = dataclasses.replace(free, include_self=include_self).proxy()[1]
        counted = alignment_D - (0 if include_self else (gradient_DK**2).sum(1))
        expected = softmax(counted / (norm_D.mean() + 1e-6) * 1e-3 / 0.01)
        assert law.next(np.full(4, 0.25), seen(alignment_D, norm_D)) == pytest.approx(expected)


def test_two_alike_stay_equal_and_one_that_opposes_loses():
    centre_DK = np.array([[1.0, 0], [1.0, 0], [-3.0, 0], [2.0, 1]])
    law, weight_D, theta = Doge().proxy()[1], np.full(4, 0.25), np.array([0.5, 0.5])
    for _ in range(200):
        gradient_DK, _ = quadratic(theta, centre_DK)
        target = theta - np.array([2.0, 0.5])
        weight_D = law.next(weight_D, seen(gradient_DK @ target, np.linalg.norm(gradient_DK, axis=1), rate=5e-3))
        theta = theta - 5e-3 * weight_D @ gradient_DK
    assert weight_D[0] == weight_D[1]
    assert weight_D.argmin() == 2
    assert weight_D[2] < 0.1


def source(name: str, salt: int, seed: int = 0) -> TokenSource:
    made = documents(120, 31 * seed + 1, transitions(salt))
    return TokenSource(name, shards(made, ids(120, salt + 50 * seed), [120]), np.ones(120), seed=seed, context=CONTEXT)


def learned(method: Doge, folder: Path) -> np.ndarray:
    """Shares of three languages towards a fourth, which is the second one in other words."""
    shape = ModelShape(VOCAB, d_model=16, n_layers=1, n_heads=2, context=CONTEXT)
    slots = {"objective": CausalLM(), "optimizer": AdamW(), "schedule": Constant()}
    steps = 60
    plan = TrainPlan(shape, **slots, tokens=steps * 9 * CONTEXT, batch_sequences=9, learning_rate=5e-3)
    about = domains(3, ("t",))
    law = method.proxy()[1]

    def moved(weight_D, told):
        o = told.observed
        rates = (told.learning_rate, told.peak_learning_rate)
        return law.next(weight_D, StepSeen(o.excess_D, o.loss_D, o.alignment_D, o.norm_D, *rates))

    asked = ProxyPlan(plan, (1 / 3,) * 3, tuple(law.first(about)), gradients=True)
    read = {name: source(name, salt) for salt, name in enumerate("abc")}
    result = train_proxy(asked, read, moved, seed=1, folder=folder, targets={"t": source("t", 1, seed=1)})
    return method.mixture(about, Seen(step_weight_SD=result.step_weight_SD), 0).share_D


def test_the_planted_helper_of_a_target_outside_the_pool_comes_first(tmp_path: Path):
    share_D = learned(Doge(), tmp_path)
    assert share_D.sum() == pytest.approx(1)
    assert share_D.argmax() == 1
    assert share_D[1] > 0.45


def test_what_cannot_be_meant_is_refused():
    with pytest.raises(SeedbedError, match="include_self"):
        Doge(include_self=False).proxy()[1].first(domains(3, ("t",)))
    assert Doge(include_self=False).proxy()[1].first(domains(2)) == pytest.approx([0.5, 0.5])
    with pytest.raises(RecipeError, match="lowest"):
        Doge(lowest=6.0)
    with pytest.raises(SeedbedError, match="weight of b is not finite at step 1"):
        Doge().mixture(domains(2), Seen(step_weight_SD=np.array([[1.0, np.nan]])), 0)
