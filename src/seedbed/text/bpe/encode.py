"""Documents to ids: cut into pieces, each looked up in the memory or merged, written where a shard wants them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from seedbed.text.bpe.memory import find, put, token
from seedbed.text.bpe.merges import FEW, merge
from seedbed.text.bpe.pieces import piece_end
from seedbed.text.bpe.wholes import Wholes, whole
from seedbed.text.kernel import Bytes, Hashes, Ints, kernel

_ROOM_TOKENS = 1024


class Vocabulary(NamedTuple):
    """What encodes.

    Args:
        split: GPT_2, or how many digits a piece of cl100k has.
        kinds: OTHER, LETTER, ... of every code point.
        letters: the ids of the 256 bytes.
        merges: `pair_table`.
        wholes: pieces that are not merged.
        memory: of pieces; written to.
    """

    split: int
    kinds: Bytes
    letters: Ints
    merges: Hashes
    wholes: Wholes
    memory: Hashes


def encode(
    data: Bytes, offsets: Ints, vocabulary: Vocabulary, end_id: int, dtype: np.dtype[Any]
) -> tuple[npt.NDArray[np.integer[Any]], Ints]:
    """(ids, offsets): document d is ids[offsets[d]:offsets[d + 1]], its last id `end_id`."""
    n_documents = len(offsets) - 1
    ids = np.empty(int(offsets[-1] - offsets[0]) + n_documents, dtype)  # what is not written takes no memory
    ends = np.zeros(n_documents + 1, np.int64)
    _encode(data, offsets, vocabulary, end_id, ids, ends)
    return ids[: ends[-1]], ends


@kernel
def _encode(data: Bytes, offsets: Ints, vocabulary: Vocabulary, end_id: int, ids: Ints, ends: Ints) -> None:
    room, waiting = np.empty(_ROOM_TOKENS, np.int64), np.empty(FEW, np.uint64)
    n = 0
    for d in range(len(offsets) - 1):
        at, stop = offsets[d], offsets[d + 1]
        while at < stop:
            end = piece_end(data, at, stop, vocabulary.kinds, vocabulary.split)
            line, known = find(vocabulary.memory, data, at, end)
            if known:
                for i in range(known):
                    ids[n + i] = token(vocabulary.memory, line, i)
                n += known
            else:
                if end - at > len(room):
                    room = np.empty(2 * (end - at), np.int64)
                count = _merged(data, at, end, vocabulary, room, waiting)
                for i in range(count):
                    ids[n + i] = room[i]
                n += count
                put(vocabulary.memory, line, data, at, end, room, count)
            at = end
        ids[n] = end_id
        n += 1
        ends[d + 1] = n


@kernel
def _merged(data: Bytes, start: int, stop: int, vocabulary: Vocabulary, room: Ints, waiting: Hashes) -> int:
    if len(vocabulary.wholes.ids):
        room[0] = whole(vocabulary.wholes, data, start, stop)
        if room[0] >= 0:
            return 1
    return merge(data, start, stop, vocabulary.letters, vocabulary.merges, room, waiting)
