"""HTML files: one saved page a file.

What      Reads a .html, .htm or .xhtml file as one record for the extractor.
Source    none; the encoding is found out later, as WHATWG HTML section 13.2.3.2 says, by the extractor.
Formula   record = (offset 0, all bytes of the file)
Shapes    file -> 1 record
Units     max_record_bytes: bytes
Fidelity  Exact.
Errors    A file larger than max_record_bytes is one error record too_large; an empty one is dropped as empty_body.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, ClassVar

from annotated_types import Ge

from seedbed.curate.contract import Reader, Record

_PREFIX_BYTES = 1 << 16


@dataclasses.dataclass(frozen=True)
class Html(Reader):
    """Args: max_record_bytes: larger files are not read."""

    max_record_bytes: Annotated[int, Ge(1)] = 32 << 20

    suffixes: ClassVar[tuple[str, ...]] = (".html", ".htm", ".xhtml")

    def records(self, file: Path) -> Iterator[Record]:
        """The page."""
        with file.open("rb") as raw:
            content = raw.read(self.max_record_bytes + 1)
        if len(content) > self.max_record_bytes:
            message = f"{file.stat().st_size} bytes where at most {self.max_record_bytes} are read"
            yield Record(0, content[:_PREFIX_BYTES], "error", error=("too_large", message))
        elif not content.strip():
            yield Record(0, content, "drop", reason="empty_body")
        else:
            yield Record(0, content, "html")
