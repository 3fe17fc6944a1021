"""The work on one shard: read it, edit it, measure it, write what is kept. Pure functions of files to files.

A method that fails on a batch is asked again document by document, so that one poison document is quarantined alone.
"""

from __future__ import annotations

import dataclasses
import re
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from seedbed.core import arrow
from seedbed.core.artifact import Draft
from seedbed.core.memory import reuse_freed_memory
from seedbed.core.nouns import DOCUMENTS, EVENTS, SPANS, DocumentBatch, signals_schema
from seedbed.curate.contract import CurateStep, Deduper, Edit, Edited, Extractor, Filter, HashArray, Record
from seedbed.curate.samples import learned_by
from seedbed.engine.contract import Tick
from seedbed.engine.progress import announce

T = TypeVar("T")

BATCH_ROWS = 1024
BATCH_BYTES = 16 << 20
_WARM_UP = "A warm-up document.\nIt has two lines, and the words of a sentence."
_CODE = re.compile(r"[a-z]+(?:_[a-z]+)+(?=: )")


@dataclasses.dataclass(frozen=True)
class EditTask:
    """Write one Documents shard anew with edited text."""

    name: str
    shard: Path
    edit: Edit
    draft: Draft


@dataclasses.dataclass(frozen=True)
class MeasureTask:
    """Measure one Documents shard with several methods that look at the same text."""

    name: str
    shard: Path
    methods: tuple[Filter | Deduper, ...]
    drafts: tuple[Draft, ...]
    learned: Mapping[str, Path] = dataclasses.field(default_factory=dict[str, Path])


@dataclasses.dataclass(frozen=True)
class KeepTask:
    """Write the kept documents of one shard for the user."""

    name: str
    shard: Path
    decisions: Path | None
    languages: Path | None
    draft: Draft


def error_columns(error: Exception) -> dict[str, str]:
    """kind, reason, message and traceback of an exception; the traceback names files without folders.

    The reason is the code that a ValueError begins with (`too_large: ...`), else the exception's type.
    """
    frames = traceback.extract_tb(error.__traceback__)
    lines = [f"{Path(frame.filename).name}:{frame.lineno} in {frame.name}: {frame.line}" for frame in frames]
    text = "\n".join([*lines, f"{type(error).__name__}: {error}"])
    code = _CODE.match(str(error)) if type(error) is ValueError else None
    reason = code[0] if code else type(error).__name__
    return {"kind": "errored", "reason": reason, "message": str(error), "traceback": text}


def batches(shard: Path) -> Iterator[DocumentBatch]:
    """The row groups of a Documents shard."""
    reuse_freed_memory()
    return (DocumentBatch(rows) for rows in arrow.row_groups(shard))


def edit_shard(task: EditTask, tick: Tick) -> None:
    """EditTask -> the same rows with new text; a document the edit fails on keeps its row and is quarantined."""
    write_edited(task.name, task.draft, batches(task.shard), task.edit.edit, task.edit.path())
    tick(arrow.n_rows(task.shard))


def write_edited(
    name: str,
    draft: Draft,
    documents: Iterator[DocumentBatch],
    edit: Callable[[DocumentBatch], Edited],
    step: str,
) -> None:
    """What an edit makes of a shard given in batches -> `part-`, `spans-` and `events-`."""
    names = [f"{stem}-{name}.parquet" for stem in ("part", "spans", "events")]
    if all(draft.receipt(each) for each in names):
        return
    events: list[dict[str, Any]] = []
    spans: list[pa.Table] = []

    def fill(file: Path) -> int:
        with arrow.ParquetStream(file, DOCUMENTS) as out:
            for batch in documents:
                pieces = ask_each(batch, edit, Edited.of([""]), step, events)
                out.add(arrow.replace(batch.rows, "text", arrow.join([piece.texts for piece in pieces])))
                spans.append(_placed(pieces, out.rows - len(batch)))
            return out.rows

    draft.write(names[0], fill)
    draft.write_table(names[1], arrow.concat(spans, SPANS))
    draft.write_table(names[2], pa.Table.from_pylist(events, EVENTS))


def _placed(pieces: list[Edited], start: int) -> pa.Table:
    """The spans of a batch given in pieces, its first row being row `start` of the shard."""
    tables: list[pa.Table] = []
    for piece in pieces:
        rows = piece.told()
        tables.append(arrow.replace(rows, "row", pa.array(arrow.numpy(rows, "row") + start, pa.int64())))
        start += len(piece.texts)
    return arrow.concat(tables, SPANS)


def measure_shard(task: MeasureTask, tick: Tick) -> None:
    """MeasureTask -> one signals shard and one events shard a method, all from one reading of the text."""
    name, events_name = f"part-{task.name}.parquet", f"events-{task.name}.parquet"
    open_ = [
        (method, draft)
        for method, draft in zip(task.methods, task.drafts, strict=True)
        if not (draft.receipt(name) and draft.receipt(events_name))
    ]
    tables: list[list[pa.Table]] = [[] for _ in open_]
    events: list[list[dict[str, Any]]] = [[] for _ in open_]
    learned = {name: learned_by(made) for name, made in task.learned.items()}
    done = 0
    for batch in batches(task.shard) if open_ else ():
        for i, (method, _) in enumerate(open_):
            tables[i].append(_measure(batch, method, learned.get(method.name()), events[i]))
        tick(len(batch))
        done += len(batch)
    for i, (method, draft) in enumerate(open_):
        draft.write_table(name, arrow.concat(tables[i], schema_of(method)))
        draft.write_table(events_name, pa.Table.from_pylist(events[i], EVENTS))
    tick(arrow.n_rows(task.shard) - done)


def schema_of(method: Filter | Deduper) -> pa.Schema:
    """The columns a method measures."""
    return signals_schema(method.signature_signals() if isinstance(method, Deduper) else method.signals)


def _measure(
    batch: DocumentBatch, method: Filter | Deduper, learned: HashArray | None, events: list[dict[str, Any]]
) -> pa.Table:
    def ask(documents: DocumentBatch) -> pa.Table:
        if isinstance(method, Filter):
            return method.measure(documents)
        return method.signatures(documents) if learned is None else method.signatures_after(documents, learned)

    schema = schema_of(method)
    return arrow.concat(ask_each(batch, ask, arrow.blank(schema), method.path(), events), schema)


def ask_each(
    batch: DocumentBatch, ask: Callable[[DocumentBatch], T], blank: T, step: str, events: list[dict[str, Any]]
) -> list[T]:
    """What `ask` says of the batch; where it fails, of each document alone, with `blank` for the poison ones."""
    try:
        return [ask(batch)]
    except Exception:
        pieces: list[T] = []
        for row in range(len(batch)):
            try:
                pieces.append(ask(batch.one(row)))
            except Exception as error:
                pieces.append(blank)
                events.append(_event(batch, row, step, error))
        return pieces


def _event(batch: DocumentBatch, row: int, step: str, error: Exception) -> dict[str, Any]:
    about = {"id": batch.ids[row], "locator": batch.column("source")[row], "step": step}
    return {**about, **error_columns(error)}


def keep_shard(task: KeepTask, tick: Tick) -> None:
    """KeepTask -> `part-`: the kept rows, ids in hex, language as measured."""
    name = f"part-{task.name}.parquet"
    if not task.draft.receipt(name):
        kept = np.ones(arrow.n_rows(task.shard), np.bool_)
        if task.decisions:
            kept = arrow.numpy(arrow.read_parquet(task.decisions, ["kept"]), "kept").astype(np.bool_)
        languages = arrow.read_parquet(task.languages, ["language"]) if task.languages else None

        def fill(file: Path) -> int:
            start = 0
            with arrow.ParquetStream(file, KEPT) as out:
                for rows in arrow.row_groups(task.shard):
                    take: npt.NDArray[np.int64] = np.flatnonzero(kept[start : start + rows.num_rows]).astype(np.int64)
                    chosen = rows if len(take) == rows.num_rows else arrow.take(rows, take)
                    columns: dict[str, Any] = {c: chosen.column(c) for c in DOCUMENTS.names}
                    if languages is not None:
                        columns["language"] = arrow.take(languages, take + start).column("language")
                    out.add(arrow.table({**columns, "id": arrow.hex_column(arrow.ids(chosen))}, KEPT))
                    start += rows.num_rows
                return out.rows

        task.draft.write(name, fill)
    tick(arrow.n_rows(task.shard))


KEPT = arrow.schema_with(DOCUMENTS, "id", pa.string())
"""The user's documents: DOCUMENTS with the id in hex."""


def warm(methods: Sequence[CurateStep | Extractor]) -> None:
    """Ask each once, so that kernels are compiled and cached before workers start."""
    from seedbed.text.kernel import compiling

    batch = DocumentBatch.of([_WARM_UP, _WARM_UP])
    with compiling(announce_compiling):
        for method in methods:
            if isinstance(method, Extractor):
                method.extract(Record(0, f"<p>{_WARM_UP}</p>".encode(), "html"))
            elif isinstance(method, Deduper):
                method.groups(method.signatures(batch))
            elif isinstance(method, Edit):
                method.edit(batch)
            else:
                method.measure(batch)


@cache
def announce_compiling() -> None:
    """Say it, the first time in this process."""
    announce("Compiling kernels: a minute or so, once per installation.")
