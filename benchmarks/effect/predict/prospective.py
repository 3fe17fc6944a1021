"""Forecasts written down before the run: a ladder of small models, a law, larger models trained afterwards.

    python benchmarks/effect/predict/prospective.py --corpus FOLDER [--seeds 2] [--out runs/prospective] [--small-only]

FOLDER holds jsonl/all.jsonl (one document a line: text, metadata.package, metadata.lang). English manuals, in
pieces of 3,000 characters, near duplicates left out, at most one epoch; every fiftieth document is held out. Four sizes
of 0.06 to 0.4 M parameters at 1 to 4 M tokens are trained, a law is fitted, forecasts of larger models and longer
trainings, up to 1 M parameters and 8 M tokens, are registered in the ledger, then these are trained and the forecasts
scored: what `seedbed run ladder` does with `ladder.targets`. The same command goes on where it was stopped.

Why no shorter runs: below some 1 M tokens the loss still falls faster the longer one trains, which no power law does.

Writes benchmarks/results/predict_prospective_runs.csv (a row a small run), predict_prospective_targets.csv (a row a
larger run), predict_prospective.csv (a row a forecast: law, value, interval, mean over the seeds of what came, relative
error, inside or not, CRPS, deviation between seeds) and predict_prospective_ledger.jsonl.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import json
import math
import shutil
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

from seedbed import api, pipeline
from seedbed.core.fingerprint import hash_file
from seedbed.curate.dedup.exact import Exact
from seedbed.curate.dedup.minhash import Minhash
from seedbed.curate.extractors.main_content import MainContent
from seedbed.curate.filters.size import Size
from seedbed.evaluate.audits.ngram_overlap import NgramOverlap
from seedbed.evaluate.tasks.bits_per_byte import BitsPerByte
from seedbed.model import counts
from seedbed.model.shape import ModelShape
from seedbed.pipeline import forecasting
from seedbed.predict import ledger
from seedbed.predict.laws.chinchilla import Chinchilla
from seedbed.predict.run import read_runs
from seedbed.recipe import EvaluatePlan, LadderPlan, Recipe, Rung
from seedbed.recipes._pages import pages
from seedbed.tokenize.tokenizers.byte_bpe import ByteBpe
from seedbed.train.objectives.causal_lm import CausalLM
from seedbed.train.optimizers.adamw import AdamW
from seedbed.train.plan import TrainPlan
from seedbed.train.schedules.cosine import Cosine

RESULTS = Path(__file__).parents[2] / "results"
PACKAGES = ("manpages", "manpages-dev", "git-doc", "postgresql-doc-15", "apache2-doc", "libreoffice-help-en-us",
            "perl-doc", "python3.11-doc")  # fmt: skip
VOCAB_SIZE, CONTEXT, SEQUENCES, RATE = 1024, 128, 8, 4e-3
SMALL = ((32, 2, 2), (48, 3, 3), (64, 4, 4), (80, 4, 4))
LENGTHS = (1_000_000, 2_000_000, 4_000_000)
TARGETS = (((112, 6, 4), 2_000_000), ((112, 6, 4), 4_000_000), ((96, 5, 4), 4_000_000), ((80, 4, 4), 8_000_000))
OTHERS: dict[str, tuple[str, dict[str, Any]]] = {
    "tied": ("chinchilla", {"tie": [["alpha", "beta"]]}),
    "kaplan": ("kaplan", {}),
}
"""Laws whose forecasts are registered beside chinchilla's."""
SHARE, EVERY, PIECE = 0.5, 50, 3_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("runs/prospective"))
    parser.add_argument("--small-only", action="store_true")
    asked = parser.parse_args()
    files = texts(asked.corpus, asked.out.with_name(asked.out.name + "_texts"))
    pool = (str(files["pool"]),)
    pipeline.run(ladder(files["held"], asked.seeds, targets=False), asked.out, inputs=pool, workers=asked.workers)
    if asked.small_only:
        return
    register_others(asked.out)
    pipeline.run(ladder(files["held"], asked.seeds, targets=True), asked.out, inputs=pool, workers=asked.workers)
    publish(asked.out)


def register_others(out: Path) -> None:
    """The other laws' forecasts, written down beside those of the recipe's law, which come next."""
    sizes = {size: float(counts.total_parameters(shape(*size))) for size, _ in TARGETS}
    batch = SEQUENCES * CONTEXT
    plans = [{"params": sizes[size], "tokens": float(tokens // batch * batch)} for size, tokens in TARGETS]
    for name, (law, settings) in OTHERS.items():
        fit = out / f"fit_{name}.json"
        if not fit.exists():
            api.fit(out / "runs.csv", law, {"params_count": "total", **settings}, out=fit)
        forecasting.register_once(out / "forecasts.jsonl", fit, plans)


def publish(out: Path) -> None:
    """The tables, from the output folder."""
    for name, to in (("runs.csv", "runs.csv"), ("targets.csv", "targets.csv"), ("forecasts.jsonl", "ledger.jsonl")):
        shutil.copyfile(out / name, RESULTS / f"predict_prospective_{to}")
    runs = read_runs(RESULTS / "predict_prospective_runs.csv").to_pylist()
    fits = {hash_file(fit): fit.stem.removeprefix("fit").strip("_") or "chinchilla" for fit in out.glob("fit*.json")}
    lines = ledger.read(out / "forecasts.jsonl")
    forecasts = {str(line["id"]): line for line in lines if line["kind"] == "forecast"}
    rows: list[dict[str, object]] = []
    for line in lines:
        if line["kind"] != "outcome":
            continue
        said = forecasts[str(line["forecast"])]
        plan = cast("dict[str, float]", said["plan"])
        numbers = [said["value"], said["low"], said["high"], line["mean"], line["error"]]
        names = ("forecast", "low", "high", "came", "relative_error")
        law = fits[str(said["fit_hash"])]
        rows.append({"law": law, "params": round(plan["params"]), "tokens": round(plan["tokens"]),
                     **{name: f"{cast(float, x):.5f}" for name, x in zip(names, numbers, strict=True)},
                     "inside": line["inside"], "crps_relative": f"{cast(float, line['crps_relative']):.5f}",
                     "seed_noise": f"{cast(float, line['seed_noise']):.5f}",
                     "prospective": line["prospective"]})  # fmt: skip
    with (RESULTS / "predict_prospective.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    noise = seed_noise(runs)
    print(f"deviation between seeds of a small run, pooled over the rungs: {100 * noise:.2f} %")
    for law in sorted({str(row["law"]) for row in rows}):
        mine = [row for row in rows if row["law"] == law]
        off = [abs(float(str(row["relative_error"]))) for row in mine]
        inside = sum(bool(row["inside"]) for row in mine)
        print(f"{law}: median error {100 * float(np.median(off)):.2f} %, {inside} of {len(mine)} intervals held")


def seed_noise(runs: Sequence[Mapping[str, Any]]) -> float:
    """Relative deviation of one run, from the seeds of each rung."""
    rungs: dict[tuple[float, float], list[float]] = {}
    for run in runs:
        rungs.setdefault((run["params"], run["tokens"]), []).append(math.log(run["loss"]))
    spreads = [float(np.var(losses, ddof=1)) for losses in rungs.values() if len(losses) > 1]
    return math.sqrt(float(np.mean(spreads)))


def shape(width: int, layers: int, heads: int) -> ModelShape:
    return ModelShape(vocab_size=VOCAB_SIZE, d_model=width, n_layers=layers, n_heads=heads, context=CONTEXT)


def texts(corpus: Path, folder: Path) -> dict[str, Path]:
    """pool and held: English documents of the packages, by a hash of the text, so that every call gives the same."""
    files = {name: folder / f"{name}.jsonl" for name in ("pool", "held")}
    if all(file.exists() for file in files.values()):
        return files
    folder.mkdir(parents=True, exist_ok=True)
    kept: dict[str, list[str]] = {"pool": [], "held": []}
    with (corpus / "jsonl" / "all.jsonl").open(encoding="utf-8") as lines:
        for line in lines:
            told = json.loads(line)
            if told["metadata"]["lang"] != "en" or told["metadata"]["package"] not in PACKAGES:
                continue
            text = told["text"]
            drawn = zlib.crc32(text.encode())
            if drawn % 1000 < 1000 * SHARE:
                side = kept["held" if drawn // 1000 % EVERY == 0 else "pool"]
                side += [json.dumps({"text": text[at : at + PIECE]}) for at in range(0, len(text), PIECE)]
    for name, file in files.items():
        file.write_text("\n".join(kept[name]) + "\n", encoding="utf-8")
    return files


def ladder(held: Path, seeds: int, *, targets: bool) -> Recipe:
    sizes = tuple(shape(*size) for size in SMALL)
    larger = tuple(Rung(shape(*size), tokens) for size, tokens in TARGETS) if targets else ()
    return Recipe(
        name="prospective",
        about="a ladder of small models on manuals, and forecasts of larger ones made before they are trained",
        curate=dataclasses.replace(pages(MainContent(), Size(), Exact(), Minhash()), shard_bytes=4 << 20),
        tokenizer=ByteBpe(vocab_size=VOCAB_SIZE),
        train=TrainPlan(
            shape=sizes[0],
            objective=CausalLM(),
            optimizer=AdamW(),
            schedule=Cosine(warmup_fraction=0.05),
            tokens=LENGTHS[0],
            batch_sequences=SEQUENCES,
            learning_rate=RATE,
        ),
        ladder=LadderPlan(sizes, LENGTHS, Chinchilla(params_count="total"), "manuals", seeds=seeds, targets=larger),
        evaluate=EvaluatePlan({"manuals": str(held)}, target="manuals", task=BitsPerByte(), audit=NgramOverlap()),
    )


if __name__ == "__main__":
    main()
