"""Schedules: values worked out by hand, continuity, and the properties that make WSD and Power worth having."""

import itertools
import math

import numpy as np
import pytest

from seedbed.core.errors import RecipeError
from seedbed.train.contract import Progress
from seedbed.train.schedules.constant import Constant
from seedbed.train.schedules.cosine import Cosine
from seedbed.train.schedules.linear import Linear
from seedbed.train.schedules.power import Power
from seedbed.train.schedules.warmup_stable_decay import WarmupStableDecay

WSD = WarmupStableDecay(warmup_fraction=0.1, decay_fraction=0.2)
SIZE = 100_000
AT_SCALE = {"batch_sequences": 1024, "batch_tokens": 1024 * 2048, "learning_rate": 0.02}


def at(tokens, total, **batch):
    return Progress(tokens, total, **batch)


def values(schedule, points, total, **batch):
    return [schedule.value(at(t, total, **batch)) for t in points]


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [(0, 0.0), (50, 0.5), (100, 1.0), (500, 1.0), (800, 1.0), (850, 0.5), (818, 0.7), (912.5, 0.25), (1000, 0.0)],
)
def test_one_minus_sqrt_by_hand(tokens, expected):
    assert WSD.value(at(tokens, 1000)) == pytest.approx(expected)


def test_other_decays_by_hand():
    linear = WarmupStableDecay(decay_fraction=0.5, kind="linear")
    assert values(linear, (500, 750, 1000), 1000) == pytest.approx([1.0, 0.5, 0.0])
    exponential = WarmupStableDecay(decay_fraction=0.5, kind="exponential", exponential_floor=0.01)
    assert values(exponential, (500, 750, 1000), 1000) == pytest.approx([1.0, 0.1, 0.01])
    raised = WarmupStableDecay(decay_fraction=0.5, kind="linear", floor=0.2)
    assert values(raised, (500, 750, 1000), 1000) == pytest.approx([1.0, 0.6, 0.2])
    assert values(WarmupStableDecay(decay_tokens=400, floor=0.2), (600, 700, 1000), 1000) == pytest.approx(
        [1, 0.6, 0.2]
    )


def test_cosine_linear_and_constant_by_hand():
    points = (0, 50, 100, 325, 550, 1000)
    by_hand = [0.0, 0.5, 1.0, 0.55 + 0.45 * math.sqrt(0.5), 0.55, 0.1]
    assert values(Cosine(warmup_tokens=100), points, 1000) == pytest.approx(by_hand)
    assert values(Linear(warmup_fraction=0.1), points, 1000) == pytest.approx([0.0, 0.5, 1.0, 0.75, 0.5, 0.0])
    assert Linear(floor=0.25).value(at(1000, 1000)) == pytest.approx(0.25)
    assert values(Constant(warmup_fraction=0.1), points, 1000) == pytest.approx([0.0, 0.5, 1.0, 1.0, 1.0, 1.0])


def test_power_gives_the_figures_of_its_papers_setting():
    # a = 4.6, batch 1024: at the cap of 0.02 up to 10 B tokens, 0.0116 at 100 B, 0.0036 at 1 T
    bare = Power(warmup_fraction=0.0, decay_fraction=0.0)
    rates = [0.02 * value for value in values(bare, (10**9, 10**10, 10**11, 10**12), 10**13, **AT_SCALE)]
    assert rates == pytest.approx([0.02, 0.02, 0.0116, 0.0036], rel=0.01)
    four = Power(a=4.0, warmup_fraction=0.0, decay_fraction=0.0)
    assert 0.02 * four.value(at(10**12, 10**13, **AT_SCALE)) == pytest.approx(1024 * 4 * 10 ** (-0.51 * 12))


def test_power_by_hand():
    # eta = min(1, 10 n^-0.5): warm-up to 0.5 at 400 tokens, 0.4 at 625, decay from 1/3 at 900
    power = Power(a=5.0, b=-0.5, warmup_tokens=400, decay_tokens=100, kind="linear")
    points = (0, 200, 400, 625, 900, 950, 1000)
    expected = [0.0, 0.25, 0.5, 0.4, 1 / 3, 1 / 6, 0.0]
    assert values(power, points, 1000, batch_sequences=2) == pytest.approx(expected)
    steep = Power(a=5.0, b=-0.5, warmup_tokens=400, decay_tokens=100, exponential_floor=0.01)
    assert steep.value(at(950, 1000, batch_sequences=2)) == pytest.approx(1 / 30)
    assert Power(warmup_fraction=0.0).value(at(0, 1000)) == 1.0


@pytest.mark.parametrize("batch", [1, 3, 64])
def test_power_over_batch_depends_on_the_tokens_alone(batch):
    power = Power(a=0.5, warmup_tokens=2048, decay_fraction=0.0)
    for sequences in (7, 80, 4000):  # batch x steps: the same tokens, however they are cut into steps
        tokens = 64 * sequences
        alone = power.value(at(tokens, 10**6, batch_sequences=1, learning_rate=100.0))
        assert power.value(at(tokens, 10**6, batch_sequences=batch, learning_rate=100.0)) / batch == pytest.approx(
            alone
        )


TRUNKS = [
    Constant(warmup_tokens=100),
    WarmupStableDecay(warmup_tokens=100, decay_fraction=0.2),
    WarmupStableDecay(warmup_tokens=100, decay_tokens=200, kind="linear", floor=0.1),
    Power(a=0.5, warmup_tokens=100, decay_fraction=0.2),
    Power(a=0.5, warmup_tokens=100, decay_tokens=200),
]


@pytest.mark.parametrize("schedule", TRUNKS)
def test_before_the_decay_the_rate_does_not_know_how_long_training_will_be(schedule):
    points = range(0, 801, 7)
    assert values(schedule, points, 1000) == values(schedule, points, 50_000)
    if not isinstance(schedule, Constant):
        assert schedule.value(at(900, 1000)) < schedule.value(at(900, 50_000))


@pytest.mark.parametrize("schedule", [Cosine(warmup_tokens=100), Linear(warmup_tokens=100)])
def test_cosine_and_linear_do_know_after_the_warm_up(schedule):
    assert values(schedule, (0, 50, 99), 1000) == values(schedule, (0, 50, 99), 50_000)
    assert schedule.value(at(500, 1000)) < schedule.value(at(500, 50_000))


@pytest.mark.parametrize("decay_tokens", [1, 300, 640, 1000, 12_345])
@pytest.mark.parametrize("kind", [WarmupStableDecay, Power])
def test_a_branch_now_has_the_same_past_whatever_the_batch(decay_tokens, kind):
    schedule = kind(warmup_tokens=500, decay_tokens=decay_tokens)
    for batch in (64, 96):
        now, long = 40 * batch, 9000 * batch
        total = (now + decay_tokens) // batch * batch  # a plan trains whole batches
        middles = [step * batch + batch // 2 for step in range(40)]
        cut = {"batch_sequences": batch // 32, "batch_tokens": batch}
        assert values(schedule, middles, total, **cut) == values(schedule, middles, long, **cut)
        after = values(schedule, range(now + batch // 2, total, batch), total, **cut)
        before = schedule.value(at(now, long, **cut))
        assert all(one < before for one in after)
        assert len(after) == decay_tokens // batch


@pytest.mark.parametrize(
    ("schedule", "steepest"),
    [
        (Constant(warmup_fraction=0.1), 1.01e-3),
        (Linear(warmup_fraction=0.1), 1.01e-3),
        (Cosine(warmup_fraction=0.1), 1.01e-3),
        (WarmupStableDecay(warmup_fraction=0.1), 0.025),  # the root is vertical where it begins
        (WarmupStableDecay(warmup_fraction=0.1, kind="linear"), 1.01e-3),
        (WarmupStableDecay(warmup_fraction=0.1, kind="exponential"), 2.5e-3),
        (Power(a=200.0, warmup_fraction=0.1), 5e-3),
        (Power(a=200.0, warmup_fraction=0.1, kind="linear"), 1.01e-3),
    ],
)
def test_no_jump_anywhere_and_up_then_down(schedule, steepest):
    found = values(schedule, range(0, SIZE + 1, 10), SIZE)
    assert max(abs(a - b) for a, b in itertools.pairwise(found)) < steepest
    assert found == sorted(found[:1001]) + found[1001:]
    assert found[1000:] == sorted(found[1000:], reverse=True)
    assert 0.0 <= min(found) <= max(found) <= 1.0


def test_power_is_capped_at_the_peak_whatever_the_batch():
    rng = np.random.default_rng(0)
    for batch, tokens in zip(rng.integers(1, 10**6, 50), rng.integers(0, 10**12, 50), strict=True):
        place = at(int(tokens), 10**12, batch_sequences=int(batch), learning_rate=1e-3)
        assert 0 < Power().value(place) <= 1


@pytest.mark.parametrize("kind", [WarmupStableDecay, Power])
def test_overlap_is_an_error(kind):
    with pytest.raises(RecipeError, match="decay_fraction"):
        kind(warmup_fraction=0.95, decay_fraction=0.2)
    with pytest.raises(RecipeError, match="warmup_tokens"):
        kind(warmup_tokens=950).value(at(0, 1000))
    with pytest.raises(RecipeError, match="decay_tokens"):
        kind(decay_tokens=990).value(at(0, 1000))


@pytest.mark.parametrize("kind", [Constant, Linear, Cosine])
def test_a_warm_up_longer_than_training_is_an_error(kind):
    with pytest.raises(RecipeError, match="warmup_tokens"):
        kind(warmup_tokens=1001).value(at(0, 1000))
    assert kind(warmup_tokens=1000).value(at(1000, 1000)) == 1.0


@pytest.mark.parametrize("schedule", [WSD, Constant(), Linear(), Cosine(), Power(a=0.5)])
def test_ends_are_held(schedule):
    assert schedule.value(at(-5, 1000)) == schedule.value(at(0, 1000))
    assert schedule.value(at(2000, 1000)) == schedule.value(at(1000, 1000))
