"""JSON Lines: one object a line, plain, gzip or zstd.

What      Reads one document from each line; a line that is no document is an error of its own, and the others go on.
Source    none; the format is JSON Lines (jsonlines.org) over RFC 8259.
Formula   text = object[text_field]; offset = number of the line, from 0; blank lines are counted but are no records
Shapes    file -> one record a line that is not blank
Units     max_record_bytes: bytes of one line
Fidelity  Exact, as Python's json module reads. A surrogate that stands alone (half an emoji, written as an escape)
          becomes U+FFFD. Integers of more than 64 bits in metadata may become floats.
Errors    Error records: invalid_utf8, not_json, not_an_object, missing_text, text_not_a_string, too_large,
          other_document (attributes beside it that are another's or broken);
          corrupt_gzip, truncated_gzip, corrupt_zstd, truncated_zstd for the rest of a broken file.
          A url, source or language that is no string counts as empty, so does a date that is not ISO 8601 and
          metadata that is no object.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, ClassVar, cast

import orjson
from annotated_types import Ge, MinLen

from seedbed.core.dates import utc
from seedbed.core.errors import SeedbedError
from seedbed.core.streams import BrokenStream, lines, pieces
from seedbed.curate.contract import PREFIX_BYTES, Reader, Record
from seedbed.text.markup.decoding import without_surrogates

_BOM = b"\xef\xbb\xbf"


@dataclasses.dataclass(frozen=True)
class Jsonl(Reader):
    """Where things are in the object; a dot leads into an object, `metadata.url`.

    Args:
        text_field, url_field, source_field, language_field: strings.
        date_field: ISO 8601.
        metadata_field: an object, kept as JSON.
        metadata_fields: other fields that are put into it; "*" for all that have no place of their own.
        attributes: names of Dolma attribute sets. What `attributes/NAME/a.jsonl.gz` says of the lines of
            `documents/a.jsonl.gz` is put into the metadata as `attributes`.
    """

    version: ClassVar[int] = 2
    text_field: Annotated[str, MinLen(1)] = "text"
    url_field: str = "url"
    source_field: str = "source"
    language_field: str = "language"
    date_field: str = "date"
    metadata_field: str = "metadata"
    metadata_fields: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()
    max_record_bytes: Annotated[int, Ge(1)] = 32 << 20

    watched: ClassVar[bool] = False
    suffixes: ClassVar[tuple[str, ...]] = tuple(
        f".{name}{packed}" for name in ("jsonl", "ndjson") for packed in ("", ".gz", ".zst")
    )

    def check(self, file: Path) -> None:
        """Raise SeedbedError where an attribute set has no file for this one."""
        for companion in self.companions(file):
            if not companion.exists():
                mend = "Dolma keeps attributes/NAME/... beside documents/..., with a file for each."
                raise SeedbedError(str(file), f"its attributes are not there: {companion}", mend)

    def companions(self, file: Path) -> tuple[Path, ...]:
        """The attribute files of a Dolma document file."""
        if not self.attributes:
            return ()
        at = len(file.parts) - 1 - file.parts[::-1].index("documents") if "documents" in file.parts else 0
        root = Path(*file.parts[:at])
        return tuple(root / "attributes" / name / Path(*file.parts[at + 1 :]) for name in self.attributes)

    def records(self, file: Path) -> Iterator[Record]:
        """One record a line; after a break one error record for the rest."""
        number = 0
        sides = [lines(pieces(side), self.max_record_bytes) for side in self.companions(file)]
        try:
            for line, whole in lines(pieces(file), self.max_record_bytes):
                about = [next(side, (b"", True))[0] for side in sides]
                if line.strip():
                    yield self._record(number, line, whole, about)
                number += 1
        except BrokenStream as broken:
            message = f"{broken.message}; lines before line {number} were read"
            yield Record(number, broken.message.encode(), "error", error=(broken.kind, message))

    def _record(self, number: int, line: bytes, whole: bool, about: list[bytes]) -> Record:
        if not whole:
            message = f"line {number} is longer than {self.max_record_bytes} bytes"
            return Record(number, line[:PREFIX_BYTES], "error", error=("too_large", message))
        try:
            value: object = _parsed(line.removeprefix(_BOM) if number == 0 else line)
        except UnicodeDecodeError as error:
            return _error(number, line, "invalid_utf8", str(error))
        except (ValueError, RecursionError) as error:
            return _error(number, line, "not_json", str(error))
        if not isinstance(value, dict):
            return _error(number, line, "not_an_object", f"a {type(value).__name__} where an object is needed")
        fields = cast("dict[str, Any]", value)
        text = fields.get(self.text_field)
        if text is None:
            has = ", ".join(map(repr, sorted(fields)[:20]))[:500]
            return _error(number, line, "missing_text", f"no field {self.text_field!r}; there are: {has}")
        if not isinstance(text, str):
            return _error(number, line, "text_not_a_string", f"{self.text_field!r} is a {type(text).__name__}")
        try:
            metadata = self._metadata(fields, about)
        except _OtherDocumentError as error:
            return _error(number, line, "other_document", str(error))
        return Record(
            number,
            line,
            "text",
            text=without_surrogates(text),
            url=_string(_field(fields, self.url_field)),
            source=_string(_field(fields, self.source_field)),
            language=_string(_field(fields, self.language_field)),
            date=utc(_string(_field(fields, self.date_field))),
            metadata=metadata,
        )

    def _metadata(self, fields: dict[str, Any], about: list[bytes]) -> str:
        told: object = fields.get(self.metadata_field)
        if not self.metadata_fields and not about:
            return _spelled(cast(object, told)) if isinstance(told, dict) else ""
        found: dict[str, Any] = dict(cast("dict[str, Any]", told)) if isinstance(told, dict) else {}
        names = self.metadata_fields
        if "*" in names:
            placed = (self.text_field, self.url_field, self.source_field, self.language_field, self.date_field)
            names = tuple(name for name in fields if name not in (*placed, self.metadata_field))
        found.update({name: fields[name] for name in names if name in fields})
        attributes: dict[str, Any] = {}
        for line in filter(bytes.strip, about):
            attributes.update(_attributes(line, fields.get("id")))
        if attributes:
            found["attributes"] = attributes
        return _spelled(found) if found else ""


class _OtherDocumentError(Exception):
    """A line of attributes that speaks of another document."""


def _attributes(line: bytes, document: object) -> dict[str, Any]:
    try:
        told = cast("dict[str, Any]", _parsed(line))
        if told.get("id") != document:
            raise _OtherDocumentError(f"the attributes beside it are those of document {told.get('id')!r}")
        return cast("dict[str, Any]", dict(told["attributes"]))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _OtherDocumentError(f"the line of attributes beside it cannot be read ({error})") from error


def _field(fields: dict[str, Any], name: str) -> object:
    """A field, or what a name with dots leads to."""
    if name in fields or "." not in name:
        return fields.get(name)
    value: object = fields
    for part in name.split("."):
        value = cast("dict[str, object]", value).get(part) if isinstance(value, dict) else None
    return value


def _parsed(line: bytes) -> object:
    """What the standard library makes of the line; it is asked where the fast parser, which takes less, refuses."""
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        return json.loads(line.decode())


def _spelled(metadata: object) -> str:
    try:
        return orjson.dumps(metadata).decode()
    except TypeError:  # surrogates and numbers that only the standard library takes
        return without_surrogates(json.dumps(metadata, ensure_ascii=False))


def _string(value: object) -> str:
    return without_surrogates(value) if isinstance(value, str) else ""


def _error(number: int, line: bytes, kind: str, message: str) -> Record:
    message = without_surrogates(message)[:1000]
    return Record(number, line[:PREFIX_BYTES], "error", error=(kind, f"line {number}: {message}"))
