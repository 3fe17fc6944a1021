"""Many bytes at once, against loops over single ones; also where the data ends inside a block."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from seedbed.core.nouns import DocumentBatch
from seedbed.text import hashing, unicode, vectors
from seedbed.text.kernel import kernel
from seedbed.text.rules import lines
from seedbed.text.words import whitespace as words
from tests.conftest import examples

quick = examples(200)
DATA = st.binary(max_size=200).map(lambda content: np.frombuffer(content, np.uint8))
PLACE = st.integers(0, 200)


def bits(value: int) -> list[int]:
    return [i for i in range(64) if int(value) >> i & 1]


@quick
@given(DATA, PLACE, st.integers(0, 255), st.integers(0, 255))
def test_between_compares_every_byte_of_a_block(data: np.ndarray, at: int, low: int, width: int) -> None:
    high = min(255, low + width)
    block = data[at : at + 64].tolist()
    assert bits(vectors.between(data, at, low, high)) == [i for i, byte in enumerate(block) if low <= byte <= high]


@quick
@given(DATA, PLACE, st.integers(0, 20))
def test_load_gives_bytes_in_order(data: np.ndarray, at: int, size: int) -> None:
    stop = min(at + size, len(data))
    expected = int.from_bytes(data[at : min(stop, at + 8)].tobytes(), "little") if stop > at else 0
    if stop > at:
        assert int(vectors.load(data, at, stop)) == expected


@quick
@given(st.integers(-5, 300), st.integers(0, 300))
def test_within_is_what_lies_before_the_end(at: int, stop: int) -> None:
    assert bits(vectors.within(at, stop)) == [i for i in range(64) if at + i < stop]


@kernel
def _lowest_and_count(value: np.uint64) -> tuple[int, int]:
    return vectors.lowest_bit(value), vectors.count_bits(value)


@quick
@given(st.integers(1, 2**64 - 1))
def test_bits_are_found_and_counted(value: int) -> None:
    assert _lowest_and_count(np.uint64(value)) == (bits(value)[0], value.bit_count())


@quick
@given(st.binary(max_size=40), st.binary(max_size=40), st.integers(0, 40), st.integers(0, 3))
def test_the_hash_of_a_range_depends_on_its_bytes_alone(one: bytes, two: bytes, shift: int, seed: int) -> None:
    def hashed(content: bytes, before: bytes, after: bytes, seed: int = seed) -> int:
        data = np.frombuffer(before + content + after, np.uint8)
        return int(hashing.hash_range(data, len(before), len(before) + len(content), np.uint64(seed)))

    around = b"\xff" * shift
    assert hashed(one, around, around) == hashed(one, b"", b"") == hashed(one, b"a", one)
    assert (hashed(one, b"", b"") == hashed(two, b"", b"")) == (one == two)
    assert hashed(one, b"", b"") != hashed(one, b"", b"", seed + 1)
    assert hashed(one, b"", b"") != hashed(one + b"\0", b"", b"")


@quick
@given(st.text(st.sampled_from("aé世\U0001f600 "), max_size=60), st.integers(0, 30), st.integers(0, 30))
def test_characters_are_counted(text: str, before: int, after: int) -> None:
    data = np.frombuffer(("x" * before + text + "é" * after).encode(), np.uint8)
    assert unicode.count_characters(data, before, before + len(text.encode())) == len(text)


SPACES = [" ", "\n", "\x1c", "\x85", "\xa0", "\u1680", "\u2003", "\u2028", "\u205f", "\u3000"]
NOT_SPACES = ["\x1b", "\x7f", "\x80", "\u180e", "\u200b", "\u2060", "\ufeff", "\u3001", "\U0001f600", "ß"]


def test_words_and_lines_at_the_borders_of_blocks() -> None:
    texts = ["x" * n + one + end for n in range(56, 67) for one in SPACES + NOT_SPACES for end in ("", "y", one, " z")]
    whole = DocumentBatch.of(["", "é", *texts])
    for batch in (whole, DocumentBatch(whole.rows.slice(2)), DocumentBatch(whole.rows.slice(2, 40))):
        data, offsets = batch.text_buffers()
        found = words.split(data, offsets)
        spans = [bytes(data[a:b]).decode() for a, b in zip(found.start, found.end, strict=True)]
        assert spans == [word for text in batch.texts() for word in text.split()]
        assert batch.derive(words.count_words).tolist() == [len(text.split()) for text in batch.texts()]
        split = lines.split_lines(data, offsets)
        spans = [bytes(data[a:b]).decode() for a, b in zip(split.start, split.end, strict=True)]
        assert spans == [line.strip() for text in batch.texts() for line in text.split("\n") if line.strip()]
