import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from seedbed.core.nouns import DocumentBatch
from seedbed.text.samples import WINDOW_BYTES, sample
from tests.conftest import examples

quick = examples(100)


def sampled(texts: list[str], max_bytes: int) -> list[bytes]:
    data, offsets = DocumentBatch.of(texts).text_buffers()
    out, bounds = sample(data, offsets, np.arange(len(texts)), max_bytes)
    return [out[a:b].tobytes() for a, b in itertools.pairwise(bounds)]


def test_short_texts_are_whole_and_long_ones_are_spread():
    words = [f"word{i:05d}" for i in range(5000)]
    text = " ".join(words)
    (short, found) = sampled(["a b\n c", text], 1024)
    assert short == b"a b\n c"
    lines = found.decode().splitlines()
    assert len(lines) == 8
    assert set(found.decode().split()) <= set(words), "no word is cut"
    assert lines[0].startswith("word00000")
    assert lines[-1].endswith("word04999")
    firsts = [int(line.split()[0][4:]) for line in lines]
    assert np.ptp(np.diff(firsts)) <= 2, "evenly spaced"
    assert 1000 <= len(found) <= 1100


def test_text_without_spaces_is_cut_between_characters():
    text = "日月盈昃辰宿列张" * 500
    (found,) = sampled([text], 1000)
    assert all(line in text for line in found.decode().splitlines())
    assert 850 <= len(found) <= 1100


@quick
@given(st.lists(st.text(alphabet="ab \n\u3000é語😀", max_size=900), max_size=4), st.integers(1, 700))
def test_whatever_the_text(texts, max_bytes):
    found = sampled(texts, max_bytes)
    for text, piece in zip(texts, found, strict=True):
        if len(text.encode()) <= max(max_bytes, WINDOW_BYTES):
            assert piece == text.encode()
        else:
            assert len(piece) <= max(1, max_bytes // WINDOW_BYTES) * (WINDOW_BYTES + 70)
            assert all(line in text for line in piece.decode().split("\n"))
    for row in range(len(texts)):
        assert sampled([texts[row]], max_bytes) == [found[row]]


def test_some_rows_in_any_order():
    texts = ["one two " * 300, "b", "three four " * 300]
    data, offsets = DocumentBatch.of(texts).text_buffers()
    out, bounds = sample(data, offsets, np.array([2, 0]), 200)
    both = sampled(texts, 200)
    assert out.tobytes() == both[2] + both[0]
    assert bounds.tolist() == [0, len(both[2]), len(both[2]) + len(both[0])]
