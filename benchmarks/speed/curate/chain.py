"""How fast the default English curation is, step by step, on the shipped pages: MB of text per CPU-second, one process.

    python benchmarks/speed/curate/chain.py [--repeats 5]

Writes benchmarks/results/speed_curate.csv with medians. Kernels are warm; reading files is timed apart.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from seedbed import recipes, sample
from seedbed.core.nouns import DocumentBatch
from seedbed.curate.contract import Deduper, Edit

RESULTS = Path(__file__).parents[2] / "results" / "speed_curate.csv"


def seconds(work: Callable[[], object], repeats: int) -> float:
    """Median CPU-seconds of `work`."""
    spent: list[float] = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        spent.append(time.process_time() - start)
    return statistics.median(spent)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    asked = parser.parse_args()
    plan = recipes.load("fineweb_en").curate
    reader = next(r for r in plan.readers if r.name() == "warc")
    records = [record for file in sample.pool() for record in reader.records(file) if record.kind == "html"]
    html = sum(len(record.content) for record in records) / 1e6
    texts = [plan.extractor.extract(record) for record in records]
    size = sum(len(text.encode()) for text in texts) / 1e6
    rows: list[list[object]] = []

    def note(step: str, what: str, megabytes: float, spent: float) -> None:
        rows.append([step, what, f"{megabytes:.1f}", f"{spent:.3f}", f"{megabytes / spent:.1f}"])
        print(*rows[-1])

    note("read warc", "HTML", html, seconds(lambda: [list(reader.records(f)) for f in sample.pool()], asked.repeats))
    note("extract", "HTML", html, seconds(lambda: [plan.extractor.extract(r) for r in records], asked.repeats))
    rows_ = DocumentBatch.of(texts).rows
    total = 0.0
    for step in plan.steps:
        ask = step.edit if isinstance(step, Edit) else step.signatures if isinstance(step, Deduper) else step.measure
        ask(DocumentBatch(rows_))
        spent = seconds(lambda ask=ask: ask(DocumentBatch(rows_)), asked.repeats)  # words are found anew each time
        total += spent
        note(step.name(), "text", size, spent)
    note("all steps", "text", size, total)
    with RESULTS.open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["step", "of", "megabytes", "cpu_seconds", "megabytes_per_cpu_second"])
        writer.writerows(rows)


if __name__ == "__main__":
    main()
