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
from pathlib import Path
from typing import ClassVar

from seedbed.curate.contract import Record
from seedbed.curate.whole_file import WholeFileReader


@dataclasses.dataclass(frozen=True)
class Html(WholeFileReader):
    """Args: max_record_bytes: larger files are not read."""

    suffixes: ClassVar[tuple[str, ...]] = (".html", ".htm", ".xhtml")

    def record(self, file: Path, content: bytes) -> Record:
        """The page."""
        del file
        if not content.strip():
            return Record(0, content, "drop", reason="empty_body")
        return Record(0, content, "html")
