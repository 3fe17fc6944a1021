"""Rows with equal hashes: groups that share a key in any of several columns, named by their smallest row."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from seedbed.text.kernel import Hashes, Ints, kernel

NO_KEY = np.uint64(0)
"""A key that matches nothing."""


def connect(n_rows: int, columns: Iterable[Hashes]) -> Ints:
    """group_N: the smallest row that is connected to a row by equal keys; columns are looked at one at a time."""
    parent = np.arange(n_rows, dtype=np.int64)
    for keys in columns:
        order = np.argsort(keys, kind="stable").astype(np.int64)
        _join(parent, keys, order)
    _flatten(parent)
    return parent


@kernel
def _root(parent: Ints, row: int) -> int:
    while parent[row] != row:
        parent[row] = parent[parent[row]]
        row = parent[row]
    return row


@kernel
def _join(parent: Ints, keys: Hashes, order: Ints) -> None:
    for i in range(1, len(order)):
        if keys[order[i]] == keys[order[i - 1]] and keys[order[i]] != NO_KEY:
            one, other = _root(parent, order[i - 1]), _root(parent, order[i])
            parent[max(one, other)] = min(one, other)


@kernel
def _flatten(parent: Ints) -> None:
    for row in range(len(parent)):
        parent[row] = _root(parent, row)


def equal(high: Hashes, low: Hashes) -> Ints:
    """group_N: the smallest row with the same pair of keys; the pair (0, 0) matches nothing."""
    order = np.lexsort((low, high))  # stable: rows ascend within equal keys
    is_new = np.ones(len(order), np.bool_)
    is_new[1:] = (high[order][1:] != high[order][:-1]) | (low[order][1:] != low[order][:-1])
    is_new |= (high[order] == NO_KEY) & (low[order] == NO_KEY)
    heads = order[np.maximum.accumulate(np.where(is_new, np.arange(len(order)), 0))] if len(order) else order
    group = np.empty(len(order), np.int64)
    group[order] = heads
    return group
