"""Training sequences by number: from token shards and copies to the index-th sequence, without replaying the others.

An epoch reads every document `copies` times: floor(copies) readings and one more where a coin hashed from (seed,
source, epoch, document id) says so. Its readings are put in the order of a hash of (seed, source, epoch, document id,
ordinal of the reading), so that repeats lie apart, laid end to end, and cut every `context` tokens into sequences of
`context` + 1, which overlap by the one token that is a target in one and an input in the next. What is left at the end
of an epoch, less than one sequence, is dropped; the next epoch is a new order with new coins. Nothing depends on how
documents lie in shards.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from seedbed.core import arrow
from seedbed.core.errors import SeedbedError
from seedbed.core.fingerprint import hash_bytes
from seedbed.stats.sampling import mix64, permuted

Keys = npt.NDArray[np.uint64]
IntArray = npt.NDArray[np.int64]

_ORDER, _COIN = 1, 2


@dataclasses.dataclass(frozen=True)
class TokenShard:
    """Tokenised documents: flat token ids (a memory map will do) and their index, of schema TOKEN_INDEX."""

    tokens: npt.NDArray[np.integer[Any]]
    index: pa.Table


@dataclasses.dataclass(frozen=True)
class _Epoch:
    """The readings of one epoch in order: which document each is, and where it ends in the epoch's stream."""

    document_R: IntArray
    end_R: IntArray


class TokenSource:
    """Implements train.contract.Source.

    Args:
        name: of the source; part of the order, so that two sources of one run are shuffled apart.
        shards: the tokens.
        copies_N: readings an epoch of each document, in the order of the shards' rows.
        seed: of the order and the coins.
        context: T; sequences have T + 1 tokens.

    Raises SeedbedError where copies do not fit the documents or select fewer tokens than one sequence.
    """

    def __init__(
        self, name: str, shards: Sequence[TokenShard], copies_N: npt.NDArray[np.float64], *, seed: int, context: int
    ) -> None:
        self.name, self.seed, self.context = name, seed, context
        rows = sum(shard.index.num_rows for shard in shards)
        if len(copies_N) != rows:
            raise SeedbedError(f"source {name}", f"{len(copies_N)} copies for {rows} documents")
        if not (np.isfinite(copies_N).all() and (copies_N >= 0).all()):
            raise SeedbedError(f"source {name}", "copies must be finite and >= 0")
        self._tokens = [shard.tokens for shard in shards]
        self._read_index(shards, np.asarray(copies_N, np.float64))
        self._sequences: list[int] = []
        self._epochs: dict[int, _Epoch] = {}
        self._stream = int.from_bytes(hash_bytes(name.encode(), seed.to_bytes(16, "little", signed=True))[:8], "little")
        expected = float((self._copies_N * self._size_N).sum())
        if expected < context + 1:
            what = f"an epoch has {expected:.0f} selected tokens, one sequence needs {context + 1}"
            raise SeedbedError(f"source {name}", what, "Select more, or train with a shorter context.")

    def _read_index(self, shards: Sequence[TokenShard], copies_N: npt.NDArray[np.float64]) -> None:
        """Keep the documents that are read at all."""
        read = copies_N > 0
        ids = [document for shard in shards for document in cast("list[bytes]", arrow.strings(shard.index, "id"))]
        self._ids = [document for document, wanted in zip(ids, read, strict=True) if wanted]
        self._key_N = document_keys(self._ids)
        if len(set(self._ids)) != len(self._ids):
            raise SeedbedError(f"source {self.name}", "two documents share an id", "Ids must be unique in a source.")
        shard_N = np.repeat(np.arange(len(shards)), [shard.index.num_rows for shard in shards])
        offset_N = np.concatenate([np.zeros(0, np.int64), *(arrow.numpy(shard.index, "offset") for shard in shards)])
        size_N = np.concatenate([np.zeros(0, np.int64), *(arrow.numpy(shard.index, "n_tokens") for shard in shards)])
        self._shard_N, self._offset_N, self._size_N = shard_N[read], offset_N[read], size_N[read]
        self._copies_N = copies_N[read]

    def sequence(self, index: int) -> IntArray:
        """T + 1 token ids of the index-th sequence since the start of training, over epochs."""
        document_S, begin_S, end_S = self._spans(index)
        pieces: list[npt.NDArray[np.integer[Any]]] = []
        for document, begin, end in zip(document_S, begin_S, end_S, strict=True):
            offset = self._offset_N[document]
            pieces.append(self._tokens[self._shard_N[document]][offset + begin : offset + end])
        return np.concatenate(pieces).astype(np.int64)

    def documents(self, index: int) -> list[bytes]:
        """Ids of the documents that sequence was cut from, in the order they are read."""
        return [self._ids[document] for document in self._spans(index)[0]]

    def epoch(self, index: int) -> int:
        """The epoch the index-th sequence is cut from."""
        return self._locate(index)[0]

    def _spans(self, index: int) -> tuple[IntArray, IntArray, IntArray]:
        """The documents of a sequence, and the part [begin, stop) of each that is read."""
        number, within = self._locate(index)
        epoch = self._epoch(number)
        first, last = within * self.context, within * self.context + self.context + 1
        span = slice(
            int(np.searchsorted(epoch.end_R, first, side="right")),
            int(np.searchsorted(epoch.end_R, last, side="left")) + 1,
        )
        document_S, end_S = epoch.document_R[span], epoch.end_R[span]
        start_S = end_S - self._size_N[document_S]
        begin_S, stop_S = np.maximum(first - start_S, 0), np.minimum(last - start_S, self._size_N[document_S])
        filled = stop_S > begin_S
        return document_S[filled], begin_S[filled], stop_S[filled]

    def _locate(self, index: int) -> tuple[int, int]:
        """(epoch, sequence within the epoch's stream)."""
        number = 0
        while True:
            if number == len(self._sequences):
                tokens = int((self._readings(number) * self._size_N).sum())
                self._sequences.append(max(0, (tokens - 1) // self.context))
            if index < self._sequences[number]:
                return number, permuted(index, self._sequences[number], self._stream ^ number)
            index -= self._sequences[number]
            number += 1

    def _readings(self, number: int) -> IntArray:
        """How often each document is read in an epoch."""
        whole_N = np.floor(self._copies_N)
        coin_N = unit_interval(self._hash(_COIN, number, self._key_N))
        return (whole_N + (coin_N < self._copies_N - whole_N)).astype(np.int64)

    def _epoch(self, number: int) -> _Epoch:
        """The order of an epoch; the two used last are remembered."""
        if number not in self._epochs:
            readings_N = self._readings(number)
            document_R = np.repeat(np.arange(len(readings_N)), readings_N)
            ordinal_R = np.arange(len(document_R)) - np.repeat(np.cumsum(readings_N) - readings_N, readings_N)
            key_R = mix64(self._key_N[document_R] + ordinal_R.astype(np.uint64))
            order = np.lexsort((self._key_N[document_R], self._hash(_ORDER, number, key_R)))
            document_R = document_R[order]
            if len(self._epochs) == 2:
                del self._epochs[next(iter(self._epochs))]
            self._epochs[number] = _Epoch(document_R, np.cumsum(self._size_N[document_R]))
        return self._epochs[number]

    def _hash(self, purpose: int, number: int, key_N: Keys) -> Keys:
        salt = mix64(mix64(np.array([self._stream], np.uint64)) + np.uint64(number) + np.uint64(purpose << 62))
        return mix64(key_N ^ salt)


def document_keys(ids: Sequence[bytes]) -> Keys:
    """A 64-bit hash of each 16-byte id."""
    halves = np.frombuffer(b"".join(ids), "<u8").reshape(-1, 2).astype(np.uint64)
    return mix64(halves[:, 0] ^ mix64(halves[:, 1]))


def unit_interval(key_N: Keys) -> npt.NDArray[np.float64]:
    """The top 53 bits as a number in [0, 1)."""
    return (key_N >> np.uint64(11)).astype(np.float64) * 2.0**-53
