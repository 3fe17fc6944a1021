"""The kernel and the reader against fastText itself, on the shipped model and on models made of chance."""

import struct
from functools import cache
from pathlib import Path
from typing import Any

import fasttext
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedbed.core.errors import SeedbedError
from seedbed.core.nouns import DocumentBatch
from seedbed.curate.filters.language import _shipped
from seedbed.text.fasttext.file import huffman, read_fasttext
from seedbed.text.fasttext.model import FastText
from tests.conftest import examples, sample_texts

WORDS = ["</s>", "the", "of", "é", "и", "語", "naïve", "x" * 40, "to"]
PIECES = [*WORDS[1:], " ", "\n", "\t", "\0", "\x0b", "\u3000", "\u0301", "😀", "Über", "слово", "こんにちは", "a", "__"]
quick = examples(150)


def pack_model(seed: int, *, is_compressed: bool, min_chars: int = 2, max_chars: int = 4, keep: int = 60) -> bytes:
    """A model of chance in fastText's format: 9 words, 100 buckets (`keep` of them left; -1 for all), 7 labels."""
    rng = np.random.default_rng(seed)
    dim, buckets, labels = 5, 100, [b"__label__%c" % (65 + i) for i in range(7)]
    counts = sorted(rng.integers(1, 1000, len(labels)).tolist(), reverse=True)
    out = struct.pack("<ii", 793712314, 12)
    out += struct.pack("<12id", dim, 5, 5, 1, 5, 1, 1, 3, buckets, min_chars, max_chars, 100, 1e-4)
    out += struct.pack("<iiiqq", len(WORDS) + 7, len(WORDS), 7, 5000, keep)
    for name, count, kind in [
        *((w.encode(), 9, 0) for w in WORDS),
        *((n, c, 1) for n, c in zip(labels, counts, strict=True)),
    ]:
        out += name + b"\0" + struct.pack("<qb", count, kind)
    n_rows = len(WORDS) + (buckets if keep < 0 else keep)
    for row, bucket in enumerate(rng.permutation(buckets)[: max(keep, 0)].tolist()):
        out += struct.pack("<ii", bucket, row)
    out += struct.pack("<?", is_compressed)
    if is_compressed:  # three parts of two, two and one numbers
        out += struct.pack("<?qqi", True, n_rows, dim, n_rows * 3) + rng.bytes(n_rows * 3)
        out += struct.pack("<iiii", dim, 3, 2, 1) + rng.normal(0, 1, dim * 256).astype("<f4").tobytes()
        out += rng.bytes(n_rows) + struct.pack("<iiii", 1, 1, 1, 1) + rng.random(256).astype("<f4").tobytes()
    else:
        out += struct.pack("<qq", n_rows, dim) + rng.normal(0, 1, n_rows * dim).astype("<f4").tobytes()
    return out + struct.pack("<?qq", False, 7, dim) + rng.normal(0, 1, 7 * dim).astype("<f4").tobytes()


@cache
def load(file: Path) -> tuple[FastText, Any]:
    return read_fasttext(file), fasttext.load_model(str(file)).f


def is_alike(file: Path, texts: list[str]) -> None:
    """Asserts that fastText and the kernel say the same of every text."""
    ours, theirs = load(file)
    labels, scores = ours.classify(*DocumentBatch.of(texts).text_buffers())
    n_known = 0
    for text, label, score in zip(texts, labels.tolist(), scores.tolist(), strict=True):
        if label < 0:  # the model knows nothing of it: fastText then judges the end of the text alone
            assert score == 0
            continue
        n_known += 1
        every = theirs.predict(text.replace("\n", " ") + "\n", -1, 0.0, "strict")
        chances = {name.removeprefix("__label__"): chance for chance, name in every}
        assert score == pytest.approx(min(1.0, max(chances.values())), abs=1e-5)
        assert chances[ours.labels[label]] == pytest.approx(max(chances.values()), abs=1e-6)
    assert n_known


@quick
@given(st.lists(st.one_of(st.lists(st.sampled_from(PIECES), max_size=30).map("".join), st.text()), max_size=5))
def test_the_shipped_model_says_what_fasttext_says(texts: list[str]) -> None:
    tidy = [t.encode("utf-8", "replace").decode().replace("</s>", "").replace("__label__", "") for t in texts]
    is_alike(_shipped(), [*tidy, "The committee will meet on Thursday."])


def test_real_documents() -> None:
    is_alike(_shipped(), [row["text"] for row in sample_texts()])


@pytest.mark.parametrize("is_compressed", [False, True])
@pytest.mark.parametrize(("min_chars", "max_chars"), [(2, 4), (3, 3), (2, 2), (4, 4), (3, 4)])
def test_models_of_chance(tmp_path: Path, is_compressed: bool, min_chars: int, max_chars: int) -> None:
    rng = np.random.default_rng(1)
    texts = ["".join(rng.choice(PIECES, n)) for n in range(1, 40)]
    for seed, keep in enumerate((60, 100, 0) if is_compressed else (-1,)):
        file = tmp_path / f"{seed}.bin"
        sizes = {"min_chars": min_chars, "max_chars": max_chars}
        file.write_bytes(pack_model(seed, is_compressed=is_compressed, keep=keep, **sizes))
        is_alike(file, [*texts, "the of to"])


def test_a_broken_file_says_so(tmp_path: Path) -> None:
    whole = pack_model(3, is_compressed=True)
    file = tmp_path / "model.ftz"
    for size in (0, 3, 8, 40, 90, 200, 300, 500, 900, 5000, len(whole) - 1):
        file.write_bytes(whole[:size])
        with pytest.raises(SeedbedError, match=r"model\.ftz: .*(ends in the middle|format 12)"):
            read_fasttext(file)
    for at, value, what in [
        (4, 11, "format 12"),
        (28, 2, "wordNgrams 1"),
        (32, 3, "softmax"),
        (48, 6, "n-grams of 2 to"),
    ]:
        changed = bytearray(whole)
        changed[at : at + 4] = struct.pack("<i", value)
        file.write_bytes(changed)
        with pytest.raises(SeedbedError, match=what):
            read_fasttext(file)
    with pytest.raises(SeedbedError, match="cannot be read"):
        read_fasttext(tmp_path / "none.ftz")


def test_a_row_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    whole = bytearray(pack_model(3, is_compressed=True))
    at = whole.index(struct.pack("<?qqi", True, 69, 5, 69 * 3)) - 1 - 4  # the row of the last bucket
    assert struct.unpack_from("<i", whole, at) == (59,)
    struct.pack_into("<i", whole, at, 60)
    (tmp_path / "model.ftz").write_bytes(whole)
    with pytest.raises(SeedbedError, match="contradicts itself"):
        read_fasttext(tmp_path / "model.ftz")


def test_a_file_with_a_wrong_byte_is_read_or_refused(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    whole, file = pack_model(3, is_compressed=True), tmp_path / "model.ftz"
    batch = DocumentBatch.of(["the of to naïve 語 слово"]).text_buffers()
    refused = 0
    for at in [*range(8, 64), *rng.integers(64, len(whole), 300).tolist()]:
        changed = bytearray(whole)
        changed[at] ^= 1 << int(rng.integers(8))
        file.write_bytes(changed)
        try:
            read_fasttext(file).classify(*batch)
        except SeedbedError:
            refused += 1
    assert refused > 30


def test_the_tree_joins_the_rarest_first() -> None:
    # counts 5 4 1 1: (1+1) first, then 2+4, then 5+6
    assert huffman([5, 4, 1, 1]).tolist() == [[3, 2], [4, 1], [0, 5]]
    # a tie goes to the inner node
    assert huffman([2, 1, 1]).tolist() == [[2, 1], [3, 0]]
