"""No double-dipping: what methods learn from must not lie in the pool, nor be what they are judged by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast

from seedbed.core.artifact import Artifact, Draft, Request
from seedbed.core.errors import SeedbedError
from seedbed.core.nouns import DocumentBatch
from seedbed.core.parameters import Json
from seedbed.evaluate.audits.ngram_overlap import NgramOverlap
from seedbed.evaluate.contract import Audit
from seedbed.pipeline.material import Material
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
    found = _findings(place, method, "target", target.documents, material.pool, material.pool.tokens.fingerprint)
    mend = "Take them out of one of the two: a method that has seen a document would choose it for that alone."
    _refuse("target", found, "the pool", mend)
    for domain, documents in texts.items():
        found = _findings(place, method, domain, documents, target, target.tokens.fingerprint)
        mend = "Measure on other documents than those the methods learn from."
        _refuse(f"held-out text {domain!r}", found, "the target", mend)


def _findings(
    place: Workplace, audit: Audit, label: str, items: Artifact, among: Iterable[DocumentBatch], fingerprint: str
) -> Artifact:
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
