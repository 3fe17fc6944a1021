"""Small runs in one of several processes: `torchrun ... distributed_run.py FOLDER JOB [JOB ...]`.

Every job is a run in a folder of its own, and what this process saw of it goes to FOLDER/JOB-RANK.json. The tests call
the same jobs in their own process, where there is no torchrun, so that the two can be compared.
"""

import dataclasses
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from seedbed.core.errors import SeedbedError
from seedbed.core.fingerprint import hash_bytes
from seedbed.model.runtime import Runtime, prepare
from seedbed.model.shape import ModelShape
from seedbed.model.transformer import initial_model
from seedbed.train import distributed
from seedbed.train.contract import Reweighter
from seedbed.train.objectives.causal_lm import CausalLM
from seedbed.train.objectives.self_distillation import SelfDistillation
from seedbed.train.optimizers.adamw import AdamW
from seedbed.train.optimizers.muon import Muon
from seedbed.train.plan import Checkpoints, TrainPlan
from seedbed.train.run import TrainResult, train
from seedbed.train.schedules.cosine import Cosine

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.train.markov_language import VOCAB, source

CONTEXT, STEPS = 16, 12
CPU = torch.device("cpu")
read: list[str] = []
"""Hashes of the sequences this process was given, in order."""
weighed: list[list[float]] = []
"""Weights of the samples of each global batch, as the reweighter of this process set them."""


@dataclasses.dataclass(frozen=True)
class Recorded(CausalLM):
    """Causal LM that notes what it is given; `dies_at` kills its process, `fails_at` raises, at that example."""

    dies_at: int = -1
    fails_at: int = -1

    def example(self, reading, key):
        read.append(hash_bytes(reading.tokens.tobytes()).hex()[:16])
        if os.environ.get("RANK") == "1" and len(read) == self.dies_at:
            os.kill(os.getpid(), signal.SIGKILL)
        if os.environ.get("RANK") == "1" and len(read) == self.fails_at:
            raise SeedbedError("example", "one that cannot be made")
        return super().example(reading, key)


@dataclasses.dataclass(frozen=True)
class Taught(SelfDistillation):
    """Self-distillation that notes what it is given."""

    def example(self, reading, key):
        read.append(hash_bytes(reading.tokens.tobytes()).hex()[:16])
        return super().example(reading, key)


@dataclasses.dataclass(frozen=True)
class Softmax(Reweighter):
    """Samples count in proportion to exp(loss), over the whole batch."""

    def weights(self, loss_BT, weight_BT, at, reference_BT=None):
        share_B = loss_BT.mean(1).softmax(0)
        weighed.append(share_B.tolist())
        return weight_BT * share_B[:, None] * len(share_B)


def plan(sequences: int = 6, *, objective: Any = None, tied: bool = True, **about) -> TrainPlan:
    """12 steps; eps of a size that keeps Adam from blowing rounding up, so that tolerances can be small."""
    shape = ModelShape(VOCAB, d_model=20, n_layers=2, n_heads=2, context=CONTEXT, tied_embeddings=tied)
    given = {
        "shape": shape,
        "objective": objective or Recorded(),
        "optimizer": AdamW(eps=1e-3),
        "schedule": Cosine(),
        "tokens": STEPS * sequences * CONTEXT,
        "batch_sequences": sequences,
        "learning_rate": 1e-2,
        "grad_clip": 0.4,
        "checkpoints": Checkpoints(every_steps=5),
    }
    return TrainPlan(**{**given, **about})


def wide() -> TrainPlan:
    """Gradients large enough that a sum over three processes is taken in another order at another place."""
    shape = ModelShape(64, d_model=96, n_layers=3, n_heads=2, context=CONTEXT)
    return plan(shape=shape, tokens=6 * 6 * CONTEXT)


def run(folder: Path, made: TrainPlan, how: str = "ddp", **about) -> TrainResult:
    return train(made, source(80, context=CONTEXT), seed=3, folder=folder, runtime=Runtime(parallel=how), **about)


def in_halves(folder: Path, made: TrainPlan, how: str = "ddp") -> TrainResult:
    run(folder, made, how, until_tokens=made.tokens // 2)
    return run(folder, made, how)


def whole_weights(folder: Path) -> str:
    """FSDP's shards put together are the model they were cut from, before anything is trained; and the same for
    `load_full_optimizer` and `full_optimizer`."""
    prepare(Runtime())
    with distributed.together(CPU) as world:
        model = initial_model(plan(tied=False).shape, 5)
        before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        losses = distributed.spread(distributed.Losses(model, CausalLM()), world, "fsdp")
        sharded = [
            sum(getattr(p, "_local_tensor", p).numel() for p in model.parameters()),
            sum(t.numel() for t in before.values()),
        ]
        after = distributed.full_weights(losses)
        same = list(after) == list(before) and all(torch.equal(after[name], before[name]) for name in before)
        ids = torch.arange(CONTEXT)[None] % VOCAB
        with torch.no_grad():
            losses(ids, ids, torch.ones(1, CONTEXT))  # leaves what the root gathered as it is
        after = distributed.full_weights(losses)
        same = same and all(torch.equal(after[name], before[name]) for name in before)
    return json.dumps({"same": same, "held": sharded[0], "all": sharded[1]})


def pieces(folder: Path) -> str:
    """What passes between processes, without a model."""
    with distributed.together(CPU) as world:
        whole = torch.arange(10.0).view(5, 2)
        mine = whole[world.rank :: world.size]
        gathered = distributed.gather_rows(world, mine, 5)
        owned = distributed.own_rows(world, gathered)[: len(mine)]
        errors = [_error_of(world, SeedbedError("disk", "full", "Empty it.")), _error_of(world, KeyError("x"))]
        given = distributed.first_does(world, lambda: "done")
        found = {
            "gathered": gathered.tolist(),
            "owned": torch.equal(owned, mine),
            "sum": float(distributed.sum_over(world, torch.tensor(world.rank + 1.0))),
            "agree": [distributed.agree(world, True), distributed.agree(world, world.is_first)],
            "errors": errors,
            "given": given,
        }
    with distributed.together(CPU) as world, distributed.together(CPU) as inner:  # and once more, one in the other
        found["again"] = [inner == world, distributed.agree(world, True)]
    return json.dumps(found)


def _error_of(world: distributed.World, error: Exception) -> str:
    def fail() -> None:
        raise error

    try:
        distributed.first_does(world, fail)
    except (SeedbedError, KeyError) as caught:
        return f"{type(caught).__name__}: {caught}"
    return "none"


def taught(folder: Path, how: str = "ddp", size: int | None = None) -> TrainResult:
    """A student beside a teacher; a batch that two do not share evenly."""
    made = plan(5, objective=Taught(0.1), tied=False, micro_batch_sequences=size)
    return run(folder, made, how, teacher=initial_model(made.shape, 7))


def refused(folder: Path, made: TrainPlan, how: str) -> str:
    try:
        run(folder, made, how)
    except SeedbedError as error:
        return json.dumps({"error": f"{type(error).__name__}: {error}"})
    return json.dumps({"error": ""})


JOBS: dict[str, Callable[[Path], TrainResult | str]] = {
    "ddp": lambda folder: run(folder, plan()),
    "fsdp": lambda folder: run(folder, plan(), "fsdp"),
    "ddp-in-halves": lambda folder: in_halves(folder, plan()),
    "fsdp-in-halves": lambda folder: in_halves(folder, plan(), "fsdp"),
    "ddp-uneven-micro": lambda folder: run(folder, plan(5, tied=False, micro_batch_sequences=1)),
    "fsdp-uneven-micro": lambda folder: run(folder, plan(5, tied=False, micro_batch_sequences=1), "fsdp"),
    "ddp-reweighted": lambda folder: run(folder, plan(reweighter=Softmax())),
    "fsdp-reweighted-micro": lambda folder: run(
        folder, plan(5, tied=False, reweighter=Softmax(), micro_batch_sequences=2), "fsdp"
    ),
    "ddp-taught": taught,
    "fsdp-taught-micro": lambda folder: taught(folder, "fsdp", 2),
    "ddp-first-half": lambda folder: run(folder, plan(), until_tokens=plan().tokens // 2),
    "fsdp-first-half": lambda folder: run(folder, plan(), "fsdp", until_tokens=plan().tokens // 2),
    "ddp-second-half": lambda folder: run(folder, plan()),
    "fsdp-second-half": lambda folder: run(folder, plan(), "fsdp"),
    "ddp-wide": lambda folder: run(folder, wide()),
    "ddp-wide-in-halves": lambda folder: in_halves(folder, wide()),
    "whole-weights": whole_weights,
    "pieces": pieces,
    "muon-in-shards": lambda folder: refused(folder, plan(optimizer=Muon()), "fsdp"),
    "fewer-rows-than-processes": lambda folder: refused(folder, plan(1), "ddp"),
    "fails": lambda folder: refused(folder, plan(objective=Recorded(fails_at=25)), "ddp"),
    "dies": lambda folder: run(folder, plan(objective=Recorded(dies_at=25))),
}


def do(job: str, folder: Path) -> None:
    """Run a job and note what this process saw."""
    read.clear()
    weighed.clear()
    result = JOBS[job](folder / job)
    rank = int(os.environ.get("RANK", "0"))
    told = json.loads(result) if isinstance(result, str) else {"folder": str(result.folder)}
    (folder / f"{job}-{rank}.json").write_text(json.dumps({**told, "read": read, "weighed": weighed}))


if __name__ == "__main__":
    for job in sys.argv[2:]:
        do(job, Path(sys.argv[1]))
