"""MeCo beside standard training on the shipped pages: loss with and without addresses, and the data it saves.

    python benchmarks/effect/train/meco.py [--tokens 1500000] [--seeds 5] [--processes 2] [--out runs/effect_train]

Passages of 160 tokens from 20 packages; the address is the package's name ("URL: sqlite3-doc"), as all pages of the
sample have one host. A decoder of 0.4 M parameters, context 256, attention inside documents, cosine to a tenth, equal
positions for both arms (so MeCo reads fewer tokens of text); the standard arm also with 1.25 and 1.5 times the tokens,
which gives the curve that MeCo's saving is read off: 1 - tokens / (tokens the standard arm needs for MeCo's loss).
Losses are of passages of held-out pages, nats per token of text. The samples of each model are judged by a naive Bayes
classifier of passages: how often they are found to be from the package that they were asked for, with its address in
front and without.

Writes benchmarks/results/effect_meco.csv; rows that are there are not run again. Some 11 minutes on two quiet cores.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from paired import (
    END,
    RESULTS,
    VOCAB_SIZE,
    Passages,
    Row,
    Table,
    loss_of,
    pages,
    passages,
    run_all,
    source,
    told,
    trained,
    wins,
)

from seedbed.stats.intervals import mean_interval

LENGTH, CONTEXT, SEQUENCES = 160, 256, 16
KEY = ("arm", "tokens", "seed")
VALUES = ("loss_without_address", "loss_with_address", "text_tokens", "found_without_address", "found_with_address")
SAMPLES, SAMPLE_TOKENS = 8, 48


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, default=1_500_000)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("runs/effect_train"))
    parser.add_argument("--results", type=Path, default=RESULTS)
    asked = parser.parse_args()
    table = Table(asked.results / "effect_meco.csv", KEY, VALUES)
    budgets = [asked.tokens, asked.tokens * 5 // 4, asked.tokens * 3 // 2]
    file = str(pages(asked.out))
    runs = [{"arm": arm, "tokens": str(tokens), "seed": str(seed), "file": file,
             "ask": "yes" if tokens == asked.tokens else ""} for seed in range(asked.seeds)
            for arm, tokens in (("meco", budgets[0]), *(("standard", tokens) for tokens in budgets))]  # fmt: skip
    run_all(runs, one, table, asked.processes)
    report(table, budgets)


def one(run: Row) -> Row:
    """Train an arm, and ask it."""
    from seedbed.model.shape import ModelShape
    from seedbed.train.objectives.causal_lm import CausalLM
    from seedbed.train.objectives.meco import MeCo
    from seedbed.train.optimizers.adamw import AdamW
    from seedbed.train.plan import TrainPlan
    from seedbed.train.schedules.cosine import Cosine
    from seedbed.train.source import Metadata

    seed = int(run["seed"])
    held = passages(Path(run["file"]), LENGTH)
    text, package = held.ids_NL[~held.heldout_N], held.package_N[~held.heldout_N]
    objective = MeCo() if run["arm"] == "meco" else CausalLM()
    plan = TrainPlan(
        shape=ModelShape(VOCAB_SIZE, d_model=96, n_layers=2, n_heads=3, context=CONTEXT),
        objective=objective,
        optimizer=AdamW(),
        schedule=Cosine(warmup_fraction=0.05),
        tokens=int(run["tokens"]),
        batch_sequences=SEQUENCES,
        learning_rate=4e-3,
        document_mask=True,
    )
    sources = {}
    for view in objective.views():
        addresses = [held.address_K[k] for k in package] if view.metadata else [np.zeros(0, np.int64)] * len(package)
        offsets = np.cumsum([0, *(len(address) for address in addresses)])
        metadata = Metadata(np.concatenate(addresses), offsets) if view.metadata else None
        name = "pages" + view.suffix
        sources[name] = source(name, text, seed=seed, context=CONTEXT, metadata=metadata, part=view.part)
    model = trained(plan, sources, seed=seed)

    rows = np.flatnonzero(held.heldout_N)[::4]
    prefixes = [held.address_K[k] for k in held.package_N[rows]]
    share = 1.0
    if run["arm"] == "meco":
        extra = float(np.mean([len(held.address_K[k]) for k in package]))
        share = 0.9 * LENGTH / (LENGTH + extra) + 0.1
    given = {
        **{name: run[name] for name in KEY},
        "loss_without_address": f"{loss_of(model, held.ids_NL[rows]):.5f}",
        "loss_with_address": f"{loss_of(model, held.ids_NL[rows], prefixes):.5f}",
        "text_tokens": f"{plan.total_tokens * share:.0f}",
    }
    if run["ask"]:
        for name, with_address in (("found_without_address", False), ("found_with_address", True)):
            given[name] = f"{found(model, held, with_address, seed):.4f}"
    return given


def found(model, held: Passages, with_address: bool, seed: int) -> float:
    """Share of samples that a classifier gives to the package they were asked for, mean over the packages."""
    import torch

    text, package = held.ids_NL[~held.heldout_N], held.package_N[~held.heldout_N]
    count_KV = np.ones((len(held.packages), VOCAB_SIZE))
    np.add.at(count_KV, (np.repeat(package, LENGTH), text.reshape(-1)), 1)
    log_KV = np.log(count_KV / count_KV.sum(1, keepdims=True))
    hits = []
    rng = torch.Generator().manual_seed(seed)
    for k in range(len(held.packages)):
        if not (package == k).any():
            continue
        before = np.append(END, held.address_K[k]) if with_address else np.array([END])
        ids = torch.from_numpy(np.tile(before, (SAMPLES, 1)))
        with torch.no_grad():
            for _ in range(SAMPLE_TOKENS):
                logits = model.hidden(ids)[:, -1] @ model.head_weight.T
                logits[:, END] = -torch.inf
                ids = torch.cat([ids, torch.multinomial(logits.softmax(1), 1, generator=rng)], 1)
        new = ids[:, len(before) :].numpy()
        hits.append(float((log_KV[:, new].sum(2).argmax(0) == k).mean()))
    return float(np.mean(hits))


def report(table: Table, budgets: list[int]) -> None:
    """Differences with 95 % intervals, paired by seed."""
    meco, standard = {"arm": "meco", "tokens": str(budgets[0])}, {"arm": "standard", "tokens": str(budgets[0])}
    for value in VALUES[:2]:
        print(f"{value}, meco - standard: {told(table.difference(value, meco, standard))}")
    print(f"loss_without_address of meco {wins(table, VALUES[0], meco, standard)}")
    curves = [table.by_seed(VALUES[0], arm="standard", tokens=str(tokens)) for tokens in budgets]
    mine = table.by_seed(VALUES[0], **meco)
    savings = []
    for seed in sorted(mine):
        curve = np.array([curve[seed] for curve in curves])
        slope, level = np.polyfit(np.log(budgets), curve, 1)
        savings.append(1 - budgets[0] / float(np.exp((mine[seed] - level) / slope)))
    print(f"data saved by meco (fraction): {told(mean_interval(np.array(savings)), 3)}")
    for arm in (meco, standard):
        with_it, without = (table.by_seed(name, **arm) for name in (VALUES[4], VALUES[3]))
        gain = mean_interval(np.array([with_it[seed] - without[seed] for seed in sorted(with_it)]))
        print(f"samples found to be from the asked package, with the address - without, {arm['arm']}: {told(gain, 3)}")


if __name__ == "__main__":
    main()
