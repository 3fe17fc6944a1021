"""The infinite schedule: values by hand, continuity, and a past that does not know its end."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedbed.core.errors import RecipeError
from seedbed.train.contract import Progress, Schedule
from seedbed.train.schedules.constant import Constant
from seedbed.train.schedules.cosine import Cosine
from seedbed.train.schedules.infinite import Infinite
from seedbed.train.schedules.linear import Linear
from seedbed.train.schedules.power import Power
from seedbed.train.schedules.warmup_stable_decay import WarmupStableDecay
from tests.conftest import examples

LENGTHS = {"warmup_tokens": 100, "cooldown_tokens": 400}
SHAPES = ["cosine", "inverse_sqrt"]


def at(tokens: float, total: int = 1000, batch: int = 1) -> Progress:
    return Progress(tokens, total, batch_tokens=batch)  # type: ignore[arg-type]


def values(schedule: Schedule, points, total: int = 1000, batch: int = 1) -> list[float]:
    return [schedule.value(at(point, total, batch)) for point in points]


def test_both_cooldowns_by_hand():
    # constant 0.4, so that the drop is 0.6. cosine: 0.4 + 0.3 (1 + cos pi x).
    # inverse square root with alpha 8: h(x) = 1 / sqrt(1 + 8 x) - 1: 0, 1/sqrt(3) - 1, 1/sqrt(5) - 1, -2/3
    points = (100, 200, 300, 500)  # x = 0, 1/4, 1/2, 1
    cosine = Infinite(**LENGTHS, constant=0.4)
    assert values(cosine, points) == pytest.approx([1.0, 0.7 + 0.3 * math.sqrt(0.5), 0.7, 0.4])
    root = Infinite(**LENGTHS, constant=0.4, cooldown="inverse_sqrt", alpha=8.0)
    by_hand = [1.0, 1 - 0.9 * (1 - 3**-0.5), 1 - 0.9 * (1 - 5**-0.5), 0.4]
    assert values(root, points) == pytest.approx(by_hand)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [("cosine", [1.0, 0.934099, 0.775, 0.55]), ("inverse_sqrt", [1.0, 0.700117, 0.618765, 0.55])],
)
def test_the_papers_setting(shape, expected):
    # 3e-4 at the peak, 1.65e-4 constant, 3e-5 at the end
    # alpha = 10: h(.25), h(.5), h(1) = 3.5^-.5 - 1, 6^-.5 - 1, 11^-.5 - 1 = -.465478, -.591752, -.698489
    schedule = Infinite(**LENGTHS, cooldown=shape, anneal_tokens=200)
    assert values(schedule, (100, 200, 300, 500)) == pytest.approx(expected, abs=1e-6)
    assert values(schedule, (0, 25, 50)) == pytest.approx([0.0, 0.25, 0.5])
    assert values(schedule, (500, 650, 800)) == pytest.approx([0.55] * 3)
    # geometric between 0.55 and 0.1: half-way sqrt(0.055)
    quarters = [0.55 ** (1 - x) * 0.1**x for x in (0.25, 0.5, 0.75, 1.0)]
    assert values(schedule, (850, 900, 950, 1000)) == pytest.approx(quarters)
    assert quarters[1] == pytest.approx(math.sqrt(0.055))


def test_fractions_are_those_of_the_papers_runs():
    assert values(Infinite(), (5, 10, 305, 600, 1000)) == pytest.approx([0.5, 1.0, 0.775, 0.55, 0.55])


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("anneal_tokens", [None, 20_000, 70_000])
def test_no_joint_is_a_jump_and_it_goes_up_once(shape, anneal_tokens):
    """Over one token the rate moves by no more than the steepest slope of the phases on either side."""
    schedule = Infinite(warmup_tokens=1000, cooldown_tokens=40_000, cooldown=shape, anneal_tokens=anneal_tokens)
    found = values(schedule, range(100_001), 100_000)
    steepest = max(1 / 1000, 0.45 * 5 / 0.698 / 40_000, 0.55 * math.log(5.5) / 20_000)
    assert max(abs(a - b) for a, b in itertools.pairwise(found)) <= steepest * 1.001
    assert found[:1001] == sorted(found[:1001])
    assert found[1000:] == sorted(found[1000:], reverse=True)
    assert found[-1] == pytest.approx(0.55 if anneal_tokens is None else 0.1)


@examples(60)
@given(
    batch=st.integers(1, 97),
    shape=st.sampled_from(SHAPES),
    warmup=st.integers(0, 300),
    cooldown=st.integers(0, 3000),
    anneal=st.integers(1, 2000),
    more=st.integers(1, 10**9),
)
def test_the_past_does_not_know_when_it_ends(batch, shape, warmup, cooldown, anneal, more):
    trunk = Infinite(warmup_tokens=warmup, cooldown_tokens=cooldown, cooldown=shape)
    branch = trunk.annealed(anneal)
    now = -(-max(warmup, 1) // batch) * batch + 20 * batch
    end = (now + anneal) // batch * batch  # a plan trains whole batches
    points = [step * batch + batch / 2 for step in range(now // batch)]
    past = values(trunk, points, now, batch)
    assert past == values(trunk, points, now + more, batch)
    assert past == values(branch, points, end, batch)
    assert not any(branch.annealing(at(point, end, batch)) for point in points)
    after = [now + step * batch + batch / 2 for step in range(anneal // batch)]
    assert all(branch.annealing(at(point, end, batch)) for point in after)
    assert not any(trunk.annealing(at(point, end, batch)) for point in after)
    told = values(branch, [now, *after], end, batch)
    assert told == sorted(told, reverse=True)
    if after:
        assert branch.value(at(end, end, batch)) == pytest.approx(0.1)


def test_an_annealing_out_of_the_cooldown_begins_at_the_rate_reached():
    schedule = Infinite(**LENGTHS, anneal_tokens=100)
    assert values(schedule, (300, 350, 400), 400) == pytest.approx([0.775, math.sqrt(0.775 * 0.1), 0.1])


def test_what_cannot_be_meant():
    with pytest.raises(RecipeError, match=r"infinite\.anneal_tokens|infinite\.warmup_tokens"):
        Infinite(**LENGTHS, anneal_tokens=950).value(at(500))
    with pytest.raises(RecipeError, match="exceed the 50 of training"):
        Infinite(**LENGTHS).value(at(20, 50))
    assert Infinite(**LENGTHS).value(at(300, 300)) == pytest.approx(0.775)  # cut short in the cooldown: it may go on
    with pytest.raises(RecipeError, match="above the constant rate"):
        Infinite(constant=0.2, floor=0.3)
    with pytest.raises(RecipeError, match=r"warmup_fraction.*Give warmup_tokens"):
        Infinite().annealed(10)
    with pytest.raises(RecipeError, match=r"cooldown_fraction.*Give cooldown_tokens"):
        Infinite(warmup_tokens=1).annealed(10)


@pytest.mark.parametrize("kind", [WarmupStableDecay, Power])
def test_other_schedules_can_be_annealed_from_anywhere_too(kind):
    trunk = kind(warmup_tokens=100, decay_fraction=0.0)
    branch = trunk.annealed(320)
    points = [step * 64 + 32 for step in range(10)]
    assert values(branch, points, 960, 64) == values(trunk, points, 50_048, 64)
    assert [branch.annealing(at(point, 960, 64)) for point in (0, 608, 640, 641, 960)] == [False] * 3 + [True] * 2
    assert branch.value(at(960, 960, 64)) < 0.02
    assert not trunk.annealing(at(960, 960, 64))
    with pytest.raises(RecipeError, match=r"warmup_fraction.*Give warmup_tokens"):
        kind().annealed(320)
    assert kind(warmup_fraction=0.0).annealed(320).annealing(at(900, 960, 64))


@pytest.mark.parametrize("kind", [Constant, Cosine, Linear])
def test_a_schedule_without_an_annealing_says_so(kind):
    assert not kind().annealing(at(999))
    with pytest.raises(RecipeError, match="Take infinite"):
        kind().annealed(10)
