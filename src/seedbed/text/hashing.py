"""64-bit hashes of byte ranges and of sequences of hashes, and a hash table's slot: multiply and xor-shift.

Not for adversaries: two different inputs collide with probability about 2**-64. The constants are the 64-bit golden
ratio and the finaliser of SplitMix64 (Steele, Lea and Flood 2014).
"""

from __future__ import annotations

import numpy as np

from seedbed.text.kernel import Bytes, Hashes, Ints, kernel, leaf
from seedbed.text.vectors import load

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)
_S27, _S30, _S31, _S32 = np.uint64(27), np.uint64(30), np.uint64(31), np.uint64(32)


@kernel
def mix(value: np.uint64) -> np.uint64:
    """Spread every bit of `value` over all 64: a bijection."""
    value = (value ^ (value >> _S30)) * _FIRST
    value = (value ^ (value >> _S27)) * _SECOND
    return value ^ (value >> _S31)


@kernel
def extend(state: np.uint64, item: np.uint64) -> np.uint64:
    """The hash of a sequence one item longer. Begin with a constant: between two items alone, order is lost."""
    state = (state ^ item) * GOLDEN
    return state ^ (state >> _S32)


@leaf
def hash_range(data: Bytes, start: int, stop: int, seed: np.uint64) -> np.uint64:
    """The hash of data[start:stop]."""
    state = extend(seed, np.uint64(stop - start))
    at = start
    while at < stop:
        state = extend(state, load(data, at, stop))
        at += 8
    return mix(state)


@leaf
def slot(keys: Hashes, counts: Ints, mask: int, key: np.uint64) -> int:
    """Where `key` lies, or would lie, in an open-addressed table of mask + 1 places; counts == 0 marks a free place."""
    at = int(key >> _S32) & mask
    while counts[at] != 0 and keys[at] != key:
        at = (at + 1) & mask
    return at


@kernel
def table_mask(n_items: int) -> int:
    """The size, minus one, of a table at most half full with `n_items`: a power of two minus one."""
    size = 4
    while size < 2 * n_items:
        size *= 2
    return size - 1


def splitmix(seed: int, n: int) -> Hashes:
    """n pseudo-random 64-bit numbers, the same for the same seed."""
    counter = np.uint64(seed & 0xFFFFFFFFFFFFFFFF) + GOLDEN * np.arange(1, n + 1, dtype=np.uint64)
    value = (counter ^ (counter >> _S30)) * _FIRST
    value = (value ^ (value >> _S27)) * _SECOND
    return value ^ (value >> _S31)
