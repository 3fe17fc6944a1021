"""Shingles: hashes of every n neighbouring words of a folded text, and what stays smallest of them when shuffled.

Folded is: lower case, accents off (NFD without combining marks), each run of digits one 0, punctuation and whitespace
between words. Folding, splitting and hashing are one pass over the bytes, and no folded text is written.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from seedbed.text import unicode
from seedbed.text.hashing import GOLDEN, extend, mix, slot, splitmix, table_mask
from seedbed.text.kernel import Bytes, Hashes, Ints, kernel

Codes = npt.NDArray[np.int32]
"""A folded character for each code point, or where it is several."""
Small = npt.NDArray[np.uint32]
"""Numbers of 32 bits: twice as many to a machine's vector as of 64."""

_BETWEEN, _ZERO, _NONE = 32, 48, -1
_LARGEST = np.uint32(0xFFFFFFFF)
_S32 = np.uint64(32)


def shingles(data: Bytes, offsets: Ints, ngram: int) -> tuple[Ints, Hashes]:
    """(first, hash): shingle s of document d is first[d] <= s < first[d + 1], in order of text, repeats and all.

    A document of fewer than ngram words, but one at least, is one shingle.
    """
    known = unicode.tables()
    first = np.zeros(len(offsets), np.int64)
    found = np.empty((int(offsets[-1] - offsets[0]) + len(offsets)) // 2 + 1, np.uint64)
    n = _all_shingles(data, offsets, known.folded, known.expansions, splitmix(0, ngram), first, found)
    return first, found[:n].copy()


def band_keys(
    data: Bytes, offsets: Ints, ngram: int, bands: int, rows: int, seed: int, left_out: Hashes | None = None
) -> Hashes:
    """key_BN: one hash a band and document over `rows` minima; 0 for a document without words.

    Shingles whose hash is among `left_out` do not count, unless a document has no others.

    Minimum k of a document is the smallest (a_k * x + b_k) mod 2**32 over the upper halves x of its shingles' hashes.
    """
    known = unicode.tables()
    numbers = (splitmix(seed, 2 * bands * rows) >> _S32).astype(np.uint32)
    factors, terms = numbers[: bands * rows] | np.uint32(1), numbers[bands * rows :]
    keys = np.zeros((bands, len(offsets) - 1), np.uint64)
    skip = np.zeros(0, np.uint64) if left_out is None else left_out
    _sketch(data, offsets, known.folded, known.expansions, splitmix(0, ngram), factors, terms, skip, keys)
    return keys


def folded_hashes(data: Bytes, start: Ints, end: Ints, otherwise: Hashes) -> Hashes:
    """The hash of the folded words of each passage data[start:end]; that of `otherwise` where it has none."""
    known = unicode.tables()
    found = otherwise.copy()
    _hash_passages(data, start, end, known.folded, known.expansions, found)
    return found


@kernel
def _all_shingles(
    data: Bytes, offsets: Ints, folded: Codes, expansions: Codes, factors: Hashes, first: Ints, found: Hashes
) -> int:
    n = 0
    words = np.empty(_most_words(offsets), np.uint64)
    for d in range(len(offsets) - 1):
        n_words = _folded_words(data, offsets[d], offsets[d + 1], folded, expansions, words)
        n += _join(words, n_words, factors, found[n:])
        first[d + 1] = n
    return n


@kernel
def _sketch(
    data: Bytes,
    offsets: Ints,
    folded: Codes,
    expansions: Codes,
    word_factors: Hashes,
    factors: Small,
    terms: Small,
    skip: Hashes,
    keys: Hashes,
) -> None:
    n_bands, n_rows = len(keys), len(factors) // len(keys)
    table, used = _table(skip)
    most = _most_words(offsets)
    words, found = np.empty(most, np.uint64), np.empty(most, np.uint64)
    minima = np.empty(len(factors), np.uint32)
    for d in range(len(offsets) - 1):
        n_words = _folded_words(data, offsets[d], offsets[d + 1], folded, expansions, words)
        if n_words == 0:
            continue
        n_shingles = _join(words, n_words, word_factors, found)
        if len(skip) > 0:
            n_shingles = _without(found, n_shingles, table, used)
        minima[:] = _LARGEST
        for s in range(n_shingles):
            _lower(minima, factors, terms, np.uint32(found[s] >> _S32))
        for band in range(n_bands):
            state = np.uint64(band + 1)
            for row in range(n_rows):
                state = extend(state, np.uint64(minima[band * n_rows + row]))
            keys[band, d] = max(mix(state), np.uint64(1))


@kernel
def _hash_passages(data: Bytes, start: Ints, end: Ints, folded: Codes, expansions: Codes, found: Hashes) -> None:
    most = 1
    for p in range(len(start)):
        most = max(most, (end[p] - start[p]) // 2 + 1)
    words = np.empty(most, np.uint64)
    for p in range(len(start)):
        n_words = _folded_words(data, start[p], end[p], folded, expansions, words)
        if n_words > 0:
            state = np.uint64(n_words)
            for w in range(n_words):
                state = extend(state, words[w])
            found[p] = mix(state)


@kernel
def _most_words(offsets: Ints) -> int:
    """A bound for the words of any document: each is a byte at least, and so is what parts it from the next."""
    most = 1
    for d in range(len(offsets) - 1):
        most = max(most, (offsets[d + 1] - offsets[d]) // 2 + 1)
    return most


@kernel
def _table(items: Hashes) -> tuple[Hashes, Ints]:
    mask = table_mask(len(items))
    table, used = np.empty(mask + 1, np.uint64), np.zeros(mask + 1, np.int64)
    for item in items:
        at = slot(table, used, mask, item)
        table[at], used[at] = item, 1
    return table, used


@kernel
def _without(found: Hashes, n: int, table: Hashes, used: Ints) -> int:
    """Move what is not in the table to the front; its number, or all where that is none."""
    left, mask = 0, len(table) - 1
    for s in range(n):
        if used[slot(table, used, mask, found[s])] == 0:
            found[left], found[s] = found[s], found[left]
            left += 1
    return left if left > 0 else n


@kernel
def _lower(minima: Small, factors: Small, terms: Small, shingle: np.uint32) -> None:
    for k in range(len(minima)):
        value = np.uint32(factors[k] * shingle + terms[k])
        if value < minima[k]:
            minima[k] = value


@kernel
def _join(words: Hashes, n_words: int, factors: Hashes, found: Hashes) -> int:
    """Hashes of the n-grams of words: multilinear, so that order counts; their number."""
    ngram = len(factors)
    n_shingles = max(1, n_words - ngram + 1) if n_words > 0 else 0
    for s in range(n_shingles):
        total = np.uint64(0)
        for k in range(min(ngram, n_words)):
            total += words[s + k] * (factors[k] | np.uint64(1))
        found[s] = mix(total)
    return n_shingles


@kernel
def _folded_words(data: Bytes, start: int, stop: int, folded: Codes, expansions: Codes, words: Hashes) -> int:
    """Hashes of the folded words of one document; their number."""
    n, at = 0, start
    state, last = np.uint64(0), _NONE
    while at < stop:
        if data[at] < 0x80:
            one = folded[data[at]]
            at += 1
            if one == _BETWEEN:
                if last != _NONE:
                    words[n] = mix(state)
                    n += 1
                    state, last = np.uint64(0), _NONE
            elif one != _ZERO or last != _ZERO:
                state = (state + np.uint64(one + 1)) * GOLDEN
                last = one
            continue
        code, size = unicode.code_point(data, at)
        at += size
        target = folded[code]
        many = target < unicode.REMOVED
        for k in range(4 if many else 1):
            one = expansions[-2 - target, k] if many else target
            if one == unicode.REMOVED:
                break
            if one == _BETWEEN:  # as above: as a kernel of its own this would cost ASCII text half its speed
                if last != _NONE:
                    words[n] = mix(state)
                    n += 1
                    state, last = np.uint64(0), _NONE
            elif one != _ZERO or last != _ZERO:
                state = (state + np.uint64(one + 1)) * GOLDEN
                last = one
    if last != _NONE:
        words[n] = mix(state)
        n += 1
    return n
