"""Texts as counts of hashed n-grams: the rows of a sparse matrix that linear models read.

A word is a run of letters, digits and underscores, or a run of other characters that are not whitespace:
`\\w+|[^\\w\\s]+`.
"""

from __future__ import annotations

import dataclasses
from functools import cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from seedbed.text import unicode
from seedbed.text.hashing import extend, mix
from seedbed.text.kernel import Bytes, Hashes, Ints, kernel

_WORD = unicode.ALPHA | unicode.DIGIT
_UNDERSCORE = 95

Ints32 = npt.NDArray[np.int32]
Floats32 = npt.NDArray[np.float32]
Scale = Literal["l2", "mean", "none"]


@dataclasses.dataclass(frozen=True)
class Csr:
    """A sparse matrix by rows: row i holds value[indptr_N1[i]:indptr_N1[i + 1]] at the columns of the same slice.

    Args:
        indptr_N1: bounds of the rows.
        index: columns, ascending within a row, none twice.
        value: what stands there.
        buckets: how many columns there are.
    """

    indptr_N1: Ints
    index: Ints32
    value: Floats32
    buckets: int

    def __len__(self) -> int:
        return len(self.indptr_N1) - 1

    def scaled(self, how: Scale) -> Csr:
        """Rows of Euclidean length 1 ("l2"), or of sum 1 ("mean": each feature's share); empty rows stay empty."""
        if how == "none" or not len(self):
            return self
        size_N = np.diff(self.indptr_N1)
        total_N = np.zeros(len(self))
        power = self.value.astype(np.float64) ** (2 if how == "l2" else 1)
        filled_N = size_N > 0
        total_N[filled_N] = np.add.reduceat(power, self.indptr_N1[:-1][filled_N]) if len(power) else 0.0
        by_N = np.sqrt(total_N) if how == "l2" else total_N
        return dataclasses.replace(self, value=(self.value / np.repeat(by_N, size_N)).astype(np.float32))

    def rows(self, rows: npt.NDArray[np.integer[Any]]) -> Csr:
        """The matrix of these rows, in that order."""
        first_R, size_R = self.indptr_N1[:-1][rows], np.diff(self.indptr_N1)[rows]
        indptr = np.concatenate([[0], np.cumsum(size_R)]).astype(np.int64)
        place = np.repeat(first_R - indptr[:-1], size_R) + np.arange(indptr[-1], dtype=np.int64)
        return Csr(indptr, self.index[place], self.value[place], self.buckets)


def hashed_ngrams(
    data: Bytes,
    offsets: Ints,
    *,
    ngrams: int,
    buckets: int,
    lower: bool = True,
    unit: Literal["words", "characters"] = "words",
) -> Csr:
    """Counts of the n-grams of 1 to `ngrams` words (or characters that are not whitespace), hashed into `buckets`.

    A row depends on its own text alone. Raises ValueError for fewer than one n-gram or bucket.
    """
    if ngrams < 1 or not 1 <= buckets <= 2**31:
        raise ValueError(f"n-grams of {ngrams} in {buckets} buckets: give at least 1, and at most 2**31 buckets")
    flags, cases = unicode.flags(), unicode.tables().lower if lower else _same()
    by_character = unit == "characters"
    upper_N = np.zeros(len(offsets) - 1, np.int64)
    _count(data, offsets, flags, by_character, upper_N)
    n_N = np.where(upper_N >= ngrams, ngrams * upper_N - ngrams * (ngrams - 1) // 2, upper_N * (upper_N + 1) // 2)
    indptr = np.zeros(len(offsets), np.int64)
    index, value = np.empty(int(n_N.sum()), np.int32), np.empty(int(n_N.sum()), np.float32)
    _fill(data, offsets, flags, cases, by_character, ngrams, np.uint64(buckets), int(n_N.max(initial=0)),
          indptr, index, value)  # fmt: skip
    kept = int(indptr[-1])
    return Csr(indptr, index[:kept].copy(), value[:kept].copy(), buckets)


@cache
def _same() -> Ints32:
    return np.arange(unicode.N_CODE_POINTS, dtype=np.int32)


@kernel
def next_token(data: Bytes, at: int, stop: int, flags: Bytes, lower: Ints32) -> tuple[int, np.uint64]:
    """(place behind the next word at or after `at`, its hash); hash 0 where there is none."""
    kind, state = -1, np.uint64(0)
    while at < stop:
        code, size = unicode.code_point(data, at)
        here = 1 if flags[code] & _WORD or code == _UNDERSCORE else 0
        if flags[code] & unicode.SPACE:
            here = -1
        if kind >= 0 and here != kind:
            break
        if here >= 0:
            kind = here
            state = extend(state, np.uint64(lower[code] + 1))
        at += size
    if kind < 0:
        return at, np.uint64(0)
    return at, max(mix(state), np.uint64(1))


@kernel
def _next_character(data: Bytes, at: int, stop: int, flags: Bytes, lower: Ints32) -> tuple[int, np.uint64]:
    """The same of the next character that is not whitespace."""
    while at < stop:
        code, size = unicode.code_point(data, at)
        at += size
        if not flags[code] & unicode.SPACE:
            return at, max(mix(extend(np.uint64(0), np.uint64(lower[code] + 1))), np.uint64(1))
    return at, np.uint64(0)


@kernel
def _count(data: Bytes, offsets: Ints, flags: Bytes, by_character: bool, n_N: Ints) -> None:
    """Words of each text: the borders before a character of another kind than whitespace and the one before it."""
    for d in range(len(offsets) - 1):
        at, stop, before, n = offsets[d], offsets[d + 1], -1, 0
        while at < stop:
            code, size = unicode.code_point(data, at)
            here = 1 if flags[code] & _WORD or code == _UNDERSCORE else 0
            if flags[code] & unicode.SPACE:
                here = -1
            if here >= 0 and (by_character or here != before):
                n += 1
            before = here
            at += size
        n_N[d] = n


@kernel
def _fill(
    data: Bytes,
    offsets: Ints,
    flags: Bytes,
    lower: Ints32,
    by_character: bool,
    ngrams: int,
    buckets: np.uint64,
    most: int,
    indptr: Ints,
    index: Ints32,
    value: Floats32,
) -> None:
    """Rows one after the other: the buckets of all n-grams, sorted, equal ones put together."""
    found, recent = np.empty(most, np.int32), np.empty(ngrams, np.uint64)
    out = 0
    for d in range(len(offsets) - 1):
        at, stop, n, n_words = offsets[d], offsets[d + 1], 0, 0
        while True:
            if by_character:
                at, token = _next_character(data, at, stop, flags, lower)
            else:
                at, token = next_token(data, at, stop, flags, lower)
            if token == 0:
                break
            recent[n_words % ngrams] = token
            n_words += 1
            for length in range(1, min(ngrams, n_words) + 1):
                found[n] = _ngram(recent, n_words, length) % buckets
                n += 1
        found[:n].sort()
        for i in range(n):
            if i > 0 and found[i] == found[i - 1]:
                value[out - 1] += 1
            else:
                index[out], value[out] = found[i], 1
                out += 1
        indptr[d + 1] = out


@kernel
def _ngram(recent: Hashes, n_words: int, length: int) -> np.uint64:
    """The hash of the last `length` words in their order; of one word, its own."""
    n, state = len(recent), np.uint64(length)
    for back in range(length, 0, -1):
        state = extend(state, recent[(n_words - back) % n])
    return mix(state) if length > 1 else recent[(n_words - 1) % n]
