"""Untie the Knots beside plain long-context training at equal positions: can the model find a needle far back?

    python benchmarks/effect/train/untie_the_knots.py [--tokens 3000000] [--short-tokens 20000000] [--seeds 3]
                                                      [--processes 2] [--out runs/effect_train]

A made language of 116 tokens: every document draws values for a few of 64 keys and mentions them over and over among
filler words, so that a model learns to look up what a key stands for. Documents are short, 60 to 160 tokens. A decoder
of 0.1 M parameters is trained at a context of 128, and then goes on at 512 with the same kind of documents: packed end
to end (plain), tied as published (untie_the_knots), and tied without ids and answers (tags_only). A needle is a pair of
key and value put once into 512 tokens of other text that has no other mention of the key, with the key asked for at the
end; its value counts as found where it is the likeliest token. Chance is 1 in 16. Needles 20 tokens back tell whether
the short model has learned to look up at all. The loss on the old context of 128 tells what it costs. The room for tags
is counted: at equal positions Untie the Knots reads less text.

Writes benchmarks/results/effect_untie_the_knots.csv; rows that are there are not run again, and the short models are
kept below --out. Some 14 minutes on two quiet cores.
"""

from __future__ import annotations

import argparse
import dataclasses
from functools import cache
from pathlib import Path

import numpy as np
from paired import END, RESULTS, Row, Table, losses, run_all, told, trained, wins

TAGS, LETTERS, WORDS, KEYS, VALUES_ = range(1, 10), range(10, 20), range(20, 36), range(36, 100), range(100, 116)
VOCAB_SIZE = 116
SHORT, LONG = 128, 512
DISTANCES = (20, 100, 200, 300, 400, 500)
NEEDLES = 200
ARMS = ("short", "plain", "untie_the_knots", "tags_only")
KEY = ("arm", "short_tokens", "tokens", "seed")
VALUES = (*(f"found_at_{distance}" for distance in DISTANCES), "found", "short_loss")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, default=3_000_000, help="positions at a context of 512")
    parser.add_argument("--short-tokens", type=int, default=20_000_000, help="tokens before that, at 128")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("runs/effect_train"))
    parser.add_argument("--results", type=Path, default=RESULTS)
    asked = parser.parse_args()
    table = Table(asked.results / "effect_untie_the_knots.csv", KEY, VALUES)
    for arms in (ARMS[:1], ARMS[1:]):  # the short models first: the others go on from them
        runs = [{"arm": arm, "tokens": str(asked.tokens), "seed": str(seed), "short_tokens": str(asked.short_tokens),
                 "out": str(asked.out)}
                for seed in range(asked.seeds) for arm in arms]  # fmt: skip
        if arms == ARMS[:1]:
            runs = [run for run in runs if not (table.has(run) and base_folder(run).exists())]
            table.rows = [row for row in table.rows if not any(all(row[k] == run[k] for k in KEY) for run in runs)]
        run_all(runs, one, table, asked.processes)
    report(table, {"short_tokens": str(asked.short_tokens), "tokens": str(asked.tokens)})


def documents(count: int, seed: int) -> list[np.ndarray]:
    """Documents of the language, each ended by END."""
    rng = np.random.default_rng([seed, 17])
    follow = np.random.default_rng(0).integers(0, len(WORDS), (len(WORDS), 4))  # the words' grammar: four may follow
    made: list[np.ndarray] = []
    for _ in range(count):
        keys = rng.choice(len(KEYS), int(rng.integers(2, 5)), replace=False)
        values = rng.integers(0, len(VALUES_), len(keys))
        size, word = int(rng.integers(60, 160)), int(rng.integers(0, len(WORDS)))
        tokens: list[int] = []
        while len(tokens) < size:
            if rng.random() < 0.5:
                which = int(rng.integers(0, len(keys)))
                tokens += [KEYS[keys[which]], VALUES_[values[which]]]
            word = int(follow[word, rng.integers(0, 4)])
            tokens.append(WORDS[word])
        made.append(np.array([*tokens, END], np.uint16))
    return made


def source(name: str, count: int, seed: int, context: int, reads: int):
    """The documents, each once an epoch."""
    from seedbed.core import arrow
    from seedbed.core.nouns import TOKEN_INDEX
    from seedbed.train.source import TokenShard, TokenSource

    made = documents(count, seed)
    sizes = [len(tokens) for tokens in made]
    offsets = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64)
    names = [row.to_bytes(16, "big") for row in range(count)]
    columns = {"id": names, "offset": offsets, "n_tokens": sizes, "n_bytes": sizes}
    shard = TokenShard(np.concatenate(made), arrow.table(columns, TOKEN_INDEX))
    return TokenSource(name, [shard], np.ones(count), seed=seed, context=context, reads=reads)


def base_folder(run: Row) -> Path:
    return Path(run["out"]) / f"untie_base_{run['short_tokens']}_{run['seed']}"


def one(run: Row) -> Row:
    """Train an arm, and look for needles."""
    from seedbed.model.checkpoint import load_model, save_model
    from seedbed.model.shape import ModelShape
    from seedbed.model.transformer import Decoder
    from seedbed.train.objectives.causal_lm import CausalLM
    from seedbed.train.objectives.untie_the_knots import UntieTheKnots
    from seedbed.train.optimizers.adamw import AdamW
    from seedbed.train.plan import TrainPlan
    from seedbed.train.schedules.cosine import Cosine

    seed, tokens = int(run["seed"]), int(run["tokens"])
    tied = UntieTheKnots(
        documents=4, id_length=2, chunk_tags=tuple(TAGS[:4]), backtracking_tags=tuple(TAGS[4:]), letters=tuple(LETTERS)
    )
    objectives = {"short": CausalLM(), "plain": CausalLM(), "untie_the_knots": tied,
                  "tags_only": dataclasses.replace(tied, backtracking=False)}  # fmt: skip
    is_short = run["arm"] == "short"
    shape = ModelShape(VOCAB_SIZE, d_model=64, n_layers=2, n_heads=2, context=SHORT)
    plan = TrainPlan(
        shape=shape if is_short else dataclasses.replace(shape, context=LONG),
        objective=objectives[run["arm"]],
        optimizer=AdamW(),
        schedule=Cosine(warmup_fraction=0.05),
        tokens=int(run["short_tokens"]) if is_short else tokens,
        batch_sequences=8 if is_short else 4,
        learning_rate=6e-3 if is_short else 2e-3,
    )
    init = None
    if not is_short:
        short, _ = load_model(base_folder(run))
        init = Decoder(plan.shape)
        init.load_state_dict(short.state_dict())
    context = plan.shape.context
    read = source(
        "short" if is_short else "long", min(plan.tokens // 100, 40_000), seed, context, plan.objective.reads(context)
    )
    model = trained(plan, read, seed=seed, init=init)
    if is_short:
        save_model(base_folder(run), model)
        wide = Decoder(dataclasses.replace(shape, context=LONG))
        wide.load_state_dict(model.state_dict())
        model = wide
    share = [found(model, distance) for distance in DISTANCES]
    named = dict(zip(VALUES, [*(f"{s:.4f}" for s in share), f"{np.mean(share[1:]):.4f}"], strict=False))
    return {**{name: run[name] for name in KEY}, **named, "short_loss": f"{short_loss(model):.5f}"}


@cache
def haystacks() -> np.ndarray:
    """(NEEDLES, LONG) tokens of documents that no training saw, run together into one text without ends."""
    flat = np.concatenate([tokens[:-1] for tokens in documents(NEEDLES * LONG // 50, 10_001)])
    return flat[: NEEDLES * LONG].reshape(NEEDLES, LONG).astype(np.int64)


def found(model, distance: int) -> float:
    """Share of needles whose value is the likeliest token, `distance` tokens behind its mention."""
    import torch

    rng = np.random.default_rng(distance)
    ids = haystacks().copy()
    value = np.zeros(NEEDLES, np.int64)
    for row in range(NEEDLES):
        key = rng.choice(np.setdiff1d(np.array(KEYS), ids[row]))
        value[row] = VALUES_[int(rng.integers(0, len(VALUES_)))]
        at = LONG - 1 - distance
        ids[row, at : at + 2] = key, value[row]
        ids[row, -1] = key
    with torch.no_grad():
        last = torch.cat([model.hidden(torch.from_numpy(part))[:, -1] for part in np.array_split(ids, 10)])
        guessed = (last @ model.head_weight.T).argmax(1).numpy()
    return float((guessed == value).mean())


def short_loss(model) -> float:
    """Nats per token at the context of the base model."""
    ids = haystacks().reshape(-1, SHORT)
    return float(losses(model, ids[:, :-1], ids[:, 1:]).mean())


def report(table: Table, run: Row) -> None:
    """Differences with 95 % intervals, paired by seed."""
    plain = {**run, "arm": "plain"}
    for arm in ARMS:
        by = table.by_seed("found", **{**run, "arm": arm})
        print(f"{arm}: needles found {np.mean(list(by.values())):.3f} of 1")
    for arm in ARMS[2:]:
        this = {**run, "arm": arm}
        for value in VALUES:
            print(f"{value}, {arm} - plain: {told(table.difference(value, this, plain))}")
        print(f"short_loss of {arm} {wins(table, 'short_loss', this, plain)}")
        base = np.mean(list(table.by_seed("short_loss", **plain).values()))
        print(f"short_loss, relative: {table.difference('short_loss', this, plain).value / base:+.2%}")


if __name__ == "__main__":
    main()
