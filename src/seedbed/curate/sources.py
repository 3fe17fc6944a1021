"""Input files: found, ordered, matched with a reader, hashed, and cut into shards. Never by worker count."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path

from seedbed.core.errors import SeedbedError
from seedbed.core.fingerprint import hash_file
from seedbed.core.parameters import Json
from seedbed.curate.contract import Reader


@dataclasses.dataclass(frozen=True)
class Source:
    """One input file.

    Args:
        relative: its path below the input root, the name that ids are made from.
        path: where it lies now.
        reader: how to read it.
        size: bytes.
        content: hash of its bytes.
    """

    relative: str
    path: Path
    reader: Reader
    size: int
    content: str

    def identity(self) -> dict[str, Json]:
        """What the fingerprint covers."""
        return {"file": self.relative, "content": self.content, "reader": dict(self.reader.identity())}


def find_sources(inputs: Sequence[str | Path], readers: Sequence[Reader]) -> tuple[list[Source], list[str]]:
    """The input files sorted by relative path, and the relative paths in folders that no reader takes.

    The root is the folder given, or the common parent of several inputs. Raises SeedbedError for a missing input, a
    named file that no reader takes, and when nothing is found.
    """
    paths = [Path(given).absolute() for given in inputs]
    for path in paths:
        if not path.exists():
            raise SeedbedError(str(path), "there is no such file or folder", "Check the path.")
    if not paths:
        raise SeedbedError("input", "no file or folder was given", "Name at least one.")
    parents = [path if path.is_dir() else path.parent for path in paths]
    root = Path(os.path.commonpath(parents))
    found: dict[str, Source] = {}
    ignored: list[str] = []
    for path in paths:
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if not file.is_file():
                continue
            relative = file.relative_to(root).as_posix()
            reader = reader_for(file.name, readers)
            if reader is None and file == path:
                known = ", ".join(suffix for each in readers for suffix in each.suffixes)
                raise SeedbedError(str(file), "no reader takes this kind of file", f"Known endings: {known}.")
            if reader is None:
                ignored.append(relative)
            elif relative not in found:
                reader.check(file)
                found[relative] = Source(relative, file, reader, file.stat().st_size, hash_file(file))
    if not found:
        names = ", ".join(str(path) for path in paths)
        raise SeedbedError(names, "no file here can be read", "Seedbed reads .warc, .html, .jsonl, .parquet and .txt.")
    return [found[name] for name in sorted(found)], sorted(set(ignored))


def reader_for(name: str, readers: Sequence[Reader]) -> Reader | None:
    """The reader whose ending is the longest that fits this file name."""
    fits = [(len(suffix), reader) for reader in readers for suffix in reader.suffixes if name.lower().endswith(suffix)]
    return max(fits, key=lambda fit: fit[0])[1] if fits else None


def cut(sources: Sequence[Source], shard_bytes: int) -> list[tuple[Source, ...]]:
    """Neighbouring files in shards of about `shard_bytes`."""
    shards: list[tuple[Source, ...]] = []
    current: list[Source] = []
    size = 0
    for source in sources:
        if current and size + source.size > shard_bytes:
            shards.append(tuple(current))
            current, size = [], 0
        current.append(source)
        size += source.size
    return [*shards, tuple(current)] if current else shards
