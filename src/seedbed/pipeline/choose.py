"""Choosing: what a scorer needs is made, it is fitted, the pool is scored, and a selector turns scores into weights."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from seedbed.core import arrow
from seedbed.core.artifact import Artifact, Draft, Request, Store
from seedbed.core.cost import Cost
from seedbed.core.errors import SeedbedError
from seedbed.core.nouns import signals_schema
from seedbed.core.parameters import Json
from seedbed.engine.contract import Engine, Tick
from seedbed.pipeline.auxiliary import Models, wanted
from seedbed.pipeline.material import Material, column_of, whole_table
from seedbed.pipeline.services import given_to, services_of
from seedbed.pipeline.workplace import Workplace
from seedbed.select.contract import (
    CurrentModel,
    FittedScorer,
    GivenModel,
    Gradients,
    Probe,
    Scorer,
    Selector,
    Service,
    TargetText,
    Texts,
)
from seedbed.select.run import choose, score_shard
from seedbed.tokenize.run import Pool

COSTS = ("flops_select", "flops_auxiliary", "auxiliary_params", "calls")
"""What Signals and Weights tell of the cost of choosing."""


@dataclasses.dataclass(frozen=True)
class Scoring:
    """One scorer over one pool, ready to be done in any process.

    Args:
        root: the output folder.
        material: pool and target.
        scorer: the method.
        models: name -> trained Run.
        texts: name -> further text, read and tokenised.
        current: the arm's own model as the last stage left it.
    """

    root: Path
    material: Material
    scorer: Scorer
    models: Mapping[str, Artifact]
    texts: Mapping[str, Any]
    current: Artifact | None

    @property
    def request(self) -> Request:
        """The Signals it makes."""
        needs = self.scorer.needs()
        parents = {"tokens": self.material.pool.fingerprint}
        parents.update({f"model {name}": artifact.fingerprint for name, artifact in self.models.items()})
        parents.update({f"text {name}": pool.fingerprint for name, pool in self.texts.items()})
        if any(isinstance(need, TargetText) for need in needs):
            parents["target"] = self.material.the_target.fingerprint
        if any(isinstance(need, CurrentModel | Probe | Gradients) for need in needs):
            assert self.current is not None
            parents["current"] = self.current.fingerprint
        identity = self.scorer.identity()
        for need in needs:
            if isinstance(need, GivenModel):
                from seedbed.pipeline.losses import model_key

                parents[f"model {need.name}"] = model_key(Path(need.folder))
        return Request("Signals", self.scorer.name(), identity, parents)

    def make(self, store: Store, engine: Engine | None, tick: Tick = lambda _: None) -> Artifact:
        """Fit and score, shards side by side where an engine is given."""
        return store.make(self.request, lambda draft: self._fill(draft, store, engine, tick))

    def _fill(self, draft: Draft, store: Store, engine: Engine | None, tick: Tick) -> dict[str, Json]:
        begun = time.process_time()
        given = given_to(self)
        fitted = self.scorer.fit(given)
        services = services_of(given)
        fitting = dataclasses.replace(sum((service.cost for service in services), Cost()), seconds=0.0)
        pool = self.material.pool
        work = [ScoreTask(name, self.material, self.scorer, fitted, services, draft) for name in pool.shard_names()]
        fit_seconds = time.process_time() - begun
        if engine is None:
            costs = [score_one(task, tick) for task in work]
        else:
            label, total = f"score {self.scorer.name()}", len(pool.rows())
            costs = engine.run(score_one, work, label=label, total=total, unit="documents")
        trained = sum(cast(float, artifact.about["flops_train"]) for artifact in self.models.values())
        whole = sum(costs, Cost(flops_auxiliary=trained, seconds=fit_seconds)) + fitting
        store.log(draft.request.folder, cpu_seconds=whole.seconds)
        told = cast("dict[str, Json]", dict(getattr(fitted, "told", {})))
        params = max((cast(int, artifact.about["params"]) for artifact in self.models.values()), default=0)
        cost: dict[str, Json] = {"flops_select": whole.flops, "flops_auxiliary": trained, "auxiliary_params": params}
        return {**cost, "calls": whole.calls, "told": told}


@dataclasses.dataclass(frozen=True)
class ScoreTask:
    """Score one shard of the pool; `services` are those that `fitted` asks, so that what they cost can be counted."""

    name: str
    material: Material
    scorer: Scorer
    fitted: FittedScorer
    services: tuple[Service, ...]
    draft: Draft


def score_one(task: ScoreTask, tick: Tick) -> Cost:
    """Writes `part-NAME.parquet`; gives what this shard cost."""
    name = f"part-{task.name}.parquet"
    note = task.draft.receipt(name)
    if note is None:
        start, before = time.process_time(), _asked(task.services)
        tables: list[Any] = []
        for batch in task.material.pool.shard(task.name):
            tables.append(score_shard(task.fitted, batch))
            tick(len(batch))
        flops = _asked(task.services) - before
        seconds = round(time.process_time() - start, 2)
        table = arrow.concat(tables, signals_schema(task.scorer.signals))
        note = task.draft.write_table(name, table, {"flops": flops, "seconds": seconds})
    told = cast("dict[str, float]", note["about"])
    return Cost(flops_forward=told["flops"], seconds=told["seconds"])


def _asked(services: Sequence[Service]) -> float:
    return sum(service.cost.flops for service in services)


def scoring(
    place: Workplace, material: Material, scorer: Scorer, models: Models | None = None, current: Artifact | None = None
) -> Scoring:
    """A scorer with all it needs. Raises SeedbedError where it asks for the arm's own model and there is none."""
    needs = scorer.needs()
    for need in needs:
        if isinstance(need, Texts) and not need.files:
            mend = f"Name them: --set '{scorer.path()}.files=[\"FILE\"]' with compare, or in a recipe."
            raise SeedbedError(scorer.path(), f"reads files of {need.name} text and is given none", mend)
    texts = {need.name: material.texts(place, need.files) for need in needs if isinstance(need, Texts)}
    if current is None and any(isinstance(need, CurrentModel | Probe | Gradients) for need in needs):
        what = "asks the model that is being trained, and none is given"
        raise SeedbedError(scorer.path(), what, "Use it in an arm of a comparison.")
    mine = {name: (models or {})[want] for name, want in wanted(scorer).items()}
    return Scoring(place.out, material, scorer, mine, texts, current)


def score_all(place: Workplace, jobs: Sequence[Scoring]) -> list[Artifact]:
    """Signals of every job. One alone spreads its shards over the engine; several are done side by side."""
    requests = [job.request for job in jobs]
    missing = {r.folder: job for r, job in zip(requests, jobs, strict=True) if place.store.find(r) is None}
    if len(missing) == 1:
        next(iter(missing.values())).make(place.store, place.engine)
    elif missing:
        total = sum(len(job.material.pool.rows()) for job in missing.values())
        work = list(missing.values())
        place.engine.run(_score_whole, work, label=f"score {len(work)} times", total=total, unit="documents")
    return [cast(Artifact, place.store.find(request)) for request in requests]


def _score_whole(job: Scoring, tick: Tick) -> None:
    job.make(Store(job.root), None, tick)


def weights_of(
    place: Workplace,
    material: Material,
    scorer: Scorer,
    selector: Selector,
    budget_tokens: int,
    *,
    seed: int,
    models: Models | None = None,
    current: Artifact | None = None,
) -> Artifact:
    """Weights: how often each document of the pool is read."""
    [scores] = score_all(place, [scoring(place, material, scorer, models, current)])
    return weights_from(place, material, scorer, selector, budget_tokens, seed, scores)


def weights_from(
    place: Workplace,
    material: Material,
    scorer: Scorer,
    selector: Selector,
    budget_tokens: int,
    seed: int,
    scores: Artifact,
    read: Sequence[Artifact] = (),
) -> Artifact:
    """Weights from scores that are there.

    What earlier stages of the arm read, by their weights in `read`, is left out while the rest holds the budget.
    """
    pool = material.pool
    identity: dict[str, Json] = {**selector.identity(), "budget_tokens": budget_tokens, "seed": seed}
    parents = {"scores": scores.fingerprint, "tokens": pool.fingerprint}
    parents.update({f"read {stage}": weights.fingerprint for stage, weights in enumerate(read)})

    def fill(draft: Draft) -> dict[str, Json]:
        index = pool.index()
        score_N = arrow.numpy(scores.table(["score"]), "score").astype(np.float64)
        ids = cast("list[bytes]", index.column("id").to_pylist())
        columns = {name: selection_column(pool, scores, scorer, name) for name in selector.columns()}
        n_tokens_N = arrow.numpy(index, "n_tokens").astype(np.int64)
        rows = _unread(pool, n_tokens_N, read, budget_tokens)
        mine = {name: values[rows] for name, values in columns.items()}
        named = [ids[int(row)] for row in rows]
        table = choose(selector, named, score_N[rows], n_tokens_N[rows], budget_tokens, seed, mine)
        copies_N = np.zeros(len(ids))
        copies_N[rows] = arrow.numpy(table, "copies")
        draft.write_table("part-00000.parquet", whole_table(pool, copies_N))
        cost = {name: scores.about[name] for name in COSTS}
        return {**about_weights(copies_N, n_tokens_N), **cost, "scores": scores.path.name}

    return place.store.make(Request("Weights", f"{scorer.name()}-{seed}", identity, parents), fill)


def _unread(
    pool: Pool, n_tokens_N: npt.NDArray[np.int64], read: Sequence[Artifact], budget_tokens: int
) -> npt.NDArray[np.int64]:
    """Rows that no earlier stage read; all of them where these do not hold the budget."""
    everything = np.arange(len(n_tokens_N))
    if not read:
        return everything
    copies = [arrow.numpy(weights.table(["copies"]), "copies")[pool.rows()] for weights in read]
    rows = np.flatnonzero(~np.any([each > 0 for each in copies], axis=0))
    return rows if int(n_tokens_N[rows].sum()) >= budget_tokens else everything


def about_weights(copies_N: npt.NDArray[np.float64], n_tokens_N: npt.NDArray[np.int64]) -> dict[str, Json]:
    """What a selection comes to: documents, tokens read, tokens that differ."""
    return {
        "documents": int((copies_N > 0).sum()),
        "tokens": float((copies_N * n_tokens_N).sum()),
        "unique_tokens": int(n_tokens_N[copies_N > 0].sum()),
    }


def selection_column(pool: Any, scores: Artifact, scorer: Scorer, name: str) -> npt.NDArray[Any]:
    """A column that a selector reads: a signal of the scorer, or a document's source, language or site."""
    if name not in [signal.name for signal in scorer.signals]:
        return column_of(pool, name)
    table = scores.table([name])
    text = next(signal for signal in scorer.signals if signal.name == name).kind == "text"
    return np.array(arrow.strings(table, name), dtype=object) if text else arrow.numpy(table, name).astype(np.float64)
