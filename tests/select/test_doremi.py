"""DoReMi: one step by hand, and on planted domains: noise gains weight only where nothing is subtracted."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from seedbed.core.errors import SeedbedError
from seedbed.model.runtime import Runtime
from seedbed.model.shape import ModelShape
from seedbed.select.mixers.doremi import Doremi
from seedbed.select.mixing import Domains, Seen, StepSeen
from seedbed.train.domain_proxy import ProxyPlan, train_proxy
from seedbed.train.objectives.causal_lm import CausalLM
from seedbed.train.optimizers.adamw import AdamW
from seedbed.train.plan import Phase, TrainPlan
from seedbed.train.run import train
from seedbed.train.schedules.warmup_stable_decay import WarmupStableDecay
from seedbed.train.source import TokenSource
from tests.train.markov_language import END, VOCAB, documents, ids, shards, transitions

CONTEXT = 24
THREE = Domains(("a", "b", "c"), np.array([500, 300, 200]))


def seen(excess_D) -> StepSeen:
    nothing = np.full(len(excess_D), np.nan)
    return StepSeen(np.array(excess_D), nothing, nothing, nothing, 1e-3, 1e-3)


def test_two_steps_by_hand():
    run, law = Doremi(step_size=2.0, smoothing=0.1).proxy()
    assert (run.reference, run.gradients) == (True, False)
    assert law.first(THREE) == pytest.approx([1 / 3] * 3)
    weight_D = law.next(law.first(THREE), seen([0.0, np.log(2) / 2, np.log(3) / 2]))
    first = 0.9 * np.array([1, 2, 3]) / 6 + 0.1 / 3
    assert weight_D == pytest.approx(first)
    raised = first * [4, 1, 1]
    assert law.next(weight_D, seen([np.log(2), 0.0, np.nan])) == pytest.approx(0.9 * raised / raised.sum() + 0.1 / 3)


def test_the_shares_are_the_average_over_steps_on_the_simplex():
    rng = np.random.default_rng(0)
    law = Doremi(smoothing=0.03).proxy()[1]
    steps = [law.first(THREE)]
    for _ in range(200):
        steps.append(law.next(steps[-1], seen(rng.exponential([0.1, 1.0, 3.0]))))
    weight_SD = np.stack(steps[1:])
    mixture = Doremi().mixture(THREE, Seen(step_weight_SD=weight_SD), 0)
    assert mixture.share_D == pytest.approx(weight_SD.mean(0))
    assert mixture.share_D.sum() == pytest.approx(1)
    assert weight_SD.min() >= 0.01
    assert mixture.told["steps"] == 200
    assert not np.allclose(mixture.share_D, weight_SD[-1], atol=1e-3)
    with pytest.raises(SeedbedError, match=r"doremi: there is no step"):
        Doremi().mixture(THREE, Seen(), 0)


NAMES = ("easy", "rare", "noise")


def planted(seed: int = 0) -> dict[str, TokenSource]:
    """Easy: one sentence over and over. Rare: a language that can be learned. Noise: tokens drawn at random."""
    easy = 0.98 * np.roll(np.eye(VOCAB), 1, 1) + 0.02 * np.eye(VOCAB)[END]
    noise = np.full((VOCAB, VOCAB), 0.98 / VOCAB) + 0.02 * np.eye(VOCAB)[END]
    found = {}
    for salt, (name, matrix) in enumerate(zip(NAMES, (easy, transitions(5), noise), strict=True)):
        made = documents(120, 17 * seed + salt, matrix)
        found[name] = TokenSource(name, shards(made, ids(120, salt), [120]), np.ones(120), seed=seed, context=CONTEXT)
    return found


def plan(steps: int) -> TrainPlan:
    shape = ModelShape(VOCAB, d_model=16, n_layers=1, n_heads=2, context=CONTEXT)
    slots = {"objective": CausalLM(), "optimizer": AdamW(), "schedule": WarmupStableDecay()}
    return TrainPlan(shape, **slots, tokens=steps * 9 * CONTEXT, batch_sequences=9, learning_rate=1e-2)


SHARE = (0.6, 0.1, 0.3)
STEPS = 120


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """Trained as long, on the pool's own shares: it has seen little of what is rare."""
    mixed = dataclasses.replace(plan(STEPS), mixture=(Phase(dict(zip(NAMES, SHARE, strict=True))),))
    return train(mixed, planted(), seed=1, folder=tmp_path_factory.mktemp("reference"), runtime=Runtime()).model


def shares(method: Doremi, reference, folder: Path) -> dict[str, float]:
    run, law = method.proxy()
    domains = Domains(NAMES, np.array([6000, 1000, 3000]))
    asked = ProxyPlan(plan(STEPS), SHARE, tuple(law.first(domains)), run.sampling)

    def moved(weight_D, told):
        o = told.observed
        rates = (told.learning_rate, told.peak_learning_rate)
        return law.next(weight_D, StepSeen(o.excess_D, o.loss_D, o.alignment_D, o.norm_D, *rates))

    given = reference if run.reference else None
    result = train_proxy(asked, planted(), moved, seed=1, folder=folder, reference=given)
    mixture = method.mixture(domains, Seen(step_weight_SD=result.step_weight_SD), 0)
    return dict(zip(NAMES, mixture.share_D, strict=True))


def test_what_is_rare_and_can_be_learned_gains_and_noise_does_not(reference, tmp_path: Path):
    share = shares(Doremi(), reference, tmp_path)
    assert share["rare"] > 1.25 * SHARE[1]
    assert share["noise"] < 0.8 * SHARE[2]


def test_without_a_reference_noise_gains(reference, tmp_path: Path):
    share = shares(Doremi(reference=False), reference, tmp_path)
    assert share["noise"] > 0.8
