"""Finding one document among all: by id, by the beginning of its id, by URL, or by a token.

Only the columns that are searched are read, and then the row groups of what was found: never all text.
"""

from __future__ import annotations

import dataclasses
import re
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from seedbed.core import arrow
from seedbed.core.artifact import Artifact
from seedbed.core.errors import RecipeError, SeedbedError
from seedbed.curate.run import Curated
from seedbed.pipeline import workplace

N_NAMED = 5


@dataclasses.dataclass(frozen=True)
class Place:
    """Where the row of a document lies in every artifact that follows the order of reading.

    Args:
        shard: file name, `part-00003.parquet`.
        row: in that shard.
    """

    shard: str
    row: int

    def of(self, artifact: Artifact, stem: str = "part") -> Path:
        """The shard in an artifact."""
        return artifact.path / self.shard.replace("part", stem, 1)


@dataclasses.dataclass(frozen=True)
class TokenPlace:
    """Where the tokens of a document lie.

    Args:
        shard: file of token ids, `ids-00003.bin`.
        offset: tokens from the start of that file.
        n_tokens: with the end-of-text token.
    """

    shard: str
    offset: int
    n_tokens: int


def find_all(documents: Artifact, wanted: str, stem: str = "part", url: str = "url") -> list[Place]:
    """Every row with this id (in hex, or the beginning of it) or with this URL in its column `url`."""
    found: list[Place] = []
    for shard in documents.shards(stem):
        rows = arrow.read_parquet(shard, ["id", url])
        found += [Place(shard.name.replace(stem, "part", 1), row) for row in matches(rows, wanted, url)]
    return found


def find_one(documents: Artifact, wanted: str) -> Place | None:
    """The one document with this id or URL. Raises SeedbedError, naming some ids, where there are several."""
    found = find_all(documents, wanted)
    if len(found) > 1:
        named = ", ".join(id_at(documents, place).hex() for place in found[:N_NAMED])
        raise SeedbedError(wanted, f"{len(found)} documents have this id or URL", f"Give one id: {named}.")
    return found[0] if found else None


def matches(rows: pa.Table, wanted: str, url: str = "url") -> list[int]:
    """The rows whose id begins with `wanted` (hex), or whose URL it is."""
    hits = np.zeros(0, np.int64)
    if re.fullmatch(r"[0-9a-fA-F]{1,32}", wanted):
        hits = np.flatnonzero(begins(arrow.ids(rows), wanted))
    return (hits if len(hits) else np.flatnonzero(arrow.is_in(rows, url, [wanted]))).tolist()


def begins(id_N16: npt.NDArray[np.uint8], prefix: str) -> npt.NDArray[np.bool_]:
    """Which ids begin with these hex digits."""
    whole = np.frombuffer(bytes.fromhex(prefix[: len(prefix) // 2 * 2]), np.uint8)
    hit = (id_N16[:, : len(whole)] == whole).all(axis=1)
    return hit & (id_N16[:, len(whole)] >> 4 == int(prefix[-1], 16)) if len(prefix) % 2 else hit


def id_at(documents: Artifact, place: Place) -> bytes:
    """The id in a row."""
    return cast(bytes, arrow.read_row(place.of(documents), place.row, ["id"])["id"])


def place_of_row(documents: Artifact, row: int) -> Place:
    """The place of a row counted over all shards."""
    names, starts = _starts(documents)
    at = int(np.searchsorted(starts, row, side="right")) - 1
    return Place(names[at], row - int(starts[at]))


@lru_cache(maxsize=16)
def _starts(documents: Artifact) -> tuple[list[str], npt.NDArray[np.int64]]:
    """Names of the shards that have rows, and the first row of each, from the manifest: no shard is opened."""
    files = cast("list[dict[str, Any]]", documents.manifest["files"])
    parts = sorted((file["name"], file["rows"]) for file in files if file["name"].startswith("part-") and file["rows"])
    rows = np.array([n for _, n in parts], np.int64)
    return [name for name, _ in parts], np.cumsum(rows) - rows


def event_of(artifacts: list[Artifact], wanted: str) -> dict[str, Any] | None:
    """The first event (a record or document that a step dropped or failed on) with this id, or this URL."""
    for artifact in artifacts:
        for place in find_all(artifact, wanted, "events", "message"):
            return arrow.read_row(place.of(artifact, "events"), place.row)
    return None


def tokens_of(out: Path, key: bytes) -> TokenPlace | None:
    """Where a document was tokenised."""
    tokens = _tokens(out)
    for shard in tokens.shards() if tokens else ():
        hits = np.flatnonzero(_equal(arrow.ids(arrow.read_parquet(shard, ["id"])), key))
        if len(hits):
            row = arrow.read_row(shard, int(hits[0]), ["offset", "n_tokens"])
            return TokenPlace(ids_file(shard), row["offset"], row["n_tokens"])
    return None


def document_of_token(out: Path, token: str) -> tuple[bytes, TokenPlace, int]:
    """(document id, where its tokens lie, which of them it is) of `SHARD:OFFSET`. Raises where there is none."""
    shard, _, offset = token.rpartition(":")
    name = re.sub(r"^(?:ids|part)-|\.\w+$", "", shard)
    if not name or not offset.isdigit():
        raise RecipeError(token, "is no place of a token", "Write SHARD:OFFSET, such as 00003:81920.")
    tokens = _tokens(out)
    if tokens is None:
        raise SeedbedError(str(out), "nothing is tokenised here", "Run `seedbed tokenize` there first.")
    file = tokens.path / f"part-{name.zfill(5)}.parquet"
    if not file.exists():
        names = [ids_file(each) for each in tokens.shards()]
        raise SeedbedError(token, "there is no such shard", f"There are {names[0]} to {names[-1]}.")
    index = arrow.read_parquet(file, ["id", "offset", "n_tokens"])
    starts, lengths = arrow.numpy(index, "offset"), arrow.numpy(index, "n_tokens")
    total = int(lengths.sum())
    if int(offset) >= total:
        raise SeedbedError(token, f"{ids_file(file)} has only {total} tokens", "Offsets begin at 0.")
    row = int(np.searchsorted(starts, int(offset), side="right")) - 1
    place = TokenPlace(ids_file(file), int(starts[row]), int(lengths[row]))
    return arrow.ids(index)[row].tobytes(), place, int(offset) - place.offset


def ids_file(index_shard: Path) -> str:
    """The file of token ids that an index shard describes."""
    return index_shard.stem.replace("part", "ids", 1) + ".bin"


def copies_of(out: Path, key: bytes) -> dict[str, float]:
    """Weights folder -> how often the document is read an epoch, wherever it was weighed."""
    found: dict[str, float] = {}
    for manifest in sorted((out / "artifacts").glob("weights-*/manifest.json")):
        table = Artifact(manifest.parent).table(["id", "copies"])
        hits = np.flatnonzero(_equal(arrow.ids(table), key))
        if len(hits):
            found[manifest.parent.name] = float(arrow.numpy(table, "copies")[hits[0]])
    return found


def _equal(id_N16: npt.NDArray[np.uint8], key: bytes) -> npt.NDArray[np.bool_]:
    return (id_N16 == np.frombuffer(key, np.uint8)).all(axis=1)


def _tokens(out: Path) -> Artifact | None:
    folder = workplace.read_index(out).get("tokens")
    return Artifact(out / "artifacts" / str(folder)) if folder is not None else None


def text_seen_by(curated: Curated, method: str) -> Artifact:
    """The text version that a filter or deduper looked at."""
    seen = cast("dict[str, str]", curated.signals[method].manifest["parents"])["text"]
    versions = (curated.read, *curated.texts.values())
    return next((text for text in versions if text.fingerprint == seen), curated.final)
