"""Choosing: what a scorer needs is made, it is fitted, the pool is scored, and a selector turns scores into weights."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

from seedbed.core import arrow
from seedbed.core.artifact import Artifact, Draft, Request
from seedbed.core.cost import Cost
from seedbed.core.errors import SeedbedError
from seedbed.core.nouns import DocumentBatch, signals_schema
from seedbed.core.parameters import Json
from seedbed.engine.contract import Tick
from seedbed.model.shape import ModelShape
from seedbed.pipeline.models import open_model
from seedbed.pipeline.training import RunTask, run_all
from seedbed.pipeline.workplace import Workplace
from seedbed.select.contract import (
    CurrentModel,
    FittedScorer,
    Given,
    LossModel,
    PoolText,
    Scorer,
    Selector,
    TargetText,
    TrainedModel,
)
from seedbed.select.run import choose, score_shard
from seedbed.select.scorers.constant import Constant
from seedbed.select.selectors.gumbel_top_k import GumbelTopK
from seedbed.tokenize.run import Pool
from seedbed.train.plan import TrainPlan


@dataclasses.dataclass(frozen=True)
class Material:
    """What arms choose from and train with.

    Args:
        pool, target: documents with tokens; no target where the recipe names none.
        tokenizer: the Tokenizer artifact.
        plan: how the arms are trained; its shape has the tokenizer's vocabulary.
    """

    pool: Pool
    target: Pool | None
    tokenizer: Artifact
    plan: TrainPlan

    def task(self, place: Workplace, label: str, seed: int, plan: TrainPlan, weights: Artifact | None) -> RunTask:
        """A training run on the pool."""
        return RunTask(
            label=label,
            plan=plan,
            seed=seed,
            documents=self.pool.documents.path,
            tokens=self.pool.tokens.path,
            weights=weights.path if weights else None,
            tokenizer=self.tokenizer.path,
            root=place.out,
        )


def trained_models(place: Workplace, material: Material, scorers: Iterable[Scorer]) -> dict[TrainedModel, Artifact]:
    """Every model that any of the scorers needs, each trained once; those that start from another come after it."""
    made: dict[TrainedModel, Artifact] = {}
    for scorer in scorers:
        needs = [need for need in scorer.needs() if isinstance(need, TrainedModel)]
        for need in needs:
            if need not in made:
                parent = next((made[other] for other in needs if other.name == need.init and other in made), None)
                if need.init and parent is None:
                    raise SeedbedError(
                        scorer.path(), f"the model {need.name!r} starts from {need.init!r}, not needed before it"
                    )
                made[need] = _train_need(place, material, need, parent)
    return made


def _train_need(place: Workplace, material: Material, need: TrainedModel, parent: Artifact | None) -> Artifact:
    plan = dataclasses.replace(
        material.plan,
        shape=scaled(material.plan.shape, need.shape),
        tokens=need.tokens,
        learning_rate=need.learning_rate,
    )
    label = f"auxiliary-{need.name}"
    if need.on == "target":
        target = _target(material)
        task = dataclasses.replace(material.task(place, label, 0, plan, None), documents=target.documents.path)
        task = dataclasses.replace(task, tokens=target.tokens.path)
    else:
        sample = weights_of(place, material, Constant(), GumbelTopK(), need.tokens, seed=0, models={}, current=None)
        task = material.task(place, label, 0, plan, sample)
    if parent is not None:
        task = dataclasses.replace(task, init=parent.path)
    return run_all([task], place.store, place.engine, f"train {label}")[label]


def scaled(shape: ModelShape, factor: float) -> ModelShape:
    """The shape with width and depth times `factor`; heads keep their width."""
    heads = max(1, round(shape.n_heads * factor))
    kv_heads = None if shape.n_kv_heads is None else max(1, min(heads, round(shape.n_kv_heads * factor)))
    width = heads * shape.head_width if shape.head_dim is None else max(2, round(shape.d_model * factor))
    layers = max(1, round(shape.n_layers * factor))
    d_ff = None if shape.d_ff is None else max(16, round(shape.d_ff * factor / 16) * 16)
    return dataclasses.replace(shape, n_heads=heads, n_kv_heads=kv_heads, d_model=width, n_layers=layers, d_ff=d_ff)


def _target(material: Material) -> Pool:
    if material.target is None:
        raise SeedbedError("target", "a method asks for target text and the recipe names none", "Give `target` files.")
    return material.target


def scores_of(
    place: Workplace,
    material: Material,
    scorer: Scorer,
    models: Mapping[TrainedModel, Artifact],
    current: Artifact | None,
) -> Artifact:
    """Signals of a scorer over the pool, with its whole cost in `about`: models trained, fitting, scoring."""
    mine = {need.name: models[need] for need in scorer.needs() if isinstance(need, TrainedModel)}
    for need in scorer.needs():
        if isinstance(need, CurrentModel):
            if current is None:
                raise SeedbedError(scorer.path(), "asks for the model of the stage before, and this is the first stage")
            mine[need.name] = current
    parents = {"tokens": material.pool.tokens.fingerprint}
    parents.update({f"model {name}": artifact.fingerprint for name, artifact in mine.items()})
    if any(isinstance(need, TargetText) for need in scorer.needs()):
        parents["target"] = _target(material).tokens.fingerprint
    trained = sum(cast(float, a.about["flops_train"]) for n, a in mine.items() if n in {m.name for m in models})

    def fill(draft: Draft) -> dict[str, Json]:
        start = time.process_time()
        given = _given(scorer, material, mine)
        fitted = scorer.fit(given)
        fitting = time.process_time() - start
        names = material.pool.shard_names()
        folders = (material.pool.documents.path, material.pool.tokens.path)
        models = tuple(given.models.values())
        work = [ScoreTask(name, *folders, scorer, fitted, models, draft) for name in names]
        n, label = material.pool.documents.rows, f"score {scorer.name()}"
        costs = place.engine.run(score_one, work, label=label, total=n, unit="documents")
        whole = sum(costs, Cost(flops_auxiliary=trained, seconds=fitting))
        place.store.log(draft.request.folder, cpu_seconds=whole.seconds)
        return {"flops_select": whole.flops, "flops_auxiliary": trained}

    return place.store.make(Request("Signals", scorer.name(), scorer.identity(), parents), fill)


def _given(scorer: Scorer, material: Material, models: Mapping[str, Artifact]) -> Given:
    needs = scorer.needs()
    target: Iterable[DocumentBatch] = _target(material) if any(isinstance(n, TargetText) for n in needs) else ()
    pool: Iterable[DocumentBatch] = material.pool if any(isinstance(n, PoolText) for n in needs) else ()
    opened: dict[str, LossModel] = {}
    for name, artifact in models.items():
        opened[name] = open_model(artifact.path)
    return Given(target=target, pool=pool, models=opened)


@dataclasses.dataclass(frozen=True)
class ScoreTask:
    """Score one shard of the pool; `models` are those that `fitted` asks, so that what they cost can be counted."""

    name: str
    documents: Path
    tokens: Path
    scorer: Scorer
    fitted: FittedScorer
    models: tuple[LossModel, ...]
    draft: Draft


def score_one(task: ScoreTask, tick: Tick) -> Cost:
    """Writes `part-NAME.parquet`; gives what this shard cost."""
    name = f"part-{task.name}.parquet"
    note = task.draft.receipt(name)
    if note is None:
        start, before = time.process_time(), _asked(task.models)
        tables: list[Any] = []
        for batch in Pool(Artifact(task.documents), Artifact(task.tokens)).shard(task.name):
            tables.append(score_shard(task.fitted, batch))
            tick(len(batch))
        flops = _asked(task.models) - before
        seconds = round(time.process_time() - start, 2)
        table = arrow.concat(tables, signals_schema(task.scorer.signals))
        note = task.draft.write_table(name, table, {"flops": flops, "seconds": seconds})
    told = cast("dict[str, float]", note["about"])
    return Cost(flops_forward=told["flops"], seconds=told["seconds"])


def _asked(models: Sequence[LossModel]) -> float:
    return sum(model.cost.flops for model in models)


def weights_of(
    place: Workplace,
    material: Material,
    scorer: Scorer,
    selector: Selector,
    budget_tokens: int,
    *,
    seed: int,
    models: Mapping[TrainedModel, Artifact],
    current: Artifact | None,
) -> Artifact:
    """Weights: how often each document of the pool is read."""
    scores = scores_of(place, material, scorer, models, current)
    identity: dict[str, Json] = {**selector.identity(), "budget_tokens": budget_tokens, "seed": seed}
    parents = {"scores": scores.fingerprint, "tokens": material.pool.tokens.fingerprint}

    def fill(draft: Draft) -> dict[str, Json]:
        index = material.pool.index()
        score_N = arrow.numpy(scores.table(["score"]), "score").astype(np.float64)
        n_tokens_N = arrow.numpy(index, "n_tokens").astype(np.int64)
        ids = cast("list[bytes]", index.column("id").to_pylist())
        table = choose(selector, ids, score_N, n_tokens_N, budget_tokens, seed)
        copies = arrow.numpy(table, "copies")
        draft.write_table("part-00000.parquet", table)
        return {
            "documents": int((copies > 0).sum()),
            "tokens": float((copies * n_tokens_N).sum()),
            "unique_tokens": int(n_tokens_N[copies > 0].sum()),
            "flops_select": scores.about["flops_select"],
            "scores": scores.path.name,
        }

    return place.store.make(Request("Weights", f"{scorer.name()}-{seed}", identity, parents), fill)
