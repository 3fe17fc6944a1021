"""Passages that repeat: which of equal keys comes first, which bytes go, and what is left of a text without them."""

from __future__ import annotations

import numpy as np

from seedbed.text.hashing import GOLDEN, table_mask
from seedbed.text.kernel import Bytes, Flags, Hashes, Ints, kernel
from seedbed.text.repeats import shingles
from seedbed.text.rules.lines import Segments

_NEWLINE = 10
_PIECE_ROWS = 1 << 15
_S32 = np.uint64(32)


def first_of(keys: Hashes, order: Hashes) -> Ints:
    """For each item the item with the same key that comes first by (order, position)."""
    found = np.empty(len(keys), np.int64)
    _first_of(keys, order, max(1, (len(keys) // _PIECE_ROWS).bit_length()), found)
    return found


@kernel
def _first_of(keys: Hashes, order: Hashes, bits: int, found: Ints) -> None:
    shift = np.uint64(64 - bits)
    start = np.zeros((1 << bits) + 1, np.int64)
    for i in range(len(keys)):
        start[np.int64(keys[i] * GOLDEN >> shift) + 1] += 1
    most = 1
    for piece in range(1 << bits):
        most = max(most, start[piece + 1])
        start[piece + 1] += start[piece]
    place, items = start.copy(), np.empty(len(keys), np.int64)
    for i in range(len(keys)):
        piece = np.int64(keys[i] * GOLDEN >> shift)
        items[place[piece]] = i
        place[piece] += 1
    best, slots = np.empty(table_mask(most) + 1, np.int64), np.empty(most, np.int64)
    for piece in range(1 << bits):
        mask = table_mask(start[piece + 1] - start[piece])
        best[: mask + 1] = -1
        for p in range(start[piece], start[piece + 1]):
            i = items[p]
            at = np.int64((keys[i] * GOLDEN << np.uint64(bits)) >> _S32) & mask
            while best[at] >= 0 and keys[best[at]] != keys[i]:
                at = (at + 1) & mask
            if best[at] < 0 or order[i] < order[best[at]]:  # positions ascend, so the earlier one stays on a tie
                best[at] = i
            slots[p - start[piece]] = at
        for p in range(start[piece], start[piece + 1]):
            found[items[p]] = best[slots[p - start[piece]]]


def without(data: Bytes, offsets: Ints, row: Ints, start: Ints, end: Ints) -> tuple[Bytes, Ints]:
    """The texts without some spans, which are ascending and apart; bounds count in `data`."""
    out = np.empty(int(offsets[-1] - offsets[0]), np.uint8)
    bounds = np.zeros(len(offsets), np.int64)
    _copy_rest(data, offsets, row, start, end, out, bounds)
    return out[: int(bounds[-1])], bounds


@kernel
def _copy_rest(data: Bytes, offsets: Ints, row: Ints, start: Ints, end: Ints, out: Bytes, bounds: Ints) -> None:
    span, w = 0, 0
    for d in range(len(offsets) - 1):
        at = offsets[d]
        while span < len(row) and row[span] == d:
            n = start[span] - at
            out[w : w + n] = data[at : start[span]]
            w, at, span = w + n, end[span], span + 1
        n = offsets[d + 1] - at
        out[w : w + n] = data[at : offsets[d + 1]]
        w += n
        bounds[d + 1] = w


def segment_keys(data: Bytes, segments: Segments, folded: bool) -> Hashes:
    """The hash of every line or paragraph; folded: of its folded words, where it has any."""
    return shingles.folded_hashes(data, segments.start, segments.end, segments.hash) if folded else segments.hash


def segment_spans(data: Bytes, offsets: Ints, segments: Segments, repeated: Flags) -> tuple[Ints, Ints, Ints]:
    """(row, start, end) of what goes when whole lines or paragraphs go, with the newlines that would be left over.

    Between what stays, the larger of the gaps before and after a cut remains.
    """
    row, start, end = (np.empty(int(np.count_nonzero(repeated)), np.int64) for _ in range(3))
    n = _segment_spans(data, offsets, segments.first, segments.start, segments.end, repeated, row, start, end)
    return row[:n].copy(), start[:n].copy(), end[:n].copy()


@kernel
def _segment_spans(
    data: Bytes,
    offsets: Ints,
    first: Ints,
    start: Ints,
    end: Ints,
    repeated: Flags,
    row: Ints,
    span_start: Ints,
    span_end: Ints,
) -> int:
    """A run of neighbouring segments that go is one span."""
    n = 0
    for d in range(len(first) - 1):
        s = first[d]
        while s < first[d + 1]:
            if not repeated[s]:
                s += 1
                continue
            begin = s
            while s < first[d + 1] and repeated[s]:
                s += 1
            low, begins = int(offsets[d] if begin == first[d] else end[begin - 1]), int(start[begin])
            ends, high = int(end[s - 1]), int(offsets[d + 1] if s == first[d + 1] else start[s])
            if begin > first[d] and s < first[d + 1]:  # one gap has to stay
                if _newlines(data, low, begins) >= _newlines(data, ends, high):
                    low, high = _line_start(data, low, begins), _line_start(data, ends, high)
                else:
                    high = ends
            elif s < first[d + 1]:
                high = _line_start(data, ends, high)
            row[n], span_start[n], span_end[n] = d, low, high
            n += 1
    return n


@kernel
def _newlines(data: Bytes, low: int, high: int) -> int:
    n = 0
    for at in range(low, high):
        n += data[at] == _NEWLINE
    return n


@kernel
def _line_start(data: Bytes, low: int, high: int) -> int:
    """Behind the last newline of data[low:high]."""
    while high > low and data[high - 1] != _NEWLINE:
        high -= 1
    return high
