"""The training loop: one plain function with four slots that may act, and observers that may only look.

The data order is a pure function of the source, chance a pure function of (seed, source, index), so where a run stands
is a handful of integers beside the tensors. A run killed anywhere goes on from its newest snapshot to the same bits.

Stages. `until_tokens` ends a call early, at the first step boundary at or behind it, with everything saved. A later
call with `continue_from` that folder (and its own folder, and perhaps another source) goes on: same plan, same
schedule, the optimizer's state and the log carried over. A source is known by its name: one that was read before goes
on where it was left, another begins at its first sequence. Two stages over one source are one run, bit for bit.
"""

from __future__ import annotations

import copy
import dataclasses
import math
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from seedbed.core import parameters
from seedbed.core.cost import Cost
from seedbed.core.errors import SeedbedError
from seedbed.core.fingerprint import fingerprint, hash_bytes
from seedbed.model.counts import TRAINING_FACTOR, training_flops
from seedbed.model.runtime import Runtime, prepare
from seedbed.model.tensors import from_numpy
from seedbed.model.transformer import Decoder, initial_model
from seedbed.train.contract import Source
from seedbed.train.plan import TrainPlan
from seedbed.train.snapshot import Snapshot, State, log_table, newest_snapshot, sweep, write_snapshot

__all__ = ["Report", "TrainPlan", "TrainResult", "train"]


@dataclasses.dataclass(frozen=True)
class Report:
    """What an observer is told after a step."""

    step: int
    steps: int
    tokens: int
    total_tokens: int
    flops: float
    learning_rate: float
    loss_nats_per_token: float
    grad_norm: float
    tokens_per_second: float


@dataclasses.dataclass(frozen=True)
class TrainResult:
    """A finished stage.

    Args:
        model: as the last step left it.
        folder: the last snapshot, which is a model folder.
        log: all steps of all stages so far, schema RUN.
        state: counters.
        cost: of this call alone; steps done before a resume are not counted again.
        resumed_from_step: where this call began.
        finished: whether the whole plan is trained.
    """

    model: Decoder
    folder: Path
    log: pa.Table
    state: State
    cost: Cost
    resumed_from_step: int
    finished: bool


def train(
    plan: TrainPlan,
    source: Source,
    *,
    seed: int,
    folder: Path,
    init: Decoder | None = None,
    continue_from: Path | None = None,
    until_tokens: int | None = None,
    observe: Callable[[Report], None] | None = None,
    runtime: Runtime | None = None,
) -> TrainResult:
    """Train one stage of `plan` on `source`, or go on with it where a killed call left `folder`.

    Raises SeedbedError where the loss stops being finite (naming step and documents), where `folder` holds another run,
    or where `init` does not have the plan's shape.
    """
    runtime = prepare(runtime)
    root = folder / "checkpoints"
    begin = _begin(plan, source, seed, root, init, continue_from)
    state, log, model = begin.state, begin.log, begin.model.to(runtime.torch_device)
    optimizer = plan.optimizer.build(model.named_parameters())
    if begin.optimizer:
        optimizer.load_state_dict(begin.optimizer)
    last_step = plan.steps if until_tokens is None else min(plan.steps, -(-until_tokens // plan.batch_tokens))
    saved = begin.folder if begin.folder.parent == root and state.step >= last_step else None
    started = time.perf_counter()

    while state.step < last_step:
        batch = _batch(plan, source, seed, state.cursors.get(source.name, 0))
        rate = plan.learning_rate * plan.schedule.value(state.tokens + plan.batch_tokens // 2, plan.total_tokens)
        loss, grad_norm = _step(plan, model, optimizer, batch, state.tokens, rate, runtime)
        if not (math.isfinite(loss) and math.isfinite(grad_norm)):
            raise _not_finite(folder, source, state.step + 1, batch, loss, grad_norm)
        state = _advance(state, plan, source, batch)
        if state.step % plan.log_every_steps == 0 or state.step == plan.steps:
            log.append((state.step, state.tokens, float(state.flops), rate, loss, grad_norm))
        if state.step % plan.checkpoint_every_steps == 0 or state.step == last_step:
            saved = write_snapshot(root, state, model, optimizer, log)
        if observe is not None:
            done = (state.step - begin.state.step) * plan.batch_tokens
            speed = done / (time.perf_counter() - started)
            place = (state.step, plan.steps, state.tokens, plan.total_tokens)
            observe(Report(*place, float(state.flops), rate, loss, grad_norm, speed))

    saved = saved or write_snapshot(root, state, model, optimizer, log)
    forward = (state.flops - begin.state.flops) / TRAINING_FACTOR
    cost = Cost(forward, forward * (TRAINING_FACTOR - 1), seconds=time.perf_counter() - started)
    return TrainResult(model, saved, log_table(log), state, cost, begin.state.step, state.step == plan.steps)


@dataclasses.dataclass(frozen=True)
class _Batch:
    """Examples under one another, (B, T) each, where they begin in the source, and a hash of their ids."""

    inputs_BT: torch.Tensor
    targets_BT: torch.Tensor
    weight_BT: torch.Tensor
    cursor: int
    hashed: str


def _batch(plan: TrainPlan, source: Source, seed: int, cursor: int) -> _Batch:
    """The batch that begins at `cursor`: a pure function."""
    key = hash_bytes(source.name.encode(), seed.to_bytes(16, "little", signed=True))
    sequences = [source.sequence(cursor + row) for row in range(plan.batch_sequences)]
    examples = [
        plan.objective.example(
            tokens, int.from_bytes(hash_bytes(key, (cursor + row).to_bytes(8, "little"))[:8], "little")
        )
        for row, tokens in enumerate(sequences)
    ]
    inputs, targets = np.stack([e.inputs for e in examples]), np.stack([e.targets for e in examples])
    weight = np.stack([e.weight for e in examples])
    hashed = hash_bytes(*(tokens.tobytes() for tokens in sequences)).hex()
    return _Batch(from_numpy(inputs), from_numpy(targets), from_numpy(weight), cursor, hashed)


def _step(
    plan: TrainPlan,
    model: Decoder,
    optimizer: torch.optim.Optimizer,
    batch: _Batch,
    tokens: int,
    rate: float,
    runtime: Runtime,
) -> tuple[float, float]:
    """One update. Returns (weighted mean loss, norm of the gradient); where one is not finite, nothing is updated."""
    device = runtime.torch_device
    weight_BT = batch.weight_BT.to(device)
    with runtime.autocast():
        loss_BT = plan.objective.losses(model, batch.inputs_BT.to(device), batch.targets_BT.to(device))
    total = weight_BT.sum()
    logged = float((loss_BT.detach() * weight_BT).sum() / total)  # of the batch as it was drawn, comparable over runs
    if plan.reweighter is not None:
        weight_BT = plan.reweighter.weights(loss_BT.detach(), weight_BT, tokens, plan.total_tokens)
    optimizer.zero_grad(set_to_none=True)
    torch.autograd.backward((loss_BT * weight_BT).sum() / total)
    limit = plan.grad_clip if plan.grad_clip > 0 else math.inf
    grad_norm = float(torch.nn.utils.clip_grad_norm_(model.parameters(), limit))
    if math.isfinite(logged) and math.isfinite(grad_norm):
        for group in optimizer.param_groups:
            group["lr"] = rate * group["lr_scale"]
        optimizer.step()
    return logged, grad_norm


def _advance(state: State, plan: TrainPlan, source: Source, batch: _Batch) -> State:
    """The counters after a step."""
    return dataclasses.replace(
        state,
        step=state.step + 1,
        tokens=state.tokens + plan.batch_tokens,
        flops=state.flops + round(training_flops(plan.shape, plan.batch_sequences, plan.shape.context)),
        cursors={**state.cursors, source.name: batch.cursor + plan.batch_sequences},
        batch=batch.hashed,
        source=source.name,
    )


def _not_finite(folder: Path, source: Source, step: int, batch: _Batch, loss: float, grad_norm: float) -> SeedbedError:
    """The error of a run that diverged, with the documents it diverged on."""
    rows = range(batch.cursor, batch.cursor + len(batch.inputs_BT))
    named = list(dict.fromkeys(document.hex() for row in rows for document in source.documents(row)))
    what = f"at step {step} the loss is {loss} and the norm of the gradient {grad_norm}; documents: {', '.join(named)}"
    mend = "Lower the learning rate, or look at these documents; the last checkpoint is from before."
    return SeedbedError(str(folder), what, mend)


def _begin(
    plan: TrainPlan, source: Source, seed: int, root: Path, init: Decoder | None, continue_from: Path | None
) -> Snapshot:
    """Where this call begins: the folder's own newest snapshot, else an earlier stage's, else a model at step 0."""
    if init is not None and continue_from is not None:
        raise SeedbedError("train", "both init and continue_from are given", "A stage begins from one of them.")
    hashed = _plan_hash(plan)
    sweep(root)
    found = newest_snapshot(root)
    if found is None and continue_from is not None:
        found = newest_snapshot(continue_from / "checkpoints")
        if found is None:
            raise SeedbedError(str(continue_from), "there is no checkpoint of an earlier stage to continue from")
    if found is None:
        if init is not None and init.shape != plan.shape:
            raise SeedbedError("train.init", f"the model has {init.shape}, the plan {plan.shape}")
        model = initial_model(plan.shape, seed) if init is None else copy.deepcopy(init)
        return Snapshot(Path(), State(0, 0, 0, {}, seed, hashed), model, {}, [])
    state = found.state
    if (state.plan, state.seed) != (hashed, seed):
        raise SeedbedError(str(found.folder), "this is a run of another plan or seed", "Choose another folder.")
    if state.source == source.name:
        last = _batch(plan, source, seed, state.cursors[source.name] - plan.batch_sequences)
        if last.hashed != state.batch:
            what = f"the data of source {source.name} is not what this run was trained on"
            raise SeedbedError(str(found.folder), what, "Give a changed source another name, or start a new run.")
    return found


def _plan_hash(plan: TrainPlan) -> str:
    """Of all that shapes the result; how often a checkpoint is written does not."""
    fields = parameters.encode_fields(plan)
    return fingerprint({name: value for name, value in fields.items() if name != "checkpoint_every_steps"})
