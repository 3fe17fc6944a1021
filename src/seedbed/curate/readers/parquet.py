"""Parquet: one document a row.

What      Reads one document from each row, in small batches, only the columns that are named.
Source    none; the format is Apache Parquet.
Formula   text = row[text_column]; offset = number of the row, from 0
Shapes    file -> one record a row
Units     batch_rows: rows held at a time, beside the decoded pages of one row group
Fidelity  Exact. Text columns may be strings, bytes, or a dictionary of either.
Errors    check raises for a file without the text column, or one that is no text. Error records: missing_text for
          a null, invalid_utf8, too_large; corrupt_parquet for the rest of a broken file.
          A url, source or language column that is absent or no text counts as empty.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, ClassVar, cast

import pyarrow as pa
import pyarrow.parquet as pq
from annotated_types import Ge, MinLen

from seedbed.core.errors import SeedbedError, did_you_mean
from seedbed.curate.contract import Reader, Record

_pa: Any = pa
_pq: Any = pq

_BROKEN = (pa.ArrowException, OSError, EOFError)
_PREFIX_BYTES = 1 << 16


@dataclasses.dataclass(frozen=True)
class Parquet(Reader):
    """Args: text_column, url_column, source_column, language_column: where these are in the table."""

    text_column: Annotated[str, MinLen(1)] = "text"
    url_column: str = "url"
    source_column: str = "source"
    language_column: str = "language"
    batch_rows: Annotated[int, Ge(1)] = 256
    max_record_bytes: Annotated[int, Ge(1)] = 32 << 20

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
                columns = [name for name in self._columns() if self._has(table.schema_arrow, name)]
                for batch in table.iter_batches(self.batch_rows, columns=columns, use_threads=False):
                    values = [self._values(batch, name) for name in self._columns()]
                    for cells in zip(*values, strict=True):
                        yield self._record(row, *cells)
                        row += 1
                missing = cast(int, table.metadata.num_rows) - row
                if missing:
                    message = f"{missing} rows that the footer tells of are not there"
                    yield Record(row, message.encode(), "error", error=("corrupt_parquet", message))
            except _BROKEN as error:
                message = f"{error}; {row} rows before it were read"
                yield Record(row, message.encode(), "error", error=("corrupt_parquet", message))

    def _columns(self) -> tuple[str, str, str, str]:
        return self.text_column, self.url_column, self.source_column, self.language_column

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
        self, row: int, text: bytes | None, url: bytes | None, source: bytes | None, language: bytes | None
    ) -> Record:
        if text is None:
            return Record(row, b"", "error", error=("missing_text", f"row {row}: {self.text_column!r} is null"))
        if len(text) > self.max_record_bytes:
            message = f"row {row}: {len(text)} bytes where at most {self.max_record_bytes} are read"
            return Record(row, text[:_PREFIX_BYTES], "error", error=("too_large", message))
        try:
            decoded = text.decode()
        except UnicodeDecodeError as error:
            message = f"row {row}: {error}"[:1000]
            return Record(row, text[:_PREFIX_BYTES], "error", error=("invalid_utf8", message))
        about = [(value or b"").decode("utf-8", "replace") for value in (url, source, language)]
        return Record(row, text, "text", text=decoded, url=about[0], source=about[1], language=about[2])


def _is_text(kind: Any) -> bool:
    types = _pa.types
    if types.is_dictionary(kind):
        kind = kind.value_type
    tests = ("is_string", "is_large_string", "is_binary", "is_large_binary", "is_string_view", "is_binary_view")
    return any(getattr(types, test)(kind) for test in tests)
