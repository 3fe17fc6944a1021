"""Chance that depends on (seed, key) alone: the same document draws the same number whatever its neighbours are.

The mixer is the finaliser of splitmix64 (Steele, Lea and Flood 2014, OOPSLA, "Fast splittable pseudorandom number
generators"): a bijection of 64 bits whose every output bit depends on every input bit.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
Keys = npt.NDArray[np.uint64]

_MASK = 2**64 - 1
_GOLDEN = 0x9E3779B97F4A7C15


def mix64(values: Keys) -> Keys:
    """values_N -> mixed_N, a bijection of 64-bit words."""
    z = values + np.uint64(_GOLDEN)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def hashed(seed: int, key_N: Keys) -> Keys:
    """A 64-bit word for each (seed, key); distinct keys of one seed never share a word."""
    return mix64(mix64(key_N) ^ mix64(np.array([seed & _MASK], np.uint64)))


def permuted(index: int, size: int, seed: int) -> int:
    """Where `index` of range(size) goes in a permutation drawn by `seed`, without holding the permutation.

    A Feistel network of four rounds (Luby and Rackoff 1988) over the next even power of two, walked until it falls
    inside: a bijection in constant memory, at most four steps on average.
    """
    half = max(1, ((size - 1).bit_length() + 1) // 2)
    mask = (1 << half) - 1
    while True:
        left, right = index >> half, index & mask
        for step in range(4):
            left, right = right, left ^ (_word(_word(seed + step) ^ right) & mask)
        index = left << half | right
        if index < size:
            return index


def _word(value: int) -> int:
    """`mix64` of one Python integer."""
    value = (value + _GOLDEN) & _MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)


def uniforms(seed: int, key_N: Keys) -> FloatArray:
    """u_N in the open interval (0, 1), 52 bits fine: neither 0 nor 1 is ever drawn, so logarithms stay finite."""
    return ((hashed(seed, key_N) >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52


def gumbels(seed: int, key_N: Keys) -> FloatArray:
    """Standard Gumbel noise, -ln(-ln u): the maximum of s_i + gumbel_i falls on i with probability softmax(s)_i."""
    return -np.log(-np.log(uniforms(seed, key_N)))


def keys_of(ids: Sequence[bytes]) -> Keys:
    """key_N: the first 8 bytes of each 16-byte id, little-endian."""
    words = np.frombuffer(b"".join(ids), dtype="<u8")
    if len(words) != 2 * len(ids):
        raise ValueError("an id is 16 bytes long")
    return words[::2].astype(np.uint64)


def order_by(score_N: FloatArray, tie_N: Keys) -> npt.NDArray[np.int64]:
    """Row numbers, best score first, ties by the smaller word of `tie_N`."""
    return np.lexsort((tie_N, -score_N)).astype(np.int64)
