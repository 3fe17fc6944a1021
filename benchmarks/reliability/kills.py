"""Kill a run at random moments, start it again with the same command, and compare every byte with an undisturbed run.

    python benchmarks/reliability/kills.py [--kills 30] [--recipe smoke]

Writes benchmarks/results/kills.csv: a row a kill, with what was under way, and a last row with the verdict.
"""

from __future__ import annotations

import argparse
import csv
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RESULTS = Path(__file__).parents[1] / "results" / "kills.csv"
SKIP = {"run_log.json", ".lock", ".log.lock", "report.html"}


def tree(out: Path) -> dict[str, bytes]:
    """Every file but the logs of seconds (which the report shows too)."""
    return {
        str(p.relative_to(out)): p.read_bytes() for p in sorted(out.rglob("*")) if p.is_file() and p.name not in SKIP
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--recipe", default="smoke")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    moments = random.Random(asked.seed)
    with tempfile.TemporaryDirectory() as folder:
        whole, broken = Path(folder, "whole"), Path(folder, "broken")
        command = [sys.executable, "-m", "seedbed", "run", asked.recipe, "--workers", "2", "--out"]
        start = time.monotonic()
        subprocess.run([*command, str(whole)], check=True, capture_output=True)
        length = time.monotonic() - start
        rows: list[list[object]] = []
        for number in range(asked.kills):
            log = Path(folder, "stderr")
            with log.open("w") as errors:
                process = subprocess.Popen(
                    [*command, str(broken)], stderr=errors, stdout=subprocess.DEVNULL, start_new_session=True
                )
                seconds = moments.uniform(2.0, 2.0 + length / 2)
                try:
                    process.wait(seconds)
                    rows.append([number, f"{seconds:.2f}", "finished before the kill"])
                    break
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
            partial = sorted(path.name for path in (broken / "artifacts").glob("*.partial")) if broken.exists() else []
            rows.append([number, f"{seconds:.2f}", " ".join(partial) or "between artifacts"])
        subprocess.run([*command, str(broken)], check=True, capture_output=True)
        same = tree(whole) == tree(broken)
    rows.append(["all", f"{length:.1f}", "every byte the same" if same else "DIFFERENT BYTES"])
    RESULTS.parent.mkdir(exist_ok=True)
    with RESULTS.open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["kill", "seconds", "under way"])
        writer.writerows(rows)
    print(f"{len(rows) - 1} kills: {rows[-1][2]}; {RESULTS}")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
