"""A small run that prunes, and kills itself after a step. `python killed_pruning.py FOLDER STEP`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
from seedbed.train.plan import Checkpoints
from seedbed.train.prunings.gradual_magnitude import GradualMagnitude
from seedbed.train.run import Report, train
from tests.train.killed_run import CONTEXT, die, plan
from tests.train.markov_language import source


def main(folder: Path, step: int) -> None:
    def observe(report: Report) -> None:
        if report.step == step:
            die()

    saving = Checkpoints(every_steps=5, background=False)
    pruned = plan(pruning=GradualMagnitude(sparsity_at_end=0.8, times=8), checkpoints=saving)
    train(pruned, source(60, context=CONTEXT), seed=3, folder=folder, observe=observe)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
