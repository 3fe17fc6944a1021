"""What a training run is asked to be: plain data, no torch."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le

from seedbed.core import parameters
from seedbed.core.errors import RecipeError
from seedbed.model import counts
from seedbed.model.shape import ModelShape
from seedbed.model.step_law import StepLaw, step_law
from seedbed.train.contract import Objective, Optimizer, Progress, Pruning, Reweighter, Schedule

ROUND_TO = 8
"""A batch size that is not given is a multiple of this, so that up to eight processes share it evenly."""


@dataclasses.dataclass(frozen=True)
class Phase:
    """Shares of the sources from where the phase before ends.

    Args:
        shares: source -> share of the tokens; they are divided by their sum.
        until: end of the phase, as a fraction of the plan's tokens; the last phase ends with the plan.
    """

    shares: Mapping[str, float]
    until: Annotated[float, Gt(0), Le(1)] = 1.0


@dataclasses.dataclass(frozen=True)
class Stability:
    """What to do with a step whose loss is no number, or leaps.

    Args:
        action: "stop" ends the run with an error that names the documents; "skip" leaves the step's update out, writes
            the documents to incidents.jsonl and goes on.
        spike: a loss more than this many standard deviations above the mean of the last `window` good steps is a leap;
            0 looks for none.
        window: good steps to compare with; before there are that many, nothing is a leap.
        most_skipped: consecutive bad steps after which a run stops all the same.
    """

    action: Literal["stop", "skip"] = "stop"
    spike: Annotated[float, Ge(0)] = 0.0
    window: Annotated[int, Ge(8), Le(4096)] = 128
    most_skipped: Annotated[int, Ge(1)] = 10


@dataclasses.dataclass(frozen=True)
class Checkpoints:
    """When a run is saved, and what stays. None of it changes the result.

    Args:
        every_steps: a crash costs at most this many steps.
        keep_last: the newest ones that stay; more than one, so that there is something to fall back on.
        keep_every: also every checkpoint whose step is a multiple of this stays, for good; 0 keeps none.
        background: written by another thread while training goes on.
    """

    every_steps: Annotated[int, Ge(1)] = 100
    keep_last: Annotated[int, Ge(1)] = 2
    keep_every: Annotated[int, Ge(0)] = 0
    background: bool = True


@dataclasses.dataclass(frozen=True)
class TrainPlan:
    """A whole run, over all its stages.

    Args:
        shape: of the model; its context is the length of a sequence.
        objective, optimizer, schedule, reweighter, pruning: the five slots that may act.
        tokens: to train on, whole plan; whole batches are trained, so up to one batch less is used.
        batch_sequences: sequences a step; None takes what the Step Law says for this model and length.
        learning_rate: peak; the schedule gives the factor, taken at the middle of each batch. None: the Step Law's.
        mixture: shares of the sources, phase by phase; empty where there is one source.
        document_mask: attention stays inside documents.
        grad_clip: largest norm of the gradient; 0 leaves it as it is.
        micro_batch_sequences: sequences a process works on at once; None takes its share of the batch in one go. It
            saves memory and changes nothing but rounding.
        stability: what to do with a bad step.
        checkpoints: when a run is saved.
        log_every_steps: rows of the log.
    """

    shape: ModelShape
    objective: Objective
    optimizer: Optimizer
    schedule: Schedule
    tokens: Annotated[int, Ge(1)]
    batch_sequences: Annotated[int | None, Ge(1)] = None
    learning_rate: Annotated[float | None, Gt(0)] = None
    reweighter: Reweighter | None = None
    pruning: Pruning | None = None
    mixture: tuple[Phase, ...] = ()
    document_mask: bool = False
    grad_clip: Annotated[float, Ge(0)] = 1.0
    micro_batch_sequences: Annotated[int | None, Ge(1)] = None
    stability: Stability = Stability()
    checkpoints: Checkpoints = Checkpoints()
    log_every_steps: Annotated[int, Ge(1)] = 1

    def __post_init__(self) -> None:
        """Raises RecipeError naming the first field that cannot be meant."""
        parameters.check(self, "train.plan")
        ends = [phase.until for phase in self.mixture]
        if ends != sorted(set(ends)) or (ends and ends[-1] != 1.0):
            raise RecipeError("train.plan.mixture", f"phases end at {ends}", "Let `until` rise, and end with 1.")
        for i, phase in enumerate(self.mixture):
            if min(phase.shares.values(), default=0.0) < 0 or sum(phase.shares.values()) <= 0:
                what = f"{dict(phase.shares)} are no shares"
                raise RecipeError(f"train.plan.mixture[{i}].shares", what, "Give at least one source a share above 0.")
        if self.steps == 0:
            what = f"{self.tokens} tokens are less than one batch of {self.batch_tokens}"
            raise RecipeError("train.plan.tokens", what, "Train longer, or use a smaller batch or context.")

    @property
    def step_law(self) -> StepLaw:
        """What the Step Law says for this model and length."""
        return step_law(counts.non_embedding_parameters(self.shape), self.tokens)

    @property
    def sequences(self) -> int:
        """Sequences a step, resolved."""
        if self.batch_sequences is not None:
            return self.batch_sequences
        wanted = self.step_law.batch_tokens / self.shape.context
        return max(1, round(wanted)) if wanted < ROUND_TO else round(wanted / ROUND_TO) * ROUND_TO

    @property
    def peak_learning_rate(self) -> float:
        """Peak of the learning rate, resolved."""
        return self.step_law.learning_rate if self.learning_rate is None else self.learning_rate

    @property
    def batch_tokens(self) -> int:
        """Tokens a step."""
        return self.sequences * self.shape.context

    @property
    def steps(self) -> int:
        """Whole batches in the plan."""
        return self.tokens // self.batch_tokens

    @property
    def total_tokens(self) -> int:
        """Tokens that will be trained on: what the schedule ends at."""
        return self.steps * self.batch_tokens

    def at(self, tokens: int) -> Progress:
        """A point of this run, as methods see it."""
        return Progress(tokens, self.total_tokens, self.sequences, self.batch_tokens, self.peak_learning_rate)
