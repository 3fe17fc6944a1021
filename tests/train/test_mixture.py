"""Which source comes next: whole numbers that follow the asked shares, the same after a resume."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedbed.train.mixture import UNIT, draw


def walk(shares: dict[str, float], counts: list[int]):
    owed, cursors, order = {}, dict.fromkeys(shares, 0), []
    for count in counts:
        drawn = draw(shares, count, owed, cursors)
        owed = drawn.owed
        cursors = {name: cursors[name] + n for name, n in drawn.drawn.items()}
        order += drawn.rows
    return order, cursors, owed


def test_three_to_one_by_hand():
    order, cursors, owed = walk({"a": 0.75, "b": 0.25}, [8])
    assert [name for name, _ in order] == ["a", "a", "b", "a", "a", "a", "b", "a"]
    assert [index for name, index in order if name == "a"] == list(range(6))
    assert cursors == {"a": 6, "b": 2}
    assert owed == {"a": 0, "b": 0}


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=6), st.lists(st.integers(1, 40), min_size=1, max_size=12))
def test_never_a_sequence_per_source_away_and_independent_of_the_batches(parts, counts):
    total = sum(parts)
    shares = {f"s{i}": part / total for i, part in enumerate(parts)}
    order, cursors, owed = walk(shares, counts)
    assert order == walk(shares, [sum(counts)])[0]
    assert sum(owed.values()) == 0
    for name, share in shares.items():
        assert abs(cursors[name] - share * sum(counts)) < max(1, len(parts) - 1) + 1e-6
        assert [index for other, index in order if other == name] == list(range(cursors[name]))


def test_a_source_without_a_share_is_not_read_whatever_it_is_owed():
    drawn = draw({"a": 1.0, "b": 0.0}, 5, {"a": -UNIT, "b": UNIT}, {"a": 3, "b": 7})
    assert drawn.drawn == {"a": 5, "b": 0}
    assert drawn.owed["b"] == UNIT


@pytest.mark.parametrize("count", [1, 7, 1000])
def test_thirds_sum_to_the_whole(count):
    _, cursors, owed = walk(dict.fromkeys("abc", 1 / 3), [count])
    assert sum(cursors.values()) == count
    assert sum(owed.values()) == 0
    assert max(cursors.values()) - min(cursors.values()) <= 1
