"""Texts spelled alike: lower case, or squeezed whitespace, as new (bytes, offsets)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from seedbed.text import unicode
from seedbed.text.kernel import Bytes, Ints, kernel

GROWTH = 2
"""No lower-case letter has more than this many times the bytes of its capital: some of 2 bytes have small ones of 3."""


def lower(data: Bytes, offsets: Ints) -> tuple[Bytes, Ints]:
    """Lower case where that is one code point."""
    return _map(data, offsets, unicode.tables().lower, squeeze=False)


def squeeze(data: Bytes, offsets: Ints) -> tuple[Bytes, Ints]:
    """Every run of whitespace one space, none at the ends."""
    return _map(data, offsets, np.arange(unicode.N_CODE_POINTS, dtype=np.int32), squeeze=True)


def _map(data: Bytes, offsets: Ints, to: npt.NDArray[np.int32], squeeze: bool) -> tuple[Bytes, Ints]:
    out = np.empty(GROWTH * int(offsets[-1] - offsets[0]) + 4, np.uint8)
    bounds = np.zeros(len(offsets), np.int64)
    _write(data, offsets, unicode.flags(), to, squeeze, out, bounds)
    return out[: int(bounds[-1])].copy(), bounds


@kernel
def _write(
    data: Bytes, offsets: Ints, flags: Bytes, to: npt.NDArray[np.int32], squeeze: bool, out: Bytes, bounds: Ints
) -> None:
    w = 0
    for d in range(len(offsets) - 1):
        at, stop, begin, gap = offsets[d], offsets[d + 1], w, False
        while at < stop:
            code, size = unicode.code_point(data, at)
            at += size
            if squeeze and flags[code] & unicode.SPACE:
                gap = w > begin
                continue
            if gap:
                out[w] = 32
                w += 1
                gap = False
            w = _put(out, w, to[code])
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
