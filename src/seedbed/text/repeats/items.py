"""Benchmark items read from files: one benchmark a file, one item a line."""

from __future__ import annotations

import dataclasses
import gzip
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

from seedbed.core.errors import RecipeError, SeedbedError
from seedbed.core.fingerprint import hash_file

SUFFIXES = (".jsonl", ".jsonl.gz", ".txt")
_MEND = f"Give a folder of {', '.join(SUFFIXES)} files, or one of them."


@dataclasses.dataclass(frozen=True)
class Items:
    """N items.

    Args:
        benchmark_N: name of the file, without its ending.
        line_N: the line of the item in it, from 1.
        text_N: its fields, one below another.
    """

    benchmark_N: tuple[str, ...]
    line_N: tuple[int, ...]
    text_N: tuple[str, ...]

    def names(self) -> list[str]:
        """`benchmark:line` of every item."""
        return [f"{benchmark}:{line}" for benchmark, line in zip(self.benchmark_N, self.line_N, strict=True)]


def item_files(path: Path, where: str) -> list[Path]:
    """The files of a folder in order of name, or the one file; RecipeError at `where` if there is none."""
    if path.is_file() and path.name.endswith(SUFFIXES):
        return [path]
    files = sorted(file for file in path.rglob("*") if file.is_file() and file.name.endswith(SUFFIXES))
    if not files:
        raise RecipeError(where, f"{str(path)!r} holds no benchmark items", _MEND)
    return files


def content(path: Path, where: str) -> dict[str, str]:
    """File name -> hash of its content: what a fingerprint covers."""
    return {_relative(file, path): hash_file(file) for file in item_files(path, where)}


def read_items(path: Path, fields: Sequence[str], where: str) -> Items:
    """All items. Without `fields`, an item is every text in its record, in order."""
    rows = [
        (_relative(file, path).removesuffix(".gz").rpartition(".")[0], line, text)
        for file in item_files(path, where)
        for line, text in _lines(file, fields)
    ]
    benchmark_N, line_N, text_N = zip(*rows, strict=True) if rows else ((), (), ())
    return Items(benchmark_N, line_N, text_N)


def _relative(file: Path, path: Path) -> str:
    return file.name if file == path else file.relative_to(path).as_posix()


def _lines(file: Path, fields: Sequence[str]) -> Iterator[tuple[int, str]]:
    with file.open("rb") as raw:
        lines = cast("Iterable[bytes]", gzip.GzipFile(fileobj=raw) if file.name.endswith(".gz") else raw)
        for number, line in enumerate((line.decode("utf-8", "replace") for line in lines), 1):
            if not line.strip():
                continue
            if file.name.endswith(".txt"):
                yield number, line.strip()
                continue
            try:
                record: Any = json.loads(line)
            except json.JSONDecodeError as error:
                raise SeedbedError(f"{file}:{number}", f"is no JSON ({error.msg})", "One item a line.") from error
            yield number, "\n".join(_texts(record, fields, f"{file}:{number}"))


def _texts(record: Any, fields: Sequence[str], where: str) -> Iterator[str]:
    """The texts of the named fields, or of the whole record."""
    if not fields:
        yield from _strings(record)
    for field in fields:
        if not isinstance(record, dict) or field not in record:
            raise SeedbedError(where, f"has no field {field!r}", "Name the fields that every item has, or none.")
        yield from _strings(cast("dict[str, Any]", record)[field])


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for one in cast("list[Any]", value):
            yield from _strings(one)
    elif isinstance(value, dict):
        for one in cast("dict[str, Any]", value).values():
            yield from _strings(one)
