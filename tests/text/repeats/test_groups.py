import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from seedbed.text.repeats import groups
from tests.conftest import examples


def hashes(values):
    return np.array(values, np.uint64)


def connected(columns):
    """Plain Python: rows that share a key in any column, over any number of rows."""
    n = len(columns[0])
    group = list(range(n))
    for _ in range(n):
        for column in columns:
            for i in range(n):
                for j in range(n):
                    if column[i] == column[j] != 0:
                        group[i] = group[j] = min(group[i], group[j])
    return group


@examples(100)
@given(st.lists(st.tuples(*[st.integers(0, 4)] * 3), min_size=1, max_size=9))
def test_connected_rows_are_one_group(rows):
    columns = list(zip(*rows, strict=True))
    assert groups.connect(len(rows), [hashes(column) for column in columns]).tolist() == connected(columns)


@examples(100)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), max_size=9))
def test_equal_pairs_are_one_group_and_half_a_pair_is_none(pairs):
    expected = [pairs.index(pair) if any(pair) else row for row, pair in enumerate(pairs)]
    assert groups.equal(hashes([a for a, _ in pairs]), hashes([b for _, b in pairs])).tolist() == expected


def test_many_rows_in_several_pieces():
    rng = np.random.default_rng(0)
    keys = rng.integers(1, 2**64 - 1, 200_000, dtype=np.uint64)
    keys[rng.integers(0, 200_000, 50_000)] = keys[rng.integers(0, 200_000, 50_000)]
    _, first, where = np.unique(keys, return_index=True, return_inverse=True)
    assert (groups.connect(200_000, [keys]) == first[where]).all()
    assert (groups.equal(keys, keys) == first[where]).all()
