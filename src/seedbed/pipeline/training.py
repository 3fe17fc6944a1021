"""Training runs as tasks: arms and auxiliary models side by side, a process each, every run an artifact of its own."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

from seedbed.core.artifact import Artifact, Draft, Request, Store
from seedbed.core.fingerprint import library_versions
from seedbed.core.parameters import Json, encode
from seedbed.engine.contract import Engine, Tick
from seedbed.pipeline.sources import SourceFiles, epoch_tokens, make_metadata, token_sources
from seedbed.tokenize.run import Pool
from seedbed.train.plan import TrainPlan

if TYPE_CHECKING:
    from seedbed.train.snapshot import State


@dataclasses.dataclass(frozen=True)
class RunTask:
    """One training run.

    Args:
        label: `random-seed0`, part of the folder's name.
        plan: what to train; its shape's vocabulary is the tokenizer's.
        seed: start and order.
        sources: what is read, by name; the name is part of the data order, so a stage that reads something else under
            the same plan names it otherwise.
        tokenizer: folder of the Tokenizer artifact.
        root: the output folder.
        init: folder of a model to start from, with a fresh optimizer.
        after: folder of the Run of the stage before, with its optimizer, counters and places in the data.
        how: under which plan it goes on from `after`: the same one ("continue"), another one that holds from here on
            ("branch"), or one that begins anew ("rewarm": counters at 0; the model is `init` where that is given too).
        carry_optimizer: of "rewarm": whether the optimizer's moments come along.
        teacher: folder of a model that the objective learns from.
        until_tokens: where this stage ends; the last stage ends with the plan, and leaves nothing to go on from.
    """

    label: str
    plan: TrainPlan
    seed: int
    sources: Mapping[str, SourceFiles]
    tokenizer: Path
    root: Path
    init: Path | None = None
    after: Path | None = None
    how: Literal["continue", "branch", "rewarm"] = "continue"
    carry_optimizer: bool = True
    teacher: Path | None = None
    until_tokens: int | None = None

    @property
    def request(self) -> Request:
        """The Run it makes."""
        parents = {"tokenizer": Artifact(self.tokenizer).fingerprint}
        for name, files in self.sources.items():
            parents |= {f"{name}: {role}": cast(str, told) for role, told in files.fingerprints().items()}
        for role, folder in (("init", self.init), ("after", self.after), ("teacher", self.teacher)):
            if folder is not None:
                parents[role] = Artifact(folder).fingerprint
        identity: dict[str, Json] = {
            "plan": {**cast("dict[str, Json]", encode(self.plan)), "checkpoints": None},
            "seed": self.seed,
            "until_tokens": self.until_tokens,
            "how": [self.how, self.carry_optimizer],
            "libraries": library_versions("torch"),
        }
        return Request("Run", self.label, identity, parents)

    @property
    def begins_at(self) -> int:
        """Tokens that its counters begin with."""
        if self.after is None or self.how == "rewarm":
            return 0
        return cast(int, Artifact(self.after).about["tokens"])

    @property
    def n_tokens(self) -> int:
        """Tokens this task trains on, for progress."""
        return (self.plan.tokens if self.until_tokens is None else self.until_tokens) - self.begins_at

    def reading(self, pool: Pool) -> RunTask:
        """The same, on the documents and tokens of another pool."""
        moved = {
            name: dataclasses.replace(files, documents=pool.documents.path, tokens=pool.tokens.path)
            for name, files in self.sources.items()
        }
        return dataclasses.replace(self, sources=moved)

    def renamed(self, source: str) -> RunTask:
        """The same with its one source under another name: another order of the data."""
        [files] = self.sources.values()
        return dataclasses.replace(self, sources={source: files})


def run_all(tasks: Sequence[RunTask], store: Store, engine: Engine, label: str) -> dict[str, Artifact]:
    """label -> Run; finished runs are found, the rest train side by side, the longest first."""
    requests = {task.label: task.request for task in tasks}
    missing = sorted((t for t in tasks if store.find(requests[t.label]) is None), key=lambda t: -t.n_tokens)
    total = sum(task.n_tokens for task in missing)
    for task in missing:
        make_metadata(task.sources.values(), task.plan, task.tokenizer, store)
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
    from seedbed.train.pruning import account
    from seedbed.train.run import Report, train

    sources = token_sources(task.sources, task.plan, task.seed, task.tokenizer, Store(task.root))
    reported = start = task.begins_at

    def observe(report: Report) -> None:
        nonlocal reported
        tick(report.tokens - reported)
        reported = report.tokens

    before = task.after / "state" if task.after else None
    result = train(
        task.plan,
        sources,
        seed=task.seed,
        folder=draft.path / "state",
        init=load_model(task.init)[0] if task.init else None,
        continue_from=before if task.how == "continue" else None,
        branch_from=before if task.how == "branch" else None,
        enter_from=before if task.how == "rewarm" else None,
        carry_optimizer=task.carry_optimizer,
        teacher=load_model(task.teacher)[0] if task.teacher else None,
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
        "epochs": _epochs(task, result.state, start),
        **account(task.plan, result.state, result.off),
    }


def _epochs(task: RunTask, state: State, start: int) -> Json:
    """How often what is read was read: of one source in this run, of several by name over all stages."""
    if len(task.sources) == 1:
        [files] = task.sources.values()
        return (state.tokens - start) / epoch_tokens(files)
    return {name: state.cursors.get(name, 0) / epoch_tokens(files) for name, files in task.sources.items()}
