"""Windows: every run of n neighbouring tokens of a text, hashed, and the bytes that a choice of windows covers.

A token is a run of letters, digits and marks, or one character of punctuation, or one letter of a script that is
written without spaces. Windows begin at every token, so a passage of n tokens or more that stands in two places is
exactly a run of windows with equal keys.
"""

from __future__ import annotations

import dataclasses
from functools import cache

import numpy as np

from seedbed.text import unicode
from seedbed.text.hashing import GOLDEN, hash_range, mix, slot, table_mask
from seedbed.text.kernel import Bytes, Flags, Hashes, Ints, kernel

_SPACE, _JOINS, _ALONE = range(3)
_SEED = np.uint64(0x77696E64)
_NO_SPACES = """
E00-EFF 1000-109F 1780-17FF 1950-19DF 1A20-1AAF 3005-3007 3021-3029 3041-30FF 31F0-31FF 3400-4DBF 4E00-9FFF A9E0-A9FF
AA60-AADF F900-FAFF 11700-1174F 1B000-1B167 20000-323AF
"""


@dataclasses.dataclass(frozen=True)
class Tokens:
    """Token t of document d: first[d] <= t < first[d + 1], from byte start[t] to end[t]."""

    first: Ints
    start: Ints
    end: Ints
    hash: Hashes


def tokens(data: Bytes, offsets: Ints) -> Tokens:
    """The tokens of texts given as (bytes, offsets)."""
    bound = int(offsets[-1] - offsets[0])
    first = np.zeros(len(offsets), np.int64)
    start, end, hashes = np.empty(bound, np.int64), np.empty(bound, np.int64), np.empty(bound, np.uint64)
    n = _tokens(data, offsets, _kinds(), first, start, end, hashes)
    return Tokens(first, start[:n].copy(), end[:n].copy(), hashes[:n].copy())


def windows(found: Tokens, n_tokens: int) -> tuple[Ints, Hashes]:
    """(first, key): window w of document d is first[d] <= w < first[d + 1] and begins at its token w - first[d]."""
    counts = np.maximum(0, np.diff(found.first) - n_tokens + 1)
    first = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
    keys = np.empty(int(first[-1]), np.uint64)
    _windows(found.first, found.hash, n_tokens, first, keys)
    return first, keys


def covered(data: Bytes, offsets: Ints, found: Tokens, n_tokens: int, repeated: Flags) -> tuple[Ints, Ints, Ints]:
    """(row, start, end) of the bytes of repeated windows, with the whitespace that would be left over.

    Where a repeated window overlaps the same window in the same document that is none, as in a word said over and over,
    only what lies behind that one is covered.
    """
    first, keys = windows(found, n_tokens)
    spans = np.empty((3, int(np.count_nonzero(repeated))), np.int64)
    at = (found.first, found.start, found.end)
    n = _covered(data, offsets, _kinds(), at, first, keys, n_tokens, repeated, spans)
    return spans[0, :n].copy(), spans[1, :n].copy(), spans[2, :n].copy()


@cache
def _kinds() -> Bytes:
    flags = unicode.flags()
    kinds = np.full(unicode.N_CODE_POINTS, _JOINS, np.uint8)
    for block in _NO_SPACES.split():
        low, high = (int(end, 16) for end in block.split("-"))
        kinds[low : high + 1] = _ALONE
    kinds[flags & unicode.PUNCTUATION != 0] = _ALONE
    kinds[flags & unicode.SPACE != 0] = _SPACE
    kinds.flags.writeable = False
    return kinds


@kernel
def _tokens(data: Bytes, offsets: Ints, kinds: Bytes, first: Ints, start: Ints, end: Ints, hashes: Hashes) -> int:
    n = 0
    for d in range(len(offsets) - 1):
        at, stop = offsets[d], offsets[d + 1]
        while at < stop:
            code, size = unicode.code_point(data, at)
            kind, begin = kinds[code], at
            at += size
            if kind == _SPACE:
                continue
            while kind == _JOINS and at < stop:
                code, size = unicode.code_point(data, at)
                if kinds[code] != _JOINS:
                    break
                at += size
            start[n], end[n], hashes[n] = begin, at, hash_range(data, begin, at, _SEED)
            n += 1
        first[d + 1] = n
    return n


@kernel
def _windows(first_token: Ints, hashes: Hashes, n_tokens: int, first: Ints, keys: Hashes) -> None:
    """A polynomial in the tokens' hashes, one token in and one out at a time."""
    leaving = np.uint64(1)
    for _ in range(n_tokens):
        leaving *= GOLDEN
    for d in range(len(first) - 1):
        if first[d] == first[d + 1]:
            continue
        total = np.uint64(0)
        for t in range(first_token[d], first_token[d] + n_tokens):
            total = total * GOLDEN + hashes[t]
        keys[first[d]] = mix(total)
        for w in range(first[d] + 1, first[d + 1]):
            t = first_token[d] + w - first[d]
            total = total * GOLDEN + hashes[t + n_tokens - 1] - leaving * hashes[t - 1]
            keys[w] = mix(np.uint64(total))


@kernel
def _covered(
    data: Bytes,
    offsets: Ints,
    kinds: Bytes,
    tokens: tuple[Ints, Ints, Ints],
    first: Ints,
    keys: Hashes,
    n_tokens: int,
    repeated: Flags,
    spans: Ints,
) -> int:
    first_token, start, end = tokens
    n = 0
    for d in range(len(first) - 1):
        n_windows = first[d + 1] - first[d]
        there = repeated[first[d] : first[d + 1]]
        if not there.any():
            continue
        earliest = _not_repeated(keys[first[d] : first[d + 1]], there)
        until = first_token[d]  # tokens before this one are covered or stay
        for w in range(n_windows):
            if not there[w]:
                continue
            low, high = first_token[d] + w, first_token[d] + w + n_tokens
            if 0 <= earliest[w] < w:
                low = max(low, first_token[d] + earliest[w] + n_tokens)
            low = max(low, until)
            if low >= high:
                continue
            if n > 0 and spans[0, n - 1] == d and low == until and until > first_token[d]:
                spans[2, n - 1] = end[high - 1]
            else:
                spans[0, n], spans[1, n], spans[2, n] = d, start[low], end[high - 1]
                n += 1
            until = high
        _take_gaps(data, offsets, kinds, spans, d, n)
    return n


@kernel
def _not_repeated(keys: Hashes, repeated: Flags) -> Ints:
    """For each window the place of the window with the same key that is not repeated, or -1."""
    mask = table_mask(len(keys))
    table, counts, places = np.empty(mask + 1, np.uint64), np.zeros(mask + 1, np.int64), np.empty(mask + 1, np.int64)
    for w in range(len(keys)):
        if not repeated[w]:
            at = slot(table, counts, mask, keys[w])
            table[at], counts[at], places[at] = keys[w], 1, w
    found = np.full(len(keys), -1, np.int64)
    for w in range(len(keys)):
        at = slot(table, counts, mask, keys[w])
        if counts[at] != 0:
            found[w] = places[at]
    return found


@kernel
def _take_gaps(data: Bytes, offsets: Ints, kinds: Bytes, spans: Ints, d: int, n: int) -> None:
    """Let the spans of document d take the whitespace behind them, or before them at the end of the text."""
    for s in range(n - 1, -1, -1):
        if spans[0, s] != d:
            break
        low, high = spans[1, s], spans[2, s]
        is_open = low == offsets[d] or kinds[_code_before(data, low)] == _SPACE
        while is_open and high < offsets[d + 1]:
            code, size = unicode.code_point(data, high)
            if kinds[code] != _SPACE:
                break
            high += size
        while high == offsets[d + 1] and low > offsets[d] and kinds[_code_before(data, low)] == _SPACE:
            low -= _size_before(data, low)
        spans[1, s], spans[2, s] = low, high


@kernel
def _size_before(data: Bytes, at: int) -> int:
    size = 1
    while data[at - size] & 0xC0 == 0x80:
        size += 1
    return size


@kernel
def _code_before(data: Bytes, at: int) -> int:
    code, _ = unicode.code_point(data, at - _size_before(data, at))
    return code
