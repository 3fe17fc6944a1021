"""Training tokens by number: from token shards and copies to the index-th reading, without replaying the others.

An epoch reads every document `copies` times: floor(copies) times and once more where a coin hashed from (seed, source,
epoch, document id) says so. These repeats are put in the order of a hash of (seed, source, epoch, document id, ordinal
of the repeat), so that they lie apart, laid end to end (each with its metadata before it, where there is some), and cut
every `stride` tokens into readings of `stride` + 1, which overlap by the one token that is a target in one and an input
in the next. What is left at the end of an epoch, less than one reading, is dropped; the next epoch is a new order with
new coins. Nothing depends on how documents lie in shards.

The readings of an epoch are given out in an order of their own, too. With a curriculum they are not: documents are put
into buckets of equal numbers by a rank, every epoch goes from the lowest bucket to the highest, and the hashes shuffle
documents inside their bucket alone; so readings follow the ranks, up to what a bucket holds. Equal ranks are parted by
the epoch's hash: where all are the same and each document is read once, they lie as they do without a curriculum.

Memory: some 50 bytes a document, and 12 a repeat for each of two epochs; the tokens stay where they are.
"""

from __future__ import annotations

import dataclasses
import threading
from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from seedbed.core import arrow
from seedbed.core.errors import SeedbedError
from seedbed.core.fingerprint import hash_bytes
from seedbed.stats.sampling import mix64, permuted
from seedbed.train.contract import Reading

Keys = npt.NDArray[np.uint64]
IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
Tokens = npt.NDArray[np.integer[Any]]

_ORDER, _COIN = 1, 2
_PART = np.uint64(0x70617274)


@dataclasses.dataclass(frozen=True)
class TokenShard:
    """Tokenised documents: flat token ids (a memory map will do) and their index, of schema TOKEN_INDEX."""

    tokens: Tokens
    index: pa.Table


@dataclasses.dataclass(frozen=True)
class Metadata:
    """Token ids that are read before each document: those of row i are ids[offset_N1[i]:offset_N1[i + 1]]."""

    ids: Tokens
    offset_N1: IntArray


@dataclasses.dataclass(frozen=True)
class _Epoch:
    """The repeats of one epoch in order: which document each is, and where it ends in the epoch's stream."""

    document_R: npt.NDArray[np.int32]
    end_R: IntArray


@dataclasses.dataclass(frozen=True)
class _Pieces:
    """What a reading is cut from: the part [begin, stop) of each document, its metadata counted in."""

    document_P: npt.NDArray[np.int32]
    begin_P: IntArray
    stop_P: IntArray


class TokenSource:
    """Implements train.contract.Source. Threads may ask it at once.

    Args:
        name: of the source; part of the order, so that two sources of one run are shuffled apart.
        shards: the tokens.
        copies_N: readings an epoch of each document, in the order of the shards' rows.
        seed: of the order and the coins.
        context: T, positions of a training sequence.
        reads: tokens of a reading; None means T + 1.
        metadata: of each document, in the order of the shards' rows.
        part: only documents whose hash, as a fraction, lies in [low, high) are read. The hash is of the id alone, so
            sources over the same documents agree on it, whatever their names and seeds.
        rank_N: of a curriculum: the lowest is read first in every epoch; in the order of the shards' rows. None: no
            curriculum.
        buckets: equal parts of the documents that are read, by rank; more than there are documents is one for each.

    Raises SeedbedError where copies, ranks or metadata do not fit the documents, an index points behind its tokens, or
    fewer tokens are selected than one reading.
    """

    def __init__(
        self,
        name: str,
        shards: Sequence[TokenShard],
        copies_N: npt.NDArray[np.float64],
        *,
        seed: int,
        context: int,
        reads: int | None = None,
        metadata: Metadata | None = None,
        part: tuple[float, float] = (0.0, 1.0),
        rank_N: FloatArray | None = None,
        buckets: int = 10,
    ) -> None:
        self.name, self.seed = name, seed
        self.stride = (context + 1 if reads is None else reads) - 1
        rows = sum(shard.index.num_rows for shard in shards)
        if len(copies_N) != rows:
            raise SeedbedError(f"source {name}", f"{len(copies_N)} copies for {rows} documents")
        if not (np.isfinite(copies_N).all() and (copies_N >= 0).all()):
            raise SeedbedError(f"source {name}", "copies must be finite and >= 0")
        if metadata is not None and len(metadata.offset_N1) != rows + 1:
            what = f"metadata of {len(metadata.offset_N1) - 1} documents where there are {rows}"
            raise SeedbedError(f"source {name}", what)
        if rank_N is not None:
            _check_ranks(name, rank_N, copies_N, buckets)
        # slices of a plain array are cheaper than a map's
        self._tokens = [np.asarray(shard.tokens) for shard in shards]
        self._metadata = None if metadata is None else np.asarray(metadata.ids)
        read_N = self._read_index(shards, np.asarray(copies_N, np.float64), metadata, part)
        self._rank_N = None if rank_N is None else np.asarray(rank_N, np.float64)[read_N]
        self._buckets = buckets
        self._stream = stream_of(name, seed)
        self._ends: list[int] = []
        self._epochs: dict[int, _Epoch] = {}
        self._lock = threading.Lock()
        expected = float((self._copies_N * self._size_N).sum())
        if expected < self.stride + 1:
            what = f"an epoch has {expected:.0f} selected tokens, one sequence needs {self.stride + 1}"
            raise SeedbedError(f"source {name}", what, "Select more, or train with a shorter context.")

    def _read_index(
        self,
        shards: Sequence[TokenShard],
        copies_N: npt.NDArray[np.float64],
        metadata: Metadata | None,
        part: tuple[float, float],
    ) -> IntArray:
        """Keep the documents that are read at all; their rows."""
        id_N16 = _joined([arrow.ids(shard.index) for shard in shards], np.zeros((0, 16), np.uint8))
        none = np.zeros(0, np.int64)
        offset_N = _joined([arrow.numpy(shard.index, "offset") for shard in shards], none)
        size_N = _joined([arrow.numpy(shard.index, "n_tokens") for shard in shards], none)
        rows = [shard.index.num_rows for shard in shards]
        shard_N = np.repeat(np.arange(len(shards), dtype=np.int32), rows)
        length_N = np.repeat(np.array([len(tokens) for tokens in self._tokens], np.int64), rows)
        key_N = document_keys(id_N16)
        fraction_N = unit_interval(mix64(key_N ^ _PART))
        read_N = np.flatnonzero((copies_N > 0) & (fraction_N >= part[0]) & (fraction_N < part[1]))
        beyond = read_N[(offset_N + size_N > length_N)[read_N]]
        if len(beyond):
            what = f"the index of shard {shard_N[beyond[0]]} points behind its {length_N[beyond[0]]} tokens"
            raise SeedbedError(f"source {self.name}", what, "Tokenise again, or copy the tokens again, whole.")
        self._id_N16, self._key_N = id_N16[read_N], key_N[read_N]
        self._shard_N, self._offset_N, self._copies_N = shard_N[read_N], offset_N[read_N], copies_N[read_N]
        self._size_N = size_N[read_N]
        if metadata is not None:
            self._metadata_offset_N = metadata.offset_N1[read_N]
            self._metadata_size_N = metadata.offset_N1[read_N + 1] - self._metadata_offset_N
            self._size_N = self._size_N + self._metadata_size_N
        if _any_twice(self._id_N16, self._key_N):
            raise SeedbedError(f"source {self.name}", "two documents share an id", "Ids must be unique in a source.")
        return read_N

    def reading(self, index: int) -> Reading:
        """The index-th reading since the start of training, over epochs."""
        cut = self._pieces(index)
        length_P = cut.stop_P - cut.begin_P
        end_P = np.cumsum(length_P)
        ahead_P = np.zeros_like(length_P)  # metadata at the front of each piece
        if self._metadata is not None:
            ahead_P = np.clip(self._metadata_size_N[cut.document_P] - cut.begin_P, 0, length_P)
        tokens = np.empty(int(end_P[-1]), np.int64)
        self._copy_text(cut, end_P, ahead_P, tokens)
        if self._metadata is not None:
            self._copy_metadata(self._metadata, cut, end_P - length_P, ahead_P, tokens)
        return Reading(tokens, end_P - length_P, cut.begin_P == 0, ahead_P)

    def documents(self, index: int) -> list[bytes]:
        """Ids of the documents that reading was cut from, in the order they are read: one a piece."""
        return [self._id_N16[document].tobytes() for document in self._pieces(index).document_P.tolist()]

    def epoch(self, index: int) -> int:
        """The epoch the index-th reading is cut from."""
        return self._locate(index)[0]

    def _copy_text(self, cut: _Pieces, end_P: IntArray, ahead_P: IntArray, tokens: IntArray) -> None:
        shard_P, first_P = self._shard_N[cut.document_P], self._offset_N[cut.document_P] + cut.begin_P + ahead_P
        if self._metadata is not None:
            first_P -= self._metadata_size_N[cut.document_P]
        length_P = cut.stop_P - cut.begin_P - ahead_P
        spans = (shard_P, first_P, length_P, end_P)
        for shard, first, length, end in zip(*(span.tolist() for span in spans), strict=True):
            tokens[end - length : end] = self._tokens[shard][first : first + length]

    def _copy_metadata(self, ids: Tokens, cut: _Pieces, at_P: IntArray, ahead_P: IntArray, tokens: IntArray) -> None:
        first_P = self._metadata_offset_N[cut.document_P] + cut.begin_P
        for first, length, at in zip(first_P.tolist(), ahead_P.tolist(), at_P.tolist(), strict=True):
            tokens[at : at + length] = ids[first : first + length]

    def _pieces(self, index: int) -> _Pieces:
        number, within = self._locate(index)
        epoch = self._epoch(number)
        first, last = within * self.stride, within * self.stride + self.stride + 1
        span = slice(
            int(np.searchsorted(epoch.end_R, first, side="right")),
            int(np.searchsorted(epoch.end_R, last, side="left")) + 1,
        )
        document_P = epoch.document_R[span]
        size_P = self._size_N[document_P]
        start_P = epoch.end_R[span] - size_P
        begin_P, stop_P = np.maximum(first - start_P, 0), np.minimum(last - start_P, size_P)
        filled = stop_P > begin_P
        return _Pieces(document_P[filled], begin_P[filled], stop_P[filled])

    def _locate(self, index: int) -> tuple[int, int]:
        """(epoch, reading within the epoch's stream)."""
        if not self._ends or index >= self._ends[-1]:
            with self._lock:
                while not self._ends or index >= self._ends[-1]:
                    tokens = int((self._repeats(len(self._ends)) * self._size_N).sum())
                    self._ends.append((self._ends[-1] if self._ends else 0) + max(0, (tokens - 1) // self.stride))
        number = bisect_right(self._ends, index)
        begin = self._ends[number - 1] if number else 0
        if self._rank_N is not None:
            return number, index - begin
        return number, permuted(index - begin, self._ends[number] - begin, self._stream ^ number)

    def _repeats(self, number: int) -> IntArray:
        """How often each document is read in an epoch."""
        return repeats(self._copies_N, self._key_N, self._stream, number)

    def _epoch(self, number: int) -> _Epoch:
        """The order of an epoch; the two made last are remembered."""
        found = self._epochs.get(number)
        if found is not None:
            return found
        with self._lock:
            found = self._epochs.get(number)
            if found is None:
                while len(self._epochs) >= 2:  # before making another: never three in memory
                    del self._epochs[next(iter(self._epochs))]
                found = self._epochs[number] = self._order(number)
        return found

    def _order(self, number: int) -> _Epoch:
        repeats_N = self._repeats(number)
        document_R = np.repeat(np.arange(len(repeats_N), dtype=np.int32), repeats_N)
        ordinal_R = np.arange(len(document_R)) - np.repeat(np.cumsum(repeats_N) - repeats_N, repeats_N)
        key_R = mix64(self._key_N[document_R] + ordinal_R.astype(np.uint64))
        hash_R = _hash(self._stream, _ORDER, number, key_R)
        order = np.argsort(hash_R)
        if (np.diff(hash_R[order]) == 0).any():  # once in 2^64 pairs
            order = np.lexsort((self._key_N[document_R], hash_R))
        document_R = document_R[order]
        if self._rank_N is not None:
            bucket_R = self._bucketed(number, self._rank_N)[document_R]
            document_R = document_R[np.argsort(bucket_R, kind="stable")]
        return _Epoch(document_R, np.cumsum(self._size_N[document_R]))

    def _bucketed(self, number: int, rank_N: FloatArray) -> IntArray:
        """The bucket of each document in an epoch."""
        hash_N = _hash(self._stream, _ORDER, number, mix64(self._key_N))
        bucket_N = np.empty(len(rank_N), np.int64)
        bucket_N[np.lexsort((hash_N, rank_N))] = np.arange(len(rank_N)) * self._buckets // len(rank_N)
        return bucket_N


def _check_ranks(name: str, rank_N: FloatArray, copies_N: FloatArray, buckets: int) -> None:
    """Whether ranks fit the documents and put those that are read in an order."""
    if len(rank_N) != len(copies_N):
        raise SeedbedError(f"source {name}", f"{len(rank_N)} ranks for {len(copies_N)} documents")
    if not np.isfinite(rank_N[copies_N > 0]).all():
        what = "a document's rank is no finite number"
        raise SeedbedError(f"source {name}", what, "Rank by a signal that every document has.")
    if buckets < 1:
        raise SeedbedError(f"source {name}", f"{buckets} buckets hold no document", "Use at least one.")


def stream_of(name: str, seed: int) -> int:
    """What all chance of a source is drawn from."""
    return int.from_bytes(hash_bytes(name.encode(), seed.to_bytes(16, "little", signed=True))[:8], "little")


def repeats(copies_N: npt.NDArray[np.float64], key_N: Keys, stream: int, epoch: int) -> IntArray:
    """How often each document is read in an epoch: whole copies, and one more where a coin says so."""
    whole_N = np.floor(copies_N)
    coin_N = unit_interval(_hash(stream, _COIN, epoch, key_N))
    return (whole_N + (coin_N < copies_N - whole_N)).astype(np.int64)


def _hash(stream: int, purpose: int, epoch: int, key_N: Keys) -> Keys:
    salt = mix64(mix64(np.array([stream], np.uint64)) + np.uint64(epoch) + np.uint64(purpose << 62))
    return mix64(key_N ^ salt)


def document_keys(id_N16: npt.NDArray[np.uint8]) -> Keys:
    """A 64-bit hash of each 16-byte id."""
    halves = np.ascontiguousarray(id_N16).view("<u8").astype(np.uint64)
    return mix64(halves[:, 0] ^ mix64(halves[:, 1]))


def unit_interval(key_N: Keys) -> npt.NDArray[np.float64]:
    """The top 53 bits as a number in [0, 1)."""
    return (key_N >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _joined(arrays: Sequence[npt.NDArray[Any]], empty: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.concatenate(arrays) if arrays else empty


def _any_twice(id_N16: npt.NDArray[np.uint8], key_N: Keys) -> bool:
    order = np.argsort(key_N)
    sorted_N = key_N[order]
    same = np.zeros(len(key_N), np.bool_)
    same[1:] = sorted_N[1:] == sorted_N[:-1]
    same[:-1] |= same[1:]
    suspects = id_N16[order[same]]  # of equal hash: hardly ever any but true twins
    return len(np.unique(suspects, axis=0)) < len(suspects) if len(suspects) else False
