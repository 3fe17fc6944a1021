"""The typed door to Arrow: tables to Parquet and back, and text columns as flat buffers.

The one module that touches the untyped parts of pyarrow, so that the rest of the house stays strictly typed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

Array = npt.NDArray[Any]

_pa: Any = pa
_pq: Any = pq


def table(columns: Mapping[str, Any], schema: pa.Schema | None = None) -> pa.Table:
    """A table from name -> numpy array, Arrow array or list."""
    return cast(pa.Table, _pa.table(dict(columns), schema=schema))


def write_parquet(file: Path, rows: pa.Table) -> None:
    """Deterministic Parquet: one row group a 8,192 rows, zstd, no dates and no library name that would differ."""
    _pq.write_table(rows, file, compression="zstd", row_group_size=8192, write_statistics=False, store_schema=True)


class ParquetStream:
    """Writes a shard piece by piece, so that memory is bounded by the piece. Use as a context manager."""

    def __init__(self, file: Path, schema: pa.Schema) -> None:
        self._writer = _pq.ParquetWriter(file, schema, compression="zstd", write_statistics=False)
        self.rows = 0

    def __enter__(self) -> Self:
        return self

    def add(self, rows: pa.Table) -> None:
        """One more row group."""
        if rows.num_rows:
            self._writer.write_table(rows, row_group_size=rows.num_rows)
            self.rows += rows.num_rows

    def __exit__(self, *_: object) -> None:
        self._writer.close()


def row_groups(file: Path, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
    """A shard by its row groups, in order; one at a time is in memory."""
    with _pq.ParquetFile(file) as parquet:
        for group in range(parquet.num_row_groups):
            yield cast(pa.Table, parquet.read_row_group(group, columns=list(columns) if columns is not None else None))


def n_rows(file: Path) -> int:
    """Rows of a shard, from its footer."""
    return int(_pq.read_metadata(file).num_rows)


def read_parquet(file: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """A whole shard, or some of its columns."""
    wanted = list(columns) if columns is not None else None
    return cast(pa.Table, _pq.read_table(file, columns=wanted, memory_map=True))


def numpy(rows: pa.Table, column: str) -> Array:
    """A column without nulls as a numpy array."""
    chunked = cast(Any, rows.column(column))
    return cast(Array, chunked.combine_chunks().to_numpy(zero_copy_only=False)) if len(rows) else _empty(rows, column)


def _empty(rows: pa.Table, column: str) -> Array:
    dtype = cast(Any, rows).schema.field(column).type.to_pandas_dtype()
    return np.zeros(0, dtype=dtype if dtype is not np.bytes_ else object)


def ids(rows: pa.Table, column: str = "id") -> npt.NDArray[np.uint8]:
    """id_N16: a 16-byte binary column as bytes."""
    chunks = cast(Any, rows.column(column)).chunks
    parts = [
        np.frombuffer(c.buffers()[1], np.uint8)[c.offset * 16 : (c.offset + len(c)) * 16] for c in chunks if len(c)
    ]
    return np.concatenate(parts).reshape(-1, 16) if parts else np.zeros((0, 16), np.uint8)


def id_column(id_N16: npt.NDArray[np.uint8], missing_N: npt.NDArray[np.bool_] | None = None) -> Any:
    """The inverse of `ids`, with nulls where `missing_N`."""
    n = len(id_N16)
    data = _pa.py_buffer(np.ascontiguousarray(id_N16).tobytes())
    valid = None
    if missing_N is not None:
        valid = _pa.py_buffer(np.packbits(~missing_N, bitorder="little").tobytes())
    return _pa.FixedSizeBinaryArray.from_buffers(_pa.binary(16), n, [valid, data])


def id_keys(id_N16: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint64]:
    """key_N: the first 8 bytes of each id, little-endian: what chance and ties are hashed from."""
    return np.ascontiguousarray(id_N16[:, :8]).view("<u8").reshape(-1).astype(np.uint64)


def strings(rows: pa.Table, column: str) -> list[str | None]:
    """A text column as Python strings."""
    return cast("list[str | None]", cast(Any, rows.column(column)).to_pylist())


def text_buffers(rows: pa.Table, column: str) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """A `large_string` column as (bytes, offsets): row i is bytes[offsets[i]:offsets[i+1]], UTF-8, no copy of bytes."""
    array = cast(Any, rows.column(column)).combine_chunks()
    if isinstance(array, pa.ChunkedArray):
        array = _pa.concat_arrays(cast(Any, array).chunks) if cast(Any, array).num_chunks else None
    if array is None or len(array) == 0:
        return np.zeros(0, np.uint8), np.zeros(1, np.int64)
    _, offsets_buffer, data_buffer = array.buffers()
    offsets = np.frombuffer(offsets_buffer, np.int64)[array.offset : array.offset + len(array) + 1]
    data = np.frombuffer(data_buffer, np.uint8) if data_buffer is not None else np.zeros(0, np.uint8)
    return data, offsets


def concat(tables: Sequence[pa.Table], schema: pa.Schema) -> pa.Table:
    """All rows under one another; an empty table of `schema` where there are none."""
    if not tables:
        return schema.empty_table()
    return cast(pa.Table, _pa.concat_tables(list(tables)))


def join(arrays: Sequence[pa.Array[Any]]) -> pa.Array[Any]:
    """Arrays of one type behind one another."""
    return arrays[0] if len(arrays) == 1 else cast("pa.Array[Any]", _pa.concat_arrays(list(arrays)))


def take(rows: pa.Table, indices: npt.NDArray[Any]) -> pa.Table:
    """The rows at `indices`, in that order."""
    return cast(pa.Table, cast(Any, rows).take(pa.array(indices, pa.int64())))


def field(name: str, kind: pa.DataType, **about: str) -> pa.Field[Any]:
    """A column with its unit (and what else is worth saying) as Arrow metadata."""
    return cast("pa.Field[Any]", _pa.field(name, kind, metadata=dict(about) or None))


def column(values: Sequence[Any], kind: pa.DataType) -> Any:
    """An Arrow array of Python values."""
    return _pa.array(values, kind)


def replace(rows: pa.Table, column: str, values: Any) -> pa.Table:
    """The rows with one column's values replaced; its field stays."""
    at = rows.schema.get_field_index(column)
    return cast(pa.Table, cast(Any, rows).set_column(at, cast(Any, rows.schema).field(at), values))


def schema_with(schema: pa.Schema, column: str, kind: pa.DataType) -> pa.Schema:
    """The schema with one column of another type."""
    at = schema.get_field_index(column)
    return cast(pa.Schema, cast(Any, schema).set(at, _pa.field(column, kind)))


def blank(schema: pa.Schema) -> pa.Table:
    """One row of zeros and empty texts."""
    values = {f.name: "" if _pa.types.is_large_string(f.type) else 0 for f in cast(Any, schema)}
    return cast(pa.Table, _pa.Table.from_pylist([values], schema=schema))
