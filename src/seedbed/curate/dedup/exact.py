"""Exact: which documents have the same text, to the letter or up to case and whitespace?

What      A 128-bit hash of the text; documents with equal hashes are one group.
Source    none; XXH3 by Yann Collet (xxhash), 128-bit variant.
Formula   text_hash = xxh3_128(normalised text); group = smallest row with the same text_hash
          ignore_case maps letters to lower case, ignore_whitespace makes every run of whitespace one space and trims.
Shapes    documents_N -> two 64-bit columns of N -> group_N.
Units     Hash bits; group in rows.
Fidelity  Exact: up to collisions of 128 bits, whose probability for a billion documents is below 1e-20. Lower
          case is that of single code points.
Errors    No text raises. A document that is empty after normalisation has the hash 0 and is in no group but its own.
"""

from __future__ import annotations

import dataclasses
import itertools
from typing import ClassVar

import numpy as np
import pyarrow as pa
import xxhash

from seedbed.core import arrow
from seedbed.core.arrow import Columns
from seedbed.core.nouns import DocumentBatch, Signal, signals_schema
from seedbed.curate.contract import Deduper, IntArray
from seedbed.text.kernel import Bytes, Hashes, Ints
from seedbed.text.repeats import groups
from seedbed.text.words import normalize


@dataclasses.dataclass(frozen=True)
class Exact(Deduper):
    """Which differences between two texts do not count."""

    libraries: ClassVar[tuple[str, ...]] = ("unicodedata", "xxhash")
    signals: ClassVar[tuple[Signal, ...]] = (
        Signal("text_hash_high", "upper 64 bits of the hash", "hash"),
        Signal("text_hash_low", "lower 64 bits of the hash", "hash"),
    )

    ignore_case: bool = False
    ignore_whitespace: bool = False

    def signatures(self, documents: DocumentBatch) -> pa.Table:
        """The hash of every document in two columns."""
        data, offsets = documents.text_buffers()
        if self.ignore_case:
            data, offsets = normalize.lower(data, offsets)
        if self.ignore_whitespace:
            data, offsets = normalize.squeeze(data, offsets)
        high, low = _hash(data, offsets)
        return arrow.table({"text_hash_high": high, "text_hash_low": low}, signals_schema(self.signals))

    def groups(self, signatures: Columns) -> IntArray:
        """The smallest row with the same hash."""
        return groups.equal(arrow.numpy(signatures, "text_hash_high"), arrow.numpy(signatures, "text_hash_low"))


def _hash(data: Bytes, offsets: Ints) -> tuple[Hashes, Hashes]:
    view = np.ascontiguousarray(data).data
    bounds: list[int] = offsets.tolist()
    pairs = itertools.pairwise(bounds)
    digests = (xxhash.xxh3_128_digest(view[start:stop]) if stop > start else bytes(16) for start, stop in pairs)
    both = np.frombuffer(b"".join(digests), ">u8").astype(np.uint64).reshape(-1, 2)
    return both[:, 0].copy(), both[:, 1].copy()
