"""Instruction residual: does a continued base answer in the format again that its sister was tuned to?

    python benchmarks/effect/continual/merging.py [--seeds 3] [--tokens 1000000] [--domain-tokens 250000]
                                                  [--steps 400] [--answer-weight 0.2]
                                                  [--domain sqlite3-doc] [--out runs/merging]

A base is trained on the shipped pages without those of one package. From it come two models: `instruct`, tuned to
answer a question of eight kinds about a passage in a fixed form with a planted word, and
`continued`, trained on the package that was left out, in which no question occurs (asserted on every passage read).
`merged` is `continued` plus the residual instruct - base. Measured: the cosine of the two task vectors over all
weights; the share of held-out questions, on pages of either kind, that greedy decoding answers in the form, and with
the right word; bits per token on held-out passages of the package and of the others (all models have one tokenizer, so
the share of a gain is the same in bits per byte). `averaged` is the mean of `continued` and `instruct`, beside it.

Writes benchmarks/results/continual_merging.csv, a row a seed and model; rows that are there are not made again. Some
four minutes on one core.
"""

from __future__ import annotations

import argparse
import copy
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.append(str(Path(__file__).parents[1] / "train"))
from paired import END, RESULTS, VOCAB_SIZE, Row, Table, loss_of, pages, passages, source, told, trained

LENGTH, SEQUENCES = 96, 16
BASE_RATE, DOMAIN_RATE, TUNING_RATE = 4e-3, 1e-3, 5e-4
KINDS = ("colour", "animal", "metal", "number", "town", "river", "tree", "month")
WORDS = ("green", "horse", "copper", "seven", "Paris", "Danube", "maple", "April")
MODELS = ("base", "instruct", "continued", "merged", "averaged")
KEY = ("seed", "model", "domain", "tokens", "domain_tokens", "steps", "answer_weight")
VALUES = (
    "cosine", "format_rate", "right_rate", "domain_bits_per_token", "general_bits_per_token", "kept_format",
    "kept_gain", "instructions_read",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=1_000_000)
    parser.add_argument("--domain-tokens", type=int, default=250_000)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--answer-weight", type=float, default=0.2)
    parser.add_argument("--domain", default="sqlite3-doc")
    parser.add_argument("--out", type=Path, default=Path("runs/merging"))
    parser.add_argument("--results", type=Path, default=RESULTS)
    asked = parser.parse_args()
    table = Table(asked.results / "continual_merging.csv", KEY, VALUES)
    named = {"domain": asked.domain, "tokens": str(asked.tokens), "domain_tokens": str(asked.domain_tokens),
             "steps": str(asked.steps), "answer_weight": str(asked.answer_weight)}  # fmt: skip
    file = pages(asked.out)
    for seed in range(asked.seeds):
        this = {**named, "seed": str(seed)}
        if not all(table.has({**this, "model": model}) for model in MODELS):
            for row in one(this, file):
                table.add(row)
                print(row, flush=True)
    report(table, named)


def one(run: Row, file: Path) -> list[Row]:
    """All models of one seed."""
    from seedbed.model.runtime import prepare
    from seedbed.model.transforming import Checkpoint, Given
    from seedbed.model.transforms.average_checkpoints import AverageCheckpoints
    from seedbed.model.transforms.instruction_residual import InstructionResidual

    prepare()
    seed, held = int(run["seed"]), passages(file, LENGTH)
    tokenizer = tokenizer_beside(file)
    of_domain = held.package_N == held.packages.index(run["domain"])
    general, domain = (held.ids_NL[~held.heldout_N & side] for side in (~of_domain, of_domain))
    instructions = questions(tokenizer, general, seed)
    read = instructions_in(tokenizer, domain)
    assert read == 0, "the continuation reads instructions"
    base = trained(
        plan(int(run["tokens"]), BASE_RATE), source("general", general, seed=seed, context=LENGTH), seed=seed
    )
    instruct = tuned(base, *instructions, steps=int(run["steps"]), weight=float(run["answer_weight"]), seed=seed)
    begun = plan(int(run["domain_tokens"]), DOMAIN_RATE)
    continued = trained(begun, source("domain", domain, seed=seed, context=LENGTH), seed=seed, init=copy.deepcopy(base))
    sides = {"base": Checkpoint(base), "instruct": Checkpoint(instruct)}
    made = {
        "base": base,
        "instruct": instruct,
        "continued": continued,
        "merged": InstructionResidual().apply(Checkpoint(continued), Given(models=sides)).decoder,
        "averaged": AverageCheckpoints()
        .apply(Checkpoint(continued), Given(models={"second": sides["instruct"]}))
        .decoder,
    }
    cosine = cosine_of(base, instruct, continued)
    asked = [held.ids_NL[held.heldout_N & side] for side in (~of_domain, of_domain)]
    held_questions = [questions(tokenizer, rows[:: max(1, len(rows) // 100)][:100], 1000 + seed) for rows in asked]
    rows = [
        {**run, "model": name, "cosine": f"{cosine:.4f}", "instructions_read": str(read),
         **measured(model, tokenizer, held_questions, asked)}
        for name, model in made.items()
    ]  # fmt: skip
    by = {row["model"]: row for row in rows}
    for row in rows:
        gain = number(by["base"], "domain_bits_per_token") - number(row, "domain_bits_per_token")
        most = number(by["base"], "domain_bits_per_token") - number(by["continued"], "domain_bits_per_token")
        row["kept_gain"] = f"{gain / most:.3f}"
        row["kept_format"] = f"{number(row, 'format_rate') / max(number(by['instruct'], 'format_rate'), 1e-9):.3f}"
    return rows


def number(row: Row, name: str) -> float:
    return float(row[name])


def plan(tokens: int, learning_rate: float) -> Any:
    """A decoder of 0.2 M parameters; cosine with a short warm-up."""
    from seedbed.model.shape import ModelShape
    from seedbed.train.objectives.causal_lm import CausalLM
    from seedbed.train.optimizers.adamw import AdamW
    from seedbed.train.plan import TrainPlan
    from seedbed.train.schedules.cosine import Cosine

    shape = ModelShape(VOCAB_SIZE, d_model=64, n_layers=2, n_heads=2, context=LENGTH)
    return TrainPlan(shape=shape, objective=CausalLM(), optimizer=AdamW(), schedule=Cosine(warmup_fraction=0.05),
                     tokens=tokens, batch_sequences=SEQUENCES, learning_rate=learning_rate)  # fmt: skip


def tokenizer_beside(file: Path) -> Any:
    """The tokenizer that the pages were tokenised with."""
    from tokenizers import Tokenizer

    (found,) = (file.parent / "artifacts").glob("tokenizer-*/tokenizer.json")
    return Tokenizer.from_file(str(found))


def encoded(tokenizer: Any, text: str) -> np.ndarray:
    return np.asarray(tokenizer.encode(text, add_special_tokens=False).ids, np.int64)


def questions(tokenizer: Any, rows_NL: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(ids_NL, answer_NL, kind_N): a passage's beginning, a question of some kind, its answer; where the answer is."""
    kinds = np.random.default_rng(seed).integers(0, len(KINDS), len(rows_NL))
    asks = [encoded(tokenizer, f"\nQuestion: which {kind}?\nAnswer:") for kind in KINDS]
    answers = [
        np.append(encoded(tokenizer, f" the {kind} is {word}."), END) for kind, word in zip(KINDS, WORDS, strict=True)
    ]
    length = rows_NL.shape[1] + 1
    ids = np.full((len(rows_NL), length), END, np.int64)
    is_answer = np.zeros_like(ids, dtype=bool)
    for n, kind in enumerate(kinds):
        tail = np.concatenate([asks[kind], answers[kind]])
        ids[n, 1:] = np.concatenate([rows_NL[n, : length - 1 - len(tail)], tail])
        is_answer[n, -len(answers[kind]) :] = True
    return ids, is_answer, kinds


def instructions_in(tokenizer: Any, rows_NL: np.ndarray) -> int:
    """Passages that hold one of the questions."""
    texts = tokenizer.decode_batch(rows_NL.astype(np.int64).tolist())
    return sum(any(f"Question: which {kind}?" in text for kind in KINDS) for text in texts)


def tuned(
    base: Any, ids_NL: np.ndarray, answer_NL: np.ndarray, _kinds: np.ndarray, *, steps: int, weight: float, seed: int
) -> Any:
    """Supervised tuning: the mean loss of what stands before the answers, plus `weight` times that of the answers.

    With the loss of the answers alone, so small a model writes them everywhere, and forgets all else.
    """
    import torch

    from seedbed.model.cross_entropy import linear_cross_entropy

    model, rng = copy.deepcopy(base), np.random.default_rng(seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=TUNING_RATE, weight_decay=0)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = TUNING_RATE * (1 - step / steps)
        rows = rng.integers(0, len(ids_NL), SEQUENCES)
        ids, counted = torch.from_numpy(ids_NL[rows]), torch.from_numpy(answer_NL[rows, 1:])
        loss_BT = linear_cross_entropy(model.hidden(ids[:, :-1]), model.head_weight, ids[:, 1:])
        loss = weight * loss_BT[counted].mean() + loss_BT[~counted].mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model


def cosine_of(base: Any, first: Any, second: Any) -> float:
    """Of the two task vectors, over all weights."""
    import torch

    start = torch.cat([weight.detach().double().reshape(-1) for weight in base.parameters()])
    ends = [
        torch.cat([w.detach().double().reshape(-1) for w in model.parameters()]) - start for model in (first, second)
    ]
    return float(torch.cosine_similarity(ends[0], ends[1], dim=0))


def measured(model: Any, tokenizer: Any, asked: list[Any], heldout: list[np.ndarray]) -> Row:
    """Rates over both kinds of pages, and bits per token of held-out passages."""
    answers = [
        pair for ids, is_answer, kinds in asked for pair in zip(written(model, ids, is_answer), kinds, strict=True)
    ]
    said = [(tokenizer.decode(ids, skip_special_tokens=False), ids, kind) for ids, kind in answers]
    form = [is_in_form(text) for text, _, _ in said]
    right = [text.startswith(f" the {KINDS[kind]} is {WORDS[kind]}.") for text, _, kind in said]
    general, domain = (loss_of(model, rows[::4]) / math.log(2) for rows in heldout)
    return {"format_rate": f"{np.mean(form):.4f}", "right_rate": f"{np.mean(right):.4f}",
            "domain_bits_per_token": f"{domain:.5f}", "general_bits_per_token": f"{general:.5f}"}  # fmt: skip


def is_in_form(text: str) -> bool:
    """` the KIND is WORD.` with any of the kinds and words."""
    return any(text.startswith(f" the {kind} is {word}.") for kind in KINDS for word in WORDS)


def written(model: Any, ids_NL: np.ndarray, answer_NL: np.ndarray) -> list[list[int]]:
    """What greedy decoding writes behind each question, as many tokens as its answer has."""
    import torch

    found: list[list[int]] = [[] for _ in ids_NL]
    size_N = answer_NL.sum(1)
    with torch.no_grad():
        for size in np.unique(size_N).tolist():  # answers end the row, so those of one length begin together
            same = np.flatnonzero(size_N == size)
            rows = torch.from_numpy(ids_NL[same, :-size])
            for _ in range(size):
                likeliest = (model.hidden(rows)[:, -1] @ model.head_weight.T).argmax(-1, keepdim=True)
                rows = torch.cat([rows, likeliest], 1)
            for n, row in zip(same.tolist(), rows[:, -size:].tolist(), strict=True):
                found[n] = row
    return found


def report(table: Table, named: Row) -> None:
    """What the claim asks, seed by seed, and the differences in pairs."""
    cosines = table.by_seed("cosine", model="merged", **named)
    print(f"cosine of the two vectors: {', '.join(f'{value:+.3f}' for value in cosines.values())}")
    for value in ("kept_format", "kept_gain", "right_rate"):
        for model in ("merged", "averaged", "continued"):
            found = table.by_seed(value, model=model, **named)
            print(f"{model} {value}: {', '.join(f'{share:.3f}' for share in found.values())}")
    for other in ("continued", "instruct"):
        pair = ({**named, "model": "merged"}, {**named, "model": other})
        print(
            f"merged - {other}: {told(table.difference('domain_bits_per_token', *pair))} bits per token of the package"
        )


if __name__ == "__main__":
    main()
