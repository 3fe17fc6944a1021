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
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, ClassVar

from annotated_types import Ge

from seedbed.curate.contract import Reader, Record
from seedbed.text.markup.decoding import decode_text

_PREFIX_BYTES = 1 << 16


@dataclasses.dataclass(frozen=True)
class Text(Reader):
    """Args: max_record_bytes: larger files are not read."""

    max_record_bytes: Annotated[int, Ge(1)] = 32 << 20

    watched: ClassVar[bool] = False
    suffixes: ClassVar[tuple[str, ...]] = (".txt", ".md")

    def records(self, file: Path) -> Iterator[Record]:
        """The document."""
        with file.open("rb") as raw:
            content = raw.read(self.max_record_bytes + 1)
        if len(content) > self.max_record_bytes:
            message = f"{file.stat().st_size} bytes where at most {self.max_record_bytes} are read"
            yield Record(0, content[:_PREFIX_BYTES], "error", error=("too_large", message))
        elif not content:
            yield Record(0, content, "drop", reason="empty_body")
        else:
            yield Record(0, content, "text", text=decode_text(content))
