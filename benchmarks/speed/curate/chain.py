"""How fast the FineWeb chain is, beside datatrove's on the same documents, and how often the verdicts agree.

    python benchmarks/speed/curate/chain.py --corpus DIR --peer-python PYTHON [--repeats 5]

The job: read JSON Lines, measure Gopher repetition, Gopher quality, C4 (lines cut, pages counted) and FineWeb quality,
store every number, decide, write what is kept. One process and one thread each, kernels and models warm, CPU-seconds
of the whole process tree; medians of `repeats`, the engines taking turns. Writes benchmarks/results/speed_curate.csv:

    chain      MB of text per CPU-second; datatrove reads fewer documents, because it is slow
    linear     the same from 1 MB to 1 GB
    workers    wall-clock speed of one worker and of two
    start      seconds from the start of the command until the first document is measured

DIR holds *.jsonl files with `text`, and `language` at the top or `lang` in `metadata`; PYTHON has
"datatrove[io,processing]==0.10.1" and spaCy. `agreement` is the percentage of documents on which the verdict, kept or
dropped, is that of the row's peer.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

import slices  # noqa: E402

RESULTS = HERE.parents[1] / "results" / "speed_curate.csv"
COLUMNS = ["what", "engine", "words", "workers", "documents", "megabytes", "cpu_seconds", "megabytes_per_cpu_second",
           "wall_seconds", "megabytes_per_second", "repeats", "agreement", "peer"]  # fmt: skip
Told = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Engine:
    """What is run: a script, its interpreter and its options."""

    name: str
    words: str
    python: str
    script: str
    options: tuple[str, ...]

    def run(self, folder: Path, *more: str) -> Told:
        """One run in a fresh process and an empty output folder."""
        out = folder.parent / "out"
        shutil.rmtree(out, ignore_errors=True)
        command = [self.python, str(HERE / self.script), str(folder), str(out), *self.options, *more]
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        started = time.time()
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment)
        shutil.rmtree(out, ignore_errors=True)
        return {**json.loads(done.stdout.splitlines()[-1]), "started": started}


def ours(dialect: str) -> Engine:
    words = {"paper": "whitespace", "datatrove": "as spaCy"}[dialect]
    return Engine(f"seedbed {dialect}", words, sys.executable, "job.py", ("--dialect", dialect))


def datatrove(python: str, words: str) -> Engine:
    return Engine("datatrove 0.10.1", words, python, "peers/datatrove_chain.py", ("--words", words))


def row(what: str, engine: Engine, folder: Path, runs: list[Told], workers: int = 1) -> dict[str, Any]:
    """A line of the results."""
    megabytes = slices.text_megabytes(folder)
    cpu, wall = (statistics.median(run[name] for run in runs) for name in ("cpu", "wall"))
    found = {
        "what": what,
        "engine": engine.name,
        "words": engine.words,
        "workers": workers,
        "documents": len(slices.ids(folder)),
        "megabytes": f"{megabytes:.1f}",
        "cpu_seconds": f"{cpu:.3f}",
        "megabytes_per_cpu_second": f"{megabytes / cpu:.2f}",
        "wall_seconds": f"{wall:.3f}",
        "megabytes_per_second": f"{megabytes / wall:.2f}",
        "repeats": len(runs),
    }
    print(found, flush=True)
    return found


def verdicts(told: Told, folder: Path) -> dict[str, bool]:
    """Id -> kept."""
    keys = slices.ids(folder)
    if "kept_ids" in told:
        kept = set(told["kept_ids"])
        return {key: key in kept for key in keys}
    return dict(zip(keys, told["kept"], strict=True))


def agreement(one: dict[str, bool], other: dict[str, bool]) -> str:
    """Percent of the documents both have seen."""
    both = [key for key in one if key in other]
    return f"{100 * sum(one[key] == other[key] for key in both) / len(both):.2f}"


def compare(asked: argparse.Namespace, slice_of: Callable[[float], Path]) -> list[dict[str, Any]]:
    """Every engine, in turns; datatrove's documents are the first of ours."""
    engines = [ours("paper"), ours("datatrove")]
    sizes = [asked.megabytes, asked.megabytes]
    if asked.peer_python:
        engines += [datatrove(asked.peer_python, words) for words in ("spacy", "plain")]
        sizes += [asked.peer_megabytes, asked.peer_megabytes]
    folders = [slice_of(size) for size in sizes]
    runs: list[list[Told]] = [[] for _ in engines]
    for _ in range(asked.repeats):
        for i, engine in enumerate(engines):
            runs[i].append(engine.run(folders[i]))
    found = [row("chain", engine, folders[i], runs[i]) for i, engine in enumerate(engines)]
    if asked.peer_python:
        kept = [verdicts(run[0], folder) for run, folder in zip(runs, folders, strict=True)]
        for i in (0, 1, 3):
            found[i] |= {"agreement": agreement(kept[i], kept[2]), "peer": "datatrove 0.10.1, spaCy words"}
    return found


def measure_sizes(asked: argparse.Namespace, slice_of: Callable[[float], Path]) -> list[dict[str, Any]]:
    """The same job over more and more text."""
    found: list[dict[str, Any]] = []
    for size in asked.sizes:
        folder = slice_of(size)
        runs = [ours("paper").run(folder) for _ in range(asked.repeats)]
        found.append(row("linear", ours("paper"), folder, runs))
    return found


def measure_workers(asked: argparse.Namespace, slice_of: Callable[[float], Path]) -> list[dict[str, Any]]:
    """One worker and two, in turns."""
    folder = slice_of(asked.workers_megabytes)
    runs: dict[int, list[Told]] = {1: [], 2: []}
    for _ in range(asked.repeats):
        for workers in runs:
            runs[workers].append(ours("paper").run(folder, "--workers", str(workers)))
    return [row("workers", ours("paper"), folder, runs[workers], workers) for workers in runs]


def measure_start(asked: argparse.Namespace, slice_of: Callable[[float], Path]) -> list[dict[str, Any]]:
    """From the start of the process to the first document that is read and measured."""
    folder = slice_of(1)
    runs = [ours("paper").run(folder) for _ in range(asked.repeats)]
    wall = statistics.median(run["first"] - run["started"] for run in runs)
    found = {"what": "start", "engine": "seedbed paper", "words": "whitespace", "workers": 1, "documents": 1}
    found |= {"wall_seconds": f"{wall:.3f}", "repeats": len(runs)}
    print(found, flush=True)
    return [found]


PARTS = {"chain": compare, "linear": measure_sizes, "workers": measure_workers, "start": measure_start}


def kept_rows(parts: list[str]) -> list[dict[str, Any]]:
    """Rows of an earlier run, of the parts that are not measured now."""
    if not RESULTS.exists():
        return []
    with RESULTS.open(encoding="utf-8") as old:
        return [found for found in csv.DictReader(old) if found["what"] not in parts]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, default=os.environ.get("SEEDBED_CORPUS"), required=False)
    parser.add_argument("--peer-python", default="", help="without it datatrove is left out")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--megabytes", type=float, default=100)
    parser.add_argument("--peer-megabytes", type=float, default=5)
    parser.add_argument("--sizes", type=float, nargs="*", default=[1, 10, 100, 1000])
    parser.add_argument("--workers-megabytes", type=float, default=400)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), help="the rows of others stay")
    asked = parser.parse_args()
    if asked.corpus is None:
        parser.error("--corpus DIR, or SEEDBED_CORPUS, says where the documents are")
    with tempfile.TemporaryDirectory() as scratch:

        def slice_of(megabytes: float) -> Path:
            return slices.cut(Path(asked.corpus), megabytes, Path(scratch, f"{megabytes:g}", "in"))

        ours("paper").run(slice_of(1))  # compiles what is not compiled yet
        rows = kept_rows(asked.parts)
        for part in asked.parts:
            rows += PARTS[part](asked, slice_of)
    with RESULTS.open("w", newline="", encoding="utf-8") as out:
        writer = csv.DictWriter(out, COLUMNS, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(sorted(rows, key=lambda found: list(PARTS).index(found["what"])))


if __name__ == "__main__":
    main()
