"""Forget: remove documents and all that was derived from them from an output folder, with a certificate.

The list of what is forgotten stays in the folder, as hashes; every later run there drops these records as it reads.
What is asked comes by URL or by id. The folder is changed so that a kill at any moment leaves it to the same command
to finish: the list is written first, what is made anew is made beside the old, and the old goes last, children first.
"""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, cast

import numpy as np

from seedbed.core import arrow
from seedbed.core.artifact import Artifact, Store, write_text
from seedbed.core.errors import SeedbedError
from seedbed.core.fingerprint import hash_file
from seedbed.core.parameters import Json
from seedbed.curate.forgotten import Forgotten, url_key
from seedbed.curate.publish import publish
from seedbed.curate.run import Curated, curate_read
from seedbed.curate.strike import strike
from seedbed.pipeline import models, reporting, train_note, upkeep, workplace
from seedbed.pipeline.upkeep import REMEMBERING
from seedbed.pipeline.workplace import Workplace

REMEMBER = (
    "Trained models are not changed by forgetting: they still remember what they read, and so do copies of this folder "
    "elsewhere, exports, and the input files."
)
_ID = re.compile(r"[0-9a-fA-F]{32}")


@dataclasses.dataclass(frozen=True)
class Found:
    """A record that is to be forgotten.

    Args:
        id: of the document.
        file, offset: where it lies in the input.
        read: the artifact of read Documents that holds it.
        asked: the lines that asked for it.
    """

    id: bytes
    file: str
    offset: str
    read: Path
    asked: str


@dataclasses.dataclass(frozen=True)
class Certificate:
    """What forgetting did. URLs are named by their SHA-256 alone, so that the certificate remembers none.

    Args:
        file: where it lies, or would lie.
        told: its content.
    """

    file: Path
    told: dict[str, Json]


def asked_for(file: str | Path) -> tuple[str, ...]:
    """URLs and ids (32 hex digits), one a line; blank lines and lines that begin with # are skipped."""
    try:
        lines = Path(file).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        said = (error.strerror or str(error)) if isinstance(error, OSError) else "it is no UTF-8 text"
        mend = "Give a text file with a URL or id a line."
        raise SeedbedError(str(file), f"cannot be read ({said})", mend) from error
    asked = tuple(dict.fromkeys(line.strip() for line in lines if line.strip() and not line.strip().startswith("#")))
    if not asked:
        raise SeedbedError(str(file), "names nothing to forget", "Write a URL or an id a line.")
    return asked


def forget(out: str | Path, asked: Sequence[str], *, workers: int = 1, dry_run: bool = False) -> Certificate:
    """Forget documents. With `dry_run` nothing is changed and the certificate says what would go."""
    workplace.read_index(out)
    root = workplace.local(out)
    number = 1 + len(list((root / "certificates").glob("forget-*.json")))
    certificate = root / "certificates" / f"forget-{number:04d}.json"
    if dry_run:
        found = list(_find(Store(root), asked))
        return Certificate(certificate, _told(asked, found, Store(root)))
    with Workplace.open(out, workers) as place:
        found = list(_find(place.store, asked))
        told = _told(asked, found, place.store)
        if found:
            told |= _carry_out(place, found)
        certificate.parent.mkdir(exist_ok=True)
        write_text(certificate, json.dumps(told, indent=1) + "\n")
    return Certificate(certificate, told)


def _find(store: Store, asked: Sequence[str]) -> Iterator[Found]:
    """The records asked for, in whatever was read into this folder: pools, targets, held-out texts, earlier inputs."""
    ids = {key.lower(): key for key in asked if _ID.fullmatch(key)}
    urls = set(asked) - set(ids.values())
    keys = np.frombuffer(b"".join(map(bytes.fromhex, ids)), np.uint8).reshape(-1, 16)
    for read in _reads(store):
        for shard in read.shards():
            rows = arrow.read_parquet(shard, ["id", "url", "file", "offset"])
            for row in arrow.take(rows, _hits(rows, "url", urls, keys)).to_pylist():
                asked_as = row["url"] if row["url"] in urls else ids[row["id"].hex()]
                yield Found(row["id"], row["file"], str(row["offset"]), read.path, asked_as)
        for shard in read.shards("events"):
            rows = arrow.read_parquet(shard, ["id", "message", "locator", "reason"])
            for row in arrow.take(rows, _hits(rows, "message", urls, keys)).to_pylist():
                if row["reason"] != "forgotten":
                    file, _, offset = row["locator"].rpartition(":")
                    asked_as = row["message"] if row["message"] in urls else ids[row["id"].hex()]
                    yield Found(row["id"], file, offset, read.path, asked_as)


def _reads(store: Store) -> list[Artifact]:
    """Documents that were read from files, not made from other artifacts."""
    return [a for a in store.all() if a.manifest["noun"] == "Documents" and not a.manifest["parents"]]


def _hits(rows: Any, url: str, urls: set[str], keys: Any) -> Any:
    hit = arrow.is_in(rows, url, sorted(urls)) if urls else np.zeros(rows.num_rows, np.bool_)
    return np.flatnonzero(hit | arrow.ids_in(arrow.ids(rows), keys) if len(keys) else hit)


def _told(asked: Sequence[str], found: Sequence[Found], store: Store) -> dict[str, Json]:
    """What was asked, what of it was found, and what will still remember it."""
    hits = {line: len({f.id for f in found if f.asked == line}) for line in asked}
    documents = sorted({(f.id.hex(), f.file, f.offset) for f in found})
    return {
        "made_at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "seedbed": metadata.version("seedbed"),
        "asked": [{"sha256": hashlib.sha256(line.encode()).hexdigest(), "documents": n} for line, n in hits.items()],
        "documents": [{"id": key, "file": file, "offset": offset} for key, file, offset in documents],
        "same_text_elsewhere": list[Json](_same_elsewhere(store, {f.id for f in found})),
        "still_remember": {
            "models": list[Json](_runs(store) if found else []),
            "input_files": list[Json](sorted({f.file for f in found})),
            "note": REMEMBER,
        },
    }


def _same_elsewhere(store: Store, gone: set[bytes]) -> list[str]:
    """Ids of documents that were taken for duplicates of forgotten ones, were not asked for, and stay."""
    index = workplace.read_index(store.root)
    if "curate" not in index or not gone:
        return []
    rows = Curated.at(store.root, cast("dict[str, Json]", index["curate"])).decisions.table(["id", "duplicate_group"])
    ids, group_N = arrow.ids(rows), arrow.numpy(rows, "duplicate_group")
    mine = arrow.ids_in(ids, np.frombuffer(b"".join(sorted(gone)), np.uint8).reshape(-1, 16))
    groups = np.unique(group_N[mine & (group_N >= 0)])
    return [ids[row].tobytes().hex() for row in np.flatnonzero(np.isin(group_N, groups) & ~mine)]


def _carry_out(place: Workplace, found: Sequence[Found]) -> dict[str, Json]:
    """Write the list, make anew what is in use, remove the old; gives what became of what."""
    urls = frozenset(url_key(f.asked) for f in found if not _ID.fullmatch(f.asked))
    forgotten = Forgotten.of(place.out).joined(Forgotten(frozenset(f.id for f in found), urls))
    forgotten.write(place.out)
    old = {a.path.name: hash_file(a.path / "manifest.json") for a in place.store.all()}
    before = _ledger(place.out)
    _make_anew(place, forgotten)
    going = _to_remove(place.store, {f.read for f in found}, {f.id for f in found})
    upkeep.remove(place.store, [*going, *upkeep.unfinished(place.store)])
    left = {a.path.name: hash_file(a.path / "manifest.json") for a in place.store.all()}
    return {
        "removed": [{"artifact": path.name, "manifest_hash": old.get(path.name)} for path in going],
        "made_anew": [{"artifact": name, "manifest_hash": key} for name, key in left.items() if name not in old],
        "ledger": {"before": before, "after": _ledger(place.out)},
        "forgotten_list": {"ids": len(forgotten.ids), "urls": len(forgotten.urls), "hash": forgotten.fingerprint()},
    }


def _ledger(out: Path) -> Json:
    told = cast("dict[str, Json]", json.loads((out / "ledger.json").read_text(encoding="utf-8")))
    return {name: told[name] for name in ("read", "kept", "dropped", "errored")}


def _make_anew(place: Workplace, forgotten: Forgotten) -> None:
    """The curation in use without the forgotten documents, its tokens, and everything at the top of the folder."""
    from seedbed.pipeline import data

    recipe, curated = workplace.read_recipe(place.out), workplace.curated_at(place.out)
    identity = cast("dict[str, Json]", curated.decisions.manifest["identity"])
    read = strike(recipe.curate, curated, forgotten, place.store)
    ignored, published = cast("list[str]", identity["ignored"]), _published(place.out, curated.decisions)
    anew = curate_read(recipe.curate, read, ignored, place.store, place.engine, published)
    publish(anew, place.out)
    place.remember(curate=anew.folders())
    index = workplace.read_index(place.out)
    roles: dict[str, Json] = {"curate": anew.folders(), REMEMBERING: list[Json](_runs(place.store))}
    roles |= {"published": index["published"]} if "published" in index else {}
    if "tokens" in index and recipe.tokenizer is not None and anew.kept.rows:
        data.tokenize_into(place, recipe.tokenizer, anew.kept)
        roles |= {role: workplace.read_index(place.out)[role] for role in ("tokenizer", "tokens")}
    workplace.write_index(place.out, roles)
    reporting.report_into(place, recipe)


def _published(out: Path, decisions: Artifact) -> Artifact | None:
    """The decisions of the earlier run that these respect."""
    key = cast("dict[str, str]", decisions.manifest["parents"]).get("published")
    if key is None:
        return None
    earlier = workplace.curated_at(str(workplace.read_index(out)["published"])).decisions
    if earlier.fingerprint != key:
        mend = "Run `seedbed curate` with --published again, then forget."
        raise SeedbedError(str(out), "the earlier run whose documents stay has changed since", mend)
    return earlier


def _runs(store: Store) -> list[str]:
    """Trained models: artifacts, and the one that `seedbed train` left at the top."""
    here = [models.MODEL] if (store.root / train_note.NOTE).exists() else []
    return [*(a.path.name for a in store.all() if a.manifest["noun"] == "Run"), *here]


def _to_remove(store: Store, reads: set[Path], ids: set[bytes]) -> list[Path]:
    """What descends from a read that held the documents, and what names one of them, the last made first.

    Trained models stay, and what is in use now.
    """
    artifacts = {a.fingerprint: a for a in store.all()}
    parents = {key: set(cast("dict[str, str]", a.manifest["parents"]).values()) for key, a in artifacts.items()}
    depth = {key: 0 for key, a in artifacts.items() if a.path in reads or _names(a, ids)}
    waiting = list(depth)
    while waiting:
        parent = waiting.pop()
        for key in artifacts:
            if parent in parents[key] and depth.get(key, -1) <= depth[parent]:
                depth[key] = depth[parent] + 1
                waiting.append(key)
    used = {a.path for a in upkeep.in_use(store)} - reads
    order = sorted(depth, key=lambda key: (-depth[key], artifacts[key].path.name))
    return [a.path for a in map(artifacts.__getitem__, order) if a.path not in used and a.manifest["noun"] != "Run"]


def _names(artifact: Artifact, ids: set[bytes]) -> bool:
    """Whether a table of the artifact names one of the documents by id."""
    wanted = np.frombuffer(b"".join(sorted(ids)), np.uint8).reshape(-1, 16)
    files = artifact.path.glob("*.parquet")
    return any(arrow.ids_in(arrow.ids(rows), wanted).any() for rows in map(arrow.read_ids, files) if rows is not None)
