"""Selections and mixtures for other programs: kept documents with how often each is read, shares of domains as JSON.

A selection is a folder: `documents/part-NNNNN.parquet`, a file for each shard of the kept documents and nothing else,
and beside it `selection.json`, which says what was chosen by what. Columns: id (32 hexadecimal digits), text, url,
source, language, copies (readings an epoch), n_tokens (tokens, with the end of text). What reads them as they are:

Parquet       pyarrow, pandas, DuckDB, Polars: `documents/*.parquet`.
datatrove     ParquetReader(".../documents"): its defaults are text_key "text" and id_key "id" (a string); the other
              columns become the document's metadata (pipeline/readers/parquet.py and base.py, `_default_adapter`). It
              reads every file of a folder, so nothing else lies there.
NeMo Curator  ParquetReader(file_paths=".../documents"): a DocumentBatch has `text`, and `id` and `url` where known.
DataFlex      reads datasets as LLaMA-Factory does: in dataset_info.json {"file_name": ".../documents", "columns":
              {"prompt": "text"}} for stage pt. Its static mixer (train/mixer/static_mixer.py, load_proportions) reads
              the key `proportions` of a JSON file, in the order of `domain_names`, which is the order of `dataset` and
              `init_mixture_proportions` in its YAML.

None of these repeats a document by a weight: `rows="repeated"` writes one row a reading instead, those of epoch 0 of a
training with the same seed. A killed export goes on where it stopped: shards are written into a hidden folder beside,
which gets its name when all are there. In memory are one row group of text and 32 bytes a document.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, TypedDict, cast, get_args

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from seedbed.core import arrow
from seedbed.core.artifact import Artifact, Draft, Request, disk_error, write_text
from seedbed.core.errors import RecipeError, SeedbedError, did_you_mean
from seedbed.core.parameters import Json
from seedbed.pipeline import workplace
from seedbed.recipe import POOL

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
Rows = Literal["all", "selected", "repeated"]

TEXT_COLUMNS = ("id", "text", "url", "source", "language")
UNITS = {"id": "32 hexadecimal digits", "copies": "readings an epoch, >= 0", "n_tokens": "tokens, end of text included"}
SELECTION = pa.schema(
    [
        arrow.field("id", pa.string(), unit=UNITS["id"]),
        *(arrow.field(name, pa.large_string()) for name in TEXT_COLUMNS[1:]),
        arrow.field("copies", pa.float64(), unit=UNITS["copies"]),
        arrow.field("n_tokens", pa.int64(), unit=UNITS["n_tokens"]),
    ]
)
"""A document and how often it is read; where repeats are rows, each row is read once."""

PIECE = 8192
"""Rows of a row group."""

SHOWN = 3
"""Artifacts that an error names."""


class How(TypedDict, total=False):
    """How choices are exported.

    weights: a Weights (for a mixture: Mixture) folder, or the method that made it; needed where there are several.
    rows: "all" kept documents, those "selected" (copies > 0), or "repeated": a row a reading.
    seed: of the coins that decide over fractions of a reading; that of the training.
    """

    weights: str
    rows: Rows
    seed: int


def export_selection(
    out: str | Path, goal: Path, *, weights: str = "", rows: Rows = "all", seed: int = 0
) -> dict[str, Any]:
    """Write a selection folder. Gives {"documents", "rows", "tokens", "files", "bytes"}; tokens are those of an epoch.

    Raises SeedbedError for weights of other documents, for those that choose none, and for a folder of other things.
    """
    if rows not in get_args(Rows):
        raise RecipeError("--rows", f"there is no choice {rows!r}", did_you_mean(rows, get_args(Rows)))
    _check_free(goal)
    kept, chosen = workplace.curated_at(out).kept, _chosen(out, weights, "Weights")
    told: dict[str, Json] = {"rows": rows, "seed": seed if rows == "repeated" else 0}
    parents = {"documents": kept.fingerprint, "weights": chosen.fingerprint}
    request = Request("Selection", rows, told, parents)
    aside = goal.with_name(f".{goal.name}-{request.fingerprint[:12]}.partial")
    draft = Draft(aside / "documents", request)
    table = chosen.table(["id", "copies", "n_tokens"])
    if not (table.num_rows == kept.rows and (arrow.numpy(table, "copies") > 0).any()):
        what = "choose no document" if table.num_rows == kept.rows else "are of other documents"
        raise SeedbedError(chosen.path.name, f"these weights {what}", "Select again on this folder.")
    try:
        draft.path.mkdir(parents=True, exist_ok=True)
        receipts = list(_write_shards(draft, kept, table, rows, seed))
        sums = {name: sum(cast(float, _about(receipt)[name]) for receipt in receipts) for name in ("tokens", "chosen")}
        counts = {name: sum(cast(int, receipt[name]) for receipt in receipts) for name in ("rows", "bytes")}
        about = {"documents": int(sums["chosen"]), "tokens": sums["tokens"], "parents": dict(parents)}
        story = {**told, **about, "weights": chosen.path.name, "n_rows": counts["rows"], "units": UNITS}
        write_text(aside / "selection.json", json.dumps(story, indent=1) + "\n")
        _publish(aside, goal)
    except OSError as error:
        raise disk_error(goal, error) from error
    return {"documents": about["documents"], **counts, "tokens": sums["tokens"], "files": len(receipts)}


def export_mixture(out: str | Path, goal: Path, *, weights: str = "") -> dict[str, Any]:
    """Write a mixture's shares of tokens: `domains` {name: share}, the same in order as `domain_names`, `proportions`.

    Raises SeedbedError for another name than FILE.json.
    """
    if goal.suffix != ".json":
        raise SeedbedError(str(goal), "is no file name for shares", "Name a file that ends in .json.")
    chosen = _chosen(out, weights, "Mixture")
    shares = cast("dict[str, float]", json.loads((chosen.path / "mixture.json").read_text(encoding="utf-8"))["domains"])
    told = {"domains": shares, "domain_names": list(shares), "proportions": list(shares.values())}
    try:
        goal.parent.mkdir(parents=True, exist_ok=True)
        write_text(goal, json.dumps({**told, "mixture": chosen.path.name}, indent=1, ensure_ascii=False) + "\n")
    except OSError as error:
        raise disk_error(goal, error) from error
    return {"domains": len(shares), "files": 1, "bytes": goal.stat().st_size}


def read_in_epoch(copies_N: FloatArray, id_N16: npt.NDArray[np.uint8], seed: int, epoch: int = 0) -> IntArray:
    """How often an epoch of a training with this seed reads each document of its source `pool`."""
    from seedbed.train.source import document_keys, repeats, stream_of

    return repeats(copies_N, document_keys(id_N16), stream_of(POOL, seed), epoch)


def _chosen(out: str | Path, named: str, noun: str) -> Artifact:
    """The artifact of that noun: a folder as `select` printed it, or what a method made here."""
    if "/" in named:
        found = Artifact(workplace.given(out, named))
        if not (found.path / "manifest.json").exists() or found.manifest["noun"] != noun:
            raise SeedbedError(named, f"is no {noun} folder", "Name the folder that `seedbed select` printed.")
        return found
    index = workplace.read_index(out)
    folder, begin = workplace.local(out) / "artifacts", f"{noun.lower()}-"
    asked_for = set(cast("list[str]", index.get("selected", [])))
    here = sorted(file.parent.name for file in folder.glob(f"{begin}*/manifest.json"))
    if named:
        here = [name for name in here if name == named or name.startswith(f"{begin}{named}-")]
    found_here = [name for name in here if name in asked_for] or here
    if len(found_here) == 1:
        return Artifact(folder / found_here[0])
    by = f" by {named}" if named else ""
    if not found_here:
        raise SeedbedError(str(out), f"there is no {noun} artifact{by} here", "Run `seedbed select` there first.")
    shown = ", ".join(found_here[:SHOWN]) + (", ..." if len(found_here) > SHOWN else "")
    raise SeedbedError(str(out), f"there are {len(found_here)} {noun} artifacts{by} here", f"Name one: {shown}.")


def _check_free(goal: Path) -> None:
    """A folder may be written over only where it holds a selection, or nothing."""
    if goal.is_file() or (goal.is_dir() and any(goal.iterdir()) and not (goal / "selection.json").is_file()):
        raise SeedbedError(str(goal), "holds something else than a selection", "Name a new folder.")


def _write_shards(draft: Draft, kept: Artifact, weights: pa.Table, rows: Rows, seed: int) -> Iterator[dict[str, Json]]:
    """A file for each shard, in the shards' order; those that are whole already are left as they are."""
    id_N16 = arrow.ids(weights)
    copies_N = arrow.numpy(weights, "copies").astype(np.float64)
    n_tokens_N = arrow.numpy(weights, "n_tokens").astype(np.int64)
    begin = 0
    for shard in kept.shards():
        mine = slice(begin, begin + arrow.n_rows(shard))
        begin = mine.stop
        found = draft.receipt(shard.name)
        if found is None:
            columns = _Columns(id_N16[mine], copies_N[mine], n_tokens_N[mine])
            about: dict[str, Json] = {
                "chosen": int((columns.copies_N > 0).sum()),
                "tokens": float(columns.readings(rows, seed) @ columns.n_tokens_N),
            }
            found = draft.write(shard.name, lambda file, s=shard, c=columns: _write(file, s, c, rows, seed), about)
        yield found


class _Columns:
    """What the weights say of the documents of a shard, or of a part of it."""

    def __init__(self, id_N16: npt.NDArray[np.uint8], copies_N: FloatArray, n_tokens_N: IntArray) -> None:
        self.id_N16, self.copies_N, self.n_tokens_N = id_N16, copies_N, n_tokens_N

    def part(self, begin: int, stop: int) -> _Columns:
        """Those of some rows."""
        return _Columns(self.id_N16[begin:stop], self.copies_N[begin:stop], self.n_tokens_N[begin:stop])

    def readings(self, rows: Rows, seed: int) -> FloatArray:
        """How often each is read: as many rows where repeats are rows, else the copies."""
        return (
            read_in_epoch(self.copies_N, self.id_N16, seed).astype(np.float64) if rows == "repeated" else self.copies_N
        )

    def rows(self, rows: Rows, seed: int) -> IntArray:
        """Which documents are written, in their order."""
        if rows == "all":
            return np.arange(len(self.copies_N))
        if rows == "selected":
            return np.flatnonzero(self.copies_N > 0)
        return np.repeat(np.arange(len(self.copies_N)), self.readings(rows, seed).astype(np.int64))


def _write(file: Path, shard: Path, columns: _Columns, rows: Rows, seed: int) -> int:
    begin = 0
    with arrow.ParquetStream(file, SELECTION) as out:
        for group in arrow.row_groups(shard, TEXT_COLUMNS):
            mine = columns.part(begin, begin + group.num_rows)
            begin += group.num_rows
            if "".join(key or "" for key in arrow.strings(group, "id")) != mine.id_N16.tobytes().hex():
                raise SeedbedError(shard.name, "these weights are of other documents", "Select again on this folder.")
            written = mine.rows(rows, seed)
            copies_N = np.ones(len(group)) if rows == "repeated" else mine.copies_N
            for at in range(0, len(written), PIECE):
                piece = written[at : at + PIECE]
                texts = arrow.take(group, piece)
                found = {name: texts.column(name) for name in TEXT_COLUMNS}
                out.add(
                    arrow.table({**found, "copies": copies_N[piece], "n_tokens": mine.n_tokens_N[piece]}, SELECTION)
                )
    return out.rows


def _about(receipt: dict[str, Json]) -> dict[str, Json]:
    return cast("dict[str, Json]", receipt["about"])


def _publish(aside: Path, goal: Path) -> None:
    """Give the finished folder its name; a former selection of that name is there until then."""
    for note in (aside / "documents").glob(".*"):
        note.unlink()
    former = aside.with_name(f"{aside.name}.former")
    if goal.exists():
        os.replace(goal, former)
    os.replace(aside, goal)
    shutil.rmtree(former, ignore_errors=True)
