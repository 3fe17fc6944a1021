"""Tokenize: kept documents to token shards, each token on the way back to its document."""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from seedbed.core import arrow
from seedbed.core.artifact import Artifact, Draft, Request, Store
from seedbed.core.nouns import DOCUMENTS, TOKEN_INDEX, DocumentBatch
from seedbed.core.parameters import Json
from seedbed.engine.contract import Engine, Tick
from seedbed.engine.progress import announce
from seedbed.stats.sampling import keys_of, uniforms
from seedbed.tokenize.contract import TokenizerMaker
from seedbed.tokenize.encode import Encoder

Ints = npt.NDArray[np.int64]


def make_tokenizer(maker: TokenizerMaker, pool: Artifact, store: Store) -> Artifact:
    """A Tokenizer artifact: tokenizer.json, and which token ends a text."""
    parents = {"pool": pool.fingerprint} if maker.needs_text() else {}

    def fill(draft: Draft) -> dict[str, Json]:
        definition = maker.make(texts_of(pool))
        encoder = Encoder(definition, getattr(maker, "end_of_text", Encoder("").end_of_text))
        draft.write_text("tokenizer.json", definition)
        draft.write_text("special.json", json.dumps({"end_of_text": encoder.end_of_text}))
        return {"vocab_size": encoder.vocab_size}

    return store.make(Request("Tokenizer", maker.name(), maker.identity(), parents), fill)


def texts_of(documents: Artifact) -> Iterator[str]:
    """Every text in shard order."""
    for shard in documents.shards():
        for rows in arrow.row_groups(shard, ["text"]):
            yield from (text or "" for text in arrow.strings(rows, "text"))


@dataclasses.dataclass(frozen=True)
class TokenizeTask:
    """Tokenise one Documents shard."""

    name: str
    shard: Path
    tokenizer: Path
    draft: Draft


def tokenize(documents: Artifact, tokenizer: Artifact, store: Store, engine: Engine) -> Artifact:
    """Tokens: `ids-NNNNN.bin` (flat, little-endian) and `part-NNNNN.parquet` (TOKEN_INDEX), a shard each."""
    parents = {"documents": documents.fingerprint, "tokenizer": tokenizer.fingerprint}
    encoder = _opened(tokenizer.path)

    def fill(draft: Draft) -> dict[str, Json]:
        _warm(encoder)
        work = [TokenizeTask(s.stem.removeprefix("part-"), s, tokenizer.path, draft) for s in documents.shards()]
        counts = engine.run(tokenize_shard, work, label="tokenize", total=documents.rows, unit="documents")
        totals: dict[str, Json] = {"tokens": sum(c[0] for c in counts), "text_bytes": sum(c[1] for c in counts)}
        return {**totals, "dtype": encoder.dtype.str, "vocab_size": encoder.vocab_size}

    return store.make(Request("Tokens", "pool", {}, parents), fill)


def tokenize_shard(task: TokenizeTask, tick: Tick) -> tuple[int, int]:
    """Writes one shard; gives (tokens, text bytes)."""
    index_name, ids_name = f"part-{task.name}.parquet", f"ids-{task.name}.bin"
    if not (task.draft.receipt(index_name) and task.draft.receipt(ids_name)):
        encoder = _opened(task.tokenizer)
        index: list[pa.Table] = []

        def fill(file: Path) -> int:
            index.clear()
            start = 0
            with file.open("wb") as out:
                for rows in arrow.row_groups(task.shard, ["id", "text"]):
                    data, bounds = arrow.text_buffers(rows, "text")
                    ids, offsets = encoder.encode(data, bounds)
                    out.write(ids.data)
                    index.append(_index(rows, np.diff(bounds), offsets, start))
                    start += len(ids)
                    tick(rows.num_rows)
            return start

        task.draft.write(ids_name, fill)
        task.draft.write_table(index_name, arrow.concat(index, TOKEN_INDEX))
    table = arrow.read_parquet(task.draft.path / index_name)
    return int(arrow.numpy(table, "n_tokens").sum()), int(arrow.numpy(table, "n_bytes").sum())


def _warm(encoder: Encoder) -> None:
    """Encode something, so that kernels are compiled and cached before workers start."""
    from seedbed.text.kernel import compiling

    with compiling(lambda: announce("Compiling kernels: some seconds, once per installation.")):
        encoder.encode(*DocumentBatch.of(["A warm-up document."]).text_buffers())


@lru_cache(maxsize=4)
def _opened(tokenizer: Path) -> Encoder:
    """The same for every shard of a process: making it ready takes as long as encoding some megabytes."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # one thread a process; processes side by side
    return Encoder.open(tokenizer)


def from_kept(rows: pa.Table) -> DocumentBatch:
    """Kept rows (ids in hex) as a batch (ids in bytes)."""
    columns = {name: rows.column(name) for name in DOCUMENTS.names[1:]}
    return DocumentBatch(arrow.table({"id": _ids(rows), **columns}, DOCUMENTS))


def _ids(rows: pa.Table) -> pa.Array[Any]:
    keys = bytes.fromhex("".join(key or "" for key in arrow.strings(rows, "id")))
    return arrow.id_column(np.frombuffer(keys, np.uint8).reshape(-1, 16))


def _index(rows: pa.Table, n_bytes: Ints, offsets: Ints, start: int) -> pa.Table:
    columns: dict[str, Any] = {
        "id": _ids(rows),
        "offset": offsets[:-1] + start,
        "n_tokens": np.diff(offsets),
        "n_bytes": n_bytes,
    }
    return arrow.table(columns, TOKEN_INDEX)


@dataclasses.dataclass(frozen=True)
class Part:
    """A random part of a pool: documents whose number from (seed, id) falls below `share`."""

    seed: int
    share: float

    def rows(self, ids: Sequence[bytes]) -> Ints:
        """The rows that belong to it."""
        return np.flatnonzero(uniforms(_PART + self.seed, keys_of(ids)) < self.share)


_PART = 0x7061_7274_0000_0000
"""Keeps the draw of a part apart from every other draw by the same seed."""


class Pool:
    """Documents and their tokens, walked shard by shard; may be walked more than once.

    Args:
        documents: kept Documents (ids in hex).
        tokens: their Tokens.
        part: the random part that is walked; None walks all.
    """

    def __init__(self, documents: Artifact, tokens: Artifact, part: Part | None = None) -> None:
        self.documents, self.tokens, self.part = documents, tokens, part

    @property
    def fingerprint(self) -> str:
        """Of the tokens, and of the part that is walked."""
        drawn = f" part {self.part.seed} {self.part.share:g}" if self.part is not None else ""
        return self.tokens.fingerprint + drawn

    def shard_names(self) -> list[str]:
        """`00000`, ..."""
        return [shard.stem.removeprefix("part-") for shard in self.documents.shards()]

    def __iter__(self) -> Iterator[DocumentBatch]:
        return itertools.chain.from_iterable(self.shard(name) for name in self.shard_names())

    def shard(self, name: str) -> Iterator[DocumentBatch]:
        """The batches of one shard, with tokens."""
        ids = self.ids(name)
        index = self.shard_index(name)
        offsets = np.concatenate([[0], np.cumsum(arrow.numpy(index, "n_tokens"))]).astype(np.int64)
        start = 0
        for rows in arrow.row_groups(self.documents.path / f"part-{name}.parquet"):
            mine = offsets[start : start + rows.num_rows + 1]
            batch = DocumentBatch(from_kept(rows).rows, (ids[mine[0] : mine[-1]], mine - mine[0]))
            yield batch if self.part is None else batch.some(self.part.rows(batch.ids))
            start += rows.num_rows

    def ids(self, name: str) -> npt.NDArray[Any]:
        """The flat token ids of one shard, mapped from disk."""
        file = self.tokens.path / f"ids-{name}.bin"
        dtype = np.dtype(str(self.tokens.about["dtype"]))
        return np.memmap(file, dtype, "r") if file.stat().st_size else np.zeros(0, dtype)

    def index(self) -> pa.Table:
        """TOKEN_INDEX over all shards, in order; of a part, its documents' rows."""
        whole = self.tokens.table()
        return whole if self.part is None else arrow.take(whole, self.rows())

    def rows(self) -> Ints:
        """Which rows of the whole pool are walked."""
        if self.part is None:
            return np.arange(self.tokens.rows)
        return self.part.rows(cast("list[bytes]", self.tokens.table(["id"]).column("id").to_pylist()))

    def columns(self, names: Sequence[str]) -> pa.Table:
        """Columns of the documents that are walked, in order."""
        whole = self.documents.table(list(names))
        return whole if self.part is None else arrow.take(whole, self.rows())

    def shard_index(self, name: str) -> pa.Table:
        """TOKEN_INDEX of one shard, all of it."""
        return arrow.read_parquet(self.tokens.path / f"part-{name}.parquet")

    @property
    def n_tokens(self) -> int:
        """All tokens that are walked."""
        if self.part is None:
            return cast(int, self.tokens.about["tokens"])
        return int(arrow.numpy(self.index(), "n_tokens").sum())
