"""Reading: the records of some files into one Documents shard, in a watched process; every record is accounted for.

A record becomes a document, or an event that says why not. What an earlier reading left of the same files is taken
over; what a clock decided is noted beside the shard, so that an interrupted run decides it the same way again.
"""

from __future__ import annotations

import atexit
import dataclasses
import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import pyarrow as pa

from seedbed.core import arrow
from seedbed.core.artifact import Artifact, Draft, Request, Store, write_text
from seedbed.core.errors import SeedbedError
from seedbed.core.fingerprint import hash_bytes, library_versions
from seedbed.core.nouns import DOCUMENTS, EVENTS
from seedbed.core.parameters import Json
from seedbed.curate.contract import Extractor, Record
from seedbed.curate.earlier import Shard, events_of, find_earlier, is_intact, rows_of, take_over
from seedbed.curate.forgotten import NOTHING, REASON, Forgotten, forgotten_event
from seedbed.curate.plan import CuratePlan
from seedbed.curate.sources import Source, cut
from seedbed.curate.tasks import BATCH_BYTES, BATCH_ROWS, error_columns
from seedbed.curate.watch import DIED, Child, Ended, Limits, Pulse
from seedbed.engine.contract import Engine, Tick

Verdicts = Mapping[tuple[int, int], tuple[str, str]]
"""What a clock decided: (source of the task, step in it as `_steps` counts) -> (reason, message)."""


@dataclasses.dataclass(frozen=True)
class Part:
    """One of `of` equal parts of the work, counted from 1: what one job of an array does."""

    number: int
    of: int

    def __post_init__(self) -> None:
        """Raises SeedbedError where there is no such part."""
        if not 1 <= self.number <= self.of:
            raise SeedbedError("shard", f"there is no part {self.number} of {self.of}", "Parts count from 1: 3/16.")


@dataclasses.dataclass(frozen=True)
class ReadTask:
    """Read the records of some files into one Documents shard.

    Args:
        whole: an earlier shard of just these files.
        known: by source key, the earlier shard that holds the documents of a file.
    """

    name: str
    sources: tuple[Source, ...]
    extractor: Extractor
    draft: Draft
    limits: Limits
    forgotten: Forgotten = NOTHING
    whole: Shard | None = None
    known: Mapping[str, Shard] = dataclasses.field(default_factory=dict[str, Shard])


def read_sources(
    plan: CuratePlan, sources: Sequence[Source], store: Store, engine: Engine, forgotten: Forgotten = NOTHING
) -> Artifact:
    """Documents as extracted."""
    request = _request(plan, sources, forgotten)

    def fill(draft: Draft) -> dict[str, Json]:
        work = _read(_tasks(plan, sources, store, draft, forgotten), engine)
        receipts = [draft.receipt(f"part-{task.name}.parquet") or {} for task in work]
        return {"read": sum(cast("dict[str, int]", receipt["about"])["read"] for receipt in receipts)}

    return store.make(request, fill)


def read_part(
    plan: CuratePlan,
    sources: Sequence[Source],
    store: Store,
    engine: Engine,
    part: Part,
    forgotten: Forgotten = NOTHING,
) -> int:
    """Read only some of the shards, and give their number. `read_sources` in the same folder then goes on from there.

    Parts may be read at the same time, in one folder or in several whose `artifacts` are copied together later.
    """
    request = _request(plan, sources, forgotten)
    if store.find(request) is not None:
        return 0
    draft = store.draft(request)
    return len(_read(_tasks(plan, sources, store, draft, forgotten)[part.number - 1 :: part.of], engine))


def _request(plan: CuratePlan, sources: Sequence[Source], forgotten: Forgotten) -> Request:
    identity: dict[str, Json] = {
        "files": [cast(Json, source.identity()) for source in sources],
        "extractor": dict(plan.extractor.identity()),
        "shard_bytes": plan.shard_bytes,
        "limits": dataclasses.asdict(plan.limits),
        "libraries": library_versions("fastwarc", "resiliparse"),
    }
    if forgotten:
        identity["forgotten"] = forgotten.fingerprint()
    return Request("Documents", "read", identity)


def _tasks(
    plan: CuratePlan, sources: Sequence[Source], store: Store, draft: Draft, forgotten: Forgotten
) -> list[ReadTask]:
    earlier = find_earlier(store, draft.request.identity, sources)
    work: list[ReadTask] = []
    for number, shard in enumerate(cut(sources, plan.shard_bytes)):
        keys = [source.key() for source in shard] if earlier else []
        known = {key: earlier[key] for key in keys if key in earlier}
        first = known.get(keys[0]) if keys else None
        whole = first if first is not None and first.files == tuple(keys) else None
        task = ReadTask(f"{number:05d}", shard, plan.extractor, draft, plan.limits, forgotten, whole, known)
        work.append(task)
    return work


def _read(work: list[ReadTask], engine: Engine) -> list[ReadTask]:
    total = sum(source.size for task in work for source in task.sources)
    engine.run(read_shard, work, label="read", total=total, unit="B")
    return work


def read_shard(task: ReadTask, tick: Tick) -> None:
    """ReadTask -> `part-` (Documents) and `events-`; the receipt of `part-` counts records and names the sources."""
    stored = all(task.draft.receipt(f"{stem}-{task.name}.parquet") for stem in ("part", "events"))
    if stored or (task.whole is not None and take_over(task.whole, task.name, task.draft)):
        tick(sum(source.size for source in task.sources))
        return None
    methods = (task.extractor, *(source.reader for source in task.sources))
    is_watched = any(source.reader.watched for source in task.sources)
    if not is_watched or any(type(method).__module__ == "__main__" for method in methods):
        write_shard((task, {}), tick, Pulse())  # nothing can hang; or a notebook's class: no other process has it
        return None
    note = task.draft.path / f".verdicts-{task.name}.json"
    verdicts = _noted(note)
    died_at: tuple[int, int] | None = None
    while True:
        try:
            return _child().run(write_shard, (task, verdicts), task.limits, tick)
        except Ended as ended:
            if ended.reason == DIED and died_at != ended.step:
                died_at = ended.step  # it may have been killed from outside: only a second time is the record's fault
                continue
            if ended.step in verdicts:
                mend = "Raise curate.limits, or give the machine more memory."
                raise SeedbedError(f"read {task.name}", f"cannot be finished: {ended.message}", mend) from ended
            verdicts = {**verdicts, ended.step: (ended.reason, ended.message)}
            write_text(note, json.dumps([[*step, *verdict] for step, verdict in verdicts.items()]))


def _noted(note: Path) -> dict[tuple[int, int], tuple[str, str]]:
    if not note.exists():
        return {}
    return {(a, b): (reason, message) for a, b, reason, message in json.loads(note.read_text(encoding="utf-8"))}


_kept = threading.local()  # a child is tied to the thread that started it


def _child() -> Child[tuple[ReadTask, Verdicts]]:
    """The child of this thread; it is started when first needed, and again after it ended."""
    child: Child[tuple[ReadTask, Verdicts]] | None = getattr(_kept, "child", None)
    if child is None or not child.alive:
        child = Child[tuple[ReadTask, Verdicts]]()
        atexit.register(child.close)
        _kept.child = child
    return child


def write_shard(given: tuple[ReadTask, Verdicts], tick: Tick, pulse: Pulse) -> None:
    """Read all and write both files."""
    task, verdicts = given
    events: list[dict[str, Any]] = []
    about: dict[str, Json] = {"read": 0, "files": [source.key() for source in task.sources]}

    def fill(file: Path) -> int:
        with arrow.ParquetStream(file, DOCUMENTS) as out:
            batch = _Batch()
            for row in _rows(task, verdicts, events, tick, pulse):
                batch.add(row)
                if len(batch) >= BATCH_ROWS or batch.size >= BATCH_BYTES:
                    out.add(batch.table())
                    batch = _Batch()
            out.add(batch.table())
            about["read"] = out.rows + len(events)
            return out.rows

    task.draft.write(f"part-{task.name}.parquet", fill, about)
    events.sort(key=lambda event: (event["reason"] == REASON, event["id"] if event["reason"] == REASON else b""))
    task.draft.write_table(f"events-{task.name}.parquet", pa.Table.from_pylist(events, EVENTS))


Row = tuple[Any, ...]
"""One document: the values of DOCUMENTS, in that order."""


class _Batch:
    """Documents column by column."""

    def __init__(self) -> None:
        self._rows: list[Row] = []
        self.size = 0

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, row: Row) -> None:
        self._rows.append(row)
        self.size += len(row[1])

    def table(self) -> pa.Table:
        columns = dict(zip(DOCUMENTS.names, map(list, zip(*self._rows, strict=True)), strict=False))
        if not columns:
            return DOCUMENTS.empty_table()
        try:
            return arrow.table(columns, DOCUMENTS)
        except UnicodeEncodeError:  # lone surrogates cannot be stored
            return arrow.table({name: _storable(values) for name, values in columns.items()}, DOCUMENTS)


def _storable(values: list[Any]) -> list[Any]:
    return [value.encode("utf-8", "replace").decode() if isinstance(value, str) else value for value in values]


def _rows(task: ReadTask, verdicts: Verdicts, events: list[dict[str, Any]], tick: Tick, pulse: Pulse) -> Iterator[Row]:
    intact = {shard.file("part"): is_intact(shard) for shard in task.known.values()}
    for place, source in enumerate(task.sources):
        earlier = task.known.get(source.key()) if task.known else None
        if earlier is not None and not intact[earlier.file("part")]:
            earlier = None
        if earlier is not None:
            for rows in rows_of(earlier, source.relative):
                yield from zip(*(rows.column(name).to_pylist() for name in DOCUMENTS.names), strict=True)
            events.extend(events_of(earlier, source.relative))
        else:
            yield from _documents(task, place, verdicts, events, pulse)
        tick(source.size)


def _documents(
    task: ReadTask, place: int, verdicts: Verdicts, events: list[dict[str, Any]], pulse: Pulse
) -> Iterator[Row]:
    """The documents of one file. Step 2i reads its record i, step 2i + 1 extracts it."""
    source, seen = task.sources[place], set[bytes]()
    with source.local() as path:
        for i, record in enumerate(_records(source, path, place, verdicts, pulse)):
            key = hash_bytes(source.relative.encode(), record.offset.to_bytes(8, "little"), record.content)
            while key in seen:  # the same bytes at the same offset: a reader's ordinal would be lost otherwise
                key = hash_bytes(key)
            seen.add(key)
            if task.forgotten and task.forgotten.holds(key, record.url):
                events.append(forgotten_event(key, f"{source.relative}:{record.offset}"))
                continue
            pulse.step(place, 2 * i + 1)
            found = _text(record, source, task.extractor, verdicts.get((place, 2 * i + 1)))
            if isinstance(found, dict):
                locator = f"{source.relative}:{record.offset}"
                message = found["message"].encode("utf-8", "replace").decode()
                events.append({"traceback": "", **found, "message": message, "id": key, "locator": locator})
                continue
            about = (record.url, record.source or source.relative, record.language, record.date, source.relative)
            yield (key, found, *about, record.offset, record.metadata)


def _records(source: Source, path: Path, place: int, verdicts: Verdicts, pulse: Pulse) -> Iterator[Record]:
    """The records of one file; where reading one took too long, an error in place of it and the rest."""
    records, step, offset = source.reader.records(path), 0, -1
    while (place, step) not in verdicts:
        pulse.step(place, step)
        record = next(records, None)
        if record is None:
            return
        yield record
        step, offset = step + 2, record.offset
    reason, message = verdicts[place, step]
    yield Record(offset + 1, b"", "error", error=(reason, f"{message}; the rest of the file was not read"))


def _text(
    record: Record, source: Source, extractor: Extractor, verdict: tuple[str, str] | None
) -> str | dict[str, str]:
    """The text of a record, or the event that says why there is none."""
    step = source.reader.path()
    if record.kind == "drop":
        return {"kind": "dropped", "reason": record.reason, "step": step, "message": record.url}
    if record.kind == "error":
        kind, message = record.error or ("unreadable", "")
        return {"kind": "errored", "reason": kind, "step": step, "message": message}
    if verdict is not None:
        return {"kind": "errored", "reason": verdict[0], "step": extractor.path(), "message": verdict[1]}
    if record.kind == "text":
        return record.text
    try:
        return extractor.extract(record)
    except Exception as error:
        return {"step": extractor.path(), **error_columns(error)}
