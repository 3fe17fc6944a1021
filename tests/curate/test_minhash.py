import numpy as np
import pytest

from seedbed.core.nouns import DocumentBatch
from seedbed.curate.dedup.minhash import Minhash


def words_of_letters(n, rng):
    """n different words; digits would all fold to 0."""
    letters = rng.integers(97, 123, 16 * n, dtype=np.uint8).tobytes().decode()
    return [letters[at : at + 16] for at in range(0, len(letters), 16)]


def pairs(jaccard, n, size=150, seed=0):
    """n pairs of texts whose sets of single words have the given Jaccard similarity."""
    rng = np.random.default_rng(seed)
    shared = round(2 * size * jaccard / (1 + jaccard))
    texts = []
    for _ in range(n):
        words = words_of_letters(2 * size - shared, rng)
        one, other = words[:size], words[size - shared :]
        texts += [" ".join(one), " ".join(rng.permutation(other))]
    return texts, shared / (2 * size - shared)


@pytest.mark.parametrize("jaccard", [0.60, 0.72, 0.80, 0.95])
def test_links_follow_the_s_curve(jaccard):
    texts, exact = pairs(jaccard, n := 1500)
    method = Minhash(ngram=1)
    found = method.signatures(DocumentBatch.of(texts))
    keys = np.stack([found.column(name).to_numpy() for name in found.column_names])
    same = keys[:, 0::2] == keys[:, 1::2]
    per_band, linked = exact**8, 1 - (1 - exact**8) ** 14
    for measured, expected, trials in [(same.mean(), per_band, n * 14), (same.any(axis=0).mean(), linked, n)]:
        assert abs(measured - expected) < 4 * np.sqrt(expected * (1 - expected) / trials) + 1e-3


def test_minima_are_independent_over_bands():
    texts, exact = pairs(0.72, n := 1500, seed=1)
    found = Minhash(ngram=1, bands=16, rows=1).signatures(DocumentBatch.of(texts))
    keys = np.stack([found.column(name).to_numpy() for name in found.column_names])
    agreements = (keys[:, 0::2] == keys[:, 1::2]).sum(axis=0)
    assert abs(agreements.var() - 16 * exact * (1 - exact)) < 5 * np.sqrt(2 / n) * 16 * exact * (1 - exact)


def groups(*texts, **parameters):
    method = Minhash(**parameters)
    return method.groups(method.signatures(DocumentBatch.of(list(texts)))).tolist()


def test_shingles_are_a_set_of_five_words_of_folded_text():
    text = "The Café was built in 1923, by three brothers of the town; it closed."
    alike = "the cafe was built in 7\n\nby THREE brothers -- of the town: it closed"
    again = text + " " + text + " " + text
    assert groups(text, alike, "a completely other text with more than five words in it") == [0, 0, 2]
    assert groups(again, text + " " + text) == [0, 0]
    assert groups("a b c d e", "e d c b a") == [0, 1]


def test_short_and_empty_documents():
    texts = ["", "two words", "...", "Two, words!", "two", " \n"]
    assert groups(*texts) == [0, 1, 2, 1, 4, 5]


def test_links_chain_to_the_smallest_row():
    words = words_of_letters(3000, np.random.default_rng(0))
    slides = [" ".join(words[start : start + 2000]) for start in (300, 200, 100, 0)]
    assert groups("other words entirely, more than five of them", *slides) == [0, 1, 1, 1, 1]


def test_signature_depends_on_seed_and_not_on_neighbours():
    batch = DocumentBatch.of(["some words that make a text of their own", "x", ""])
    one = Minhash().signatures(batch)
    assert one.slice(1, 1).equals(Minhash().signatures(batch.one(1)))
    assert one.num_columns == 14
    assert not one.equals(Minhash(seed=2).signatures(batch))
