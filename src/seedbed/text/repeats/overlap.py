"""N-grams of plain words that texts share with a list of known ones.

Plain words are lower-cased runs of letters, digits and marks. Punctuation parts words, except an apostrophe, a full
stop or a comma between two letters or digits, which goes: don't, U.S. and 3,000 are one word each, however written. In
scripts without spaces every smallest unit of writing is a word. What is left is compared by 64-bit hashes.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from seedbed.core.nouns import DocumentBatch
from seedbed.text import unicode
from seedbed.text.hashing import extend, mix, slot, table_mask
from seedbed.text.kernel import Bytes, Hashes, Ints, kernel
from seedbed.text.rows import noted
from seedbed.text.words.scripts import spaced

_FACTOR = np.uint64(0x2545F4914F6CDD1D)
"""Odd, so that no power of it vanishes modulo 2^64; words are mixed 64-bit hashes before they are multiplied."""
_JOINERS = (0x27, 0x2019, 0x2E, 0x2C)  # ' ’ . ,
_BITS_PER_GRAM = 16
_ONE, _LOW6, _SHIFT = np.uint64(1), np.uint64(63), np.uint64(6)


@dataclasses.dataclass(frozen=True)
class PlainWords:
    """Word w of document d: first[d] <= w < first[d + 1].

    Args:
        data: the texts; with spaces put between words that have none.
        first: index of each document's first word (documents + 1).
        start, end: byte bounds of every word in `data`.
        hash: 64-bit hash of the plain word, never 0.
    """

    data: Bytes
    first: Ints
    start: Ints
    end: Ints
    hash: Hashes


def plain_words(documents: DocumentBatch) -> PlainWords:
    """The plain words of a batch; ask through `documents.derive(plain_words)`."""
    data, offsets = documents.derive(spaced)
    tables = unicode.tables()
    first = np.zeros(len(offsets), np.int64)
    nothing = np.zeros(0, np.int64)
    _words(data, offsets, tables.flags, tables.lower, first, nothing, nothing, np.zeros(0, np.uint64))
    n = int(first[-1])
    start, end, hashes = np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n, np.uint64)
    _words(data, offsets, tables.flags, tables.lower, first, start, end, hashes)
    return PlainWords(data, first, start, end, hashes)


@kernel
def _words(
    data: Bytes,
    offsets: Ints,
    flags: Bytes,
    lower: npt.NDArray[np.int32],
    first: Ints,
    start: Ints,
    end: Ints,
    hashes: Hashes,
) -> None:
    """Count the words; where the last arrays have room, describe them."""
    w = 0
    for d in range(len(offsets) - 1):
        at, stop = offsets[d], offsets[d + 1]
        length, state, begin = 0, np.uint64(0), at
        while at <= stop:
            kind, code, size = unicode.SPACE, 0, 1
            if at < stop:
                code, size = unicode.code_point(data, at)
                kind = int(flags[code])
            if not kind & (unicode.SPACE | unicode.PUNCTUATION):
                if length == 0:
                    begin = at
                state = extend(state, np.uint64(lower[code] + 1))
                length += 1
            elif length > 0 and not (code in _JOINERS and _is_letter(data, at + size, stop, flags)):
                if len(start) > 0:
                    start[w], end[w], hashes[w] = begin, at, max(mix(state), _ONE)
                w, length, state = w + 1, 0, np.uint64(0)
            at += size
        first[d + 1] = w


@kernel
def _is_letter(data: Bytes, at: int, stop: int, flags: Bytes) -> bool:
    """Whether a part of a word stands at `at`."""
    if at >= stop:
        return False
    code, _ = unicode.code_point(data, at)
    return not flags[code] & (unicode.SPACE | unicode.PUNCTUATION)


def ngrams(first: Ints, hashes: Hashes, n: int) -> tuple[Hashes, Ints, Ints]:
    """(gram_G, row_G, place_G): every n-gram, its row, and the number of its first word within the row."""
    per_row = np.maximum(np.diff(first) - n + 1, 0)
    grams = np.empty(int(per_row.sum()), np.uint64)
    _list(first, hashes, n, grams)
    row_G = np.repeat(np.arange(len(per_row)), per_row)
    begins = np.cumsum(per_row) - per_row
    return grams, row_G, np.arange(len(grams)) - begins[row_G]


@kernel
def _list(first: Ints, hashes: Hashes, n: int, grams: Hashes) -> None:
    g, power = 0, _to_the(n)
    for d in range(len(first) - 1):
        state = np.uint64(0)
        for w in range(first[d], first[d + 1]):
            state = _rolled(state, hashes, w, n, first[d], power)
            if w - first[d] + 1 >= n:
                grams[g] = mix(state)
                g += 1


@kernel
def _rolled(state: np.uint64, hashes: Hashes, w: int, n: int, begin: int, power: np.uint64) -> np.uint64:
    """The state over the n words up to w, from that up to the one before; the text's first word is `begin`."""
    state = state * _FACTOR + hashes[w]
    return state - hashes[w - n] * power if w - n >= begin else state


@kernel
def _to_the(n: int) -> np.uint64:
    """The factor to the n, modulo 2^64."""
    power = _ONE
    for _ in range(n):
        power *= _FACTOR
    return power


class KnownGrams:
    """A set of U different hashes, asked which of them texts hold.

    Args:
        gram_G: the hashes, in any order, repeats allowed.

    Attributes:
        number_G: for each hash given, its number 0 .. U - 1.
        size: U.
    """

    def __init__(self, gram_G: Hashes) -> None:
        different, number_G = np.unique(gram_G, return_inverse=True)
        self.number_G: Ints = number_G.astype(np.int64).reshape(-1)
        self.size = len(different)
        self._mask = table_mask(self.size)
        self._keys, self._numbers = np.zeros(self._mask + 1, np.uint64), np.zeros(self._mask + 1, np.int64)
        self._bits = np.zeros((table_mask(self.size * _BITS_PER_GRAM // 2) + 1 + 63) // 64, np.uint64)
        _insert(different, self._keys, self._numbers, self._mask, self._bits)

    def ngrams_in(self, first: Ints, hashes: Hashes, n: int) -> tuple[Ints, Ints, Ints]:
        """(row, place, number) of every n-gram of words that is known: its row, its first word, which one it is."""
        found, n_found = _ngrams_in(first, hashes, n, self._keys, self._numbers, self._mask, self._bits)
        row, place, number, _ = found[:n_found].T
        return row, place, number

    def pairs_in(self, first: Ints, hashes: Hashes, reach: int) -> tuple[Ints, Ints, Ints]:
        """(row, place, number) of every known pair of words at most `reach` apart, in either order."""
        found, n_found = _pairs_in(first, hashes, reach, self._keys, self._numbers, self._mask, self._bits)
        row, place, number, _ = found[:n_found].T
        return row, place, number


@kernel
def _insert(different: Hashes, keys: Hashes, numbers: Ints, mask: int, bits: Hashes) -> None:
    """numbers: 1 + the number of the hash in a place; 0 where it is free."""
    for u in range(len(different)):
        place = slot(keys, numbers, mask, different[u])
        keys[place], numbers[place] = different[u], u + 1
        at = different[u] & np.uint64(len(bits) * 64 - 1)
        bits[at >> _SHIFT] |= _ONE << (at & _LOW6)


@kernel
def _number(gram: np.uint64, keys: Hashes, numbers: Ints, mask: int, bits: Hashes) -> int:
    """The number of a hash, or -1. The bits are asked first: they stay in the processor's cache."""
    at = gram & np.uint64(len(bits) * 64 - 1)
    if not bits[at >> _SHIFT] >> (at & _LOW6) & _ONE:
        return -1
    return int(numbers[slot(keys, numbers, mask, gram)]) - 1


@kernel
def _ngrams_in(
    first: Ints, hashes: Hashes, n: int, keys: Hashes, numbers: Ints, mask: int, bits: Hashes
) -> tuple[Ints, int]:
    found, n_found, power = np.empty((64, 4), np.int64), 0, _to_the(n)
    for d in range(len(first) - 1):
        state = np.uint64(0)
        for w in range(first[d], first[d + 1]):
            state = _rolled(state, hashes, w, n, first[d], power)
            if w - first[d] + 1 >= n:
                number = _number(mix(state), keys, numbers, mask, bits)
                if number >= 0:
                    found, n_found = noted(found, n_found, d, w - n + 1 - first[d], number, 0)
    return found, n_found


@kernel
def pair(one: np.uint64, other: np.uint64) -> np.uint64:
    """The hash of two words in either order."""
    return mix(extend(extend(_ONE, min(one, other)), max(one, other)))


@kernel
def _pairs_in(
    first: Ints, hashes: Hashes, reach: int, keys: Hashes, numbers: Ints, mask: int, bits: Hashes
) -> tuple[Ints, int]:
    found, n_found = np.empty((64, 4), np.int64), 0
    for d in range(len(first) - 1):
        for w in range(first[d], first[d + 1]):
            for v in range(w + 1, min(w + reach + 1, first[d + 1])):
                number = _number(pair(hashes[w], hashes[v]), keys, numbers, mask, bits)
                if number >= 0:
                    found, n_found = noted(found, n_found, d, w - first[d], number, 0)
    return found, n_found


def pairs(first: Ints, hashes: Hashes, reach: int) -> tuple[Hashes, Ints]:
    """(pair_P, row_P): every pair of words at most `reach` apart."""
    n_words = np.diff(first)
    per_row = sum(np.maximum(n_words - gap, 0) for gap in range(1, reach + 1))
    found = np.empty(int(np.sum(per_row)), np.uint64)
    _list_pairs(first, hashes, reach, found)
    return found, np.repeat(np.arange(len(n_words)), per_row)


@kernel
def _list_pairs(first: Ints, hashes: Hashes, reach: int, found: Hashes) -> None:
    p = 0
    for d in range(len(first) - 1):
        for w in range(first[d], first[d + 1]):
            for v in range(w + 1, min(w + reach + 1, first[d + 1])):
                found[p] = pair(hashes[w], hashes[v])
                p += 1


@kernel
def spellings(data: Bytes, start: Ints, end: Ints, word: Ints, n: int, found: Hashes) -> None:
    """found_M: the hash of the bytes of n words from each of M words on, with runs of whitespace as one space."""
    for m in range(len(word)):
        state, was_space = np.uint64(n), False
        for at in range(start[word[m]], end[word[m] + n - 1]):
            is_space = data[at] <= 32
            if not (is_space and was_space):
                state = extend(state, np.uint64(32) if is_space else np.uint64(data[at]))
            was_space = is_space
        found[m] = mix(state)
