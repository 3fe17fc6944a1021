"""The ledger: what became of every record, by shard and step, in documents and in bytes of text.

A step takes documents in; each is given on, dropped by a rule, or errored; an edit also cuts bytes. For every shard and
every step

    in = out + dropped + errored + cut        and        out of a step = in of the next

in documents and in bytes, or the run fails: an unknown loss is a fault.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from seedbed.core import arrow
from seedbed.core.artifact import Artifact
from seedbed.core.errors import SeedbedError
from seedbed.core.nouns import EVENTS
from seedbed.core.parameters import Json

IntArray = npt.NDArray[np.int64]

STEM = "ledger"
READ, KEEP, TOKENIZE = "read", "keep", "tokenize"
"""The first and the last step of every curation, and the step after it."""
_FAULT = "This is a fault in Seedbed: please report it."

LEDGER = pa.schema(
    [
        arrow.field("shard", pa.large_string()),
        arrow.field("step", pa.large_string(), unit="read, path of a step, keep, tokenize"),
        arrow.field("fate", pa.large_string(), unit="in | out | dropped | errored | cut"),
        arrow.field("reason", pa.large_string(), unit="rule or error type"),
        arrow.field("documents", pa.int64(), unit="records in the step read, then documents"),
        arrow.field("bytes", pa.int64(), unit="UTF-8 bytes of text; a record that gave no text has none"),
        arrow.field("tokens", pa.int64(), unit="tokens, null where nothing is tokenised yet"),
    ]
)


@dataclasses.dataclass(frozen=True)
class Exit:
    """One way to leave: at which step (an index into the steps), dropped or errored or kept, and why."""

    step: int
    fate: str
    reason: str


@dataclasses.dataclass(frozen=True)
class Flow:
    """How documents went through the steps.

    Args:
        steps: READ, the path of every step in recipe order, KEEP.
        exits: the ways to leave.
        exit_N: which of them each document took.
        versions: for each step, the index of the text version it takes in; the last step takes the final one.
    """

    steps: tuple[str, ...]
    exits: tuple[Exit, ...]
    exit_N: IntArray
    versions: tuple[int, ...]


def account(flow: Flow, shard: str, rows: slice, read: Counter[tuple[str, str]], bytes_VN: list[IntArray]) -> pa.Table:
    """The account of one shard.

    Args:
        flow: of all documents.
        shard: its name.
        rows: its documents.
        read: (fate, reason) -> records that reading lost; ("in", "") are all records.
        bytes_VN: bytes of its documents in every text version.
    """
    exit_n = flow.exit_N[rows]
    documents_E = np.bincount(exit_n, minlength=len(flow.exits))
    bytes_VE = [np.bincount(exit_n, weights=n_bytes, minlength=len(flow.exits)) for n_bytes in bytes_VN]
    step_E = np.array([way.step for way in flow.exits])
    found: list[tuple[str, str, str, int, float]] = []
    for s, step in enumerate(flow.steps):
        now = bytes_VE[flow.versions[s]]
        after = bytes_VE[flow.versions[min(s + 1, len(flow.steps) - 1)]]
        here, on = step_E >= s, step_E > s if step != KEEP else step_E >= s
        lost = [(fate, reason, n) for (fate, reason), n in sorted(read.items()) if fate != "in"] if s == 0 else []
        found.append((step, "in", "", read["in", ""] if s == 0 else documents_E[here].sum(), now[here].sum()))
        found += [(step, fate, reason, n, 0) for fate, reason, n in lost]
        for e in np.flatnonzero((step_E == s) & (documents_E > 0)).tolist() if step != KEEP else []:
            found.append((step, flow.exits[e].fate, flow.exits[e].reason, documents_E[e], now[e]))
        if after is not now:
            found.append((step, "cut", "", 0, now[on].sum() - after[on].sum()))
        found.append((step, "out", "", documents_E[on].sum(), after[on].sum()))
    lines = [(shard, *line[:3], int(line[3]), int(line[4]), None) for line in found]
    return pa.Table.from_pylist([dict(zip(LEDGER.names, line, strict=True)) for line in lines], LEDGER)


def with_tokens(table: pa.Table, counted: Mapping[str, tuple[int, int, int]]) -> pa.Table:
    """The account with the step tokenize. `counted` are documents, bytes and tokens of each tokenised shard."""
    kept = [row for row in table.to_pylist() if (row["step"], row["fate"]) == (KEEP, "out")]
    lines: list[tuple[str, str, str, str, int, int, int | None]] = []
    for row in kept:
        lines.append((row["shard"], TOKENIZE, "in", "", row["documents"], row["bytes"], None))
        lines.append((row["shard"], TOKENIZE, "out", "", *counted.get(row["shard"], (0, 0, 0))))
    rows = pa.Table.from_pylist([dict(zip(LEDGER.names, line, strict=True)) for line in lines], LEDGER)
    whole = arrow.concat([table, rows], LEDGER)
    check(whole)
    return whole


def check(table: pa.Table) -> None:
    """Raise SeedbedError, naming shard and step, where an account does not balance."""
    balance: dict[tuple[str, str], list[int]] = {}
    handed: dict[str, tuple[str, int, int]] = {}
    for row in table.to_pylist():
        where = (row["shard"], row["step"])
        sums = balance.setdefault(where, [0, 0])
        sign = 1 if row["fate"] == "in" else -1
        sums[0] += sign * row["documents"]
        sums[1] += sign * row["bytes"]
        now = (row["step"], row["documents"], row["bytes"])
        if row["fate"] == "in" and row["shard"] in handed and handed[row["shard"]][1:] != now[1:]:
            before = handed[row["shard"]]
            what = f"{before[0]} gave {before[1]} documents, {before[2]} bytes; {now[1]} documents, {now[2]} bytes came"
            raise SeedbedError(f"ledger, shard {row['shard']}, {now[0]}", what, _FAULT)
        if row["fate"] == "out":
            handed[row["shard"]] = now
    for (shard, step), (documents, size) in balance.items():
        if documents or size:
            what = f"documents were lost: {documents} documents and {size} bytes are not accounted for"
            raise SeedbedError(f"ledger, shard {shard}, {step}", what, _FAULT)


def summary(table: pa.Table) -> dict[str, Json]:
    """{"read", "kept", "dropped": {reason: n}, "errored": {type: n}} over all shards."""
    read = kept = 0
    lost: dict[str, dict[str, Json]] = {"dropped": {}, "errored": {}}
    for step, fate, reason, documents, _ in _totals(table):
        read += documents if (step, fate) == (READ, "in") else 0
        kept += documents if (step, fate) == (KEEP, "out") else 0
        if fate in lost:
            lost[fate][reason] = cast(int, lost[fate].get(reason, 0)) + documents
    return {"read": read, "kept": kept, **lost}


def by_step(table: pa.Table) -> list[Json]:
    """An object a step: documents and bytes in and out, what was lost by reason, and the bytes that were cut."""
    found: dict[str, dict[str, Json]] = {}
    for step, fate, reason, documents, size in _totals(table):
        told = found.setdefault(step, {"step": step})
        if fate in ("in", "out"):
            told |= {f"documents_{fate}": documents, f"bytes_{fate}": size}
        elif fate == "cut":
            told["bytes_cut"] = size
        else:
            cast("dict[str, Json]", told.setdefault(fate, {}))[reason] = {"documents": documents, "bytes": size}
    if TOKENIZE in found:
        tokens = cast("list[int | None]", table.column("tokens").to_pylist())
        found[TOKENIZE]["tokens_out"] = sum(n for n in tokens if n is not None)
    return list[Json](found.values())


def _totals(table: pa.Table) -> Iterator[tuple[str, str, str, int, int]]:
    """(step, fate, reason, documents, bytes) over all shards, steps in order."""
    sums: dict[tuple[str, str, str], list[int]] = {}
    for row in table.to_pylist():
        total = sums.setdefault((row["step"], row["fate"], row["reason"]), [0, 0])
        total[0] += row["documents"]
        total[1] += row["bytes"]
    order = {step: i for i, step in enumerate(dict.fromkeys(step for step, _, _ in sums))}
    for (step, fate, reason), (documents, size) in sorted(sums.items(), key=lambda item: order[item[0][0]]):
        yield step, fate, reason, documents, size


def events(artifact: Artifact, columns: Sequence[str] = EVENTS.names) -> pa.Table:
    """The events of an artifact; of the many shards that have none, no file is opened."""
    files = cast("list[dict[str, Json]]", artifact.manifest["files"])
    names = [str(file["name"]) for file in files if str(file["name"]).startswith("events-") and file["rows"]]
    schema = pa.schema([cast(Any, EVENTS).field(name) for name in columns])
    return arrow.concat([arrow.read_parquet(artifact.path / name, columns) for name in sorted(names)], schema)
