"""Schedules: values worked out by hand, continuity, and the property that makes WSD worth having."""

import itertools

import pytest

from seedbed.core.errors import RecipeError
from seedbed.train.schedules.cosine import Cosine
from seedbed.train.schedules.warmup_stable_decay import WarmupStableDecay

WSD = WarmupStableDecay(warmup_fraction=0.1, decay_fraction=0.2)


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [(0, 0.0), (50, 0.5), (100, 1.0), (500, 1.0), (800, 1.0), (850, 0.5), (818, 0.7), (912.5, 0.25), (1000, 0.0)],
)
def test_one_minus_sqrt_by_hand(tokens, expected):
    assert WSD.value(tokens, 1000) == pytest.approx(expected)


def test_other_decays_by_hand():
    linear = WarmupStableDecay(decay_fraction=0.5, kind="linear")
    assert [linear.value(t, 1000) for t in (500, 750, 1000)] == pytest.approx([1.0, 0.5, 0.0])
    exponential = WarmupStableDecay(decay_fraction=0.5, kind="exponential", exponential_floor=0.01)
    assert [exponential.value(t, 1000) for t in (500, 750, 1000)] == pytest.approx([1.0, 0.1, 0.01])


def test_before_the_decay_the_rate_does_not_know_how_long_training_will_be():
    schedule = WarmupStableDecay(warmup_tokens=100, decay_fraction=0.2)
    short, long = 1000, 50_000
    assert all(schedule.value(t, short) == schedule.value(t, long) for t in range(0, 801, 7))
    assert schedule.value(900, short) < schedule.value(900, long)


@pytest.mark.parametrize("kind", ["one_minus_sqrt", "linear", "exponential"])
def test_no_jump_anywhere_but_the_root_at_its_beginning(kind):
    schedule = WarmupStableDecay(warmup_fraction=0.1, decay_fraction=0.2, kind=kind)
    values = [schedule.value(t, 100_000) for t in range(0, 100_001, 10)]
    assert max(abs(a - b) for a, b in itertools.pairwise(values)) < 0.025
    assert values == sorted(values[:1001]) + values[1001:]
    assert values[1000:] == sorted(values[1000:], reverse=True)


def test_overlap_is_an_error_and_ends_are_held():
    with pytest.raises(RecipeError, match="decay_fraction"):
        WarmupStableDecay(warmup_fraction=0.9, decay_fraction=0.2)
    with pytest.raises(RecipeError, match="warmup_tokens"):
        WarmupStableDecay(warmup_tokens=900).value(0, 1000)
    assert WSD.value(-5, 1000) == WSD.value(0, 1000)
    assert WSD.value(2000, 1000) == WSD.value(1000, 1000)
    assert WarmupStableDecay(warmup_fraction=0.0, decay_fraction=0.0).value(0, 10) == 1.0


def test_cosine_by_hand():
    cosine = Cosine(warmup_fraction=0.1, floor=0.1)
    found = [cosine.value(t, 1000) for t in (0, 50, 100, 325, 550, 775, 1000, 1500)]
    third = 0.1 + 0.9 * (1 + 2**-0.5) / 2
    assert found == pytest.approx([0.0, 0.5, 1.0, third, 0.55, 1.1 - third, 0.1, 0.1])
    assert Cosine(warmup_fraction=0.0).value(0, 0) == 1.0
