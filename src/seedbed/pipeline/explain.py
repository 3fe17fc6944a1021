"""Answers about a finished run: the life of one document, what another threshold would do, what lies where."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from seedbed import recipe as recipes
from seedbed.core import arrow
from seedbed.core.artifact import Artifact, Store
from seedbed.core.errors import RecipeError, SeedbedError
from seedbed.core.parameters import Json
from seedbed.core.units import duration
from seedbed.curate.contract import Filter
from seedbed.curate.run import Curated, replay
from seedbed.pipeline import workplace
from seedbed.recipe import Recipe


@dataclasses.dataclass(frozen=True)
class Measured:
    """One number measured on a document, with the threshold it was held against (None: it decides nothing)."""

    step: str
    signal: str
    value: float | str
    rule: str = ""
    side: str = ""
    threshold: Json = None
    broken: bool = False


@dataclasses.dataclass(frozen=True)
class Life:
    """The life of one document.

    Args:
        id: in hex.
        source, url, language, text: as read.
        verdict: "kept", "dropped" or "errored".
        reason: the rule or error that decided.
        failures: every rule it breaks.
        measured: its numbers, in recipe order.
        survivor: id of the document kept in its place, for a dropped duplicate.
        duplicates: how many documents are in its group.
        tokens: (shard, offset, tokens) where it was tokenised.
        copies: weights it was given, by Weights folder.
        note: message and traceback of an error.
    """

    id: str
    source: str
    verdict: str
    reason: str
    url: str = ""
    language: str = ""
    text: str = ""
    failures: tuple[str, ...] = ()
    measured: tuple[Measured, ...] = ()
    survivor: str = ""
    duplicates: int = 0
    tokens: tuple[str, int, int] | None = None
    copies: Mapping[str, float] = dataclasses.field(default_factory=dict[str, float])
    note: str = ""


def why(out: str | Path, document: str) -> Life:
    """The life of a document, by its id in hex or a unique beginning of it, or by its URL."""
    curated, recipe = workplace.curated_at(out), workplace.read_recipe(out)
    event = _event(curated, document)
    place = _locate(curated.read, document)
    if place is None:
        if event is None:
            mend = "Give an id in hex (or its beginning), or a URL, of a document that was read."
            raise SeedbedError(document, f"no document in {out} has this id or URL", mend)
        return Life(
            id=event["id"].hex(),
            source=event["locator"],
            verdict=event["kind"],
            reason=event["reason"],
            url=event["message"] if event["kind"] == "dropped" else "",
            note="\n".join(part for part in (event["message"], event["traceback"]) if part),
        )
    shard, row = place
    return _life(Path(out), curated, recipe, shard, row, event)


def _life(out: Path, curated: Curated, recipe: Recipe, shard: str, row: int, event: dict[str, Any] | None) -> Life:
    document = arrow.read_parquet(curated.read.path / shard).slice(row, 1).to_pylist()[0]
    decisions = arrow.read_parquet(curated.decisions.path / shard).slice(row, 1).to_pylist()[0]
    measured = tuple(_measured(curated, recipe, shard, row))
    languages = [m.value for m in measured if m.signal == "language"]
    verdict = "kept" if decisions["kept"] else "errored" if event is not None else "dropped"
    survivor = decisions["survivor"].hex() if decisions["survivor"] else ""
    key = document["id"]
    group = decisions["duplicate_group"]
    members = 0
    if group >= 0:
        members = int((arrow.numpy(curated.decisions.table(["duplicate_group"]), "duplicate_group") == group).sum())
    return Life(
        id=key.hex(),
        source=document["source"],
        verdict=verdict,
        reason=event["reason"] if event else decisions["reason"],
        url=document["url"],
        language=str(languages[0]) if languages else document["language"],
        text=document["text"],
        failures=tuple(decisions["failures"]),
        measured=measured,
        survivor="" if survivor == key.hex() else survivor,
        duplicates=members,
        tokens=_token_place(out, key),
        copies=_copies(out, key),
        note=f"{event['message']}\n{event['traceback']}" if event else "",
    )


def _measured(curated: Curated, recipe: Recipe, shard: str, row: int) -> Iterator[Measured]:
    for step in recipe.curate.filters:
        values = arrow.read_parquet(curated.signals[step.name()].path / shard).slice(row, 1)
        broken = step.failures(values)
        ruled: set[str] = set()
        for rule in step.rules:
            value = values.column(rule.signal)[0].as_py()
            ruled.add(rule.signal)
            threshold = cast(Json, getattr(step, rule.name))
            is_broken = rule.name in broken and bool(broken[rule.name][0])
            yield Measured(step.name(), rule.signal, value, rule.name, rule.side, threshold, is_broken)
        for name in values.column_names:
            if name not in ruled:
                yield Measured(step.name(), name, values.column(name)[0].as_py())


def _locate(read: Artifact, document: str) -> tuple[str, int] | None:
    """(shard file, row) of a document by id prefix or URL."""
    matches: list[tuple[str, int]] = []
    for shard in read.shards():
        rows = arrow.read_parquet(shard, ["id", "url"])
        for row, (key, url) in enumerate(zip(rows.column("id").to_pylist(), arrow.strings(rows, "url"), strict=True)):
            if cast(bytes, key).hex().startswith(document.lower()) or url == document:
                matches.append((shard.name, row))
    if len(matches) > 1:
        raise SeedbedError(document, f"{len(matches)} documents begin like this", "Give more of the id.")
    return matches[0] if matches else None


def _event(curated: Curated, document: str) -> dict[str, Any] | None:
    for artifact in (curated.read, *curated.texts.values(), *curated.signals.values()):
        for row in artifact.table(stem="events").to_pylist():
            if row["id"].hex().startswith(document.lower()) or (row["message"] and row["message"] == document):
                return row
    return None


def _token_place(out: Path, key: bytes) -> tuple[str, int, int] | None:
    folder = workplace.read_index(out).get("tokens")
    if folder is None:
        return None
    tokens = Artifact(out / "artifacts" / str(folder))
    for shard in tokens.shards():
        for row in arrow.read_parquet(shard, ["id", "offset", "n_tokens"]).to_pylist():
            if row["id"] == key:
                return shard.stem.replace("part", "ids") + ".bin", row["offset"], row["n_tokens"]
    return None


def _copies(out: Path, key: bytes) -> dict[str, float]:
    found: dict[str, float] = {}
    for folder in sorted((out / "artifacts").glob("weights-*-[0-9a-f]*")):
        if (folder / "manifest.json").exists():
            table = Artifact(folder).table(["id", "copies"])
            keys = cast("list[bytes]", table.column("id").to_pylist())
            if key in keys:
                found[folder.name] = float(arrow.numpy(table, "copies")[keys.index(key)])
    return found


@dataclasses.dataclass(frozen=True)
class WhatIf:
    """What other thresholds would do, counted over stored numbers; no text was read.

    Args:
        before, after: {"kept": n, "dropped": {reason: n}}.
        gained, lost: ids (hex) of documents that would newly be kept, or no longer.
    """

    before: dict[str, Json]
    after: dict[str, Json]
    gained: tuple[str, ...]
    lost: tuple[str, ...]


def what_if(out: str | Path, settings: Mapping[str, Json]) -> WhatIf:
    """Replay thresholds. Raises RecipeError where a setting changes more, with the first step that would run again."""
    curated, recipe = workplace.curated_at(out), workplace.read_recipe(out)
    changed = recipes.change(recipe, settings)
    _refuse_what_must_run(out, curated, recipe, changed)
    before = replay(recipe.curate, curated.read, curated.texts, curated.signals)
    after = replay(changed.curate, curated.read, curated.texts, curated.signals)
    from seedbed.curate.run import document_ids

    ids = document_ids(curated.read)
    gained = tuple(row.tobytes().hex() for row in ids[after.kept_N & ~before.kept_N])
    lost = tuple(row.tobytes().hex() for row in ids[before.kept_N & ~after.kept_N])
    old: dict[str, Json] = {"kept": int(before.kept_N.sum()), "dropped": dict[str, Json](before.dropped())}
    new: dict[str, Json] = {"kept": int(after.kept_N.sum()), "dropped": dict[str, Json](after.dropped())}
    return WhatIf(old, new, gained, lost)


def _refuse_what_must_run(out: str | Path, curated: Curated, old: Recipe, new: Recipe) -> None:
    """A threshold replays; anything else names the first step that must run again and what that cost."""
    seconds = Store(Path(out)).logged()
    if (old.curate.readers, old.curate.extractor, old.curate.shard_bytes) != (
        new.curate.readers,
        new.curate.extractor,
        new.curate.shard_bytes,
    ):
        _refuse("read", curated.read, seconds)
    folders = {
        **curated.texts,
        **{step.path(): curated.signals[step.name()] for step in (*old.curate.filters, *old.curate.dedupers)},
    }
    for a, b in zip(old.curate.steps, new.curate.steps, strict=True):
        same = a.measuring() == b.measuring() if isinstance(a, Filter) and isinstance(b, Filter) else a == b
        if not same:
            _refuse(a.path(), folders[a.path()], seconds)


def _refuse(step: str, artifact: Artifact, logged: Mapping[str, Mapping[str, Json]]) -> None:
    spent = logged.get(artifact.path.name, {}).get("seconds")
    cost = f" (it took {duration(float(cast(float, spent)))})" if spent is not None else ""
    mend = f"Run it again with this setting: {step} is the first step that must run{cost}, and all that follow."
    raise RecipeError(step, "this setting changes what is measured, not a threshold, and cannot be replayed", mend)


def status(out: str | Path) -> list[dict[str, Json]]:
    """Every artifact in a folder, finished or not: name, noun, rows, bytes, seconds, and whether it is in use."""
    root = Path(out)
    if not (root / "artifacts").is_dir():
        raise SeedbedError(str(out), "this is not an output folder of Seedbed", "Name the folder given as --out.")
    used = str(workplace.read_index(root, missing_is_empty=True))
    logged = Store(root).logged()
    found: list[dict[str, Json]] = []
    for artifact in Store(root).all():
        manifest, name = artifact.manifest, artifact.path.name
        spent = logged.get(name, {}).get("seconds")
        about = {"name": name, "noun": manifest["noun"], "rows": manifest["rows"], "bytes": manifest["bytes"]}
        found.append({**about, "seconds": spent, "state": "in use" if name in used else "finished"})
    for partial in sorted((root / "artifacts").glob("*.partial")):
        size = sum(file.stat().st_size for file in partial.rglob("*") if file.is_file())
        found.append(
            {"name": partial.name, "noun": "", "rows": 0, "bytes": size, "seconds": None, "state": "unfinished"}
        )
    return found
