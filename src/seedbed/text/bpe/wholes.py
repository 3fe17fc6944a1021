"""Wholes: tokens that a piece becomes at once, though merging its bytes would not lead to them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from seedbed.text.bpe.merges import FEW, merge
from seedbed.text.hashing import hash_range, table_mask
from seedbed.text.kernel import Bytes, Flags, Hashes, Ints, kernel, leaf

_SEED = np.uint64(0)


class Wholes(NamedTuple):
    """An open-addressed table.

    Args:
        places: 1 + the token of each place, 0 where it is free.
        data, offsets: token w is data[offsets[w]:offsets[w + 1]].
        ids: its id.
    """

    places: Ints
    data: Bytes
    offsets: Ints
    ids: Ints


@kernel
def out_of_reach(data: Bytes, offsets: Ints, ids: Ints, letters: Ints, merges: Hashes) -> Flags:
    """Which of these tokens merging their bytes does not lead to."""
    found, waiting = np.zeros(len(ids), np.bool_), np.empty(FEW, np.uint64)
    for w in range(len(ids)):
        room = np.empty(offsets[w + 1] - offsets[w], np.int64)
        count = merge(data, offsets[w], offsets[w + 1], letters, merges, room, waiting)
        found[w] = count != 1 or room[0] != ids[w]
    return found


@kernel
def whole_table(data: Bytes, offsets: Ints, ids: Ints) -> Wholes:
    """The table of these tokens, all different."""
    mask = table_mask(len(ids))
    places = np.zeros(mask + 1, np.int64)
    for w in range(len(ids)):
        at = int(hash_range(data, offsets[w], offsets[w + 1], _SEED)) & mask
        while places[at]:
            at = (at + 1) & mask
        places[at] = w + 1
    return Wholes(places, data, offsets, ids)


@leaf
def whole(wholes: Wholes, data: Bytes, start: int, stop: int) -> int:
    """The id of data[start:stop], or -1."""
    mask = len(wholes.places) - 1
    at = int(hash_range(data, start, stop, _SEED)) & mask
    while wholes.places[at]:
        w = wholes.places[at] - 1
        begin, end = wholes.offsets[w], wholes.offsets[w + 1]
        same = end - begin == stop - start
        while same and begin < end:
            same = wholes.data[begin] == data[start + begin - wholes.offsets[w]]
            begin += 1
        if same:
            return int(wholes.ids[w])
        at = (at + 1) & mask
    return -1
