"""Reads a classifier from fastText's own file format, field by field: nothing in the file is executed.

Understood are supervised models with a tree of decisions and no word n-grams, whole (.bin) or compressed by product
quantisation (.ftz; Joulin et al. 2016, arXiv 1612.03651): what language identification uses.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from seedbed.core.errors import SeedbedError
from seedbed.text.fasttext.model import MAX_CHARS, MIN_CHARS, FastText, Floats32, Ints32

LABEL_PREFIX = "__label__"
END_OF_TEXT = b"</s>"

_MAGIC, _VERSION = 793712314, 12
_SUPERVISED, _TREE = 3, 1
_N_CENTROIDS = 256
_HUGE = 10**15
"""The count of a node that is not made yet."""


def read_fasttext(path: Path) -> FastText:
    """The model in a file. Raises SeedbedError where it is broken, or of a kind that is not understood."""
    file = _File(path)
    if file.numbers("ii") != (_MAGIC, _VERSION):
        raise file.broken("is no fastText model of format 12")
    dim, _, _, _, _, word_ngrams, loss, kind, n_buckets, min_chars, max_chars, _ = file.numbers("12i")
    file.numbers("d")
    if (kind, loss, word_ngrams) != (_SUPERVISED, _TREE, 1):
        raise file.broken("is no supervised model with a hierarchical softmax and wordNgrams 1")
    if not MIN_CHARS <= min_chars <= max_chars <= MAX_CHARS:
        raise file.broken(f"has character n-grams of {min_chars} to {max_chars}, not within {MIN_CHARS} to {MAX_CHARS}")
    n_entries, n_words, n_labels, _, n_kept = file.numbers("iiiqq")
    entries = [file.entry() for _ in range(n_entries)]
    words, labels = entries[:n_words], entries[n_words:]
    kept = file.array("<i4", 2 * max(n_kept, 0)).reshape(-1, 2)
    rows_RD = _read_matrix(file, is_compressed=file.numbers("?")[0])
    if file.numbers("?")[0]:
        raise file.broken("has a compressed output, which is not understood")
    output_LD = _read_matrix(file, is_compressed=False)
    n_rows = n_words + (len(kept) if n_kept >= 0 else n_buckets)
    sound = len(labels) == n_labels == len(output_LD) >= 2 and rows_RD.shape == (n_rows, dim) and n_buckets > 0
    known = ((kept >= 0) & (kept < (n_buckets, max(len(kept), 1)))).all()
    if not sound or not known or output_LD.shape[1] != dim or len(words) != n_words:
        raise file.broken("contradicts itself: its tables are not of the sizes it says")
    names = tuple(name for name, _ in words)
    return FastText(
        labels=tuple(name.decode("utf-8", "replace").removeprefix(LABEL_PREFIX) for name, _ in labels),
        min_chars=min_chars,
        max_chars=max_chars,
        words=names,
        bucket_row_B=_bucket_rows(n_words, n_buckets, n_kept, kept),
        rows_RD=rows_RD,
        end_row=names.index(END_OF_TEXT) if END_OF_TEXT in names else -1,
        output_LD=output_LD,
        children_L2=huffman([count for _, count in labels]),
    )


def huffman(counts: Sequence[int]) -> Ints32:
    """children_L2 of the tree over labels in falling order of counts, one row an inner node in the order of making."""
    n = len(counts)
    sizes = [*counts, *[_HUGE] * (n - 1)]
    children = np.zeros((n - 1, 2), np.int32)
    leaf, node = n - 1, n
    for made in range(n - 1):
        for side in range(2):
            if leaf >= 0 and sizes[leaf] < sizes[node]:
                children[made, side], leaf = leaf, leaf - 1
            else:
                children[made, side], node = node, node + 1
        sizes[n + made] = sizes[children[made, 0]] + sizes[children[made, 1]]
    return children


def _bucket_rows(n_words: int, n_buckets: int, n_kept: int, kept: npt.NDArray[np.int32]) -> Ints32:
    """n_kept is -1 where no bucket was left out, 0 where all were."""
    if n_kept < 0:
        return np.arange(n_words, n_words + n_buckets, dtype=np.int32)
    rows = np.full(n_buckets, -1, np.int32)
    rows[kept[:, 0]] = n_words + kept[:, 1]
    return rows


def _read_matrix(file: _File, *, is_compressed: bool) -> Floats32:
    if not is_compressed:
        n_rows, dim = file.numbers("qq")
        return np.ascontiguousarray(file.array("<f4", n_rows * dim).reshape(n_rows, dim), np.float32)
    has_norms, n_rows, dim, n_codes = file.numbers("?qqi")
    codes = file.array("u1", n_codes)
    rows = _decode(file, codes, n_rows, dim)
    return _decode(file, file.array("u1", n_rows), n_rows, 1) * rows if has_norms else rows


def _decode(file: _File, codes: npt.NDArray[np.uint8], n_rows: int, dim: int) -> Floats32:
    """Rows from the codes of their parts; the last part may be shorter."""
    own_dim, n_parts, width, last_width = file.numbers("iiii")
    centroids = file.array("<f4", _N_CENTROIDS * own_dim)
    if own_dim != dim or len(codes) != n_rows * n_parts or (n_parts - 1) * width + last_width != dim:
        raise file.broken("contradicts itself: its codes are not of the sizes it says")
    rows = np.empty((n_rows, dim), np.float32)
    for part, part_codes in enumerate(codes.reshape(n_rows, n_parts).T):
        begin = part * width
        stop = dim if part == n_parts - 1 else begin + width
        choices = centroids[_N_CENTROIDS * begin : _N_CENTROIDS * stop].reshape(_N_CENTROIDS, stop - begin)
        rows[:, begin:stop] = choices[part_codes]
    return rows


class _File:
    """The bytes of a model, read front to back."""

    def __init__(self, path: Path) -> None:
        self.path, self.at = path, 0
        try:
            self.data = path.read_bytes()
        except OSError as error:
            raise self.broken(f"cannot be read ({error.strerror})") from error

    def numbers(self, layout: str) -> tuple[Any, ...]:
        """The next numbers, as `struct` names them, little-endian."""
        return struct.unpack("<" + layout, self._take(struct.calcsize("<" + layout)))

    def array(self, dtype: str, count: int) -> npt.NDArray[Any]:
        """The next `count` numbers."""
        return np.frombuffer(self._take(np.dtype(dtype).itemsize * count), dtype)

    def entry(self) -> tuple[bytes, int]:
        """The next word or label, and how often it was seen."""
        end = self.data.find(b"\0", self.at)
        if end < 0:
            raise self.broken("ends in the middle")
        name = self._take(end + 1 - self.at)[:-1]
        return name, cast(int, self.numbers("qb")[0])

    def broken(self, what: str) -> SeedbedError:
        """The error that names this file."""
        return SeedbedError(str(self.path), what, "Give a language identification model of fastText, such as lid.176.")

    def _take(self, n_bytes: int) -> bytes:
        found = self.data[self.at : self.at + max(n_bytes, 0)]
        if n_bytes < 0 or len(found) != n_bytes:
            raise self.broken("ends in the middle")
        self.at += n_bytes
        return found
