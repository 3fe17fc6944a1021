"""A small training run in a process of its own, so that a test can kill it. `python killed_run.py FOLDER [STEP]`.

With STEP it kills itself, without warning, after that step; with `write` in place of a step, in the middle of writing
its third checkpoint.
"""

import os
import signal
import sys
from pathlib import Path

from seedbed.model.shape import ModelShape
from seedbed.train import run, snapshot
from seedbed.train.objectives.causal_lm import CausalLM
from seedbed.train.optimizers.adamw import AdamW
from seedbed.train.plan import Checkpoints, TrainPlan
from seedbed.train.run import Report, train
from seedbed.train.schedules.warmup_stable_decay import WarmupStableDecay

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.train.markov_language import VOCAB, source

CONTEXT = 16


def plan(**about) -> TrainPlan:
    """24 steps of 4 sequences of 16 tokens; a checkpoint every fifth."""
    shape = ModelShape(VOCAB, d_model=16, n_layers=1, n_heads=2, context=CONTEXT)
    slots = {"objective": CausalLM(), "optimizer": AdamW(), "schedule": WarmupStableDecay()}
    given = {
        "shape": shape,
        **slots,
        "tokens": 24 * 4 * CONTEXT,
        "batch_sequences": 4,
        "learning_rate": 1e-2,
        "checkpoints": Checkpoints(every_steps=5),
    }
    return TrainPlan(**{**given, **about})


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def main(folder: Path, when: str) -> None:
    def observe(report: Report) -> None:
        if when.isdigit() and report.step == int(when):
            die()

    if when == "write":
        written: list[Path] = []
        original = snapshot.write_tensors

        def harmful(file: Path, tensors) -> None:
            written.append(file)
            if len(written) == 6:  # the optimizer's tensors of the third checkpoint: half of them reach the disk
                original(file, dict(list(tensors.items())[:2]))
                die()
            original(file, tensors)

        snapshot.write_tensors = harmful
        from seedbed.model import checkpoint

        checkpoint.write_tensors = harmful
    # killed after a step, what was saved before it is on disk; killed while writing, training goes on beside it
    saving = Checkpoints(every_steps=5, background=when == "write")
    run.train(plan(checkpoints=saving), source(60, context=CONTEXT), seed=3, folder=folder, observe=observe)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "")

__all__ = ["CONTEXT", "plan", "train"]
