"""Of models with one loss, do those in flatter places transfer better? Trace of the Hessian against transfer.

    python benchmarks/effect/predict/flatness.py [--corpus FOLDER] [--seeds 2] [--minutes 7.5]

A decoder of 0.07 M parameters over bytes is trained with ten settings of learning rate, batch and weight decay, each
until the held-out loss of English text first reaches the same value: what the first setting comes to after --steps
batches. Of each checkpoint the trace is measured on held-out text (sampled Fisher, and Hutchinson's signs beside it);
then it is tuned for a few batches on text of another language, all alike, and asked for bits per byte there. The law
`flatness` says how the ranks agree. Settings that do not come to the loss in time are told and left out.

Without a corpus (FOLDER/jsonl/all.jsonl) the shipped sample is used: English all, its graphics pages as the other text.
Writes predict_flatness.csv (a row a checkpoint) and predict_flatness_fits.csv (a row a seed and score). A checkpoint
that is there is not trained again. Minutes on one core.
"""

from __future__ import annotations

import argparse
import copy
import csv
import gzip
import json
import math
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from seedbed.core import arrow
from seedbed.model.flatness import decoder_trace, hutchinson
from seedbed.model.shape import ModelShape
from seedbed.model.transformer import Decoder, initial_model
from seedbed.predict.laws.flatness import Flatness

sys.path += [str(Path(__file__).parents[1] / "continual")]

RESULTS = Path(__file__).parents[2] / "results"
LENGTH, END = 64, 256
SHAPE = ModelShape(257, d_model=48, n_layers=2, n_heads=4, context=LENGTH)
SETTINGS = (
    (2e-3, 16, 0.0),
    (1e-3, 8, 0.0),
    (4e-3, 16, 0.0),
    (8e-3, 16, 0.0),
    (4e-3, 4, 0.0),
    (2e-3, 4, 0.0),
    (4e-3, 64, 0.0),
    (8e-3, 64, 0.0),
    (4e-3, 16, 1.0),
    (1e-2, 32, 0.3),
)
"""(learning rate, rows of a batch, weight decay); the first sets the loss."""
COLUMNS = ("seed", "learning_rate", "batch", "weight_decay", "steps", "loss", "flatness", "flatness_error", "gains",
           "signs", "signs_error", "zero_shot", "transfer")  # fmt: skip
FITS = ("seed", "score", "runs", "loss_span", "spearman", "low", "high", "p", "slope", "slope_low", "slope_high",
        "spearman_of_loss", "spearman_of_signs")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=700, help="batches of the first setting")
    parser.add_argument("--tuning-steps", type=int, default=60)
    parser.add_argument("--minutes", type=float, default=7.5, help="then no further checkpoint is begun")
    parser.add_argument("--out", type=Path, default=RESULTS)
    asked = parser.parse_args()
    begun, file = time.monotonic(), asked.out / "predict_flatness.csv"
    asked.out.mkdir(parents=True, exist_ok=True)
    texts = texts_of(asked.corpus)
    rows = list(csv.DictReader(file.open(encoding="utf-8"))) if file.exists() else []
    for seed in range(asked.seeds):
        target = float(rows[seed * len(SETTINGS)]["loss"]) if len(rows) > seed * len(SETTINGS) else None
        for setting in SETTINGS:
            named = dict(zip(COLUMNS, map(str, (seed, *setting)), strict=False))
            if any(all(row[name] == value for name, value in named.items()) for row in rows):
                continue
            if time.monotonic() - begun > 60 * asked.minutes:
                break
            told = checkpoint(seed, setting, texts, target, asked)
            target = target or told["loss"]
            rows.append(named | {name: f"{value:.6g}" for name, value in told.items()})
            write(file, COLUMNS, rows)
            print(" ".join(f"{name}={value}" for name, value in rows[-1].items()), flush=True)
    fits = [fit for seed in range(asked.seeds) for fit in fits_of(seed, rows)]
    write(asked.out / "predict_flatness_fits.csv", FITS, fits)
    for fit in fits:
        print(" ".join(f"{name}={value}" for name, value in fit.items()), flush=True)


def texts_of(corpus: Path | None) -> dict[str, torch.Tensor]:
    """Rows of bytes, each LENGTH + 1: to train on, held out, the other text to tune on, and held out of that."""
    if corpus is None:
        from seedbed import sample

        folder = Path(sample.__file__).parent
        files = {file.name: _sample(file) for file in sorted(folder.glob("*.jsonl.gz"))}
        other = files.pop("eval_graphics.jsonl.gz")
        both = [text for texts in files.values() for text in texts]
        parts = both[::2] + both[1::4], both[3::4], other[::2], other[1::2]
    else:
        from texts import documents

        parts = (
            *documents(corpus, lambda _package, language: language == "en", 4000),
            *documents(corpus, lambda _package, language: language == "de", 4000),
        )
    names, most = ("train", "heldout", "other", "other_heldout"), (60_000, 256, 4_000, 256)
    found: dict[str, torch.Tensor] = {}
    for name, texts, n in zip(names, parts, most, strict=True):
        order = np.random.default_rng(0).permutation(len(texts)).tolist()
        flat = np.frombuffer("\n".join(texts[i] for i in order[: 40 * n]).encode(), np.uint8)
        rows = len(flat) // (LENGTH + 1)
        keep = np.random.default_rng(1).permutation(rows)[:n]
        found[name] = torch.from_numpy(flat[: rows * (LENGTH + 1)].reshape(rows, -1)[keep].astype(np.int64))
    return found


def _sample(file: Path) -> list[str]:
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        return [json.loads(line)["text"] for line in lines]


def checkpoint(
    seed: int, setting: tuple[float, int, float], texts: dict[str, torch.Tensor], target: float | None, asked
) -> dict[str, float]:
    """Train to the target, then measure."""
    model = initial_model(SHAPE, seed)
    learning_rate, batch, decay = setting
    steps, loss = trained(model, texts, learning_rate, batch, decay, seed, target, asked.steps)
    ids = texts["heldout"][:64, 1:].numpy()
    offsets = np.arange(0, ids.size + 1, LENGTH)
    fisher = decoder_trace(model, END, ids.reshape(-1), offsets, draws=12, seed=seed)
    signs = decoder_trace(model, END, ids.reshape(-1), offsets, draws=6, seed=seed, method=hutchinson)
    before = heldout_loss(model, texts["other_heldout"]) / math.log(2)
    after = [tuned(model, texts, again, asked.tuning_steps) for again in range(2)]
    return {
        "steps": steps,
        "loss": loss,
        "flatness": fisher.value,
        "flatness_error": fisher.error,
        "gains": fisher.gains,
        "signs": signs.value,
        "signs_error": signs.error,
        "zero_shot": before,
        "transfer": sum(after) / len(after),
    }


def trained(
    model: Decoder,
    texts: dict[str, torch.Tensor],
    learning_rate: float,
    batch: int,
    decay: float,
    seed: int,
    target: float | None,
    steps: int,
) -> tuple[int, float]:
    """(steps, held-out loss) when it first is at the target; without one after `steps`."""
    optimizer = adamw(model, learning_rate, decay)
    rng, most = np.random.default_rng(seed), steps * 16 * 4 // batch
    look, loss = 20, math.inf
    for step in range(1, (steps if target is None else most) + 1):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * min(1.0, step / 50)
        one_step(model, optimizer, texts["train"][torch.from_numpy(rng.integers(0, len(texts["train"]), batch))])
        if target is None:
            continue
        if step % look == 0:
            loss = heldout_loss(model, texts["heldout"])
            look = 20 if loss > target + 0.08 else 5 if loss > target + 0.02 else 1
            if loss <= target:
                return step, loss
    return (steps, heldout_loss(model, texts["heldout"])) if target is None else (most, loss)


def tuned(model: Decoder, texts: dict[str, torch.Tensor], seed: int, steps: int) -> float:
    """Bits per byte of the other text after a few batches of it, under one recipe for all."""
    model = copy.deepcopy(model)
    optimizer = adamw(model, 1e-3, 0.0)
    rng = np.random.default_rng(1000 + seed)
    for step in range(1, steps + 1):
        for group in optimizer.param_groups:
            group["lr"] = 1e-3 * min(1.0, step / 10) * (1 - (step - 1) / steps)
        one_step(model, optimizer, texts["other"][torch.from_numpy(rng.integers(0, len(texts["other"]), 16))])
    return heldout_loss(model, texts["other_heldout"]) / math.log(2)


def adamw(model: Decoder, learning_rate: float, decay: float) -> torch.optim.Optimizer:
    groups = [
        {"params": [w for w in model.parameters() if w.ndim > 1], "weight_decay": decay},
        {"params": [w for w in model.parameters() if w.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=learning_rate, betas=(0.9, 0.95))


def one_step(model: Decoder, optimizer: torch.optim.Optimizer, rows: torch.Tensor) -> None:
    loss = functional.cross_entropy(model(rows[:, :-1]).flatten(0, 1), rows[:, 1:].flatten())
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()


@torch.no_grad()
def heldout_loss(model: Decoder, rows: torch.Tensor) -> float:
    """Nats per byte."""
    return float(functional.cross_entropy(model(rows[:, :-1]).flatten(0, 1), rows[:, 1:].flatten()))


def fits_of(seed: int, rows: list[dict[str, str]]) -> list[dict[str, object]]:
    """The law on the checkpoints of a seed that came to its loss, for both scores."""
    own = [row for row in rows if row["seed"] == str(seed)]
    if not own:
        return []
    equal = [row for row in own if abs(float(row["loss"]) - float(own[0]["loss"])) <= 0.01]
    if len(equal) < 4:
        return []
    found: list[dict[str, object]] = []
    for score in ("transfer", "zero_shot"):
        columns = {name: [float(row[name]) for row in equal] for name in ("loss", "flatness", score)}
        columns["score"] = columns.pop(score)
        fitted = Flatness(tolerance=0.02).fit(arrow.table(columns))
        signs = {**columns, "flatness": [max(float(row["signs"]), 1e-9) for row in equal]}
        beside = Flatness(tolerance=0.02, max_extrapolation=1e6).fit(arrow.table(signs))
        rho, m = fitted.coefficients["rho"], fitted.coefficients["m"]
        loss = fitted.facts["spearman_of_loss"]["value"]  # pyright: ignore
        row: dict[str, object] = {"seed": seed, "score": score, "runs": len(equal)}
        row |= {"loss_span": f"{fitted.facts['loss_span']:.4f}", "spearman": f"{rho.value:.3f}"}
        row |= {"low": f"{rho.low:.3f}", "high": f"{rho.high:.3f}", "p": f"{fitted.facts['spearman_p']:.3f}"}
        row |= {"slope": f"{m.value:.4f}", "slope_low": f"{m.low:.4f}", "slope_high": f"{m.high:.4f}"}
        row |= {"spearman_of_loss": f"{loss:.3f}", "spearman_of_signs": f"{beside.coefficients['rho'].value:.3f}"}
        found.append(row)
    return found


def write(file: Path, columns: tuple[str, ...], rows: list[dict[str, object]] | list[dict[str, str]]) -> None:
    with file.open("w", newline="", encoding="utf-8") as out:
        writer = csv.DictWriter(out, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
