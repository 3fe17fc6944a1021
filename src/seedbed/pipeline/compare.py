"""The comparison: arms trained on the same number of tokens from the same start, in pairs over seeds, cost counted.

A seed sets start and order; where pool and target are resampled, it draws those too, and methods are fitted anew. The
baseline is trained at other lengths as well, each to the end of its own schedule: what a method is worth in tokens is
read from these runs. Without such a curve it is trained once more at each method's total cost.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np

from seedbed.core import arrow
from seedbed.core.artifact import Artifact
from seedbed.core.errors import SeedbedError
from seedbed.core.parameters import Json
from seedbed.core.units import human
from seedbed.evaluate.comparison import compare_arms
from seedbed.evaluate.rows import CHOICE_COLUMNS, COLUMNS, write_csv
from seedbed.evaluate.speed_up import comparison_table, outcomes
from seedbed.evaluate.summary import Summary, summarise
from seedbed.evaluate.verdicts import notes, sentences
from seedbed.model import counts
from seedbed.pipeline import probing_tasks
from seedbed.pipeline.arms import ArmRun, Job, asks_the_arm, walk
from seedbed.pipeline.auxiliary import Models, trained_models
from seedbed.pipeline.choose import score_all, scoring
from seedbed.pipeline.material import Material
from seedbed.pipeline.scoring import score_runs
from seedbed.pipeline.workplace import Workplace
from seedbed.recipe import Arm, ComparePlan, EvaluatePlan


def run_arms(place: Workplace, material: Material, plan: ComparePlan) -> list[ArmRun]:
    """Every arm under every seed, and the baseline at other lengths, all side by side.

    What an arm of one stage costs is known once its documents are chosen, so its longer baseline trains beside it; an
    arm that asks its own model between stages has to be trained first.
    """
    _check_budget(material, plan)
    sides = [material.resampled(seed, plan.resample) for seed in range(plan.seeds)]
    made = trained_models(
        place, sides if plan.resample < 1 else sides[:1], [stage.scorer for arm in plan.arms for stage in arm.stages]
    )
    seats = [(seed, side, made[seed if plan.resample < 1 else 0]) for seed, side in enumerate(sides)]
    jobs = [Job(arm, seed, side, models) for arm in plan.arms for seed, side, models in seats]
    if plan.curve or not plan.equal_cost:
        return walk(place, jobs + _curve(plan, seats))
    known = {arm.name: _cost_of_choosing(place, seats[0], arm) for arm in plan.arms if _is_known_ahead(arm)}
    longer = [job for arm in plan.arms if arm.name in known for job in _longer(plan, arm, seats, known[arm.name])]
    done = walk(place, jobs + longer)
    later = [arm for arm in plan.arms if arm.name not in known]
    costs = {result.arm: result.flops_select for result in done}
    return done + walk(place, [job for arm in later for job in _longer(plan, arm, seats, costs[arm.name])])


Seat = tuple[int, Material, Models]
"""seed, what its arms choose from, and the models their scorers need."""


def _check_budget(material: Material, plan: ComparePlan) -> None:
    asked, held = material.plan.tokens, material.pool.n_tokens * plan.resample
    if asked > held:
        what = f"the budget of {human(asked)} tokens is more than the {human(held)} that a seed's pool holds"
        raise SeedbedError(
            "compare", what, "Every method would read everything: give a smaller budget or a larger pool."
        )


def _is_known_ahead(arm: Arm) -> bool:
    [first, *rest] = arm.stages
    return not rest and first.mixer is None and not asks_the_arm(first)


def _cost_of_choosing(place: Workplace, seat: Seat, arm: Arm) -> float:
    _, material, models = seat
    [scores] = score_all(place, [scoring(place, material, arm.stages[0].scorer, models)])
    return cast(float, scores.about["flops_select"])


def _longer(plan: ComparePlan, arm: Arm, seats: Sequence[Seat], flops_select: float) -> list[Job]:
    """The baseline, trained longer by what the arm's choosing cost; a cost below one step changes nothing."""
    train = seats[0][1].plan
    context = train.shape.context
    extra = round(flops_select / counts.training_flops(train.shape, 1, context) * context)
    if arm.name == plan.baseline or extra < train.batch_tokens:
        return []
    return _at_length(plan, f"{plan.baseline}@{arm.name}", seats, train.tokens + extra)


def _curve(plan: ComparePlan, seats: Sequence[Seat]) -> list[Job]:
    """The baseline at other lengths; its own length is an arm already."""
    lengths = {factor: round(factor * seats[0][1].plan.tokens) for factor in plan.curve if factor != 1}
    return [job for factor, n in lengths.items() for job in _at_length(plan, f"{plan.baseline}@x{factor:g}", seats, n)]


def _at_length(plan: ComparePlan, name: str, seats: Sequence[Seat], tokens: int) -> list[Job]:
    baseline = dataclasses.replace(next(arm for arm in plan.arms if arm.name == plan.baseline), name=name)
    jobs: list[Job] = []
    for seed, side, models in seats:
        lasting = dataclasses.replace(side, plan=dataclasses.replace(side.plan, tokens=tokens))
        jobs.append(Job(baseline, seed, lasting, models))
    return jobs


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
    for name in {arm.arm for arm in arms}:  # seconds differ from run to run: they go to the log, not to the index
        spent = next(cast(float, row["seconds_select"]) for row in rows if row["arm"] == name)
        place.store.log(f"choosing {name}", cpu_seconds=spent)
    at_lengths = f"{plan.baseline}@x"
    own = [row for row in rows if not str(row["arm"]).startswith(at_lengths)]
    comparison = compare_arms(_table(own), plan.baseline)
    verdict = comparison.sentences(evaluation.target)
    result: dict[str, Any] = {"target": evaluation.target, "ceiling": plan.ceiling, **comparison.to_json()}
    result.update(resample=plan.resample)
    if plan.curve:
        curve = [{**row, "arm": plan.baseline} for row in rows if str(row["arm"]).startswith(at_lengths)]
        summary = summary_into(place, own, curve, plan, evaluation.target)
        verdict = sentences(summary)
        result.update(summary=summary.to_json(), notes=list(notes(summary)))
    if evaluation.probes:
        result.update(probes=probes_into(place, material, arms, evaluation))
    result.update(verdict=list(verdict), rows=list[Json](rows))
    for row in (*result["rows"], *result["arms"]):
        row.pop("seconds_select")
    place.remember(compare=result)
    return result


def summary_into(
    place: Workplace, rows: Sequence[Row], curve: Sequence[Row], plan: ComparePlan, target: str
) -> Summary:
    """comparison.csv, a row a method and seed, and summary.csv, a row a method, at the top of the output folder."""
    found = outcomes(_table(rows), _table(curve), target=target, baseline=plan.baseline)
    write_csv(comparison_table(found), place.out / "comparison.csv")
    summary = summarise(found, baseline=plan.baseline, ceiling=plan.ceiling)
    write_csv(summary.table(), place.out / "summary.csv")
    return summary


def probes_into(
    place: Workplace, material: Material, arms: Sequence[ArmRun], evaluation: EvaluatePlan
) -> list[dict[str, Json]]:
    """probes.csv at the top of the folder: accuracy of every arm and seed, and of baselines that know no model."""
    asked = {name: (plan.task, plan.file) for name, plan in evaluation.probes.items()}
    found = probing_tasks.probe_runs(place, [arm.run for arm in arms], asked)
    plain = probing_tasks.probe_baselines(asked, material.pool.documents)
    told = [(arm.arm, arm.seed, name, found[arm.run.path.name][name]) for arm in arms for name in asked]
    told += [
        (baseline, None, name, summary) for baseline, by_name in plain.items() for name, summary in by_name.items()
    ]
    rows: list[dict[str, Json]] = []
    for arm, seed, name, summary in told:
        overall = summary.overall
        numbers = {"accuracy": overall.accuracy.value, "chance": overall.chance, "items": overall.items}
        rows.append({"method": arm, "seed": seed, "probe": name, **numbers})
    write_csv(arrow.table({name: [row[name] for row in rows] for name in rows[0]}), place.out / "probes.csv")
    return rows


Row = Mapping[str, Json]


def _table(rows: Sequence[Row]) -> Any:
    return arrow.table({name: [row[name] for row in rows] for name in (*COLUMNS, *CHOICE_COLUMNS)})


def _row(place: Workplace, arm: ArmRun) -> dict[str, Json]:
    """One arm under one seed, as the comparison and the report read it."""
    logged = place.store.logged()
    folders = {part for w in arm.weights for part in str(w.about["scores"]).split("+")}
    seconds = sum(cast(float, logged.get(folder, {}).get("cpu_seconds", 0.0)) for folder in folders)
    about = [w.about for w in arm.weights]
    return {
        "arm": arm.arm,
        "seed": arm.seed,
        "flops_train": arm.flops_train,
        "flops_select": arm.flops_select,
        "flops_auxiliary": arm.flops_auxiliary,
        "auxiliary_params": arm.auxiliary_params,
        "params": arm.run.about["params"],
        "calls": arm.calls,
        "seconds_select": seconds,
        "epochs": arm.run.about["epochs"],
        "budget_tokens": arm.run.about["tokens"],
        "unique_tokens": _unique_tokens(arm.weights),
        "chosen_tokens": sum(cast(float, told["tokens"]) for told in about),
        "chosen_documents": [told["documents"] for told in about],
        "run": arm.run.path.name,
        "weights": [w.path.name for w in arm.weights],
    }


def _unique_tokens(weights: Sequence[Artifact]) -> float:
    """Tokens of all documents chosen in any stage, each counted once."""
    if len(weights) == 1:
        return float(cast(int, weights[0].about["unique_tokens"]))
    tables = [artifact.table(["copies", "n_tokens"]) for artifact in weights]
    read_N = np.any([arrow.numpy(table, "copies") > 0 for table in tables], axis=0)
    return float(arrow.numpy(tables[0], "n_tokens")[read_N].sum())
