"""Lines and paragraphs that are not blank, trimmed of whitespace, in flat arrays for a whole batch."""

from __future__ import annotations

import dataclasses
from typing import TypeAlias

import numpy as np

from seedbed.core.nouns import DocumentBatch
from seedbed.text import unicode
from seedbed.text.hashing import extend, hash_range, slot, table_mask
from seedbed.text.kernel import Bytes, Hashes, Ints, kernel, leaf
from seedbed.text.unicode import count_characters
from seedbed.text.vectors import BLOCK, NONE, ONE, between, count_bits, lowest_bit

_NEWLINE = 10
_SEED = np.uint64(0x6C696E65)

Columns: TypeAlias = tuple[Ints, Ints, Ints, Ints, Hashes]


@dataclasses.dataclass(frozen=True)
class Segments:
    """Segment s of document d: first[d] <= s < first[d + 1].

    Args:
        first: index of each document's first segment (documents + 1).
        start, end: byte bounds after trimming; never empty.
        chars: length in code points between them.
        hash: 64-bit hash of the bytes between them; of a paragraph, of its lines and the gaps between them.
    """

    first: Ints
    start: Ints
    end: Ints
    chars: Ints
    hash: Hashes

    @property
    def per_document(self) -> Ints:
        """Segments of each document."""
        return np.diff(self.first)


@dataclasses.dataclass(frozen=True)
class Repeats:
    """Per document, counts over its segments.

    Args:
        n, chars: all segments and their characters.
        repeated, repeated_chars: those whose text occurs more than once, every occurrence counted.
        later, later_chars: second and further occurrences only.
    """

    n: Ints
    chars: Ints
    repeated: Ints
    repeated_chars: Ints
    later: Ints
    later_chars: Ints


def lines(documents: DocumentBatch) -> Segments:
    """What lies between newlines; ask through `documents.derive(lines)`."""
    return split_lines(*documents.text_buffers())


def paragraphs(documents: DocumentBatch) -> Segments:
    """What lies between two or more newlines in a row; ask through `documents.derive(paragraphs)`."""
    return join_lines(documents.text_buffers()[0], documents.derive(lines))


def line_repeats(documents: DocumentBatch) -> Repeats:
    """The repeats among lines; ask through `documents.derive(line_repeats)`."""
    return repeats(documents.derive(lines))


def paragraph_repeats(documents: DocumentBatch) -> Repeats:
    """The repeats among paragraphs; ask through `documents.derive(paragraph_repeats)`."""
    return repeats(documents.derive(paragraphs))


def split_lines(data: Bytes, offsets: Ints) -> Segments:
    """The lines of texts given as (bytes, offsets)."""
    flags = unicode.flags()
    first = np.zeros(len(offsets), np.int64)
    bound = _count_newlines(data, offsets[0], offsets[-1]) + len(offsets)
    start, end = np.empty(bound, np.int64), np.empty(bound, np.int64)
    n = _find(data, offsets, flags, first, start, end)
    found = Segments(first, start[:n], end[:n], np.empty(n, np.int64), np.empty(n, np.uint64))
    describe(data, found.start, found.end, found.chars, found.hash)
    return found


def join_lines(data: Bytes, parts: Segments) -> Segments:
    """The paragraphs that lines make up."""
    n = len(parts.start)
    first, start, end, chars = np.zeros(len(parts.first), np.int64), *(np.empty(n, np.int64) for _ in range(3))
    hashes = np.empty(n, np.uint64)
    n = _join(data, (parts.first, parts.start, parts.end, parts.chars, parts.hash), (first, start, end, chars, hashes))
    return Segments(first, start[:n], end[:n], chars[:n], hashes[:n])


def repeats(segments: Segments) -> Repeats:
    """How often segments repeat within their document."""
    counts = np.zeros((6, len(segments.first) - 1), np.int64)
    _repeats(segments.first, segments.chars, segments.hash, counts)
    return Repeats(*counts)


@kernel
def _count_newlines(data: Bytes, begin: int, close: int) -> int:
    """Newlines in data[begin:close], or some more."""
    n = 0
    for at in range(begin, close, BLOCK):
        n += count_bits(between(data, at, _NEWLINE, _NEWLINE))
    return n


@kernel
def _find(data: Bytes, offsets: Ints, flags: Bytes, first: Ints, start: Ints, end: Ints) -> int:
    """Bounds of all lines that are not blank."""
    n = 0
    for d in range(len(offsets) - 1):
        begin, stop = offsets[d], offsets[d + 1]
        for at in range(begin, stop, BLOCK):
            newlines = between(data, at, _NEWLINE, _NEWLINE)
            while newlines != NONE:
                newline = at + lowest_bit(newlines)
                newlines &= newlines - ONE
                if newline >= stop:
                    break
                start[n], end[n] = trim(data, begin, newline, flags)
                n += start[n] < end[n]
                begin = newline + 1
        if begin < stop:
            start[n], end[n] = trim(data, begin, stop, flags)
            n += start[n] < end[n]
        first[d + 1] = n
    return n


@kernel
def describe(data: Bytes, start: Ints, end: Ints, chars: Ints, hashes: Hashes) -> None:
    """Fill in the hash of every segment."""
    for s in range(len(start)):
        hashes[s] = hash_range(data, start[s], end[s], _SEED)
        chars[s] = count_characters(data, start[s], end[s])


@leaf
def trim(data: Bytes, begin: int, close: int, flags: Bytes) -> tuple[int, int]:
    """The bounds without whitespace at either end."""
    if begin < close and 32 < data[begin] < 128 and 32 < data[close - 1] < 128:
        return begin, close
    while begin < close:
        code, size = unicode.code_point(data, begin)
        if not flags[code] & unicode.SPACE:
            break
        begin += size
    while begin < close:
        last = close - 1
        while data[last] & 0xC0 == 0x80:
            last -= 1
        code, _ = unicode.code_point(data, last)
        if not flags[code] & unicode.SPACE:
            break
        close = last
    return begin, close


@kernel
def _join(data: Bytes, lines: Columns, found: Columns) -> int:
    first, start, end, chars, hashes = found
    p = 0
    for d in range(len(first) - 1):
        for s in range(lines[0][d], lines[0][d + 1]):
            line_start, line_end, line_chars = lines[1][s], lines[2][s], lines[3][s]
            if s > lines[0][d] and not _has_blank_line(data, end[p - 1], line_start):
                chars[p - 1] += count_characters(data, end[p - 1], line_start) + line_chars
                end[p - 1] = line_end
                hashes[p - 1] = extend(hashes[p - 1], hash_range(data, lines[2][s - 1], line_start, _SEED))
                hashes[p - 1] = extend(hashes[p - 1], lines[4][s])
            else:
                start[p], end[p], chars[p], hashes[p] = line_start, line_end, line_chars, lines[4][s]
                p += 1
        first[d + 1] = p
    return p


@kernel
def _has_blank_line(data: Bytes, begin: int, close: int) -> bool:
    """Whether two newlines follow one another in data[begin:close]."""
    at = begin + 1
    while at < close and not (data[at - 1] == _NEWLINE and data[at] == _NEWLINE):
        at += 1
    return at < close


@kernel
def _repeats(first: Ints, chars: Ints, hashes: Hashes, counts: Ints) -> None:
    most = 0
    for d in range(len(first) - 1):
        most = max(most, first[d + 1] - first[d])
    size = table_mask(most) + 1
    keys, seen = np.empty(size, np.uint64), np.zeros(size, np.int64)
    for d in range(len(first) - 1):
        n = first[d + 1] - first[d]
        mask = table_mask(n)
        seen[: mask + 1] = 0
        for s in range(first[d], first[d + 1]):
            at = slot(keys, seen, mask, hashes[s])
            if seen[at] > 0:
                counts[4, d] += 1
                counts[5, d] += chars[s]
            keys[at] = hashes[s]
            seen[at] += 1
        for s in range(first[d], first[d + 1]):
            counts[1, d] += chars[s]
            if seen[slot(keys, seen, mask, hashes[s])] > 1:
                counts[2, d] += 1
                counts[3, d] += chars[s]
        counts[0, d] = n
