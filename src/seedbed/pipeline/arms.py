"""Arms at work: choose, train, and again, stage by stage; arms of all seeds that stand at the same place side by side.

A later stage starts where its arm's last one ended, and may ask that model what to read.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import cast

from seedbed.core.artifact import Artifact
from seedbed.core.errors import SeedbedError
from seedbed.core.parameters import Json
from seedbed.pipeline.auxiliary import Models, trained_models
from seedbed.pipeline.choose import Scoring, score_all, scoring, weights_from
from seedbed.pipeline.material import Material, started
from seedbed.pipeline.training import RunTask, run_all
from seedbed.pipeline.workplace import Workplace
from seedbed.recipe import POOL, Arm, Stage
from seedbed.select.contract import CurrentModel, Gradients, Probe


@dataclasses.dataclass(frozen=True)
class ArmRun:
    """One arm under one seed, all stages done.

    Args:
        arm, seed: which.
        run: the last stage's Run.
        weights: one Weights artifact a stage.
        flops_select: cost of choosing over all stages (FLOP), auxiliary models included.
        flops_train: cost of training over all stages (FLOP).
        flops_auxiliary: the part of flops_select that trained auxiliary models (FLOP).
        auxiliary_params: of the largest of these.
        calls: to outside models.
    """

    arm: str
    seed: int
    run: Artifact
    weights: tuple[Artifact, ...]
    flops_select: float
    flops_train: float
    flops_auxiliary: float
    auxiliary_params: int
    calls: int


@dataclasses.dataclass(frozen=True)
class Job:
    """One arm under one seed, and how far it is.

    Args:
        arm, seed: which.
        material: what it chooses from.
        models: what its scorers need beside it.
        runs: one a stage done.
        weights: one a stage chosen.
    """

    arm: Arm
    seed: int
    material: Material
    models: Models
    runs: tuple[Artifact, ...] = ()
    weights: tuple[Artifact, ...] = ()

    def stage(self, number: int) -> Stage | None:
        """The stage of that number, if it has one."""
        return self.arm.stages[number] if number < len(self.arm.stages) else None


def walk(place: Workplace, jobs: Sequence[Job]) -> list[ArmRun]:
    """Stage by stage over all jobs at once."""
    state = list(jobs)
    for number in range(max((len(job.arm.stages) for job in jobs), default=0)):
        standing = [at for at, job in enumerate(state) if job.stage(number) is not None]
        chosen = _choose(place, [state[at] for at in standing], number)
        tasks = [_task(place, job, number) for job in chosen]
        runs = run_all(tasks, place.store, place.engine, f"train {len(tasks)} runs")
        for at, job, task in zip(standing, chosen, tasks, strict=True):
            state[at] = dataclasses.replace(job, runs=(*job.runs, runs[task.label]))
    return [_finished(job) for job in state]


def _choose(place: Workplace, jobs: Sequence[Job], number: int) -> list[Job]:
    """Every job with the weights of this stage: first all scores, side by side, then what they become."""
    stages = [cast(Stage, job.stage(number)) for job in jobs]
    asking = [job.seed for job, stage in zip(jobs, stages, strict=True) if not job.runs and asks_the_arm(stage)]
    starts = started(place, jobs[0].material, sorted(set(asking))) if asking else {}
    works = [_scoring(place, job, stage, starts) for job, stage in zip(jobs, stages, strict=True)]
    scores = score_all(place, works)
    done: list[Job] = []
    for job, stage, scored in zip(jobs, stages, scores, strict=True):
        budget = round(stage.budget * stage.share * job.material.plan.tokens)
        weights = _weigh(place, job, stage, budget, scored)
        done.append(dataclasses.replace(job, weights=(*job.weights, weights)))
    return done


def asks_the_arm(stage: Stage) -> bool:
    """Whether the stage's scorer asks the model that is being trained."""
    return any(isinstance(need, CurrentModel | Probe | Gradients) for need in stage.scorer.needs())


def _scoring(place: Workplace, job: Job, stage: Stage, starts: dict[int, Artifact]) -> Scoring:
    current = (job.runs[-1] if job.runs else starts[job.seed]) if asks_the_arm(stage) else None
    return scoring(place, job.material, stage.scorer, job.models, current)


def _weigh(place: Workplace, job: Job, stage: Stage, budget: int, scores: Artifact) -> Artifact:
    """What the stage reads: chance is new in each; without a mixer, no document twice while others last."""
    chance = job.seed + _STAGE * len(job.weights)
    if stage.mixer is None:
        return weights_from(place, job.material, stage.scorer, stage.selector, budget, chance, scores, read=job.weights)
    from seedbed.pipeline.mixed import mixed_weights

    return mixed_weights(place, job.material, stage, budget, chance, scores, job.runs)


_STAGE = 1_000_003
"""Between the seeds of an arm's stages."""


def weights_of_stage(place: Workplace, material: Material, stage: Stage, budget_tokens: int, *, seed: int) -> Artifact:
    """Weights of one way to choose, outside a comparison. Raises SeedbedError where it asks the arm's own model."""
    if asks_the_arm(stage):
        what = "asks the model that is being trained, and nothing is trained here"
        raise SeedbedError(stage.scorer.path(), what, "Use it in `seedbed compare`.")
    [models] = trained_models(place, [material], [stage.scorer])
    job = Job(Arm(stage.scorer.name(), (stage,)), seed, material, models)
    [scores] = score_all(place, [_scoring(place, job, stage, {})])
    return _weigh(place, job, stage, budget_tokens, scores)


def _task(place: Workplace, job: Job, number: int) -> RunTask:
    stages = job.arm.stages
    label = f"{job.arm.name}-seed{job.seed}" + ("" if len(stages) == 1 else f"-stage{number}")
    task = job.material.task(place, label, job.seed, job.material.plan, job.weights[-1])
    share = sum(stage.share for stage in stages[: number + 1])
    until = None if number == len(stages) - 1 else round(share * job.material.plan.tokens)
    if number:
        task = task.renamed(f"{POOL} stage {number}")
    return dataclasses.replace(task, after=job.runs[-1].path if job.runs else None, until_tokens=until)


def _finished(job: Job) -> ArmRun:
    costs = list({str(weights.about["scores"]): weights.about for weights in job.weights}.values())
    run = job.runs[-1]
    return ArmRun(
        arm=job.arm.name,
        seed=job.seed,
        run=run,
        weights=job.weights,
        flops_select=_sum(costs, "flops_select"),
        flops_train=cast(float, run.about["flops_train"]),
        flops_auxiliary=_sum(costs, "flops_auxiliary"),
        auxiliary_params=max((cast(int, about.get("auxiliary_params", 0)) for about in costs), default=0),
        calls=round(_sum(costs, "calls")),
    )


def _sum(costs: Sequence[dict[str, Json]], name: str) -> float:
    return float(sum(cast(float, about.get(name, 0)) for about in costs))
