"""What-if over a million documents: re-deciding them, from stored numbers.

    python benchmarks/speed/curate/what_if.py [--documents 1000000] [--repeats 5] [--corpus DIR]

Some thousand real documents (the shipped pages, or DIR/jsonl/*.jsonl) are curated with `fineweb_en`, and the rows of
every artifact are repeated, shard by shard, until there are enough: numbers and duplicate groups are distributed as in
real text, ids are new, and of texts only the beginning is repeated. Timed are the call in a warm process, and the
command with its start. Writes benchmarks/results/speed_what_if.csv, medians of the repeats.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

from seedbed import api
from seedbed.core import arrow
from seedbed.core.artifact import Artifact, Draft, Request, Store
from seedbed.core.nouns import EVENTS, SPANS
from seedbed.curate import run
from seedbed.curate.replay import Measured
from seedbed.pipeline import workplace
from seedbed.pipeline.workplace import Workplace

RESULTS = Path(__file__).parents[2] / "results" / "speed_what_if.csv"
TEXT_CHARS = 200
CHANGES = {
    "one threshold": {"curate.filters.gopher_quality.min_words": 80},
    "three filters": {
        "curate.filters.gopher_quality.min_words": 80,
        "curate.filters.fineweb_quality.max_short_lines": 0.5,
        "curate.filters.language.min_language_score": 0.8,
    },
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--corpus", type=Path, default=os.environ.get("SEEDBED_CORPUS"))
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        out = many(Path(scratch), asked.documents, asked.corpus)
        rows = [[name, *timed(out, settings, asked.repeats)] for name, settings in CHANGES.items()]
    with RESULTS.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(
            ["change", "documents", "rules", "kept_before", "kept_after", "seconds", "cpu_seconds", "command_seconds"]
        )
        writer.writerows(rows)
    for row in rows:
        print(*row)


def many(scratch: Path, n: int, corpus: Path | None) -> Path:
    """An output folder with at least n documents, made from the rows of a real one."""
    given = "sample:pool"
    if corpus is not None:
        given = str(scratch / "some.jsonl")
        with next((corpus / "jsonl").glob("*.jsonl")).open("rb") as lines:
            Path(given).write_bytes(b"".join(itertools.islice(lines, 5000)))
    api.curate(given, out=scratch / "base", check=False)
    base, recipe = workplace.curated_at(scratch / "base"), workplace.read_recipe(scratch / "base")
    tiles = -(-n // base.read.rows)
    with Workplace.open(scratch / "many") as place:
        read = tiled(place.store, base.read, tiles, {})
        now = {base.read.fingerprint: read.fingerprint}
        texts: dict[str, Artifact] = {}
        for name, text in base.texts.items():
            texts[name] = tiled(place.store, text, tiles, now)
            now[text.fingerprint] = texts[name].fingerprint
        signals = {name: tiled(place.store, artifact, tiles, now) for name, artifact in base.signals.items()}
        sizes = {name: tiled(place.store, artifact, tiles, now) for name, artifact in base.sizes.items()}
        groups = {d.name(): run.group(d, signals[d.name()], place.store) for d in recipe.curate.dedupers}
        measured = Measured(read, texts, signals, groups, sizes)
        decisions = run.decide(recipe.curate, measured, (), place.store)
        place.remember_recipe(recipe)
        place.remember(curate=run.Curated(read, texts, signals, groups, sizes, decisions, measured.final).folders())
    return place.out


def tiled(store: Store, artifact: Artifact, tiles: int, now: dict[str, str]) -> Artifact:
    """An artifact with the rows of another again and again, a shard each; ids and hashes are new in every shard."""
    manifest = artifact.manifest
    label = artifact.path.name.removeprefix(f"{manifest['noun'].lower()}-").rpartition("-")[0]
    parents = {role: now[key] for role, key in manifest["parents"].items()}
    rows = artifact.table()
    if "text" in rows.column_names:
        texts = [text[:TEXT_CHARS] for text in arrow.strings(rows, "text")]
        rows = arrow.replace(rows, "text", arrow.column(texts, pa.large_string()))

    def fill(draft: Draft) -> dict[str, int]:
        for tile in range(tiles):
            shard = f"{tile:05d}.parquet"
            draft.write_table(f"part-{shard}", renewed(rows, tile), {"read": rows.num_rows})
            draft.write_table(f"events-{shard}", arrow.concat([], EVENTS))
            if manifest["noun"] == "Documents":
                draft.write_table(f"spans-{shard}", arrow.concat([], SPANS))
        return {"read": rows.num_rows * tiles}

    return store.make(Request(manifest["noun"], label, {**manifest["identity"], "tiles": tiles}, parents), fill)


def renewed(rows: pa.Table, tile: int) -> pa.Table:
    """The rows with ids and hashes that no other shard has; equal hashes stay equal."""
    if "id" in rows.column_names:
        ids = arrow.ids(rows).copy()
        ids[:, 12:] ^= np.frombuffer(tile.to_bytes(4, "little"), np.uint8)
        rows = arrow.replace(rows, "id", arrow.id_column(ids))
    for field in rows.schema:
        if field.type == pa.uint64():
            hashes = arrow.numpy(rows, field.name) ^ np.uint64(tile << 32)
            rows = arrow.replace(rows, field.name, arrow.column(hashes, pa.uint64()))
    return rows


def timed(out: Path, settings: dict[str, object], repeats: int) -> list[object]:
    """[documents, rules, kept before and after, wall and CPU seconds of the call, wall seconds of the command]."""
    corpus = api.Corpus(out)
    told = corpus.what_if(settings)
    wall, cpu, whole = [], [], []
    command = [sys.executable, "-m", "seedbed", "what-if", str(out)]
    for path, value in settings.items():
        command += ["--set", f"{path}={value}"]
    for _ in range(repeats):
        start, spent = time.perf_counter(), time.process_time()
        corpus.what_if(settings)
        wall.append(time.perf_counter() - start)
        cpu.append(time.process_time() - spent)
        start = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        whole.append(time.perf_counter() - start)
    medians = (f"{statistics.median(times):.2f}" for times in (wall, cpu, whole))
    n = workplace.curated_at(out).read.rows
    return [n, len(told.rules), told.before.kept, told.after.kept, *medians]


if __name__ == "__main__":
    main()
