"""Rows with equal hashes: groups that share a key in any of several columns, named by their smallest row.

Keys are parted by their upper bits into pieces whose table fits into a processor's cache; besides its own bytes a
column of n rows needs 24 n bytes while it is looked at.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from seedbed.text.hashing import GOLDEN, table_mask
from seedbed.text.kernel import Hashes, Ints, kernel

NO_KEY = np.uint64(0)
"""A key that matches nothing."""

_PIECE_ROWS = 1 << 15
_S32 = np.uint64(32)


def connect(n_rows: int, columns: Iterable[Hashes]) -> Ints:
    """group_N: the smallest row that is connected to a row by equal keys; columns are looked at one at a time."""
    parent = np.arange(n_rows, dtype=np.int64)
    for keys in columns:
        _join(keys, keys, _bits(n_rows), parent)
    _flatten(parent)
    return parent


def equal(high: Hashes, low: Hashes) -> Ints:
    """group_N: the smallest row with the same pair of keys; the pair (0, 0) matches nothing."""
    parent = np.arange(len(high), dtype=np.int64)
    _join(low, high, _bits(len(high)), parent)
    _flatten(parent)
    return parent


def _bits(n_rows: int) -> int:
    """How many upper bits part n rows into pieces of at most about _PIECE_ROWS; one at least."""
    return max(1, (n_rows // _PIECE_ROWS).bit_length())


@kernel
def _join(keys: Hashes, others: Hashes, bits: int, parent: Ints) -> None:
    """Connect the rows that agree in both columns."""
    start, rows, parted = _part(keys, others, bits)
    most = 1
    for piece in range(len(start) - 1):
        most = max(most, start[piece + 1] - start[piece])
    heads = np.empty(table_mask(most) + 1, np.int64)
    for piece in range(len(start) - 1):
        mask = table_mask(start[piece + 1] - start[piece])
        heads[: mask + 1] = -1
        for i in range(start[piece], start[piece + 1]):
            at = np.int64((parted[i] * GOLDEN << np.uint64(bits)) >> _S32) & mask
            while heads[at] >= 0 and not (
                parted[heads[at]] == parted[i] and others[rows[heads[at]]] == others[rows[i]]
            ):
                at = (at + 1) & mask
            if heads[at] < 0:
                heads[at] = i
            else:
                one, other = _root(parent, int(rows[heads[at]])), _root(parent, int(rows[i]))
                parent[max(one, other)] = min(one, other)


@kernel
def _part(keys: Hashes, others: Hashes, bits: int) -> tuple[Ints, Ints, Hashes]:
    """(start, rows, keys): piece p lies at start[p] to start[p + 1], rows ascending; rows of no key are left out."""
    shift = np.uint64(64 - bits)
    start = np.zeros((1 << bits) + 1, np.int64)
    for row in range(len(keys)):
        if keys[row] != NO_KEY or others[row] != NO_KEY:
            start[np.int64(keys[row] * GOLDEN >> shift) + 1] += 1
    for piece in range(1 << bits):
        start[piece + 1] += start[piece]
    place, rows, parted = start.copy(), np.empty(start[-1], np.int64), np.empty(start[-1], np.uint64)
    for row in range(len(keys)):
        if keys[row] != NO_KEY or others[row] != NO_KEY:
            piece = np.int64(keys[row] * GOLDEN >> shift)
            rows[place[piece]], parted[place[piece]] = row, keys[row]
            place[piece] += 1
    return start, rows, parted


@kernel
def _root(parent: Ints, row: int) -> int:
    while parent[row] != row:
        parent[row] = parent[parent[row]]
        row = parent[row]
    return row


@kernel
def _flatten(parent: Ints) -> None:
    for row in range(len(parent)):
        parent[row] = _root(parent, row)
