"""Scoring models on held-out text, side by side."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

from seedbed.core import arrow
from seedbed.core.artifact import Artifact, Draft, Request, Store
from seedbed.core.nouns import OUTCOMES
from seedbed.core.parameters import Json
from seedbed.engine.contract import Tick
from seedbed.evaluate.contract import Task
from seedbed.evaluate.tasks.bits_per_byte import Summary, summarise
from seedbed.pipeline.data import texts_into
from seedbed.pipeline.models import open_model
from seedbed.pipeline.workplace import Workplace
from seedbed.recipe import EvaluatePlan, Recipe
from seedbed.tokenize.run import Pool, from_kept


@dataclasses.dataclass(frozen=True)
class EvaluateTask:
    """Score one model on the texts of every domain."""

    model: Path
    texts: Mapping[str, Path]
    task: Task
    root: Path

    def request(self, domain: str) -> Request:
        """The Outcomes of one domain."""
        parents = {"model": Artifact(self.model).fingerprint, "texts": Artifact(self.texts[domain]).fingerprint}
        identity: dict[str, Json] = {**self.task.identity(), "domain": domain}
        return Request("Outcomes", f"{self.task.name()}-{domain}", identity, parents)


def heldout(place: Workplace, recipe: Recipe) -> dict[str, Artifact]:
    """Domain -> held-out documents."""
    assert recipe.evaluate is not None
    return {domain: texts_into(place, recipe.curate, [file]) for domain, file in recipe.evaluate.texts.items()}


def score_runs(
    place: Workplace, runs: Sequence[Artifact], texts: Mapping[str, Artifact], plan: EvaluatePlan
) -> dict[str, dict[str, Summary]]:
    """Run folder -> domain -> its outcomes summed up."""
    paths = {domain: artifact.path for domain, artifact in texts.items()}
    tasks = [EvaluateTask(run.path, paths, plan.task, place.out) for run in runs]
    waiting = [t for t in tasks if any(place.store.find(t.request(domain)) is None for domain in paths)]
    place.engine.run(evaluate_one, waiting, label=f"evaluate {len(waiting)} models", total=len(waiting), unit="models")
    found: dict[str, dict[str, Summary]] = {}
    for task in tasks:
        outcomes = {domain: cast(Artifact, place.store.find(task.request(domain))) for domain in paths}
        found[task.model.name] = {domain: summarise(outcome.table()) for domain, outcome in outcomes.items()}
    return found


def evaluate_one(task: EvaluateTask, tick: Tick) -> None:
    """Outcomes of one model, an artifact a domain."""
    from seedbed.core.nouns import DocumentBatch
    from seedbed.model import runtime

    runtime.prepare()
    model = open_model(task.model)
    store = Store(task.root)
    for domain, folder in task.texts.items():

        def fill(draft: Draft, domain: str = domain, folder: Path = folder) -> dict[str, Json]:
            documents: DocumentBatch = from_kept(Artifact(folder).table())
            draft.write_table("part-00000.parquet", task.task.score(model, documents, domain))
            return {}

        store.make(task.request(domain), fill)
    tick(1)


def evaluate_files(model: Path, texts: Sequence[str], recipe: Recipe) -> dict[str, Json]:
    """Summary of one model on files together; read like any input, in a folder that is gone afterwards."""
    from seedbed.model import runtime

    assert recipe.evaluate is not None
    runtime.prepare()
    asked = open_model(model)
    with tempfile.TemporaryDirectory() as folder, Workplace.open(folder) as place:
        documents = texts_into(place, recipe.curate, texts)
        tables = [
            recipe.evaluate.task.score(asked, from_kept(s), "") for s in map(arrow.read_parquet, documents.shards())
        ]
    told = summarise(arrow.concat(tables, OUTCOMES)).to_json()
    return {name: told[name] for name in ("bits_per_byte", "loss_nats_per_token", "tokens", "bytes")}


def audit_into(place: Workplace, plan: EvaluatePlan, pool: Pool, texts: Mapping[str, Artifact]) -> None:
    """The leak check of every held-out text against the pool, remembered by domain."""
    if plan.audit is None:
        return
    audit = plan.audit
    found: dict[str, Json] = {}
    for domain, documents in texts.items():
        parents = {"pool": pool.documents.fingerprint, "texts": documents.fingerprint}

        def fill(draft: Draft, documents: Artifact = documents) -> dict[str, Json]:
            items = from_kept(documents.table())
            draft.write_table("part-00000.parquet", audit.findings(pool, items))
            return {}

        request = Request("Findings", f"{audit.name()}-{domain}", audit.identity(), parents)
        found[domain] = place.store.make(request, fill).path.name
    place.remember(audit=found)
