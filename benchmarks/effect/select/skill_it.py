"""Skill-it on a LEGO-like synthetic: does it learn which skill needs which, and learn the hardest one sooner?

    python benchmarks/effect/select/skill_it.py [--seeds 3] [--steps 720] [--trial-steps 200] [--out benchmarks/results]

A row of six clauses adds six numbers modulo 5, one after the other; a model that has read clause k may be asked for
the sum so far. Skills are told apart by where they are asked, and a model is trained on nothing else of a row: `chain`
asks for the sums of one to four, `fifth` and `sixth` for the sums of so many (not learned alone within a trial; beside
the chain it is one addition more, or two). `copy` and `negate` begin with other words and ask for each number itself,
or its negative: they are soon known, and teach nothing. True prerequisites: chain -> fifth, chain -> sixth. The decoder
has about 0.1 M parameters.

Two tables. select_skill_graph.csv: gain of each ordered pair of skills under each seed, whether it is an edge, whether
it is a true prerequisite. select_skill_it.csv: accuracy and loss of each skill for each arm and seed after each round:
`even` shares, and `skill_it` over the graph of its own seed, both for as many steps from the same start. Under 10
minutes on one core for three seeds.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from seedbed.model import counts, runtime
from seedbed.model.shape import ModelShape
from seedbed.model.transformer import Decoder
from seedbed.select.mixers.skill_it import SkillIt
from seedbed.select.mixing import Domains, Seen, Trials
from seedbed.train.contract import Example, Reading
from seedbed.train.objectives.causal_lm import CausalLM
from seedbed.train.optimizers.adamw import AdamW
from seedbed.train.plan import Checkpoints, Phase, TrainPlan
from seedbed.train.run import train
from seedbed.train.schedules.constant import Constant

RESULTS = Path(__file__).parents[2] / "results"
EVERYWHERE = (1, 2, 3, 4, 5, 6)
ASKED = {"chain": (1, 2, 3, 4), "fifth": (5,), "sixth": (6,), "copy": EVERYWHERE, "negate": EVERYWHERE}
BEGINS = {"chain": 1, "fifth": 1, "sixth": 1, "copy": 2, "negate": 3}
TRUE = {("chain", "fifth"), ("chain", "sixth")}
NAMES, HARDEST = tuple(ASKED), "sixth"
MODULUS, CLAUSES = 5, 6
CONTEXT, SEQUENCES = CLAUSES + 1, 48
ROUNDS = 6
METHOD = SkillIt(graph="pairs", min_gain=0.05)


def written(rng: np.random.Generator, count: int, skill: str) -> np.ndarray:
    """(N, 2 CONTEXT): inputs, then the answers where the skill is asked for and 0 elsewhere."""
    number = rng.integers(0, MODULUS, (count, CLAUSES))
    answer = {"copy": number, "negate": -number % MODULUS}.get(skill, number.cumsum(1) % MODULUS)
    inputs = np.concatenate([np.full((count, 1), BEGINS[skill]), 4 + number], 1)
    answers = np.zeros_like(inputs)
    for place in ASKED[skill]:
        answers[:, place] = 4 + MODULUS + answer[:, place - 1]
    return np.concatenate([inputs, answers], 1)


class Rows:
    """Fresh rows of one skill, as many as are asked for."""

    def __init__(self, skill: str, seed: int) -> None:
        self.name, self.stride = skill, 2 * CONTEXT
        self._key, self._block, self._held = (seed, NAMES.index(skill)), -1, np.zeros((0, 0), np.int64)

    def reading(self, index: int) -> Reading:
        block, row = divmod(index, 1024)
        if block != self._block:
            self._block, self._held = block, written(np.random.default_rng([*self._key, block]), 1024, self.name)
        return Reading.of(self._held[row])

    def documents(self, index: int) -> list[bytes]:
        return [index.to_bytes(16, "big")]


@dataclasses.dataclass(frozen=True)
class Answers(CausalLM):
    """What stands behind the inputs is what is answered; nothing is asked where it is 0."""

    def reads(self, context: int) -> int:
        return 2 * context

    def example(self, reading: Reading, key: int) -> Example:
        del key
        inputs, answers = np.split(reading.tokens, 2)
        return Example(inputs, answers, (answers != 0).astype(np.float32))


def plan(steps: int, mixture: Sequence[Phase]) -> TrainPlan:
    shape = ModelShape(4 + 2 * MODULUS, d_model=48, n_layers=3, n_heads=4, context=CONTEXT)
    slots: dict[str, Any] = {"objective": Answers(), "optimizer": AdamW(), "schedule": Constant()}
    return TrainPlan(
        shape, **slots, tokens=steps * SEQUENCES * CONTEXT, batch_sequences=SEQUENCES, learning_rate=2e-3,
        mixture=tuple(mixture), checkpoints=Checkpoints(every_steps=1_000_000, keep_last=1),
    )  # fmt: skip


def phase(share_D: Sequence[float], until: float = 1.0) -> Phase:
    return Phase(dict(zip(NAMES, (float(share) for share in share_D), strict=True)), until)


def rows_of(seed: int) -> dict[str, Rows]:
    return {name: Rows(name, seed) for name in NAMES}


def measured(model: Decoder) -> tuple[np.ndarray, np.ndarray]:
    """(loss_E in nats, accuracy_E) of each skill on fresh rows."""
    import torch

    loss_E, right_E = np.zeros(len(NAMES)), np.zeros(len(NAMES))
    for e, name in enumerate(NAMES):
        given = torch.from_numpy(written(np.random.default_rng(10**6), 1024, name))
        places = list(ASKED[name])
        with torch.no_grad():
            logits, answers = model(given[:, :CONTEXT])[:, places], given[:, CONTEXT:][:, places]
            loss_E[e] = float(torch.nn.functional.cross_entropy(logits.flatten(0, 1), answers.flatten()))
        right_E[e] = float((logits.argmax(-1) == answers).float().mean())
    return loss_E, right_E


def learned_graph(seed: int, trial_steps: int) -> tuple[Domains, Seen, list[dict[str, str]]]:
    """What its trials say, and a row for each ordered pair of skills."""
    about = Domains(NAMES, np.full(len(NAMES), 1_000_000), NAMES, np.full(len(NAMES), 1 / len(NAMES)))
    method = dataclasses.replace(METHOD, trial_tokens=trial_steps * SEQUENCES * CONTEXT)
    asked = method.trials(about, seed)
    loss: list[np.ndarray] = []
    for trial in asked:
        steps = max(1, trial.tokens // (SEQUENCES * CONTEXT))
        with tempfile.TemporaryDirectory() as folder:
            result = train(plan(steps, [phase(trial.shares)]), rows_of(seed), seed=trial.seed, folder=Path(folder))
        loss.append(measured(result.model)[0])
        print(f"trial {trial.shares} of {steps} steps: losses {np.round(loss[-1], 2)}", flush=True)
    tokens, params = np.array([trial.tokens for trial in asked]), counts.non_embedding_parameters(plan(1, []).shape)
    trials = Trials(np.array([trial.shares for trial in asked]), tokens, np.full(len(asked), params), np.stack(loss))
    seen = Seen(trials)
    weighted = dataclasses.replace(method, edges="weighted", min_gain=0.0)
    gain_DE, edge_DE = weighted.learned(about, trials), method.learned(about, trials)
    rows = [
        {"seed": str(seed), "from": a, "to": b, "trial_steps": str(trial_steps), "gain": f"{gain_DE[d, e]:.4f}",
         "edge": str(int(edge_DE[d, e] > 0)), "true": str(int((a, b) in TRUE))}
        for d, a in enumerate(NAMES) for e, b in enumerate(NAMES) if a != b
    ]  # fmt: skip
    return about, seen, rows


def trained(arm: str, seed: int, steps: int, about: Domains, seen: Seen) -> list[dict[str, str]]:
    """A row a round: the shares it read, and what the model can do after it."""
    phases: list[Phase] = []
    heard: list[np.ndarray] = []
    rows: list[dict[str, str]] = []
    with tempfile.TemporaryDirectory() as root:
        before: Path | None = None
        for count in range(ROUNDS):
            given = dataclasses.replace(seen, round_loss_KE=np.array(heard) if heard else None)
            share_D = (
                np.full(len(NAMES), 1 / len(NAMES)) if arm == "even" else METHOD.mixture(about, given, seed).share_D
            )
            end = (count + 1) / ROUNDS
            now = plan(steps, [*phases, phase(share_D)])
            folder = Path(root) / str(count)
            result = train(
                now, rows_of(seed), seed=seed, folder=folder, branch_from=before, until_tokens=round(end * now.tokens)
            )
            phases, before = [*phases, phase(share_D, end)], folder
            loss_E, right_E = measured(result.model)
            heard.append(loss_E)
            row = {"arm": arm, "seed": str(seed), "round": str(count), "steps": str(result.state.step)}
            row |= {f"share_{name}": f"{share:.4f}" for name, share in zip(NAMES, share_D, strict=True)}
            row |= {f"loss_{name}": f"{loss:.4f}" for name, loss in zip(NAMES, loss_E, strict=True)}
            row |= {f"accuracy_{name}": f"{right:.4f}" for name, right in zip(NAMES, right_E, strict=True)}
            rows.append(row)
            print(row, flush=True)
    return rows


def write(file: Path, rows: list[dict[str, str]]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", newline="", encoding="utf-8") as out:
        writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--seeds", type=int, default=3)
    asked.add_argument("--steps", type=int, default=720)
    asked.add_argument("--trial-steps", type=int, default=200)
    asked.add_argument("--out", type=Path, default=RESULTS)
    given = asked.parse_args()
    runtime.prepare()
    begun = time.perf_counter()
    edges: list[dict[str, str]] = []
    rounds: list[dict[str, str]] = []
    for seed in range(given.seeds):
        about, seen, found = learned_graph(seed, given.trial_steps)
        edges += found
        rounds += [row for arm in ("even", "skill_it") for row in trained(arm, seed, given.steps, about, seen)]
        write(given.out / "select_skill_graph.csv", edges)
        write(given.out / "select_skill_it.csv", rounds)
    true = [row for row in edges if row["true"] == "1"]
    extra = sum(row["edge"] == "1" for row in edges) - sum(row["edge"] == "1" for row in true)
    print(f"true prerequisites found: {sum(row['edge'] == '1' for row in true)} of {len(true)}; other edges: {extra}")
    for arm in ("even", "skill_it"):
        last = [float(r[f"accuracy_{HARDEST}"]) for r in rounds if r["arm"] == arm and int(r["round"]) == ROUNDS - 1]
        print(f"{arm}: accuracy on {HARDEST} {np.mean(last):.3f} {last}")
    print(f"{time.perf_counter() - begun:.0f} s")


if __name__ == "__main__":
    main()
