"""The ladder: small runs of a few sizes and lengths, a law fitted to them, larger runs foretold before they are made.

The order is what makes a forecast one: small runs, fit, forecasts written to the ledger, larger runs, scores.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import cast

import pyarrow as pa

from seedbed.core import arrow
from seedbed.core.artifact import Artifact, Draft, Request, Store, write_text
from seedbed.core.errors import SeedbedError
from seedbed.core.fingerprint import library_versions
from seedbed.core.parameters import Json
from seedbed.model import counts
from seedbed.pipeline import fitting, forecasting
from seedbed.pipeline.choose import weights_of
from seedbed.pipeline.material import Material
from seedbed.pipeline.scoring import score_runs
from seedbed.pipeline.training import RunTask, run_all
from seedbed.pipeline.workplace import Workplace
from seedbed.predict import run as predict
from seedbed.recipe import EvaluatePlan, LadderPlan, Rung
from seedbed.select.scorers.constant import Constant
from seedbed.select.selectors.gumbel_top_k import GumbelTopK

Rows = Sequence[Mapping[str, Json]]

RUNS, FIT, TARGETS, LEDGER = "runs.csv", "fit.json", "targets.csv", "forecasts.jsonl"
"""What lies on top of the output folder."""


def ladder_into(
    place: Workplace, material: Material, plan: LadderPlan, evaluation: EvaluatePlan, texts: Mapping[str, Artifact]
) -> Artifact:
    """Train every size at every length on random documents, fit the law, leave runs.csv and fit.json on top.

    Then the targets: forecast, written down, trained, scored; targets.csv and forecasts.jsonl lie beside.
    """
    small = [Rung(shape, tokens) for shape in plan.shapes for tokens in plan.tokens]
    forecast = fit_into(place, plan, _made(place, material, plan, evaluation, texts, small, "ladder"))
    if plan.targets:
        ledger = place.out / LEDGER
        forecasting.register_once(ledger, place.out / FIT, [_asked(material, plan, rung) for rung in plan.targets])
        rows = _made(place, material, plan, evaluation, texts, plan.targets, "target")
        write_text(place.out / TARGETS, _csv(rows))
        forecasting.score(ledger, runs=place.out / TARGETS, law=plan.law)
    return forecast


def fit_into(place: Workplace, plan: LadderPlan, rows: Rows) -> Artifact:
    """The Forecast artifact: the runs, and the fitted law."""
    text = _csv(rows)
    identity: dict[str, Json] = {**plan.law.identity(), "runs": text, "libraries": library_versions("scipy", "numpy")}
    write_text(place.out / RUNS, text)

    def fill(draft: Draft) -> dict[str, Json]:
        table = _table(rows)
        draft.write_table("runs.parquet", table)
        fitted = predict.fit(plan.law, table)
        draft.write_text(FIT, json.dumps(fitting.told(fitted, place.out / RUNS), indent=1) + "\n")
        return {}

    forecast = place.store.make(Request("Forecast", plan.law.name(), identity), fill)
    write_text(place.out / FIT, (forecast.path / FIT).read_text(encoding="utf-8"))
    place.remember(forecast=forecast.path.name)
    return forecast


def _asked(material: Material, plan: LadderPlan, rung: Rung) -> dict[str, float]:
    """What the law is asked about a rung that is not trained yet; tokens are whole batches."""
    shape = dataclasses.replace(rung.shape, vocab_size=material.plan.shape.vocab_size)
    non_embedding = getattr(plan.law, "params_count", "") == "non_embedding"
    params = counts.non_embedding_parameters(shape) if non_embedding else counts.total_parameters(shape)
    longer = dataclasses.replace(material.plan, shape=shape, tokens=rung.tokens)
    return {"params": float(params), "tokens": float(longer.total_tokens)}


def _made(
    place: Workplace,
    material: Material,
    plan: LadderPlan,
    evaluation: EvaluatePlan,
    texts: Mapping[str, Artifact],
    rungs: Sequence[Rung],
    kind: str,
) -> Rows:
    """A row a run, trained where it is not there yet."""
    tasks: dict[str, RunTask] = {}
    for i, rung in enumerate(rungs):
        shape = dataclasses.replace(rung.shape, vocab_size=material.plan.shape.vocab_size)
        for seed in range(plan.seeds):
            label = f"{kind}-{i}-{rung.tokens}-seed{seed}"
            weights = weights_of(place, material, Constant(), GumbelTopK(), rung.tokens, seed=seed)
            longer = dataclasses.replace(material.plan, shape=shape, tokens=rung.tokens)
            tasks[label] = material.task(place, label, seed, longer, weights)
    runs = run_all(list(tasks.values()), place.store, place.engine, f"train {len(tasks)} runs")
    scores = score_runs(place, list(runs.values()), texts, evaluation)
    rows: list[dict[str, Json]] = []
    for label, run in runs.items():
        summary, task = scores[run.path.name][plan.domain], tasks[label]
        rows.append(
            {
                "params": run.about["params"],
                "params_non_embedding": run.about["params_non_embedding"],
                "tokens": run.about["tokens"],
                "loss": summary.loss_nats_per_token,
                "flops": run.about["flops_train"],
                "bits_per_byte": summary.bits_per_byte,
                "epochs": max(1.0, cast(float, run.about["epochs"])),
                "batch_tokens": task.plan.batch_tokens,
                "learning_rate": task.plan.peak_learning_rate,
                "seed": task.seed,
                "run": run.path.name,
                **({"began_at": began_at(run)} if kind == "target" else {}),
            }
        )
    return rows


def began_at(run: Artifact) -> str:
    """When its training began at the latest: the time of its manifest less the seconds it took."""
    seconds = cast("dict[str, float]", Store(run.path.parent.parent).logged().get(run.path.name, {})).get(
        "seconds", 0.0
    )
    ended = (run.path / "manifest.json").stat().st_mtime
    return datetime.fromtimestamp(ended - seconds, UTC).isoformat(timespec="microseconds")


def _table(rows: Rows) -> pa.Table:
    if not rows:
        raise SeedbedError("ladder", "there are no runs", "Give shapes and tokens.")
    return arrow.table({name: [row[name] for row in rows] for name in rows[0]})


def _csv(rows: Rows) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()
