"""Merges: the pairs of tokens that become one, by rank; and a piece merged in that order, whatever its length.

The adjacent pair of the lowest rank is merged first, the leftmost of equals (Sennrich et al. 2016, section 3.2).
"""

from __future__ import annotations

import numpy as np

from seedbed.text.hashing import mix, table_mask
from seedbed.text.kernel import Bytes, Hashes, Ints, kernel, leaf

FEW = 48
"""Up to so many tokens the lowest rank is looked for in all of them; beyond, a heap knows it."""

_NONE = np.uint64(0xFFFFFFFFFFFFFFFF)
"""In place of the result of a pair that is not merged: greater than any."""
_S32, _LOW = np.uint64(32), 0xFFFFFFFF
_LAST = -1


@kernel
def pair_table(first: Ints, second: Ints, merged: Ints) -> Hashes:
    """An open-addressed table for `merge`, of (pair, result) one behind another: the pair at r becomes merged[r].

    A result is the rank, 32 bits, and the id.
    """
    mask = table_mask(2 * len(first))
    table = np.full(2 * (mask + 1), _NONE, np.uint64)
    for rank in range(len(first)):
        at = _place(table, _pair(first[rank], second[rank]))
        table[at] = _pair(first[rank], second[rank])
        table[at + 1] = _pair(rank, merged[rank])
    return table


@kernel
def merge(data: Bytes, start: int, stop: int, letters: Ints, table: Hashes, room: Ints, waiting: Hashes) -> int:
    """Writes the tokens of the piece data[start:stop] to `room`, which holds its bytes; gives how many they are.

    `letters` are the ids of the 256 bytes; `waiting`, of FEW numbers, is scratch.
    """
    n = stop - start
    for i in range(n):
        room[i] = letters[data[start + i]]
    if n <= FEW:
        return _merge_few(room, n, table, waiting)
    return _merge_many(room, n, table)


@leaf
def _pair(high: int, low: int) -> np.uint64:
    return np.uint64(high) << _S32 | np.uint64(low)


@leaf
def _place(table: Hashes, pair: np.uint64) -> int:
    mask = len(table) // 2 - 1
    at = int(mix(pair)) & mask
    while table[2 * at] != pair and table[2 * at + 1] != _NONE:
        at = (at + 1) & mask
    return 2 * at


@leaf
def _result(table: Hashes, first: int, second: int) -> np.uint64:
    """Rank and id of what the two become, or _NONE."""
    return table[_place(table, _pair(first, second)) + 1]


@leaf
def _merge_few(tokens: Ints, n: int, table: Hashes, waiting: Hashes) -> int:
    for i in range(n - 1):
        waiting[i] = _result(table, tokens[i], tokens[i + 1])
    while n > 1:
        lowest, best = 0, waiting[0]
        for i in range(1, n - 1):
            if waiting[i] < best:
                lowest, best = i, waiting[i]
        if best == _NONE:
            return n
        n -= 1
        tokens[lowest] = int(best) & _LOW
        for i in range(lowest + 1, n):
            tokens[i] = tokens[i + 1]
            waiting[i - 1] = waiting[i]
        if lowest > 0:
            waiting[lowest - 1] = _result(table, tokens[lowest - 1], tokens[lowest])
        if lowest < n - 1:
            waiting[lowest] = _result(table, tokens[lowest], tokens[lowest + 1])
    return n


@kernel
def _merge_many(tokens: Ints, n: int, table: Hashes) -> int:
    """By a heap of (rank, place) and a chain of the places that are left: n log n for n bytes.

    What lies in the heap is out of date where its rank is no longer that of `waiting` at its place.
    """
    after, before = np.arange(1, n + 1), np.arange(-1, n - 1)
    after[n - 1] = _LAST
    waiting, heap = np.full(n, _NONE, np.uint64), np.empty(3 * n, np.uint64)
    size = 0
    for i in range(n - 1):
        size = _wait(tokens, i, i + 1, table, waiting, heap, size)
    while size:
        least = heap[0]
        size = _pop(heap, size)
        at = int(least) & _LOW
        if waiting[at] == _NONE or waiting[at] >> _S32 != least >> _S32:
            continue
        tokens[at] = int(waiting[at]) & _LOW
        gone = after[at]
        waiting[gone] = waiting[at] = _NONE
        after[at] = after[gone]
        if after[at] != _LAST:
            before[after[at]] = at
            size = _wait(tokens, at, after[at], table, waiting, heap, size)
        if before[at] >= 0:
            size = _wait(tokens, before[at], at, table, waiting, heap, size)
    return _gather(tokens, after)


@leaf
def _wait(tokens: Ints, at: int, following: int, table: Hashes, waiting: Hashes, heap: Hashes, size: int) -> int:
    """Put the pair of these two places on the heap, where it can be merged; gives the heap's size."""
    waiting[at] = _result(table, tokens[at], tokens[following])
    if waiting[at] == _NONE:
        return size
    key = (waiting[at] >> _S32 << _S32) | np.uint64(at)
    child = size
    while child and heap[(child - 1) // 2] > key:
        heap[child] = heap[(child - 1) // 2]
        child = (child - 1) // 2
    heap[child] = key
    return size + 1


@leaf
def _pop(heap: Hashes, size: int) -> int:
    """Take the least off the heap; gives its size."""
    size -= 1
    key, parent = heap[size], 0
    while 2 * parent + 1 < size:
        child = 2 * parent + 1
        if child + 1 < size and heap[child + 1] < heap[child]:
            child += 1
        if heap[child] >= key:
            break
        heap[parent] = heap[child]
        parent = child
    heap[parent] = key
    return size


@leaf
def _gather(tokens: Ints, after: Ints) -> int:
    """The tokens of the places that are left, moved to the front."""
    n, at = 0, 0
    while at != _LAST:
        tokens[n] = tokens[at]
        n += 1
        at = after[at]
    return n
