"""Coordinate check of muP: does what is learned keep its size as models widen, and does the best rate carry over?

    python benchmarks/effect/train/coordinates.py [--seeds 3] [--steps 300] [--widths 64 128 256 512] [--out DIR]

First part: decoders of two layers and heads of width 16, standard and muP (base width 64), on the bytes of the shipped
text; AdamW at one large rate on one batch. After each of four steps the mean absolute value of the attention's, the
feed-forward's and the residual stream's activations in the last block, and how far the logits of the right next bytes
have moved since the start. The slope is that of log size over log width: 0 where nothing depends on width. Writes
coordinate_check.csv, a row for each quantity and step.

Second part: the same decoders (without the widest) trained for `steps` batches at rates a factor of 2 apart, constant
after a short warm-up; the loss of the last tenth of training. Writes coordinate_transfer.csv, a row a run. Under muP
the best rate should stay where it is while models widen, under the standard parametrization it falls.

Both go into benchmarks/results, and the picture of both into docs/pictures/coordinate_check.png. Some twenty minutes
on one quiet core, most of it the second part.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import statistics
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter
from torch.nn import functional

from seedbed import sample
from seedbed.model.contract import Parametrization
from seedbed.model.parametrizations.mup import MuP
from seedbed.model.parametrizations.standard import Standard
from seedbed.model.runtime import prepare
from seedbed.model.shape import ModelShape
from seedbed.model.transformer import Decoder, initial_model
from seedbed.model.weights import weights_of
from seedbed.train.optimizers.adamw import AdamW

ROOT = Path(__file__).parents[3]
BASE, HEAD, LAYERS, CONTEXT, SEQUENCES = 64, 16, 2, 64, 8
RULES: dict[str, Parametrization] = {"standard": Standard(), "mup": MuP(base_width=BASE, base_head_width=HEAD)}
RATE, STEPS = 2.0**-8, 4
RATES = [2.0**-power for power in range(12, 5, -1)]
WARMUP = 10
QUANTITIES = ("attention", "feed_forward", "stream", "target_logit_change")
COLOURS = ("#888888", "#5b8ff9", "#1f6f54", "#c0392b")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--widths", type=int, nargs="+", default=[64, 128, 256, 512])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=300, help="of a training of the second part")
    parser.add_argument("--rates", type=float, nargs="+", default=RATES)
    parser.add_argument("--out", type=Path, default=ROOT, help="where benchmarks/results and docs/pictures lie")
    asked = parser.parse_args()
    prepare()
    results, pictures = asked.out / "benchmarks/results", asked.out / "docs/pictures"
    for folder in (results, pictures):
        folder.mkdir(parents=True, exist_ok=True)
    checked = check(asked.widths, asked.seeds)
    write(results / "coordinate_check.csv", checked)
    trained = transfer(asked.widths[:-1] or asked.widths, asked.rates, asked.seeds, asked.steps)
    write(results / "coordinate_transfer.csv", trained)
    draw(pictures / "coordinate_check.png", checked, trained, asked.widths)


def text() -> torch.Tensor:
    """The bytes of the shipped held-out text, end to end."""
    file = Path(sample.__file__).parent / "target_select.jsonl.gz"
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        joined = "\n\n".join(json.loads(line)["text"] for line in lines)
    return torch.from_numpy(np.frombuffer(joined.encode(), np.uint8).astype(np.int64))


def batches(seed: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """(inputs, targets) from random places."""
    tokens, generator = text(), torch.Generator().manual_seed(seed)
    while True:
        begin = torch.randint(len(tokens) - CONTEXT - 1, (SEQUENCES, 1), generator=generator)
        ids = tokens[begin + torch.arange(CONTEXT + 1)]
        yield ids[:, :-1], ids[:, 1:]


def fresh(rule: str, width: int, seed: int) -> tuple[Decoder, torch.optim.Optimizer]:
    shape = ModelShape(256, width, LAYERS, width // HEAD, context=CONTEXT, parametrization=RULES[rule])
    model = initial_model(shape, seed)
    return model, AdamW().build(weights_of(model))


def step(
    model: Decoder, optimizer: torch.optim.Optimizer, ids: torch.Tensor, targets: torch.Tensor, rate: float
) -> float:
    for group in optimizer.param_groups:
        group["lr"] = rate * group["lr_scale"]
    loss = functional.cross_entropy(model(ids).flatten(0, 1), targets.flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return float(loss.detach())


def sizes(rule: str, width: int, seed: int) -> list[dict[str, float]]:
    """Mean absolute values before the first step and after each."""
    model, optimizer = fresh(rule, width, seed)
    ids, targets = next(batches(seed))
    last, seen = model.model.layers[-1], dict[str, float]()

    def look(name: str) -> Callable[[object, object, torch.Tensor], None]:
        return lambda _, __, out: seen.update({name: float(out.detach().abs().mean())})

    for name, module in (("attention", last.self_attn), ("feed_forward", last.mlp), ("stream", last)):
        module.register_forward_hook(look(name))
    right = [model(ids).detach().gather(2, targets[..., None])]
    found = [dict(seen)]
    for _ in range(STEPS):
        step(model, optimizer, ids, targets, RATE)
        right.append(model(ids).detach().gather(2, targets[..., None]))
        found.append({**seen, "target_logit_change": float((right[-1] - right[0]).abs().mean())})
    return found


def check(widths: list[int], seeds: int) -> list[dict[str, Any]]:
    """A row for each parametrization, quantity and step: the mean over seeds at every width, and the slope."""
    rows: list[dict[str, Any]] = []
    for rule in RULES:
        found = {width: [sizes(rule, width, seed) for seed in range(seeds)] for width in widths}
        for quantity in QUANTITIES:
            for taken in range(quantity == "target_logit_change", STEPS + 1):
                size = [statistics.fmean(run[taken][quantity] for run in found[width]) for width in widths]
                row = {
                    "parametrization": rule,
                    "quantity": quantity,
                    "step": taken,
                    "learning_rate": RATE,
                    "seeds": seeds,
                }
                row |= {f"width_{width}": f"{value:.5g}" for width, value in zip(widths, size, strict=True)}
                rows.append(row | {"slope": f"{np.polyfit(np.log(widths), np.log(size), 1)[0]:.3f}"})
                print(row | {"slope": rows[-1]["slope"]}, flush=True)
    return rows


def transfer(widths: list[int], rates: list[float], seeds: int, steps: int) -> list[dict[str, Any]]:
    """A row a run."""
    rows: list[dict[str, Any]] = []
    for rule in RULES:
        for width in widths:
            for rate in rates:
                for seed in range(seeds):
                    model, optimizer = fresh(rule, width, seed)
                    pairs, losses = batches(seed), []
                    for taken in range(steps):
                        ids, targets = next(pairs)
                        losses.append(step(model, optimizer, ids, targets, rate * min(1.0, (taken + 1) / WARMUP)))
                    loss = statistics.fmean(losses[-max(1, steps // 10) :])
                    row = {"parametrization": rule, "width": width, "learning_rate": rate, "seed": seed, "steps": steps}
                    rows.append(row | {"loss_nats_per_byte": f"{loss:.4f}"})
            print(rule, width, "best rate", best(rows, rule, width), flush=True)
    return rows


def means(rows: list[dict[str, Any]], rule: str, width: int) -> dict[float, float]:
    """Rate -> mean loss over seeds."""
    mine = [row for row in rows if (row["parametrization"], row["width"]) == (rule, width)]
    rates = sorted({row["learning_rate"] for row in mine})
    return {
        rate: statistics.fmean(float(row["loss_nats_per_byte"]) for row in mine if row["learning_rate"] == rate)
        for rate in rates
    }


def best(rows: list[dict[str, Any]], rule: str, width: int) -> float:
    found = means(rows, rule, width)
    return min(found, key=lambda rate: found[rate])


def write(file: Path, rows: list[dict[str, Any]]) -> None:
    with file.open("w", newline="") as handle:
        writer = csv.DictWriter(handle, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    print(f"wrote {file}")


def draw(file: Path, checked: list[dict[str, Any]], trained: list[dict[str, Any]], widths: list[int]) -> None:
    """Sizes over widths above, losses over rates below; standard on the left, muP on the right."""
    figure = Figure(figsize=(9, 7), layout="constrained")
    axes = figure.subplots(2, 2, sharey="row")
    for column, rule in enumerate(RULES):
        above, below = axes[0, column], axes[1, column]
        for taken in range(STEPS + 1):
            row = next(
                r for r in checked if (r["parametrization"], r["quantity"], r["step"]) == (rule, "stream", taken)
            )
            label = f"step {taken}, slope {row['slope']}"
            shade = str(0.75 - 0.75 * taken / STEPS)
            above.plot(widths, [float(row[f"width_{width}"]) for width in widths], "o-", color=shade, label=label)
        above.set(title=rule, xscale="log", yscale="log", xlabel="width", xticks=widths, xticklabels=map(str, widths))
        above.minorticks_off()
        above.legend(frameon=False, fontsize=8)
        for width, colour in zip(sorted({row["width"] for row in trained}), COLOURS, strict=False):
            found = means(trained, rule, width)
            below.plot(list(found), list(found.values()), "o-", color=colour, label=f"width {width}")
            below.plot(best(trained, rule, width), min(found.values()), "o", color=colour, markersize=10)
        below.set(xscale="log", xlabel="learning rate")
        below.xaxis.set_minor_formatter(NullFormatter())
        below.legend(frameon=False, fontsize=8)
    axes[0, 0].set_ylabel("mean size of the last block's output")
    axes[1, 0].set_ylabel("loss at the end, nats per byte")
    figure.savefig(file, dpi=120, metadata={"Software": None})
    print(f"wrote {file}")


if __name__ == "__main__":
    main()
