"""Does it matter in which order documents are read? Short ones first, long ones first, or shuffled.

    python benchmarks/effect/continual/curriculum.py [--tokens 1000000] [--seeds 3] [--processes 1]
                                                     [--out runs/curriculum] [--results DIR]

Whole shipped pages, ranked by their number of tokens in ten buckets; a decoder of 0.6 M parameters, context 128, cosine
to a tenth. Pages are drawn until they hold the tokens asked for, so that every arm of a seed reads the same pages once,
from the same initial weights, and differs in their order alone. The same order under a rate that stays flat behind its
warmup (flat_) tells an effect of the order from one of what is read while the rate is high.

heldout_bits_per_byte  of the first 128 tokens of held-out pages
short_, long_          of those among them that are from the shorter and the longer half of the pages

Writes continual_curriculum.csv, to benchmarks/results unless told otherwise; rows that are there are not run again.
Some 10 minutes on one quiet core.
"""

from __future__ import annotations

import argparse
import json
import math
from functools import cache
from pathlib import Path

import numpy as np
import texts  # noqa: F401 - finds paired

from paired import END, RESULTS, VOCAB_SIZE, Row, Table, losses, pages, run_all, told, trained, wins  # isort: skip
from seedbed.core import arrow
from seedbed.core.nouns import TOKEN_INDEX

CONTEXT, SEQUENCES, BUCKETS, HELD_ROWS = 128, 16, 10, 400
ORDERS = {"shuffled": 0.0, "short_first": 1.0, "long_first": -1.0}
ARMS = (*ORDERS, *(f"flat_{order}" for order in ORDERS))
KEY = ("arm", "tokens", "seed")
VALUES = ("heldout_bits_per_byte", "short_bits_per_byte", "long_bits_per_byte")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, default=1_000_000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("runs/curriculum"))
    parser.add_argument("--results", type=Path, default=RESULTS)
    asked = parser.parse_args()
    table = Table(asked.results / "continual_curriculum.csv", KEY, VALUES)
    pages(asked.out)
    runs = [{"arm": arm, "tokens": str(asked.tokens), "seed": str(seed), "out": str(asked.out)}
            for seed in range(asked.seeds) for arm in ARMS]  # fmt: skip
    run_all(runs, one, table, asked.processes)
    report(table, str(asked.tokens))


@cache
def texts_of(out: Path) -> tuple[list[np.ndarray], list[np.ndarray], np.ndarray]:
    """(pages to train on, held-out pages, bytes of each token: a byte-level vocabulary has a letter for each)."""
    held = np.load(pages(out))
    whole = np.split(held["flat"], np.cumsum(held["sizes"])[:-1])
    (file,) = out.glob("artifacts/tokenizer-*/tokenizer.json")
    vocabulary = json.loads(file.read_text(encoding="utf-8"))["model"]["vocab"]
    size_V = np.zeros(VOCAB_SIZE, np.int64)
    size_V[list(vocabulary.values())] = [len(piece) for piece in vocabulary]
    size_V[END] = 0
    train = [page for number, page in enumerate(whole) if number % 10 != 7]
    return train, [page for number, page in enumerate(whole) if number % 10 == 7], size_V


def one(run: Row) -> Row:
    """Train an arm, and ask it."""
    from seedbed.model.shape import ModelShape
    from seedbed.train.objectives.causal_lm import CausalLM
    from seedbed.train.optimizers.adamw import AdamW
    from seedbed.train.plan import TrainPlan
    from seedbed.train.schedules.cosine import Cosine
    from seedbed.train.schedules.warmup_stable_decay import WarmupStableDecay
    from seedbed.train.source import TokenShard, TokenSource

    seed, arm = int(run["seed"]), run["arm"]
    train, held, size_V = texts_of(Path(run["out"]))
    order = np.random.default_rng([seed, 3]).permutation(len(train)).tolist()
    read_N = np.cumsum([len(train[number]) for number in order])
    drawn = order[: int(np.searchsorted(read_N, int(run["tokens"]))) + 1]
    sizes = np.array([len(train[number]) for number in drawn])
    columns = {"id": [number.to_bytes(16, "big") for number in drawn], "offset": np.cumsum(sizes) - sizes,
               "n_tokens": sizes, "n_bytes": sizes}  # fmt: skip
    shard = TokenShard(np.concatenate([train[number] for number in drawn]), arrow.table(columns, TOKEN_INDEX))
    sign = ORDERS[arm.removeprefix("flat_")]
    rank = sign * sizes if sign else None
    source = TokenSource("pages", [shard], np.ones(len(sizes)), seed=seed, context=CONTEXT, rank_N=rank,
                         buckets=BUCKETS)  # fmt: skip
    flat = WarmupStableDecay(warmup_fraction=0.05, decay_fraction=0.0)
    plan = TrainPlan(
        shape=ModelShape(VOCAB_SIZE, d_model=96, n_layers=2, n_heads=3, context=CONTEXT),
        objective=CausalLM(),
        optimizer=AdamW(),
        schedule=flat if arm.startswith("flat_") else Cosine(warmup_fraction=0.05),
        tokens=int(sizes.sum()) - 1,
        batch_sequences=SEQUENCES,
        learning_rate=4e-3,
    )
    model = trained(plan, source, seed=seed)
    middle = float(np.median([len(page) for page in held]))
    groups = [held, [p for p in held if len(p) <= middle], [p for p in held if len(p) > middle]]
    found = [f"{bits_per_byte(model, group, size_V):.5f}" for group in groups]
    return {**{name: run[name] for name in KEY}, **dict(zip(VALUES, found, strict=True))}


def bits_per_byte(model, held: list[np.ndarray], size_V: np.ndarray) -> float:
    """Of the first tokens of pages, each read after END; as many pages at most as there is patience for."""
    first = [page[:CONTEXT] for page in held[:: max(1, len(held) // HELD_ROWS)]]
    nats = size = 0.0
    for length in sorted({len(page) for page in first}):
        rows = np.stack([page for page in first if len(page) == length]).astype(np.int64)
        inputs = np.concatenate([np.full((len(rows), 1), END), rows[:, :-1]], 1)
        nats += float(losses(model, inputs, rows).double().sum())
        size += float(size_V[rows].sum())
    return nats / math.log(2) / size


def report(table: Table, tokens: str) -> None:
    """Differences to the shuffled order, with 95 % intervals, paired by seed."""
    for arm in ARMS:
        print(arm, {value: round(float(np.mean(list(table.by_seed(value, arm=arm, tokens=tokens).values()))), 4)
                    for value in VALUES})  # fmt: skip
        prefix = "flat_" if arm.startswith("flat_") else ""
        if arm != f"{prefix}shuffled":
            named, plain = {"arm": arm, "tokens": tokens}, {"arm": f"{prefix}shuffled", "tokens": tokens}
            for value in VALUES:
                print(f"  {value}, {arm} - shuffled: {told(table.difference(value, named, plain))}")
            print(f"  heldout_bits_per_byte {wins(table, VALUES[0], named, plain)}")


if __name__ == "__main__":
    main()
