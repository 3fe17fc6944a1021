"""One curation in a fresh process, and what it cost: a line of JSON.

    python job.py INPUT_FOLDER OUT_FOLDER --dialect paper --workers 1

The kernels are warm (a document is curated first, elsewhere); the report is left out. CPU-seconds are those of this
process and of all that it starts.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import resource
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from seedbed.core import arrow
from seedbed.curate.edits.c4_lines import C4Lines
from seedbed.curate.filters.c4_quality import C4Quality
from seedbed.curate.filters.fineweb_quality import FinewebQuality
from seedbed.curate.filters.gopher_quality import GopherQuality
from seedbed.curate.filters.gopher_repetition import GopherRepetition
from seedbed.pipeline.data import curate_into
from seedbed.pipeline.workplace import Workplace
from seedbed.recipe import Recipe
from seedbed.recipes import fineweb_en


def chain(dialect: Any) -> Recipe:
    """FineWeb's filters in its order and with its thresholds, without language and duplicates."""
    lines = C4Lines(dialect=dialect, terminal_punctuation=False, min_words_per_line=3)
    steps = (
        GopherRepetition(dialect=dialect),
        GopherQuality(dialect=dialect),
        lines,
        C4Quality(dialect=dialect, min_sentences=5),
        FinewebQuality(dialect=dialect),
    )
    recipe = fineweb_en.recipe()
    return dataclasses.replace(recipe, curate=dataclasses.replace(recipe.curate, steps=steps, survivors=()))


def cpu_seconds() -> float:
    """Of this process, its ended children, and those that still live."""
    spent = sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return spent + sum(map(_cpu_of_tree, _children(os.getpid())))


def peak_megabytes() -> float:
    """The most memory that this process, or one that it started and that has ended, ever had."""
    return max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) / 1e3


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += map(int, (task / "children").read_text().split())
    return found


def _cpu_of_tree(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK") + sum(map(_cpu_of_tree, _children(pid)))
    except OSError:
        return 0.0


class Noting:
    """An engine that notes when the first document was measured; for one worker."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.first: float | None = None

    def run(self, function: Any, tasks: Sequence[Any], *, label: str, total: float, unit: str) -> list[Any]:
        def noted(task: Any, tick: Any) -> Any:
            return function(task, lambda amount: (self._note(), tick(amount)))

        asked = noted if label.startswith("measure") and self._inner.workers == 1 else function
        return self._inner.run(asked, tasks, label=label, total=total, unit=unit)

    def _note(self) -> None:
        self.first = self.first or time.time()


def curate(folder: Path, out: Path, dialect: str, workers: int) -> tuple[list[bool], float | None]:
    """(kept, by document, when the first document was measured)."""
    with Workplace.open(out, workers) as place:
        engine = Noting(place.engine)
        curated = curate_into(dataclasses.replace(place, engine=engine), chain(dialect), [str(folder)])
    return arrow.numpy(curated.decisions.table(["kept"]), "kept").tolist(), engine.first


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--dialect", default="paper")
    parser.add_argument("--workers", type=int, default=1)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        Path(scratch, "in.jsonl").write_text(json.dumps({"text": "A page of one line, to begin with."}) + "\n")
        _, first = curate(Path(scratch, "in.jsonl"), Path(scratch, "out"), asked.dialect, 1)
    cpu, wall = cpu_seconds(), time.time()
    kept, _ = curate(asked.folder, asked.out, asked.dialect, asked.workers)
    told = {"cpu": cpu_seconds() - cpu, "wall": time.time() - wall, "start_cpu": cpu, "first": first, "kept": kept}
    told["peak"] = peak_megabytes()
    print(json.dumps(told))


if __name__ == "__main__":
    main()
