"""Self-distilled beside plain further pre-training on 200 KB of one domain: does the gap close, and at what cost?

    python benchmarks/effect/continual/self_distillation.py [--tokens 300000] [--base-tokens 600000] [--seeds 3]
                                                            [--out runs/self_distillation] [--results DIR]

A decoder of 0.6 M parameters learns from the shipped pages of 18 packages, and then from 200 KB of a database's
documentation, some five times over. Arms, all from the same model and over the same order of passages:

plain           causal LM; also the teacher of the students of its seed
plain_half      half of the tokens: what stopping early gives
plain_at_cost   7/3 of the tokens: what a student costs, its teacher and the teacher's forward passes counted
student_LAMBDA  self-distilled, with this weight on the squared distance of the hidden states

val_, train_bits_per_byte  of held-out pages of the domain, and of what is trained on; gap is their difference
general_bits_per_byte      of held-out pages of the other packages
moved                      Euclidean distance of the weights from those before further pre-training
flops                      of all that the arm needs behind the first model

Writes continual_self_distillation.csv, to benchmarks/results unless told otherwise; rows and models that are there are
not made again. Some 9 minutes on one quiet core.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import texts  # noqa: F401 - finds paired

from paired import (  # isort: skip
    END,
    RESULTS,
    VOCAB_SIZE,
    Passages,
    Row,
    Table,
    losses,
    pages,
    passages,
    source,
    told,
    trained,
    wins,
)
from seedbed.model.checkpoint import load_model, save_model
from seedbed.model.counts import forward_flops, training_flops
from seedbed.model.shape import ModelShape
from seedbed.model.transformer import Decoder
from seedbed.train.objectives.causal_lm import CausalLM
from seedbed.train.objectives.self_distillation import SelfDistillation
from seedbed.train.optimizers.adamw import AdamW
from seedbed.train.plan import TrainPlan
from seedbed.train.run import train
from seedbed.train.schedules.cosine import Cosine

LENGTH, DOMAIN_BYTES, HELD_ROWS = 128, 200_000, 256
BASE, FURTHER = (16, 4e-3), (4, 2e-3)
"""Sequences a step, and peak of the learning rate; small steps, so that the domain is soon known by heart."""
DOMAIN, LEFT_OUT = "sqlite3-doc", ("sqlite3-doc", "postgresql-doc-15")
LAMBDAS = (0.01, 0.1, 1.0)
SHAPE = ModelShape(VOCAB_SIZE, d_model=96, n_layers=2, n_heads=3, context=LENGTH)
SHARES = {"plain_half": 0.5, "plain_at_cost": 7 / 3}
ARMS = ("plain", *(f"student_{weight:g}" for weight in LAMBDAS), *SHARES)
KEY = ("arm", "tokens", "seed")
VALUES = ("val_bits_per_byte", "train_bits_per_byte", "gap", "general_bits_per_byte", "moved", "flops")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, default=300_000)
    parser.add_argument("--base-tokens", type=int, default=600_000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("runs/self_distillation"))
    parser.add_argument("--results", type=Path, default=RESULTS)
    asked = parser.parse_args()
    table = Table(asked.results / "continual_self_distillation.csv", KEY, VALUES)
    file = pages(asked.out)
    held, size_V = passages(file, LENGTH), token_bytes(asked.out)
    for seed in range(asked.seeds):
        base = kept(asked.out / f"base-{asked.base_tokens}-{seed}", partial(first, held, asked.base_tokens, seed))
        for arm in ARMS:
            named = {"arm": arm, "tokens": str(asked.tokens), "seed": str(seed)}
            if not table.has(named):
                folder = asked.out / f"plain-{asked.base_tokens}-{asked.tokens}-{seed}"
                table.add({**named, **one(arm, asked.tokens, seed, (held, size_V), base, folder)})
                print(named, flush=True)
    report(table, str(asked.tokens))


def kept(folder: Path, make: Callable[[], Decoder]) -> Decoder:
    """A model that is made once."""
    if not folder.exists():
        save_model(folder, make())
    return load_model(folder)[0]


def token_bytes(out: Path) -> np.ndarray:
    """Bytes of text of each token: a byte-level vocabulary has a letter for every byte; END is none."""
    (file,) = out.glob("artifacts/tokenizer-*/tokenizer.json")
    vocabulary = json.loads(file.read_text(encoding="utf-8"))["model"]["vocab"]
    size_V = np.zeros(VOCAB_SIZE, np.int64)
    size_V[list(vocabulary.values())] = [len(piece) for piece in vocabulary]
    size_V[END] = 0
    return size_V


def plan_of(tokens: int, stage: tuple[int, float], objective: CausalLM | SelfDistillation | None = None) -> TrainPlan:
    return TrainPlan(
        shape=SHAPE,
        objective=objective or CausalLM(),
        optimizer=AdamW(),
        schedule=Cosine(warmup_fraction=0.05),
        tokens=tokens,
        batch_sequences=stage[0],
        learning_rate=stage[1],
    )


def first(held: Passages, tokens: int, seed: int) -> Decoder:
    """The model that knows the other packages."""
    rows = held.ids_NL[general(held) & ~held.heldout_N]
    return trained(plan_of(tokens, BASE), source("general", rows, seed=seed, context=LENGTH), seed=seed)


def one(
    arm: str, tokens: int, seed: int, text: tuple[Passages, np.ndarray], base: Decoder, folder: Path
) -> Row:  # fmt: skip
    """Train an arm, and ask it."""
    held, size_V = text
    learned, val = domain(held, size_V)
    read = source("domain", learned, seed=seed, context=LENGTH)

    def plain(tokens: int = tokens) -> Decoder:
        return trained(plan_of(tokens, FURTHER), read, seed=seed, init=base)

    step = forward_flops(SHAPE, 1, LENGTH) / LENGTH
    spent = training_flops(SHAPE, 1, LENGTH) / LENGTH * tokens * SHARES.get(arm, 1.0)
    model = plain(round(tokens * SHARES[arm])) if arm in SHARES else kept(folder, plain)
    if arm.startswith("student_"):
        objective = SelfDistillation(float(arm.removeprefix("student_")))
        with tempfile.TemporaryDirectory() as aside:
            model = train(plan_of(tokens, FURTHER, objective), read, seed=seed, folder=Path(aside), init=base,
                          teacher=model).model  # fmt: skip
        spent = 2 * spent + step * tokens
    other = held.ids_NL[general(held) & held.heldout_N]
    found = [bits_per_byte(model, rows, size_V) for rows in (val, learned, other[:: len(other) // HELD_ROWS])]
    away = sum(
        float((a - b).detach().square().sum()) for a, b in zip(model.parameters(), base.parameters(), strict=True)
    )
    values = (f"{found[0]:.5f}", f"{found[1]:.5f}", f"{found[0] - found[1]:.5f}", f"{found[2]:.5f}")
    return dict(zip(VALUES, (*values, f"{away**0.5:.4f}", f"{spent:.4g}"), strict=True))


def general(held: Passages) -> np.ndarray:
    """Which passages are of the packages that the first model reads."""
    return ~np.isin(held.package_N, [held.packages.index(name) for name in LEFT_OUT])


def domain(held: Passages, size_V: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(200 KB to train on, every fourth of the held-out rows)."""
    mine = held.package_N == held.packages.index(DOMAIN)
    train, val = held.ids_NL[mine & ~held.heldout_N], held.ids_NL[mine & held.heldout_N]
    train = train[np.random.default_rng(0).permutation(len(train))]
    return train[: int(np.searchsorted(np.cumsum(size_V[train].sum(1)), DOMAIN_BYTES))], val[::4]


def bits_per_byte(model: Decoder, rows: np.ndarray, size_V: np.ndarray) -> float:
    """Of the text of passages, each read after END; that they end where they were cut is not asked."""
    inputs = np.concatenate([np.full((len(rows), 1), END), rows[:, :-2]], 1)
    nats = float(losses(model, inputs, rows[:, :-1]).double().sum())
    return nats / math.log(2) / float(size_V[rows].sum())


def report(table: Table, tokens: str) -> None:
    """Differences to plain further pre-training, with 95 % intervals, paired by seed."""
    plain = {"arm": "plain", "tokens": tokens}
    for arm in ARMS:
        print(arm, {value: round(float(np.mean(list(table.by_seed(value, arm=arm, tokens=tokens).values()))), 4)
                    for value in VALUES[:-1]})  # fmt: skip
    for arm in ARMS[1:]:
        named = {"arm": arm, "tokens": tokens}
        for value in ("val_bits_per_byte", "gap", "general_bits_per_byte", "moved"):
            print(f"{value}, {arm} - plain: {told(table.difference(value, named, plain))}")
        print(f"val_bits_per_byte of {arm}: {wins(table, 'val_bits_per_byte', named, plain)}")


if __name__ == "__main__":
    main()
