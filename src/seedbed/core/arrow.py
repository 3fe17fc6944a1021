"""The typed door to Arrow: tables to Parquet and back, and text columns as flat buffers.

The one module that touches the untyped parts of pyarrow, so that the rest of the house stays strictly typed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Protocol, Self, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

Array = npt.NDArray[Any]

_pa: Any = pa
_pc: Any = pc
_pq: Any = pq


class Columns(Protocol):
    """Named columns of one length: a table in memory, or shards on disk of which one column at a time is read."""

    @property
    def num_rows(self) -> int:
        """Length of every column."""
        ...

    def column(self, i: str, /) -> Any:
        """One column as a chunked array."""
        ...


def table(columns: Mapping[str, Any], schema: pa.Schema | None = None) -> pa.Table:
    """A table from name -> numpy array, Arrow array or list."""
    return cast(pa.Table, _pa.table(dict(columns), schema=schema))


def write_parquet(file: Path, rows: pa.Table) -> None:
    """Deterministic Parquet: one row group a 8,192 rows, zstd, no dates and no library name that would differ."""
    if rows.num_rows:
        _pq.write_table(rows, file, row_group_size=8192, **_options(rows.schema))
    else:
        file.write_bytes(_without_rows(cast(Any, rows.schema).serialize().to_pybytes()))


@cache
def _without_rows(schema: bytes) -> bytes:
    """A file of this schema without rows: most events and spans are such, a shard and step each."""
    made = _pa.BufferOutputStream()
    empty = _pa.ipc.read_schema(_pa.py_buffer(schema)).empty_table()
    _pq.write_table(empty, made, **_options(empty.schema))
    return cast(bytes, made.getvalue().to_pybytes())


_DISTINCT = ("id", "text", "url", "metadata")
"""Columns in which hardly a value comes twice: a dictionary of them would be made and thrown away."""


def _options(schema: pa.Schema) -> dict[str, Any]:
    repeating = [name for name in cast("list[str]", cast(Any, schema).names) if name not in _DISTINCT]
    return {"compression": "zstd", "use_dictionary": repeating, "write_statistics": False, "store_schema": True}


class ParquetStream:
    """Writes a shard piece by piece, so that memory is bounded by the piece. Use as a context manager."""

    def __init__(self, file: Path, schema: pa.Schema) -> None:
        self._writer = _pq.ParquetWriter(file, schema, **_options(schema))
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


_BYTES_WORTH_THREADS = 8 << 20
"""In a smaller file, handing columns to threads takes longer than reading them."""


def row_groups(file: Path, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
    """A shard by its row groups, in order; one at a time is in memory."""
    wanted = list(columns) if columns is not None else None
    with _pq.ParquetFile(file, memory_map=True) as parquet:
        for group in range(parquet.num_row_groups):
            yield cast(pa.Table, parquet.read_row_group(group, columns=wanted, use_threads=False))


def n_rows(file: Path) -> int:
    """Rows of a shard, from its footer."""
    return int(_pq.read_metadata(file).num_rows)


def read_parquet(file: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """A whole shard, or some of its columns."""
    wanted = list(columns) if columns is not None else None
    use_threads = file.stat().st_size > _BYTES_WORTH_THREADS
    with _pq.ParquetFile(file, memory_map=True) as parquet:
        return cast(pa.Table, parquet.read(columns=wanted, use_threads=use_threads))


class Shards:
    """The columns of several shards, one behind another, each read from disk when it is asked for."""

    def __init__(self, files: Sequence[Path]) -> None:
        self._files = list(files)

    @property
    def num_rows(self) -> int:
        """Rows of all shards, from their footers."""
        return sum(n_rows(file) for file in self._files)

    def column(self, i: str, /) -> Any:
        """One column of all shards."""
        chunks = [cast(Any, read_parquet(file, [i]).column(i)).chunks for file in self._files]
        return _pa.chunked_array([chunk for some in chunks for chunk in some])


def numpy(rows: Columns, column: str) -> Array:
    """A column without nulls as a numpy array."""
    chunked = rows.column(column)
    if len(chunked):
        return cast(Array, chunked.combine_chunks().to_numpy(zero_copy_only=False))
    dtype = chunked.type.to_pandas_dtype()
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


def hex_column(id_N16: npt.NDArray[np.uint8]) -> Any:
    """The ids as text of 32 hexadecimal digits."""
    digits = np.frombuffer(np.ascontiguousarray(id_N16).tobytes().hex().encode(), np.uint8)
    offsets = np.arange(0, 32 * len(id_N16) + 1, 32, dtype=np.int32)
    return _pa.StringArray.from_buffers(len(id_N16), _pa.py_buffer(offsets), _pa.py_buffer(digits))


def id_keys(id_N16: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint64]:
    """key_N: the first 8 bytes of each id, little-endian: what chance and ties are hashed from."""
    return np.ascontiguousarray(id_N16[:, :8]).view("<u8").reshape(-1).astype(np.uint64)


def ids_in(id_N16: npt.NDArray[np.uint8], among_M16: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """Which of the ids are among the others."""
    found = _pc.is_in(id_column(id_N16), value_set=id_column(among_M16))
    return np.asarray(found.to_numpy(zero_copy_only=False), np.bool_)


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


def text_column(data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64]) -> pa.Array[Any]:
    """The inverse of `text_buffers`; `data` begins with the first text."""
    bounds, text = (_pa.py_buffer(np.ascontiguousarray(array)) for array in (offsets, data))
    return cast("pa.Array[Any]", _pa.LargeStringArray.from_buffers(len(offsets) - 1, bounds, text))


def concat(tables: Sequence[pa.Table], schema: pa.Schema) -> pa.Table:
    """All rows under one another; an empty table of `schema` where there are none."""
    if not tables:
        return schema.empty_table()
    return cast(pa.Table, _pa.concat_tables(list(tables)))


def join(arrays: Sequence[pa.Array[Any]]) -> pa.Array[Any]:
    """Arrays of one type behind one another."""
    return arrays[0] if len(arrays) == 1 else cast("pa.Array[Any]", _pa.concat_arrays(list(arrays)))


def select(rows: pa.Table, columns: Sequence[str]) -> pa.Table:
    """Some columns, in that order."""
    return cast(pa.Table, cast(Any, rows).select(list(columns)))


def take(rows: pa.Table, indices: npt.NDArray[Any]) -> pa.Table:
    """The rows at `indices`, in that order."""
    return cast(pa.Table, cast(Any, rows).take(pa.array(indices, pa.int64())))


def named(index_N: npt.NDArray[np.integer[Any]], names: Sequence[str]) -> Any:
    """The name at each index as a text column; an index of -1 gives the empty text."""
    codes = np.where(index_N < 0, len(names), index_N).astype(np.int32)
    return _pa.array([*names, ""], _pa.large_string()).take(_pa.array(codes))


def named_lists(flags_NR: npt.NDArray[np.bool_], names: Sequence[str]) -> Any:
    """For each row the list of the names whose flag is set."""
    _, set_ = np.nonzero(flags_NR)
    offsets = np.zeros(len(flags_NR) + 1, np.int32)
    np.cumsum(flags_NR.sum(axis=1), out=offsets[1:])
    return _pa.ListArray.from_arrays(_pa.array(offsets), named(set_, names))


def is_in(rows: Columns, column: str, values: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Which rows of a text column hold one of the values."""
    chunked = rows.column(column)
    found = _pc.is_in(chunked, value_set=_pa.array(list(values), chunked.type))
    return np.asarray(found.to_numpy(), np.bool_)


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


def read_row(file: Path, row: int, columns: Sequence[str] | None = None) -> dict[str, Any]:
    """One row of a shard as Python values; only the row group it lies in is read."""
    wanted = list(columns) if columns is not None else None
    with _pq.ParquetFile(file) as parquet:
        for group in range(parquet.num_row_groups):
            rows = int(parquet.metadata.row_group(group).num_rows)
            if row < rows:
                found = parquet.read_row_group(group, columns=wanted).slice(row, 1)
                return cast("dict[str, Any]", found.to_pylist()[0])
            row -= rows
    raise IndexError(f"{file.name} has no row {row} more")


def read_ids(file: Path) -> pa.Table | None:
    """The column `id` of a shard in 16 bytes each, also where it is stored in hex; None where there is none."""
    schema = _pq.read_schema(file)
    if "id" not in schema.names:
        return None
    rows = read_parquet(file, ["id"])
    if schema.field("id").type == _pa.binary(16):
        return rows
    return table({"id": _pa.array([bytes.fromhex(key or "") for key in strings(rows, "id")], _pa.binary(16))})
