"""Continual training compared: routes from old text to new over seeds, what each gained and forgot, what each cost.

Left at the top of the folder: continual.csv (a row a model and domain), forgetting.csv (the matrix, transfers and
differences to the baseline, of probes too), curves.csv (losses and rates along every route), leaks.csv.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import pyarrow as pa

from seedbed.core import arrow
from seedbed.core.artifact import Artifact
from seedbed.core.errors import RecipeError
from seedbed.core.parameters import Json
from seedbed.engine.progress import announce
from seedbed.evaluate.forgetting import FORGETTING as FORGETTING_SCHEMA
from seedbed.evaluate.forgetting import Score, forgetting, probe_scores, summary_table
from seedbed.evaluate.rows import write_csv
from seedbed.pipeline import continual_stages, leaks, probing_tasks, ratio, scoring
from seedbed.pipeline.continual_data import Ground
from seedbed.pipeline.continual_stages import Leg
from seedbed.pipeline.workplace import Workplace
from seedbed.recipe import EvaluatePlan, Recipe
from seedbed.recipe.continual import scaled_schedule
from seedbed.train.plan import TrainPlan

CSV, FORGETTING, CURVES, LEAKS = "continual.csv", "forgetting.csv", "curves.csv", "leaks.csv"
COLUMNS = ("route", "seed", "stage", "order", "branch", "domain", "bits_per_byte", "tokens", "flops", "seconds")
"""Of continual.csv: tokens, FLOP and seconds are of the whole route up to this model; FLOP of training alone, seconds
of what it went through on entry, too."""
CURVE_COLUMNS = ("route", "seed", "stage", "step", "tokens", "loss_nats_per_token", "learning_rate")
"""Of curves.csv: tokens are of the whole route."""
LEAK_COLUMNS = ("source", "domain", "documents", "leaked", "suspect")
"""Of leaks.csv: held-out documents of a domain, and how many of them stand in the source, by the audit."""
CURVE_ROWS = 400
"""Of a stage; longer logs are thinned."""


def continual_into(place: Workplace, recipe: Recipe) -> None:
    """Train every route, score every model, and write the tables."""
    assert recipe.continual is not None
    assert recipe.evaluate is not None
    _check_names(recipe)
    evaluation, plan = recipe.evaluate, recipe.continual.scaled()
    routes, train = plan.routes, _train_plan(recipe)
    home = continual_stages.check(routes, list(evaluation.texts))
    continual_stages.check_stages(routes, train, place.out)
    ground = Ground.of(place, dataclasses.replace(recipe, train=train))
    texts = scoring.heldout(place, recipe)
    _audit(ground, evaluation, texts)
    if plan.ratio is not None:
        ratio.ratio_into(ground, plan.ratio, routes, texts)
    legs = continual_stages.walk(ground, routes, range(plan.seeds))
    scores = scored(place, legs, texts, evaluation)
    held = {route.name: 0 for route in routes if route.init}  # what was there before is the model that was given
    _write(place, legs, scores, plan.baseline, home, held)
    runs = list[Json](sorted({leg.run.path.name for leg in legs}))
    place.remember(continual={"runs": runs, "baseline": plan.baseline})


def _train_plan(recipe: Recipe) -> TrainPlan:
    """The recipe's, whose schedule, which stages take that have none, is as long as the scale says."""
    assert recipe.continual is not None
    assert recipe.train is not None
    return dataclasses.replace(recipe.train, schedule=scaled_schedule(recipe.train.schedule, recipe.continual.scale))


def _check_names(recipe: Recipe) -> None:
    """Raises RecipeError for a source that the recipe does not have, before anything is read."""
    assert recipe.continual is not None
    known = {*recipe.sources, *(("pool",) if recipe.inputs else ())}
    for route in recipe.continual.routes:
        for stage in route.stages:
            named = [*stage.sources, *stage.replay, *(name for entry in stage.entry for name in entry.texts)]
            for name in [*named, *route.tokenizer]:
                if name not in known:
                    mend = f"Sources: {', '.join(sorted(known))}."
                    raise RecipeError(f"continual.{route.name}.{stage.name}", f"there is no source {name!r}", mend)


def _audit(ground: Ground, evaluation: EvaluatePlan, texts: Mapping[str, Artifact]) -> None:
    """leaks.csv, and a warning where held-out text stands in what is trained on."""
    if evaluation.audit is None:
        return
    from seedbed.tokenize.run import from_kept

    rows: list[dict[str, Json]] = []
    for source in ground.folders:
        kept = ground.kept(source)
        for domain, items in texts.items():
            among = (from_kept(arrow.read_parquet(shard)) for shard in kept.shards())
            found = leaks.findings(ground.place, evaluation.audit, f"{domain}-{source}", items, among, kept.fingerprint)
            verdicts = [
                str(row["verdict"]) for row in cast("list[dict[str, Any]]", cast(Any, found.table()).to_pylist())
            ]
            counts = {name: verdicts.count(name) for name in ("leaked", "suspect")}
            rows.append({"source": source, "domain": domain, "documents": len(verdicts), **counts})
            if counts["leaked"]:
                announce(
                    f"Warning: {counts['leaked']} of {len(verdicts)} held-out documents of {domain} stand in {source}."
                )
    write_csv(_table(rows, LEAK_COLUMNS), ground.place.out / LEAKS)


def scored(
    place: Workplace, legs: Sequence[Leg], texts: Mapping[str, Artifact], evaluation: EvaluatePlan
) -> list[Score]:
    """Every model on every domain, with what was spent along its route up to it."""
    runs = list({leg.run.path.name: leg.run for leg in legs}.values())
    found = scoring.score_runs(place, runs, texts, evaluation)
    asked = {name: (plan.task, plan.file) for name, plan in evaluation.probes.items()}
    probed = probing_tasks.probe_runs(place, runs, asked) if asked else {}
    seconds = _seconds(place, legs)
    spent: dict[tuple[str, int], tuple[float, float, int]] = defaultdict(lambda: (0.0, 0.0, 0))
    rows: list[Score] = []
    for leg in legs:
        flops, took, tokens = spent[leg.route, leg.seed]
        total = (flops + leg.flops, took + seconds[leg], tokens + leg.tokens)
        if leg.branch == "stage":
            spent[leg.route, leg.seed] = total
        name = leg.run.path.name
        probes = tuple((probe, told.overall.accuracy.value) for probe, told in probed.get(name, {}).items())
        for domain, summary in found[name].items():
            at = (leg.route, leg.seed, leg.stage, leg.order, domain, summary.bits_per_byte)
            rows.append(Score(*at, *total, annealed=leg.branch == "annealed", probes=probes))
    return rows


def _seconds(place: Workplace, legs: Sequence[Leg]) -> dict[Leg, float]:
    """How long the making of each model took, its entry included; what was given took nothing."""
    logged = place.store.logged()

    def took(made: Artifact) -> float:
        return float(cast(float, logged.get(made.path.name, {}).get("seconds", 0.0)))

    return {
        leg: (took(leg.run) if leg.order else 0.0) + (took(leg.entered) if leg.entered is not None else 0.0)
        for leg in legs
    }


def _write(
    place: Workplace,
    legs: Sequence[Leg],
    scores: Sequence[Score],
    baseline: str,
    home: Mapping[str, str],
    held: Mapping[str, int],
) -> None:
    by_model = {(row.route, row.seed, row.order, row.annealed, row.domain): row for row in scores}
    rows: list[dict[str, Json]] = []
    for leg in legs:
        for (route, seed, order, annealed, domain), row in by_model.items():
            if (route, seed, order, annealed) == (leg.route, leg.seed, leg.order, leg.branch == "annealed"):
                about: dict[str, Json] = {"route": route, "seed": seed, "stage": leg.stage, "order": order}
                about |= {"branch": leg.branch, "domain": domain, "bits_per_byte": row.bits_per_byte}
                rows.append({**about, "tokens": row.tokens, "flops": row.flops, "seconds": round(row.seconds, 2)})
    write_csv(_table(rows, COLUMNS), place.out / CSV)
    write_csv(_table(_curves(legs), CURVE_COLUMNS), place.out / CURVES)
    tables = [summary_table(forgetting(scores, baseline=baseline, home=home, held=held))]
    if any(row.probes for row in scores):
        probes = forgetting(probe_scores(scores), baseline=baseline, held=held, better="higher")
        tables.append(summary_table(probes))
    write_csv(arrow.concat(tables, FORGETTING_SCHEMA), place.out / FORGETTING)


def _table(rows: Sequence[Mapping[str, Json]], columns: Sequence[str]) -> pa.Table:
    return arrow.table({name: [row[name] for row in rows] for name in columns})


def _curves(legs: Sequence[Leg]) -> list[dict[str, Json]]:
    """Losses and rates of every stage, over the tokens of the whole route; annealed branches as stages of their own."""
    rows: list[dict[str, Json]] = []
    before: dict[tuple[str, int], int] = defaultdict(int)
    for leg in legs:
        if leg.order == 0:
            continue
        log = leg.run.table(["step", "tokens", "loss_nats_per_token", "learning_rate"])
        columns = {name: arrow.numpy(log, name) for name in log.column_names}
        mine = np.flatnonzero(columns["tokens"] > leg.begins_at)
        mine = mine[np.unique(np.linspace(0, len(mine) - 1, min(len(mine), CURVE_ROWS)).round().astype(int))]
        start = before[leg.route, leg.seed] - leg.begins_at
        name = leg.stage if leg.branch == "stage" else f"{leg.stage} annealed"
        about: dict[str, Json] = {"route": leg.route, "seed": leg.seed, "stage": name}
        for at in mine.tolist():
            numbers = {key: columns[key][at].item() for key in ("step", "loss_nats_per_token", "learning_rate")}
            rows.append({**about, **numbers, "tokens": int(columns["tokens"][at]) + start})
        if leg.branch == "stage":
            before[leg.route, leg.seed] += leg.tokens
    return rows
