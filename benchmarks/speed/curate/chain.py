"""How fast the FineWeb chain is, beside datatrove's on the same documents, and how often the verdicts agree.

    python benchmarks/speed/curate/chain.py --corpus DIR --peer-python PYTHON [--repeats 5]

The job: read JSON Lines, measure Gopher repetition, Gopher quality, C4 (lines cut, pages counted) and FineWeb quality,
store every number, decide, write what is kept. One process and one thread each, kernels and models warm, CPU-seconds
of the whole process tree; medians of `repeats`, the engines taking turns. Writes benchmarks/results/speed_curate.csv:

    chain      MB of text per CPU-second; datatrove reads fewer documents, because it is slow
    verdicts   the dialect "paper" against datatrove, whose words, sentences and formulas are others; which of them make
               how much of the difference is in conformance_definitions.csv
    linear     the same from 1 MB to 1 GB, the largest once; a corpus that is smaller is read again under new ids
    workers    wall-clock speed of one worker and of two
    ceiling    what two processes can reach here: two runs of one worker at once, half the text each
    start      seconds from the start of the command until the first document is measured

DIR holds *.jsonl files with `text`, and `language` at the top or `lang` in `metadata`; PYTHON has
"datatrove[io,processing]==0.10.1" and spaCy. `agreement` is the percentage of documents on which the verdict, kept or
dropped, is that of the row's peer: of the dialect "paper", the papers' formulas in plain Python, with sentences counted
by NLTK in --punkt-python (../../conformance/curate/paper.py), on the first --oracle-documents documents.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import itertools
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
sys.path[:0] = [str(HERE.parent), str(HERE.parents[1] / "conformance" / "curate")]

import paper  # noqa: E402
import slices  # noqa: E402

RESULTS = HERE.parents[1] / "results" / "speed_curate.csv"
COLUMNS = ["what", "engine", "words", "workers", "documents", "megabytes", "cpu_seconds", "megabytes_per_cpu_second",
           "wall_seconds", "megabytes_per_second", "peak_megabytes", "repeats", "agreement", "peer"]  # fmt: skip
ONCE_MEGABYTES = 1000
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
        return self.run_together([folder], *more)[0]

    def run_together(self, folders: list[Path], *more: str) -> list[Told]:
        """A run in each folder, all at the same time."""
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        started = time.time()
        running: list[subprocess.Popen[bytes]] = []
        for folder in folders:
            shutil.rmtree(folder.parent / "out", ignore_errors=True)
            command = [self.python, str(HERE / self.script), str(folder), str(folder.parent / "out")]
            command += [*self.options, *more]
            running.append(
                subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment)
            )
        told: list[Told] = []
        for process, folder in zip(running, folders, strict=True):
            output, _ = process.communicate()
            if process.returncode:
                raise subprocess.CalledProcessError(process.returncode, self.script)
            shutil.rmtree(folder.parent / "out", ignore_errors=True)
            told.append({**json.loads(output.splitlines()[-1]), "started": started})
        return told


def ours(dialect: str) -> Engine:
    words = {"paper": "whitespace", "datatrove": "as spaCy"}[dialect]
    return Engine(f"seedbed {dialect}", words, sys.executable, "job.py", ("--dialect", dialect))


def datatrove(python: str, words: str) -> Engine:
    return Engine("datatrove 0.10.1", words, python, "peers/datatrove_chain.py", ("--words", words))


def row(what: str, engine: Engine, folder: Path, runs: list[Told], workers: int = 1) -> dict[str, Any]:
    """A line of the results."""
    megabytes = slices.text_megabytes(folder)
    cpu, wall = (statistics.median(run[name] for run in runs) for name in ("cpu", "wall"))
    peaks = [run["peak"] for run in runs if "peak" in run]
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
        "peak_megabytes": f"{max(peaks):.0f}" if peaks else "",
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
    kept = [verdicts(run[0], folder) for run, folder in zip(runs, folders, strict=True)]
    if asked.peer_python:
        peer = "datatrove 0.10.1, spaCy words"
        found += [{key: found[0][key] for key in ("engine", "words", "workers")} | {"what": "verdicts"}]
        for i, mine in ((1, 1), (3, 3), (4, 0)):
            both = [key for key in kept[mine] if key in kept[2]]
            found[i] |= {"documents": len(both)} if i == 4 else {}
            found[i] |= {"agreement": agreement(kept[mine], kept[2]), "peer": peer}
    if asked.oracle_documents:
        plain = oracle_verdicts(folders[0], asked.oracle_documents, asked.punkt_python)
        found[0] |= {"agreement": agreement(kept[0], plain), "peer": f"plain Python, {len(plain)} documents"}
    print(*[(line["engine"], line.get("agreement"), line.get("peer")) for line in found], sep="\n", flush=True)
    return found


def oracle_verdicts(folder: Path, documents: int, punkt_python: str) -> dict[str, bool]:
    """Id -> kept, by the papers' formulas in plain Python."""
    rows = [json.loads(line) for line in itertools.islice(slices.lines(folder), documents)]
    _, numbers = paper.ask_oracle([found["text"] for found in rows], punkt_python)
    return {found["id"]: paper.oracle.keeps(told) for found, told in zip(rows, numbers, strict=True)}


def measure_sizes(asked: argparse.Namespace, slice_of: Callable[[float], Path]) -> list[dict[str, Any]]:
    """The same job over more and more text."""
    found: list[dict[str, Any]] = []
    for size in asked.sizes:
        folder = slice_of(size)
        runs = [ours("paper").run(folder) for _ in range(1 if size >= ONCE_MEGABYTES else asked.repeats)]
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


def measure_ceiling(asked: argparse.Namespace, slice_of: Callable[[float], Path]) -> list[dict[str, Any]]:
    """Two processes that have nothing to do with one another, each with every second file."""
    folder = slice_of(asked.workers_megabytes)
    halves = [folder.parent / f"half{i}" / "in" for i in range(2)]
    for i, half in enumerate(halves):
        half.mkdir(parents=True, exist_ok=True)
        for file in sorted(folder.glob("*.jsonl"))[i::2]:
            shutil.copyfile(file, half / file.name)
    runs: list[Told] = []
    for _ in range(asked.repeats):
        both = ours("paper").run_together(halves)
        cpu, wall = sum(run["cpu"] for run in both), max(run["wall"] for run in both)
        runs.append({"cpu": cpu, "wall": wall, "peak": max(run["peak"] for run in both)})
    return [row("ceiling", ours("paper"), folder, runs, 2)]


def measure_start(asked: argparse.Namespace, slice_of: Callable[[float], Path]) -> list[dict[str, Any]]:
    """From the start of the process to the first document that is read and measured."""
    folder = slice_of(1)
    runs = [ours("paper").run(folder) for _ in range(asked.repeats)]
    wall = statistics.median(run["first"] - run["started"] for run in runs)
    found = {"what": "start", "engine": "seedbed paper", "words": "whitespace", "workers": 1, "documents": 1}
    found |= {"wall_seconds": f"{wall:.3f}", "repeats": len(runs)}
    print(found, flush=True)
    return [found]


PARTS = {"chain": compare, "linear": measure_sizes, "workers": measure_workers}
PARTS |= {"ceiling": measure_ceiling, "start": measure_start}
ORDER = ["chain", "verdicts", *list(PARTS)[1:]]


def kept_rows(parts: list[str]) -> list[dict[str, Any]]:
    """Rows of an earlier run, of the parts that are not measured now."""
    if not RESULTS.exists():
        return []
    with RESULTS.open(encoding="utf-8") as old:
        made = {*parts, *(["verdicts"] if "chain" in parts else [])}
        return [found for found in csv.DictReader(old) if found["what"] not in made]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, default=os.environ.get("SEEDBED_CORPUS"), required=False)
    parser.add_argument("--peer-python", default="", help="without it datatrove is left out")
    parser.add_argument("--punkt-python", default="", help="without it sentences are taken from Seedbed")
    parser.add_argument("--oracle-documents", type=int, default=5000)
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
        writer.writerows(sorted(rows, key=lambda found: ORDER.index(found["what"])))


if __name__ == "__main__":
    main()
