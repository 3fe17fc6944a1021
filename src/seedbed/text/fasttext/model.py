"""Text classifiers of the fastText kind, asked by a compiled kernel over text buffers.

Joulin et al. 2016, arXiv 1607.01759. A model is rows of floats: one a known word, one a bucket of character n-grams. A
text is the mean of the rows of its words, of the n-grams of each word with its borders marked (`<word>`), and of the
end of the text; a tree of logistic decisions turns the mean into the probability of every label. Words are what ASCII
whitespace and NUL separate. Unlike in fastText, a word that reads "</s>" or begins like a label is a word like others.
"""

from __future__ import annotations

import dataclasses
from functools import cached_property
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from seedbed.text.hashing import table_mask
from seedbed.text.kernel import Bytes, Floats, Ints, kernel, leaf

MIN_CHARS, MAX_CHARS = 2, 4
"""The lengths of character n-grams that can be read."""

Floats32 = npt.NDArray[np.float32]
Ints32 = npt.NDArray[np.int32]
Hashes32 = npt.NDArray[np.uint32]
Vocabulary: TypeAlias = tuple[Ints32, Hashes32, Ints, Bytes]
"""(word in each slot or -1, hash of each word, bounds of each word, all words as bytes)."""

_BASIS, _PRIME = np.uint32(2166136261), np.uint32(16777619)
_OPEN, _CLOSE = np.uint8(ord("<")), np.uint8(ord(">"))
_LEAST = 1e-5
"""fastText adds it to every probability before it takes the logarithm."""


@dataclasses.dataclass(frozen=True)
class FastText:
    """A model of W words, B buckets, R rows, L labels and D dimensions.

    Args:
        labels: L names.
        min_chars, max_chars: the shortest and longest n-grams, in characters.
        words: the W known words, UTF-8; word w has row w.
        bucket_row_B: row of each bucket; -1 where compression left it out.
        rows_RD: the rows of words and buckets.
        end_row: row of the end of a text, or -1.
        output_LD: one row an inner node of the tree.
        children_L2: children of each inner node, the root last: a label, or L + an inner node.
    """

    labels: tuple[str, ...]
    min_chars: int
    max_chars: int
    words: tuple[bytes, ...]
    bucket_row_B: Ints32
    rows_RD: Floats32
    end_row: int
    output_LD: Floats32
    children_L2: Ints32

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The known words as a hash table."""
        text = np.frombuffer(b"".join(self.words), np.uint8)
        bounds = np.cumsum([0, *map(len, self.words)]).astype(np.int64)
        slots = np.full(table_mask(len(self.words)) + 1, -1, np.int32)
        hashes = np.empty(len(self.words), np.uint32)
        _fill_slots(text, bounds, slots, hashes)
        return slots, hashes, bounds, text

    def classify(self, data: Bytes, offsets: Ints) -> tuple[Ints, Floats]:
        """(label_N, score_N): the likeliest label and its probability; -1 and 0 where the model knows no part of it."""
        label_N, score_N = np.full(len(offsets) - 1, -1, np.int64), np.zeros(len(offsets) - 1)
        _classify(
            data, offsets, self.vocabulary, self.min_chars, self.max_chars, self.bucket_row_B, self.rows_RD,
            self.end_row, self.output_LD, self.children_L2, label_N, score_N,
        )  # fmt: skip
        return label_N, score_N


@leaf
def _extend(state: np.uint32, byte: np.uint8) -> np.uint32:
    """FNV-1a with one byte more, the byte taken as signed: a slip in fastText that its models are trained with."""
    return np.uint32(np.uint32(state ^ np.uint32(np.int8(byte))) * _PRIME)


@kernel
def _fill_slots(text: Bytes, bounds: Ints, slots: Ints32, hashes: Hashes32) -> None:
    for word in range(len(hashes)):
        state = _BASIS
        for at in range(bounds[word], bounds[word + 1]):
            state = _extend(state, text[at])
        hashes[word] = state
        slot = np.int64(state) & (len(slots) - 1)
        while slots[slot] >= 0:
            slot = (slot + 1) & (len(slots) - 1)
        slots[slot] = word


@leaf
def _find(data: Bytes, begin: int, end: int, state: np.uint32, vocabulary: Vocabulary) -> int:
    """The known word that data[begin:end] is, or -1."""
    slots, hashes, bounds, text = vocabulary
    slot = np.int64(state) & (len(slots) - 1)
    while slots[slot] >= 0:
        word = slots[slot]
        if hashes[word] == state and bounds[word + 1] - bounds[word] == end - begin:
            at = 0
            while at < end - begin and text[bounds[word] + at] == data[begin + at]:
                at += 1
            if at == end - begin:
                return word
        slot = (slot + 1) & (len(slots) - 1)
    return -1


@leaf
def _is_space(byte: np.uint8) -> bool:
    return bool(byte == 32 or 9 <= byte <= 13 or byte == 0)


@kernel
def _list_rows(
    data: Bytes, begin: int, end: int, vocabulary: Vocabulary, min_chars: int, max_chars: int, bucket_row_B: Ints32,
    rows: Ints32,
) -> int:  # fmt: skip
    """Lists the rows of all words and n-grams in data[begin:end]; how many."""
    n, at, n_buckets = 0, begin, np.uint32(len(bucket_row_B))
    while at < end:
        if _is_space(data[at]):
            at += 1
            continue
        start, chars, inside = at, 1, True
        word = four = three = two = _BASIS  # hashes of the word so far, and of its last characters
        one = _extend(_BASIS, _OPEN)
        while inside:
            inside = at < end and not _is_space(data[at])
            four, three, two, one, byte = three, two, one, _BASIS, _CLOSE
            if inside:
                byte = data[at]
                word = _extend(word, byte)
                at += 1
            one, two, three, four = _extend(one, byte), _extend(two, byte), _extend(three, byte), _extend(four, byte)
            while inside and at < end and data[at] & 0xC0 == 0x80:
                byte = data[at]
                one, two, three, four = (
                    _extend(one, byte),
                    _extend(two, byte),
                    _extend(three, byte),
                    _extend(four, byte),
                )
                word = _extend(word, byte)
                at += 1
            chars += 1
            for length, state in ((2, two), (3, three), (4, four)):
                if length <= chars and min_chars <= length <= max_chars:
                    row = bucket_row_B[state % n_buckets]
                    if row >= 0:
                        rows[n] = row
                        n += 1
        known = _find(data, start, at, word, vocabulary)
        if known >= 0:
            rows[n] = known
            n += 1
    return n


@kernel
def _likeliest(mean_D: Floats32, output_LD: Floats32, children_L2: Ints32, nodes: Ints, scores: Floats) -> int:
    """The likeliest label; scores[0] is left as the logarithm of its probability.

    Depth first, the better side first; what cannot beat the best is passed over. `nodes` and `scores` are the stack.
    """
    n_labels = len(children_L2) + 1
    depth, best, best_score = 1, -1, -np.inf
    nodes[0], scores[0] = n_labels + len(children_L2) - 1, 0.0
    while depth > 0:
        depth -= 1
        node, score = nodes[depth], scores[depth]
        if score <= best_score:
            continue
        if node < n_labels:
            best, best_score = node, score
            continue
        node -= n_labels
        dot = np.float32(0)
        for j in range(len(mean_D)):
            dot += mean_D[j] * output_LD[node, j]
        right = 1 / (1 + np.exp(-np.float64(dot)))
        left_score, right_score = score + np.log(1 - right + _LEAST), score + np.log(right + _LEAST)
        better = 1 if right_score > left_score else 0
        nodes[depth], scores[depth] = children_L2[node, 1 - better], min(left_score, right_score)
        nodes[depth + 1], scores[depth + 1] = children_L2[node, better], max(left_score, right_score)
        depth += 2
    scores[0] = best_score
    return best


@kernel
def _classify(
    data: Bytes, offsets: Ints, vocabulary: Vocabulary, min_chars: int, max_chars: int, bucket_row_B: Ints32,
    rows_RD: Floats32, end_row: int, output_LD: Floats32, children_L2: Ints32, label_N: Ints, score_N: Floats,
) -> None:  # fmt: skip
    most = 0
    for d in range(len(offsets) - 1):
        most = max(most, offsets[d + 1] - offsets[d])
    rows = np.empty(4 * most + 4, np.int32)
    mean_D = np.empty(rows_RD.shape[1], np.float32)
    nodes, scores = np.empty(2 * len(children_L2) + 2, np.int64), np.empty(2 * len(children_L2) + 2, np.float64)
    for d in range(len(offsets) - 1):
        n = _list_rows(data, offsets[d], offsets[d + 1], vocabulary, min_chars, max_chars, bucket_row_B, rows)
        if n == 0:
            continue
        if end_row >= 0:
            rows[n] = end_row
            n += 1
        _average(rows[:n], rows_RD, mean_D)
        label_N[d] = _likeliest(mean_D, output_LD, children_L2, nodes, scores)
        score_N[d] = min(1.0, np.exp(scores[0]))


@kernel
def _average(rows: Ints32, rows_RD: Floats32, mean_D: Floats32) -> None:
    mean_D[:] = 0
    for row in rows:
        for j in range(len(mean_D)):
            mean_D[j] += rows_RD[row, j]
    mean_D *= np.float32(1 / len(rows))
