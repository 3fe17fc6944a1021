"""The typed door to Arrow: tables to Parquet and back, and text columns as flat buffers.

The one module that touches the untyped parts of pyarrow, so that the rest of the house stays strictly typed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

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


def read_parquet(file: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """A whole shard, or some of its columns."""
    wanted = list(columns) if columns is not None else None
    return cast(pa.Table, _pq.read_table(file, columns=wanted, memory_map=True))


def batches(file: Path, rows: int, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
    """A shard in pieces of at most `rows` rows, in order."""
    with _pq.ParquetFile(file) as parquet:
        for batch in parquet.iter_batches(batch_size=rows, columns=list(columns) if columns is not None else None):
            yield cast(pa.Table, _pa.Table.from_batches([batch]))


def numpy(rows: pa.Table, column: str) -> Array:
    """A column without nulls as a numpy array."""
    chunked = cast(Any, rows.column(column))
    return cast(Array, chunked.combine_chunks().to_numpy(zero_copy_only=False)) if len(rows) else _empty(rows, column)


def _empty(rows: pa.Table, column: str) -> Array:
    dtype = cast(Any, rows).schema.field(column).type.to_pandas_dtype()
    return np.zeros(0, dtype=dtype if dtype is not np.bytes_ else object)


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


def take(rows: pa.Table, indices: npt.NDArray[Any]) -> pa.Table:
    """The rows at `indices`, in that order."""
    return cast(pa.Table, cast(Any, rows).take(pa.array(indices, pa.int64())))


def field(name: str, kind: pa.DataType, **about: str) -> pa.Field[Any]:
    """A column with its unit (and what else is worth saying) as Arrow metadata."""
    return cast("pa.Field[Any]", _pa.field(name, kind, metadata=dict(about) or None))
