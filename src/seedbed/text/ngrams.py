"""How much of a document its repeated word n-grams make up, for all n at once.

An n-gram can only repeat where both (n-1)-grams in it repeat, so each length looks at what is left of the one before:
exact, and nearly free beyond bigrams on ordinary prose.
"""

from __future__ import annotations

import numpy as np

from seedbed.text.hashing import extend, slot, table_mask
from seedbed.text.kernel import Flags, Floats, Hashes, Ints, kernel
from seedbed.text.words import Words

TOP = (2, 3, 4)
COVERED = (5, 6, 7, 8, 9, 10)


def repetition(words: Words) -> tuple[Floats, Floats]:
    """(top_3D, covered_6D), fractions of the characters in words; 0 where nothing repeats.

    top: characters of the most frequent n-gram times its count (the longest among equally frequent), n of TOP.
    covered: characters of words that lie in any n-gram occurring more than once, each once, n of COVERED.
    """
    n_documents = len(words.first) - 1
    top, covered = np.zeros((len(TOP), n_documents)), np.zeros((len(COVERED), n_documents))
    _repetition(words.first, words.chars, words.hash, top, covered)
    return top, covered


@kernel
def _repetition(first: Ints, chars: Ints, hashes: Hashes, top: Floats, covered: Floats) -> None:
    most = 1
    for d in range(len(first) - 1):
        most = max(most, first[d + 1] - first[d])
    size = table_mask(most) + 1
    keys, counts = np.empty(size, np.uint64), np.empty(size, np.int64)
    grams, places = np.empty(most, np.uint64), np.empty(most, np.int64)
    repeated, running = np.empty(most, np.bool_), np.zeros(most + 1, np.int64)
    for d in range(len(first) - 1):
        begin, n_words = first[d], first[d + 1] - first[d]
        if n_words < 3:  # no bigram can occur twice
            continue
        for w in range(n_words):
            grams[w], repeated[w] = extend(np.uint64(0), np.uint64(hashes[begin + w])), True
            running[w + 1] = running[w] + chars[begin + w]
        total = running[n_words]
        for n in range(2, 11):
            if not _count(hashes[begin : begin + n_words], n, keys, counts, grams, places, repeated):
                break
            if n <= 4:
                top[n - 2, d] = _most_frequent(n, n_words, counts, places, running) / total
            else:
                covered[n - 5, d] = _cover(n, n_words, repeated, running) / total


@kernel
def _count(hashes: Hashes, n: int, keys: Hashes, counts: Ints, grams: Hashes, places: Ints, repeated: Flags) -> bool:
    """Count the n-grams that can repeat; leaves `repeated` true where one begins that does."""
    n_grams = len(hashes) - n + 1
    candidates = 0
    for w in range(n_grams):
        candidates += repeated[w] and repeated[w + 1]
    mask = table_mask(candidates)
    counts[: mask + 1] = 0
    for w in range(n_grams):
        places[w] = -1
        if repeated[w] and repeated[w + 1]:
            grams[w] = extend(grams[w], hashes[w + n - 1])
            at = slot(keys, counts, mask, grams[w])
            keys[at] = grams[w]
            counts[at] += 1
            places[w] = at
    anything = False
    for w in range(len(hashes)):
        repeated[w] = w < n_grams and places[w] >= 0 and counts[places[w]] > 1
        anything = anything or repeated[w]
    return anything


@kernel
def _most_frequent(n: int, n_words: int, counts: Ints, places: Ints, running: Ints) -> int:
    """Characters of the most frequent n-gram times its count."""
    best, longest = 0, 0
    for w in range(n_words - n + 1):
        if places[w] < 0:
            continue
        count, length = counts[places[w]], running[w + n] - running[w]
        if count > best or (count == best and length > longest):
            best, longest = count, length
    return int(best * longest)


@kernel
def _cover(n: int, n_words: int, repeated: Flags, running: Ints) -> int:
    """Characters of words inside any repeated n-gram, each word once."""
    total, until = 0, 0
    for w in range(n_words - n + 1):
        if repeated[w]:
            total += int(running[w + n] - running[max(w, until)])
            until = w + n
    return total
