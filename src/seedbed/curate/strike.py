"""Strike: finished artifacts made anew without some documents; shards that held none of them are taken over.

What comes out is what reading with the list of forgotten records would have given, and is found by the same
fingerprints; so a run that follows makes only what cannot be struck row by row.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from seedbed.core import arrow
from seedbed.core.artifact import Artifact, Draft, Request, Store
from seedbed.core.nouns import EVENTS, DocumentBatch
from seedbed.core.parameters import Json
from seedbed.curate.contract import Edit, PassageDeduper
from seedbed.curate.forgotten import Forgotten, forgotten_event
from seedbed.curate.plan import CuratePlan
from seedbed.curate.replay import Measured

Rows = Mapping[str, npt.NDArray[np.bool_]]
"""Shard name (`00003`) -> which of its documents stay; shards that lose none are left out."""


def strike(plan: CuratePlan, measured: Measured, forgotten: Forgotten, store: Store) -> Artifact:
    """The Documents as read without what is forgotten, and in the store all that can be struck row by row."""
    stays = staying(measured.read, forgotten)
    identity = {**cast("dict[str, Json]", measured.read.manifest["identity"]), "forgotten": forgotten.fingerprint()}
    read = _struck(measured.read, identity, {}, stays, store, forgotten)
    now = {measured.read.fingerprint: read.fingerprint}
    _strike_signals(measured, now, stays, store, forgotten)
    for step in plan.steps:
        if isinstance(step, PassageDeduper):
            break  # what it cuts depends on the whole corpus: it runs again, and so does all that follows
        if isinstance(step, Edit):
            before = measured.texts[step.path()]
            after = _struck(before, *_origin(before, now), stays, store, forgotten)
            now[before.fingerprint] = after.fingerprint
            _strike_signals(measured, now, stays, store, forgotten)
    return read


def staying(read: Artifact, forgotten: Forgotten) -> Rows:
    """Which documents stay, of the shards that lose a document or an event."""
    found: dict[str, npt.NDArray[np.bool_]] = {}
    for shard in read.shards():
        rows = arrow.read_parquet(shard, ["id", "url"])
        stays = ~_held(rows, "url", forgotten)
        told = arrow.read_parquet(shard.with_name(shard.name.replace("part", "events", 1)), ["id", "message"])
        if not stays.all() or _held(told, "message", forgotten).any():
            found[shard.stem.removeprefix("part-")] = stays
    return found


def _held(rows: pa.Table, url: str, forgotten: Forgotten) -> npt.NDArray[np.bool_]:
    pairs = zip(DocumentBatch(rows).ids, arrow.strings(rows, url), strict=True)
    return np.array([forgotten.holds(key, text or "") for key, text in pairs], np.bool_)


def _origin(artifact: Artifact, now: Mapping[str, str]) -> tuple[dict[str, Json], dict[str, str]]:
    """(identity, parents) with the parents of now."""
    manifest = artifact.manifest
    parents = cast("dict[str, str]", manifest["parents"])
    return cast("dict[str, Json]", manifest["identity"]), {role: now.get(key, key) for role, key in parents.items()}


def _strike_signals(
    measured: Measured, now: Mapping[str, str], stays: Rows, store: Store, forgotten: Forgotten
) -> None:
    """The signals on text versions that are struck already."""
    for signals in (*measured.signals.values(), *measured.sizes.values()):
        identity, parents = _origin(signals, {})
        if parents["text"] in now:
            _struck(signals, identity, {"text": now[parents["text"]]}, stays, store, forgotten)


def _struck(
    artifact: Artifact,
    identity: Mapping[str, Json],
    parents: Mapping[str, str],
    stays: Rows,
    store: Store,
    forgotten: Forgotten,
) -> Artifact:
    """One artifact without the rows that go."""
    manifest = artifact.manifest
    label = artifact.path.name.removeprefix(f"{str(manifest['noun']).lower()}-").rpartition("-")[0]
    request = Request(str(manifest["noun"]), label, identity, parents)

    def fill(draft: Draft) -> Mapping[str, Json]:
        for file in cast("list[dict[str, Any]]", manifest["files"]):
            name = str(file["name"])
            stem, _, shard = name.removesuffix(".parquet").partition("-")
            if shard in stays:
                groups = _left(artifact, stem, shard, stays[shard], forgotten)
                _write(draft, name, groups, file["about"])
            else:
                take_over(draft, artifact.path / name, int(file["rows"]), file["about"])
        return artifact.about

    return store.make(request, fill)


def _left(
    artifact: Artifact, stem: str, shard: str, stays: npt.NDArray[np.bool_], forgotten: Forgotten
) -> Sequence[pa.Table]:
    """The row groups of one file, less what goes."""
    file = artifact.path / f"{stem}-{shard}.parquet"
    if stem == "part":
        start, groups = 0, list[pa.Table]()
        for rows in arrow.row_groups(file):
            groups.append(arrow.take(rows, np.flatnonzero(stays[start : start + rows.num_rows])))
            start += rows.num_rows
        return groups or [arrow.read_parquet(file)]
    rows = arrow.read_parquet(file)
    if stem == "spans":
        at = arrow.numpy(rows, "row")
        left = arrow.take(rows, np.flatnonzero(stays[at]))
        places = (np.cumsum(stays) - 1)[at[stays[at]]]
        return [arrow.replace(left, "row", arrow.column(places.tolist(), pa.int64()))]
    assert stem == "events", f"no rule says how to strike {file.name}"
    gone = _held(rows, "message", forgotten)
    left = arrow.take(rows, np.flatnonzero(~gone))
    if artifact.manifest["parents"]:
        return [left]
    return [arrow.concat([left, _dropped(file, arrow.take(rows, np.flatnonzero(gone)), stays)], EVENTS)]


def _dropped(events: Path, gone: pa.Table, stays: npt.NDArray[np.bool_]) -> pa.Table:
    """What reading says of forgotten records: where they lie, and no more."""
    part = arrow.read_parquet(events.with_name(events.name.replace("events", "part", 1)), ["id", "file", "offset"])
    rows = arrow.take(part, np.flatnonzero(~stays)).to_pylist()
    told = [(row["id"], f"{row['file']}:{row['offset']}") for row in rows]
    told += [(row["id"], row["locator"]) for row in gone.to_pylist()]
    return pa.Table.from_pylist([forgotten_event(*pair) for pair in sorted(told)], EVENTS)


def _write(draft: Draft, name: str, groups: Sequence[pa.Table], about: Mapping[str, Json]) -> None:
    def fill(aside: Path) -> int:
        with arrow.ParquetStream(aside, groups[0].schema) as out:
            for rows in groups:
                out.add(rows)
            return out.rows

    draft.write(name, fill, about)


def take_over(draft: Draft, file: Path, rows: int, about: Mapping[str, Json]) -> None:
    """A file of another artifact as it is: linked where the file system allows, else copied."""
    target = draft.path / file.name
    target.unlink(missing_ok=True)
    try:
        os.link(file, target)
    except OSError:
        shutil.copyfile(file, target)
    draft.adopt(file.name, rows, about)
