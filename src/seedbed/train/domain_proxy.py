"""A proxy model whose domain weights are learned while it trains: losses or gradients a domain, a law, a step.

Each step draws sequences from every domain, asks the law for the weights that follow from what it sees, and steps along
SUM_d weight_d (gradient of d's mean loss) with these new weights. Batches, schedules and optimizers are those of
`run.train`. A killed run goes on from its newest snapshot to the same bits: the weights so far and the last excess of
each domain lie beside the optimizer's state. One process.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from torch import Tensor

from seedbed.core.cost import Cost
from seedbed.core.errors import RecipeError
from seedbed.model.counts import forward_flops, training_flops
from seedbed.model.runtime import Runtime, prepare
from seedbed.model.tensors import from_numpy
from seedbed.model.transformer import Decoder
from seedbed.model.weights import weights_of
from seedbed.train.batches import Arrays, Reader
from seedbed.train.begin import CHECKPOINTS, Origin, begin
from seedbed.train.contract import Source
from seedbed.train.domain_losses import Gradient, Observed, Passes
from seedbed.train.loader import Loader
from seedbed.train.plan import Phase, TrainPlan
from seedbed.train.snapshot import Snapshots, sweep
from seedbed.train.step import to_device

FloatArray = npt.NDArray[np.float64]

_MEMORY = "domain_proxy"
"""Where a snapshot's optimizer tensors hold what this loop remembers."""


@dataclasses.dataclass(frozen=True)
class DomainStep:
    """What the law is told.

    Args:
        observed: of this step, save that a domain which is not in the batch keeps its last excess.
        learning_rate: of this step.
        peak_learning_rate: of the plan.
    """

    observed: Observed
    learning_rate: float
    peak_learning_rate: float


Law = Callable[[FloatArray, DomainStep], FloatArray]
"""(weight_D, what the step observed) -> weight_D after it; a pure function."""


@dataclasses.dataclass(frozen=True)
class ProxyPlan:
    """A proxy run.

    Args:
        train: how it is trained; its mixture is set here, and a reweighter is left out.
        share_D: of each domain in the pool.
        first_D: weights before the first step.
        sampling: "uniform" draws as many sequences from each domain, "pool" by `share_D`.
        gradients: a pass a domain, and the alignment of the domains' gradients with those of the targets.
    """

    train: TrainPlan
    share_D: tuple[float, ...]
    first_D: tuple[float, ...]
    sampling: Literal["pool", "uniform"] = "uniform"
    gradients: bool = False

    def plan(self, names: list[str]) -> TrainPlan:
        """The plan with the mixture of the batches. Raises RecipeError where a batch cannot hold every domain."""
        if not len(names) == len(self.share_D) == len(self.first_D):
            raise ValueError(f"{len(names)} domains, {len(self.share_D)} shares and {len(self.first_D)} weights")
        uniform = self.sampling == "uniform"
        if uniform and self.train.sequences < len(names):
            what = f"batches of {self.train.sequences} sequences cannot hold each of {len(names)} domains"
            raise RecipeError("train.plan.batch_sequences", what, 'Use larger batches, or the sampling "pool".')
        shares = dict.fromkeys(names, 1.0) if uniform else dict(zip(names, self.share_D, strict=True))
        return dataclasses.replace(self.train, mixture=(Phase(shares),), reweighter=None)


@dataclasses.dataclass(frozen=True)
class ProxyResult:
    """A finished proxy run.

    Args:
        model: as the last step left it.
        step_weight_SD: the weights that each step was taken with.
        flops: of the whole run, over all calls: the proxy's passes, the targets', the reference's.
        cost: of this call alone.
        resumed_from_step: where this call began.
    """

    model: Decoder
    step_weight_SD: FloatArray
    flops: float
    cost: Cost
    resumed_from_step: int


def train_proxy(
    plan: ProxyPlan,
    domains: Mapping[str, Source],
    law: Law,
    *,
    seed: int,
    folder: Path,
    targets: Mapping[str, Source] | None = None,
    reference: Decoder | None = None,
    observe: Callable[[int, DomainStep], None] | None = None,
    runtime: Runtime | None = None,
) -> ProxyResult:
    """Train a proxy, or go on with it where a killed call left `folder`.

    Args:
        plan: the run.
        domains: what is read of each domain, in the order of the weights.
        law: moves the weights.
        seed: of initial weights and of chance in examples.
        folder: snapshots go there.
        targets: with gradients, what they are compared with; none: the domains themselves.
        reference: the model whose losses are subtracted.
        observe: told (step, what the law was told) after each step.
        runtime: device and threads.

    Raises RecipeError for a batch too small to hold every domain, SeedbedError for a loss that is not finite.
    """
    run = _Run(plan, dict(domains), dict(targets or {}), seed, folder, prepare(runtime), reference)
    with contextlib.closing(run.snapshots):
        run.train(law, observe)
        run.snapshots.wait()
    return run.result()


class _Run:
    """A call of the loop."""

    def __init__(
        self,
        asked: ProxyPlan,
        domains: dict[str, Source],
        targets: dict[str, Source],
        seed: int,
        folder: Path,
        runtime: Runtime,
        reference: Decoder | None,
    ) -> None:
        self.asked, self.names, self.runtime = asked, list(domains), runtime
        self.plan = asked.plan(self.names)
        self.reader = Reader(self.plan, domains, seed)
        self.target_rows = max(1, self.plan.sequences // len(self.names))
        aimed = targets if asked.gradients else {}
        self.targets = Reader(_even(self.plan, list(aimed), self.target_rows), aimed, seed) if aimed else None
        sweep(folder / CHECKPOINTS)
        found = begin(self.plan, seed, folder, Origin())
        self.state, self.log = found.state, found.log
        self.model = found.model.to(runtime.torch_device)
        self.optimizer = self.plan.optimizer.build(weights_of(self.model))
        moved = None if reference is None else reference.to(runtime.torch_device)
        limit = self.plan.grad_clip if self.plan.grad_clip > 0 else math.inf
        self.passes = Passes(self.model, moved, self.plan.objective, limit, runtime)
        self.weight_SD = [np.asarray(asked.first_D, np.float64)]
        self.excess_D = np.full(len(self.names), np.nan)
        if found.optimizer:
            self._restore(found.optimizer)
        kept = self.plan.checkpoints
        self.snapshots = Snapshots(folder / CHECKPOINTS, kept.keep_last, kept.keep_every, kept.background)
        self.begun, self.started = self.state, time.perf_counter()

    @property
    def flops(self) -> float:
        """Of a step."""
        shape, rows = self.plan.shape, self.plan.sequences
        aimed = 0 if self.targets is None else self.targets.plan.sequences
        spent = training_flops(shape, rows + aimed, shape.context)
        if self.passes.reference is not None:
            spent += forward_flops(self.passes.reference.shape, rows, shape.context)
        return spent

    def train(self, law: Law, observe: Callable[[int, DomainStep], None] | None) -> None:
        """Step to the end of the plan, saving on the way."""
        state = self.state
        jobs = self.reader.jobs(state.tokens, state.cursors, state.owed, self.plan.steps - state.step)
        with contextlib.closing(Loader(jobs, self.reader.arrays, workers=self.runtime.loader_workers)) as loader:
            for arrays in loader:
                rate = self.plan.peak_learning_rate * self.plan.schedule.value(arrays.job.at)
                seen = self._step(arrays, rate, law)
                self._advance(arrays, seen)
                step = self.state.step
                if step % self.plan.checkpoints.every_steps == 0 or step == self.plan.steps:
                    self._save()
                if observe is not None:
                    observe(step, seen)

    def result(self) -> ProxyResult:
        """What came of it."""
        spent = float(self.state.flops - self.begun.flops)
        cost = Cost(flops_auxiliary=spent, seconds=time.perf_counter() - self.started)
        return ProxyResult(self.model, np.stack(self.weight_SD)[1:], float(self.state.flops), cost, self.begun.step)

    def _step(self, arrays: Arrays, rate: float, law: Law) -> DomainStep:
        """Observe, move the weights, step along them."""
        told: list[DomainStep] = []

        def weigh(observed: Observed) -> FloatArray:
            absent_D = np.isnan(observed.excess_D)
            self.excess_D = np.where(absent_D, self.excess_D, observed.excess_D)
            observed = dataclasses.replace(observed, excess_D=self.excess_D)
            told.append(DomainStep(observed, rate, self.plan.peak_learning_rate))
            self.weight_SD.append(law(self.weight_SD[-1], told[0]))
            return self.weight_SD[-1]

        batch = to_device(arrays, self.runtime.torch_device)
        row_D = [_rows_from(name, arrays) for name in self.names]
        self.optimizer.zero_grad(set_to_none=True)
        if self.asked.gradients:
            self.passes.by_gradients(batch, row_D, self._aims(), weigh)
        else:
            self.passes.by_losses(batch, row_D, weigh)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["lr_scale"]
        self.optimizer.step()
        return told[0]

    def _aims(self) -> list[Gradient] | None:
        """Gradients of the targets on this step's sequences of them; None where the domains are their own target."""
        if self.targets is None:
            return None
        read = self.state.step * self.target_rows
        cursors = {name: read * source.stride for name, source in self.targets.sources.items()}
        arrays = self.targets.arrays(next(self.targets.jobs(0, cursors, {}, 1)))
        batch = to_device(arrays, self.runtime.torch_device)
        return [self.passes.gradient(batch, _rows_from(name, arrays))[2] for name in self.targets.sources]

    def _advance(self, arrays: Arrays, seen: DomainStep) -> None:
        before = self.state
        self.state = dataclasses.replace(
            before,
            step=before.step + 1,
            tokens=before.tokens + self.plan.batch_tokens,
            flops=before.flops + round(self.flops),
            cursors={**before.cursors, **arrays.job.cursors},
            owed={**before.owed, **arrays.job.draw.owed},
            batch=arrays.hashed,
            row=arrays.job.draw.rows[0],
        )
        state, loss = self.state, float(np.nanmean(seen.observed.loss_D))
        self.log.append((state.step, state.tokens, float(state.flops), seen.learning_rate, loss, math.nan, False))

    def _save(self) -> None:
        """What this loop remembers goes with the optimizer's tensors: one hash covers them all."""
        held: dict[str, Any] = self.optimizer.state_dict()
        memory = {"weight_SD": from_numpy(np.stack(self.weight_SD)), "excess_D": from_numpy(self.excess_D)}
        state = {**held, "state": {**held["state"], _MEMORY: memory}}
        self.snapshots.save(self.state, self.plan.shape, self.model.state_dict(), state, self.log)

    def _restore(self, optimizer: dict[str, Any]) -> None:
        memory: dict[str, Tensor] = optimizer["state"].pop(_MEMORY)
        self.weight_SD = list(memory["weight_SD"].numpy())
        self.excess_D = memory["excess_D"].numpy()
        self.optimizer.load_state_dict(optimizer)


def _even(plan: TrainPlan, names: list[str], rows: int) -> TrainPlan:
    """As many sequences of each target at every step."""
    tokens = max(plan.tokens, len(names) * rows * plan.shape.context)
    mixture = (Phase(dict.fromkeys(names, 1.0)),)
    return dataclasses.replace(plan, batch_sequences=len(names) * rows, mixture=mixture, tokens=tokens)


def _rows_from(name: str, arrays: Arrays) -> list[int]:
    return [row for row, (source, _) in enumerate(arrays.job.draw.rows) if source == name]
