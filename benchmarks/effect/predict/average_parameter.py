"""Do dense and pruned runs lie on one surface of average parameters and tokens? And when is pruning best begun?

    python benchmarks/effect/predict/average_parameter.py [--part law schedules schedules_long] [--seeds 3]
                                        [--tokens 400000] [--corpus FOLDER] [--work FOLDER] [--out FOLDER]

law         dense runs of four sizes and three lengths, and runs of two of these sizes pruned by the preset (25 to 75 %
            of compute) to two sparsities at the two greater lengths, one seed. Three laws are fitted to the same runs:
            by average parameters, and Chinchilla's by the parameters at the end or at the start. Held out are the
            pruned runs of the greatest length, and all runs of the schedules, whose pruning begins and ends elsewhere;
            beside it every run of `law` is left out once.
schedules   one size pruned to a fifth between eight pairs of points; all spend the same compute of active weights, so
            one that prunes early reads more tokens. Ranked by held-out loss; differences are taken within seeds. Read
            about 1.3 tokens a parameter, and in schedules_long 12, where compute is divided better.

Text: the shipped pages, or English documents of --corpus (its jsonl/all.jsonl), under the tokenizer of the pages.
Writes predict_average_parameter.csv (a row a run; runs that are there are not run again), and from it
predict_average_parameter_laws.csv and predict_average_parameter_schedules.csv. Parameters: without embeddings.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).parents[1] / "continual"))
import texts  # puts what comparisons of training share on the path
from growth import LENGTH, Text, encoder_of, text_of
from paired import RESULTS, VOCAB_SIZE, Row, Table, loss_of, source

from seedbed.core import arrow
from seedbed.model import counts
from seedbed.model.shape import ModelShape
from seedbed.model.transformer import initial_model
from seedbed.model.weights import weights_of
from seedbed.predict.contract import Law
from seedbed.predict.laws.average_parameter import AverageParameter
from seedbed.predict.laws.chinchilla import Chinchilla
from seedbed.train.objectives.causal_lm import CausalLM
from seedbed.train.optimizers.adamw import AdamW
from seedbed.train.plan import Checkpoints, TrainPlan
from seedbed.train.pruning import account, saving
from seedbed.train.prunings.gradual_magnitude import GradualMagnitude
from seedbed.train.run import train
from seedbed.train.schedules.cosine import Cosine

SEQUENCES = 8
SETTINGS = {"schedules": ((64, 3), 200_000), "schedules_long": ((48, 3), 1_000_000)}
"""(width, blocks), tokens of the preset."""
WIDTHS, PRUNED_WIDTHS, SPARSITIES = (32, 48, 64, 80), (48, 80), (0.5, 0.8)
MOST = (2_000_000, 400_000)
"""Tokens of the corpus to train on, and to hold out rows of."""
SCHEDULES = ((0.0, 0.25), (0.0, 0.5), (0.0, 1.0), (0.25, 0.5), (0.25, 0.75), (0.5, 0.75), (0.5, 1.0), (0.75, 1.0))
PRESET, FIFTH = (0.25, 0.75), 0.8
KEY = ("part", "seed", "d_model", "n_layers", "sparsity", "start", "end", "tokens")
VALUES = ("params", "final_params", "average_params", "flops_active", "flops_dense", "heldout_loss")
LAWS: dict[str, tuple[Law, str]] = {
    "average_parameter": (AverageParameter(n_bootstrap=0, params_count="non_embedding"), "average_params"),
    "chinchilla, final": (Chinchilla(n_bootstrap=0, params_count="non_embedding"), "final_params"),
    "chinchilla, initial": (Chinchilla(n_bootstrap=0, params_count="non_embedding"), "params"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", nargs="+", choices=("law", *SETTINGS), default=["law", *SETTINGS])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=400_000, help="of the longest run of `law`")
    parser.add_argument("--learning-rate", type=float, default=5e-3)
    parser.add_argument("--corpus", type=Path)
    parser.add_argument("--work", type=Path, default=Path("runs/effect_predict/average_parameter"))
    parser.add_argument("--out", type=Path, default=RESULTS)
    asked = parser.parse_args()
    text = text_of(None, asked.work) if asked.corpus is None else corpus_of(asked.corpus, asked.work)
    table = Table(asked.out / "predict_average_parameter.csv", KEY, VALUES)
    wanted = [*(law_runs(asked.tokens) if "law" in asked.part else [])]
    wanted += [row for part in SETTINGS if part in asked.part for row in schedule_runs(part, asked.seeds)]
    for i, row in enumerate(wanted, 1):
        if not table.has(row):
            done = train_one(row, asked.learning_rate, text)
            table.add(done)
            print(f"{i}/{len(wanted)} {done}", flush=True)
    laws(table, asked.out / "predict_average_parameter_laws.csv")
    schedules(table, asked.out / "predict_average_parameter_schedules.csv")


def corpus_of(corpus: Path, work: Path) -> Text:
    """Rows of English documents; made once."""
    file = work / "corpus.npz"
    if not file.exists():
        parts = texts.documents(corpus, lambda _package, language: language == "en", 20_000)
        train_NL, held_NL = (
            texts.rows(encoder_of(work), part, LENGTH, most) for part, most in zip(parts, MOST, strict=True)
        )
        np.savez(file, train=train_NL, heldout=held_NL[:: max(1, len(held_NL) // 80)])
    rows = np.load(file)
    return Text(rows["train"], rows["heldout"])


def named(part: str, seed: int, width: int, layers: int, tokens: float, rule: GradualMagnitude | None) -> Row:
    sparsity, start, end = (0.0, 0.0, 0.0) if rule is None else (rule.sparsity_at_end, rule.start, rule.end)
    about = (part, seed, width, layers, sparsity, start, end, round(tokens))
    return {name: str(value) for name, value in zip(KEY, about, strict=True)}


def law_runs(tokens: int) -> list[Row]:
    """The short and small ones first."""
    lengths, rules = (tokens // 4, tokens // 2, tokens), [GradualMagnitude(sparsity_at_end=s) for s in SPARSITIES]
    dense = [named("law", 0, width, 2, length, None) for length in lengths for width in WIDTHS]
    pruned = [named("law", 0, w, 2, length, rule) for length in lengths[1:] for w in PRUNED_WIDTHS for rule in rules]
    return dense + pruned


def schedule_runs(part: str, seeds: int) -> list[Row]:
    """The preset reads `tokens`; the others what costs the same."""
    shape, tokens = SETTINGS[part]
    preset = spent(GradualMagnitude(sparsity_at_end=FIFTH, start=PRESET[0], end=PRESET[1]), *shape)
    rules = [GradualMagnitude(sparsity_at_end=FIFTH, start=start, end=end) for start, end in SCHEDULES]
    return [named(part, s, *shape, tokens * preset / spent(rule, *shape), rule) for s in range(seeds) for rule in rules]


def spent(rule: GradualMagnitude, width: int, layers: int) -> float:
    """FLOP of active weights against those of a dense training on the same tokens."""
    shape = shape_of(width, layers)
    prunable = sum(
        weight.parameter.numel() for weight in weights_of(initial_model(shape, 0)) if weight.kind == "matrix"
    )
    return rule.compute(saving(shape, prunable))


def shape_of(width: int, layers: int) -> ModelShape:
    return ModelShape(VOCAB_SIZE, d_model=width, n_layers=layers, n_heads=width // 16, context=LENGTH)


def train_one(row: Row, learning_rate: float, text: Text) -> Row:
    """The row of the run with what it came to."""
    rule = GradualMagnitude(sparsity_at_end=float(row["sparsity"]), start=float(row["start"]), end=float(row["end"]))
    plan = TrainPlan(
        shape=shape_of(int(row["d_model"]), int(row["n_layers"])),
        objective=CausalLM(),
        optimizer=AdamW(),
        schedule=Cosine(warmup_fraction=0.05),
        pruning=rule,
        tokens=int(row["tokens"]),
        batch_sequences=SEQUENCES,
        learning_rate=learning_rate,
        checkpoints=Checkpoints(every_steps=1_000_000, keep_last=1),
    )
    seed = int(row["seed"])
    reads = source("text", text.train_NL, seed=seed, context=LENGTH)
    with tempfile.TemporaryDirectory() as folder:
        result = train(plan, reads, seed=seed, folder=Path(folder))
    active = account(plan, result.state, result.off)
    params = counts.non_embedding_parameters(plan.shape)
    numbers = (params, params - result.off, active["average_params_non_embedding"], active["flops_active"])
    texts_of = [f"{number:.10g}" for number in (*numbers, result.state.flops)]
    return {**row, **dict(zip(VALUES, [*texts_of, f"{loss_of(result.model, text.heldout_NL):.5f}"], strict=True))}


def laws(table: Table, file: Path) -> None:
    """Each law fitted on the same runs, and its errors on runs that it has not seen."""
    longest = max((int(row["tokens"]) for row in table.rows if row["part"] == "law"), default=0)
    own = [row for row in table.rows if row["part"] == "law"]
    held = [row for row in own if float(row["sparsity"]) and int(row["tokens"]) == longest]
    elsewhere = {part: [row for row in table.rows if row["part"] == part] for part in SETTINGS}
    if len(own) < 16:
        return
    fitted_on = [row for row in own if row not in held]
    rows: list[Row] = []
    for name, (law, size) in LAWS.items():
        longer = errors(law, size, fitted_on, held)
        other = {part: errors(law, size, fitted_on, rows) for part, rows in elsewhere.items()}
        left_out = [errors(law, size, [row for row in own if row is not one], [one])[0] for one in own]
        found = {
            "longer pruned": longer,
            **other,
            "all held out": [*longer, *itertools.chain(*other.values())],
            "each once": left_out,
        }
        for what, relative in found.items():
            if relative:
                mae, worst = (100 * statistic(np.abs(relative)) for statistic in (np.mean, np.max))
                told = {"n_fitted": len(own) - 1 if what == "each once" else len(fitted_on), "n": len(relative)}
                rows.append(
                    {"law": name, "runs": what, **told, "mae_percent": f"{mae:.3f}", "worst_percent": f"{worst:.3f}"}
                )
    write(file, rows)


def errors(law: Law, size: str, fitted_on: Sequence[Row], asked: Sequence[Row]) -> list[float]:
    """Forecast over held-out loss, less 1."""
    columns = {
        "average_params" if size == "average_params" else "params": size,
        "tokens": "tokens",
        "loss": "heldout_loss",
    }
    runs = {name: [float(row[own]) for row in fitted_on] for name, own in columns.items()}
    fitted = law.fit(arrow.table({**runs, "run": list(range(len(fitted_on)))}))
    plans = [{name: float(row[own]) for name, own in columns.items()} for row in asked]
    return [fitted.forecast(plan).value / plan["loss"] - 1 for plan in plans]


def schedules(table: Table, file: Path) -> None:
    """Ranked by the mean over seeds, setting by setting; differences to the preset within seeds."""
    write(file, [row for part in SETTINGS for row in ranked(table, part)])


def ranked(table: Table, part: str) -> list[Row]:
    rows: list[Row] = []
    preset = {"part": part, "start": str(PRESET[0]), "end": str(PRESET[1])}
    for start, end in SCHEDULES:
        this = {"part": part, "start": str(start), "end": str(end)}
        losses = list(table.by_seed("heldout_loss", **this).values())
        if losses:
            first = next(row for row in table.rows if all(row[name] == value for name, value in this.items()))
            gap = table.difference("heldout_loss", this, preset)
            low, high = ("" if side is None else f"{side:.4f}" for side in (gap.low, gap.high))
            about = {name: first[name] for name in ("part", "start", "end", "tokens", "average_params", "flops_active")}
            loss = {"seeds": str(len(losses)), "heldout_loss": f"{np.mean(losses):.4f}"}
            rows.append({**about, **loss, "over_preset": f"{gap.value:.4f}", "low": low, "high": high})
    rows.sort(key=lambda row: float(row["heldout_loss"]))
    return [{"rank": str(rank), **row} for rank, row in enumerate(rows, 1)]


def write(file: Path, rows: Sequence[Row]) -> None:
    if rows:
        with file.open("w", newline="", encoding="utf-8") as out:
            writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        print(file.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
