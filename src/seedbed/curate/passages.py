"""Passages over the whole corpus: collect their keys, find which repeat, and have them cut.

Keys go to disk in runs sorted by their upper bits. A range of keys over all runs fits into memory whatever the size of
the corpus; within it the first occurrence is found by (published or not, document id, position), so that shards,
batches and workers do not show. Of a key that is frequent in one run only its first occurrence there is written.
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from seedbed.core import arrow
from seedbed.core.artifact import Artifact, Draft, Request, Store
from seedbed.core.nouns import DocumentBatch
from seedbed.core.parameters import Json
from seedbed.curate import tasks
from seedbed.curate.contract import BoolArray, Edited, HashArray, IntArray, PassageDeduper, Passages
from seedbed.engine.contract import Engine, Tick

RUN_PASSAGES = 1 << 22
"""How many passages are sorted at a time: about 400 MB of memory a worker."""
_BUCKET_BITS = 10
_SHARD_BITS = np.int64(40)
_ENTRY = np.dtype([("key", "<u8"), ("order", "<u8"), ("passage", "<u8"), ("several", "?")])


@dataclasses.dataclass(frozen=True)
class CollectTask:
    """Write the keys of one shard's passages in runs; `start` is the shard's first row in the corpus."""

    shard: Path
    start: int
    step: PassageDeduper
    draft: Draft

    @property
    def name(self) -> str:
        """00000."""
        return self.shard.stem.removeprefix("part-")


@dataclasses.dataclass(frozen=True)
class FindTask:
    """Find the repeats among the keys of buckets low to high (that one left out), over all runs."""

    number: int
    low: int
    high: int
    shards: tuple[str, ...]
    keep_first: bool
    draft: Draft


@dataclasses.dataclass(frozen=True)
class CutTask:
    """Write one shard anew without its repeats; `number` is its place among the shards."""

    shard: Path
    number: int
    step: PassageDeduper
    keys: Path
    draft: Draft


def cut_repeats(
    step: PassageDeduper,
    text: Artifact,
    ids: npt.NDArray[np.uint8],
    published_N: BoolArray,
    parents: dict[str, str],
    store: Store,
    engine: Engine,
) -> Artifact:
    """A new text version without repeated passages; what was published before keeps them before others do."""
    keys = Request("Passages", step.name(), step.identity(), parents)

    def fill(draft: Draft) -> dict[str, Json]:
        step.edit(DocumentBatch.of(["A warm-up document.\nIt has two lines."]))  # compile kernels before workers start
        found = _repeats(step, text, _order(ids, published_N), store.draft(keys), engine)
        work = [CutTask(shard, n, step, found.path, draft) for n, shard in enumerate(text.shards())]
        engine.run(cut_shard, work, label=f"{step.name()}: cut", total=text.rows, unit="documents")
        return {}

    made = store.make(Request("Documents", step.name(), step.identity(), parents), fill)
    shutil.rmtree(store.path / f"{keys.folder}.partial", ignore_errors=True)  # nothing but this text is made from it
    return made


def _order(ids: npt.NDArray[np.uint8], published_N: BoolArray) -> HashArray:
    """A number for every document: the smallest of those that hold a passage keeps it."""
    return arrow.id_keys(ids) >> np.uint64(1) | (~published_N).astype(np.uint64) << np.uint64(63)


def _repeats(step: PassageDeduper, text: Artifact, order_N: HashArray, draft: Draft, engine: Engine) -> Draft:
    """The draft with all keys, and codes of repeats in `repeats-`."""
    _save(draft, "order.npy", order_N)
    starts = np.concatenate([[0], np.cumsum([arrow.n_rows(shard) for shard in text.shards()])]).tolist()
    collect = [CollectTask(shard, start, step, draft) for shard, start in zip(text.shards(), starts, strict=False)]
    engine.run(collect_shard, collect, label=f"{step.name()}: collect", total=text.rows, unit="documents")
    shards = tuple(task.name for task in collect)
    bounds = _ranges([np.load(file) for name in shards for file in _runs(draft.path, "buckets", name)])
    find = [FindTask(n, *bound, shards, step.keep_first, draft) for n, bound in enumerate(bounds)]
    engine.run(find_repeats, find, label=f"{step.name()}: find repeats", total=len(find), unit="ranges")
    return draft


def _ranges(buckets: list[IntArray]) -> list[tuple[int, int]]:
    """Neighbouring buckets whose keys fit into memory together."""
    sizes = np.diff(np.sum(buckets, axis=0)) if buckets else np.zeros(1 << _BUCKET_BITS, np.int64)
    bounds, low, size = list[tuple[int, int]](), 0, 0
    for bucket, n in enumerate(sizes.tolist()):
        if bucket > low and size + n > RUN_PASSAGES:
            bounds.append((low, bucket))
            low, size = bucket, 0
        size += n
    return [*bounds, (low, len(sizes))]


def collect_shard(task: CollectTask, tick: Tick) -> None:
    """CollectTask -> `counts-` (passages a document), `known-` (repeats within a run, as bits), `keys-`, `buckets-`."""
    n = arrow.n_rows(task.shard)
    if not task.draft.receipt(f"counts-{task.name}.npy"):
        order_N = np.load(task.draft.path / "order.npy", mmap_mode="r")[task.start : task.start + n]
        counts, known = list[IntArray](), list[BoolArray]()
        for number, (counts_D, key_P) in enumerate(_gathered(task)):
            before, done = sum(map(len, known)), sum(map(len, counts))
            order_P = np.repeat(order_N[done : done + len(counts_D)], counts_D)
            known.append(_write_run(task, f"{task.name}-{number:05d}", key_P, order_P, before))
            counts.append(counts_D)
        _save(task.draft, f"known-{task.name}.npy", np.packbits(np.concatenate([np.zeros(0, np.bool_), *known])))
        _save(task.draft, f"counts-{task.name}.npy", np.concatenate([np.zeros(0, np.int64), *counts]))  # last: complete
    tick(n)


def _gathered(task: CollectTask) -> Iterator[tuple[IntArray, HashArray]]:
    """(passages of each document, their keys) of as many batches as make a run."""
    counts, keys, size = list[IntArray](), list[HashArray](), 0
    nothing = Passages(np.zeros(2, np.int64), np.zeros(0, np.uint64))
    events: list[dict[str, Any]] = []  # told when the document is cut
    for batch in tasks.batches(task.shard):
        for piece in tasks.ask_each(batch, task.step.passages, nothing, task.step.path(), events):
            counts.append(np.diff(piece.first))
            keys.append(piece.key)
            size += len(piece.key)
        if size >= RUN_PASSAGES:
            yield np.concatenate(counts), np.concatenate(keys)
            counts, keys, size = [], [], 0
    if counts:
        yield np.concatenate(counts), np.concatenate(keys)


def _write_run(task: CollectTask, name: str, key_P: HashArray, order_P: HashArray, before: int) -> BoolArray:
    """Write the first occurrence of each key; which passages are later ones."""
    from seedbed.text.repeats.passages import first_of

    real = np.flatnonzero(key_P)
    keys, order = key_P[real], order_P[real]
    first = first_of(keys, order)
    n_alike = np.bincount(first, minlength=len(real))
    chosen = np.flatnonzero(n_alike)
    bucket = (keys[chosen] >> np.uint64(64 - _BUCKET_BITS)).astype(np.uint16)
    chosen = chosen[np.argsort(bucket, kind="stable")]
    entries = np.empty(len(chosen), _ENTRY)
    entries["key"], entries["order"] = keys[chosen], order[chosen]
    entries["passage"], entries["several"] = real[chosen] + before, n_alike[chosen] > 1
    _save(task.draft, f"keys-{name}.npy", entries)
    starts = np.concatenate([[0], np.cumsum(np.bincount(bucket, minlength=1 << _BUCKET_BITS))])
    _save(task.draft, f"buckets-{name}.npy", starts.astype(np.int64))
    later = np.zeros(len(key_P), np.bool_)
    later[real] = n_alike == 0
    return later


def find_repeats(task: FindTask, tick: Tick) -> None:
    """FindTask -> `repeats-`: sorted codes of (shard, passage)."""
    from seedbed.text.repeats.passages import first_of

    if not task.draft.receipt(f"repeats-{task.number:05d}.npy"):
        pieces, codes = list[npt.NDArray[Any]](), list[IntArray]()
        for number, name in enumerate(task.shards):
            for keys, buckets in zip(
                *(_runs(task.draft.path, stem, name) for stem in ("keys", "buckets")), strict=True
            ):
                low, high = np.load(buckets, mmap_mode="r")[[task.low, task.high]]
                pieces.append(np.array(np.load(keys, mmap_mode="r")[low:high]))
                codes.append(pieces[-1]["passage"].astype(np.int64) | np.int64(number) << _SHARD_BITS)
        entries = np.concatenate([np.zeros(0, _ENTRY), *pieces])
        first = first_of(entries["key"].copy(), entries["order"].copy())
        if task.keep_first:
            goes = first != np.arange(len(first))
        else:
            n = np.bincount(first, minlength=len(first)) + np.bincount(first, entries["several"], len(first))
            goes = n[first] > 1
        _save(
            task.draft, f"repeats-{task.number:05d}.npy", np.sort(np.concatenate([np.zeros(0, np.int64), *codes])[goes])
        )
    tick(1)


def cut_shard(task: CutTask, tick: Tick) -> None:
    """CutTask -> the rows with new text, spans and events, as an edit leaves them."""
    name = task.shard.stem.removeprefix("part-")
    n_D = np.load(task.keys / f"counts-{name}.npy")
    repeated_P = np.unpackbits(np.load(task.keys / f"known-{name}.npy"), count=int(n_D.sum())).astype(np.bool_)
    for file in sorted(task.keys.glob("repeats-*.npy")):
        codes = np.load(file, mmap_mode="r")
        low, high = np.searchsorted(codes, np.array([task.number, task.number + 1], np.int64) << _SHARD_BITS)
        repeated_P[codes[low:high] & ((np.int64(1) << _SHARD_BITS) - 1)] = True
    marked = _marked(task.shard, np.concatenate([[0], np.cumsum(n_D)]), repeated_P)
    tasks.write_edited(name, task.draft, marked, lambda batch: _cut(task.step, batch), task.step.path())
    tick(len(n_D))


class Marked(DocumentBatch):
    """Documents that know which of their passages are repeats."""

    def __init__(self, documents: DocumentBatch, first: IntArray, repeated_P: BoolArray) -> None:
        super().__init__(documents.rows)
        self.first, self.repeated_P = first, repeated_P

    @cached_property
    def marks(self) -> BoolArray:
        """repeated_P of these documents alone."""
        return self.repeated_P[self.first[0] : self.first[-1]]

    def one(self, row: int) -> Marked:
        """One document alone."""
        return Marked(super().one(row), self.first[row : row + 2], self.repeated_P)


def _marked(shard: Path, first: IntArray, repeated_P: BoolArray) -> Iterator[Marked]:
    start = 0
    for batch in tasks.batches(shard):
        yield Marked(batch, first[start : start + len(batch) + 1], repeated_P)
        start += len(batch)


def _cut(step: PassageDeduper, batch: DocumentBatch) -> Edited:
    assert isinstance(batch, Marked)
    return step.cut(batch, batch.marks)


def _runs(folder: Path, stem: str, shard: str) -> list[Path]:
    return sorted(folder.glob(f"{stem}-{shard}-*.npy"))


def _save(draft: Draft, name: str, values: npt.NDArray[Any]) -> None:
    def fill(file: Path) -> int:
        with file.open("wb") as handle:
            np.save(handle, values)
        return len(values)

    draft.write(name, fill)
