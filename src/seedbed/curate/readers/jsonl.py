"""JSON Lines: one object a line, plain, gzip or zstd.

What      Reads one document from each line; a line that is no document is an error of its own, and the others go on.
Source    none; the format is JSON Lines (jsonlines.org) over RFC 8259.
Formula   text = object[text_field]; offset = number of the line, from 0; blank lines are counted but are no records
Shapes    file -> one record a line that is not blank
Units     max_record_bytes: bytes of one line
Fidelity  Exact. A surrogate that stands alone (half an emoji, written as an escape) becomes U+FFFD.
Errors    Error records: invalid_utf8, not_json, not_an_object, missing_text, text_not_a_string, too_large;
          corrupt_gzip, truncated_gzip, corrupt_zstd, truncated_zstd for the rest of a broken file.
          A url, source or language that is no string counts as empty.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, ClassVar, cast

from annotated_types import Ge, MinLen

from seedbed.core.streams import BrokenStream, lines, pieces
from seedbed.curate.contract import Reader, Record
from seedbed.text.decoding import without_surrogates

_BOM = b"\xef\xbb\xbf"
_PREFIX_BYTES = 1 << 16


@dataclasses.dataclass(frozen=True)
class Jsonl(Reader):
    """Args: text_field, url_field, source_field, language_field: where these are in the object."""

    text_field: Annotated[str, MinLen(1)] = "text"
    url_field: str = "url"
    source_field: str = "source"
    language_field: str = "language"
    max_record_bytes: Annotated[int, Ge(1)] = 32 << 20

    suffixes: ClassVar[tuple[str, ...]] = tuple(
        f".{name}{packed}" for name in ("jsonl", "ndjson") for packed in ("", ".gz", ".zst")
    )

    def records(self, file: Path) -> Iterator[Record]:
        """One record a line; after a break one error record for the rest."""
        number = 0
        try:
            for line, whole in lines(pieces(file), self.max_record_bytes):
                if line.strip():
                    yield self._record(number, line, whole)
                number += 1
        except BrokenStream as broken:
            message = f"{broken.message}; lines before line {number} were read"
            yield Record(number, broken.message.encode(), "error", error=(broken.kind, message))

    def _record(self, number: int, line: bytes, whole: bool) -> Record:
        if not whole:
            message = f"line {number} is longer than {self.max_record_bytes} bytes"
            return Record(number, line[:_PREFIX_BYTES], "error", error=("too_large", message))
        try:
            value: object = json.loads((line.removeprefix(_BOM) if number == 0 else line).decode())
        except UnicodeDecodeError as error:
            return _error(number, line, "invalid_utf8", str(error))
        except (ValueError, RecursionError) as error:
            return _error(number, line, "not_json", str(error))
        if not isinstance(value, dict):
            return _error(number, line, "not_an_object", f"a {type(value).__name__} where an object is needed")
        fields = cast("dict[str, Any]", value)
        if fields.get(self.text_field) is None:
            has = ", ".join(map(repr, sorted(fields)[:20]))[:500]
            return _error(number, line, "missing_text", f"no field {self.text_field!r}; there are: {has}")
        if not isinstance(fields[self.text_field], str):
            what = type(fields[self.text_field]).__name__
            return _error(number, line, "text_not_a_string", f"{self.text_field!r} is a {what}")
        names = (self.text_field, self.url_field, self.source_field, self.language_field)
        text, url, source, language = (_string(fields.get(name)) for name in names)
        return Record(number, line, "text", text=text, url=url, source=source, language=language)


def _string(value: object) -> str:
    return without_surrogates(value) if isinstance(value, str) else ""


def _error(number: int, line: bytes, kind: str, message: str) -> Record:
    message = without_surrogates(message)[:1000]
    return Record(number, line[:_PREFIX_BYTES], "error", error=(kind, f"line {number}: {message}"))
