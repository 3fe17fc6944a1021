"""What a user finds at the top of the output folder: documents/, ledger.json, ledger.parquet, quarantine/."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pyarrow as pa

from seedbed.core import arrow
from seedbed.core.artifact import Artifact, disk_error, write_text
from seedbed.core.parameters import Json
from seedbed.curate.ledger import STEM, by_step
from seedbed.curate.run import Curated


def publish(curated: Curated, out: Path) -> None:
    """Write or renew them. Kept documents are links to the artifact where the file system allows, else copies."""
    try:
        _documents(curated.kept, out / "documents")
        write_ledger(curated, curated.decisions.table(stem=STEM), out)
        _quarantine([curated.read, *curated.texts.values(), *curated.signals.values()], out / "quarantine")
    except OSError as error:
        raise disk_error(out, error) from error


def write_ledger(curated: Curated, table: pa.Table, out: Path) -> None:
    """`ledger.json`: all shards together, step by step; `ledger.parquet`: each shard by itself."""
    told: dict[str, Json] = {**curated.ledger, "steps": by_step(table)}
    aside = out / ".ledger.parquet.tmp"
    arrow.write_parquet(aside, table)
    os.replace(aside, out / "ledger.parquet")
    write_text(out / "ledger.json", json.dumps(told, indent=1) + "\n")


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
