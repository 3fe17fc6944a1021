"""Readers of files that are one document each: a saved page, a text, a book."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated

from annotated_types import Ge

from seedbed.curate.contract import PREFIX_BYTES, Reader, Record


@dataclasses.dataclass(frozen=True)
class WholeFileReader(Reader):
    """A file is held in memory and makes one record; a larger one is an error, too_large.

    Args:
        max_record_bytes: larger files are not read.
    """

    max_record_bytes: Annotated[int, Ge(1)] = 32 << 20

    def record(self, file: Path, content: bytes) -> Record:
        """What becomes of the content, which may be empty; `file` is only named in errors."""
        raise NotImplementedError

    def records(self, file: Path) -> Iterator[Record]:
        """The one record."""
        with file.open("rb") as raw:
            content = raw.read(self.max_record_bytes + 1)
        if len(content) > self.max_record_bytes:
            message = f"{file.stat().st_size} bytes where at most {self.max_record_bytes} are read"
            yield Record(0, content[:PREFIX_BYTES], "error", error=("too_large", message))
        else:
            yield self.record(file, content)


def metadata_of(told: Mapping[str, str]) -> str:
    """What a document says about itself as a JSON object, without what it leaves empty; empty where that is all."""
    known = {name: value for name, value in told.items() if value}
    return json.dumps(known, ensure_ascii=False) if known else ""
