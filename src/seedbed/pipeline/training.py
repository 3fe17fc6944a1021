"""Training runs as tasks: arms and auxiliary models side by side, a process each, every run an artifact of its own."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from seedbed.core.artifact import Artifact, Draft, Request, Store
from seedbed.core.fingerprint import library_versions
from seedbed.core.parameters import Json, encode
from seedbed.engine.contract import Engine, Tick
from seedbed.pipeline.sources import SourceFiles, epoch_tokens, make_metadata, token_sources
from seedbed.train.plan import TrainPlan


@dataclasses.dataclass(frozen=True)
class RunTask:
    """One training run.

    Args:
        label: `random-seed0`, part of the folder's name.
        plan: what to train; its shape's vocabulary is the tokenizer's.
        seed: start and order.
        documents, tokens, weights: the folders of the source; no weights means every document once an epoch.
        tokenizer: folder of the Tokenizer artifact.
        init: folder of a model to start from, with a fresh optimizer.
        after: folder of the Run of the stage before, continued with its optimizer and counters.
        until_tokens: where this stage ends; the last stage ends with the plan.
        root: the output folder.
        source: name of the source, part of the data order; a stage that reads something else has another.
    """

    label: str
    plan: TrainPlan
    seed: int
    documents: Path
    tokens: Path
    weights: Path | None
    tokenizer: Path
    root: Path
    init: Path | None = None
    after: Path | None = None
    until_tokens: int | None = None
    source: str = "pool"

    @property
    def request(self) -> Request:
        """The Run it makes."""
        parents = {"tokens": Artifact(self.tokens).fingerprint, "tokenizer": Artifact(self.tokenizer).fingerprint}
        for role, folder in (("weights", self.weights), ("init", self.init), ("after", self.after)):
            if folder is not None:
                parents[role] = Artifact(folder).fingerprint
        identity: dict[str, Json] = {
            "plan": {**cast("dict[str, Json]", encode(self.plan)), "checkpoints": None},
            "seed": self.seed,
            "until_tokens": self.until_tokens,
            "source": self.source,
            "libraries": library_versions("torch"),
        }
        return Request("Run", self.label, identity, parents)

    @property
    def n_tokens(self) -> int:
        """Tokens this task trains on, for progress."""
        start = cast(int, Artifact(self.after).about["tokens"]) if self.after else 0
        return (self.until_tokens or self.plan.tokens) - start

    @property
    def files(self) -> SourceFiles:
        """What it reads."""
        return SourceFiles(self.documents, self.tokens, self.weights)


def run_all(tasks: Sequence[RunTask], store: Store, engine: Engine, label: str) -> dict[str, Artifact]:
    """label -> Run; finished runs are found, the rest train side by side, the longest first."""
    requests = {task.label: task.request for task in tasks}
    missing = sorted((t for t in tasks if store.find(requests[t.label]) is None), key=lambda t: -t.n_tokens)
    total = sum(task.n_tokens for task in missing)
    for task in missing:
        make_metadata([task.files], task.plan, task.tokenizer, store)
    engine.run(train_one, missing, label=label, total=total, unit="tokens")
    return {name: cast(Artifact, store.find(request)) for name, request in requests.items()}


def train_one(task: RunTask, tick: Tick) -> None:
    """Train one run into its artifact; killed anywhere, it goes on from its newest checkpoint."""
    from seedbed.model import runtime

    machine = runtime.prepare().describe()
    Store(task.root).make(task.request, lambda draft: {**_fill(task, draft, tick), "runtime": machine})


def _fill(task: RunTask, draft: Draft, tick: Tick) -> dict[str, Json]:
    from seedbed.model import counts
    from seedbed.model.checkpoint import load_model, save_model
    from seedbed.train.run import Report, train

    sources = token_sources({task.source: task.files}, task.plan, task.seed, task.tokenizer, Store(task.root))
    start = cast(int, Artifact(task.after).about["tokens"]) if task.after else 0
    reported = start

    def observe(report: Report) -> None:
        nonlocal reported
        tick(report.tokens - reported)
        reported = report.tokens

    result = train(
        task.plan,
        sources,
        seed=task.seed,
        folder=draft.path / "state",
        init=load_model(task.init)[0] if task.init else None,
        continue_from=task.after / "state" if task.after else None,
        until_tokens=task.until_tokens,
        observe=observe,
    )
    draft.write_table("part-00000.parquet", result.log)
    save_model(draft.path, result.model, (task.tokenizer / "tokenizer.json").read_text(encoding="utf-8"))
    for name in ("model.safetensors", "config.json", "tokenizer.json"):
        draft.adopt(name)
    draft.write_text("special.json", (task.tokenizer / "special.json").read_text(encoding="utf-8"))
    if task.until_tokens is None:
        shutil.rmtree(draft.path / "state", ignore_errors=True)
    return {
        "tokens": result.state.tokens,
        "flops_train": float(result.state.flops),
        "params": counts.total_parameters(task.plan.shape),
        "params_non_embedding": counts.non_embedding_parameters(task.plan.shape),
        "epochs": (result.state.tokens - start) / epoch_tokens(task.files),
    }
