"""How much of a document repeated word n-grams make up, as datatrove 0.10.1 counts them.

The most frequent n-gram is written with single spaces between its words and scores even where it occurs once. Repeats
of longer ones are found from left to right: an n-gram that was met before counts and is stepped over, any other is
remembered and the next one begins a word later. Two are the same where their words, written without anything between,
give the same characters.
"""

from __future__ import annotations

import numpy as np

from seedbed.text.hashing import GOLDEN, mix
from seedbed.text.kernel import Bytes, Floats, Hashes, Ints, kernel
from seedbed.text.rules.ngrams import COVERED, TOP, ngram_chars
from seedbed.text.words.whitespace import Words

_BASE, _INVERSE = GOLDEN, np.uint64(pow(int(GOLDEN), -1, 1 << 64))
_ONE, _FREE = np.uint64(1), np.uint64(0)


def repetition(data: Bytes, words: Words, chars: Ints) -> tuple[Floats, Floats]:
    """(top_3D, repeated_6D), fractions of `chars`, the characters of each document."""
    found = ngram_chars(words)
    spaces = np.array(TOP)[:, None] - 1
    total = np.maximum(chars, 1)
    repeated = np.zeros((len(COVERED), len(chars)), np.int64)
    _count_repeats(data, words.first, words.start, words.end, words.chars, repeated)
    return found.first_count_3D * (found.first_3D + spaces) / total, repeated / total


@kernel
def _count_repeats(data: Bytes, first: Ints, start: Ints, end: Ints, chars: Ints, repeated: Ints) -> None:
    """repeated[n - 5, d]: characters of the n-grams that are stepped over."""
    most = 0
    for d in range(len(first) - 1):
        most = max(most, first[d + 1] - first[d])
    running = np.zeros(most + 1, np.int64)
    sums, inverses = np.zeros(most + 1, np.uint64), np.ones(most + 1, np.uint64)
    table = np.empty(2 << _bits(most), np.uint64)
    for d in range(len(first) - 1):
        begin, n_words = first[d], first[d + 1] - first[d]
        state, power, inverse = np.uint64(0), _ONE, _ONE
        for w in range(n_words):
            running[w + 1] = running[w] + chars[begin + w]
            for at in range(start[begin + w], end[begin + w]):
                state += (np.uint64(data[at]) + _ONE) * power
                power *= _BASE
                inverse *= _INVERSE
            sums[w + 1], inverses[w + 1] = state, inverse
        for n in range(5, min(n_words, 10) + 1):
            repeated[n - 5, d] = _step_over(n, n_words, sums, inverses, running, table)


@kernel
def _step_over(n: int, n_words: int, sums: Hashes, inverses: Hashes, running: Ints, table: Hashes) -> int:
    """Characters of repeated n-grams. sums[w] adds up byte k times base**k over the bytes before word w, the words
    taken without gaps; inverses[w] is base to the minus that many bytes, so that equal strings give equal keys.
    """
    bits = _bits(n_words) + 1
    shift, mask = np.uint64(64 - bits), (1 << bits) - 1
    table[: mask + 1] = _FREE
    total, w = 0, 0
    while w + n <= n_words:
        key = max(mix((sums[w + n] - sums[w]) * inverses[w]), _ONE)
        at = int(key >> shift) & mask
        while table[at] != _FREE and table[at] != key:
            at = (at + 1) & mask
        if table[at] == key:
            total += running[w + n] - running[w]
            w += n
        else:
            table[at] = key
            w += 1
    return total


@kernel
def _bits(n: int) -> int:
    """The least b with 2**b >= n."""
    bits = 1
    while 1 << bits < n:
        bits += 1
    return bits
