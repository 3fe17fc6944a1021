"""Every way to choose data on the planted pool: the same tokens, the same seeds, cost counted.

    python benchmarks/effect/select/planted.py [--seeds 5] [--arms random,dsir,...] [--out runs/planted] [--workers 2]

A model of 0.1 M parameters reads a tenth of the pool (pool.py says what is in it) and is asked about databases. Each
seed draws its own nine tenths of pool and target, and methods are fitted anew for it. Random documents are read at
other lengths too, each to the end of its own schedule. Killed anywhere, the same command goes on.

Writes benchmarks/results/select_planted_{comparison,summary,...}.csv.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import shutil
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

from pool import build

from seedbed import pipeline, sample
from seedbed.model.shape import ModelShape
from seedbed.recipe import Arm, ComparePlan, EvaluatePlan, Recipe
from seedbed.recipes import _arms as named
from seedbed.recipes import demo, study

RESULTS = Path(__file__).parents[2] / "results"
TABLES = ("comparison", "summary", "picked", "agreement", "break_even")
VOCAB_SIZE = 1024
TOKENS = 250_000
CURVE = (0.25, 0.5, 2.0, 4.0, 8.0)


def arms() -> dict[str, Arm]:
    """Every arm by name, the floor and the ceiling first."""
    found = [named.RANDOM, named.ceiling((sample.TARGET,), "source"), named.arm_of("dsir"), named.arm_of("color_filter")]
    return {arm.name: arm for arm in found}


def recipe(pool: Path, chosen: tuple[Arm, ...], seeds: int) -> Recipe:
    """The whole run; the pool is read as it is."""
    whole = study.recipe()
    assert whole.train is not None
    shape = ModelShape(vocab_size=VOCAB_SIZE, d_model=48, n_layers=2, n_heads=3, context=128)
    evaluation = demo.heldout()
    return dataclasses.replace(
        whole,
        name="planted",
        about="ways to choose data on a pool whose documents are known",
        inputs=(str(pool),),
        target=(f"sample:{sample.target_select().name}",),
        curate=dataclasses.replace(whole.curate, steps=(), survivors=(), shard_bytes=2 << 20),
        tokenizer=dataclasses.replace(demo.recipe().tokenizer, vocab_size=VOCAB_SIZE),
        train=dataclasses.replace(demo.small_training(TOKENS), shape=shape),
        compare=ComparePlan(chosen, "random", "ceiling", seeds=seeds, resample=0.9, curve=CURVE),
        evaluate=EvaluatePlan(evaluation.texts, evaluation.target, evaluation.task, evaluation.audit),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--arms", default="")
    parser.add_argument("--out", type=Path, default=Path("runs/planted"))
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args()
    known = arms()
    chosen = tuple(known[name] for name in asked.arms.split(",")) if asked.arms else tuple(known.values())
    pool = asked.out.with_name(asked.out.name + "-pool")
    if not (pool / "pool.jsonl.gz").exists():
        build(pool)
    index = pipeline.run(recipe(pool, chosen, asked.seeds), asked.out, workers=asked.workers)
    if not asked.arms:
        for table in TABLES:
            shutil.copyfile(asked.out / f"{table}.csv", RESULTS / f"select_planted_{table}.csv")
    print("\n".join(index["compare"]["verdict"]))


if __name__ == "__main__":
    main()
