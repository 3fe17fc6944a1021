"""Which words of a list a text contains: one pass over the text, however long the list (Aho and Corasick 1975)."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from seedbed.text.kernel import Bytes, Ints, kernel

_Steps = npt.NDArray[np.int32]


@dataclasses.dataclass(frozen=True)
class WordList:
    """An automaton over bytes for W words.

    Args:
        next_S256: the state after a byte.
        word_S: the longest word that ends in a state, or -1.
        shorter_S: the state of the longest shorter word that ends there too, or 0.
    """

    next_S256: _Steps
    word_S: Ints
    shorter_S: Ints
    n_words: int

    @classmethod
    def of(cls, words: Sequence[str]) -> WordList:
        """The automaton; words that are listed twice, and empty ones, count once and never."""
        given = list(dict.fromkeys(word.encode() for word in words if word))
        steps, word_S, order, parent = _trie(given)
        fail_S, shorter_S = np.zeros(len(order), np.int64), np.zeros(len(order), np.int64)
        next_S256 = np.zeros((len(order), 256), np.int32)
        for state in order:  # breadth first: a state's shorter suffix is finished before it
            if state:
                above, byte = parent[state]
                fail_S[state] = next_S256[fail_S[above], byte] if above else 0
                next_S256[state] = next_S256[fail_S[state]]
                fail = fail_S[state]
                shorter_S[state] = fail if word_S[fail] >= 0 else shorter_S[fail]
            for byte, child in steps[state].items():
                next_S256[state, byte] = child
        return cls(next_S256, word_S, shorter_S, len(given))

    def count(self, data: Bytes, offsets: Ints) -> Ints:
        """How many different words of the list each text contains, as substrings."""
        counts = np.zeros(len(offsets) - 1, np.int64)
        if self.n_words:
            _count(data, offsets, self.next_S256, self.word_S, self.shorter_S, np.zeros(self.n_words, np.int64), counts)
        return counts


def _trie(words: Sequence[bytes]) -> tuple[list[dict[int, int]], Ints, list[int], list[tuple[int, int]]]:
    """(children by byte, word of each state, states breadth first, (parent, byte) of each state)."""
    steps: list[dict[int, int]] = [{}]
    parent, depth, ends = [(0, 0)], [0], dict[int, int]()
    for w, word in enumerate(words):
        state = 0
        for byte in word:
            if byte not in steps[state]:
                steps[state][byte] = len(steps)
                parent.append((state, byte))
                depth.append(depth[state] + 1)
                steps.append({})
            state = steps[state][byte]
        ends[state] = w
    word_S = np.full(len(steps), -1, np.int64)
    word_S[list(ends)] = list(ends.values())
    return steps, word_S, sorted(range(len(steps)), key=depth.__getitem__), parent


@kernel
def _count(
    data: Bytes, offsets: Ints, next_S256: _Steps, word_S: Ints, shorter_S: Ints, seen_W: Ints, counts: Ints
) -> None:
    """seen_W: the last document, counted from 1, that each word was found in."""
    for d in range(len(offsets) - 1):
        state = 0
        for at in range(offsets[d], offsets[d + 1]):
            state = next_S256[state, data[at]]
            found = state if word_S[state] >= 0 else shorter_S[state]
            while found:
                if seen_W[word_S[found]] != d + 1:
                    seen_W[word_S[found]] = d + 1
                    counts[d] += 1
                found = shorter_S[found]
