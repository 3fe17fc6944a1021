"""What a user finds at the top of the output folder: documents/, ledger.json, quarantine/."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from seedbed.core import arrow
from seedbed.core.artifact import Artifact, disk_error, write_text
from seedbed.curate.run import Curated


def publish(curated: Curated, out: Path) -> None:
    """Write or renew them. Kept documents are links to the artifact where the file system allows, else copies."""
    try:
        _documents(curated.kept, out / "documents")
        write_text(out / "ledger.json", json.dumps(curated.ledger, indent=1) + "\n")
        _quarantine([curated.read, *curated.texts.values(), *curated.signals.values()], out / "quarantine")
    except OSError as error:
        raise disk_error(out, error) from error


def _documents(kept: Artifact, folder: Path) -> None:
    aside = folder.with_name(".documents.tmp")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    for shard in kept.shards():
        try:
            os.link(shard, aside / shard.name)
        except OSError:
            shutil.copyfile(shard, aside / shard.name)
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(aside, folder)


def _quarantine(artifacts: list[Artifact], folder: Path) -> None:
    """One JSON object a line for every record or document that a step failed on, with its traceback."""
    folder.mkdir(exist_ok=True)
    lines: list[str] = []
    for artifact in artifacts:
        for shard in artifact.shards("events"):
            rows = (row for row in arrow.read_parquet(shard).to_pylist() if row["kind"] == "errored")
            lines.extend(json.dumps({**row, "id": row["id"].hex()}, ensure_ascii=False) for row in rows)
    write_text(folder / "errors.jsonl", "".join(line + "\n" for line in lines))
