"""MDS: shards of MosaicML Streaming, as LLM Foundry and Composer stream them.

What      Documents run together and are cut into sequences of equal length, each a sample with one column `tokens`.
Source    none; the format is that of MosaicML Streaming (checked with mosaicml-streaming 0.13.0).
Formula   shard.NNNNN.mds   samples S, u32 | byte offset of each sample and the end_(S+1), u32 | configuration, JSON
                            | S samples of sequence_length ids, little-endian
          index.json        the shards: their columns, sizes and numbers of samples
Shapes    ids of all shards, L tokens -> floor(L / sequence_length) samples
Units     sequence_length in tokens; shard_bytes in bytes of a file.
Fidelity  Exact, uncompressed. The tokens behind the last whole sequence are left out and counted. Sample k holds
          tokens k * sequence_length onwards of the token shards in order, so that it leads back to its documents.
Errors    None but those of the disk. No tokens give an index without shards.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from annotated_types import Ge, Le

from seedbed.tokenize.contract import Exporter, TokenShard


@dataclasses.dataclass(frozen=True)
class Mds(Exporter):
    """How long a sequence is, and how large a shard may be.

    Args:
        sequence_length: tokens of a sample.
        shard_bytes: a file is closed before it would be larger, but holds at least one sample.
    """

    sequence_length: Annotated[int, Ge(1)] = 2048
    shard_bytes: Annotated[int, Ge(1), Le((1 << 32) - 1)] = 1 << 26

    def export(self, shards: Iterable[TokenShard], dtype: np.dtype[Any], folder: Path) -> dict[str, int]:
        """Write shard.NNNNN.mds and index.json."""
        configuration = _configuration(dtype, self.sequence_length, self.shard_bytes)
        head = json.dumps(configuration, sort_keys=True).encode()
        sample_bytes = self.sequence_length * dtype.itemsize
        per_shard = max(1, (self.shard_bytes - len(head) - 8) // (sample_bytes + 4))
        told: list[dict[str, Any]] = []
        tokens = left_over = 0
        for block, rest in _blocks(shards, self.sequence_length * per_shard, self.sequence_length):
            tokens, left_over = tokens + len(block), rest
            if len(block):
                data = _shard(block.astype(dtype), self.sequence_length, head)
                name = f"shard.{len(told):05d}.mds"
                (folder / name).write_bytes(data)
                n = len(block) // self.sequence_length
                told.append({**configuration, **_about(name, len(data)), "samples": n})
        (folder / "index.json").write_text(json.dumps({"shards": told, "version": 2}, sort_keys=True))
        return {"sequences": tokens // self.sequence_length, "tokens": tokens, "left_over_tokens": left_over}


def _configuration(dtype: np.dtype[Any], length: int, size_limit: int) -> dict[str, Any]:
    return {
        "version": 2,
        "format": "mds",
        "compression": None,
        "hashes": [],
        "size_limit": size_limit,
        "column_names": ["tokens"],
        "column_encodings": [f"ndarray:{dtype.name}:{length}"],
        "column_sizes": [length * dtype.itemsize],
    }


def _about(name: str, size: int) -> dict[str, Any]:
    return {"raw_data": {"basename": name, "bytes": size, "hashes": {}}, "zip_data": None}


def _blocks(
    shards: Iterable[TokenShard], block: int, length: int
) -> Iterator[tuple[npt.NDArray[np.integer[Any]], int]]:
    """(up to `block` tokens in whole sequences, tokens left over), the last with what is left over in the end."""
    held: list[npt.NDArray[np.integer[Any]]] = []
    size = 0
    for shard in shards:
        ids = shard.ids[shard.offsets[0] : shard.offsets[-1]]
        while size + len(ids) >= block:
            take = block - size
            yield np.concatenate([*held, ids[:take]]), 0
            held, size, ids = [], 0, ids[take:]
        held.append(ids)
        size += len(ids)
    rest = np.concatenate(held) if held else np.zeros(0, np.uint16)
    whole = size - size % length
    yield rest[:whole], size - whole


def _shard(ids: npt.NDArray[np.integer[Any]], length: int, head: bytes) -> bytes:
    n = len(ids) // length
    offsets = np.arange(n + 1, dtype=np.uint64) * (length * ids.itemsize) + 4 + 4 * (n + 1) + len(head)
    return np.uint32(n).tobytes() + offsets.astype("<u4").tobytes() + head + ids.tobytes()
