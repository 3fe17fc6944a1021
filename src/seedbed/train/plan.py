"""What a training run is asked to be: plain data, no torch."""

from __future__ import annotations

import dataclasses
from typing import Annotated

from annotated_types import Ge, Gt

from seedbed.core import parameters
from seedbed.core.errors import RecipeError
from seedbed.model.shape import ModelShape
from seedbed.train.contract import Objective, Optimizer, Reweighter, Schedule


@dataclasses.dataclass(frozen=True)
class TrainPlan:
    """A whole run, over all its stages.

    Args:
        shape: of the model; its context is the length of a sequence.
        objective, optimizer, schedule, reweighter: the four slots that may act.
        tokens: to train on, whole plan; whole batches are trained, so up to one batch less is used.
        batch_sequences: sequences a step.
        learning_rate: peak; the schedule gives the factor, taken at the middle of each batch.
        grad_clip: largest norm of the gradient; 0 leaves it as it is.
        checkpoint_every_steps: a crash costs at most this many steps.
        log_every_steps: rows of the log.
    """

    shape: ModelShape
    objective: Objective
    optimizer: Optimizer
    schedule: Schedule
    tokens: Annotated[int, Ge(1)]
    batch_sequences: Annotated[int, Ge(1)] = 8
    learning_rate: Annotated[float, Gt(0)] = 3e-3
    reweighter: Reweighter | None = None
    grad_clip: Annotated[float, Ge(0)] = 1.0
    checkpoint_every_steps: Annotated[int, Ge(1)] = 100
    log_every_steps: Annotated[int, Ge(1)] = 1

    def __post_init__(self) -> None:
        """Raises RecipeError naming the first field that cannot be meant."""
        parameters.check(self, "train.plan")
        if self.steps == 0:
            what = f"{self.tokens} tokens are less than one batch of {self.batch_tokens}"
            raise RecipeError("train.plan.tokens", what, "Train longer, or use a smaller batch or context.")

    @property
    def batch_tokens(self) -> int:
        """Tokens a step."""
        return self.batch_sequences * self.shape.context

    @property
    def steps(self) -> int:
        """Whole batches in the plan."""
        return self.tokens // self.batch_tokens

    @property
    def total_tokens(self) -> int:
        """Tokens that will be trained on: what the schedule ends at."""
        return self.steps * self.batch_tokens
