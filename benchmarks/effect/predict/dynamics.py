"""Do the metrics of two sizes move alike over a run, and does the small one's curve foretell where the large one ends?

    python benchmarks/effect/predict/dynamics.py --corpus FOLDER [--tokens 1500000] [--seeds 3] [--points 24]
                                                 [--ladder FOLDER] [--work runs/effect_predict/dynamics] [--out FOLDER]

Two decoders, of 0.06 and 0.3 M parameters, read the same documents in the same order of each seed: English and Python
manuals, German, French and Russian ones, and invented facts said 32 times each. At evenly spaced checkpoints: bits per
byte of the held-out documents of each of the five, the share of held-out passages whose continuation is likelier than
three others, and the share of the facts recalled. The law `dynamics` then says of each metric whether the sizes move
alike, and forecasts the large one's last checkpoint from its first 40 % and the whole of the small one's.

--corpus is a folder with jsonl/all.jsonl: a document a line, with text, metadata.package and metadata.lang. --ladder is
a folder with released checkpoints of the task ladder (190M-10xC.csv and others): two pairs of runs of about the same
length are forecast as well, bits per byte and accuracy of eight tasks.
Writes predict_dynamics_checkpoints.csv (a row a checkpoint and metric; runs that are there are not run again) and
predict_dynamics.csv (a row a pair of runs and metric) into --out. About five minutes a seed on a busy core.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

sys.path += [str(Path(__file__).parents[1] / room) for room in ("continual", "train")]

import texts
from growth import encoder_of
from paired import RESULTS, VOCAB_SIZE, Table, source

if TYPE_CHECKING:
    from seedbed.model.language_model import LanguageModel
    from seedbed.model.shape import ModelShape
    from seedbed.tokenize.encode import Encoder

LENGTH, EARLY = 128, 0.4
DOMAINS = {
    "linux": ("en", "linux-doc-6.1"),
    "python": ("en", "python3.11-doc"),
    "german": ("de", "manpages-de"),
    "french": ("fr", "manpages-fr"),
    "russian": ("ru", "libreoffice-help-ru"),
}
SIZES = {"small": (24, 2, 2), "large": (72, 3, 3)}
"""Width, blocks, heads."""
KEY = ("seed", "params", "tokens", "metric")
COLUMNS = ("pair", "metric", "checkpoints", "tracked", "alike", "signal_to_noise", "last_known", "forecast", "low",
           "high", "score", "relative_error", "last_known_error", "inside")  # fmt: skip
PAIRS = (("190M-10xC", "370M-5xC"), ("370M-10xC", "760M-5xC"))
"""Runs of the ladder that end at about the same tokens."""
PARAMS = {"190M": 190354176, "370M": 371262464, "760M": 758220288}
TASKS = ("hellaswag_val", "arc_challenge_test", "arc_easy_test", "piqa_val", "csqa_val", "socialiqa_val",
         "openbookqa_test", "mmlu_stem_test")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--tokens", type=int, default=1_500_000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--points", type=int, default=24)
    parser.add_argument("--learning-rate", type=float, default=4e-3)
    parser.add_argument("--ladder", type=Path)
    parser.add_argument("--work", type=Path, default=Path("runs/effect_predict/dynamics"))
    parser.add_argument("--out", type=Path, default=RESULTS)
    asked = parser.parse_args()
    encoder = encoder_of(asked.work)
    table = Table(asked.out / "predict_dynamics_checkpoints.csv", KEY, ("score",))
    text = Text.of(asked.corpus)
    for seed in range(asked.seeds):
        for size in SIZES:
            train(table, size, seed, text, encoder, asked)
    rows = [row for pair, found in curves(table, asked.ladder).items() for row in tracked(pair, found)]
    with (asked.out / "predict_dynamics.csv").open("w", newline="", encoding="utf-8") as out:
        writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    report(rows)


@dataclasses.dataclass(frozen=True)
class Text:
    """Documents by domain: to train on, and held out."""

    train: dict[str, list[str]]
    heldout: dict[str, list[str]]

    @classmethod
    def of(cls, corpus: Path) -> Text:
        read = {name: texts.documents(corpus, lambda p, g, of=of: (g, p) == of, 6000) for name, of in DOMAINS.items()}
        return cls({name: kept[0] for name, kept in read.items()}, {name: kept[1] for name, kept in read.items()})

    def passages(self, name: str, most: int) -> list[str]:
        """Held-out documents, evenly taken, from their beginnings."""
        found = [text[:1500] for text in self.heldout[name] if len(text) >= 300]
        return found[:: max(1, len(found) // most)][:most]


def train(table: Table, size: str, seed: int, text: Text, encoder: Encoder, asked: argparse.Namespace) -> None:
    """One run, every checkpoint of it asked; nothing where it is there already."""
    from seedbed.evaluate.facts import make_facts, sentences
    from seedbed.model.checkpoint import load_model
    from seedbed.model.transformer import initial_model
    from seedbed.train.plan import Checkpoints
    from seedbed.train.run import train as run

    shape = shape_of(size)
    begun = initial_model(shape, seed)
    params = str(sum(each.numel() for each in begun.parameters()))
    every = asked.tokens // (texts.BATCH * LENGTH) // asked.points
    steps = every * asked.points
    if table.has({"seed": str(seed), "params": params, "tokens": str(steps * texts.BATCH * LENGTH), "metric": "facts"}):
        return
    facts = make_facts((32,), 64, seed=seed)
    said = sentences(facts, seed=seed)
    groups = [*text.train.values(), [" ".join(said[at : at + 8]) for at in range(0, len(said), 8)]]
    most = asked.tokens // len(DOMAINS)
    ids = np.concatenate([texts.rows(encoder, group, LENGTH, most) for group in groups])
    questions = Questions(text, facts)
    plan = texts.planned(shape, steps * texts.BATCH * LENGTH, asked.learning_rate)
    plan = dataclasses.replace(plan, checkpoints=Checkpoints(every_steps=every, keep_last=1000))
    with tempfile.TemporaryDirectory() as folder:
        run(plan, source("text", ids, seed=seed, context=LENGTH), seed=seed, folder=Path(folder), init=begun)
        for kept in sorted((Path(folder) / "checkpoints").glob("step-*")):
            tokens = int(kept.name.removeprefix("step-")) * texts.BATCH * LENGTH
            for metric, score in questions.ask(texts.asked(load_model(kept)[0], encoder)).items():
                named = dict(zip(KEY, (str(seed), params, str(tokens), metric), strict=True))
                table.add({**named, "score": f"{score:.6g}"})
    print(f"{size} seed {seed}: {params} parameters, {len(ids)} rows", flush=True)


class Questions:
    """What every checkpoint is asked."""

    def __init__(self, text: Text, facts: list[Any]) -> None:
        from seedbed.evaluate.items import Line
        from seedbed.evaluate.tasks.multiple_choice import MultipleChoice
        from seedbed.evaluate.tasks.planted_facts import PlantedFacts

        self.passages = {name: text.passages(name, 24) for name in DOMAINS}
        self.following = MultipleChoice(), texts.continuations(text.heldout["linux"], 200)
        probe = PlantedFacts()
        self.facts = probe, [probe.item(Line("facts.jsonl", i, fact.line())) for i, fact in enumerate(facts, 1)]

    def ask(self, model: LanguageModel) -> dict[str, float]:
        """Bits per byte, and accuracies in points; `facts` last."""
        found = {f"bits_per_byte {name}": texts.bits_per_byte(model, held) for name, held in self.passages.items()}
        return {
            **found,
            "following": texts.accuracy(self.following[0], model, self.following[1]),
            "facts": texts.accuracy(self.facts[0], model, self.facts[1]),
        }


Found = list[tuple[float, float, str, float]]
"""Rows of params, tokens, metric, score."""


def curves(table: Table, ladder: Path | None) -> dict[str, Found]:
    """Checkpoints by pair of runs."""
    found: dict[str, Found] = {}
    for row in table.rows:
        at = float(row["params"]), float(row["tokens"]), row["metric"], float(row["score"])
        found.setdefault(f"seed {row['seed']}", []).append(at)
    for pair in PAIRS if ladder else ():
        rows = found.setdefault(" to ".join(pair), [])
        for run in pair:
            with (ladder / f"{run}.csv").open(newline="", encoding="utf-8") as file:
                for row in csv.DictReader(file):
                    at = float(PARAMS[run.split("-")[0]]), float(row["throughput/total_tokens"])
                    for task in TASKS if at[1] > 0 else ():
                        rows.append((*at, f"bpb {task}", float(row[f"eval/downstream_bpb/{task}_rc_5shot_bpb"])))
                        rows.append((*at, f"accuracy {task}", float(row[f"eval/downstream/{task}_rc_5shot_len_norm"])))
    return found


def tracked(pair: str, found: Found) -> list[dict[str, Any]]:
    """What the law says of each metric."""
    from seedbed.core import arrow
    from seedbed.predict.laws.dynamics import Dynamics

    names = ("params", "tokens", "metric", "score")
    fitted = Dynamics(early=EARLY).fit(arrow.table(dict(zip(names, zip(*found, strict=True), strict=True))))
    large = max(row[0] for row in found)
    until = EARLY * max(row[1] for row in found if row[0] != large)
    rows: list[dict[str, Any]] = []
    for metric, told in fitted.facts.items():
        last = told["last"]
        known = max((row[1], row[3]) for row in found if row[0] == large and row[2] == metric and row[1] <= until + 1)[
            1
        ]
        row = {name: f"{last[name]:.5g}" for name in ("forecast", "low", "high", "score")}
        row |= {name: f"{told[name]:.4g}" for name in ("alike", "signal_to_noise")}
        row |= {"pair": pair, "metric": metric, "tracked": told["tracked"], "last_known": f"{known:.5g}"}
        row["checkpoints"] = min(told["checkpoints"].values())
        row["relative_error"] = f"{last['forecast'] / last['score'] - 1:.4f}"
        row["last_known_error"] = f"{known / last['score'] - 1:.4f}"
        rows.append({**row, "inside": last["low"] <= last["score"] <= last["high"]})
    return rows


def report(rows: list[dict[str, Any]]) -> None:
    """Means over the metrics that the smaller model alone lets one track, and what became of the others."""
    for ours, name in ((True, "own runs"), (False, "the ladder's")):
        mine = [row for row in rows if row["pair"].startswith("seed") == ours]
        for kind in sorted({row["metric"].split()[0] for row in mine}):
            every = [row for row in mine if row["metric"].split()[0] == kind]
            kept = [row for row in every if row["tracked"]]
            print(f"{name}, {kind}: {len(kept)} of {len(every)} tracked", end="")
            if kept:
                error, naive = (
                    np.mean([abs(float(r[of])) for r in kept]) for of in ("relative_error", "last_known_error")
                )
                alike, held = min(float(r["alike"]) for r in kept), np.mean([r["inside"] for r in kept])
                print(
                    f"; least alike {alike:.3f}; error {error:.1%} (last known score {naive:.1%}); inside {held:.0%}",
                    end="",
                )
            print()


def shape_of(size: str) -> ModelShape:
    from seedbed.model.shape import ModelShape

    width, blocks, heads = SIZES[size]
    return ModelShape(VOCAB_SIZE, d_model=width, n_layers=blocks, n_heads=heads, context=LENGTH)


if __name__ == "__main__":
    main()
