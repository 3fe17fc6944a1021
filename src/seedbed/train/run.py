"""The training loop: one plain function with five slots that may act, and observers that may only look.

The data order is a pure function of the sources and the plan's shares, chance a pure function of (seed, source, index),
so where a run stands is a handful of integers beside the tensors. A run killed anywhere goes on from its newest
checkpoint to the same bits; the same holds for any number of loader threads. A change in the number of processes or in
the micro-batch keeps the order of the global batches and changes rounding alone.

Stages. `until_tokens` ends a call early, at the first step boundary at or behind it, with everything saved. A later
call with `continue_from` that folder (and its own folder, and perhaps other sources) goes on: same plan, same schedule,
the optimizer's state and the log carried over. A source is known by its name: one that was read before goes on where it
was left, another begins at its first sequence. Two stages over one source are one run, bit for bit. `branch_from` goes
on likewise under a changed plan: with a schedule whose past does not depend on its end, decay now. `enter_from` begins
a new stage under any plan, with counters and schedule from 0: re-warm. What is replayed goes on where it was left.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pyarrow as pa

from seedbed.core.artifact import write_text
from seedbed.core.cost import Cost
from seedbed.core.errors import SeedbedError
from seedbed.model.counts import TRAINING_FACTOR
from seedbed.model.runtime import Runtime, prepare
from seedbed.model.transformer import Decoder
from seedbed.model.weights import weights_of
from seedbed.train import distributed
from seedbed.train.batches import Arrays, Reader
from seedbed.train.begin import CHECKPOINTS, Origin, begin, moments
from seedbed.train.contract import Source
from seedbed.train.distributed import World
from seedbed.train.loader import Loader
from seedbed.train.plan import Stability, TrainPlan
from seedbed.train.pruning import Pruner
from seedbed.train.snapshot import Snapshot, Snapshots, State, log_table, sweep
from seedbed.train.step import Stepper, Update

__all__ = ["INCIDENTS", "Report", "TrainPlan", "TrainResult", "train"]

INCIDENTS = "incidents.jsonl"
"""In a run's folder: a line for each step that was skipped."""


@dataclasses.dataclass(frozen=True)
class Report:
    """What an observer is told after a step.

    Args:
        step, steps, tokens, total_tokens: done, and in the whole plan.
        flops: so far, over all stages.
        learning_rate, loss_nats_per_token, grad_norm, skipped: of this step.
        tokens_per_second: of this call, from its first step on.
        seconds: this step took, waiting included.
        waited_seconds: of those, waiting for data.
        asked, realised: source -> share of this step's tokens as asked, and of all tokens that this run has read.
    """

    step: int
    steps: int
    tokens: int
    total_tokens: int
    flops: float
    learning_rate: float
    loss_nats_per_token: float
    grad_norm: float
    skipped: bool
    tokens_per_second: float
    seconds: float
    waited_seconds: float
    asked: Mapping[str, float]
    realised: Mapping[str, float]


@dataclasses.dataclass(frozen=True)
class TrainResult:
    """A finished stage.

    Args:
        model: as the last step left it; under FSDP its parameters are shards, and the folder holds the whole.
        folder: the last checkpoint, which is a model folder.
        log: all steps of all stages so far, schema RUN.
        state: counters.
        cost: of this call alone; steps done before a resume are not counted again.
        resumed_from_step: where this call began.
        finished: whether the whole plan is trained.
        waited_share: share of the time in which the step waited for data.
        off: weights that are pruned away at the end.
    """

    model: Decoder
    folder: Path
    log: pa.Table
    state: State
    cost: Cost
    resumed_from_step: int
    finished: bool
    waited_share: float = 0.0
    off: int = 0


def train(
    plan: TrainPlan,
    sources: Source | Mapping[str, Source],
    *,
    seed: int,
    folder: Path,
    init: Decoder | None = None,
    continue_from: Path | None = None,
    branch_from: Path | None = None,
    enter_from: Path | None = None,
    carry_optimizer: bool = True,
    from_annealed: bool = False,
    until_tokens: int | None = None,
    observe: Callable[[Report], None] | None = None,
    runtime: Runtime | None = None,
    reference: Decoder | None = None,
    teacher: Decoder | None = None,
) -> TrainResult:
    """Train one stage of `plan`, or go on with it where a killed call left `folder`.

    Args:
        plan: the whole run.
        sources: what is read, by name; views that the objective asks for have their suffix in the name.
        seed: of initial weights and of chance in examples.
        folder: checkpoints and incidents go there.
        init, continue_from, branch_from, enter_from, carry_optimizer, from_annealed: what to start from, see
            `begin.Origin`.
        until_tokens: end this call early.
        observe: is told of every step, in the first process.
        runtime: device, threads, loader threads, and how several processes share the work.
        reference: the model that a reweighter such as Rho-1 compares with.
        teacher: the frozen model that an objective such as self-distillation learns beside.

    Raises SeedbedError where a step is bad and the plan says stop (naming step and documents), where `folder` holds
    another run, where the data under a run has changed, or where the disk is full; every one leaves what was saved.
    """
    runtime = prepare(runtime)
    named = dict(sources) if isinstance(sources, Mapping) else {sources.name: sources}
    last_step = plan.steps if until_tokens is None else min(plan.steps, -(-until_tokens // plan.batch_tokens))
    with distributed.together(runtime.torch_device) as world:
        reader = Reader(plan, named, seed, world.rank, world.size)
        origin = Origin(init, continue_from, branch_from, enter_from, carry_optimizer, from_annealed)
        run = _Run(plan, reader, folder, origin, runtime, world, reference, teacher)
        with contextlib.closing(run):
            run.train_to(last_step, observe if world.is_first else None)
            return run.result()


class _Run:
    """A call of the loop: where it stands, and what it works with."""

    def __init__(
        self,
        plan: TrainPlan,
        reader: Reader,
        folder: Path,
        origin: Origin,
        runtime: Runtime,
        world: World,
        reference: Decoder | None,
        teacher: Decoder | None,
    ) -> None:
        distributed.check(plan.optimizer, world, runtime.parallel, plan.sequences)
        self.plan, self.reader, self.folder, self.world, self.runtime = plan, reader, folder, world, runtime
        distributed.first_does(world, lambda: sweep(folder / CHECKPOINTS))
        found = begin(plan, reader.seed, folder, origin)
        self.state, self.log = found.state, found.log
        _check_data(reader, found)
        self.model = found.model.to(runtime.torch_device)
        losses = distributed.spread(distributed.Losses(self.model, plan.objective), world, runtime.parallel)
        self.losses, self.optimizer = losses, plan.optimizer.build(weights_of(self.model))
        if found.optimizer:
            distributed.load_full_optimizer(self.optimizer, moments(found, self.optimizer))
        besides = [model and model.to(runtime.torch_device) for model in (reference, teacher)]
        self.pruner = Pruner(plan, weights_of(self.model), plan.at(self.state.tokens))
        self.stepper = Stepper(plan, losses, self.optimizer, runtime, world, *besides, pruner=self.pruner)
        kept = plan.checkpoints
        self.snapshots = Snapshots(folder / CHECKPOINTS, kept.keep_last, kept.keep_every, kept.background)
        self.saved = found.folder if found.folder.parent == folder / CHECKPOINTS else None
        self.begun, self.started, self.waited = found.state, time.perf_counter(), 0.0
        if world.is_first:
            _forget_incidents(folder, found.state.step)

    def train_to(self, last_step: int, observe: Callable[[Report], None] | None) -> None:
        """Step until `last_step`, saving on the way and at the end."""
        steps = max(0, last_step - self.state.step)
        jobs = self.reader.jobs(self.state.tokens, self.state.cursors, self.state.owed, steps)
        with contextlib.closing(Loader(jobs, self.reader.arrays, workers=self.runtime.loader_workers)) as loader:
            last = time.perf_counter()
            for arrays in loader:
                rate = self.plan.peak_learning_rate * self.plan.schedule.value(arrays.job.at)
                update = self.stepper.gradients(arrays)
                reason = self._what_is_wrong(update)
                if reason:
                    self._bad_step(arrays, update, reason)
                else:
                    self.stepper.apply(rate)
                self._advance(arrays, rate, update, skipped=bool(reason))
                self.pruner.prune(self.plan.at(self.state.tokens))
                if self.state.step % self.plan.checkpoints.every_steps == 0 or self.state.step == last_step:
                    self._save()
                now, waited = time.perf_counter(), loader.waited_seconds - self.waited
                self.waited = loader.waited_seconds
                if observe is not None:
                    observe(self._report(arrays, rate, update, bool(reason), (now - last, waited)))
                last = now
        if self.saved is None:
            self._save()

    def result(self) -> TrainResult:
        """What came of it, when everything is on disk."""
        self._on_disk(self.snapshots.wait)
        assert self.saved is not None
        seconds = time.perf_counter() - self.started
        forward = (self.state.flops - self.begun.flops) / TRAINING_FACTOR
        cost = Cost(forward, forward * (TRAINING_FACTOR - 1), seconds=seconds)
        finished = self.state.step == self.plan.steps
        log = log_table(self.log)
        share = self.waited / seconds if seconds else 0.0
        begun, off = self.begun.step, self.pruner.off
        return TrainResult(self.model, self.saved, log, self.state, cost, begun, finished, share, off)

    def close(self) -> None:
        """Let the writer finish what it has; nothing more is begun."""
        self.snapshots.close()

    def _what_is_wrong(self, update: Update) -> str:
        """Why the step is not to be taken; empty where it is good. Every process comes to the same answer."""
        if not (math.isfinite(update.loss) and math.isfinite(update.grad_norm)):
            return f"the loss is {update.loss} and the norm of the gradient {update.grad_norm}"
        rule, recent = self.plan.stability, self.state.recent
        if rule.spike and len(recent) == rule.window:
            limit = statistics.fmean(recent) + rule.spike * statistics.pstdev(recent)
            if update.loss > limit:
                return f"the loss of {update.loss:.4f} is above {limit:.4f}, {rule.spike:g} deviations over the mean"
        return ""

    def _bad_step(self, arrays: Arrays, update: Update, reason: str) -> None:
        """Stop, or note the documents and go on, as the plan says."""
        step, documents = self.state.step + 1, self.reader.documents(arrays.job)
        rule: Stability = self.plan.stability
        if rule.action == "stop" or self.state.skipped >= rule.most_skipped:
            what = f"at step {step} {reason}; documents: {', '.join(documents)}"
            mend = "Lower the learning rate, or look at these documents; the last checkpoint is from before."
            raise SeedbedError(str(self.folder), what, mend)
        if self.world.is_first:
            told = {"step": step, "tokens": self.state.tokens, "reason": reason, "loss": repr(update.loss)}
            line = json.dumps({**told, "grad_norm": repr(update.grad_norm), "documents": documents})
            with (self.folder / INCIDENTS).open("a", encoding="utf-8") as out:
                out.write(line + "\n")

    def _advance(self, arrays: Arrays, rate: float, update: Update, *, skipped: bool) -> None:
        """The counters after a step, and its row of the log."""
        before, window = self.state, self.plan.stability.window if self.plan.stability.spike else 0
        recent = before.recent if skipped or not window else (*before.recent, update.loss)[-window:]
        self.state = dataclasses.replace(
            before,
            step=before.step + 1,
            tokens=before.tokens + self.plan.batch_tokens,
            flops=before.flops + round(self.stepper.flops),
            cursors={**before.cursors, **arrays.job.cursors},
            owed={**before.owed, **arrays.job.draw.owed},
            recent=recent,
            skipped=before.skipped + 1 if skipped else 0,
            batch=arrays.hashed,
            row=arrays.job.draw.rows[0],
            idle=before.idle + self.pruner.off * self.plan.batch_tokens,
            annealed=before.annealed or (not skipped and self.plan.schedule.annealing(arrays.job.at)),
        )
        step = self.state.step
        if step % self.plan.log_every_steps == 0 or step == self.plan.steps:
            row = (step, self.state.tokens, float(self.state.flops), rate, update.loss, update.grad_norm, skipped)
            self.log.append(row)

    def _save(self) -> None:
        """A checkpoint: all processes give their shards, the first one writes."""
        weights = distributed.full_weights(self.losses)
        optimizer = distributed.full_optimizer(self.optimizer)
        self.saved = self.folder / CHECKPOINTS / f"step-{self.state.step:08d}"
        self._on_disk(lambda: self.snapshots.save(self.state, self.plan.shape, weights, optimizer, self.log))

    def _on_disk(self, work: Callable[[], object]) -> None:
        distributed.first_does(self.world, lambda: (work(), None)[1])

    def _report(
        self, arrays: Arrays, rate: float, update: Update, skipped: bool, seconds: tuple[float, float]
    ) -> Report:
        state, done = self.state, (self.state.step - self.begun.step) * self.plan.batch_tokens
        read = state.read
        return Report(
            step=state.step,
            steps=self.plan.steps,
            tokens=state.tokens,
            total_tokens=self.plan.total_tokens,
            flops=float(state.flops),
            learning_rate=rate,
            loss_nats_per_token=update.loss,
            grad_norm=update.grad_norm,
            skipped=skipped,
            tokens_per_second=done / (time.perf_counter() - self.started),
            seconds=seconds[0],
            waited_seconds=seconds[1],
            asked=arrays.job.asked,
            realised={name: tokens / sum(read.values()) for name, tokens in read.items()},
        )


def _check_data(reader: Reader, found: Snapshot) -> None:
    """Whether the sources still give what the run was trained on last. Raises SeedbedError where they do not."""
    if not found.state.row:
        return
    name, index = found.state.row
    if name in reader.sources and reader.hashed((name, index)) != found.state.batch:
        what = f"the data of source {name} is not what this run was trained on"
        raise SeedbedError(str(found.folder), what, "Give a changed source another name, or start a new run.")


def _forget_incidents(folder: Path, step: int) -> None:
    """Leave out the steps that a resume will take again."""
    file = folder / INCIDENTS
    if file.exists():
        lines = file.read_text(encoding="utf-8").splitlines()
        kept = [line for line in lines if line.endswith("}") and json.loads(line)["step"] <= step]
        write_text(file, "".join(f"{line}\n" for line in kept))
