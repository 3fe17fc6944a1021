"""Shares that DoReMi and DoGE learn on planted domains, and the models that are trained with them, beside even shares.

    python benchmarks/effect/select/doremi.py [--seeds 3] [--steps 500] [--out benchmarks/results]

Four languages of 48 tokens whose entropy is known: `easy` (one token nearly always follows another), `common` and
`rare` (two languages with as much to learn, one with a tenth of the other's text) and `noise` (tokens drawn at random).
Each way learns shares with a proxy of half the steps; then the same model is trained on them, from the same
start, for as many steps, and asked about fresh text of each domain. `pool` and `even` learn nothing.
A row a way and seed in select_online_mixing.csv: shares, and by how much each loss lies above the language's entropy
(nats per token); `worst` is the largest of these. FLOP of the proxies are in `flops_select`. Under 10 minutes on one
core for three seeds.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from seedbed.core import arrow
from seedbed.core.nouns import TOKEN_INDEX
from seedbed.model import runtime
from seedbed.model.shape import ModelShape
from seedbed.model.transformer import Decoder
from seedbed.select.mixers.doge import Doge
from seedbed.select.mixers.doremi import Doremi
from seedbed.select.mixing import Domains, Mixer, Seen, StepSeen
from seedbed.train.domain_proxy import DomainStep, ProxyPlan, train_proxy
from seedbed.train.objectives.causal_lm import CausalLM
from seedbed.train.optimizers.adamw import AdamW
from seedbed.train.plan import Checkpoints, Phase, TrainPlan
from seedbed.train.run import train
from seedbed.train.schedules.warmup_stable_decay import WarmupStableDecay
from seedbed.train.source import TokenShard, TokenSource

RESULTS = Path(__file__).parents[2] / "results"
NAMES = ("easy", "common", "rare", "noise")
TOKENS_D = np.array([300_000, 300_000, 30_000, 170_000])
VOCAB, CONTEXT, LENGTH, SEQUENCES = 48, 32, 96, 16
WAYS: dict[str, Mixer | None] = {
    "even": None,
    "pool": None,
    "doremi": Doremi(),
    "doremi without a reference": Doremi(reference=False),
    "doge": Doge(),
    "doge without itself": Doge(include_self=False),
}


def languages() -> dict[str, np.ndarray]:
    """(V, V) transitions of each domain."""
    rng = np.random.default_rng(5)
    easy = 0.98 * np.roll(np.eye(VOCAB), 1, 1) + 0.02 / VOCAB
    found = {"easy": easy}
    for name in ("common", "rare"):
        matrix = np.full((VOCAB, VOCAB), 0.05 / VOCAB)
        for row in matrix:
            row[rng.choice(VOCAB, 4, replace=False)] += 0.95 * np.array([0.5, 0.25, 0.15, 0.1])
        found[name] = matrix
    return {**found, "noise": np.full((VOCAB, VOCAB), 1 / VOCAB)}


def entropy(matrix: np.ndarray) -> float:
    """Nats per token that nobody can go below."""
    values, vectors = np.linalg.eig(matrix.T)
    stationary = np.real(vectors[:, np.argmax(np.real(values))])
    return float(-(stationary / stationary.sum()) @ (matrix * np.log(matrix)).sum(1))


def written(matrix: np.ndarray, tokens: int, seed: int) -> np.ndarray:
    """ids_NL of documents, all chains side by side."""
    rng, cumulative = np.random.default_rng(seed), matrix.cumsum(1)
    ids = np.empty((tokens // LENGTH, LENGTH), np.uint16)
    ids[:, 0] = rng.integers(0, VOCAB, len(ids))
    for at in range(1, LENGTH):
        ids[:, at] = np.minimum((cumulative[ids[:, at - 1]] < rng.random(len(ids))[:, None]).sum(1), VOCAB - 1)
    return ids


def sources(seed: int) -> dict[str, TokenSource]:
    """What is read of each domain."""
    found: dict[str, TokenSource] = {}
    for number, (name, matrix) in enumerate(languages().items()):
        ids = written(matrix, int(TOKENS_D[number]), 100 * seed + number)
        keys = [(number * 10**6 + row).to_bytes(16, "big") for row in range(len(ids))]
        columns = {"id": keys, "offset": np.arange(len(ids)) * LENGTH, "n_tokens": [LENGTH] * len(ids)}
        index = arrow.table({**columns, "n_bytes": [LENGTH] * len(ids)}, TOKEN_INDEX)
        found[name] = TokenSource(
            name, [TokenShard(ids.reshape(-1), index)], np.ones(len(ids)), seed=seed, context=CONTEXT
        )
    return found


def plan(steps: int, shares: np.ndarray | None = None, rate: float = 3e-3) -> TrainPlan:
    """A model of about 0.1 M parameters."""
    shape = ModelShape(VOCAB, d_model=64, n_layers=2, n_heads=4, context=CONTEXT)
    slots: dict[str, Any] = {"objective": CausalLM(), "optimizer": AdamW(), "schedule": WarmupStableDecay()}
    mixture = () if shares is None else (Phase(dict(zip(NAMES, shares.tolist(), strict=True))),)
    saved = Checkpoints(every_steps=1_000_000, keep_last=1)
    return TrainPlan(
        shape, **slots, tokens=steps * SEQUENCES * CONTEXT, batch_sequences=SEQUENCES, learning_rate=rate,
        mixture=mixture, checkpoints=saved,
    )  # fmt: skip


def trained(steps: int, shares: np.ndarray, seed: int, folder: Path) -> tuple[Decoder, float]:
    """(model, FLOP)."""
    result = train(plan(steps, shares), sources(seed), seed=seed, folder=folder)
    return result.model, float(result.state.flops)


def learned(mixer: Mixer, steps: int, seed: int, folder: Path) -> tuple[np.ndarray, float]:
    """(share_D, FLOP of proxy and reference)."""
    run, law = mixer.proxy()
    about = Domains(NAMES, TOKENS_D)
    reference, spent = trained(steps, about.share_D, seed, folder / "reference") if run.reference else (None, 0.0)

    def moved(weight_D: np.ndarray, told: DomainStep) -> np.ndarray:
        seen = told.observed
        numbers = (seen.excess_D, seen.loss_D, seen.alignment_D, seen.norm_D)
        return law.next(weight_D, StepSeen(*numbers, told.learning_rate, told.peak_learning_rate))

    asked = ProxyPlan(
        plan(steps), tuple(about.share_D.tolist()), tuple(law.first(about).tolist()), run.sampling, run.gradients
    )
    result = train_proxy(asked, sources(seed), moved, seed=seed, folder=folder / "proxy", reference=reference)
    mixture = mixer.mixture(about, Seen(step_weight_SD=result.step_weight_SD), seed)
    return mixture.share_D, spent + result.flops


def above_entropy(model: Decoder) -> dict[str, float]:
    """Nats per token above what nobody can go below, on fresh text."""
    import torch

    found: dict[str, float] = {}
    for number, (name, matrix) in enumerate(languages().items()):
        ids = torch.from_numpy(written(matrix, 48_000, 9_000 + number)[:, : CONTEXT + 1].astype(np.int64))
        with torch.no_grad():
            logits = model(ids[:, :-1])
            loss = torch.nn.functional.cross_entropy(logits.reshape(-1, VOCAB), ids[:, 1:].reshape(-1))
        found[name] = float(loss) - entropy(matrix)
    return found


def row_of(way: str, seed: int, steps: int) -> dict[str, str]:
    """One way under one seed."""
    start = time.perf_counter()
    mixer = WAYS[way]
    with tempfile.TemporaryDirectory() as folder:
        if mixer is None:
            share_D, spent = (np.full(4, 0.25) if way == "even" else TOKENS_D / TOKENS_D.sum()), 0.0
        else:
            share_D, spent = learned(mixer, steps // 2, seed, Path(folder))
        model, flops = trained(steps, share_D, seed, Path(folder) / "model")
    above = above_entropy(model)
    row = {"way": way, "seed": str(seed), "steps": str(steps)}
    row |= {f"share_{name}": f"{share:.4f}" for name, share in zip(NAMES, share_D, strict=True)}
    row |= {f"above_{name}": f"{above[name]:.4f}" for name in NAMES}
    row |= {"worst": f"{max(above.values()):.4f}", "flops_select": f"{spent:.4g}", "flops_train": f"{flops:.4g}"}
    print(f"{time.perf_counter() - start:.0f} s", row, flush=True)
    return row


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--seeds", type=int, default=3)
    asked.add_argument("--steps", type=int, default=500)
    asked.add_argument("--out", type=Path, default=RESULTS)
    given = asked.parse_args()
    runtime.prepare()
    rows = [row_of(way, seed, given.steps) for seed in range(given.seeds) for way in WAYS]
    given.out.mkdir(parents=True, exist_ok=True)
    with (given.out / "select_online_mixing.csv").open("w", newline="", encoding="utf-8") as out:
        writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
