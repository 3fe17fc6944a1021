"""Parquet as it is written: the same bytes for the same rows, none among them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from seedbed.core import arrow
from seedbed.core.nouns import DOCUMENTS, EVENTS, SPANS


@pytest.mark.parametrize("schema", [DOCUMENTS, EVENTS, SPANS])
def test_a_table_without_rows_is_written_as_any_other(tmp_path: Path, schema: pa.Schema) -> None:
    for name in ("first", "from memory"):
        arrow.write_parquet(tmp_path / name, schema.empty_table())
    options = arrow._options(schema)
    pq.write_table(schema.empty_table(), tmp_path / "as any other", row_group_size=8192, **options)
    written = {(tmp_path / name).read_bytes() for name in ("first", "from memory")}
    assert written == {(tmp_path / "as any other").read_bytes()}
    assert arrow.read_parquet(tmp_path / "first").schema.equals(schema, check_metadata=True)
    assert pq.read_metadata(tmp_path / "first").num_rows == 0


def test_schemas_without_rows_are_told_apart(tmp_path: Path) -> None:
    for unit in ("words", "bytes"):
        schema = pa.schema([arrow.field("n", pa.int64(), unit=unit)])
        arrow.write_parquet(tmp_path / unit, schema.empty_table())
        assert pq.read_schema(tmp_path / unit).field("n").metadata == {b"unit": unit.encode()}


@pytest.mark.parametrize("rows", [10, 2_000_000])
def test_large_and_small_files_are_read_whole(tmp_path: Path, rows: int) -> None:
    number = np.arange(rows) * 2654435761 % 2**32
    arrow.write_parquet(tmp_path / "x", arrow.table({"n": number, "half": number / 2}))
    found = arrow.read_parquet(tmp_path / "x")
    assert np.array_equal(arrow.numpy(found, "n"), number)
    assert np.array_equal(arrow.numpy(found, "half"), number / 2)
