"""Exporters: the bytes of the formats. The trainers' own readers are asked in benchmarks/conformance/tokenize."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedbed.core.artifact import Artifact, Request, Store
from seedbed.core.errors import SeedbedError
from seedbed.core.nouns import TOKEN_INDEX
from seedbed.tokenize.contract import TokenShard
from seedbed.tokenize.export import export
from seedbed.tokenize.exporters.mds import Mds
from seedbed.tokenize.exporters.megatron import Megatron


def shards(documents: list[list[list[int]]], dtype: str = "<u2") -> list[TokenShard]:
    found = []
    for some in documents:
        ids = np.array([token for document in some for token in document], dtype)
        found.append(TokenShard(ids, np.cumsum([0, *map(len, some)]).astype(np.int64)))
    return found


DOCUMENTS = [[[5, 6, 7, 1], [8, 1]], [], [[9, 10, 11, 12, 13, 1]]]


@pytest.mark.parametrize(("dtype", "code"), [("<u2", 8), ("<u4", 4)])
def test_megatron_files_byte_by_byte(tmp_path: Path, dtype: str, code: int) -> None:
    counts = Megatron().export(shards(DOCUMENTS, dtype), np.dtype(dtype), tmp_path)
    assert counts == {"sequences": 3, "tokens": 12}
    size = np.dtype(dtype).itemsize
    head = b"MMIDIDX\0\0" + struct.pack("<QBQQ", 1, code, 3, 4)
    body = struct.pack("<3i3q4q", 4, 2, 6, 0, 4 * size, 6 * size, 0, 1, 2, 3)
    assert (tmp_path / "tokens.idx").read_bytes() == head + body
    ids = [token for some in DOCUMENTS for document in some for token in document]
    assert (tmp_path / "tokens.bin").read_bytes() == struct.pack(f"<12{'H' if size == 2 else 'i'}", *ids)


def test_mds_files_byte_by_byte(tmp_path: Path) -> None:
    counts = Mds(sequence_length=5).export(shards(DOCUMENTS), np.dtype("<u2"), tmp_path)
    assert counts == {"sequences": 2, "tokens": 10, "left_over_tokens": 2}
    (shard,) = json.loads((tmp_path / "index.json").read_text())["shards"]
    assert (shard["samples"], shard["column_encodings"]) == (2, ["ndarray:uint16:5"])
    data = (tmp_path / "shard.00000.mds").read_bytes()
    assert shard["raw_data"]["bytes"] == len(data)
    n, first, second, end = struct.unpack_from("<4I", data)
    assert (n, end) == (2, len(data))
    assert struct.unpack_from("<5H", data, first) == (5, 6, 7, 1, 8)
    assert struct.unpack_from("<5H", data, second) == (1, 9, 10, 11, 12)


@given(st.lists(st.lists(st.integers(1, 9), max_size=40), max_size=6), st.integers(1, 7), st.integers(300, 500))
def test_mds_loses_only_what_it_says(tmp_path_factory, documents, length, shard_bytes) -> None:
    folder = tmp_path_factory.mktemp("mds")
    method = Mds(sequence_length=length, shard_bytes=shard_bytes)
    counts = method.export(shards([[document] for document in documents]), np.dtype("<u2"), folder)
    ids = [token for document in documents for token in document]
    assert counts["tokens"] + counts["left_over_tokens"] == len(ids)
    assert counts["left_over_tokens"] < length
    found: list[int] = []
    for shard in json.loads((folder / "index.json").read_text())["shards"]:
        data = (folder / shard["raw_data"]["basename"]).read_bytes()
        starts = np.frombuffer(data, "<u4", shard["samples"] + 1, 4)
        found.extend(np.frombuffer(data[starts[0] : starts[-1]], "<u2").tolist())
        assert len(data) <= shard_bytes or shard["samples"] == 1
    assert found == ids[: counts["tokens"]]


def tokens_artifact(root: Path) -> Artifact:
    draft = Store(root).draft(Request("Tokens", "pool", {}))

    def write(ids: list[int]):
        def fill(file: Path) -> int:
            np.array(ids, "<u2").tofile(file)
            return 0

        return fill

    for i, some in enumerate(DOCUMENTS):
        draft.write(f"ids-{i:05d}.bin", write([token for document in some for token in document]))
        lengths = [len(document) for document in some]
        columns = {"id": [bytes([i, j]) * 8 for j in range(len(some))], "offset": [0] * len(some)}
        rows = pa.table({**columns, "n_tokens": lengths, "n_bytes": lengths}, schema=TOKEN_INDEX)
        draft.write_table(f"part-{i:05d}.parquet", rows)
    return draft.finish({"dtype": "<u2"})


def test_an_artifact_is_exported_whole_or_not_at_all(tmp_path: Path) -> None:
    tokens = tokens_artifact(tmp_path / "store")
    assert export(tokens, Megatron(), tmp_path / "out") == {"sequences": 3, "tokens": 12}
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["tokens.bin", "tokens.idx"]
    with pytest.raises(SeedbedError, match="is there already"):
        export(tokens, Megatron(), tmp_path / "out")
    assert not list(tmp_path.glob(".*tmp"))
