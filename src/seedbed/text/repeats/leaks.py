"""Which of a set of benchmark items a text holds: by n-grams, and by pairs of neighbouring words.

Every item has a twin of the same words in another order. What is found of a twin is found by chance.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from seedbed.core.nouns import DocumentBatch
from seedbed.text.hashing import splitmix
from seedbed.text.kernel import Flags, Floats, Hashes, Ints, kernel
from seedbed.text.repeats.items import Items
from seedbed.text.repeats.overlap import KnownGrams, PlainWords, ngrams, pairs, plain_words, spellings
from seedbed.text.rows import noted

PAIR_REACH = 2
MAX_ITEMS_PER_PAIR = 8
"""A pair in more items than this is a phrase of the language, or of the benchmark's prompt."""
MIN_LIKENESS = 0.25
"""Lower ones are not told: texts on one subject have them."""
MIN_PAIRS = 12
"""Of an item with fewer pairs of its own, likeness is not told."""
EXCERPT_WORDS = 40
WINDOW = 2.0
"""Passages are compared that are this many times as long as the item."""


@dataclasses.dataclass(frozen=True)
class Hits:
    """H times that an item's n-gram stands in a document, each (document, item, place in the item) once.

    Args:
        row, item, place: which document, which item (twins from N on), which n-gram of the item.
        exact: whether it is spelled as in the item.
    """

    row: Ints
    item: Ints
    place: Ints
    exact: Flags


@dataclasses.dataclass(frozen=True)
class Likeness:
    """Items of which a document has pairs of words close together: the largest share in one passage, where not low."""

    row: Ints
    item: Ints
    share: Floats


class ItemIndex:
    """N items and their twins, as n-grams and pairs.

    Args:
        items: what to look for.
        n: words of an n-gram.
        least: items of least .. n - 1 words are looked for whole; shorter ones are not.

    Attributes:
        n_words_N: words of each item.
        n_ngrams_N: n-grams of each item; 0 where it is too short.
    """

    def __init__(self, items: Items, n: int, least: int) -> None:
        self.items = items
        self.words = DocumentBatch.of(list(items.text_N)).derive(plain_words)
        self.n_words_N: Ints = np.diff(self.words.first)
        self._n = n
        self._n_words_2N = np.concatenate([self.n_words_N, self.n_words_N])
        self.length_N: Ints = np.minimum(self.n_words_N, n)
        self.n_ngrams_N: Ints = np.where(self.n_words_N >= least, np.maximum(self.n_words_N - n + 1, 1), 0)
        self._first, self._hashes = _with_twins(self.words)
        lengths = np.unique(self.length_N[self.n_ngrams_N > 0]).tolist()
        self._by_length = {length: _Grams(self, length) for length in lengths}
        self._pairs = _Pairs(self._first, self._hashes)

    @property
    def has_pairs_N(self) -> Flags:
        """Which items have pairs enough for their likeness to be told."""
        return self._pairs.n_pairs[: len(self.n_words_N)] >= MIN_PAIRS

    def hits(self, documents: PlainWords) -> tuple[Hits, Ints]:
        """(hits, n_2D): what documents hold of items and twins; their n-grams that items have, and those spelled so."""
        n_2D = np.zeros((2, len(documents.first) - 1), np.int64)
        found = [grams.hits(documents, n_2D) for grams in self._by_length.values()]
        rows_H4 = np.concatenate([np.zeros((0, 4), np.int64), *found])
        order = np.lexsort((1 - rows_H4[:, 3], rows_H4[:, 2], rows_H4[:, 1], rows_H4[:, 0]))
        rows_H4 = rows_H4[order]
        first = np.ones(len(rows_H4), np.bool_)
        first[1:] = (rows_H4[1:, :3] != rows_H4[:-1, :3]).any(axis=1)
        row, item, place, exact = rows_H4[first].T
        return Hits(row, item, place, exact.astype(np.bool_)), n_2D

    def likeness(self, documents: PlainWords) -> Likeness:
        """Which items the documents have passages like."""
        return self._pairs.likeness(documents, self._n_words_2N)

    def excerpt(self, item: int, places: Sequence[int]) -> str:
        """The longest stretch of an item that its n-grams at these places cover, at most EXCERPT_WORDS words."""
        best, begin = range(0), 0
        for at, place in enumerate(places):
            begin = place if at == 0 or place != places[at - 1] + 1 else begin
            best = range(begin, place + 1) if place + 1 - begin > len(best) else best
        if not best:
            return ""
        first = int(self.words.first[item]) + best.start
        last = first + min(len(best) + int(self.length_N[item]) - 1, EXCERPT_WORDS) - 1
        return bytes(self.words.data[self.words.start[first] : self.words.end[last]]).decode()

    def grams_of(self, length: int) -> tuple[Hashes, Ints, Ints]:
        """(gram_G, item_G, place_G) of the items, and their twins, that are looked for in n-grams of this length."""
        n_ngrams_2N = np.concatenate([self.n_ngrams_N, self.n_ngrams_N])
        wanted = (np.minimum(self._n_words_2N, self._n) == length) & (n_ngrams_2N > 0)
        gram_G, item_G, place_G = ngrams(self._first, self._hashes, length)
        mine = wanted[item_G]
        return gram_G[mine], item_G[mine], place_G[mine]


class _Grams:
    """The n-grams of one length: which items each belongs to, and where."""

    def __init__(self, index: ItemIndex, length: int) -> None:
        self.length, self.n_items = length, len(index.items.text_N)
        gram_G, item_G, place_G = index.grams_of(length)
        self.known = KnownGrams(gram_G)
        order = np.argsort(self.known.number_G, kind="stable")
        self.item, self.place = item_G[order], place_G[order]
        self.first = np.concatenate([[0], np.cumsum(np.bincount(self.known.number_G, minlength=self.known.size))])
        self.spelled = np.zeros(len(order), np.uint64)
        real = np.flatnonzero(self.item < self.n_items)
        spelled = np.empty(len(real), np.uint64)
        words = index.words
        spellings(words.data, words.start, words.end, words.first[self.item[real]] + self.place[real], length, spelled)
        self.spelled[real] = spelled

    def hits(self, documents: PlainWords, n_2D: Ints) -> Ints:
        """Rows of (document, item, place, exact); adds to n_2D."""
        row, place, number = self.known.ngrams_in(documents.first, documents.hash, self.length)
        counts = self.first[number + 1] - self.first[number]
        hit = np.repeat(np.arange(len(row)), counts)
        posting = np.arange(len(hit)) - np.repeat(np.cumsum(counts) - counts, counts) + self.first[number][hit]
        item = self.item[posting]
        spelled = np.empty(len(row), np.uint64)
        word = documents.first[row] + place
        spellings(documents.data, documents.start, documents.end, word, self.length, spelled)
        real = item < self.n_items
        exact = (self.spelled[posting] == spelled[hit]) & real
        for kind, counted in enumerate((real, exact)):
            n_2D[kind] += np.bincount(row[np.unique(hit[counted])], minlength=n_2D.shape[1])
        return np.stack([row[hit], item, self.place[posting], exact.astype(np.int64)], 1)


class _Pairs:
    """The pairs of words that few items have."""

    def __init__(self, first: Ints, hashes: Hashes) -> None:
        pair_P, item_P = pairs(first, hashes, PAIR_REACH)
        n_items = len(first) - 1
        once = np.unique(np.stack([pair_P, item_P.astype(np.uint64)], 1), axis=0)
        pair_P, item_P = once[:, 0], once[:, 1].astype(np.int64)
        _, number_P, count_U = np.unique(pair_P, return_inverse=True, return_counts=True)
        rare = count_U[number_P.reshape(-1)] <= MAX_ITEMS_PER_PAIR
        pair_P, item_P = pair_P[rare], item_P[rare]
        self.n_pairs: Ints = np.bincount(item_P, minlength=n_items)
        self.known = KnownGrams(pair_P)
        order = np.argsort(self.known.number_G, kind="stable")
        self.item = item_P[order]
        self.local = _rank_within(item_P)[order]
        self.first = np.concatenate([[0], np.cumsum(np.bincount(self.known.number_G, minlength=self.known.size))])

    def likeness(self, documents: PlainWords, n_words_2N: Ints) -> Likeness:
        """The items of which a document has so many pairs that its likeness can reach MIN_LIKENESS."""
        row, place, number = self.known.pairs_in(documents.first, documents.hash, PAIR_REACH)
        least = np.ceil(np.maximum(self.n_pairs, MIN_PAIRS) * MIN_LIKENESS).astype(np.int64)
        found, n = _frequent(
            row, place, number, self.first, self.item, self.local, least, np.zeros(len(least), np.int64)
        )
        row, item, place, local = found[:n].T
        order = np.lexsort((place, item, row))
        row, item, place, local = row[order], item[order], place[order], local[order]
        starts = np.flatnonzero(np.diff(row, prepend=-1).astype(np.bool_) | np.diff(item, prepend=-1).astype(np.bool_))
        width = np.maximum((n_words_2N[item[starts]] * WINDOW).astype(np.int64), 1)
        most = np.zeros(len(starts), np.int64)
        seen = np.zeros(int(self.n_pairs.max(initial=0)), np.int64)
        _densest(np.append(starts, len(row)), place, local, width, seen, most)
        share = most / self.n_pairs[item[starts]]
        high = (share >= MIN_LIKENESS) & (self.n_pairs[item[starts]] >= MIN_PAIRS)
        return Likeness(row[starts][high], item[starts][high], share[high])


@kernel
def _frequent(
    row: Ints, place: Ints, number: Ints, first: Ints, item: Ints, local: Ints, least: Ints, counts: Ints
) -> tuple[Ints, int]:
    """(document, item, place, pair) of items that a document has at least `least` pairs of; `counts` is all zero."""
    found, n, head = np.empty((64, 4), np.int64), 0, 0
    while head < len(row):
        tail = head
        while tail < len(row) and row[tail] == row[head]:
            for posting in range(first[number[tail]], first[number[tail] + 1]):
                counts[item[posting]] += 1
            tail += 1
        for event in range(head, tail):
            for posting in range(first[number[event]], first[number[event] + 1]):
                if counts[item[posting]] >= least[item[posting]]:
                    found, n = noted(found, n, row[event], item[posting], place[event], local[posting])
        for event in range(head, tail):
            for posting in range(first[number[event]], first[number[event] + 1]):
                counts[item[posting]] = 0
        head = tail
    return found, n


@kernel
def _densest(bounds: Ints, place: Ints, local: Ints, width: Ints, seen: Ints, most: Ints) -> None:
    """most_R: the most different pairs of a run within `width` words; `seen` is zero before and after."""
    for r in range(len(bounds) - 1):
        tail, different = bounds[r], 0
        for head in range(bounds[r], bounds[r + 1]):
            different += seen[local[head]] == 0
            seen[local[head]] += 1
            while place[head] - place[tail] >= width[r]:
                seen[local[tail]] -= 1
                different -= seen[local[tail]] == 0
                tail += 1
            most[r] = max(most[r], different)
        for head in range(tail, bounds[r + 1]):
            seen[local[head]] = 0


def _rank_within(item_P: npt.NDArray[np.int64]) -> Ints:
    """For each entry, how many of the same item stand before it."""
    order = np.argsort(item_P, kind="stable")
    counts = np.bincount(item_P)
    rank = np.empty(len(item_P), np.int64)
    rank[order] = np.arange(len(item_P)) - np.repeat(np.cumsum(counts) - counts, counts)
    return rank


def _with_twins(words: PlainWords) -> tuple[Ints, Hashes]:
    """(first, hashes) of the items, and behind them the same words of each item in another order."""
    numbers = splitmix(13, len(words.hash))
    item_W = np.repeat(np.arange(len(words.first) - 1), np.diff(words.first))
    order = np.lexsort((numbers, item_W))
    first = np.concatenate([words.first, words.first[1:] + words.first[-1]])
    return first, np.concatenate([words.hash, words.hash[order]])


def ranges(places: Ints) -> str:
    """Sorted numbers as text: 0-12,20."""
    if len(places) == 0:
        return ""
    breaks = np.flatnonzero(np.diff(places) != 1)
    starts, ends = np.concatenate([[0], breaks + 1]), np.concatenate([breaks, [len(places) - 1]])
    runs = zip(places[starts].tolist(), places[ends].tolist(), strict=True)
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)


def numbers(told: str) -> Iterator[int]:
    """The inverse of `ranges`."""
    for run in told.split(",") if told else []:
        a, _, b = run.partition("-")
        yield from range(int(a), int(b or a) + 1)
