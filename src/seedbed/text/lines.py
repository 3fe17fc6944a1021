"""Lines and paragraphs that are not blank, trimmed of whitespace, in flat arrays for a whole batch."""

from __future__ import annotations

import dataclasses

import numpy as np

from seedbed.core.nouns import DocumentBatch
from seedbed.text import unicode
from seedbed.text.hashing import hash_range, slot, table_mask
from seedbed.text.kernel import Bytes, Hashes, Ints, kernel

_NEWLINE = 10
_SEED = np.uint64(0x6C696E65)


@dataclasses.dataclass(frozen=True)
class Segments:
    """Segment s of document d: first[d] <= s < first[d + 1].

    Args:
        first: index of each document's first segment (documents + 1).
        start, end: byte bounds after trimming; never empty.
        chars: length in code points between them.
        hash: 64-bit hash of the bytes between them.
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
    return split(*documents.text_buffers(), newlines=1)


def paragraphs(documents: DocumentBatch) -> Segments:
    """What lies between two or more newlines in a row; ask through `documents.derive(paragraphs)`."""
    return split(*documents.text_buffers(), newlines=2)


def line_repeats(documents: DocumentBatch) -> Repeats:
    """The repeats among lines; ask through `documents.derive(line_repeats)`."""
    return repeats(documents.derive(lines))


def paragraph_repeats(documents: DocumentBatch) -> Repeats:
    """The repeats among paragraphs; ask through `documents.derive(paragraph_repeats)`."""
    return repeats(documents.derive(paragraphs))


def split(data: Bytes, offsets: Ints, newlines: int) -> Segments:
    """The segments between runs of at least `newlines` newlines."""
    text = data[offsets[0] : offsets[-1]]
    bound = int(np.count_nonzero(text == _NEWLINE)) + len(offsets)
    start, end, chars = (np.empty(bound, np.int64) for _ in range(3))
    hashes = np.empty(bound, np.uint64)
    first = np.zeros(len(offsets), np.int64)
    n = _split(data, offsets, unicode.flags(), newlines, first, start, end, chars, hashes)
    return Segments(first, start[:n].copy(), end[:n].copy(), chars[:n].copy(), hashes[:n].copy())


def repeats(segments: Segments) -> Repeats:
    """How often segments repeat within their document."""
    counts = np.zeros((6, len(segments.first) - 1), np.int64)
    _repeats(segments.first, segments.chars, segments.hash, counts)
    return Repeats(*counts)


@kernel
def _split(
    data: Bytes,
    offsets: Ints,
    flags: Bytes,
    newlines: int,
    first: Ints,
    start: Ints,
    end: Ints,
    chars: Ints,
    hashes: Hashes,
) -> int:
    s = 0
    for d in range(len(offsets) - 1):
        at, stop, run = offsets[d], offsets[d + 1], 0
        begin, close, n, n_close = at, at, 0, 0  # n characters since begin, n_close of them up to close
        while at < stop:
            code, size = unicode.code_point(data, at)
            run = run + 1 if code == _NEWLINE else 0
            at += size
            if not flags[code] & unicode.SPACE:
                if n == 0:
                    begin = at - size
                n += 1
                close, n_close = at, n
            elif n > 0:
                n += 1
            if n_close > 0 and (run >= newlines or at == stop):
                start[s], end[s], chars[s] = begin, close, n_close
                hashes[s] = hash_range(data, begin, close, _SEED)
                s += 1
                n, n_close = 0, 0
        first[d + 1] = s
    return s


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
