"""The whole loss curve of an unseen larger run, at a batch size that was never tried, from runs of small models.

    python benchmarks/effect/predict/trajectory.py --corpus FOLDER [--minutes 60] [--out runs/trajectory]

FOLDER holds jsonl/all.jsonl (one document a line: text, metadata.package, metadata.lang). Decoders of 0.06 to 0.32 M
parameters (0.02 to 0.22 M without embeddings) are trained on English manuals at a rate that stays after a warm-up of
WARMUP steps, the smallest of them at four batch sizes. The rate goes with the square root of the batch and against the
width; it is tuned for none of them. Every passage is read at most once, so the loss of a step is that of text not seen
before: no other held-out set is needed. The trajectory law is fitted to the small runs; then its forecast is held
against every window of a run of 1.4 M parameters (1.24 M without) at a batch between two of the small runs'.

Writes into --results: predict_trajectory_curves.csv (means of windows, evenly spaced in log steps, of all runs) and
predict_trajectory.csv: a row a forecast, of the large run by several ways of fitting, and of each inner batch size of
the smallest size by a fit without that run. Errors are relative, over windows of the last 80 percent of the steps;
`held` is the share of windows that the 95 percent interval holds. The critical batch is that at the last loss of the
run, beside that of the hyperbolas through the smallest size at the lowest loss these reach; the least steps those to
the last loss, beside the run's own steps less what its batch cost by the critical batch.

Runs that are there are not run again; after --minutes of processor time no further run is begun. 10 to 15 such minutes.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import itertools
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path += [str(Path(__file__).parents[1] / room) for room in ("train", "continual")]
import texts
from paired import RESULTS, source, trained

from seedbed.core.errors import SeedbedError

CONTEXT, VOCAB, WARMUP, WINDOWS = 64, 1024, 40, 40
RATE, AT_BATCH, AT_WIDTH = 4e-3, 2048, 64
TOKENS = {512: 600_000, 1024: 900_000, 2048: 1_200_000, 4096: 1_800_000}
SMALL = [(32, batch) for batch in TOKENS] + [(96, 2048), (64, 1024), (48, 2048), (64, 4096)]
LARGE = (160, 4, 3072)
LARGE_TOKENS = 1_200_000
EARLY, SKIPPED = 0.2, 0.15
"""Shares of a run's steps: of the large one before its errors count, of the small ones left out as warm-up."""
CURVES = ("params", "total_params", "batch_tokens", "steps", "tokens", "loss")
ERRORS = ("fit", "params", "batch_tokens", "points", "mean_error", "median_error", "most_error", "held", "end_loss",
          "end_forecast", "critical_batch", "swept_critical_batch", "least_steps", "least_steps_seen",
          "bound_hits")  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Run:
    """A training: how wide and deep, and how many tokens a step."""

    width: int
    layers: int
    batch_tokens: int

    @property
    def shape(self) -> Any:
        from seedbed.model.shape import ModelShape

        heads = max(2, self.width // 32)
        return ModelShape(VOCAB, d_model=self.width, n_layers=self.layers, n_heads=heads, context=CONTEXT)

    @property
    def steps(self) -> int:
        return TOKENS.get(self.batch_tokens, LARGE_TOKENS) // self.batch_tokens

    @property
    def file(self) -> str:
        return f"{self.width}-{self.layers}-{self.batch_tokens}.npy"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--out", type=Path, default=Path("runs/trajectory"))
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--train-only", action="store_true", help="no fits")
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    left: list[Run] = []
    for run in (*(Run(width, 2, batch) for width, batch in SMALL), Run(*LARGE)):
        if (asked.out / run.file).exists():
            continue
        if time.process_time() > 60 * asked.minutes:
            left.append(run)
            continue
        train(run, rows(asked.corpus, asked.out), asked.out)
    print(f"{len(left)} runs are left", flush=True)
    if asked.train_only:
        return
    report(asked.out, asked.results)


def rows(corpus: Path, out: Path) -> np.ndarray:
    """Passages of the corpus under a tokenizer of its own; made once."""
    from seedbed.pipeline import data
    from seedbed.pipeline.workplace import Workplace
    from seedbed.recipes import demo
    from seedbed.sample import pool
    from seedbed.tokenize.encode import Encoder
    from seedbed.tokenize.run import make_tokenizer

    file = out / "rows.npy"
    if not file.exists():
        recipe = demo.recipe()
        assert recipe.tokenizer is not None
        with Workplace.open(out / "tokenizer", workers=1) as place:
            documents = data.texts_into(place, recipe.curate, pool())
            smaller = dataclasses.replace(recipe.tokenizer, vocab_size=VOCAB)
            encoder = Encoder.open(make_tokenizer(smaller, documents, place.store).path)
        read, _ = texts.documents(corpus, lambda _package, language: language == "en", 20_000)
        order = np.random.default_rng(0).permutation(len(read))
        np.save(file, texts.rows(encoder, [read[i] for i in order], CONTEXT, 2_500_000))
    return np.load(file)


def train(run: Run, ids_NL: np.ndarray, out: Path) -> None:
    """The loss of every step, into a file."""
    from seedbed.train.objectives.causal_lm import CausalLM
    from seedbed.train.optimizers.adamw import AdamW
    from seedbed.train.plan import TrainPlan
    from seedbed.train.schedules.warmup_stable_decay import WarmupStableDecay

    assert run.steps * run.batch_tokens <= ids_NL.size, "a passage would be read twice"
    rate = RATE * (run.batch_tokens / AT_BATCH) ** 0.5 * AT_WIDTH / run.width
    plan = TrainPlan(
        shape=run.shape,
        objective=CausalLM(),
        optimizer=AdamW(),
        schedule=WarmupStableDecay(warmup_tokens=WARMUP * run.batch_tokens, decay_fraction=0.0),
        tokens=run.steps * run.batch_tokens,
        batch_sequences=run.batch_tokens // CONTEXT,
        learning_rate=rate,
    )
    losses: list[float] = []
    begun = time.monotonic()
    read = {"text": source("text", ids_NL, seed=0, context=CONTEXT)}
    trained(plan, read, seed=0, observe=lambda step: losses.append(step.loss_nats_per_token))
    np.save(out / run.file, np.array(losses))
    print(f"{run} rate {rate:.2g}: {np.mean(losses[-20:]):.3f}, {time.monotonic() - begun:.0f} s", flush=True)


def report(out: Path, results: Path) -> None:
    """Forecasts of the large run by several fits to the small ones, and of each inner batch size by the others."""
    runs = [run for run in (*(Run(width, 2, batch) for width, batch in SMALL), Run(*LARGE))
            if (out / run.file).exists()]  # fmt: skip
    losses = {run: np.load(out / run.file) for run in runs}
    points = {run: windows(run, losses[run]) for run in runs}
    write(results / "predict_trajectory_curves.csv", CURVES, [row for run in runs for row in points[run]])
    small = [run for run in runs if run != Run(*LARGE)]
    smallest = [run for run in small if run.width == SMALL[0][0]]
    swept = sweep([row for run in smallest for row in points[run]])
    tasks: list[tuple[str, dict[str, Any], Run]] = []
    if Run(*LARGE) in runs:
        ways = {"joint": {}, "joint_offset": {"offset": True}, "staged": {"staged": True}, "total_params": {}}
        tasks += [(way, asked, Run(*LARGE)) for way, asked in ways.items()]
    one = {"fix": {"alpha_N": 0.076}} if small == smallest else {}  # of one size only the sum of two terms is known
    tasks += [(f"without_{run.batch_tokens}", one, run) for run in smallest[1:-1]]
    rows: list[dict[str, Any]] = []
    for way, asked, left_out in tasks:
        fitted_to = [row for run in small if run != left_out for row in points[run]]
        rows.append(errors(way, asked, fitted_to, left_out, losses[left_out], swept))
    write(results / "predict_trajectory.csv", ERRORS, [row for row in rows if row])


def params(run: Run, *, total: bool) -> int:
    from seedbed.model import counts

    return (counts.total_parameters if total else counts.non_embedding_parameters)(run.shape)


def windows(run: Run, losses: np.ndarray) -> list[dict[str, float]]:
    """Means over windows of steps that widen evenly in their logarithm."""
    ends = np.unique(np.geomspace(8, len(losses), WINDOWS + 1).astype(int))
    sizes = {"params": params(run, total=False), "total_params": params(run, total=True)}
    found: list[dict[str, float]] = []
    for low, high in itertools.pairwise(ends):
        steps = round(float(np.exp(np.log(np.arange(low + 1, high + 1)).mean())), 2)
        told = {"batch_tokens": run.batch_tokens, "steps": steps, "tokens": round(steps * run.batch_tokens)}
        found.append({**sizes, **told, "loss": round(float(losses[low:high].mean()), 5)})
    return found


def sweep(points: list[dict[str, float]]) -> Any:
    """The hyperbolas of one size; None where they tell nothing."""
    from seedbed.predict.laws.critical_batch import CriticalBatch

    try:
        found = CriticalBatch(skip_first=SKIPPED).fit(table(points))
    except SeedbedError as error:
        print(f"hyperbolas of the smallest size: {error}")
        return None
    print(f"hyperbolas of the smallest size: {found.coefficients}\n  {found.facts['losses']}\n  {found.warnings}")
    return found


def errors(
    way: str, asked: dict[str, Any], points: list[dict[str, float]], run: Run, losses: np.ndarray, swept: Any
) -> dict[str, Any]:
    """A row of the table; empty where the runs do not carry this way of fitting."""
    from seedbed.predict.laws.trajectory import Trajectory, critical_batch, least_steps

    total = way == "total_params"
    law = Trajectory(skip_first=SKIPPED, params_count="total" if total else "non_embedding", n_bootstrap=100, **asked)
    try:
        fitted = law.fit(table([{**row, "params": row["total_params" if total else "params"]} for row in points]))
    except SeedbedError as error:
        print(f"{way}: {error}")
        return {}
    first = int(EARLY * len(losses))
    parts = np.array_split(np.arange(first, len(losses)), WINDOWS)
    plan = {"params": float(params(run, total=total)), "batch_tokens": float(run.batch_tokens)}
    told = [fitted.forecast({**plan, "steps": float(part.mean() + 1)}) for part in parts]
    seen = np.array([losses[part].mean() for part in parts])
    off = np.abs(np.array([each.value for each in told]) / seen - 1)
    inside = np.mean([each.low <= loss <= each.high for each, loss in zip(told, seen, strict=True)])
    numbers = {name: each.value for name, each in fitted.coefficients.items()}
    floor, last = numbers.get("offset", 0.0), float(seen[-1])
    critical = critical_batch(numbers, last - floor)
    print(f"{way}: {fitted.coefficients}\n  {fitted.facts}\n  {fitted.warnings}")
    row = {
        "fit": way,
        "params": params(run, total=total),
        "batch_tokens": run.batch_tokens,
        "points": len(fitted.runs["loss"]),
        "mean_error": off.mean(),
        "median_error": np.median(off),
        "most_error": off.max(),
        "held": inside,
        "end_loss": last,
        "end_forecast": told[-1].value,
        "critical_batch": critical,
        "swept_critical_batch": swept.predict({"loss": swept.domain[0]}) if swept else "",
        "least_steps": least_steps(numbers, plan["params"], last - floor),
        "least_steps_seen": (parts[-1].mean() + 1) / (1 + critical / run.batch_tokens),
        "bound_hits": " ".join(fitted.bound_hits),
    }
    return {name: f"{one:.5g}" if isinstance(one, float) else one for name, one in row.items()}


def table(points: list[dict[str, float]]) -> Any:
    from seedbed.core import arrow

    return arrow.table({name: [row[name] for row in points] for name in CURVES})


def write(file: Path, columns: tuple[str, ...], rows_of: list[dict[str, Any]]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", newline="", encoding="utf-8") as out:
        writer = csv.DictWriter(out, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows_of)
    print(file.read_text(encoding="utf-8") if len(rows_of) < 10 else f"{file}: {len(rows_of)} rows")


if __name__ == "__main__":
    main()
