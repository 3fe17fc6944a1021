"""What scorers are handed: texts to walk, models to ask, gradients, probes, judges; each counts what it is asked."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from seedbed.core.nouns import DocumentBatch
from seedbed.pipeline.losses import CACHE, CachedLosses
from seedbed.select.contract import (
    CurrentModel,
    Given,
    GivenModel,
    GradientModel,
    Gradients,
    Judge,
    JudgeModel,
    LossModel,
    PoolText,
    Probe,
    ProbeModel,
    Service,
    TargetText,
)

if TYPE_CHECKING:
    from seedbed.pipeline.choose import Scoring


def given_to(job: Scoring) -> Given:
    """Everything the job's scorer needs, opened in this process."""
    needs = job.scorer.needs()
    target: Iterable[DocumentBatch] = ()
    if any(isinstance(need, TargetText) for need in needs):
        target = job.material.the_target
    pool: Iterable[DocumentBatch] = job.material.pool if any(isinstance(need, PoolText) for need in needs) else ()
    models: dict[str, LossModel] = {name: CachedLosses(run.path, job.root) for name, run in job.models.items()}
    probe: ProbeModel | None = None
    gradients: GradientModel | None = None
    judge: JudgeModel | None = None
    for need in needs:
        if isinstance(need, GivenModel):
            models[need.name] = CachedLosses(Path(need.folder), job.root)
        elif isinstance(need, CurrentModel):
            models[need.name] = CachedLosses(_current(job), job.root)
        elif isinstance(need, Probe):
            probe = _probe(job)
        elif isinstance(need, Gradients):
            gradients = _gradients(_current(job))
        elif isinstance(need, Judge) and need.endpoint:
            judge = _judge(need, job.root)
    return Given(target, pool, job.texts, models, probe, gradients, judge, job.material.seed)


def services_of(given: Given) -> tuple[Service, ...]:
    """All that count what they are asked."""
    others = (given.probe, given.gradients, given.judge)
    return (*given.models.values(), *(service for service in others if service is not None))


def _current(job: Scoring) -> Path:
    assert job.current is not None
    return job.current.path


def _probe(job: Scoring) -> ProbeModel:
    from seedbed.train.probing import open_probe

    return open_probe(_current(job) / "state", job.material.plan)


def _gradients(model: Path) -> GradientModel:
    from seedbed.model.gradients import open_gradients

    return open_gradients(model)


def _judge(need: Judge, root: Path) -> JudgeModel:
    from seedbed.select.judging import HttpJudge

    return HttpJudge(need, root / CACHE / "answers.jsonl")
