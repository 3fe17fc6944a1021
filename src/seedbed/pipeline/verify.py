"""Verify: every file against its manifest, and the ledger counted again from the documents themselves."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np

from seedbed.core import arrow
from seedbed.core.artifact import Artifact, Request, Store
from seedbed.core.errors import SeedbedError
from seedbed.core.fingerprint import FORMAT, hash_file
from seedbed.core.parameters import Json
from seedbed.curate import ledger
from seedbed.curate.account import flow_of, lost_in_reading
from seedbed.curate.run import Curated
from seedbed.pipeline import accounts, upkeep, workplace
from seedbed.recipe import Recipe


@dataclasses.dataclass(frozen=True)
class Verified:
    """What was checked, and what is wrong.

    Args:
        artifacts, files, bytes: how much was checked.
        problems: sentences; none where all is well.
    """

    artifacts: int
    files: int
    bytes: int
    problems: tuple[str, ...]


def verify(out: str | Path, *, dry_run: bool = False) -> Verified:
    """Check a folder. With `dry_run` nothing is read, and what would be checked is counted."""
    upkeep.status(out)
    store = Store(workplace.local(out))
    artifacts = store.all()
    files = [file for artifact in artifacts for file in cast("list[dict[str, Any]]", artifact.manifest["files"])]
    problems: list[str] = []
    if not dry_run:
        problems += [problem for artifact in artifacts for problem in _damage(artifact)]
        problems += list(_missing_parents(store))
        if not problems and "curate" in workplace.read_index(out, missing_is_empty=True):
            problems += _accounts(store.root)
    return Verified(len(artifacts), len(files), sum(int(file["bytes"]) for file in files), tuple(problems))


def _damage(artifact: Artifact) -> Iterator[str]:
    """What of an artifact is not as its manifest says."""
    name, manifest = artifact.path.name, artifact.manifest
    identity, parents = cast("dict[str, Json]", manifest["identity"]), cast("dict[str, str]", manifest["parents"])
    if Request(str(manifest["noun"]), "", identity, parents).fingerprint != manifest["fingerprint"]:
        same = manifest["format"] == FORMAT
        yield f"{name}: {'the manifest was changed' if same else 'made by another version of Seedbed'}"
    told = {str(file["name"]): file for file in cast("list[dict[str, Any]]", manifest["files"])}
    here = {file.name for file in artifact.path.iterdir()} - {"manifest.json"}
    for missing in sorted(told.keys() - here):
        yield f"{name}: {missing} is missing"
    for stranger in sorted(here - told.keys()):
        yield f"{name}: {stranger} is not in the manifest"
    for file in sorted(here & told.keys()):
        if hash_file(artifact.path / file) != told[file]["hash"]:
            yield f"{name}: {file} is damaged: its content is not what was written"


def _missing_parents(store: Store) -> Iterator[str]:
    known = {artifact.fingerprint for artifact in store.all()}
    for artifact in upkeep.in_use(store):
        if artifact.manifest["noun"] == "Run":
            continue  # what a model was made from may have been forgotten
        for role, key in cast("dict[str, str]", artifact.manifest["parents"]).items():
            if key not in known:
                yield f"{artifact.path.name}: what it was made from as {role!r} is not here"


def _accounts(out: Path) -> list[str]:
    """The ledger, recounted from texts and decisions, against what is stored and published."""
    curated, recipe = workplace.curated_at(out), workplace.read_curation(out)
    try:
        table = recounted(curated, recipe)
        tokens = accounts.tokens_of_kept(out, curated)
        stored = curated.decisions.table(stem=ledger.STEM)
        problems = [] if stored.equals(table) else ["the stored ledger is not what the documents add up to"]
        if tokens is not None:
            table = ledger.with_tokens(table, accounts.counted_tokens(tokens))
            problems += _token_order(curated.kept, tokens)
    except SeedbedError as error:
        return [str(error)]
    told = json.loads((out / "ledger.json").read_text(encoding="utf-8"))
    if told != {**curated.ledger, "steps": ledger.by_step(table)}:
        problems.append("ledger.json is not what the documents add up to")
    return [*problems, *_published(out, curated.kept)]


def recounted(curated: Curated, recipe: Recipe) -> Any:
    """The ledger from the texts themselves and the stored decisions. Raises SeedbedError where it does not balance."""
    rows = curated.decisions.table(["id", "kept", "reason"])
    dropped = [f"{step.name()}.{rule.name}" for step in recipe.curate.filters for rule in step.rules]
    dropped += [f"{step.name()}.duplicate" for step in recipe.curate.dedupers]
    place = {name: i for i, name in enumerate(dropped)}
    reason_N = np.array([place.get(reason or "", -1) for reason in arrow.strings(rows, "reason")], np.int64)
    flow = flow_of(recipe.curate, curated, dropped, reason_N, arrow.ids(rows))
    lost = lost_in_reading(curated.read)
    versions = [curated.read, *curated.texts.values()]
    tables: list[Any] = []
    for shard, start, stop in curated.bounds():
        n_bytes = [_lengths(version.path / shard) for version in versions]
        name = Path(shard).stem.removeprefix("part-")
        tables.append(ledger.account(flow, name, slice(start, stop), lost.get(name, Counter()), n_bytes))
        kept = _lengths(curated.kept.path / shard)
        here = arrow.numpy(rows, "kept")[start:stop].astype(np.bool_)
        if not np.array_equal(kept, n_bytes[-1][here]):
            raise SeedbedError(f"{curated.kept.path.name}/{shard}", "holds other documents than were kept")
    table = arrow.concat(tables, ledger.LEDGER)
    ledger.check(table)
    return table


def _lengths(shard: Path) -> Any:
    """Bytes of every text of a shard; one row group is in memory."""
    lengths = [np.diff(arrow.text_buffers(rows, "text")[1]) for rows in arrow.row_groups(shard, ["text"])]
    return np.concatenate(lengths) if lengths else np.zeros(0, np.int64)


def _token_order(kept: Artifact, tokens: Artifact) -> Iterator[str]:
    for shard in kept.shards():
        ids = [bytes.fromhex(key or "") for key in arrow.strings(arrow.read_parquet(shard, ["id"]), "id")]
        if ids != arrow.read_parquet(tokens.path / shard.name, ["id"]).column("id").to_pylist():
            yield f"{tokens.path.name}: {shard.name} does not hold the documents that were kept, in their order"


def _published(out: Path, kept: Artifact) -> Iterator[str]:
    hashes = {str(f["name"]): f["hash"] for f in cast("list[dict[str, Any]]", kept.manifest["files"])}
    here = {file.name: hash_file(file) for file in (out / "documents").glob("*.parquet")}
    if here != hashes:
        yield "documents/ does not hold the documents that were kept"
