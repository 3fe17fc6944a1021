"""Megatron: one `.bin` and one `.idx`, as Megatron-LM, NeMo and their relatives map them into memory.

What      Every document becomes one sequence of an indexed dataset.
Source    none; the format is IndexedDataset of Megatron Core (checked with megatron-core 0.16.1).
Formula   tokens.bin  all ids behind one another, little-endian
          tokens.idx  "MMIDIDX" 0 0 | version 1, u64 | type code, u8 | sequences S, u64 | boundaries S + 1, u64
                      | length_S, i32 | byte offset of each sequence_S, i64 | boundary_(S+1), i64: 0 .. S
Shapes    ids and offsets of all shards -> two files
Units     ids are uint16 (code 8) or int32 (code 4); lengths in tokens, offsets in bytes.
Fidelity  Exact for text: no modes, which only multimodal datasets have.
Errors    A document of 2^31 tokens or more, and an id of 2^31 or more, cannot be said in this format: ValueError.
"""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from seedbed.tokenize.contract import Exporter, TokenShard

_MAGIC, _VERSION = b"MMIDIDX\x00\x00", 1
_INT32, _UINT16 = 4, 8


@dataclasses.dataclass(frozen=True)
class Megatron(Exporter):
    """No parameters."""

    def export(self, shards: Iterable[TokenShard], dtype: np.dtype[Any], folder: Path) -> dict[str, int]:
        """Write tokens.bin and tokens.idx."""
        kind = np.dtype("<u2" if dtype.itemsize == 2 else "<i4")
        lengths: list[npt.NDArray[np.int64]] = []
        with (folder / "tokens.bin").open("wb") as out:
            for shard in shards:
                ids = shard.ids[shard.offsets[0] : shard.offsets[-1]]
                if kind.itemsize == 4 and len(ids) and int(ids.max()) >= 1 << 31:
                    raise ValueError("an id of 2^31 or more does not fit Megatron's int32")
                out.write(ids.astype(kind).tobytes())
                lengths.append(np.diff(shard.offsets))
        length_S = np.concatenate(lengths) if lengths else np.zeros(0, np.int64)
        if length_S.max(initial=0) >= 1 << 31:
            raise ValueError("a document of 2^31 tokens or more does not fit Megatron's index")
        code = _UINT16 if kind.itemsize == 2 else _INT32
        (folder / "tokens.idx").write_bytes(_index(length_S, kind.itemsize, code))
        return {"sequences": len(length_S), "tokens": int(length_S.sum())}


def _index(length_S: npt.NDArray[np.int64], itemsize: int, code: int) -> bytes:
    n = len(length_S)
    start_S = (np.cumsum(length_S) - length_S) * itemsize
    boundaries = np.arange(n + 1, dtype="<i8")
    head = _MAGIC + struct.pack("<QBQQ", _VERSION, code, n, n + 1)
    return head + length_S.astype("<i4").tobytes() + start_S.astype("<i8").tobytes() + boundaries.tobytes()
