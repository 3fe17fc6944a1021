"""A curated folder through the readers people use: the same rows, columns and types as were written, or not.

    python benchmarks/conformance/curate/readers.py [--peer-python PATH]

PATH is an interpreter with the packages of PEERS; without it one is made in a temporary folder. Spark asks for a Java
runtime. Nothing is fetched but the packages. The documents are a part of the shipped sample, and texts of it again with
metadata whose keys and types differ. Writes benchmarks/results/conformance_readers.csv.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

import seedbed as sb
from seedbed import sample

sys.path.insert(0, str(Path(__file__).parent / "peers"))
from table_readers import READERS, digest

PEERS = ("pyspark==4.3.0", "datasets==5.2.0", "pandas==3.1.1", "duckdb==2.0.0", "zstandard==0.25.0")
PEER = Path(__file__).parent / "peers" / "table_readers.py"
RESULTS = Path(__file__).parents[2] / "results" / "conformance_readers.csv"
METADATA: tuple[dict[str, Any], ...] = (
    {},
    {"score": 1},
    {"score": 0.5, "tags": ["a", "b"]},
    {"score": "high", "crawl": {"depth": 2}},
    {"note": "„Anführung“ 漢字 \U0001f331", "none": None},
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer-python")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        peer = asked.peer_python or install(folder / "venv")
        run = curate(folder)
        expected = written(run)
        rows = [compare(told, expected) for told in ask(peer, run, folder)]
    with RESULTS.open("w", newline="", encoding="utf-8") as out:
        writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    print(RESULTS.read_text(encoding="utf-8"))


def install(folder: Path) -> str:
    """An interpreter with the peers in it."""
    venv.create(folder, with_pip=True)
    python = str(folder / "bin" / "python")
    subprocess.run([python, "-m", "pip", "install", "--quiet", *PEERS], check=True)
    return python


def curate(folder: Path) -> Path:
    """A run with several shards, its documents also exported as JSON Lines."""
    again = folder / "again.jsonl"
    with gzip.open(sample.target_select(), "rt", encoding="utf-8") as lines:
        texts = [json.loads(line)["text"] for line in lines]
    with again.open("w", encoding="utf-8") as out:
        for i, text in enumerate(texts):
            row = {"text": text, "url": f"https://example.org/{i}", "metadata": METADATA[i % len(METADATA)]}
            out.write(json.dumps(row) + "\n")
    run = folder / "run"
    corpus = sb.curate(sample.pool()[0], again, out=run)
    for form in ("jsonl.zst", "jsonl.gz"):
        corpus.export(folder / form, to=form)
    return run


def written(run: Path) -> dict[str, Any]:
    """What every reader should see, as the library that wrote it reads it."""
    table = pq.read_table(run / "documents")
    types = {name: str(kind) for name, kind in zip(table.schema.names, table.schema.types, strict=True)}
    return {"columns": list(types), "types": types, "rows": table.num_rows, "digest": digest(table.to_pylist())}


def ask(python: str, run: Path, folder: Path) -> Iterator[dict[str, Any]]:
    """What each reader saw of each layout; a reader runs in a process of its own."""
    for reader in READERS:
        command = [python, str(PEER), reader, str(run), str(folder)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        for line in done.stdout.splitlines():
            if line.startswith("{"):
                yield json.loads(line)


def compare(told: dict[str, Any], expected: dict[str, Any]) -> dict[str, Any]:
    """A row of the results; columns are compared by name, since JSON readers sort them."""
    seen = {"columns_equal": "", "types_equal": "", "rows": "", "every_row_equal": ""}
    if "rows" in told:
        seen = {
            "columns_equal": sorted(told["types"]) == sorted(expected["columns"]),
            "types_equal": all(
                family(kind) == family(expected["types"][name])
                for name, kind in told["types"].items()
                if (told["kind"], name) != ("json", "metadata")  # an object there, a text in Parquet
            ),
            "rows": told["rows"],
            "every_row_equal": told["digest"] == expected["digest"],
        }
    names = ("reader", "version", "what", "how", "opened")
    return {name: told[name] for name in names} | seen | {"error": told.get("error", "")}


def family(kind: str) -> str:
    """One name for what readers call one type differently."""
    names = {"large_string": "text", "string": "text", "str": "text", "varchar": "text", "object": "text"}
    names |= {"int64": "whole number", "bigint": "whole number"}
    return names.get(kind.lower(), kind)


if __name__ == "__main__":
    main()
