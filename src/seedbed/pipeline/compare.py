"""The comparison: arms trained on the same number of tokens from the same start, in pairs over seeds, cost counted.

An arm is a list of stages, and a stage is: choose, then train. Stages of all arms and seeds that stand at the same
place train side by side; a later stage starts where its arm's last one ended, and may ask that model what to read.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, cast

from seedbed.core import arrow
from seedbed.core.artifact import Artifact
from seedbed.core.parameters import Json
from seedbed.evaluate.comparison import COLUMNS, compare_arms
from seedbed.model import counts
from seedbed.pipeline.choose import Material, scores_of, trained_models, weights_of
from seedbed.pipeline.scoring import score_runs
from seedbed.pipeline.training import RunTask, run_all
from seedbed.pipeline.workplace import Workplace
from seedbed.recipe import Arm, ComparePlan, EvaluatePlan
from seedbed.select.contract import TrainedModel


@dataclasses.dataclass(frozen=True)
class ArmRun:
    """One arm under one seed, all stages done.

    Args:
        arm, seed: which.
        run: the last stage's Run.
        weights: one Weights artifact a stage.
        flops_select: cost of choosing over all stages (FLOP), auxiliary models included.
        flops_train: cost of training over all stages (FLOP).
    """

    arm: str
    seed: int
    run: Artifact
    weights: tuple[Artifact, ...]
    flops_select: float
    flops_train: float


def run_arms(place: Workplace, material: Material, plan: ComparePlan) -> list[ArmRun]:
    """Every arm under every seed, and the baseline at each method's total cost.

    What an arm of one stage costs is known once its documents are chosen, so its longer baseline trains beside it; an
    arm that asks its own model between stages has to be trained first.
    """
    models = trained_models(place, material, (stage.scorer for arm in plan.arms for stage in arm.stages))
    jobs = [(arm, seed, material) for arm in plan.arms for seed in range(plan.seeds)]
    known = {arm.name: _cost_of_choosing(place, material, arm, models) for arm in plan.arms if len(arm.stages) == 1}
    longer = [job for arm in plan.arms if arm.name in known for job in _longer(material, plan, arm, known[arm.name])]
    done = _walk(place, jobs + longer, models)
    later = [arm for arm in plan.arms if arm.name not in known]
    costs = {result.arm: result.flops_select for result in done}
    return done + _walk(place, [job for arm in later for job in _longer(material, plan, arm, costs[arm.name])], models)


def _cost_of_choosing(place: Workplace, material: Material, arm: Arm, models: dict[TrainedModel, Artifact]) -> float:
    scores = scores_of(place, material, arm.stages[0].scorer, models, None)
    return cast(float, scores.about["flops_select"])


def _longer(material: Material, plan: ComparePlan, arm: Arm, flops_select: float) -> list[tuple[Arm, int, Material]]:
    """The baseline, trained longer by what the arm's choosing cost; a cost below one step changes nothing."""
    shape = material.plan.shape
    extra = round(flops_select / counts.training_flops(shape, 1, shape.context) * shape.context)
    if not plan.equal_cost or arm.name == plan.baseline or extra < material.plan.batch_tokens:
        return []
    baseline = next(other for other in plan.arms if other.name == plan.baseline)
    named = dataclasses.replace(baseline, name=f"{baseline.name}@{arm.name}")
    longer = dataclasses.replace(material.plan, tokens=material.plan.tokens + extra)
    return [(named, seed, dataclasses.replace(material, plan=longer)) for seed in range(plan.seeds)]


@dataclasses.dataclass(frozen=True)
class _Progress:
    """How far one arm under one seed is."""

    arm: Arm
    seed: int
    material: Material
    run: Artifact | None = None
    weights: tuple[Artifact, ...] = ()
    share: float = 0.0


def _walk(
    place: Workplace, jobs: Sequence[tuple[Arm, int, Material]], models: dict[TrainedModel, Artifact]
) -> list[ArmRun]:
    """Stage by stage over all jobs at once."""
    state = [_Progress(*job) for job in jobs]
    for number in range(max((len(job[0].stages) for job in jobs), default=0)):
        chosen = [_choose(place, at, number, models) if number < len(at.arm.stages) else at for at in state]
        tasks = {i: _task(place, at, number) for i, at in enumerate(chosen) if number < len(at.arm.stages)}
        runs = run_all(list(tasks.values()), place.store, place.engine, f"train {len(tasks)} runs")
        for i, task in tasks.items():
            chosen[i] = dataclasses.replace(chosen[i], run=runs[task.label])
        state = chosen
    return [_finished(at) for at in state]


def _choose(place: Workplace, at: _Progress, number: int, models: dict[TrainedModel, Artifact]) -> _Progress:
    stage = at.arm.stages[number]
    budget = round(stage.budget * stage.share * at.material.plan.tokens)
    weights = weights_of(
        place, at.material, stage.scorer, stage.selector, budget, seed=at.seed, models=models, current=at.run
    )
    return dataclasses.replace(at, weights=(*at.weights, weights), share=at.share + stage.share)


def _task(place: Workplace, at: _Progress, number: int) -> RunTask:
    last = number == len(at.arm.stages) - 1
    label = f"{at.arm.name}-seed{at.seed}" + ("" if len(at.arm.stages) == 1 else f"-stage{number}")
    task = at.material.task(place, label, at.seed, at.material.plan, at.weights[-1])
    until = None if last else round(at.share * at.material.plan.tokens)
    source = "pool" if number == 0 else f"pool stage {number}"
    return dataclasses.replace(task, after=at.run.path if at.run else None, until_tokens=until, source=source)


def _finished(at: _Progress) -> ArmRun:
    assert at.run is not None
    costs = {w.about["scores"]: cast(float, w.about["flops_select"]) for w in at.weights}
    return ArmRun(
        at.arm.name, at.seed, at.run, at.weights, sum(costs.values()), cast(float, at.run.about["flops_train"])
    )


def compare_into(
    place: Workplace,
    material: Material,
    plan: ComparePlan,
    evaluation: EvaluatePlan,
    texts: Mapping[str, Artifact],
) -> dict[str, Json]:
    """Run the arms, score them on every domain, and settle the verdict."""
    arms = run_arms(place, material, plan)
    summaries = score_runs(place, [arm.run for arm in arms], texts, evaluation)
    rows = [
        {**_row(place, arm), "domain": domain, **summary.to_json(), "tokens": arm.run.about["tokens"]}
        for arm in arms
        for domain, summary in summaries[arm.run.path.name].items()
    ]
    comparison = compare_arms(arrow.table({name: [row[name] for row in rows] for name in COLUMNS}), plan.baseline)
    for name in {arm.arm for arm in arms}:  # seconds differ from run to run: they go to the log, not to the index
        spent = next(cast(float, row["seconds_select"]) for row in rows if row["arm"] == name)
        place.store.log(f"choosing {name}", cpu_seconds=spent)
    verdict: list[Json] = list(comparison.sentences(evaluation.target))
    result: dict[str, Any] = {"verdict": verdict, "target": evaluation.target, "ceiling": plan.ceiling}
    result.update(rows=list[Json](rows), **comparison.to_json())
    for row in (*result["rows"], *result["arms"]):
        row.pop("seconds_select")
    place.remember(compare=result)
    return result


def _row(place: Workplace, arm: ArmRun) -> dict[str, Json]:
    """One arm under one seed, as the comparison and the report read it."""
    logged = place.store.logged()
    folders = {str(w.about["scores"]) for w in arm.weights}
    seconds = sum(cast(float, logged.get(folder, {}).get("cpu_seconds", 0.0)) for folder in folders)
    return {
        "arm": arm.arm,
        "seed": arm.seed,
        "flops_train": arm.flops_train,
        "flops_select": arm.flops_select,
        "seconds_select": seconds,
        "epochs": arm.run.about["epochs"],
        "chosen_documents": [w.about["documents"] for w in arm.weights],
        "chosen_tokens": [w.about["unique_tokens"] for w in arm.weights],
        "run": arm.run.path.name,
        "weights": [w.path.name for w in arm.weights],
    }
