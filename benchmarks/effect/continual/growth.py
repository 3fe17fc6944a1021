"""Grow a trained small model, or train the large one from scratch? Tokens and FLOP until both are equally good.

    python benchmarks/effect/continual/growth.py [--tokens 900000] [--parent-tokens 300000] [--seeds 3]
                                                 [--corpus FOLDER] [--work runs/effect_continual/growth] [--out FOLDER]

Three cases, each against the same large shape from scratch, on the same text in the same order of each seed:

    twice     width 48 and 2 blocks -> 96 and 4: bert2BERT by FPI and by AKI (stacked), EfficientScale (interpolated),
              and its kinds that keep the function (copies, new blocks silent at first)
    wider     width 64 -> 128, 2 blocks: FPI, FPI with columns divided evenly, AKI
    experts   width 64, 2 blocks -> 4 experts a block, 2 active: upcycled as they are, and half redrawn

The parent reads --parent-tokens, everything else --tokens, at a rate that stays after the warm-up: so a point of one
curve can be held against a point of another. Held-out loss is taken 24 times a run. Where a grown model comes down to
the loss that the one from scratch ends with, tokens and FLOP are saved; the latter also with the parent's own counted.
That says something only where the one from scratch ends below its parent: compare start_loss with scratch_end_loss.

Text: the shipped pages, or English documents of --corpus (its jsonl/all.jsonl), under the tokenizer of the pages.
Writes continual_growth_curves.csv and, from it, continual_growth.csv into --out; runs that are there are not run
again. Half an hour on a quiet core is an estimate, not a measurement.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import texts  # puts what comparisons of training share on the path
from paired import RESULTS, VOCAB_SIZE, Row, Table, loss_of, pages, passages, source, told

from seedbed.stats.intervals import mean_interval

if TYPE_CHECKING:
    from seedbed.model.shape import ModelShape
    from seedbed.model.transformer import Decoder
    from seedbed.model.transforming import Transform

LENGTH, SEQUENCES, POINTS = 128, 8, 24
BATCH = LENGTH * SEQUENCES
SCRATCH, PARENT = "scratch", "parent"
CASES = {
    "twice": ("fpi_stacked", "aki_stacked", "aki_interpolated", "copies_silent"),
    "wider": ("fpi", "fpi_even", "aki"),
    "experts": ("upcycled", "half_redrawn"),
}
KEY = ("case", "arm", "seed", "tokens", "parent_tokens", "at_tokens")
SUMMARY = (
    "case", "arm", "seed", "tokens", "parent_tokens", "start_loss", "end_loss", "scratch_end_loss",
    "tokens_to_scratch", "tokens_saved", "flop_saved", "flop_saved_with_parent",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, default=900_000)
    parser.add_argument("--parent-tokens", type=int, default=300_000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--cases", nargs="+", choices=sorted(CASES), default=list(CASES))
    parser.add_argument("--leave-out", nargs="*", default=[], help="arms")
    parser.add_argument("--learning-rate", type=float, default=3e-3)
    parser.add_argument("--corpus", type=Path)
    parser.add_argument("--work", type=Path, default=Path("runs/effect_continual/growth"))
    parser.add_argument("--out", type=Path, default=RESULTS)
    asked = parser.parse_args()
    text = text_of(asked.corpus, asked.work)
    table = Table(asked.out / "continual_growth_curves.csv", KEY, ("at_flop", "heldout_loss"))
    for seed in range(asked.seeds):
        for case in asked.cases:
            for arm in (name for name in (SCRATCH, *CASES[case]) if name not in asked.leave_out):
                run(
                    table,
                    Run(case, arm, seed, asked.tokens, asked.parent_tokens, asked.learning_rate),
                    text,
                    asked.work,
                )
            rows = summary(table)
            write(asked.out / "continual_growth.csv", rows)
    settings = {"tokens": str(asked.tokens), "parent_tokens": str(asked.parent_tokens)}
    report([row for row in rows if all(row[name] == value for name, value in settings.items())], asked.cases)


@dataclasses.dataclass(frozen=True)
class Text:
    """Rows of tokens: to train on, and held out."""

    train_NL: np.ndarray
    heldout_NL: np.ndarray


@dataclasses.dataclass(frozen=True)
class Run:
    """One training of one arm."""

    case: str
    arm: str
    seed: int
    tokens: int
    parent_tokens: int
    learning_rate: float

    @property
    def named(self) -> Row:
        about = {"case": self.case, "arm": self.arm, "seed": self.seed, "tokens": self.tokens}
        return {name: str(value) for name, value in {**about, "parent_tokens": self.parent_tokens}.items()}


def text_of(corpus: Path | None, work: Path) -> Text:
    """The pages' passages, or rows of the corpus under the same tokenizer."""
    held = passages(pages(work), LENGTH)
    if corpus is None:
        return Text(held.ids_NL[~held.heldout_N], held.ids_NL[held.heldout_N][::40])
    read, kept = texts.documents(corpus, lambda _package, language: language == "en", 20_000)
    encoder = encoder_of(work)
    train, heldout = (texts.rows(encoder, part, LENGTH, most) for part, most in ((read, 6_000_000), (kept, 400_000)))
    return Text(train, heldout[:: max(1, len(heldout) // 80)])


def encoder_of(work: Path):
    """The tokenizer that the pages were tokenised with: made once, found here."""
    from seedbed import sample
    from seedbed.pipeline import data
    from seedbed.pipeline.workplace import Workplace
    from seedbed.recipes import demo
    from seedbed.tokenize.encode import Encoder
    from seedbed.tokenize.run import make_tokenizer

    recipe = demo.recipe()
    assert recipe.tokenizer is not None
    with Workplace.open(work, workers=1) as place:
        documents = data.texts_into(place, recipe.curate, sample.pool())
        return Encoder.open(make_tokenizer(recipe.tokenizer, documents, place.store).path)


def run(table: Table, this: Run, text: Text, work: Path) -> None:
    """Train it, unless it is there, and note its curve."""
    from seedbed.model.transformer import initial_model

    steps = this.tokens // BATCH
    last = {**this.named, "at_tokens": str(steps * BATCH)}
    if table.has(last):
        return
    parent = parent_of(this, text, work)
    method = transform_of(this.case, this.arm)
    if method is None:
        larger = transform_of(this.case, CASES[this.case][0])
        begun = initial_model(shape_of(larger, parent.shape), this.seed + 100)
    else:
        from seedbed.model.transforming import Checkpoint, Given

        begun = method.apply(Checkpoint(parent), Given(seed=this.seed)).decoder
    curve = trained_curve(begun, text, this.tokens, this.seed, this.learning_rate)[1]
    for at_tokens, flop, loss in curve:
        table.add({**this.named, "at_tokens": str(at_tokens), "at_flop": f"{flop:.6g}", "heldout_loss": f"{loss:.5f}"})
    print(f"{this.case} {this.arm} seed {this.seed}: {curve[0][2]:.3f} -> {curve[-1][2]:.4f}", flush=True)


def parent_of(this: Run, text: Text, work: Path) -> Decoder:
    """The small model, trained once for all arms and both cases that begin with it."""
    from seedbed.model.checkpoint import load_model, save_model
    from seedbed.model.shape import ModelShape
    from seedbed.model.transformer import initial_model

    width = 48 if this.case == "twice" else 64
    shape = ModelShape(VOCAB_SIZE, d_model=width, n_layers=2, n_heads=width // 16, context=LENGTH)
    folder = work / f"parent-{len(text.train_NL)}-{width}-{this.parent_tokens}-{this.learning_rate}-{this.seed}"
    if not (folder / "config.json").exists():
        model, _ = trained_curve(initial_model(shape, this.seed), text, this.parent_tokens, this.seed + 50,
                                 this.learning_rate, points=1)  # fmt: skip
        save_model(folder, model)
    return load_model(folder)[0]


def transform_of(case: str, arm: str) -> Transform | None:
    """What makes the arm's first model of the parent; None for the one from scratch."""
    from seedbed.model.transforms.bert2bert import Bert2BERT
    from seedbed.model.transforms.efficient_scale import EfficientScale
    from seedbed.model.transforms.upcycle import Upcycle

    methods: dict[tuple[str, str], Transform] = {
        ("twice", "fpi_stacked"): Bert2BERT(kind="fpi"),
        ("twice", "aki_stacked"): Bert2BERT(),
        ("twice", "aki_interpolated"): EfficientScale(),
        ("twice", "copies_silent"): EfficientScale(width_kind="copy", depth_kind="identity"),
        ("wider", "fpi"): Bert2BERT(kind="fpi", depth=1.0),
        ("wider", "fpi_even"): Bert2BERT(kind="fpi", depth=1.0, spread=0.0),
        ("wider", "aki"): Bert2BERT(depth=1.0),
        ("experts", "upcycled"): Upcycle(4, 2),
        ("experts", "half_redrawn"): Upcycle(4, 2, redrawn=0.5),
    }
    return methods.get((case, arm))


def shape_of(method: Transform | None, small: ModelShape) -> ModelShape:
    """The shape that a transform makes of the parent's: what the one from scratch has too."""
    from seedbed.model.transformer import Decoder
    from seedbed.model.transforming import Checkpoint, Given

    assert method is not None
    return method.apply(Checkpoint(Decoder(small)), Given()).decoder.shape


def trained_curve(
    begun: Decoder, text: Text, tokens: int, seed: int, learning_rate: float, points: int = POINTS
) -> tuple[Decoder, list[tuple[int, float, float]]]:
    """The model at the end, and (tokens, FLOP, held-out loss) at the start and after each part of the run."""
    from seedbed.model.checkpoint import load_model
    from seedbed.model.counts import training_flops
    from seedbed.train.objectives.causal_lm import CausalLM
    from seedbed.train.optimizers.adamw import AdamW
    from seedbed.train.plan import Checkpoints, TrainPlan
    from seedbed.train.run import train
    from seedbed.train.schedules.warmup_stable_decay import WarmupStableDecay

    steps = tokens // BATCH
    plan = TrainPlan(
        shape=begun.shape,
        objective=CausalLM(),
        optimizer=AdamW(),
        schedule=WarmupStableDecay(warmup_fraction=0.06, decay_fraction=0.0),
        tokens=steps * BATCH,
        batch_sequences=SEQUENCES,
        learning_rate=learning_rate,
        checkpoints=Checkpoints(every_steps=max(1, steps // points), keep_last=1000),
    )
    flop = training_flops(begun.shape, SEQUENCES, LENGTH)
    curve = [(0, 0.0, loss_of(begun, text.heldout_NL))]
    with tempfile.TemporaryDirectory() as folder:
        read = source("pages", text.train_NL, seed=seed, context=LENGTH)
        result = train(plan, read, seed=seed, folder=Path(folder), init=begun)
        for kept in sorted((Path(folder) / "checkpoints").glob("step-*")):
            step = int(kept.name.removeprefix("step-"))
            curve.append((step * BATCH, step * flop, loss_of(load_model(kept)[0], text.heldout_NL)))
    return result.model, curve


def summary(table: Table) -> list[Row]:
    """A row a run: where its curve comes down to where the one from scratch ends."""
    curves: dict[tuple[str, ...], list[tuple[float, float, float]]] = {}
    for row in table.rows:
        point = float(row["at_tokens"]), float(row["at_flop"]), float(row["heldout_loss"])
        curves.setdefault(tuple(row[name] for name in KEY[:-1]), []).append(point)
    found: list[Row] = []
    for named, curve in curves.items():
        case, arm, seed, tokens, parent_tokens = named
        scratch = curves.get((case, SCRATCH, seed, tokens, parent_tokens))
        if scratch is None:
            continue
        (all_tokens, all_flop, goal), parent = scratch[-1], parent_flop(case, int(parent_tokens))
        share = reached(curve, goal, all_tokens)
        values = [curve[0][2], curve[-1][2], goal, share * all_tokens, 1 - share]
        flop = share * curve[-1][1] / all_flop
        saved = [1 - flop, 1 - flop - parent / all_flop if arm != SCRATCH else 1 - flop]
        found.append(dict(zip(SUMMARY, [*named, *(f"{value:.5g}" for value in [*values, *saved])], strict=True)))
    return found


def parent_flop(case: str, tokens: int) -> float:
    from seedbed.model.counts import training_flops
    from seedbed.model.shape import ModelShape

    width = 48 if case == "twice" else 64
    shape = ModelShape(VOCAB_SIZE, d_model=width, n_layers=2, n_heads=width // 16, context=LENGTH)
    return tokens // BATCH * training_flops(shape, SEQUENCES, LENGTH)


def reached(curve: list[tuple[float, float, float]], goal: float, whole: float) -> float:
    """The share of the whole at which a curve first comes down to the goal; nan where it never does."""
    at = 0.0
    for (before, _, high), (behind, _, low) in zip([curve[0], *curve], curve, strict=False):
        if low <= goal:
            at = behind if high <= low else before + (behind - before) * max(0.0, high - goal) / (high - low)
            return at / whole
    return float("nan")


def write(file: Path, rows: list[Row]) -> None:
    with file.open("w", newline="", encoding="utf-8") as out:
        writer = csv.DictWriter(out, SUMMARY, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def report(rows: list[Row], cases: list[str]) -> None:
    """Means with 95 % intervals over seeds; every number is one seed's grown model beside the same seed's scratch."""
    for case in cases:
        for arm in CASES[case]:
            mine = [row for row in rows if (row["case"], row["arm"]) == (case, arm)]
            if not mine:
                continue
            print(f"{case}, {arm}:")
            for name in ("start_loss", "tokens_saved", "flop_saved", "flop_saved_with_parent"):
                values = np.array([float(row[name]) for row in mine])
                missing = int(np.isnan(values).sum())
                never = f"; {missing} of {len(values)} seeds never come down to it" if missing else ""
                rest = values[~np.isnan(values)]
                print(f"    {name} {told(mean_interval(rest), 3) if len(rest) else 'none'}{never}")
            gap = np.array([float(row["end_loss"]) - float(row["scratch_end_loss"]) for row in mine])
            print(f"    end loss - scratch's {told(mean_interval(gap))}")


if __name__ == "__main__":
    main()
