"""Loss-based reweighting beside uniform weights on a pool with planted boilerplate and noise.

    python benchmarks/effect/train/reweighting.py [--tokens 1000000] [--seeds 5] [--processes 2]
                                                  [--out runs/effect_train]

Passages of 128 tokens of the shipped pages, one a sequence: 60 % clean, 30 % near-duplicates of six pieces of
boilerplate (one token in ten is another), 10 % noise (the tokens of a passage in random order). A decoder of 0.4 M
parameters, 32 sequences a step. Arms: uniform; LinUpper, Quadratic and Extremes at r = 0.4, LinUpper at r = 1, all
behind a burn-in of 5 %; Rho-1 keeping 60 % of the tokens, with a reference of the same shape trained for a quarter of
the tokens on clean passages that the pool lacks; uniform for as many more tokens as that reference and its scoring cost
(uniform_at_rho_cost); and infinite temperature, which must give the bits of uniform. Clean held-out loss in nats per
token; the planted rows' share of all weight behind the burn-in, against their share of the rows.

Writes benchmarks/results/effect_reweighting.csv; rows that are there are not run again. Some 11 minutes on two quiet
cores.
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path

import numpy as np
from paired import END, RESULTS, VOCAB_SIZE, Row, Table, loss_of, pages, passages, run_all, source, told, trained, wins

from seedbed.stats.intervals import mean_interval
from seedbed.train.contract import Reweighter

LENGTH, SEQUENCES, BURN_IN, REFERENCE = 128, 32, 0.05, 0.25
CLEAN, BOILERPLATE, NOISE = range(3)
PLANTED = {"boilerplate": (BOILERPLATE, 0.3), "noise": (NOISE, 0.1)}
KEY = ("arm", "tokens", "seed")
VALUES = ("heldout_loss", *(f"{kind}_{of}_share" for kind in PLANTED for of in ("row", "weight")), "digest")
UNIFORM = "uniform"
ARMS = ("uniform", "lin_upper_0.4", "lin_upper_1", "quadratic_0.4", "extremes_0.4", "rho_1", "uniform_at_rho_cost",
        "infinite_temperature")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, default=1_000_000)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("runs/effect_train"))
    parser.add_argument("--results", type=Path, default=RESULTS)
    asked = parser.parse_args()
    table = Table(asked.results / "effect_reweighting.csv", KEY, VALUES)
    file = str(pages(asked.out))
    runs = [{"arm": arm, "tokens": str(asked.tokens), "seed": str(seed), "file": file}
            for seed in range(asked.seeds) for arm in ARMS if arm != "infinite_temperature" or seed == 0]  # fmt: skip
    run_all(runs, one, table, asked.processes)
    report(table, str(asked.tokens))


def one(run: Row) -> Row:
    """Train an arm; watch where the weight goes."""
    from seedbed.train.objectives.causal_lm import CausalLM
    from seedbed.train.run import Report

    arm, seed, tokens = run["arm"], int(run["seed"]), int(run["tokens"])
    held = passages(Path(run["file"]), LENGTH)
    clean = held.ids_NL[~held.heldout_N]
    order = np.random.default_rng([seed, 5]).permutation(len(clean))
    reference = None
    if arm == "rho_1":
        apart = source("reference", clean[order[: len(clean) // 3]], seed=seed, context=LENGTH)
        reference = trained(plan_of(CausalLM(), None, int(tokens * REFERENCE)), apart, seed=seed + 1000)
    if arm == "uniform_at_rho_cost":  # the reference's training, and a forward pass, a third of a step, on every token
        tokens = int(tokens * (1 + REFERENCE + 1 / 3))
    rows, kind_N = pool(clean[order[len(clean) // 3 :]], seed)
    read = source("pool", rows, seed=seed, context=LENGTH)
    watch: list[np.ndarray] = []
    plan = plan_of(CausalLM(), reweighter_of(arm), tokens)
    counts = np.zeros((2, 3))

    def observe(at: Report) -> None:
        if at.tokens - plan.batch_tokens // 2 < BURN_IN * plan.total_tokens:
            return
        first = (at.step - 1) * SEQUENCES
        kinds = [kind_N[int.from_bytes(read.documents(row)[0], "big")] for row in range(first, first + SEQUENCES)]
        weights = watch[-1] if watch else np.ones(SEQUENCES)
        np.add.at(counts[0], kinds, 1 / SEQUENCES)
        np.add.at(counts[1], kinds, weights / weights.sum())

    with Watched(watch):
        model = trained(plan, read, seed=seed, reference=reference, observe=observe)
    shares = counts / counts.sum(1, keepdims=True)
    given = {
        **{name: run[name] for name in KEY},
        "heldout_loss": f"{loss_of(model, held.ids_NL[held.heldout_N][::4]):.5f}",
    }
    for kind, (number, _) in PLANTED.items():
        given[f"{kind}_row_share"] = f"{shares[0, number]:.4f}"
        given[f"{kind}_weight_share"] = f"{shares[1, number]:.4f}"
    digest = hashlib.sha256()
    for parameter in model.parameters():
        digest.update(parameter.detach().numpy().tobytes())
    return {**given, "digest": digest.hexdigest()[:16]}


def plan_of(objective, reweighter, tokens: int):
    from seedbed.model.shape import ModelShape
    from seedbed.train.optimizers.adamw import AdamW
    from seedbed.train.plan import TrainPlan
    from seedbed.train.schedules.cosine import Cosine

    return TrainPlan(
        shape=ModelShape(VOCAB_SIZE, d_model=96, n_layers=2, n_heads=3, context=LENGTH),
        objective=objective,
        optimizer=AdamW(),
        schedule=Cosine(warmup_fraction=0.05),
        tokens=tokens,
        batch_sequences=SEQUENCES,
        learning_rate=4e-3,
        reweighter=reweighter,
    )


def reweighter_of(arm: str) -> Reweighter | None:
    from seedbed.train.reweighters.extremes import Extremes
    from seedbed.train.reweighters.lin_upper import LinUpper
    from seedbed.train.reweighters.quadratic import Quadratic
    from seedbed.train.reweighters.rho_1 import Rho1

    return {
        "lin_upper_0.4": LinUpper(temperature=0.4, burn_in=BURN_IN),
        "lin_upper_1": LinUpper(temperature=1.0, burn_in=BURN_IN),
        "quadratic_0.4": Quadratic(temperature=0.4, burn_in=BURN_IN),
        "extremes_0.4": Extremes(temperature=0.4, burn_in=BURN_IN),
        "rho_1": Rho1(),
        "infinite_temperature": LinUpper(temperature=None),
    }.get(arm)


class Watched:
    """While it is open, what every reweighter gives is kept: the weight of each row of the batch."""

    def __init__(self, kept: list[np.ndarray]) -> None:
        from seedbed.train.reweighters.rho_1 import Rho1
        from seedbed.train.reweighting import LossBased

        self.kept, self.classes = kept, (LossBased, Rho1)
        self.plain = [cls.weights for cls in self.classes]

    def __enter__(self) -> None:
        for cls, plain in zip(self.classes, self.plain, strict=True):

            def weights(method, loss_BT, weight_BT, at, reference_BT=None, plain=plain):
                found = plain(method, loss_BT, weight_BT, at, reference_BT)
                self.kept[:] = [found.double().sum(1).numpy()]
                return found

            cls.weights = weights

    def __exit__(self, *error: object) -> None:
        for cls, plain in zip(self.classes, self.plain, strict=True):
            cls.weights = plain


def pool(clean: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the pool, and of which kind each is: the planted ones come on top of 60 % clean ones."""
    rng = np.random.default_rng([seed, 6])
    total = int(len(clean) / 0.6)
    pages_of_boilerplate = clean[rng.choice(len(clean), 6, replace=False)]
    copies = pages_of_boilerplate[rng.integers(0, 6, int(0.3 * total))].copy()
    changed = rng.random(copies.shape) < 0.1
    changed[:, -1] = False
    copies[changed] = clean[:, :-1].reshape(-1)[rng.integers(0, clean[:, :-1].size, int(changed.sum()))]
    noise = rng.permuted(clean[rng.choice(len(clean), int(0.1 * total))][:, :-1], axis=1)
    noise = np.concatenate([noise, np.full((len(noise), 1), END, noise.dtype)], 1)
    kinds = np.repeat([CLEAN, BOILERPLATE, NOISE], [len(clean), len(copies), len(noise)])
    return np.concatenate([clean, copies, noise]), kinds


def report(table: Table, tokens: str) -> None:
    """Differences with 95 % intervals, paired by seed, and where the weight went."""
    uniform = {"arm": UNIFORM, "tokens": tokens}
    for arm in ARMS[1:-1]:
        this = {"arm": arm, "tokens": tokens}
        print(f"{arm} - uniform, clean held-out loss: {told(table.difference('heldout_loss', this, uniform))}; "
              f"{wins(table, 'heldout_loss', this, uniform)}")  # fmt: skip
        for kind in PLANTED:
            rows, weights = (table.by_seed(f"{kind}_{of}_share", **this) for of in ("row", "weight"))
            factor = mean_interval(np.array([rows[seed] / max(weights[seed], 1e-9) for seed in sorted(rows)]))
            print(f"    {kind}: share of rows / share of weight {told(factor, 2)}")
    rho, paid = ({"arm": arm, "tokens": tokens} for arm in ("rho_1", "uniform_at_rho_cost"))
    print(f"rho_1 - uniform at equal cost: {told(table.difference('heldout_loss', rho, paid))}")
    digests = [{row["digest"] for row in table.rows if row["arm"] == arm and row["seed"] == "0" and
                row["tokens"] == tokens} for arm in ("uniform", "infinite_temperature")]  # fmt: skip
    print(f"infinite temperature gives the weights of uniform to the bit: {digests[0] == digests[1]}")


if __name__ == "__main__":
    main()
