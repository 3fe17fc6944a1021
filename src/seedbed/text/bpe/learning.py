"""Learning merges: the most frequent pair of neighbouring tokens becomes a token, from where a vocabulary ends.

Each different piece is read once, with how often it occurs. A merge visits only the places where its pair stands, and
counts only what changes around them (Sennrich et al. 2016, section 3.2, with the index that section 3.2 advises).
Pairs of one count are taken in the order of their ids. A pair whose bytes are a token already is passed over: its merge
would lead older text to that token, or one token to two merges.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from seedbed.text.bpe.merges import FEW, merge
from seedbed.text.bpe.wholes import Wholes, whole
from seedbed.text.hashing import mix, table_mask
from seedbed.text.kernel import Bytes, Hashes, Ints, kernel, leaf

_NONE, _FREE = -1, -1
_SHIFT, _LOW = 32, 0xFFFFFFFF


class Pieces(NamedTuple):
    """Different pieces of text, each once.

    Args:
        ids: tokens, one piece behind another.
        offsets: piece i is ids[offsets[i]:offsets[i + 1]].
        counts: how often it occurs.
    """

    ids: Ints
    offsets: Ints
    counts: Ints


class Pairs(NamedTuple):
    """Pairs of neighbours, by key.

    Args:
        keys: first token, 32 bits, and second; ascending.
        counts: how often.
        starts: the places of pair p begin at places[starts[p]].
        sizes: how many they are.
        places: of the first token, ascending within a pair.
    """

    keys: Ints
    counts: Ints
    starts: Ints
    sizes: Ints
    places: Ints


class Chain(NamedTuple):
    """The tokens that are left of all pieces.

    Args:
        tokens: at each place.
        after, before: the next place in the same piece, or -1.
        weights: how often the piece of a place occurs.
    """

    tokens: Ints
    after: Ints
    before: Ints
    weights: Ints


@kernel
def encode_pieces(data: Bytes, offsets: Ints, letters: Ints, merges: Hashes, wholes: Wholes) -> tuple[Ints, Ints]:
    """(ids, offsets) of pieces given as (bytes, offsets)."""
    ids, ends, waiting = np.empty(offsets[-1], np.int64), np.zeros(len(offsets), np.int64), np.empty(FEW, np.uint64)
    n = 0
    for i in range(len(offsets) - 1):
        known = whole(wholes, data, offsets[i], offsets[i + 1]) if len(wholes.ids) else -1
        if known >= 0:
            ids[n] = known
            n += 1
        else:
            n += merge(data, offsets[i], offsets[i + 1], letters, merges, ids[n:], waiting)
        ends[i + 1] = n
    return ids[:n].copy(), ends


def learn(
    pieces: Pieces, spelled: dict[int, bytes], n_merges: int, min_frequency: int, first_id: int
) -> list[tuple[int, int]]:
    """The next merges, at most `n_merges`: merge k makes token first_id + k of the two tokens that it names.

    Args:
        pieces: the text, in tokens of the vocabulary so far.
        spelled: its tokens' bytes.
        n_merges: how many are wanted.
        min_frequency: pairs that occur less often are left alone.
        first_id: above every id so far.
    """
    bytes_of, taken = dict(spelled), set(spelled.values())
    counted = _Counted(pieces, max(min_frequency, 1))
    merges: list[tuple[int, int]] = []
    while len(merges) < n_merges:
        found = counted.most_frequent()
        if found is None:
            break
        first, second = found >> _SHIFT, found & _LOW
        token = bytes_of[first] + bytes_of[second]
        if token in taken:
            continue
        taken.add(token)
        bytes_of[first_id + len(merges)] = token
        counted.merge(found, first_id + len(merges))
        merges.append((first, second))
    return merges


class _Counted:
    """All pairs that occur often enough, with a heap that gives the most frequent."""

    def __init__(self, pieces: Pieces, least: int) -> None:
        self._least = least
        self._chain = _chain(pieces)
        self._keys, self._counts = np.zeros(0, np.int64), np.zeros(0, np.int64)
        self._places: list[Ints] = []
        self._starts: list[int] = []
        self._table = np.full(4, _FREE, np.int64)
        self._heap: list[tuple[int, int, int]] = []
        self._n = 0
        at = np.flatnonzero(self._chain.after >= 0)
        keys = self._chain.tokens[at] << _SHIFT | self._chain.tokens[self._chain.after[at]]
        self._add(_pairs(keys, at, self._chain.weights))
        self._found = -1

    def most_frequent(self) -> int | None:
        """The key of a pair, which is not given again; None where all others are too rare."""
        while self._heap:
            negative, key, row = heapq.heappop(self._heap)
            count = int(self._counts[row])
            if count == -negative:
                self._found = row
                return key
            if count >= self._least:  # it has lost some since it was put there
                heapq.heappush(self._heap, (-count, key, row))
        return None

    def merge(self, key: int, token: int) -> None:
        """Make the pair that was given last one token, everywhere."""
        places = self._places[self._found]
        n = _join(self._chain, places, key, token, self._table, self._keys, self._counts)
        keys, at = _neighbours(self._chain, places[:n], token)
        self._places[self._found] = places[:0]
        self._add(_pairs(keys, at, self._chain.weights))

    def _add(self, pairs: Pairs) -> None:
        kept = np.flatnonzero(pairs.counts >= self._least)
        first, self._n = self._n, self._n + len(kept)
        if self._n > len(self._keys):
            self._keys, self._counts = (_grown(array, 2 * self._n) for array in (self._keys, self._counts))
        self._keys[first : self._n], self._counts[first : self._n] = pairs.keys[kept], pairs.counts[kept]
        if 2 * self._n > len(self._table):
            self._table = np.full(table_mask(2 * self._n) + 1, _FREE, np.int64)
            _enter(self._table, self._keys, 0, self._n)
        else:
            _enter(self._table, self._keys, first, self._n)
        bounds = zip(pairs.starts[kept].tolist(), pairs.sizes[kept].tolist(), strict=True)
        self._places += [pairs.places[start : start + size] for start, size in bounds]
        rows = zip((-pairs.counts[kept]).tolist(), pairs.keys[kept].tolist(), range(first, self._n), strict=True)
        self._wait(rows, is_first=first == 0)

    def _wait(self, rows: Iterable[tuple[int, int, int]], *, is_first: bool) -> None:
        if is_first:
            self._heap = list(rows)
            heapq.heapify(self._heap)
            return
        for row in rows:
            heapq.heappush(self._heap, row)


def _chain(pieces: Pieces) -> Chain:
    sizes = np.diff(pieces.offsets)
    after, before = np.arange(1, len(pieces.ids) + 1), np.arange(-1, len(pieces.ids) - 1)
    after[pieces.offsets[1:][sizes > 0] - 1] = _NONE
    before[pieces.offsets[:-1][sizes > 0]] = _NONE
    return Chain(pieces.ids.astype(np.int64), after, before, np.repeat(pieces.counts, sizes).astype(np.int64))


def _pairs(keys: Ints, places: Ints, weights: Ints) -> Pairs:
    """Occurrences of pairs, gathered by key."""
    order = np.argsort(keys, kind="stable")
    keys, places = keys[order], places[order]
    starts = np.flatnonzero(np.diff(keys, prepend=-1))
    counts = np.add.reduceat(weights[places], starts) if len(starts) else np.zeros(0, np.int64)
    return Pairs(keys[starts], counts, starts, np.diff(starts, append=len(keys)), places)


def _grown(array: Ints, size: int) -> Ints:
    larger = np.zeros(size, np.int64)
    larger[: len(array)] = array
    return larger


@kernel
def _enter(table: Ints, keys: Ints, start: int, stop: int) -> None:
    for row in range(start, stop):
        table[_slot(table, keys, keys[row])] = row


@leaf
def _slot(table: Ints, keys: Ints, key: int) -> int:
    """Where the row of `key` stands, or would stand."""
    mask = len(table) - 1
    at = int(mix(np.uint64(key))) & mask
    while table[at] != _FREE and keys[table[at]] != key:
        at = (at + 1) & mask
    return at


@leaf
def _lose(first: int, second: int, weight: int, table: Ints, keys: Ints, counts: Ints) -> None:
    """A pair has one occurrence less; one that is not counted was too rare before."""
    row = table[_slot(table, keys, first << _SHIFT | second)]
    if row != _FREE:
        counts[row] -= weight


@kernel
def _join(chain: Chain, places: Ints, key: int, token: int, table: Ints, keys: Ints, counts: Ints) -> int:
    """Put `token` where the pair stands, from left to right; moves those places to the front and gives their number.

    Places where the pair stands no more are left out. Neighbours that are `token` themselves were counted out when they
    became it.
    """
    first, second, n = int(key >> _SHIFT), int(key & _LOW), 0
    for i in range(len(places)):
        at = places[i]
        gone = chain.after[at]
        if chain.tokens[at] != first or gone < 0 or chain.tokens[gone] != second:
            continue
        left, right, weight = chain.before[at], chain.after[gone], int(chain.weights[at])
        if left >= 0 and chain.tokens[left] != token:
            _lose(int(chain.tokens[left]), first, weight, table, keys, counts)
        if right >= 0:
            _lose(second, int(chain.tokens[right]), weight, table, keys, counts)
            chain.before[right] = at
        chain.tokens[at], chain.tokens[gone] = token, _NONE
        chain.after[at], chain.after[gone] = right, _NONE
        places[n] = at
        n += 1
    return n


@kernel
def _neighbours(chain: Chain, places: Ints, token: int) -> tuple[Ints, Ints]:
    """(keys, places) of the pairs that `token`, which is new, has become part of; of two that touch, the pair once."""
    keys, found = np.empty(2 * len(places), np.int64), np.empty(2 * len(places), np.int64)
    n = 0
    for i in range(len(places)):
        at = places[i]
        left, right = chain.before[at], chain.after[at]
        if left >= 0:
            keys[n], found[n] = chain.tokens[left] << _SHIFT | token, left
            n += 1
        if right >= 0 and chain.tokens[right] != token:
            keys[n], found[n] = token << _SHIFT | chain.tokens[right], at
            n += 1
    return keys[:n], found[:n]
