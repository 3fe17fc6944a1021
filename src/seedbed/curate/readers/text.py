"""Text files: one document a file.

What      Reads a .txt or .md file as one document. NUL bytes and line ends are kept as they are.
Source    none; encodings are those of WHATWG Encoding.
Formula   text = decode(bytes); charset = byte order mark, else UTF-8 where valid, else detection (resiliparse)
Shapes    file -> 1 record
Units     max_record_bytes: bytes
Fidelity  Exact.
Errors    A file larger than max_record_bytes is one error record too_large; an empty one is dropped as empty_body.
          Bytes that the encoding cannot mean become U+FFFD.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import ClassVar

from seedbed.curate.contract import Record
from seedbed.curate.whole_file import WholeFileReader
from seedbed.text.markup.decoding import decode_text


@dataclasses.dataclass(frozen=True)
class Text(WholeFileReader):
    """Args: max_record_bytes: larger files are not read."""

    watched: ClassVar[bool] = False
    suffixes: ClassVar[tuple[str, ...]] = (".txt", ".md")

    def record(self, file: Path, content: bytes) -> Record:
        """The document."""
        del file
        if not content:
            return Record(0, content, "drop", reason="empty_body")
        return Record(0, content, "text", text=decode_text(content))
