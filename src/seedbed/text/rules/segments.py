"""Lines and paragraphs as Python's own functions cut them, whitespace and empty ones kept: what some dialects count.

For lines that are trimmed and not blank see lines.py.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from seedbed.core.nouns import DocumentBatch
from seedbed.text import unicode
from seedbed.text.kernel import Bytes, Ints, kernel
from seedbed.text.rules.lines import Segments, describe, trim
from seedbed.text.vectors import ALL, BLOCK, NONE, ONE, between, count_bits, lowest_bit

_NEWLINE, _RETURN = 10, 13


@dataclasses.dataclass(frozen=True)
class Bounds:
    """Segment s of document d: first[d] <= s < first[d + 1], bytes start[s] to end[s]."""

    first: Ints
    start: Ints
    end: Ints

    @property
    def per_document(self) -> Ints:
        """Segments of each document."""
        return np.diff(self.first)


def characters(documents: DocumentBatch) -> Ints:
    """Code points of each document, whitespace among them."""
    data, offsets = documents.text_buffers()
    counts = np.empty(len(documents), np.int64)
    _count_characters(data, offsets, counts)
    return counts


def newline_lines(documents: DocumentBatch) -> Segments:
    """`text.split("\n")`: empty lines count, and so does what follows the last newline."""
    data, offsets = documents.text_buffers()
    return _cut_at_newlines(data, offsets[:-1], offsets[1:], 1, False)


def newline_run_lines(documents: DocumentBatch) -> Segments:
    """`re.split("\n+", text)`: only the first and the last can be empty."""
    data, offsets = documents.text_buffers()
    return _cut_at_newlines(data, offsets[:-1], offsets[1:], 1, True)


def newline_run_paragraphs(documents: DocumentBatch) -> Segments:
    """`re.split("\n{2,}", text.strip())`."""
    data, offsets = documents.text_buffers()
    begins, stops = offsets[:-1].copy(), offsets[1:].copy()
    _trim_all(data, unicode.flags(), begins, stops)
    return _cut_at_newlines(data, begins, stops, 2, True)


def filled_lines(documents: DocumentBatch) -> Segments:
    """Those of `newline_lines` that are not blank, with the whitespace around them."""
    found = documents.derive(newline_lines)
    begins, stops = found.start.copy(), found.end.copy()
    _trim_all(documents.text_buffers()[0], unicode.flags(), begins, stops)
    filled = begins < stops
    first = np.zeros(len(filled) + 1, np.int64)
    np.cumsum(filled, out=first[1:])
    return Segments(first[found.first], found.start[filled], found.end[filled], found.chars[filled], found.hash[filled])


def python_lines(documents: DocumentBatch) -> Bounds:
    """`text.splitlines()`, each trimmed; blank ones stay, and are empty."""
    data, offsets = documents.text_buffers()
    bound = _count_breaks(data, offsets) + len(offsets)
    first, start, end = np.zeros(len(offsets), np.int64), np.empty(bound, np.int64), np.empty(bound, np.int64)
    n = _cut_at_breaks(data, offsets, first, start, end)
    _trim_all(data, unicode.flags(), start[:n], end[:n])
    return Bounds(first, start[:n], end[:n])


def _cut_at_newlines(data: Bytes, begins: Ints, stops: Ints, least: int, together: bool) -> Segments:
    """Cut at every run of `least` newlines or more; at each newline of a run where they do not go `together`."""
    bound = int(np.count_nonzero(data == _NEWLINE)) + len(begins)
    first, start, end = np.zeros(len(begins) + 1, np.int64), np.empty(bound, np.int64), np.empty(bound, np.int64)
    n = _cut(data, begins, stops, least, together, first, start, end)
    found = Segments(first, start[:n], end[:n], np.empty(n, np.int64), np.empty(n, np.uint64))
    describe(data, found.start, found.end, found.chars, found.hash)
    return found


@kernel
def _count_characters(data: Bytes, offsets: Ints, counts: Ints) -> None:
    for d in range(len(counts)):
        counts[d] = unicode.count_characters(data, offsets[d], offsets[d + 1])


@kernel
def _cut(
    data: Bytes, begins: Ints, stops: Ints, least: int, together: bool, first: Ints, start: Ints, end: Ints
) -> int:
    n = 0
    for d in range(len(begins)):
        begin, stop = begins[d], stops[d]
        for at in range(begin, stop, BLOCK):
            newlines = between(data, at, _NEWLINE, _NEWLINE)
            while newlines != NONE:
                newline = at + lowest_bit(newlines)
                newlines &= newlines - ONE
                if newline >= stop:
                    break
                if newline < begin:  # within a run that is done with
                    continue
                after = newline + 1
                while together and after < stop and data[after] == _NEWLINE:
                    after += 1
                if after - newline < least:
                    continue
                start[n], end[n] = begin, newline
                n += 1
                begin = after
        start[n], end[n] = begin, stop
        n += 1
        first[d + 1] = n
    return n


@kernel
def _trim_all(data: Bytes, flags: Bytes, start: Ints, end: Ints) -> None:
    for s in range(len(start)):
        start[s], end[s] = trim(data, start[s], end[s], flags)


@kernel
def _count_breaks(data: Bytes, offsets: Ints) -> int:
    n = 0
    for d in range(len(offsets) - 1):
        for at in range(offsets[d], offsets[d + 1], BLOCK):
            n += count_bits(_breaks(data, at, offsets[d + 1]))
    return n


@kernel
def _cut_at_breaks(data: Bytes, offsets: Ints, first: Ints, start: Ints, end: Ints) -> int:
    n = 0
    for d in range(len(offsets) - 1):
        begin, stop = offsets[d], offsets[d + 1]
        for at in range(begin, stop, BLOCK):
            breaks = _breaks(data, at, stop)
            while breaks != NONE:
                place = at + lowest_bit(breaks)
                breaks &= breaks - ONE
                size = 1 if data[place] < 0x80 else 2 if data[place] < 0xE0 else 3
                if data[place] == _NEWLINE and place == begin > offsets[d] and data[place - 1] == _RETURN:
                    begin += 1  # the second half of a CR LF
                    continue
                start[n], end[n] = begin, place
                n += 1
                begin = place + size
        if begin < stop:
            start[n], end[n] = begin, stop
            n += 1
        first[d + 1] = n
    return n


@kernel
def _breaks(data: Bytes, at: int, stop: int) -> np.uint64:
    """Bits of where a line break begins in the block at `at`: LF, VT, FF, CR, FS, GS, RS, NEL, U+2028, U+2029."""
    found = between(data, at, 10, 13) | between(data, at, 28, 30)
    leads = between(data, at, 0xC2, 0xC2) | between(data, at, 0xE2, 0xE2)
    beyond = NONE if stop - at >= BLOCK else ALL << np.uint64(stop - at)
    leads &= ~beyond
    while leads != NONE:
        place = lowest_bit(leads)
        leads &= leads - ONE
        code, _ = unicode.code_point(data, at + place)
        if code == 0x85 or code == 0x2028 or code == 0x2029:
            found |= ONE << np.uint64(place)
    return found & ~beyond
