"""The account of a curation: which way every document left, with the bytes it had then, from stored numbers alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from seedbed.core import arrow
from seedbed.core.artifact import Artifact
from seedbed.core.nouns import DocumentBatch
from seedbed.curate import ledger
from seedbed.curate.contract import Edit
from seedbed.curate.ledger import KEEP, LEDGER, READ, Exit, Flow
from seedbed.curate.plan import CuratePlan
from seedbed.curate.replay import Measured


def account(
    plan: CuratePlan,
    measured: Measured,
    reason_names: Sequence[str],
    reason_N: npt.NDArray[np.integer[Any]],
    id_N16: npt.NDArray[np.uint8],
) -> pa.Table:
    """The ledger of all shards, checked.

    Args:
        plan: what was done.
        measured: its artifacts.
        reason_names, reason_N: why each document was dropped, `method.rule`; -1 where it was not.
        id_N16: ids of all documents.
    """
    flow = flow_of(plan, measured, reason_names, reason_N, id_N16)
    lost = lost_in_reading(measured.read)
    tables: list[pa.Table] = []
    for shard, start, stop in measured.bounds():
        sizes = [arrow.read_parquet(artifact.path / shard) for artifact in measured.sizes.values()]
        name = Path(shard).stem.removeprefix("part-")
        n_bytes = [arrow.numpy(table, "n_bytes") for table in sizes]
        tables.append(ledger.account(flow, name, slice(start, stop), lost.get(name, Counter()), n_bytes))
    table = arrow.concat(tables, LEDGER)
    ledger.check(table)
    return table


def flow_of(
    plan: CuratePlan,
    measured: Measured,
    reason_names: Sequence[str],
    reason_N: npt.NDArray[np.integer[Any]],
    id_N16: npt.NDArray[np.uint8],
) -> Flow:
    """How the documents went through the plan."""
    made = [measured.texts[s.path()] if isinstance(s, Edit) else measured.signals[s.name()] for s in plan.steps]
    position = {step.name(): i for i, step in enumerate(plan.steps, start=1)}
    exits = [Exit(position[name.partition(".")[0]], "dropped", name) for name in reason_names]
    exits.append(Exit(len(plan.steps) + 1, "kept", ""))
    exit_N = np.where(reason_N < 0, len(exits) - 1, reason_N).astype(np.int64)
    errors: dict[Exit, int] = {}
    for row, way in _failed(made, id_N16).items():
        exit_N[row] = errors.setdefault(way, len(exits) + len(errors))
    edits_before = np.cumsum([0, 0, *(isinstance(step, Edit) for step in plan.steps)])
    return Flow(
        steps=(READ, *(step.path() for step in plan.steps), KEEP),
        exits=(*exits, *errors),
        exit_N=exit_N,
        versions=tuple(int(n) for n in edits_before),
    )


def _failed(steps: Sequence[Artifact], id_N16: npt.NDArray[np.uint8]) -> dict[int, Exit]:
    """Row -> exit of the documents that a step failed on, at the first step that did."""
    first: dict[bytes, Exit] = {}
    for number, artifact in enumerate(steps, start=1):
        rows = ledger.events(artifact, ["id", "reason"])
        for key, kind in zip(DocumentBatch(rows).ids, arrow.strings(rows, "reason"), strict=True):
            first.setdefault(key, Exit(number, "errored", str(kind)))
    if not first:
        return {}
    failed = arrow.ids_in(id_N16, np.frombuffer(b"".join(first), np.uint8).reshape(-1, 16))
    return {int(row): first[id_N16[row].tobytes()] for row in np.flatnonzero(failed)}


def lost_in_reading(read: Artifact) -> Mapping[str, Counter[tuple[str, str]]]:
    """Shard -> (fate, reason) -> records that gave no document; ("in", "") are all records that were there."""
    found: dict[str, Counter[tuple[str, str]]] = {}
    for file in cast("list[dict[str, Any]]", read.manifest["files"]):
        stem, _, name = str(file["name"]).removesuffix(".parquet").partition("-")
        counts = found.setdefault(name, Counter())
        if stem == "part":
            counts["in", ""] = int(file["about"]["read"])
        elif stem == "events" and file["rows"]:
            rows = arrow.read_parquet(read.path / str(file["name"]), ["kind", "reason"])
            counts.update(zip(*(map(str, arrow.strings(rows, column)) for column in ("kind", "reason")), strict=True))
    return found
