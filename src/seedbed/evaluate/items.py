"""Items of likelihood probes, and the JSON Lines they are read from: a file, a folder or a zip archive of such files.

A line is one JSON object; each task says which fields it reads. Errors name file, line and field.
"""

from __future__ import annotations

import dataclasses
import json
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import cast

from seedbed.core import streams
from seedbed.core.errors import SeedbedError, did_you_mean
from seedbed.core.parameters import Json

ENDINGS = (".jsonl", ".jsonl.gz", ".jsonl.zst", ".jsonl.bz2")
MAX_LINE_BYTES = 1 << 24


@dataclasses.dataclass(frozen=True)
class Item:
    """A question with its possible answers.

    Args:
        name: its id.
        group: what it is summed up with: a paradigm, a subject, a frequency.
        context: what stands in front of every choice; may be empty.
        choices: the possible answers, as written; one where the answer is free.
        answer: the index of the right one.
        family: what the group belongs to, or empty.
        frequency: how often the pool says it, or NaN where nobody knows.
    """

    name: str
    group: str
    context: str
    choices: tuple[str, ...]
    answer: int = 0
    family: str = ""
    frequency: float = float("nan")


@dataclasses.dataclass(frozen=True)
class Line:
    """One line of an items file: typed fields, and errors that say where.

    Args:
        file: the file's name, for errors.
        number: counted from 1.
        fields: the JSON object.
    """

    file: str
    number: int
    fields: Mapping[str, Json]

    @property
    def stem(self) -> str:
        """The file's name without folder and ending: what groups are called where a line does not say."""
        return PurePosixPath(self.file.replace("\\", "/")).name.partition(".jsonl")[0]

    @property
    def name(self) -> str:
        """The item's field "id", else where it stands."""
        given = self.fields.get("id")
        return str(given) if isinstance(given, str | int) else f"{self.stem}:{self.number}"

    def wrong(self, field: str, what: str, mend: str = "") -> SeedbedError:
        """The error to raise."""
        return SeedbedError(f"{self.file}, line {self.number}, field {field!r}", what, mend)

    def text(self, *names: str, missing: str | None = None) -> str:
        """The first of these fields that is there, as a text; `missing` where none is and one is given."""
        for name in names:
            if name in self.fields:
                value = self.fields[name]
                if not isinstance(value, str):
                    raise self.wrong(name, f"{_shown(value)} is no text")
                return value
        if missing is None:
            raise self.wrong(names[0], "is missing", did_you_mean(names[0], self.fields))
        return missing

    def filled(self, *names: str) -> str:
        """A text that is not empty."""
        found = self.text(*names)
        if not found.strip():
            raise self.wrong(
                next(name for name in names if name in self.fields), "is empty", "Every choice needs text."
            )
        return found

    def texts(self, name: str, at_least: int) -> tuple[str, ...]:
        """A list of different texts, none empty."""
        value = self.fields.get(name)
        if value is None:
            raise self.wrong(name, "is missing", did_you_mean(name, self.fields))
        if not isinstance(value, list) or not all(isinstance(one, str) and one.strip() for one in value):
            raise self.wrong(name, f"{_shown(value)} is no list of texts")
        found = tuple(cast("list[str]", value))
        if len(found) < at_least or len(set(found)) < len(found):
            raise self.wrong(
                name, f"holds {len(set(found))} different texts", f"Give at least {at_least}, no two alike."
            )
        return found

    def number_of(self, name: str) -> float:
        """A number that is not negative."""
        value = self.fields.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
            raise self.wrong(name, f"{_shown(value)} is no number from 0 up")
        return float(value)


def read_lines(source: Path) -> list[Line]:
    """All lines of a file, a folder or a zip archive, files in order of name. Raises SeedbedError for none."""
    try:
        found = [line for name, content in _files(source) for line in _parsed(name, content)]
    except (streams.BrokenStream, zipfile.BadZipFile) as error:
        raise SeedbedError(str(source), f"is broken ({error})", "Fetch or make it again.") from error
    if not found:
        raise SeedbedError(str(source), "holds no items", "Give JSON Lines: one JSON object a line.")
    return found


def _files(source: Path) -> Iterator[tuple[str, Iterable[bytes]]]:
    """(name, content in pieces) of every file of items."""
    if source.is_dir():
        for file in sorted(source.iterdir()):
            if file.name.endswith(ENDINGS) and not file.name.startswith("."):
                yield str(file), streams.pieces(file)
    elif source.suffix == ".zip":
        with zipfile.ZipFile(source) as archive:
            for name in sorted(archive.namelist()):
                inner = PurePosixPath(name)
                if inner.suffix == ".jsonl" and inner.parts[0] != "__MACOSX":
                    yield f"{source}:{name}", [archive.read(name)]
    elif source.is_file():
        yield str(source), streams.pieces(source)
    else:
        raise SeedbedError(str(source), "there is no such file or folder", "Name JSON Lines, or a folder of them.")


def _parsed(name: str, content: Iterable[bytes]) -> Iterator[Line]:
    for number, (line, whole) in enumerate(streams.lines(content, MAX_LINE_BYTES), 1):
        where = f"{name}, line {number}"
        if not whole:
            raise SeedbedError(where, f"is longer than {MAX_LINE_BYTES} bytes")
        if not line.strip():
            continue
        try:
            fields = cast(Json, json.loads(line.decode("utf-8-sig")))
        except ValueError as error:
            raise SeedbedError(where, f"is no JSON ({error})", "Write one JSON object a line.") from error
        if not isinstance(fields, dict):
            raise SeedbedError(
                where, f"{_shown(fields)} is no JSON object", 'Write {"field": value, ...} on each line.'
            )
        yield Line(name, number, fields)


def _shown(value: Json) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."
