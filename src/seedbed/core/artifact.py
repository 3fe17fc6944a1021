"""Artifacts: immutable directories with a manifest, found by fingerprint, safe to be killed while made.

A draft is a folder `<name>.partial`. Whoever makes a file writes it aside, flushes it, renames it, and leaves a receipt
with its hash; a later attempt keeps the files whose receipts verify. When all files are there, the manifest is written
and the folder takes its final name. Nothing half-made can be read, and a second identical request is answered at once.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import fcntl
import json
import os
import shutil
import time
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import cast

import pyarrow as pa

from seedbed.core import arrow
from seedbed.core.errors import SeedbedError
from seedbed.core.fingerprint import FORMAT, fingerprint, hash_file
from seedbed.core.parameters import Json


@dataclasses.dataclass(frozen=True)
class Request:
    """What an artifact is asked to be: the whole input of its fingerprint.

    Args:
        noun: Documents, Signals, Decisions, Weights, Tokens, Run, Forecast, Outcomes or Model.
        label: a short readable name, part of the folder's name only.
        identity: method, version, parameters, library versions, content hashes of outside inputs.
        parents: role -> fingerprint of the artifacts it is made from.
    """

    noun: str
    label: str
    identity: Mapping[str, Json]
    parents: Mapping[str, str] = dataclasses.field(default_factory=dict[str, str])

    @property
    def fingerprint(self) -> str:
        """The cache key."""
        covered: dict[str, Json] = {"noun": self.noun, "format": FORMAT, "identity": dict(self.identity)}
        return fingerprint({**covered, "parents": dict(self.parents)})

    @property
    def folder(self) -> str:
        """`signals-gopher_quality-0123456789ab`."""
        return f"{self.noun.lower()}-{self.label}-{self.fingerprint[:12]}"


@dataclasses.dataclass(frozen=True)
class Artifact:
    """A finished artifact on disk."""

    path: Path

    @property
    def manifest(self) -> dict[str, Json]:
        """The manifest as written."""
        return cast("dict[str, Json]", json.loads((self.path / "manifest.json").read_text(encoding="utf-8")))

    @property
    def fingerprint(self) -> str:
        """The fingerprint it was asked by."""
        return str(self.manifest["fingerprint"])

    @property
    def rows(self) -> int:
        """Rows over all shards."""
        return cast(int, self.manifest["rows"])

    @property
    def about(self) -> dict[str, Json]:
        """What the maker wanted remembered: ledger, cost, domain of a fit."""
        return cast("dict[str, Json]", self.manifest["about"])

    def shards(self, stem: str = "part") -> list[Path]:
        """Files `part-00000.parquet` ... in order."""
        return sorted(self.path.glob(f"{stem}-[0-9]*.*"))

    def table(self, columns: list[str] | None = None, stem: str = "part") -> pa.Table:
        """All shards as one table. For per-document numbers, not for text of a large corpus."""
        tables = [arrow.read_parquet(file, columns) for file in self.shards(stem)]
        if not tables:
            raise SeedbedError(str(self.path), f"there is no {stem} table in this artifact")
        return arrow.concat(tables, tables[0].schema)


class Store:
    """The artifacts of one output folder.

    Args:
        root: the user's output folder; artifacts lie in `root/artifacts`.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.path = root / "artifacts"
        self.path.mkdir(parents=True, exist_ok=True)

    def find(self, request: Request) -> Artifact | None:
        """The finished artifact of this request, if there is one."""
        path = self.path / request.folder
        return Artifact(path) if (path / "manifest.json").exists() else None

    def draft(self, request: Request) -> Draft:
        """Begin or go on with an artifact."""
        draft = Draft(self.path / (request.folder + ".partial"), request)
        draft.path.mkdir(parents=True, exist_ok=True)
        return draft

    def make(self, request: Request, fill: Callable[[Draft], Mapping[str, Json]]) -> Artifact:
        """Find it, or let `fill` write its files; what `fill` returns is kept in the manifest as `about`."""
        found = self.find(request)
        if found is not None:
            return found
        start = time.monotonic()
        draft = self.draft(request)
        made = draft.finish(fill(draft))
        self.log(made.path.name, seconds=time.monotonic() - start)
        return made

    def log(self, name: str, **about: Json) -> None:
        """Remember what differs from run to run (seconds, machine) in run_log.json, which no hash covers."""
        with (self.path / ".log.lock").open("w") as handle:  # workers log too
            fcntl.flock(handle, fcntl.LOCK_EX)
            for torn in self.path.glob(".run_log.json.*.tmp"):  # of a killed process: who writes has the lock
                torn.unlink(missing_ok=True)
            entries = self.logged()
            entries[name] = {**entries.get(name, {}), **about}
            write_text(self.path / "run_log.json", json.dumps(entries, indent=1, sort_keys=True) + "\n")

    def logged(self) -> dict[str, dict[str, Json]]:
        """Artifact name -> what was logged of its making."""
        file = self.path / "run_log.json"
        return cast("dict[str, dict[str, Json]]", json.loads(file.read_text(encoding="utf-8"))) if file.exists() else {}

    def all(self) -> list[Artifact]:
        """Every finished artifact, by name."""
        return [Artifact(file.parent) for file in sorted(self.path.glob("*/manifest.json"))]

    @contextlib.contextmanager
    def lock(self) -> Generator[None, None, None]:
        """One writer a folder; the lock goes with the process, however it ends."""
        with (self.path / ".lock").open("w") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                mend = "Wait for it, stop it, or choose another --out."
                raise SeedbedError(str(self.root), "another seedbed run is writing here", mend) from error
            yield


@dataclasses.dataclass(frozen=True)
class Draft:
    """An artifact being made. Small and picklable: workers write their files through it."""

    path: Path
    request: Request

    def receipt(self, name: str) -> dict[str, Json] | None:
        """The receipt of a finished file whose bytes still verify, else None."""
        note = self.path / f".{name}.receipt"
        try:
            receipt = cast("dict[str, Json]", json.loads(note.read_text(encoding="utf-8")))
            return receipt if hash_file(self.path / name) == receipt["hash"] else None
        except (OSError, ValueError, KeyError):
            return None

    def write_table(self, name: str, rows: pa.Table, about: Mapping[str, Json] | None = None) -> dict[str, Json]:
        """Write a Parquet shard; `about` travels in its receipt."""

        def fill(file: Path) -> int:
            arrow.write_parquet(file, rows)
            return rows.num_rows

        return self.write(name, fill, about)

    def write_text(self, name: str, text: str) -> dict[str, Json]:
        """Write a small text file."""

        def fill(file: Path) -> int:
            file.write_text(text, encoding="utf-8")
            return 0

        return self.write(name, fill)

    def write(self, name: str, fill: Callable[[Path], int], about: Mapping[str, Json] | None = None) -> dict[str, Json]:
        """Write any file: aside, flushed, renamed, with a receipt. `fill` writes it and gives its number of rows.

        Raises SeedbedError when the disk is full.
        """
        aside = self.path / f".{name}.{os.getpid()}.tmp"
        try:
            rows = fill(aside)
            os.replace(aside, self.path / name)
        except OSError as error:
            aside.unlink(missing_ok=True)
            raise disk_error(self.path / name, error) from error
        return self.adopt(name, rows, about)

    def adopt(self, name: str, rows: int = 0, about: Mapping[str, Json] | None = None) -> dict[str, Json]:
        """Flush a file that lies in the draft and leave its receipt."""
        file = self.path / name
        try:
            with file.open("rb") as handle:
                os.fsync(handle.fileno())
            receipt: dict[str, Json] = {"name": name, "rows": rows, "hash": hash_file(file), "about": dict(about or {})}
            receipt["bytes"] = file.stat().st_size
            note = self.path / f".{name}.receipt"  # not flushed: one that is lost or torn only has the file made again
            write_text(note, json.dumps(receipt, sort_keys=True), flush=False)
        except OSError as error:
            raise disk_error(file, error) from error
        return receipt

    def finish(self, about: Mapping[str, Json]) -> Artifact:
        """Write the manifest over all receipts and give the folder its final name."""
        receipts = [
            cast("dict[str, Json]", json.loads(f.read_text(encoding="utf-8")))
            for f in sorted(self.path.glob(".*.receipt"))
        ]
        request = self.request
        manifest: dict[str, Json] = {
            "noun": request.noun,
            "format": FORMAT,
            "fingerprint": request.fingerprint,
            "identity": dict(request.identity),
            "parents": dict(request.parents),
            "rows": sum(cast(int, r["rows"]) for r in receipts if str(r["name"]).startswith("part-")),
            "bytes": sum(cast(int, r["bytes"]) for r in receipts),
            "files": [_lasting(receipt) for receipt in receipts],
            "about": dict(about),
        }
        final = self.path.with_name(request.folder)
        try:
            for stale in self.path.glob(".*"):
                stale.unlink()
            write_text(self.path / "manifest.json", json.dumps(manifest, indent=1) + "\n")
            shutil.rmtree(final, ignore_errors=True)
            os.replace(self.path, final)
        except OSError as error:
            raise disk_error(final, error) from error
        return Artifact(final)


def _lasting(receipt: Mapping[str, Json]) -> dict[str, Json]:
    """What the manifest keeps of a receipt: not the seconds, which differ from run to run."""
    about = cast("dict[str, Json]", receipt["about"])
    kept = {key: receipt[key] for key in ("name", "rows", "bytes", "hash")}
    return {**kept, "about": {key: value for key, value in about.items() if key != "seconds"}}


def write_text(file: Path, text: str, *, flush: bool = True) -> None:
    """Write a small file aside, flush, rename."""
    aside = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    with aside.open("w", encoding="utf-8") as handle:
        handle.write(text)
        if flush:
            handle.flush()
            os.fsync(handle.fileno())
    os.replace(aside, file)


def disk_error(file: Path, error: OSError) -> SeedbedError:
    """A failed write in plain words."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        mend = "Free space and run the same command: finished work is kept and the run goes on."
        return SeedbedError(str(file), "the disk is full", mend)
    return SeedbedError(str(file), f"could not be written ({error.strerror or error})", "Check the folder's rights.")
