"""Kill a curation of 200 MB at random moments, go on with the same command, and compare every byte.

    python benchmarks/reliability/curate_kills.py --corpus DIR [--kills 20] [--megabytes 200]

DIR holds jsonl/*.jsonl: an object a line with `text` (and `language`, `package`, `path`). The beginning of it, cut at a
line, is dealt out to fifty files. Two workers; the whole process group is killed (SIGKILL). After the last kill the
same command runs to its end. Writes benchmarks/results/curate_kills.csv: a row a kill, with what was under way, and a
last row with the verdict over every file of the folder but the log of seconds and the report that shows it.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RESULTS = Path(__file__).parents[1] / "results" / "curate_kills.csv"
SKIP = {"run_log.json", ".lock", ".log.lock", "report.html"}
N_FILES = 50


def cut(corpus: Path, folder: Path, n_bytes: int) -> int:
    """Deal the first lines out to files; gives the bytes written."""
    folder.mkdir()
    written = 0
    outs = [(folder / f"part-{i}.jsonl").open("wb") for i in range(N_FILES)]
    for file in sorted((corpus / "jsonl").glob("*.jsonl")):
        with file.open("rb") as lines:
            for line in lines:
                if written >= n_bytes:
                    break
                outs[min(written * N_FILES // n_bytes, N_FILES - 1)].write(line)
                written += len(line)
    for out in outs:
        out.close()
    return written


def tree(out: Path) -> dict[str, str]:
    """Every file with the hash of its bytes."""
    files = (path for path in sorted(out.rglob("*")) if path.is_file() and path.name not in SKIP)
    return {str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def compared(whole: Path, broken: Path) -> set[str]:
    """Files that are not the same in both."""
    one, other = tree(whole), tree(broken)
    return {name for name in one.keys() | other.keys() if one.get(name) != other.get(name)}


def under_way(out: Path) -> str:
    """The unfinished artifacts, or between which the kill fell."""
    partial = sorted(path.name.removesuffix(".partial") for path in (out / "artifacts").glob("*.partial"))
    finished = len(list((out / "artifacts").glob("*/manifest.json")))
    return " ".join(partial) or f"between artifacts ({finished} finished)"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--corpus", type=Path, default=os.environ.get("SEEDBED_CORPUS"), required="SEEDBED_CORPUS" not in os.environ
    )
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--megabytes", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--scratch", type=Path, help="where the runs lie while they are compared")
    asked = parser.parse_args()
    moments = random.Random(asked.seed)
    with tempfile.TemporaryDirectory(dir=asked.scratch) as scratch:
        whole, broken, given = (Path(scratch, name) for name in ("whole", "broken", "input"))
        size = cut(asked.corpus, given, asked.megabytes * 1_000_000)
        command = [sys.executable, "-m", "seedbed", "curate", str(given), "--workers", "2", "--out"]
        start = time.monotonic()
        subprocess.run([*command, str(whole)], check=True, capture_output=True)
        length = time.monotonic() - start
        rows: list[list[object]] = []
        differing: set[str] = set()
        while len(rows) < asked.kills:
            process = subprocess.Popen(
                [*command, str(broken)], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True
            )
            seconds = moments.uniform(2.0, 2.0 + length / 5)  # each goes on from where the last one was
            try:
                process.wait(seconds)
                differing |= compared(whole, broken)  # it finished: from the start again
                shutil.rmtree(broken)
                continue
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            rows.append([len(rows), f"{seconds:.2f}", under_way(broken)])
        subprocess.run([*command, str(broken)], check=True, capture_output=True)
        differing |= compared(whole, broken)
        n_files = len(tree(whole))
    verdict = (
        f"every byte the same in {n_files} files" if not differing else f"DIFFERENT: {' '.join(sorted(differing)[:9])}"
    )
    rows.append([f"all {len(rows)}", f"{length:.1f}", f"{size / 1e6:.0f} MB, {verdict}"])
    with RESULTS.open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["kill", "seconds", "under way"])
        writer.writerows(rows)
    print(f"{len(rows) - 1} kills: {rows[-1][2]}; {RESULTS}")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
