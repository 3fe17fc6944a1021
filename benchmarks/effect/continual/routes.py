"""Continue or start again? Routes from old text to new on real documentation, paired over seeds.

    python benchmarks/effect/continual/routes.py language --corpus DIR [--out runs/continual-language] [--seeds 3]

DIR is the folder of a corpus with jsonl/all.jsonl in it (text, metadata.package, metadata.lang). Three shifts:

language  English manuals, then German ones: a strong shift.
version   The documentation of one version of a compiler, then what the next one changed: a weak shift.
polish    English manuals, then Polish ones, by a decoder with grouped-query and sliding-window attention.

Writes continual_SHIFT.csv (a row a model and domain), continual_SHIFT_forgetting.csv (matrix, transfers, differences to
the union in pairs, costs) and continual_SHIFT_curves.csv (losses and rates, seed 0) to benchmarks/results/. Stopped
anywhere, the same command goes on. Two workers need some 15 minutes for `language`.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from seedbed import pipeline
from seedbed.core.fingerprint import hash_bytes
from seedbed.curate.extractors.all_text import AllText
from seedbed.curate.plan import CuratePlan
from seedbed.curate.readers.jsonl import Jsonl
from seedbed.evaluate.audits.ngram_overlap import NgramOverlap
from seedbed.evaluate.tasks.bits_per_byte import BitsPerByte
from seedbed.model.attentions.sliding_window import SlidingWindow
from seedbed.model.shape import ModelShape
from seedbed.recipe import EvaluatePlan, Recipe, SourcePlan
from seedbed.recipe.continual import ContinualPlan, Route, TrainingStage
from seedbed.tokenize.tokenizers.byte_bpe import ByteBpe
from seedbed.train.objectives.causal_lm import CausalLM
from seedbed.train.optimizers.adamw import AdamW
from seedbed.train.plan import Checkpoints, TrainPlan
from seedbed.train.schedules.constant import Constant
from seedbed.train.schedules.cosine import Cosine
from seedbed.train.schedules.infinite import Infinite

RESULTS = Path(__file__).parents[2] / "results"
ENGLISH = ("manpages", "manpages-dev", "libreoffice-help-en-us", "postgresql-doc-15", "git-doc", "apache2-doc")
SHIFTS: Mapping[str, tuple[tuple[tuple[str, ...], str], tuple[tuple[str, ...], str]]] = {
    "language": ((ENGLISH, "en"), (("manpages-de", "libreoffice-help-de"), "de")),
    "version": ((("llvm-16-doc",), "en"), (("llvm-19-doc",), "en")),
    "polish": ((ENGLISH, "en"), (("manpages-pl",), "pl")),
}
"""Shift -> (packages, language) of the old and of the new text."""

PIECE_BYTES = 4000
HELDOUT_BYTES = 150_000
"""Held-out text of each side: whole documents, cut after as many bytes."""
LOW = 0.1
"""Floor of the cosine: the rate that a model is continued with where it is not re-warmed."""
LONGER = 0.4
"""Replay of the updates that read as much new text as the union does, and the replay on top."""


def main() -> None:
    """See the module's docstring."""
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("shift", choices=sorted(SHIFTS))
    ask.add_argument("--corpus", type=Path, required=True)
    ask.add_argument("--out", type=Path)
    ask.add_argument("--results", type=Path, default=RESULTS)
    ask.add_argument("--seeds", type=int, default=3)
    ask.add_argument("--old-tokens", type=int, default=1_200_000)
    ask.add_argument("--new-tokens", type=int, default=600_000)
    ask.add_argument("--workers", type=int, default=2)
    ask.add_argument("--only", action="append", help="a route beside the first, by name; may be repeated")
    ask.add_argument("--name", help="of the tables, instead of the shift")
    given = ask.parse_args()
    out = given.out or Path(f"runs/continual-{given.shift}")
    texts(given.corpus, given.shift, out / "texts")
    recipe = recipe_of(given.shift, out / "texts", given.old_tokens, given.new_tokens, given.seeds)
    if given.only and recipe.continual is not None:
        first, *others = recipe.continual.routes
        kept = (first, *(route for route in others if route.name in given.only))
        recipe = dataclasses.replace(recipe, continual=dataclasses.replace(recipe.continual, routes=kept))
    name = given.name or given.shift
    pipeline.run(recipe, out, workers=given.workers)
    given.results.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(out / "continual.csv", given.results / f"continual_{name}.csv")
    shutil.copyfile(out / "forgetting.csv", given.results / f"continual_{name}_forgetting.csv")
    curves(out / "curves.csv", given.results / f"continual_{name}_curves.csv")


def texts(corpus: Path, shift: str, out: Path) -> None:
    """old.jsonl, new.jsonl and a held-out file of each: whole documents by a hash of their text, no text twice."""
    if (out / "done").exists():
        return
    out.mkdir(parents=True, exist_ok=True)
    seen: set[bytes] = set()
    for side, (packages, language) in zip(("old", "new"), SHIFTS[shift], strict=True):
        held = 0
        with (out / f"{side}.jsonl").open("w") as train, (out / f"{side}-heldout.jsonl").open("w") as heldout:
            for row in rows(corpus, packages, language):
                pieces = [row["text"][at : at + PIECE_BYTES] for at in range(0, len(row["text"]), PIECE_BYTES)]
                chosen = hash_bytes(row["text"].encode())[0] < 13 and held < HELDOUT_BYTES
                for piece in pieces:
                    key = hash_bytes(piece.encode())
                    if key in seen or len(piece) < 200:
                        continue
                    seen.add(key)
                    line = json.dumps({"text": piece, "url": row["url"]}, ensure_ascii=False) + "\n"
                    (heldout if chosen and held < HELDOUT_BYTES else train).write(line)
                    held += len(piece.encode()) if chosen else 0
    (out / "done").write_text("")


def rows(corpus: Path, packages: tuple[str, ...], language: str) -> Iterator[dict[str, Any]]:
    """Documents of some packages in one language."""
    with (corpus / "jsonl" / "all.jsonl").open(encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            if row["metadata"]["package"] in packages and row["metadata"]["lang"] == language:
                yield row


def recipe_of(shift: str, texts: Path, old: int, new: int, seeds: int) -> Recipe:
    """The whole experiment."""
    shape = ModelShape(vocab_size=2048, d_model=64, n_layers=2, n_heads=4, context=128)
    if shift == "polish":
        window = SlidingWindow(window=64, full_every=2)
        shape = dataclasses.replace(shape, n_kv_heads=2, attention=window)
    plan = TrainPlan(
        shape=shape,
        objective=CausalLM(),
        optimizer=AdamW(),
        schedule=Cosine(floor=LOW),
        tokens=old,
        batch_sequences=8,
        learning_rate=6e-3,
        checkpoints=Checkpoints(every_steps=500),
    )
    heldout = {side: str(texts / f"{side}-heldout.jsonl") for side in ("old", "new")}
    asked = (few_routes if shift == "polish" else routes)(old, new)
    return Recipe(
        name=f"continual-{shift}",
        about=f"old text, then new: a shift of {shift}",
        curate=CuratePlan((Jsonl(),), AllText(), (), survivors=()),
        sources={side: SourcePlan((str(texts / f"{side}.jsonl"),)) for side in ("old", "new")},
        tokenizer=ByteBpe(vocab_size=2048),
        train=plan,
        continual=ContinualPlan(asked, baseline=asked[0].name, seeds=seeds),
        evaluate=EvaluatePlan(heldout, "new", BitsPerByte(), NgramOverlap()),
    )


def stages(old: int, new: int) -> tuple[TrainingStage, TrainingStage]:
    """The model that is there, and its update with re-warming."""
    return TrainingStage("old", old, {"old": 1.0}, begin="scratch"), TrainingStage("new", new, {"new": 1.0})


def routes(old: int, new: int) -> tuple[Route, ...]:
    """The union first; every update reads `new` tokens, replay and annealing included, but the last two: see LONGER."""
    first, then = stages(old, new)
    share = old / (old + new)
    union = TrainingStage("union", old + new, {"old": share, "new": 1 - share}, begin="scratch")
    low = dataclasses.replace(then, name="new low", schedule=Constant(), learning_rate=LOW * 6e-3)
    anneal = round(0.15 * new)
    endless = Infinite(warmup_tokens=round(0.02 * old), cooldown_tokens=round(0.58 * old))
    begun = dataclasses.replace(first, name="old open", schedule=endless, anneal_tokens=anneal)

    def replayed(share: float) -> TrainingStage:
        return dataclasses.replace(then, replay={"old": share})

    def open_end(replay: Mapping[str, float], name: str, tokens: int = new) -> TrainingStage:
        return dataclasses.replace(
            then, name=name, begin="continue", tokens=tokens - anneal, anneal_tokens=anneal, replay=replay
        )

    longer, replay = round(new / (1 - LONGER)), {"old": LONGER}
    again = dataclasses.replace(then, name="new longer", tokens=longer, replay=replay)

    scratch = dataclasses.replace(then, name="new alone", begin="scratch", teaches="new")
    return (
        Route("union", (union,), tokenizer=("old",)),
        Route("from scratch on the new", (scratch,), tokenizer=("old",)),
        Route("continue at the low rate", (first, low)),
        Route("re-warm", (first, then)),
        *(Route(f"re-warm, replay {share:.0%}", (first, replayed(share))) for share in (0.01, 0.05, 0.25, 0.5)),
        Route("infinite", (begun, open_end({}, "new open"))),
        Route("infinite, replay 25%", (begun, open_end({"old": 0.25}, "new open replay"))),
        Route("infinite, replay 50%", (begun, open_end({"old": 0.5}, "new open half"))),
        Route(f"re-warm, longer, replay {LONGER:.0%}", (first, again)),
        Route(f"infinite, longer, replay {LONGER:.0%}", (begun, open_end(replay, "new open longer", longer))),
    )


def few_routes(old: int, new: int) -> tuple[Route, ...]:
    """The base alone is the first model of every route; scratch is at the same tokens."""
    first, then = stages(old, new)
    scratch = dataclasses.replace(then, name="new alone", begin="scratch", teaches="new")
    return (
        Route("from scratch on the new", (scratch,), tokenizer=("old",)),
        Route("re-warm", (first, then)),
        Route("re-warm, replay 5%", (first, dataclasses.replace(then, replay={"old": 0.05}))),
    )


def curves(source: Path, target: Path) -> None:
    """Seed 0 alone, every fourth row."""
    with source.open(encoding="utf-8") as lines, target.open("w", encoding="utf-8", newline="") as out:
        told = csv.DictReader(lines)
        writer = csv.DictWriter(out, told.fieldnames or (), lineterminator="\n")
        writer.writeheader()
        writer.writerows(row for at, row in enumerate(told) if row["seed"] == "0" and at % 4 == 0)


if __name__ == "__main__":
    main()
