"""Upkeep of an output folder: what lies there, and what may go."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

from seedbed.core import remote
from seedbed.core.artifact import Artifact, Store, write_text
from seedbed.core.errors import SeedbedError
from seedbed.core.parameters import Json
from seedbed.pipeline import workplace
from seedbed.pipeline.workplace import Workplace

REMEMBERING = "remembering"
"""The role of trained models that stay although what they were made from was forgotten."""


@dataclasses.dataclass(frozen=True)
class Lying:
    """Something in an output folder.

    Args:
        name: folder below `artifacts/`.
        noun, rows: of a finished artifact.
        bytes: on disk.
        seconds: that its making took, where that was logged.
        state: "in use" by the newest run, "finished" (made for an earlier one), or "unfinished".
    """

    name: str
    noun: str
    rows: int
    bytes: int
    seconds: float | None
    state: str


def status(out: str | Path) -> list[Lying]:
    """Every artifact in a folder, finished or not, by name; those unfinished last."""
    store = _store(out)
    used = {artifact.path for artifact in in_use(store)}
    logged = store.logged()
    found: list[Lying] = []
    for artifact in store.all():
        manifest, name = artifact.manifest, artifact.path.name
        spent = cast("float | None", logged.get(name, {}).get("seconds"))
        state = "in use" if artifact.path in used else "finished"
        rows, size = cast(int, manifest["rows"]), cast(int, manifest["bytes"])
        found.append(Lying(name, str(manifest["noun"]), rows, size, spent, state))
    return [*found, *(Lying(path.name, "", 0, size_of(path), None, "unfinished") for path in unfinished(store))]


def gc(out: str | Path, *, dry_run: bool = False) -> list[Lying]:
    """Remove what the newest run does not use and what was never finished. Gives what went, or would go."""
    if dry_run:
        return [each for each in status(out) if each.state != "in use"]
    _store(out)
    with Workplace.open(out) as place:
        going = [each for each in status(out) if each.state != "in use"]
        remove(place.store, [place.store.path / each.name for each in going])
    return going


def remove(store: Store, folders: Sequence[Path]) -> None:
    """Delete artifacts, and what was logged of their making."""
    for folder in folders:
        (folder / "manifest.json").unlink(missing_ok=True)  # first: half of an artifact must not be found
        shutil.rmtree(folder)
    names = {folder.name for folder in folders}
    logged = {name: entry for name, entry in store.logged().items() if name not in names}
    if (store.path / "run_log.json").exists():
        write_text(store.path / "run_log.json", json.dumps(logged, indent=1, sort_keys=True) + "\n")


def in_use(store: Store) -> list[Artifact]:
    """What the index names, and all that it was made from, as far as it is still there."""
    by_name = {artifact.path.name: artifact for artifact in store.all()}
    by_fingerprint = {artifact.fingerprint: artifact for artifact in by_name.values()}
    index = workplace.read_index(store.root, missing_is_empty=True)
    alone = [by_name[leaf] for leaf in _leaves(index.pop(REMEMBERING, None)) if leaf in by_name]
    waiting = [by_name[leaf] for leaf in _leaves(index) if leaf in by_name]
    found: dict[Path, Artifact] = {}
    while waiting:
        artifact = waiting.pop()
        if artifact.path not in found:
            found[artifact.path] = artifact
            parents = cast("dict[str, str]", artifact.manifest["parents"]).values()
            waiting += [by_fingerprint[parent] for parent in parents if parent in by_fingerprint]
    found |= {artifact.path: artifact for artifact in alone}
    return sorted(found.values(), key=lambda artifact: artifact.path.name)


def unfinished(store: Store) -> list[Path]:
    """Folders of artifacts that were begun and not finished."""
    return sorted(store.path.glob("*.partial"))


def size_of(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _leaves(tree: Json) -> Iterator[str]:
    if isinstance(tree, str):
        yield tree
    elif isinstance(tree, dict | list):
        for child in tree.values() if isinstance(tree, dict) else tree:
            yield from _leaves(child)


def _store(out: str | Path) -> Store:
    root = workplace.local(out)
    store = Store(root) if (root / "artifacts").is_dir() else None
    if store is None or not (store.all() or unfinished(store)):
        mend = "Name the folder given as --out."
        raise SeedbedError(remote.url_of(out), "this is not an output folder of Seedbed", mend)
    return store
