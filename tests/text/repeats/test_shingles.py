"""Shingles against plain Python, and links of sketches against the curve they are built for."""

import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedbed.core.nouns import DocumentBatch
from seedbed.text.repeats import shingles
from tests.conftest import examples

PIECES = [
    "a",
    "B",
    "cd",
    " ",
    "\n",
    "É",
    "e\u0301",
    "ß",
    "İ",
    "ς",
    "Σ",
    "9",
    "42",
    "٣",
    "-",
    "…",
    "한",
    "語",
    "½",
    "\0",
    "\u0301",
]


def folded(text):
    """The folding, word by word, in plain Python."""
    letters = []
    for c in text:
        for part in unicodedata.normalize("NFD", c.lower()):
            kind = unicodedata.category(part)
            if kind == "Mn":
                continue
            between = part.isspace() or kind[0] in "PS"
            letters.append(" " if between else "0" if kind == "Nd" else "σ" if part == "ς" else part)
    words = "".join(letters).split(" ")
    return [squeezed(word) for word in words if word]


def squeezed(word):
    while "00" in word:
        word = word.replace("00", "0")
    return word


def reference(text, n):
    words = folded(text)
    return [tuple(words[i : i + n]) for i in range(max(1, len(words) - n + 1))] if words else []


@examples(200)
@given(st.lists(st.lists(st.sampled_from(PIECES), max_size=12).map("".join), max_size=6), st.integers(1, 4))
def test_shingles_are_equal_where_the_words_of_the_folded_texts_are(texts, n):
    first, found = shingles.shingles(*DocumentBatch.of(texts).text_buffers(), n)
    expected = [gram for text in texts for gram in reference(text, n)]
    assert np.diff(first).tolist() == [len(reference(text, n)) for text in texts]
    assert len(found) == len(expected)
    assert len(set(zip(expected, found.tolist(), strict=True))) == len(set(expected)) == len(set(found.tolist()))


def test_what_does_not_count():
    texts = ["On 7 May: the Café, closed!", "on 1234 may the cafe\u0301 -- CLOSED", "on 7 may the café is closed"]
    first, found = shingles.shingles(*DocumentBatch.of(texts).text_buffers(), 20)
    assert first.tolist() == [0, 1, 2, 3]
    assert found[0] == found[1] != found[2]


def test_every_code_point_folds_as_in_plain_python():
    codes = [code for code in range(0x110000) if unicodedata.category(chr(code)) not in ("Cn", "Co", "Cs")]
    texts = [f"x{chr(code)}y" for code in codes]
    first, found = shingles.shingles(*DocumentBatch.of(texts).text_buffers(), 3)
    assert (np.diff(first) == 1).all()
    words = [tuple(folded(text)) for text in texts]
    assert len(set(zip(words, found.tolist(), strict=True))) == len(set(words)) == len(set(found.tolist()))


def pairs(shared, alone, n, rng):
    """(data, offsets) of n pairs of texts of single words: `shared` words in both, `alone` more in each, shuffled."""
    letters = rng.integers(97, 123, (n, shared + 2 * alone, 10), dtype=np.uint8)
    letters[:, :, 9] = 32
    one, other = letters[:, : shared + alone], np.roll(letters, -shared - alone, axis=1)[:, : shared + alone].copy()
    other[:, alone:] = letters[:, :shared]
    order = np.argsort(rng.random(other.shape[:2]), axis=1)
    both = np.stack([one, np.take_along_axis(other, order[:, :, None], axis=1)], axis=1)
    return both.reshape(-1), np.arange(2 * n + 1, dtype=np.int64) * (shared + alone) * 10


@pytest.mark.parametrize(("shared", "alone"), [(144, 28), (144, 18), (152, 4)], ids=["0.72", "0.80", "0.95"])
@pytest.mark.parametrize(("bands", "rows"), [(14, 8), (20, 13)])
def test_links_follow_the_s_curve_within_one_percent(shared, alone, bands, rows):
    n, jaccard = 10_000, shared / (shared + 2 * alone)
    keys = shingles.band_keys(*pairs(shared, alone, n, np.random.default_rng(0)), 1, bands, rows, 1)
    linked = (keys[:, 0::2] == keys[:, 1::2]).any(axis=0).mean()
    assert abs(linked - (1 - (1 - jaccard**rows) ** bands)) < 0.01


def test_bands_are_independent_of_each_other():
    n, jaccard = 10_000, 144 / 200
    keys = shingles.band_keys(*pairs(144, 28, n, np.random.default_rng(1)), 1, 16, 2, 1)
    agreements = (keys[:, 0::2] == keys[:, 1::2]).sum(axis=0)
    expected = 16 * jaccard**2 * (1 - jaccard**2)
    assert abs(agreements.mean() / 16 - jaccard**2) < 0.01
    assert abs(agreements.var() / expected - 1) < 0.1


def test_what_is_common_to_real_texts_is_drawn_as_from_any_set():
    """Real shingles, and a family seeded anew each time: the share of equal minima is the similarity."""
    sentence = "The harbour master wrote the height of each tide into the book by the door every morning and evening. "
    one = " ".join(f"{sentence}{chr(97 + i % 26)}{chr(97 + i // 26)}" for i in range(60))
    data, offsets = DocumentBatch.of([one, one[: len(one) * 2 // 3]]).text_buffers()
    first, found = shingles.shingles(data, offsets, 5)
    sets = [set(found[first[d] : first[d + 1]].tolist()) for d in range(2)]
    jaccard = len(sets[0] & sets[1]) / len(sets[0] | sets[1])
    same = np.mean([(k := shingles.band_keys(data, offsets, 5, 500, 1, seed))[:, 0] == k[:, 1] for seed in range(20)])
    assert abs(same - jaccard) < 4 * np.sqrt(jaccard * (1 - jaccard) / 10_000)
