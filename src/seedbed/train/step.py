"""One update: losses of the rows this process holds, weights over the global batch, gradients, clip, step.

The loss is sum(loss * weight) / sum(weight) over the global batch, whatever it is cut into: micro-batches and processes
each add their part of the numerator over the one denominator. A mean of means would depend on the cut.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from seedbed.core.errors import RecipeError, SeedbedError
from seedbed.model.auxiliary import share_of_step
from seedbed.model.counts import forward_flops, training_flops
from seedbed.model.runtime import Runtime
from seedbed.model.tensors import from_numpy
from seedbed.model.transformer import Decoder
from seedbed.train import distributed
from seedbed.train.batches import Arrays
from seedbed.train.contract import Batch, Progress
from seedbed.train.distributed import World
from seedbed.train.plan import TrainPlan
from seedbed.train.pruning import Pruner


@dataclasses.dataclass(frozen=True)
class Update:
    """What came of one step.

    Args:
        loss: weighted mean of the global batch as it was drawn, before any reweighting: comparable over runs.
        grad_norm: before clipping; NaN where none was computed.
    """

    loss: float
    grad_norm: float


class Stepper:
    """Takes gradients and steps.

    Args:
        plan: of the run.
        losses: the module that gives losses, spread over the processes.
        optimizer: over its parameters.
        runtime, world: where this process computes, and beside whom.
        reference: the model a reweighter compares with.
        teacher: the frozen model an objective learns beside. Both are whole in every process.
        pruner: keeps off what is off; None keeps nothing.

    Raises RecipeError where the objective asks for a teacher and none is given, or the other way round.
    """

    def __init__(
        self,
        plan: TrainPlan,
        losses: nn.Module,
        optimizer: torch.optim.Optimizer,
        runtime: Runtime,
        world: World,
        reference: Decoder | None = None,
        teacher: Decoder | None = None,
        pruner: Pruner | None = None,
    ) -> None:
        self.plan, self.losses, self.optimizer, self.world = plan, losses, optimizer, world
        self._runtime, self._device = runtime, runtime.torch_device
        self._parameters = [parameter for parameter in losses.parameters() if parameter.requires_grad]
        self._reference, self._teacher, self._pruner = reference, teacher, pruner
        _check_teacher(plan, teacher)
        if plan.reweighter is not None and plan.reweighter.needs_reference and reference is None:
            what = "compares with a reference model, and none is given"
            raise SeedbedError(plan.reweighter.path(), what, "Name a model folder as the reference.")

    @property
    def flops(self) -> float:
        """FLOP of a step, over all processes."""
        shape, rows = self.plan.shape, self.plan.sequences
        spent = training_flops(shape, rows, shape.context)
        if self.plan.reweighter is not None:
            if len(self._micro_batches(rows)) > 1:
                spent += forward_flops(shape, rows, shape.context)
            if self._reference is not None and self.plan.reweighter.needs_reference:
                spent += forward_flops(self._reference.shape, rows, shape.context)
        if self._teacher is not None:
            spent += forward_flops(self._teacher.shape, rows, shape.context)
        return spent

    def gradients(self, arrays: Arrays) -> Update:
        """Fill the gradients; the parameters stay as they are."""
        self.optimizer.zero_grad(set_to_none=True)
        batch = distributed.even(self.world, to_device(arrays, self._device), self.plan.sequences)
        total = distributed.sum_over(self.world, batch.weight_BT.sum())
        if float(total) == 0.0:
            raise SeedbedError("train", "a whole batch has no token to train on", "Look at the objective's weights.")
        pieces = self._micro_batches(len(batch.inputs_BT))
        first = self._losses(rows_of(batch, pieces[0])) if len(pieces) == 1 else None
        weight_BT = self._weights(batch, pieces, first, arrays.job.at)
        summed = torch.zeros((), device=self._device)
        for piece in pieces:
            share = len(batch.inputs_BT[piece]) / self._rows_of_a_sum(batch)
            with distributed.quiet(self.losses, last=piece is pieces[-1]), share_of_step(share):
                loss_BT = self._losses(rows_of(batch, piece)) if first is None else first
                torch.autograd.backward((loss_BT * weight_BT[piece]).sum() / total)
            summed += (loss_BT.detach() * batch.weight_BT[piece]).sum()
        loss = float(distributed.sum_over(self.world, summed) / total)
        if self._pruner is not None:
            self._pruner.hold_gradients()
        limit = self.plan.grad_clip if self.plan.grad_clip > 0 else math.inf
        return Update(loss, distributed.clip(self._parameters, limit))

    def _rows_of_a_sum(self, batch: Batch) -> int:
        """Rows whose gradients are summed to a step: FSDP sums over processes, DDP averages."""
        return self.plan.sequences if self._runtime.parallel == "fsdp" else len(batch.inputs_BT)

    def apply(self, rate: float) -> None:
        """Step at this learning rate, and let go of the gradients: they need not live through the next forward pass."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["lr_scale"]
        with contextlib.nullcontext() if self._pruner is None else self._pruner.holding():
            self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

    def _micro_batches(self, rows: int) -> list[slice]:
        size = self.plan.micro_batch_sequences or rows
        return [slice(begin, begin + size) for begin in range(0, rows, size)]

    def _losses(self, batch: Batch) -> Tensor:
        lesson = self._lesson(batch)
        with self._runtime.autocast():
            return self.losses(batch.inputs_BT, batch.targets_BT, batch.weight_BT, batch.document_BT, lesson)

    def _lesson(self, batch: Batch) -> Tensor | None:
        """What the teacher says of these rows; nobody asks it where losses are only looked at."""
        if self._teacher is None or not torch.is_grad_enabled():
            return None
        with torch.no_grad(), self._runtime.autocast():
            return self.plan.objective.lesson(self._teacher, batch)

    def _weights(self, batch: Batch, pieces: list[slice], first: Tensor | None, at: Progress) -> Tensor:
        """Weights of this process's rows, as the reweighter sets them over the whole global batch."""
        reweighter = self.plan.reweighter
        if reweighter is None:
            return batch.weight_BT
        with torch.no_grad():
            mine = torch.cat([self._losses(rows_of(batch, p)) for p in pieces]) if first is None else first.detach()
            loss_BT, weight_BT, reference_BT = self._whole(mine), self._whole(batch.weight_BT), None
            if reweighter.needs_reference and self._reference is not None:
                asked = [self._reference_losses(self._reference, rows_of(batch, piece)) for piece in pieces]
                reference_BT = self._whole(torch.cat(asked))
            changed = reweighter.weights(loss_BT, weight_BT, at, reference_BT)
        return distributed.own_rows(self.world, changed)

    def _whole(self, rows: Tensor) -> Tensor:
        return distributed.gather_rows(self.world, rows, self.plan.sequences)

    def _reference_losses(self, reference: Decoder, batch: Batch) -> Tensor:
        with self._runtime.autocast():
            return self.plan.objective.losses(reference, batch)


def _check_teacher(plan: TrainPlan, teacher: Decoder | None) -> None:
    """Whether an objective has the teacher it asks for, and it can read what the model reads."""
    objective, shape = plan.objective, plan.shape
    if not objective.needs_teacher:
        if teacher is not None:
            what = "learns without a teacher, and one is given"
            raise RecipeError(objective.path(), what, "Leave the teacher out, or choose an objective that asks for it.")
        return
    if teacher is None:
        what = "learns beside a teacher, and none is given"
        raise RecipeError(objective.path(), what, "Name a stage before, or a model folder, as the teacher.")
    known = teacher.shape
    if known.vocab_size < shape.vocab_size or known.context < shape.context:
        what = (
            f"the teacher knows {known.vocab_size} tokens and {known.context} positions, "
            f"the plan has {shape.vocab_size} and {shape.context}"
        )
        raise RecipeError(objective.path(), what, "Take a teacher of the same vocabulary and context.")


def to_device(arrays: Arrays, device: torch.device) -> Batch:
    """The numbers of a step on the device."""

    def move(array: npt.NDArray[np.generic]) -> Tensor:
        return from_numpy(array).to(device)

    document = None if arrays.document is None else move(arrays.document)
    return Batch(move(arrays.inputs), move(arrays.targets), move(arrays.weight), document)


def rows_of(batch: Batch, piece: slice | list[int]) -> Batch:
    """Some rows of a batch."""
    document = None if batch.document_BT is None else batch.document_BT[piece]
    return Batch(batch.inputs_BT[piece], batch.targets_BT[piece], batch.weight_BT[piece], document)
