"""Parquet: one document a row.

What      Reads one document from each row, in small batches, only the columns that are named.
Source    none; the format is Apache Parquet.
Formula   text = row[text_column]; offset = number of the row, from 0
Shapes    file -> one record a row
Units     batch_rows: rows held at a time, beside the decoded pages of one row group
Fidelity  Exact. Text columns may be strings, bytes, or a dictionary of either.
Errors    check raises for a file without the text column, or one that is no text. Error records: missing_text for
          a null, invalid_utf8, too_large; corrupt_parquet for the rest of a broken file.
          A url, source or language column that is absent or no text counts as empty, so does a date that is none
          and metadata that is no object.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from datetime import date as calendar_day
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, ClassVar, cast

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from annotated_types import Ge, MinLen

from seedbed.core.dates import utc
from seedbed.core.errors import SeedbedError, did_you_mean
from seedbed.curate.contract import PREFIX_BYTES, Reader, Record

_pa: Any = pa
_pq: Any = pq

_BROKEN = (pa.ArrowException, OSError, EOFError)


@dataclasses.dataclass(frozen=True)
class Parquet(Reader):
    """Where things are in the table.

    Args:
        text_column, url_column, source_column, language_column: text.
        date_column: text in ISO 8601, days or moments.
        metadata_column: an object as a struct, a map or JSON text, kept as JSON.
        metadata_columns: other columns that are put into it; "*" for all that have no place of their own.
        batch_rows, max_record_bytes: see Units.
    """

    version: ClassVar[int] = 2
    text_column: Annotated[str, MinLen(1)] = "text"
    url_column: str = "url"
    source_column: str = "source"
    language_column: str = "language"
    date_column: str = "date"
    metadata_column: str = "metadata"
    metadata_columns: tuple[str, ...] = ()
    batch_rows: Annotated[int, Ge(1)] = 256
    max_record_bytes: Annotated[int, Ge(1)] = 32 << 20

    watched: ClassVar[bool] = False
    suffixes: ClassVar[tuple[str, ...]] = (".parquet",)

    def check(self, file: Path) -> None:
        """Raise SeedbedError where there is no text column. A broken file is left to `records`."""
        with file.open("rb") as raw:
            try:
                schema = _pq.read_schema(raw)
            except _BROKEN:
                return
        if problem := self._problem(schema):
            names = cast("list[str]", schema.names)
            texts = [name for name in names if _is_text(schema.field(name).type)]
            mend = "Choose the column with --set curate.readers.parquet.text_column=..."
            if texts:
                mend = f"{did_you_mean(self.text_column, texts)} {mend.replace('...', texts[0])}"
            has = ", ".join(map(repr, names)) or "none"
            raise SeedbedError(str(file), f"{problem}; its columns are {has}", mend)

    def records(self, file: Path) -> Iterator[Record]:
        """One record a row; after a break one error record for the rest."""
        row = 0
        with file.open("rb") as raw:
            try:
                table = _pq.ParquetFile(raw, pre_buffer=False)
                if problem := self._problem(table.schema_arrow):
                    yield Record(0, problem.encode(), "error", error=("missing_text", problem))
                    return
                schema = table.schema_arrow
                texts = [name for name in self._texts() if self._has(schema, name)]
                others = [n for n in (self.date_column, self.metadata_column) if schema.names.count(n) == 1]
                more = [n for n in schema.names if self._is_more(n) and schema.names.count(n) == 1]
                others += [name for name in more if name not in others]
                for batch in table.iter_batches(self.batch_rows, columns=[*texts, *others], use_threads=False):
                    for cells in self._rows(batch, more):
                        yield self._record(row, *cells)
                        row += 1
                missing = cast(int, table.metadata.num_rows) - row
                if missing:
                    message = f"{missing} rows that the footer tells of are not there"
                    yield Record(row, message.encode(), "error", error=("corrupt_parquet", message))
            except _BROKEN as error:
                message = f"{error}; {row} rows before it were read"
                yield Record(row, message.encode(), "error", error=("corrupt_parquet", message))

    def _texts(self) -> tuple[str, str, str, str]:
        return self.text_column, self.url_column, self.source_column, self.language_column

    def _is_more(self, name: str) -> bool:
        placed = (*self._texts(), self.date_column, self.metadata_column)
        return name in self.metadata_columns or ("*" in self.metadata_columns and name not in placed)

    def _rows(self, batch: Any, more: list[str]) -> Iterator[tuple[bytes | None, list[bytes | None], object, object]]:
        """(text, [url, source, language], date, metadata) of each row."""
        text, *about = [self._values(batch, name) for name in self._texts()]
        others = [_cells(batch, name) for name in (self.date_column, self.metadata_column)]
        columns = {name: _cells(batch, name) for name in more}
        for row, (one, *rest, date, metadata) in enumerate(zip(text, *about, *others, strict=True)):
            if more:
                metadata = {**_mapping(metadata), **{name: values[row] for name, values in columns.items()}}
            yield one, rest, date, metadata

    def _problem(self, schema: Any) -> str:
        if schema.names.count(self.text_column) == 0:
            return f"there is no column {self.text_column!r}"
        if not self._has(schema, self.text_column):
            return f"column {self.text_column!r} is one of several of that name, or holds no text"
        return ""

    def _has(self, schema: Any, name: str) -> bool:
        return schema.names.count(name) == 1 and _is_text(schema.field(name).type)

    def _values(self, batch: Any, name: str) -> list[bytes | None]:
        if name not in batch.schema.names:
            return [b""] * batch.num_rows
        column = batch.column(name)
        if _pa.types.is_dictionary(column.type):
            column = column.dictionary_decode()
        return cast("list[bytes | None]", column.cast(pa.large_binary()).to_pylist())

    def _record(
        self, row: int, text: bytes | None, others: list[bytes | None], date: object, metadata: object
    ) -> Record:
        if text is None:
            return Record(row, b"", "error", error=("missing_text", f"row {row}: {self.text_column!r} is null"))
        if len(text) > self.max_record_bytes:
            message = f"row {row}: {len(text)} bytes where at most {self.max_record_bytes} are read"
            return Record(row, text[:PREFIX_BYTES], "error", error=("too_large", message))
        try:
            decoded = text.decode()
        except UnicodeDecodeError as error:
            message = f"row {row}: {error}"[:1000]
            return Record(row, text[:PREFIX_BYTES], "error", error=("invalid_utf8", message))
        url, source, language = [(value or b"").decode("utf-8", "replace") for value in others]
        when = utc(date) if isinstance(date, str | datetime) else str(date) if isinstance(date, calendar_day) else ""
        told = _spelled(metadata)
        return Record(
            row, text, "text", text=decoded, url=url, source=source, language=language, date=when, metadata=told
        )


def _cells(batch: Any, name: str) -> list[object]:
    if name not in batch.schema.names:
        return [None] * batch.num_rows
    column = batch.column(name)
    if _pa.types.is_timestamp(column.type):  # finer ones are no Python datetime
        column = column.cast(_pa.timestamp("us", column.type.tz), safe=False)
    return cast("list[object]", column.to_pylist())


def _mapping(metadata: object) -> dict[str, object]:
    """An object: a map arrives as pairs, and text may hold one."""
    try:
        if isinstance(metadata, list):
            return dict(cast("list[tuple[str, object]]", metadata))
        if isinstance(metadata, str | bytes):
            metadata = orjson.loads(metadata)
        return cast("dict[str, object]", metadata) if isinstance(metadata, dict) else {}
    except (TypeError, ValueError):
        return {}


def _spelled(metadata: object) -> str:
    """An object as JSON, or empty."""
    try:
        found = _mapping(metadata)
        return orjson.dumps(found, default=str).decode() if found else ""
    except (TypeError, ValueError):
        return ""


def _is_text(kind: Any) -> bool:
    types = _pa.types
    if types.is_dictionary(kind):
        kind = kind.value_type
    tests = ("is_string", "is_large_string", "is_binary", "is_large_binary", "is_string_view", "is_binary_view")
    return any(getattr(types, test)(kind) for test in tests)
