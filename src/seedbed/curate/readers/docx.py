"""DOCX: the text of a word processor's document.

What      Reads a .docx file as one document: its paragraphs and tables in order, apart by an empty line; a row of a
          table is a line, its cells apart by tabs.
Source    none; the format is ISO/IEC 29500 (Office Open XML), read by python-docx.
Formula   text = blocks of the body joined by an empty line
Shapes    file -> 1 record
Units     max_record_bytes: bytes of the file; max_unpacked_bytes: bytes of all parts in it
Fidelity  Adapted: headers, footers, notes, comments, text boxes and pictures are left out. A cell that spans several
          is given once.
Errors    Error records: too_large (also of what a small file unpacks to), corrupt_docx (also an encrypted one, which
          is no archive). A document without text is dropped as no_text, an empty file as empty_body. Without the
          library check raises SeedbedError.
"""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, ClassVar

from annotated_types import Ge

from seedbed.core import optional
from seedbed.core.dates import utc
from seedbed.curate.contract import Record
from seedbed.curate.whole_file import WholeFileReader, metadata_of
from seedbed.text.markup.archives import UnboundedError, open_bounded

_MAX_NESTED_TABLES = 20


@dataclasses.dataclass(frozen=True)
class Docx(WholeFileReader):
    """Args: max_...: larger documents are errors."""

    max_record_bytes: Annotated[int, Ge(1)] = 64 << 20
    max_unpacked_bytes: Annotated[int, Ge(1)] = 256 << 20

    libraries: ClassVar[tuple[str, ...]] = ("python-docx", "lxml")
    suffixes: ClassVar[tuple[str, ...]] = (".docx",)

    def check(self, file: Path) -> None:
        """Raise SeedbedError where the library is not installed."""
        _library(file)

    def record(self, file: Path, content: bytes) -> Record:
        """The document."""
        if not content:
            return Record(0, content, "drop", reason="empty_body")
        docx = _library(file)
        try:
            open_bounded(content, self.max_unpacked_bytes).close()
            document = docx.Document(io.BytesIO(content))
            text = "\n\n".join(filter(None, _blocks(document, 0)))
            date, metadata = _about(document.core_properties)
        except UnboundedError as error:
            return Record(0, content, "error", error=("too_large", str(error)))
        except Exception as error:  # python-docx lets every error of zip, XML and its own through
            return Record(0, content, "error", error=("corrupt_docx", f"{type(error).__name__}: {error}"))
        if not text.strip():
            return Record(0, content, "drop", reason="no_text")
        return Record(0, content, "text", text=text, date=date, metadata=metadata)


def _library(file: Path) -> Any:
    return optional.load("docx", "documents", str(file))


def _blocks(holder: Any, depth: int) -> Iterator[str]:
    """The text of each paragraph and table of a document or a cell."""
    for block in holder.iter_inner_content():
        if hasattr(block, "rows"):
            if depth < _MAX_NESTED_TABLES:
                yield "\n".join(filter(str.strip, (_row(row, depth) for row in block.rows)))
        else:
            yield str(block.text).strip()


def _row(row: Any, depth: int) -> str:
    cells = {id(cell._tc): cell for cell in row.cells}  # a merged cell stands at every place it covers
    return "\t".join(" ".join(filter(None, _blocks(cell, depth + 1))).strip() for cell in cells.values())


def _about(properties: Any) -> tuple[str, str]:
    """(date, metadata)."""
    when = properties.modified or properties.created
    told = {name: str(getattr(properties, name) or "") for name in ("title", "author")}
    return (utc(when) if when else "", metadata_of(told))
