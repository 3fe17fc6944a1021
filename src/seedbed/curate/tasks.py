"""The work on one shard: read it, edit it, measure it, write what is kept. Pure functions of files to files.

A method that fails on a batch is asked again document by document, so that one poison document is quarantined alone.
"""

from __future__ import annotations

import dataclasses
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from seedbed.core import arrow
from seedbed.core.artifact import Draft
from seedbed.core.fingerprint import hash_bytes
from seedbed.core.nouns import DOCUMENTS, EVENTS, SPANS, DocumentBatch, signals_schema
from seedbed.core.parameters import Json
from seedbed.curate.contract import Deduper, Edit, Edited, Extractor, Filter, Record
from seedbed.curate.sources import Source
from seedbed.engine.contract import Tick

T = TypeVar("T")

BATCH_ROWS = 1024
BATCH_BYTES = 16 << 20


@dataclasses.dataclass(frozen=True)
class ReadTask:
    """Read the records of some files into one Documents shard."""

    name: str
    sources: tuple[Source, ...]
    extractor: Extractor
    draft: Draft


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


@dataclasses.dataclass(frozen=True)
class KeepTask:
    """Write the kept documents of one shard for the user."""

    name: str
    shard: Path
    decisions: Path | None
    languages: Path | None
    draft: Draft


def read_shard(task: ReadTask, tick: Tick) -> None:
    """ReadTask -> `part-` (Documents) and `events-`; its receipt counts records by file."""
    if task.draft.receipt(f"part-{task.name}.parquet") and task.draft.receipt(f"events-{task.name}.parquet"):
        tick(sum(source.size for source in task.sources))
        return
    events: list[dict[str, Any]] = []
    counts: dict[str, Json] = {"read": 0}

    def fill(file: Path) -> int:
        events.clear()
        counts["read"] = 0
        with arrow.ParquetStream(file, DOCUMENTS) as out:
            rows: list[dict[str, Any]] = []
            size = 0
            for row in _records(task, events, counts, tick):
                rows.append(row)
                size += len(row["text"])
                if len(rows) >= BATCH_ROWS or size >= BATCH_BYTES:
                    out.add(pa.Table.from_pylist(rows, DOCUMENTS))
                    rows, size = [], 0
            out.add(pa.Table.from_pylist(rows, DOCUMENTS))
            return out.rows

    task.draft.write(f"part-{task.name}.parquet", fill, counts)
    task.draft.write_table(f"events-{task.name}.parquet", pa.Table.from_pylist(events, EVENTS))


def _records(
    task: ReadTask, events: list[dict[str, Any]], counts: dict[str, Json], tick: Tick
) -> Iterator[dict[str, Any]]:
    read = 0
    for source in task.sources:
        seen: set[bytes] = set()
        for record in source.reader.records(source.path):
            read += 1
            counts["read"] = read
            key = hash_bytes(source.relative.encode(), record.offset.to_bytes(8, "little"), record.content)
            while key in seen:  # the same bytes at the same offset: a reader's ordinal would be lost otherwise
                key = hash_bytes(key)
            seen.add(key)
            row = _document(record, key, source, task.extractor, events)
            if row is not None:
                yield row
        tick(source.size)


def _document(
    record: Record, key: bytes, source: Source, extractor: Extractor, events: list[dict[str, Any]]
) -> dict[str, Any] | None:
    event: dict[str, Any] = {"id": key, "locator": f"{source.relative}:{record.offset}", "step": source.reader.path()}
    event.update(message=record.url, traceback="")
    if record.kind == "drop":
        events.append({**event, "kind": "dropped", "reason": record.reason})
        return None
    if record.kind == "error":
        kind, message = record.error or ("unreadable", "")
        events.append({**event, "kind": "errored", "reason": kind, "message": message})
        return None
    text = record.text
    if record.kind == "html":
        try:
            text = extractor.extract(record)
        except Exception as error:
            events.append({**event, "step": extractor.path(), **error_columns(error)})
            return None
    text = text.encode("utf-8", "replace").decode()  # lone surrogates cannot be stored
    given = {"url": record.url, "source": record.source or source.relative, "language": record.language}
    given |= {"date": record.date, "file": source.relative, "metadata": record.metadata}
    told = {name: value.encode("utf-8", "replace").decode() for name, value in given.items()}
    return {"id": key, "text": text, "offset": record.offset, **told}


def error_columns(error: Exception) -> dict[str, str]:
    """kind, reason, message and traceback of an exception; the traceback names files without folders."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [f"{Path(frame.filename).name}:{frame.lineno} in {frame.name}: {frame.line}" for frame in frames]
    text = "\n".join([*lines, f"{type(error).__name__}: {error}"])
    return {"kind": "errored", "reason": type(error).__name__, "message": str(error), "traceback": text}


def batches(shard: Path) -> Iterator[DocumentBatch]:
    """The row groups of a Documents shard."""
    return (DocumentBatch(rows) for rows in arrow.row_groups(shard))


def edit_shard(task: EditTask, tick: Tick) -> None:
    """EditTask -> the same rows with new text; a document the edit fails on keeps its row and is quarantined."""
    names = [f"{stem}-{task.name}.parquet" for stem in ("part", "spans", "events")]
    if not all(task.draft.receipt(name) for name in names):
        events: list[dict[str, Any]] = []
        spans: list[pa.Table] = []

        def fill(file: Path) -> int:
            events.clear()
            spans.clear()
            with arrow.ParquetStream(file, DOCUMENTS) as out:
                for batch in batches(task.shard):
                    pieces = _pieces(batch, task.edit.edit, Edited.of([""]), task.edit.path(), events)
                    out.add(arrow.replace(batch.rows, "text", arrow.join([piece.texts for piece in pieces])))
                    spans.append(_placed(pieces, out.rows - len(batch)))
                return out.rows

        task.draft.write(names[0], fill)
        task.draft.write_table(names[1], arrow.concat(spans, SPANS))
        task.draft.write_table(names[2], pa.Table.from_pylist(events, EVENTS))
    tick(arrow.n_rows(task.shard))


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
    done = 0
    for batch in batches(task.shard) if open_ else ():
        for i, (method, _) in enumerate(open_):
            tables[i].append(_measure(batch, method, events[i]))
        tick(len(batch))
        done += len(batch)
    for i, (method, draft) in enumerate(open_):
        draft.write_table(name, arrow.concat(tables[i], schema_of(method)))
        draft.write_table(events_name, pa.Table.from_pylist(events[i], EVENTS))
    tick(arrow.n_rows(task.shard) - done)


def schema_of(method: Filter | Deduper) -> pa.Schema:
    """The columns a method measures."""
    return signals_schema(method.signature_signals() if isinstance(method, Deduper) else method.signals)


def _measure(batch: DocumentBatch, method: Filter | Deduper, events: list[dict[str, Any]]) -> pa.Table:
    measure = method.signatures if isinstance(method, Deduper) else method.measure
    schema = schema_of(method)
    blank = arrow.blank(schema)
    return arrow.concat(_pieces(batch, measure, blank, method.path(), events), schema)


def _pieces(
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
        languages = arrow.strings(arrow.read_parquet(task.languages), "language") if task.languages else None

        def fill(file: Path) -> int:
            start = 0
            with arrow.ParquetStream(file, KEPT) as out:
                for rows in arrow.row_groups(task.shard):
                    take: npt.NDArray[np.int64] = np.flatnonzero(kept[start : start + rows.num_rows]).astype(np.int64)
                    chosen = arrow.take(rows, take)
                    columns: dict[str, Any] = {c: chosen.column(c) for c in DOCUMENTS.names}
                    hexed = pa.array([key.hex() for key in DocumentBatch(chosen).ids], pa.string())
                    if languages is not None:
                        found = [languages[start + int(i)] for i in take]
                        columns["language"] = arrow.column(found, pa.large_string())
                    out.add(arrow.table({**columns, "id": hexed}, KEPT))
                    start += rows.num_rows
                return out.rows

        task.draft.write(name, fill)
    tick(arrow.n_rows(task.shard))


KEPT = arrow.schema_with(DOCUMENTS, "id", pa.string())
"""The user's documents: DOCUMENTS with the id in hex."""


def warm(method: Filter | Deduper) -> None:
    """Ask once, so that kernels are compiled and cached before workers start."""
    batch = DocumentBatch.of(["A warm-up document.\nIt has two lines, and the words of a sentence."])
    if isinstance(method, Deduper):
        method.groups(method.signatures(batch))
    else:
        method.measure(batch)
