"""What an earlier reading of some of the same files left: documents that need not be read again.

A file counts as the same where its path, its bytes and its reader are; the extractor, its libraries, the limits and
what was forgotten must be those of then. A shard of the same files is taken over as it is, of others the rows.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pyarrow.compute as pc

from seedbed.core import arrow
from seedbed.core.artifact import Artifact, Draft, Store
from seedbed.core.fingerprint import hash_file
from seedbed.core.parameters import Json
from seedbed.curate.sources import Source

STEMS = ("part", "events")

_pc: Any = pc


@dataclasses.dataclass(frozen=True)
class Shard:
    """A shard of an earlier Documents artifact.

    Args:
        folder: the artifact's.
        name: `00003`.
        files: keys of the sources it was read from, in order.
        hashes: of its `part-` and `events-` file.
        about: what the receipt of its `part-` told.
    """

    folder: Path
    name: str
    files: tuple[str, ...]
    hashes: tuple[str, str]
    about: Mapping[str, Json]

    def file(self, stem: str) -> Path:
        """`part-00003.parquet` or `events-00003.parquet`."""
        return self.folder / f"{stem}-{self.name}.parquet"


def find_earlier(store: Store, identity: Mapping[str, Json], sources: Sequence[Source]) -> dict[str, Shard]:
    """Source key -> the shard of an earlier reading that holds its documents."""
    wanted = {source.key() for source in sources}
    found: dict[str, Shard] = {}
    for folder in sorted(store.path.glob("documents-read-*")):
        if (folder / "manifest.json").exists():
            for shard in _shards(Artifact(folder), identity):
                found.update({key: shard for key in shard.files if key in wanted})
    return found


def _shards(artifact: Artifact, identity: Mapping[str, Json]) -> Iterator[Shard]:
    manifest = artifact.manifest
    told = cast("dict[str, Json]", manifest["identity"])
    if any(told.get(name) != identity.get(name) for name in {*told, *identity} - {"files", "shard_bytes"}):
        return
    files = {str(file["name"]): file for file in cast("list[dict[str, Any]]", manifest["files"])}
    for name, part in files.items():
        number = name.removeprefix("part-").removesuffix(".parquet")
        events, keys = files.get(f"events-{number}.parquet"), part.get("about", {}).get("files")
        if name.startswith("part-") and events is not None and keys is not None:
            hashes = (str(part["hash"]), str(events["hash"]))
            yield Shard(artifact.path, number, tuple(keys), hashes, part["about"])


def is_intact(shard: Shard) -> bool:
    """Whether both files are what the manifest says."""
    try:
        return all(hash_file(shard.file(stem)) == told for stem, told in zip(STEMS, shard.hashes, strict=True))
    except OSError:
        return False


def take_over(shard: Shard, name: str, draft: Draft) -> bool:
    """Copy a whole shard into a draft under a new name; False where its files are not what the manifest says."""
    if not is_intact(shard):
        return False
    for stem in STEMS:
        to = draft.path / f"{stem}-{name}.parquet"
        to.unlink(missing_ok=True)
        try:
            os.link(shard.file(stem), to)
        except OSError:  # another file system, or one without links
            shutil.copyfile(shard.file(stem), to)
        draft.adopt(to.name, arrow.n_rows(to), shard.about if stem == "part" else None)
    return True


def rows_of(shard: Shard, relative: str) -> Iterator[pa.Table]:
    """The documents of one file, in order."""
    for rows in arrow.row_groups(shard.file("part")):
        mine = cast(pa.Table, cast(Any, rows).filter(_pc.equal(rows.column("file"), relative)))
        if mine.num_rows:
            yield mine


def events_of(shard: Shard, relative: str) -> list[dict[str, Any]]:
    """The records of one file that gave no document, in order."""
    rows = arrow.read_parquet(shard.file("events")).to_pylist()
    return [row for row in rows if str(row["locator"]).rpartition(":")[0] == relative]
