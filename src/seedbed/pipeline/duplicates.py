"""How well near duplicates were found in this corpus: measured once a curation, remembered for the report."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from seedbed.core.artifact import Artifact
from seedbed.core.parameters import Json
from seedbed.curate.dedup.minhash import Minhash
from seedbed.curate.dedup_quality import FILE, Sampling, measure_quality
from seedbed.curate.plan import CuratePlan
from seedbed.curate.run import Curated
from seedbed.pipeline import workplace
from seedbed.pipeline.workplace import Workplace


def measure_into(place: Workplace, plan: CuratePlan, curated: Curated) -> None:
    """Measure every near-duplicate search of the plan; nothing where the plan asks for no pairs."""
    found: dict[str, Json] = {}
    for step in plan.dedupers if plan.duplicate_pairs else ():
        if isinstance(step, Minhash):
            signatures = curated.signals[step.name()]
            text = text_of(curated, signatures)
            sampling = Sampling(n_pairs=plan.duplicate_pairs)
            groups = curated.groups[step.name()]
            made = measure_quality(step, text, signatures, groups, place.store, place.engine, sampling)
            found[step.name()] = made.path.name
    place.remember(duplicates=found)


def text_of(curated: Curated, signals: Artifact) -> Artifact:
    """The text version that signals were measured on."""
    seen = cast("Mapping[str, str]", signals.manifest["parents"])["text"]
    versions = (curated.read, *curated.texts.values())
    return next((text for text in versions if text.fingerprint == seen), curated.final)


def measured(out: str | Path) -> dict[str, dict[str, Json]]:
    """Deduper -> what was measured, as `curate.dedup_quality.quality` tells it."""
    folders = cast("dict[str, str]", workplace.read_index(out).get("duplicates") or {})
    root = workplace.local(out) / "artifacts"
    files = {name: root / folder / FILE for name, folder in folders.items()}
    return {name: json.loads(file.read_text(encoding="utf-8")) for name, file in files.items() if file.exists()}
