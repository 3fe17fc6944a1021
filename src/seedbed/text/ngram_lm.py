"""An n-gram language model of words: interpolated modified Kneser-Ney smoothing, counted in one pass.

Chen and Goodman 1998 (TR-10-98, section 3), in the form of Heafield et al. 2013 (ACL, section 3), whose toolkit is
KenLM. A line is a sentence, with a start and an end; blank lines are none. Words are runs of letters, digits and
underscores, or of other characters, in lower case; where a script writes no spaces, its smallest units are words.

    p(w | h) = (a(h w) - D(a(h w))) / SUM_x a(h x) + b(h) p(w | h'),   h' = h without its first word
    b(h) = SUM_j D(j) |{x: a(h x) = j}| / SUM_x a(h x),   down to p(w) = u(w) + b() / |V|

a is the count of the longest n-grams and of those that begin a line, else the number of different words before the
n-gram. D(1), D(2), D(3 or more) come from the counts of counts of each order; where these are too few to give
D(j) > 0, they are 0.5, 1 and 1.5, as lmplz does with --discount_fallback. V is every word seen, the end, and one for
all words not seen; probabilities sum to 1 over it.

Words and n-grams are 64-bit hashes; two of a million share one with a probability below 1e-7.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from seedbed.core.errors import SeedbedError
from seedbed.core.nouns import DocumentBatch
from seedbed.text import unicode
from seedbed.text.features import next_token
from seedbed.text.hashing import extend, mix
from seedbed.text.kernel import Bytes, Floats, Hashes, Ints, kernel
from seedbed.text.words.scripts import spaced

Small = npt.NDArray[np.int32]
Orders = npt.NDArray[np.int8]

MAX_ORDER = 5
MAX_NGRAMS = 20_000_000
FALLBACK = (0.5, 1.0, 1.5)
_START, _END, _ORIGIN = np.uint64(2), np.uint64(3), np.uint64(0x5EED)  # no word has these hashes but by chance
_LINE_FEED, _RETURN = 10, 13
_S32 = np.uint64(32)
_ROOM = 1024


@dataclasses.dataclass(frozen=True)
class NgramModel:
    """A fitted model: a table of E n-grams of all orders.

    Args:
        order: the longest n-gram.
        places: an open-addressed table of entry numbers, -1 where free.
        key_E: the n-grams' hashes.
        part_E: (a - D(a)) / SUM a of each, in its own context.
        backoff_E: b of each as a context.
        unknown: b() / |V|, the probability of a word never seen where the context says nothing.
    """

    order: int
    places: Small
    key_E: Hashes
    part_E: Floats
    backoff_E: Floats
    unknown: float

    def log10_probabilities(self, documents: DocumentBatch) -> tuple[Floats, Ints]:
        """(log10_N, n_N): the sum of log10 p over words and line ends of each document, and how many these are."""
        log10_N, n_N = np.zeros(len(documents)), np.zeros(len(documents), np.int64)
        known, (data, offsets) = unicode.tables(), documents.derive(spaced)
        table = (self.places, self.key_E, self.part_E, self.backoff_E)
        _ask(data, offsets, known.flags, known.lower, self.order, *table, self.unknown, log10_N, n_N)
        return log10_N, n_N

    def log_perplexities(self, documents: DocumentBatch) -> Floats:
        """ln of 10 ** (-SUM log10 p / SUM (words of a line + 1)); a document without words is one unknown word."""
        log10_N, n_N = self.log10_probabilities(documents)
        said_N = np.where(n_N > 0, log10_N, np.log10(self.unknown))
        return -np.log(10.0) * said_N / np.maximum(n_N, 1)


class NgramCounts:
    """The counts that a model is made of. Texts are added in any order; a model can be had in between.

    Args:
        order: the longest n-gram, 1 to 5.
        max_ngrams: how many different n-grams, all orders together, may be held; about 100 bytes each while fitting.
        where: who asks, for errors.

    `n` of them are held.
    """

    def __init__(self, order: int, *, max_ngrams: int = MAX_NGRAMS, where: str = "n-gram model") -> None:
        if not 1 <= order <= MAX_ORDER or not 0 < max_ngrams < 2**30:
            raise ValueError(f"order {order} of 1 .. {MAX_ORDER}, or max_ngrams {max_ngrams} of 1 .. 2**30")
        self.order, self.max_ngrams, self.where = order, max_ngrams, where
        self.n = 0
        self._held = _blank(_ROOM)

    def add(self, documents: DocumentBatch) -> None:
        """Count a batch. Raises SeedbedError where there are more than `max_ngrams`."""
        known, (data, offsets) = unicode.tables(), documents.derive(spaced)
        at = 0
        while at < len(offsets) - 1:
            at, self.n, self._held = _count(
                data, offsets, at, known.flags, known.lower, self.order, self.max_ngrams, self.n, self._held
            )
            if at < 0:
                what = f"the text has more than {self.max_ngrams} different n-grams of up to {self.order} words"
                raise SeedbedError(self.where, what, "Give less text, or a smaller order.")

    def model(self) -> NgramModel:
        """The smoothed model of what was added. Raises SeedbedError where that has no word."""
        if self.n == 0:
            raise SeedbedError(self.where, "there is no text to fit on", "Give documents with words.")
        n, held = self.n, self._held
        count_E, context_E, order_E = held.counts[:n], held.contexts[:n], held.orders[:n]
        discount_OJ = discounts(_counts_of_counts(count_E, order_E, self.order))
        # One row more, the last, is the empty context: that of single words, whose context is noted as -1.
        part_E, backoff_E = np.zeros(n), np.zeros(n + 1)
        _smooth(count_E, context_E, order_E, discount_OJ, part_E, backoff_E)
        vocabulary = int(np.count_nonzero((order_E == 1) & (count_E > 0))) + 1
        unknown = float(backoff_E[-1]) / vocabulary
        return NgramModel(self.order, held.places.copy(), held.keys[:n].copy(), part_E, backoff_E[:-1].copy(), unknown)


def fit(
    batches: Iterable[DocumentBatch], order: int, *, max_ngrams: int = MAX_NGRAMS, where: str = "n-gram model"
) -> NgramModel:
    """The model of all texts of some batches. Raises SeedbedError where they have no word, or too many n-grams."""
    counts = NgramCounts(order, max_ngrams=max_ngrams, where=where)
    for batch in batches:
        counts.add(batch)
    return counts.model()


def discounts(count_OJ: Ints) -> Floats:
    """discount_OJ for J = 0, 1, 2, 3 or more, from count_OJ: how many n-grams of each order have count 1, 2, 3, 4."""
    found = np.zeros((len(count_OJ), 4))
    for order, (n1, n2, n3, n4) in enumerate(count_OJ.tolist()):
        found[order, 1:] = FALLBACK
        if min(n1, n2, n3, n4) > 0:
            y = n1 / (n1 + 2 * n2)
            exact = np.array([1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3])
            if (exact > 0).all():
                found[order, 1:] = exact
    return found


def _counts_of_counts(count_E: Small, order_E: Orders, order: int) -> Ints:
    few_E = (count_E >= 1) & (count_E <= 4)
    cell = (order_E[few_E].astype(np.int64) - 1) * 4 + count_E[few_E] - 1
    return np.bincount(cell, minlength=4 * order).reshape(order, 4).astype(np.int64)


class _Table(NamedTuple):
    """Room for n-grams while they are counted; `places` as in the model, `contexts` their entries, -1 the empty one."""

    places: Small
    keys: Hashes
    counts: Small
    contexts: Small
    orders: Orders


def _blank(size: int) -> _Table:
    """Room for `size` n-grams, a power of two."""
    keys, counts, contexts = np.zeros(size, np.uint64), np.zeros(size, np.int32), np.zeros(size, np.int32)
    return _Table(np.full(2 * size, -1, np.int32), keys, counts, contexts, np.zeros(size, np.int8))


@kernel
def _place(places: Small, keys: Hashes, key: np.uint64) -> int:
    """Where `key` lies in `places`, or the free place where it would lie."""
    mask = len(places) - 1
    at = int(key >> _S32) & mask
    while places[at] >= 0 and keys[places[at]] != key:
        at = (at + 1) & mask
    return at


@kernel
def _longer(held: _Table, n: int) -> _Table:
    """The same n-grams with twice the room."""
    size = 2 * len(held.keys)
    keys, counts, contexts = np.zeros(size, np.uint64), np.zeros(size, np.int32), np.zeros(size, np.int32)
    orders, places = np.zeros(size, np.int8), np.full(2 * size, -1, np.int32)
    keys[:n], counts[:n], contexts[:n], orders[:n] = (
        held.keys[:n], held.counts[:n], held.contexts[:n], held.orders[:n]
    )  # fmt: skip
    for entry in range(n):
        places[_place(places, keys, keys[entry])] = entry
    return _Table(places, keys, counts, contexts, orders)


@kernel
def _entry(held: _Table, n: int, key: np.uint64, context: int, order: int) -> tuple[int, int]:
    """(the n-gram's entry, how many there are then)."""
    place = _place(held.places, held.keys, key)
    if held.places[place] < 0:
        held.places[place] = n
        held.keys[n], held.contexts[n], held.orders[n] = key, context, order
        n += 1
    return int(held.places[place]), n


@kernel
def _line_end(data: Bytes, at: int, stop: int) -> int:
    while at < stop and data[at] != _LINE_FEED and data[at] != _RETURN:
        at += 1
    return at


@kernel
def _count(
    data: Bytes, offsets: Ints, d: int, flags: Bytes, lower: Small, order: int, most: int, n: int, held: _Table
) -> tuple[int, int, _Table]:
    """Count documents from `d` on: (the next to count, -1 where n-grams are more than `most`; n-grams; the table)."""
    last_keys, last = np.zeros(order + 1, np.uint64), np.zeros(order + 1, np.int32)
    last_keys[0], last[0] = _ORIGIN, -1
    while d < len(offsets) - 1:
        at, stop = offsets[d], offsets[d + 1]
        while at < stop:
            end = _line_end(data, at, stop)
            at, word = next_token(data, at, end, flags, lower)
            length = 0
            while word != 0:
                if n + order + 1 > len(held.keys):
                    held = _longer(held, n)
                if length == 0:  # the start of a line is an entry, being a context, without a count of its own
                    last_keys[1] = mix(extend(_ORIGIN, _START))
                    last[1], n = _entry(held, n, last_keys[1], -1, 1)
                    length = min(1, order - 1)
                n = _see(word, length, last_keys, last, n, held)
                length = min(length + 1, order - 1)
                if n > most:
                    return -1, n, held
                if word == _END:
                    break
                at, word = next_token(data, at, end, flags, lower)
                if word == 0:
                    word = _END
            at = end + 1
        d += 1
    return d, n, held


@kernel
def _see(word: np.uint64, length: int, last_keys: Hashes, last: Small, n: int, held: _Table) -> int:
    """Count the n-grams of the last 0 .. length words and this one; last[k] is then the entry of the last k words."""
    counted = True  # the longest is; a shorter one where the next longer one is new: one more word stood before it
    for k in range(length + 1, 0, -1):
        before = n
        last_keys[k] = mix(extend(last_keys[k - 1], word))
        last[k], n = _entry(held, n, last_keys[k], last[k - 1], k)
        if counted:
            held.counts[last[k]] += 1
        counted = counted and n > before
    return n


@kernel
def _smooth(
    count_E: Small, context_E: Small, order_E: Orders, discount_OJ: Floats, part_E: Floats, backoff_E: Floats
) -> None:
    n = len(count_E)
    total, kinds = np.zeros(n + 1, np.int64), np.zeros((n + 1, 4), np.int32)
    for entry in range(n):
        if count_E[entry] > 0:
            total[context_E[entry]] += count_E[entry]
            kinds[context_E[entry], min(count_E[entry], 3)] += 1
    for entry in range(n):
        if count_E[entry] > 0:
            left = count_E[entry] - discount_OJ[order_E[entry] - 1, min(count_E[entry], 3)]
            part_E[entry] = max(left, 0.0) / total[context_E[entry]]
    for context in range(n + 1):
        if total[context] > 0:
            order = 0 if context == n else order_E[context]  # continued by n-grams one longer: row `order`
            for j in range(1, 4):
                backoff_E[context] += discount_OJ[order, j] * kinds[context, j] / total[context]


@kernel
def _ask(
    data: Bytes, offsets: Ints, flags: Bytes, lower: Small, order: int, places: Small, key_E: Hashes,
    part_E: Floats, backoff_E: Floats, unknown: float, log10_N: Floats, n_N: Ints,
) -> None:  # fmt: skip
    last_keys, last = np.zeros(order + 1, np.uint64), np.full(order + 1, -1, np.int32)
    for d in range(len(offsets) - 1):
        at, stop = offsets[d], offsets[d + 1]
        while at < stop:
            end = _line_end(data, at, stop)
            at, word = next_token(data, at, end, flags, lower)
            last_keys[0], last_keys[1] = _ORIGIN, mix(extend(_ORIGIN, _START))
            last[1] = places[_place(places, key_E, last_keys[1])]
            last[2:] = -1
            while word != 0:
                p = _probability(word, order, last_keys, last, places, key_E, part_E, backoff_E, unknown)
                log10_N[d] += np.log10(p)
                n_N[d] += 1
                if word == _END:
                    break
                at, word = next_token(data, at, end, flags, lower)
                if word == 0:
                    word = _END
            at = end + 1


@kernel
def _probability(
    word: np.uint64, order: int, last_keys: Hashes, last: Small, places: Small, key_E: Hashes,
    part_E: Floats, backoff_E: Floats, unknown: float,
) -> float:  # fmt: skip
    """p(word | the last words); last[k] is then the entry of the last k words, -1 where there is none."""
    p, seen = unknown, True
    context, context_key = -1, last_keys[0]
    for k in range(1, order + 1):
        before, before_key = last[k], last_keys[k]
        if k > 1 and context < 0:
            last[k:] = -1  # a longer n-gram would have this context
            break
        if k > 1:
            p *= float(backoff_E[context])
        last[k] = -1
        if seen:  # an n-gram's last words are an n-gram
            last_keys[k] = mix(extend(context_key, word))
            last[k] = places[_place(places, key_E, last_keys[k])]
            seen = last[k] >= 0
            p += float(part_E[last[k]]) if seen else 0.0
        context, context_key = before, before_key
    return p
