"""A sample of each text: windows spread evenly over it, cut between words, for methods that need not read it all."""

from __future__ import annotations

import numpy as np

from seedbed.text.kernel import Bytes, Ints, kernel

WINDOW_BYTES = 128
"""Shorter windows see more places; a longer one cuts fewer words."""
_LONGEST_WORD = 64
"""Bytes after which a window ends inside a word: scripts without spaces."""
_NEWLINE = 10


def sample(data: Bytes, offsets: Ints, rows: Ints, max_bytes: int) -> tuple[Bytes, Ints]:
    """(bytes, offsets) of the texts `rows`: whole up to `max_bytes`, else about that much in windows, a line each.

    At least one window is read.
    """
    max_bytes = max(max_bytes, WINDOW_BYTES)
    n_windows = max_bytes // WINDOW_BYTES
    sizes = offsets[rows + 1] - offsets[rows]
    room = np.where(sizes <= max_bytes, sizes, n_windows * (WINDOW_BYTES + _LONGEST_WORD + 4))
    out, out_offsets = np.empty(int(room.sum()), np.uint8), np.zeros(len(rows) + 1, np.int64)
    _sample(data, offsets, rows, max_bytes, n_windows, out, out_offsets)
    return out[: out_offsets[-1]], out_offsets


@kernel
def _cut(data: Bytes, at: int, end: int) -> int:
    """The first blank at or after `at`; the next character where none is near."""
    stop = min(end, at + _LONGEST_WORD)
    cut = at
    while cut < stop and data[cut] > 32:
        cut += 1
    if cut < stop or cut == end:
        return cut
    while at < end and data[at] & 0xC0 == 0x80:
        at += 1
    return at


@kernel
def _sample(
    data: Bytes, offsets: Ints, rows: Ints, max_bytes: int, n_windows: int, out: Bytes, out_offsets: Ints
) -> None:
    to = 0
    for i in range(len(rows)):
        begin, end = int(offsets[rows[i]]), int(offsets[rows[i] + 1])
        if end - begin <= max_bytes:
            out[to : to + end - begin] = data[begin:end]
            to += end - begin
        else:
            for window in range(n_windows):
                first = begin + (end - begin - WINDOW_BYTES) * window // max(1, n_windows - 1)
                start = first if window == 0 else _cut(data, first, end)
                stop = _cut(data, max(start, first + WINDOW_BYTES), end)
                out[to : to + stop - start] = data[start:stop]
                to += stop - start
                out[to] = _NEWLINE
                to += 1
        out_offsets[i + 1] = to
