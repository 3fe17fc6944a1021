"""How much of a document its repeated word n-grams make up, for all n at once.

An n-gram can only repeat where both (n-1)-grams in it repeat, so each length looks at what is left of the one before,
and names an n-gram by the place where it first stood: two are equal where their (n-1)-grams have the same first place
and the words after them are the same. Before bigrams are counted, a sieve of two bits a bigram leaves out most of those
that occur once. Exact, up to equal hashes of different words.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from seedbed.text.hashing import GOLDEN, extend
from seedbed.text.kernel import Bytes, Floats, Hashes, Ints, kernel, leaf
from seedbed.text.words.whitespace import Words

TOP = (2, 3, 4)
COVERED = (5, 6, 7, 8, 9, 10)

Places = npt.NDArray[np.int32]
_FREE = np.int32(-1)


@dataclasses.dataclass(frozen=True)
class NgramChars:
    """Per document, characters in words (what lies between them is not counted); rows are lengths n of an n-gram.

    Args:
        total_D: characters of all words.
        longest_3D: count times characters of the most frequent n-gram, the longest among equally frequent ones; 0 where
            none occurs twice; n of TOP, as first_3D.
        first_3D, first_count_3D: characters and count of the most frequent n-gram, the first among equally frequent
            ones, be it that none occurs twice; 0 where there are fewer than n words.
        covered_6D: characters of words that lie in any n-gram occurring more than once, each once; n of COVERED.
        again_6D: characters of all n-grams that occur more than once, every occurrence counted; n of COVERED.
    """

    total_D: Ints
    longest_3D: Ints
    first_3D: Ints
    first_count_3D: Ints
    covered_6D: Ints
    again_6D: Ints


def ngram_chars(words: Words) -> NgramChars:
    """The characters that repeated n-grams of words make up."""
    n_documents = len(words.first) - 1
    longest, first, first_count = (np.zeros((len(TOP), n_documents), np.int64) for _ in range(3))
    covered, again = (np.zeros((len(COVERED), n_documents), np.int64) for _ in range(2))
    found = NgramChars(np.zeros(n_documents, np.int64), longest, first, first_count, covered, again)
    _repetition(words.first, words.chars, words.hash, found.total_D, longest, first, first_count, covered, again)
    return found


def repetition(words: Words) -> tuple[Floats, Floats]:
    """(top_3D, covered_6D), fractions of the characters in words; 0 where nothing repeats."""
    found = ngram_chars(words)
    total = np.maximum(found.total_D, 1)
    return found.longest_3D / total, found.covered_6D / total


@kernel
def _repetition(
    first: Ints,
    chars: Ints,
    hashes: Hashes,
    totals: Ints,
    longest: Ints,
    earliest: Ints,
    earliest_count: Ints,
    covered: Ints,
    again: Ints,
) -> None:
    most = 1
    for d in range(len(first) - 1):
        most = max(most, first[d + 1] - first[d])
    table, marks = np.empty(1 << _bits(2 * most), np.int32), np.empty(1 << _bits(4 * most), np.uint8)
    grams, running = np.empty(most, np.uint64), np.zeros(most + 1, np.int64)
    places, count = np.empty(most, np.int32), np.empty(most, np.int32)
    head, shorter = np.empty(most, np.int32), np.empty(most, np.int32)
    for d in range(len(first) - 1):
        begin, n_words = first[d], first[d + 1] - first[d]
        mine = hashes[begin : begin + n_words]
        for w in range(n_words):
            running[w + 1] = running[w] + chars[begin + w]
        totals[d] = running[n_words]
        for n in range(2, min(n_words, 4) + 1):
            earliest[n - 2, d], earliest_count[n - 2, d] = running[n], 1
        if n_words < 3:  # no bigram can occur twice
            continue
        left = _sieve(mine, grams, places, marks)
        _count_bigrams(grams, places[:left], table, head, count)
        for n in range(2, 11):
            left = _repeated(places[:left], head, count)
            if left == 0:
                break
            if n <= 4:
                longest[n - 2, d] = _most_frequent(n, places[:left], head, count, running)
                w = _first_most_frequent(places[:left], head, count)
                earliest[n - 2, d], earliest_count[n - 2, d] = running[w + n] - running[w], count[w]
            else:
                covered[n - 5, d] = _cover(n, places[:left], running)
                again[n - 5, d] = _sum(n, places[:left], running)
            left = _followed(places[:left])
            head, shorter = shorter, head
            _count_longer(n + 1, mine, places[:left], shorter, table, head, count)


@kernel
def _bits(n: int) -> int:
    """The least b with 2**b >= n, at least 3."""
    bits = 3
    while 1 << bits < n:
        bits += 1
    return bits


@kernel
def _sieve(hashes: Hashes, grams: Hashes, places: Places, marks: Bytes) -> int:
    """Leaves in `places` where a bigram begins that may occur twice, all that do among them; gives how many."""
    n = len(hashes) - 1
    bits = _bits(4 * n)
    shift = np.uint64(64 - bits)
    marks[: 1 << bits] = 0
    for w in range(n):
        grams[w] = extend(extend(np.uint64(0), hashes[w]), hashes[w + 1])
        at = int(grams[w] >> shift)
        marks[at] = (marks[at] << 1 | 1) & 3  # 0 unseen, 1 seen once, 3 more often
    left = 0
    for w in range(n):
        places[left] = w
        left += marks[int(grams[w] >> shift)] > 1
    return left


@kernel
def _count_bigrams(grams: Hashes, places: Places, table: Places, head: Places, count: Places) -> None:
    """head[w]: the first place of the bigram at w; count[head[w]]: how often it occurs."""
    bits = _bits(2 * len(places))
    shift, mask = np.uint64(64 - bits), (1 << bits) - 1
    table[: mask + 1] = _FREE
    for w in places:
        at = int(grams[w] >> shift) & mask
        while table[at] != _FREE and grams[table[at]] != grams[w]:
            at = (at + 1) & mask
        _note(w, at, table, head, count)


@kernel
def _count_longer(
    n: int, hashes: Hashes, places: Places, shorter: Places, table: Places, head: Places, count: Places
) -> None:
    """The same for n-grams; shorter[w] is the first place of the (n-1)-gram at w."""
    bits = _bits(2 * len(places))
    shift, mask = np.uint64(64 - bits), (1 << bits) - 1
    table[: mask + 1] = _FREE
    for w in places:
        like, last = shorter[w], hashes[w + n - 1]
        if like == w:
            head[w], count[w] = w, 1
        elif hashes[like + n - 1] == last:
            head[w] = like
            count[like] += 1
        else:
            at = int((last + np.uint64(like)) * GOLDEN >> shift) & mask
            while table[at] != _FREE and (shorter[table[at]] != like or hashes[table[at] + n - 1] != last):
                at = (at + 1) & mask
            _note(w, at, table, head, count)


@leaf
def _note(w: int, at: int, table: Places, head: Places, count: Places) -> None:
    """The n-gram at w, whose place in the table is `at`, occurs once more."""
    if table[at] == _FREE:
        table[at] = head[w] = w
        count[w] = 1
    else:
        head[w] = table[at]
        count[table[at]] += 1


@kernel
def _repeated(places: Places, head: Places, count: Places) -> int:
    """Moves the places of what occurs more than once to the front; gives how many."""
    left = 0
    for w in places:
        places[left] = w
        left += int(count[head[w]] > 1)
    return left


@kernel
def _followed(places: Places) -> int:
    """Moves the places whose next place is there too to the front: a longer n-gram can repeat only there."""
    left = 0
    for i in range(len(places) - 1):
        w = places[i]
        places[left] = w
        left += places[i + 1] == w + 1
    return left


@kernel
def _most_frequent(n: int, places: Places, head: Places, count: Places, running: Ints) -> int:
    """Characters of the most frequent n-gram times its count."""
    best, longest = 0, 0
    for w in places:
        times, length = count[head[w]], running[w + n] - running[w]
        if times > best or (times == best and length > longest):
            best, longest = times, length
    return int(best * longest)


@kernel
def _cover(n: int, places: Places, running: Ints) -> int:
    """Characters of words inside any repeated n-gram, each word once."""
    total, until = 0, 0
    for w in places:
        total += int(running[w + n] - running[max(w, until)])
        until = w + n
    return total


@kernel
def _first_most_frequent(places: Places, head: Places, count: Places) -> int:
    """Where the most frequent n-gram first stands; of equally frequent ones, the one that comes first."""
    best = int(places[0])
    for w in places:
        if count[head[w]] > count[head[best]]:
            best = int(w)
    return best


@kernel
def _sum(n: int, places: Places, running: Ints) -> int:
    """Characters of the n-grams at these places, what overlaps counted again."""
    total = 0
    for w in places:
        total += int(running[w + n] - running[w])
    return total
