"""No double-dipping: what methods learn from must not lie in the pool, nor be what they are judged by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from seedbed.core import arrow
from seedbed.core.artifact import Artifact, Draft, Request
from seedbed.core.errors import SeedbedError
from seedbed.core.fingerprint import hash_bytes
from seedbed.core.nouns import DocumentBatch
from seedbed.core.parameters import Json
from seedbed.evaluate.audits.ngram_overlap import NgramOverlap
from seedbed.evaluate.contract import Audit
from seedbed.pipeline.material import Material
from seedbed.pipeline.sources import SourceFiles
from seedbed.pipeline.workplace import Workplace
from seedbed.tokenize.run import from_kept

SHOWN = 3
"""Overlapping documents that an error names."""


def refuse_overlap(place: Workplace, audit: Audit | None, material: Material, texts: Mapping[str, Artifact]) -> None:
    """Raises SeedbedError where documents of the target stand in the pool, or held-out ones in the target."""
    if material.target is None:
        return
    method = audit or NgramOverlap()
    target = material.the_target
    found = findings(place, method, "target", target.documents, material.pool, material.pool.tokens.fingerprint)
    mend = "Take them out of one of the two: a method that has seen a document would choose it for that alone."
    _refuse("target", found, "the pool", mend)
    for domain, documents in texts.items():
        found = findings(place, method, domain, documents, target, target.tokens.fingerprint)
        mend = "Measure on other documents than those the methods learn from."
        _refuse(f"held-out text {domain!r}", found, "the target", mend)


def refuse_shared(new: Mapping[str, SourceFiles], old: Mapping[str, SourceFiles], where: str) -> None:
    """Raises SeedbedError where a text is read as new and as replayed: it would count as both."""
    for name, replayed in old.items():
        for other, files in new.items():
            read_M = _read(files)
            shared, _, row = np.intersect1d(
                text_hashes(replayed.documents)[_read(replayed)],
                text_hashes(files.documents)[read_M],
                return_indices=True,
            )
            if len(shared):
                ids = Artifact(files.documents).table(["id"]).column("id").to_pylist()
                at = int(np.flatnonzero(read_M)[row.min()])
                what = f"{len(shared)} texts of {other} stand in {name} too, such as document {ids[at]}"
                raise SeedbedError(where, what, "Curate both together, which drops repeats; or forget them in one.")


@lru_cache(maxsize=64)
def text_hashes(documents: Path) -> npt.NDArray[np.bytes_]:
    """A hash of the text of each kept document, in order: 16 bytes each."""
    found: list[bytes] = []
    for shard in Artifact(documents).shards():
        for rows in arrow.row_groups(shard, ["text"]):
            found += [hash_bytes((text or "").encode()) for text in arrow.strings(rows, "text")]
    return np.array(found, dtype="S16") if found else np.zeros(0, "S16")


def _read(files: SourceFiles) -> npt.NDArray[np.bool_]:
    """Which documents of a source are read at all."""
    if files.weights is None:
        return np.ones(Artifact(files.documents).rows, np.bool_)
    return np.asarray(arrow.numpy(Artifact(files.weights).table(["copies"]), "copies") > 0)


def findings(
    place: Workplace, audit: Audit, label: str, items: Artifact, among: Iterable[DocumentBatch], fingerprint: str
) -> Artifact:
    """The audit of some documents against others, kept."""

    def fill(draft: Draft) -> dict[str, Json]:
        draft.write_table("part-00000.parquet", audit.findings(among, from_kept(items.table())))
        return {}

    parents = {"pool": fingerprint, "texts": items.fingerprint}
    return place.store.make(Request("Findings", f"overlap-{label}", audit.identity(), parents), fill)


def _refuse(what: str, findings: Artifact, where: str, mend: str) -> None:
    rows = cast("list[dict[str, Any]]", cast(Any, findings.table()).to_pylist())
    leaked = [row for row in rows if row["verdict"] == "leaked"]
    if leaked:
        named = ", ".join(f"{row['item']} ({row['share']:.0%}, in {row['found_in']})" for row in leaked[:SHOWN])
        more = f" and {len(leaked) - SHOWN} more" if len(leaked) > SHOWN else ""
        told = f"{len(leaked)} of {len(rows)} documents overlap with {where}: {named}{more}"
        raise SeedbedError(what, told, mend)
