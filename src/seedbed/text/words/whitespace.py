"""Words: maximal runs without whitespace, as `str.split()` finds them, in flat arrays for a whole batch."""

from __future__ import annotations

import dataclasses

import numpy as np

from seedbed.core.nouns import DocumentBatch
from seedbed.text import unicode
from seedbed.text.hashing import hash_range
from seedbed.text.kernel import Bytes, Flags, Hashes, Ints, kernel, leaf
from seedbed.text.vectors import BLOCK, NONE, ONE, between, count_bits, load, lowest_bit, within

_LAST = np.uint64(BLOCK - 1)
_SEED = np.uint64(0)
_HIGH_BITS = np.uint64(0x8080808080808080)
_LOWER_CASE = np.uint64(0x2020202020202020)
_FROM_A, _AFTER_Z = np.uint64(0x1F1F1F1F1F1F1F1F), np.uint64(0x0505050505050505)
"""Added to an ASCII byte, they set its high bit from "a" on, and after "z"."""


@dataclasses.dataclass(frozen=True)
class Words:
    """Word w of document d: first[d] <= w < first[d + 1].

    Args:
        first: index of each document's first word (documents + 1).
        start, end: byte bounds of every word.
        chars: its length in code points.
        hash: `hash_range` of its bytes with seed 0.
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
    bound = int(offsets[-1] - offsets[0] + len(offsets)) // 2  # a word and the space after it are two bytes at least
    start, end = np.empty(bound, np.int64), np.empty(bound, np.int64)
    n = _find(data, offsets, flags, first, start, end)
    return describe(data, first, start[:n], end[:n])


def describe(data: Bytes, first: Ints, start: Ints, end: Ints) -> Words:
    """The words that have these bounds."""
    n = len(start)
    chars, hashes, alphabetic = np.empty(n, np.int64), np.empty(n, np.uint64), np.empty(n, np.bool_)
    _describe(data, unicode.flags(), start, end, chars, hashes, alphabetic)
    return Words(first, start, end, chars, hashes, alphabetic)


def count_words(documents: DocumentBatch) -> Ints:
    """How many words each document has, where nothing else of them is asked: `documents.derive(count_words)`."""
    data, offsets = documents.text_buffers()
    counts = np.zeros(len(documents), np.int64)
    _count(data, offsets, unicode.flags(), counts)
    return counts


@kernel
def _find(data: Bytes, offsets: Ints, flags: Bytes, first: Ints, start: Ints, end: Ints) -> int:
    """Bounds of all words, by the borders between what is whitespace and what is not."""
    n_starts, n_ends = 0, 0
    for d in range(len(offsets) - 1):
        stop, before, spill = offsets[d + 1], ONE, NONE
        for at in range(offsets[d], stop, BLOCK):
            spaces, spill = _spaces(data, at, stop, flags, spill)
            shifted = spaces << ONE | before
            before = spaces >> _LAST
            borders = ~spaces & shifted
            while borders != NONE:
                start[n_starts] = at + lowest_bit(borders)
                n_starts += 1
                borders &= borders - ONE
            borders = spaces & ~shifted
            while borders != NONE:
                end[n_ends] = at + lowest_bit(borders)
                n_ends += 1
                borders &= borders - ONE
        if n_ends < n_starts:
            end[n_ends] = stop
            n_ends += 1
        first[d + 1] = n_starts
    return n_starts


@kernel
def _count(data: Bytes, offsets: Ints, flags: Bytes, counts: Ints) -> None:
    for d in range(len(offsets) - 1):
        stop, before, spill = offsets[d + 1], ONE, NONE
        for at in range(offsets[d], stop, BLOCK):
            spaces, spill = _spaces(data, at, stop, flags, spill)
            counts[d] += count_bits(~spaces & (spaces << ONE | before))
            before = spaces >> _LAST


@leaf
def _spaces(data: Bytes, at: int, stop: int, flags: Bytes, spill: np.uint64) -> tuple[np.uint64, np.uint64]:
    """(bits of the whitespace in the block at `at`, all set from `stop` on; those that reach into the next block)."""
    spaces = between(data, at, 9, 13) | between(data, at, 28, 32) | spill
    beyond = ~within(at, stop)
    leads = (between(data, at, 0xE1, 0xE3) | between(data, at, 0xC2, 0xC2)) & ~beyond  # of all that is not ASCII
    spill = NONE
    while leads != NONE:
        place = lowest_bit(leads)
        code, size = unicode.code_point(data, at + place)
        if flags[code] & unicode.SPACE:
            bits = (ONE << np.uint64(size)) - ONE
            spaces |= bits << np.uint64(place)
            if place + size > BLOCK:
                spill = bits >> np.uint64(BLOCK - place)
        leads &= leads - ONE
    return spaces | beyond, spill


@kernel
def _describe(
    data: Bytes, flags: Bytes, start: Ints, end: Ints, chars: Ints, hashes: Hashes, alphabetic: Flags
) -> None:
    for w in range(len(start)):
        begin, close = start[w], end[w]
        hashes[w] = hash_range(data, begin, close, _SEED)
        high, letters, at = NONE, NONE, begin
        while at < close:
            eight = load(data, at, close)
            small = eight | _LOWER_CASE
            high |= eight
            letters |= (small + _FROM_A) & ~(small + _AFTER_Z)
            at += 8
        chars[w], alphabetic[w] = close - begin, letters & _HIGH_BITS != NONE
        if high & _HIGH_BITS != NONE:
            chars[w], alphabetic[w] = _look(data, begin, close, flags)


@leaf
def _look(data: Bytes, begin: int, close: int, flags: Bytes) -> tuple[int, bool]:
    """(code points, whether one is a letter), for a word that is not all ASCII."""
    n, kinds, at = 0, np.uint8(0), begin
    while at < close:
        code, size = unicode.code_point(data, at)
        kinds |= flags[code]
        at += size
        n += 1
    return n, kinds & unicode.ALPHA != 0
