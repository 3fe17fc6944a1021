"""Export: kept documents as JSON Lines, what was chosen of them, tokens in others' formats, a model as Hugging Face's.

`documents/` is plain Parquet and needs no export for programs that read that.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import tempfile
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Unpack, cast

import zstandard

from seedbed import catalogue
from seedbed.core import arrow, remote
from seedbed.core.artifact import Artifact, disk_error
from seedbed.core.errors import RecipeError, SeedbedError, did_you_mean
from seedbed.pipeline import models, workplace
from seedbed.pipeline.export_selection import How, export_mixture, export_selection
from seedbed.tokenize.contract import Exporter
from seedbed.tokenize.export import export as export_tokens

ZSTD_LEVEL = 3


@contextlib.contextmanager
def _plain(raw: BinaryIO) -> Generator[BinaryIO, None, None]:
    yield raw


def _gzip(raw: BinaryIO) -> contextlib.AbstractContextManager[BinaryIO]:
    packed = gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0)  # no name and no date: the same bytes again
    return cast("contextlib.AbstractContextManager[BinaryIO]", packed)


def _zstd(raw: BinaryIO) -> contextlib.AbstractContextManager[BinaryIO]:
    compressor = zstandard.ZstdCompressor(level=ZSTD_LEVEL, write_checksum=True)
    return cast("contextlib.AbstractContextManager[BinaryIO]", compressor.stream_writer(raw, closefd=False))


FORMATS: dict[str, Callable[[BinaryIO], contextlib.AbstractContextManager[BinaryIO]]] = {
    "jsonl.zst": _zstd,
    "jsonl.gz": _gzip,
    "jsonl": _plain,
}
"""Ending of the files -> how they are packed."""
_OTHER_ENDINGS = (".parquet", ".csv", ".tsv", ".txt", ".arrow", ".feather", ".gz", ".zst", ".zip", ".tar")
"""Of names that mean a file; any other name is a folder's."""


HUGGING_FACE = "hf"
CHOICES: dict[str, Callable[..., dict[str, Any]]] = {"selection": export_selection, "mixture": export_mixture}


def export(out: str | Path, target: str | Path, to: str = "jsonl.zst", **how: Unpack[How]) -> dict[str, Any]:
    """Hand kept documents, their tokens, choices or a model to other programs. Gives counts of what was written.

    Args:
        out: output folder of a curation, tokenised for a token format; for "hf" any folder that holds a model.
        target: a new file or folder, here or in a store; documents go into one file if it ends in the format's name,
            else into a folder with a file for each shard.
        to: "jsonl.zst", "jsonl.gz", "jsonl", "selection", "mixture", "hf", or a method of the shelf tokenize.exporters.
        how: which choice and in which form; of selections and mixtures only: see pipeline.export_selection.How.
    """
    exporters = [path.rpartition(".")[2] for path in catalogue.on_shelf("tokenize.exporters")]
    known = [*FORMATS, *exporters, *CHOICES, HUGGING_FACE]
    if to not in known:
        raise RecipeError("--to", f"there is no format {to!r}", did_you_mean(to, known))
    if meaningless := set(how) - {"selection": How.__annotations__.keys(), "mixture": {"weights"}}.get(to, set()):
        mend = "It goes with --to selection (weights: with mixture too)."
        raise RecipeError(f"--{min(meaningless)}", f"says nothing of --to {to}", mend)
    with _written(target) as goal:
        if to in CHOICES:
            return CHOICES[to](out, goal, **how)
        if to == HUGGING_FACE:
            return models.export_hugging_face(out, goal)
        if to in FORMATS:
            return _export_documents(workplace.curated_at(out).kept, goal, to)
        exporter = cast(Exporter, catalogue.build(Exporter, f"tokenize.exporters.{to}", "--to"))
        return export_tokens(workplace.artifact_at(out, "tokens"), exporter, goal)


@contextlib.contextmanager
def _written(target: str | Path) -> Generator[Path, None, None]:
    """Where to write; what is meant for a store is sent there once it is whole."""
    if not remote.is_remote(target):
        yield Path(target)
        return
    url = remote.url_of(target).rstrip("/")
    with tempfile.TemporaryDirectory(prefix="seedbed-") as folder:
        goal = Path(folder) / url.rpartition("/")[2]
        yield goal
        if goal.is_file():
            remote.send(goal, url)
        else:
            for file in sorted(path for path in goal.rglob("*") if path.is_file()):
                remote.send(file, remote.inside(url, file.relative_to(goal).as_posix()))


def _export_documents(kept: Artifact, goal: Path, to: str) -> dict[str, int]:
    if goal.name.endswith(f".{to}"):
        plan = [(goal, kept.shards())]
    elif ".json" in goal.name or goal.suffix in _OTHER_ENDINGS:
        mend = f"Name a file that ends in .{to}, or a folder; for Parquet take `documents/` of the run as it is."
        raise SeedbedError(str(goal), f"is no file name of the format {to}", mend)
    else:
        plan = [(goal / f"{shard.stem}.{to}", [shard]) for shard in kept.shards()]
    for file, shards in plan:
        _write(file, shards, to)
    size = sum(file.stat().st_size for file, _ in plan)
    return {"documents": kept.rows, "files": len(plan), "bytes": size}


def _write(file: Path, shards: list[Path], to: str) -> None:
    """One file, aside and renamed, so that a half-written one is never met."""
    aside = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with aside.open("wb") as raw, FORMATS[to](raw) as packed:
            for shard in shards:
                for line in _lines(shard):
                    packed.write(line)
        os.replace(aside, file)
    except OSError as error:
        raise disk_error(file, error) from error
    finally:
        aside.unlink(missing_ok=True)


def _lines(shard: Path) -> Iterator[bytes]:
    """The documents of a shard as JSON; what a record knew besides is an object again."""
    for rows in arrow.row_groups(shard):
        for row in cast("list[dict[str, Any]]", cast(Any, rows).to_pylist()):
            row["metadata"] = json.loads(row["metadata"]) if row["metadata"] else {}
            yield json.dumps(row, ensure_ascii=False).encode() + b"\n"
