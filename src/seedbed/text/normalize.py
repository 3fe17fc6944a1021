"""Texts spelled alike: lower case, squeezed whitespace, or folded down to bare letters, as new (bytes, offsets)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from seedbed.text import unicode
from seedbed.text.kernel import Bytes, Ints, kernel

_ZERO = 48
GROWTH = 3
"""No character becomes more than this many times its bytes: a Hangul syllable, three letters of three bytes."""


def fold(data: Bytes, offsets: Ints) -> tuple[Bytes, Ints]:
    """Lower case, no accents, each run of digits one 0, of punctuation and whitespace one space, none at the ends."""
    known = unicode.tables()
    return _map(data, offsets, known.folded, known.expansions, squeeze=True, numbers=True)


def lower(data: Bytes, offsets: Ints) -> tuple[Bytes, Ints]:
    """Lower case where that is one code point."""
    known = unicode.tables()
    return _map(data, offsets, known.lower, known.expansions, squeeze=False, numbers=False)


def squeeze(data: Bytes, offsets: Ints) -> tuple[Bytes, Ints]:
    """Every run of whitespace one space, none at the ends."""
    known = unicode.tables()
    itself = np.arange(unicode.N_CODE_POINTS, dtype=np.int32)
    return _map(data, offsets, itself, known.expansions, squeeze=True, numbers=False)


def _map(
    data: Bytes,
    offsets: Ints,
    to: npt.NDArray[np.int32],
    expansions: npt.NDArray[np.int32],
    squeeze: bool,
    numbers: bool,
) -> tuple[Bytes, Ints]:
    out = np.empty(GROWTH * int(offsets[-1] - offsets[0]) + 4, np.uint8)
    bounds = np.zeros(len(offsets), np.int64)
    _write(data, offsets, unicode.flags(), to, expansions, squeeze, numbers, out, bounds)
    return out[: int(bounds[-1])].copy(), bounds


@kernel
def _write(
    data: Bytes,
    offsets: Ints,
    flags: Bytes,
    to: npt.NDArray[np.int32],
    expansions: npt.NDArray[np.int32],
    squeeze: bool,
    numbers: bool,
    out: Bytes,
    bounds: Ints,
) -> None:
    w = 0
    for d in range(len(offsets) - 1):
        at, stop, begin, gap = offsets[d], offsets[d + 1], w, False
        while at < stop:
            code, size = unicode.code_point(data, at)
            at += size
            target = to[code]
            many = target < unicode.REMOVED
            for k in range(4 if many else 1):
                one = expansions[-2 - target, k] if many else target
                if one == unicode.REMOVED:
                    break
                if squeeze and flags[one] & unicode.SPACE:
                    gap = w > begin
                    continue
                if gap:
                    out[w] = 32
                    w += 1
                    gap = False
                elif numbers and one == _ZERO and w > begin and out[w - 1] == _ZERO:
                    continue
                w = _put(out, w, one)
        bounds[d + 1] = w


@kernel
def _put(out: Bytes, w: int, code: int) -> int:
    """Write one code point as UTF-8; the place after it."""
    if code < 0x80:
        out[w] = code
        return w + 1
    if code < 0x800:
        out[w], out[w + 1] = 0xC0 | code >> 6, 0x80 | code & 0x3F
        return w + 2
    if code < 0x10000:
        out[w], out[w + 1], out[w + 2] = 0xE0 | code >> 12, 0x80 | code >> 6 & 0x3F, 0x80 | code & 0x3F
        return w + 3
    out[w], out[w + 1] = 0xF0 | code >> 18, 0x80 | code >> 12 & 0x3F
    out[w + 2], out[w + 3] = 0x80 | code >> 6 & 0x3F, 0x80 | code & 0x3F
    return w + 4
