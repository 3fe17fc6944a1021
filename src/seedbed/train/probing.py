"""A run in the middle of its training, asked what one step on a document would do to the loss of a reference.

Each document alone is one sequence (read after an end-of-text token, cut at the context; padding would change nothing)
on which the run's own optimizer takes one step: its moments, the learning rate that its schedule has there, its clip.
Then the reference's loss is taken, and weights and optimizer are put back to the bit. What comes out for a document
depends on nothing that was asked before. Differences are small, so losses are float32 in batches of a fixed order, and
their mean is taken in float64.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from seedbed.core.cost import Cost
from seedbed.core.errors import SeedbedError
from seedbed.core.nouns import DocumentBatch
from seedbed.model.counts import TRAINING_FACTOR, forward_flops
from seedbed.model.hugging_face import open_model_folder
from seedbed.model.language_model import LanguageModel
from seedbed.model.runtime import Runtime, prepare
from seedbed.model.tensors import from_numpy
from seedbed.model.weights import weights_of
from seedbed.train import distributed
from seedbed.train.begin import CHECKPOINTS, plan_hash
from seedbed.train.contract import Batch
from seedbed.train.plan import TrainPlan
from seedbed.train.snapshot import Snapshot, newest_snapshot
from seedbed.train.step import Stepper

FloatArray = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Standing:
    """Where a probed run stands.

    Args:
        folder: of the run's states, as the loop was given it; the newest that verifies is probed.
        plan: of the run, over all its stages.
        end_of_text: id of the token that ends every document.
    """

    folder: Path
    plan: TrainPlan
    end_of_text: int


def open_probe(folder: Path, plan: TrainPlan) -> StepProbe:
    """Of the states that lie in a run's folder beside its model, whose tokenizer says what ends a text."""
    end_of_text = open_model_folder(folder.parent).end_of_text
    if end_of_text is None:
        mend = "Probe a run of the pipeline, or give the token's id in a Standing."
        raise SeedbedError(str(folder.parent), "holds no tokenizer that says which token ends a text", mend)
    return StepProbe(Standing(folder, plan, end_of_text))


class StepProbe:
    """Tries single steps. It travels to other processes as a path, and reads its checkpoint when first asked.

    Args:
        standing: which run, and where it is.
        runtime: device and threads.
    """

    def __init__(self, standing: Standing, runtime: Runtime | None = None) -> None:
        self.standing, self._runtime = standing, runtime or Runtime()
        self._held: _Held | None = None
        self._stepped = Cost()

    def __reduce__(self) -> tuple[type[StepProbe], tuple[Standing, Runtime]]:
        """What it was asked stays behind."""
        return StepProbe, (self.standing, self._runtime)

    @property
    def cost(self) -> Cost:
        """FLOP of steps and of reference losses so far, and seconds."""
        return self._stepped if self._held is None else self._stepped + self._held.asked.cost

    @property
    def learning_rate(self) -> float:
        """Of the steps that are tried."""
        return self._opened().rate

    def loss(self, reference: DocumentBatch) -> float:
        """Mean reference loss of the model as it is, nats per token. Raises SeedbedError for a reference of nothing."""
        ids, offsets = reference.token_ids
        if not offsets[-1] - offsets[0]:
            raise SeedbedError("probe", "the reference has no tokens", "Give target text with words.")
        return float(self._opened().asked.token_losses(ids, offsets).mean(dtype=np.float64))

    def losses_after_step(self, documents: DocumentBatch, reference: DocumentBatch) -> FloatArray:
        """loss_N: mean reference loss after one step on each document alone; a document without tokens has no step."""
        before = self.loss(reference)
        ids, offsets = documents.token_ids
        known, vocabulary = ids[offsets[0] : offsets[-1]], self.standing.plan.shape.vocab_size
        if len(known) and not 0 <= int(known.min()) <= int(known.max()) < vocabulary:
            what = f"token ids run from {known.min()} to {known.max()}, the model knows {vocabulary}"
            raise SeedbedError("probe", what, "Probe documents with the tokenizer the model was trained with.")
        found = np.full(len(documents), before)
        for i in np.flatnonzero(np.diff(offsets)).tolist():
            found[i] = self._after(ids[offsets[i] : offsets[i + 1]].astype(np.int64), reference)
        return found

    def _after(self, tokens_S: npt.NDArray[np.int64], reference: DocumentBatch) -> float:
        held, shape = self._opened(), self.standing.plan.shape
        begun = time.perf_counter()
        targets_T = tokens_S[: shape.context]
        inputs_T = np.append(self.standing.end_of_text, targets_T[:-1])
        try:
            held.step(inputs_T, targets_T, self._runtime)
            forward = forward_flops(shape, 1, len(targets_T))
            self._stepped += Cost(forward, forward * (TRAINING_FACTOR - 1), seconds=time.perf_counter() - begun)
            return self.loss(reference)
        finally:
            held.put_back()

    def _opened(self) -> _Held:
        if self._held is None:
            self._held = _Held(self.standing, prepare(self._runtime))
        return self._held


class _Held:
    """The run in memory, and a second copy of all that a step changes."""

    def __init__(self, standing: Standing, runtime: Runtime) -> None:
        found = _found(standing)
        plan = dataclasses.replace(standing.plan, reweighter=None)  # weighs documents of a batch; here is one
        self.rate = _rate(plan, found)
        self.asked = LanguageModel(found.model, standing.end_of_text, runtime=runtime)
        self._objective, self._clip = plan.objective, plan.grad_clip
        self._model = found.model
        self._parameters = list(found.model.parameters())
        optimizer = plan.optimizer.build(weights_of(found.model))
        if found.optimizer:
            distributed.load_full_optimizer(optimizer, found.optimizer)
        self._stepper = Stepper(plan, found.model, optimizer, runtime, distributed.World())
        self._weights = [parameter.detach().clone() for parameter in self._parameters]
        self._state = {held: _copied(entry) for held, entry in optimizer.state.items()}
        self._rates = [group["lr"] for group in optimizer.param_groups]

    def step(self, inputs_T: npt.NDArray[np.int64], targets_T: npt.NDArray[np.int64], runtime: Runtime) -> None:
        """One step of the run's optimizer on one sequence."""
        inputs, targets = (from_numpy(ids[None]).to(runtime.torch_device) for ids in (inputs_T, targets_T))
        weight = torch.ones_like(targets, dtype=torch.float32)
        with torch.enable_grad(), runtime.autocast():
            loss_BT = self._objective.losses(self._model, Batch(inputs, targets, weight))
        torch.autograd.backward(loss_BT.mean())
        if self._clip > 0:
            distributed.clip(self._parameters, self._clip)
        self._stepper.apply(self.rate)

    def put_back(self) -> None:
        """Weights, moments, counters and rates as they were, in the memory where they were."""
        optimizer = self._stepper.optimizer
        with torch.no_grad():
            for parameter, weight in zip(self._parameters, self._weights, strict=True):
                parameter.copy_(weight)
                parameter.grad = None
            for held in list(optimizer.state):
                if held not in self._state:
                    del optimizer.state[held]
            for held, entry in self._state.items():
                _put_back(optimizer.state[held], entry)
        for group, rate in zip(optimizer.param_groups, self._rates, strict=True):
            group["lr"] = rate


def _found(standing: Standing) -> Snapshot:
    found = newest_snapshot(standing.folder / CHECKPOINTS)
    if found is None:
        mend = "Name the folder of states that a run keeps for its next stage."
        raise SeedbedError(str(standing.folder), "there is no checkpoint in it", mend)
    if found.state.plan != plan_hash(standing.plan):
        raise SeedbedError(str(found.folder), "this is a run of another plan", "Probe it with the plan it has.")
    return found


def _rate(plan: TrainPlan, found: Snapshot) -> float:
    """Of the next step, as the loop takes it. A run that has not begun is probed at its peak: the schedule's first
    rates are next to 0, and so would be what a step does."""
    if found.state.step == 0:
        return plan.peak_learning_rate
    middle = min(found.state.tokens + plan.batch_tokens // 2, plan.total_tokens)
    rate = plan.peak_learning_rate * plan.schedule.value(plan.at(middle))
    if rate <= 0:
        mend = "Probe a run before its schedule has ended."
        raise SeedbedError(str(found.folder), f"the learning rate is {rate} after step {found.state.step}", mend)
    return rate


def _copied(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value.detach().clone() if isinstance(value, Tensor) else value for key, value in entry.items()}


def _put_back(now: dict[str, Any], before: Mapping[str, Any]) -> None:
    for key in now.keys() - before.keys():
        del now[key]
    for key, value in before.items():
        if isinstance(value, Tensor) and isinstance(now.get(key), Tensor):
            now[key].copy_(value)
        else:
            now[key] = value
