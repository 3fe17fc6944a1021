import numpy as np
import pytest

from seedbed.stats.sampling import gumbels, keys_of, mix64, order_by, permuted, uniforms


def test_mix64_gives_the_published_stream_of_splitmix64():
    # The generator of Steele, Lea and Flood from seed 1234567 adds the golden constant, then mixes.
    states = np.array([1234567, (1234567 + 0x9E3779B97F4A7C15) % 2**64], np.uint64)
    assert mix64(states).tolist() == [6457827717110365317, 3203168211198807973]


def test_uniforms_are_uniform_and_depend_on_seed_and_key_alone():
    key_N = np.arange(100_000, dtype=np.uint64)
    u = uniforms(3, key_N)
    assert 0 < u.min() < 1e-4
    assert 1 - 1e-4 < u.max() < 1
    counts = np.histogram(u, 50, (0, 1))[0]
    assert np.sum((counts - 2000) ** 2 / 2000) < 95  # chi-square, 49 degrees of freedom, p = 1e-4
    shuffled = np.random.default_rng(0).permutation(len(u))
    assert np.array_equal(uniforms(3, key_N[shuffled]), u[shuffled])
    assert abs(np.corrcoef(u, uniforms(4, key_N))[0, 1]) < 0.013  # 4 standard errors


def test_extreme_words_stay_inside_the_open_interval():
    assert (2**52 - 1 + 0.5) * 2.0**-52 < 1
    assert np.isfinite(gumbels(0, np.array([0, 2**64 - 1], np.uint64))).all()


def test_negative_and_large_seeds_are_allowed():
    key = np.array([7], np.uint64)
    assert uniforms(-1, key) == uniforms(2**64 - 1, key) != uniforms(1, key)


def test_keys_are_the_first_eight_bytes_little_endian():
    assert keys_of([bytes([1, 2] + [0] * 14), bytes(range(16))]).tolist() == [513, 0x0706050403020100]
    assert keys_of([]).tolist() == []


def test_order_by_breaks_ties_by_the_smaller_word():
    assert order_by(np.array([1.0, 2.0, 1.0]), np.array([9, 0, 3], np.uint64)).tolist() == [1, 2, 0]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 65, 1000])
def test_permuted_is_a_permutation_that_the_seed_draws(size: int) -> None:
    one, other = ([permuted(i, size, seed) for i in range(size)] for seed in (5, 6))
    assert sorted(one) == sorted(other) == list(range(size))
    if size >= 64:
        assert one != other
        steps = np.abs(np.diff(one))
        assert np.mean(steps == 1) < 0.1  # neighbours do not stay neighbours
        assert abs(np.corrcoef(np.arange(size), one)[0, 1]) < 0.3
