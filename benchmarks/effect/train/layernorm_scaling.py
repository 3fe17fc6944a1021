"""LayerNorm Scaling beside plain pre-norm and scaled initial weights, in deep narrow decoders.

    python benchmarks/effect/train/layernorm_scaling.py [--tokens 400000] [--seeds 5] [--processes 2]
                                                        [--out runs/effect_train]

Decoders of width 64 and 12 or 24 blocks on passages of the shipped pages, context 128: plain pre-norm (no smaller
initial weights for residual writers), LayerNorm Scaling on top of that, and scaled initial weights alone. Held-out loss
in nats per token; variance of the last block's output; and the mean angular distance, arccos(cosine) / pi, between the
outputs of neighbouring blocks in the deeper half, both over held-out tokens.

Writes benchmarks/results/effect_layernorm_scaling.csv; rows that are there are not run again. Some 12 minutes on two
quiet cores.
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path

import numpy as np
from paired import END, RESULTS, VOCAB_SIZE, Row, Table, loss_of, pages, passages, run_all, source, told, trained, wins

LENGTH, SEQUENCES = 128, 16
DEPTHS = (12, 24)
ARMS = ("pre_norm", "layernorm_scaling", "scaled_init")
KEY = ("layers", "arm", "tokens", "seed")
VALUES = ("heldout_loss", "last_variance", "deep_angular_distance")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, default=400_000)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--depths", type=int, nargs="+", default=list(DEPTHS))
    parser.add_argument("--out", type=Path, default=Path("runs/effect_train"))
    parser.add_argument("--results", type=Path, default=RESULTS)
    asked = parser.parse_args()
    table = Table(asked.results / "effect_layernorm_scaling.csv", KEY, VALUES)
    file = str(pages(asked.out))
    depths = sorted(asked.depths, reverse=True)
    runs = [{"layers": str(layers), "arm": arm, "tokens": str(asked.tokens), "seed": str(seed), "file": file}
            for seed in range(asked.seeds) for layers in depths for arm in ARMS]  # fmt: skip
    run_all(runs, one, table, asked.processes)
    report(table, str(asked.tokens), asked.depths)


def one(run: Row) -> Row:
    """Train an arm, and look into it."""
    from seedbed.model.depth_scalings.layernorm_scaling import LayerNormScaling
    from seedbed.model.parametrizations.standard import Standard
    from seedbed.model.shape import ModelShape
    from seedbed.train.objectives.causal_lm import CausalLM
    from seedbed.train.optimizers.adamw import AdamW
    from seedbed.train.plan import TrainPlan
    from seedbed.train.schedules.cosine import Cosine

    arm, seed = run["arm"], int(run["seed"])
    shape = ModelShape(
        VOCAB_SIZE,
        d_model=64,
        n_layers=int(run["layers"]),
        n_heads=4,
        context=LENGTH,
        depth_scaling=LayerNormScaling() if arm == "layernorm_scaling" else None,
        parametrization=Standard(scaled_residual=arm == "scaled_init"),
    )
    plan = TrainPlan(
        shape=shape,
        objective=CausalLM(),
        optimizer=AdamW(),
        schedule=Cosine(warmup_fraction=0.1),
        tokens=int(run["tokens"]),
        batch_sequences=SEQUENCES,
        learning_rate=2e-3,
    )
    held = passages(Path(run["file"]), LENGTH)
    read = source("pages", held.ids_NL[~held.heldout_N], seed=seed, context=LENGTH)
    model = trained(plan, read, seed=seed)
    rows = held.ids_NL[held.heldout_N][::8]
    variance, distance = inside(model, rows[:64])
    return {
        **{name: run[name] for name in KEY},
        "heldout_loss": f"{loss_of(model, rows):.5f}",
        "last_variance": f"{variance:.3f}",
        "deep_angular_distance": f"{distance:.5f}",
    }


def inside(model, rows: np.ndarray) -> tuple[float, float]:
    """(variance of the last block's output, mean angular distance of neighbours in the deeper half)."""
    import torch

    outputs: list[torch.Tensor] = []
    hooks = [block.register_forward_hook(lambda _module, _given, made: outputs.append(made))
             for block in model.model.layers]  # fmt: skip
    inputs = np.concatenate([np.full((len(rows), 1), END), rows[:, :-1]], 1).astype(np.int64)
    with torch.no_grad():
        model.hidden(torch.from_numpy(inputs))
    for hook in hooks:
        hook.remove()
    deep = outputs[len(outputs) // 2 - 1 :]
    cosines = [torch.cosine_similarity(a, b, dim=-1).clamp(-1, 1) for a, b in itertools.pairwise(deep)]
    distance = float(torch.stack([cosine.arccos().mean() / torch.pi for cosine in cosines]).mean())
    return float(outputs[-1].var(-1).mean()), distance


def report(table: Table, tokens: str, depths: list[int]) -> None:
    """Differences with 95 % intervals, paired by seed."""
    for layers in depths:
        plain = {"layers": str(layers), "arm": ARMS[0], "tokens": tokens}
        for arm in ARMS[1:]:
            this = {**plain, "arm": arm}
            print(f"{layers} layers, {arm} - pre_norm:")
            print(f"    held-out loss {told(table.difference('heldout_loss', this, plain))}; "
                  f"{wins(table, 'heldout_loss', this, plain)}")  # fmt: skip
            print(f"    angular distance, deeper half {told(table.difference('deep_angular_distance', this, plain))}")
            mine, theirs = (table.by_seed("last_variance", **named) for named in (this, plain))
            ratios = [mine[seed] / theirs[seed] for seed in sorted(mine.keys() & theirs.keys())]
            print(f"    variance of the last block, ratio by seed: {', '.join(f'{ratio:.2f}' for ratio in ratios)}")


if __name__ == "__main__":
    main()
