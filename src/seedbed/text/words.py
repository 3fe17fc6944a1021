"""Words: maximal runs without whitespace, as `str.split()` finds them, in flat arrays for a whole batch."""

from __future__ import annotations

import dataclasses

import numpy as np

from seedbed.core.nouns import DocumentBatch
from seedbed.text import unicode
from seedbed.text.hashing import extend, mix
from seedbed.text.kernel import Bytes, Flags, Hashes, Ints, kernel


@dataclasses.dataclass(frozen=True)
class Words:
    """Word w of document d: first[d] <= w < first[d + 1].

    Args:
        first: index of each document's first word (documents + 1).
        start, end: byte bounds of every word.
        chars: its length in code points.
        hash: 64-bit hash of its code points.
        alphabetic: whether it has at least one letter (`str.isalpha` of a character).
    """

    first: Ints
    start: Ints
    end: Ints
    chars: Ints
    hash: Hashes
    alphabetic: Flags

    @property
    def per_document(self) -> Ints:
        """Words of each document."""
        return np.diff(self.first)


def words(documents: DocumentBatch) -> Words:
    """The words of a batch: ask through `documents.derive(words)`, so that all methods share them."""
    return split(*documents.text_buffers())


def split(data: Bytes, offsets: Ints) -> Words:
    """The words of texts given as (bytes, offsets)."""
    flags = unicode.flags()
    first = np.zeros(len(offsets), np.int64)
    _count(data, offsets, flags, first)
    np.cumsum(first, out=first)
    n = int(first[-1])
    start, end, chars = (np.empty(n, np.int64) for _ in range(3))
    found = Words(first, start, end, chars, np.empty(n, np.uint64), np.empty(n, np.bool_))
    _fill(data, offsets, flags, found.first, found.start, found.end, found.chars, found.hash, found.alphabetic)
    return found


@kernel
def _count(data: Bytes, offsets: Ints, flags: Bytes, n_words: Ints) -> None:
    """n_words[d + 1] = words of document d."""
    for d in range(len(offsets) - 1):
        at, stop = offsets[d], offsets[d + 1]
        n, was_space = 0, True
        while at < stop:
            code, size = unicode.code_point(data, at)
            is_space = flags[code] & unicode.SPACE != 0
            if was_space and not is_space:
                n += 1
            was_space = is_space
            at += size
        n_words[d + 1] = n


@kernel
def _fill(
    data: Bytes,
    offsets: Ints,
    flags: Bytes,
    first: Ints,
    start: Ints,
    end: Ints,
    chars: Ints,
    hashes: Hashes,
    alphabetic: Flags,
) -> None:
    for d in range(len(offsets) - 1):
        at, stop, w = offsets[d], offsets[d + 1], first[d]
        while at < stop:
            code, size = unicode.code_point(data, at)
            kind = flags[code]
            if kind & unicode.SPACE:
                at += size
                continue
            start[w] = at
            n, kinds, state = 0, np.uint8(0), np.uint64(0)
            while not kind & unicode.SPACE:
                n += 1
                kinds |= kind
                state = extend(state, np.uint64(code + 1))
                at += size
                if at >= stop:
                    break
                code, size = unicode.code_point(data, at)
                kind = flags[code]
            end[w], chars[w], hashes[w], alphabetic[w] = at, n, mix(state), kinds & unicode.ALPHA != 0
            w += 1
