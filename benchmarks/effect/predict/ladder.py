"""The ladder's runs as a table, and how well a law fitted to the smaller ones forecasts the largest.

    python benchmarks/effect/predict/ladder.py [--out runs/ladder]

Writes benchmarks/results/ladder.csv (a row a run) and ladder_forecast.csv: the law fitted without the largest size, its
forecast of those runs with the interval, and what they came to.
"""

from __future__ import annotations

import argparse
import csv
import shutil
from pathlib import Path

import pyarrow.compute as pc

from seedbed import api
from seedbed.core import arrow
from seedbed.core.errors import SeedbedError
from seedbed.predict.laws.chinchilla import Chinchilla
from seedbed.predict.run import read_runs

RESULTS = Path(__file__).parents[2] / "results"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="runs/ladder")
    asked = parser.parse_args()
    api.run("ladder", asked.out, workers=2)
    RESULTS.mkdir(exist_ok=True)
    shutil.copyfile(Path(asked.out) / "runs.csv", RESULTS / "ladder.csv")
    runs = read_runs(RESULTS / "ladder.csv")
    params = arrow.numpy(runs, "params")
    smaller = runs.filter(pc.less(runs["params"], params.max()))
    fitted = Chinchilla().fit(smaller)
    with (RESULTS / "ladder_forecast.csv").open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["params", "tokens", "loss", "forecast", "low", "high", "relative_error", "inside"])
        for row in runs.filter(pc.equal(runs["params"], params.max())).to_pylist():
            try:
                value, low, high = fitted.forecast({"params": row["params"], "tokens": row["tokens"]})
            except SeedbedError as error:
                print(error)
                continue
            error = value / row["loss"] - 1
            inside = low <= row["loss"] <= high
            numbers = [f"{x:.4f}" for x in (row["loss"], value, low, high, error)]
            writer.writerow([row["params"], row["tokens"], *numbers, inside])
    print((RESULTS / "ladder_forecast.csv").read_text())
    for warning in fitted.warnings:
        print(f"warning: {warning}")


if __name__ == "__main__":
    main()
