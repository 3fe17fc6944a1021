"""The demo's question over more seeds: random, DSIR, CoLoR-Filter and the clean-label ceiling on the shipped text.

    python benchmarks/effect/select/demo_arms.py [--seeds 5] [--out runs/demo_arms]

Writes benchmarks/results/demo_arms.csv (a row an arm, seed and domain) and demo_arms_differences.csv (paired, with
intervals, at equal tokens and at equal total cost).
"""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path

from seedbed import api

RESULTS = Path(__file__).parents[2] / "results"
ROW = ("arm", "seed", "domain", "bits_per_byte", "tokens", "flops_train", "flops_select", "epochs")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", default="runs/demo_arms")
    asked = parser.parse_args()
    index = api.run("demo", asked.out, settings={"compare.seeds": asked.seeds}, workers=2)
    result = json.loads(json.dumps(index["compare"]))
    RESULTS.mkdir(exist_ok=True)
    with (RESULTS / "demo_arms.csv").open("w", newline="") as out:
        writer = csv.DictWriter(out, ROW, extrasaction="ignore")
        writer.writeheader()
        writer.writerows({**row, "bits_per_byte": f"{row['bits_per_byte']:.5f}"} for row in result["rows"])
    with (RESULTS / "demo_arms_differences.csv").open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["arm", "opponent", "terms", "domain", "difference", "low", "high", "level", "seeds"])
        for d in result["differences"]:
            i = d["bits_per_byte"]
            numbers = [f"{i[name]:.5f}" for name in ("value", "low", "high")]
            writer.writerow([d["arm"], d["opponent"], d["terms"], d["domain"], *numbers, i["level"], i["n"]])
    print("\n".join(result["verdict"]))


if __name__ == "__main__":
    main()
