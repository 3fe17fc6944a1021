"""The ladder: small runs of a few sizes and lengths, and a law fitted to them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping

from seedbed.core import arrow
from seedbed.core.artifact import Artifact, Draft, Request, write_text
from seedbed.core.parameters import Json
from seedbed.pipeline.choose import weights_of
from seedbed.pipeline.material import Material
from seedbed.pipeline.scoring import score_runs
from seedbed.pipeline.training import RunTask, run_all
from seedbed.pipeline.workplace import Workplace
from seedbed.recipe import EvaluatePlan, LadderPlan
from seedbed.select.scorers.constant import Constant
from seedbed.select.selectors.gumbel_top_k import GumbelTopK


def ladder_into(
    place: Workplace, material: Material, plan: LadderPlan, evaluation: EvaluatePlan, texts: Mapping[str, Artifact]
) -> Artifact:
    """Train every size at every length on random documents, fit the law, and leave runs.csv and fit.json on top."""
    tasks: dict[str, RunTask] = {}
    for i, shape in enumerate(plan.shapes):
        sized = dataclasses.replace(shape, vocab_size=material.plan.shape.vocab_size)
        for tokens in plan.tokens:
            label = f"ladder-{i}-{tokens}"
            weights = weights_of(place, material, Constant(), GumbelTopK(), tokens, seed=0)
            longer = dataclasses.replace(material.plan, shape=sized, tokens=tokens)
            tasks[label] = material.task(place, label, 0, longer, weights)
    runs = run_all(list(tasks.values()), place.store, place.engine, f"train {len(tasks)} runs")
    scores = score_runs(place, list(runs.values()), texts, evaluation)
    rows: dict[str, list[Json]] = {name: [] for name in ("params", "tokens", "loss", "flops", "bits_per_byte", "run")}
    for run in runs.values():
        summary = scores[run.path.name][plan.domain]
        values = (run.about["params"], run.about["tokens"], summary.loss_nats_per_token, run.about["flops_train"])
        for name, value in zip(rows, (*values, summary.bits_per_byte, run.path.name), strict=True):
            rows[name].append(value)
    return fit_into(place, plan, rows)


def fit_into(place: Workplace, plan: LadderPlan, rows: Mapping[str, list[Json]]) -> Artifact:
    """The Forecast artifact: the runs, the fitted law, and what it says of every run it saw."""
    identity: dict[str, Json] = {**plan.law.identity(), "runs": {name: list(v) for name, v in rows.items()}}

    def fill(draft: Draft) -> dict[str, Json]:
        table = arrow.table({name: list(values) for name, values in rows.items()})
        draft.write_table("runs.parquet", table)
        fitted = plan.law.fit(table)
        draft.write_text("fit.json", json.dumps(fitted.to_json(), indent=1) + "\n")
        return {"fit": fitted.to_json()}

    forecast = place.store.make(Request("Forecast", plan.law.name(), identity), fill)
    names = list(rows)
    lines = [",".join(str(rows[name][i]) for name in names) for i in range(len(rows["run"]))]
    write_text(place.out / "runs.csv", "\n".join([",".join(names), *lines]) + "\n")
    write_text(place.out / "fit.json", (forecast.path / "fit.json").read_text(encoding="utf-8"))
    place.remember(forecast=forecast.path.name)
    return forecast
