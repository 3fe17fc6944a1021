"""How much of a document repeated word n-grams make up, as Dolma 1.2.1 counts them.

The most frequent n-gram scores even where it occurs once. Longer ones are weighed against all n-grams of their length,
both with every occurrence counted, so that words count as often as n-grams overlap them.
"""

from __future__ import annotations

import numpy as np

from seedbed.text.kernel import Floats, Ints, kernel
from seedbed.text.rules.ngrams import COVERED, ngram_chars
from seedbed.text.words.whitespace import Words


def repetition(words: Words) -> tuple[Floats, Floats, Ints]:
    """(top_3D, repeated_6D, chars_D): fractions of characters in words and in n-grams; characters in words."""
    found = ngram_chars(words)
    every = np.zeros((len(COVERED), len(found.total_D)), np.int64)
    _count_all(words.first, words.chars, every)
    top = found.first_count_3D * found.first_3D / np.maximum(found.total_D, 1)
    return top, found.again_6D / np.maximum(every, 1), found.total_D


@kernel
def _count_all(first: Ints, chars: Ints, every: Ints) -> None:
    """every[n - 5, d]: characters of all n-grams; a word counts once for each n-gram it lies in."""
    for d in range(len(first) - 1):
        n_words = first[d + 1] - first[d]
        for n in range(5, min(n_words, 10) + 1):
            total, n_grams = 0, n_words - n + 1
            for w in range(n_words):
                total += chars[first[d] + w] * min(w + 1, n_words - w, n, n_grams)
            every[n - 5, d] = total
