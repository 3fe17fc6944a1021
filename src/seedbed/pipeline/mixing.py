"""Mixing: what a mixer asks for is made (small models on mixtures it proposes, their losses), and its answer stored.

A trial of a single domain reads a copy of its documents, found by the domain's content: it stays what it is when the
pool gets another domain, so that only the new domain is trained on. (A tokenizer that is trained on the pool changes
with the pool, and then everything is new.)
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import xxhash

from seedbed.core import arrow
from seedbed.core.artifact import Artifact, Draft, Request
from seedbed.core.errors import SeedbedError
from seedbed.core.fingerprint import fingerprint, library_versions
from seedbed.core.parameters import Json, encode
from seedbed.curate.tasks import KEPT
from seedbed.engine.contract import Tick
from seedbed.pipeline.losses import CachedLosses
from seedbed.pipeline.material import Material, column_of, scaled, whole_table
from seedbed.pipeline.training import RunTask, run_all
from seedbed.pipeline.workplace import Workplace
from seedbed.recipe import Stage
from seedbed.select.allot import draw_by_shares
from seedbed.select.contract import FloatArray, LossModel
from seedbed.select.mixing import Domains, Mixer, Seen, Trial, Trials
from seedbed.stats.sampling import keys_of
from seedbed.tokenize.run import Part, Pool, tokenize

IntArray = npt.NDArray[np.int64]

Trained = tuple[Artifact, FloatArray]
"""A trial's run, and share_D as it was read."""

MERGES_A_TASK = 8
"""Averages of models that one task scores; the models are read once a task."""


@dataclasses.dataclass(frozen=True)
class Mixed:
    """What is mixed, document by document.

    Args:
        domains: as the mixer sees them.
        domain_N: number of the domain of each document of the pool that is walked.
    """

    domains: Domains
    domain_N: IntArray


def mixed(material: Material, domain: str, budget_tokens: int, *, with_target: bool) -> Mixed:
    """The domains of pool and target. Raises SeedbedError for a pool without documents."""
    names, domain_N = _numbered(material.pool, domain)
    n_tokens_N = arrow.numpy(material.pool.index(), "n_tokens").astype(np.int64)
    if not n_tokens_N.sum():
        raise SeedbedError("pool", "there is no text in it, so there is nothing to mix", "Give documents with words.")
    tokens_D = np.bincount(domain_N, n_tokens_N, len(names)).astype(np.int64)
    if not with_target:
        return Mixed(Domains(names, tokens_D, budget_tokens=budget_tokens), domain_N)
    target = material.the_target
    targets, target_N = _numbered(target, domain)
    size_E = np.bincount(target_N, arrow.numpy(target.index(), "n_tokens"), len(targets))
    return Mixed(Domains(names, tokens_D, targets, size_E / size_E.sum(), budget_tokens), domain_N)


def _numbered(pool: Pool, domain: str) -> tuple[tuple[str, ...], IntArray]:
    """(sorted names, number of each document's)."""
    values_N = column_of(pool, domain)
    names = sorted({str(value) for value in values_N})
    number = {name: i for i, name in enumerate(names)}
    return tuple(names), np.array([number[value] for value in values_N], np.int64)


def mixture_of(
    place: Workplace, material: Material, stage: Stage, *, budget_tokens: int, seed: int, runs: Sequence[Artifact] = ()
) -> Artifact:
    """The shares a stage's mixer gives: a Mixture artifact, with mixture.json beside its tables.

    Its `about` has `shares` by domain, what the mixer `told`, and `flops_select`: trials or a proxy run, and scoring. A
    mixer that is asked round by round is charged for its trials in the first round alone.

    Args:
        place, material: where, and on what.
        stage: its mixer is asked, over its kind of domain.
        budget_tokens: how long the mixture will be trained on.
        seed: of what the mixer draws; `material.seed` shares one mixture among the seeds of an arm.
        runs: the arm's own models so far, for a mixer that asks for rounds.
    """
    mixer = stage.mixer
    if mixer is None:
        raise ValueError("this stage has no mixer")
    about: dict[str, Json] = {"domain": stage.domain, "budget_tokens": budget_tokens, "seed": seed}
    parents = {"tokens": material.pool.fingerprint}
    if mixer.asks:
        about["plan"] = {**cast("dict[str, Json]", encode(material.plan)), "checkpoints": None}
        about["training"] = library_versions("torch")
    if _with_target(material, mixer):
        parents["target"] = material.the_target.fingerprint
    if "rounds" in mixer.asks:
        parents.update({f"round {k}": run.fingerprint for k, run in enumerate(runs)})
    request = Request("Mixture", mixer.name(), {**mixer.identity(), **about}, parents)

    def fill(draft: Draft) -> dict[str, Json]:
        ground = mixed(material, stage.domain, budget_tokens, with_target=_with_target(material, mixer))
        asked = _Asked(place, material, stage.domain, ground)
        said = mixer.mixture(ground.domains, asked.seen(mixer, runs, seed), seed)
        shares = {name: float(share) for name, share in zip(ground.domains.names, said.share_D, strict=True)}
        columns = {"domain": list(shares), "share": list(shares.values()), "tokens": ground.domains.tokens_D}
        draft.write_table("part-00000.parquet", arrow.table(columns))
        if asked.seen_trials is not None:
            draft.write_table("trials.parquet", _trial_table(ground.domains, asked.seen_trials))
        draft.write_text("mixture.json", json.dumps({"domains": shares}, indent=1, ensure_ascii=False) + "\n")
        return {"shares": cast(Json, shares), "told": dict(said.told), **asked.account()}

    return place.store.make(request, fill)


def _with_target(material: Material, mixer: Mixer) -> bool:
    """Whether target text is looked at: losses are of it; a proxy takes it where there is some."""
    return bool({"trials", "merged", "rounds"} & {*mixer.asks}) or (
        "proxy" in mixer.asks and material.target is not None
    )


def _trial_table(domains: Domains, trials: Trials) -> Any:
    columns: dict[str, Any] = {"tokens": trials.tokens_R, "params": trials.params_R}
    columns |= {f"share {name}": trials.share_RD[:, d] for d, name in enumerate(domains.names)}
    columns |= {f"loss {name}": trials.loss_RE[:, e] for e, name in enumerate(domains.targets)}
    return arrow.table(columns)


@dataclasses.dataclass(frozen=True)
class _Draw:
    """Random documents of each domain, by shares; a domain too small for its part is read again."""

    shares: Mapping[str, float]
    tokens: int
    seed: int
    domain: str

    def copies(self, pool: Pool) -> tuple[FloatArray, IntArray]:
        """(copies_N, n_tokens_N) of the pool as it is walked."""
        names, domain_N = _numbered(pool, self.domain)
        index = pool.index()
        n_tokens_N = arrow.numpy(index, "n_tokens").astype(np.int64)
        ids = cast("list[bytes]", index.column("id").to_pylist())
        share_D = np.array([self.shares.get(name, 0.0) for name in names])
        key_N = keys_of(ids)
        copies_N = draw_by_shares(key_N, n_tokens_N, domain_N, share_D, tokens=self.tokens, seed=self.seed)
        return copies_N, n_tokens_N


class _Asked:
    """Makes what a mixer asks for, and counts what that costs."""

    def __init__(self, place: Workplace, material: Material, domain: str, ground: Mixed) -> None:
        self._place, self._material, self._domain, self._ground = place, material, domain, ground
        self._runs: list[Artifact] = []
        self._digests: list[str] = []
        self._made: dict[str, Artifact] = {}
        self._flops_trials, self._flops_evaluation = 0.0, 0.0
        self.seen_trials: Trials | None = None

    def seen(self, mixer: Mixer, runs: Sequence[Artifact], seed: int) -> Seen:
        """All that it asks for."""
        if "trials" in mixer.asks:
            self.seen_trials = self._trials(mixer.trials(self._ground.domains, seed))
        rounds = None
        if "rounds" in mixer.asks:
            if runs:
                self._flops_trials = self._flops_evaluation = 0.0  # the first round has paid for the trials
            rounds = self._rounds(runs)
        steps = self._steps(mixer, seed) if "proxy" in mixer.asks else None
        return Seen(self.seen_trials, self._merged if "merged" in mixer.asks else None, rounds, steps)

    def account(self) -> dict[str, Json]:
        """FLOP by purpose, and the folders of the trials."""
        flops: dict[str, Json] = {"flops_trials": self._flops_trials, "flops_evaluation": self._flops_evaluation}
        return {
            **flops,
            "flops_select": self._flops_trials + self._flops_evaluation,
            "runs": list[Json](sorted(self._made)),
        }

    def _trials(self, wanted: Sequence[Trial]) -> Trials:
        """Every trial trained, side by side, and scored on the target. Trials that others start from come first."""
        if not wanted:
            raise SeedbedError("mixer", "asks for trials and names none", "Let it name at least one.")
        began = self._train({trial.init for trial in wanted if trial.init is not None}, {}, alone=True)
        done = self._train(set(wanted), began, alone=False)
        self._runs = [done[trial][0] for trial in wanted]
        self._flops_trials = sum(cast(float, run.about["flops_train"]) for run in self._made.values())
        asked = [((run.path,), ((1.0,),)) for run in self._runs]
        return Trials(
            share_RD=np.stack([done[trial][1] for trial in wanted]),
            tokens_R=np.array([trial.tokens for trial in wanted], np.int64),
            params_R=np.array([run.about["params_non_embedding"] for run in self._runs], np.int64),
            loss_RE=self._losses(asked, f"score {len(wanted)} trials"),
        )

    def _merged(self, share_R: FloatArray) -> FloatArray:
        """loss_E of the average of the trials' models; of M rows of shares, loss_ME."""
        rows = [tuple(row) for row in cast("list[list[float]]", np.atleast_2d(share_R).tolist())]
        paths = tuple(run.path for run in self._runs)
        chunks = [tuple(rows[at : at + MERGES_A_TASK]) for at in range(0, len(rows), MERGES_A_TASK)]
        loss_ME = self._losses([(paths, chunk) for chunk in chunks], f"score {len(rows)} averages")
        return loss_ME if share_R.ndim == 2 else loss_ME[0]

    def _rounds(self, runs: Sequence[Artifact]) -> FloatArray:
        """loss_KE of the arm's own models; only the newest is charged for, the rounds before have paid for theirs."""
        if not runs:
            return np.zeros((0, len(self._ground.domains.targets)))
        one = ((1.0,),)
        before = self._flops_evaluation
        earlier = [self._losses([((run.path,), one)], "score the rounds before") for run in runs[:-1]]
        self._flops_evaluation = before
        return np.concatenate([*earlier, self._losses([((runs[-1].path,), one)], "score the round before")])

    def _steps(self, mixer: Mixer, seed: int) -> FloatArray:
        """step_weight_SD of its proxy run."""
        from seedbed.pipeline.mixing_online import proxy_weights, step_weights

        made = proxy_weights(self._place, self._material, mixer, self._ground.domains, self._domain, seed)
        self._made[made.path.name] = made
        self._flops_trials += cast(float, made.about["flops_select"])
        return step_weights(made)

    def _train(self, trials: set[Trial], began: Mapping[Trial, Trained], *, alone: bool) -> dict[Trial, Trained]:
        """trial -> its run, and the shares as read."""
        tasks: dict[Trial, RunTask] = {}
        shares: dict[Trial, FloatArray] = {}
        for trial in trials:
            if trial.init is not None and trial.init.init is not None:
                raise SeedbedError("mixer", "a trial starts from one that starts from another", "One start is enough.")
            tasks[trial], shares[trial] = self._task(trial, began.get(trial.init) if trial.init else None, alone)
        ordered = sorted({task.label: task for task in tasks.values()}.items())
        label = f"train {len(ordered)} trials"
        runs = run_all([task for _, task in ordered], self._place.store, self._place.engine, label)
        self._made.update({run.path.name: run for run in runs.values()})
        return {trial: (runs[task.label], shares[trial]) for trial, task in tasks.items()}

    def _task(self, trial: Trial, init: Trained | None, alone: bool) -> tuple[RunTask, FloatArray]:
        names = self._ground.domains.names
        shares = {name: share for name, share in zip(names, trial.shares, strict=True) if share > 0}
        told: dict[str, Json] = {"shares": cast(Json, shares), "tokens": trial.tokens, "seed": trial.seed}
        drawn = _Draw(shares, trial.tokens, trial.seed, self._domain)
        pool = self._copied(drawn, told) if alone or len(shares) == 1 else self._material.pool
        weights = self._weights(pool, drawn, told)
        material, place = self._material, self._place
        plan = dataclasses.replace(material.plan, shape=scaled(material.plan.shape, trial.shape), tokens=trial.tokens)
        told |= {"shape": trial.shape, "init": init[0].fingerprint if init else ""}
        task = material.task(place, f"trial-{fingerprint(told)[:8]}", trial.seed, plan, weights)
        task = task.reading(pool)
        read = cast("dict[str, float]", weights.about["shares"])
        share_D = np.array([read.get(name, 0.0) for name in names])
        return (task if init is None else dataclasses.replace(task, init=init[0].path)), share_D

    def _weights(self, pool: Pool, drawn: _Draw, told: dict[str, Json]) -> Artifact:
        """How often each document is read; `about` has the shares that come of it."""

        def fill(draft: Draft) -> dict[str, Json]:
            whole = self._material.pool
            copies_N, n_tokens_N = drawn.copies(whole)
            here_N = copies_N if pool is whole else copies_N[copies_N > 0]  # a copy holds what was drawn
            draft.write_table("part-00000.parquet", whole_table(pool, here_N))
            names = self._ground.domains.names
            read_D = np.bincount(self._ground.domain_N, copies_N * n_tokens_N, len(names))
            read = {name: float(part) for name, part in zip(names, read_D / read_D.sum(), strict=True) if part > 0}
            return {"shares": cast(Json, read), "tokens": float(read_D.sum())}

        request = Request("Weights", "trial", {**told, "domain": self._domain}, {"tokens": pool.fingerprint})
        return self._place.store.make(request, fill)

    def _copied(self, drawn: _Draw, told: dict[str, Json]) -> Pool:
        """The documents that a trial reads, by themselves: other domains cannot change them."""
        known = self._ground.domains.names
        content: dict[str, Json] = {name: self._content()[known.index(name)] for name in drawn.shares}
        request = Request("Documents", "trial", {**told, "content": content})
        documents = self._place.store.make(request, lambda draft: self._copy(draft, drawn))
        made = tokenize(documents, self._material.tokenizer, self._place.store, self._place.engine)
        return Pool(documents, made)

    def _content(self) -> list[str]:
        """A hash of the documents of each domain, in their order."""
        if not self._digests:
            found: list[Any] = [xxhash.xxh3_128() for _ in self._ground.domains.names]
            row = 0
            for batch in self._material.pool:
                data, offsets = batch.text_buffers()
                for i, key in enumerate(batch.ids):
                    digest = found[self._ground.domain_N[row + i]]
                    digest.update(key)
                    digest.update(int(offsets[i + 1] - offsets[i]).to_bytes(8, "little"))
                    digest.update(data[offsets[i] : offsets[i + 1]])
                row += len(batch)
            self._digests = [digest.hexdigest() for digest in found]
        return self._digests

    def _copy(self, draft: Draft, drawn: _Draw) -> dict[str, Json]:
        copies_N, _ = drawn.copies(self._material.pool)
        row, part = 0, 0
        for batch in self._material.pool:
            mine = np.flatnonzero(copies_N[row : row + len(batch)] > 0)
            row += len(batch)
            if len(mine):
                rows = batch.some(mine).rows
                columns: dict[str, Any] = {name: rows.column(name) for name in KEPT.names[1:]}
                kept = {"id": arrow.hex_column(arrow.ids(rows)), **columns}
                draft.write_table(f"part-{part:05d}.parquet", arrow.table(kept, KEPT))
                part += 1
        return {}

    def _losses(
        self, asked: Sequence[tuple[tuple[Path, ...], tuple[tuple[float, ...], ...]]], label: str
    ) -> FloatArray:
        """loss_ME over all that is asked, one row after the other."""
        target = self._material.the_target
        where = (target.documents.path, target.tokens.path, target.part, self._domain, self._place.out)
        tasks = [LossTask(paths, rows, *where) for paths, rows in asked]
        total = sum(len(task.share_MR) for task in tasks)
        found = self._place.engine.run(losses_one, tasks, label=label, total=total, unit="models")
        self._flops_evaluation += sum(flops for _, flops in found)
        return np.concatenate([np.array(losses) for losses, _ in found])


@dataclasses.dataclass(frozen=True)
class LossTask:
    """Score averages of models on the target, domain by domain.

    Args:
        models: folders.
        share_MR: shares of the models in each average.
        documents, tokens, part: the target.
        domain: what a document's domain is.
        root: the output folder.
    """

    models: tuple[Path, ...]
    share_MR: tuple[tuple[float, ...], ...]
    documents: Path
    tokens: Path
    part: Part | None
    domain: str
    root: Path


def losses_one(task: LossTask, tick: Tick) -> tuple[list[list[float]], float]:
    """(loss_ME in nats per token, FLOP)."""
    target = Pool(Artifact(task.documents), Artifact(task.tokens), task.part)
    names, target_N = _numbered(target, task.domain)
    if len(task.models) == 1:
        cached = CachedLosses(task.models[0], task.root)
        tick(1)
        return [_by_domain(cached, target, target_N, len(names))], cached.cost.flops
    from seedbed.model import merging, runtime
    from seedbed.model.language_model import LanguageModel
    from seedbed.pipeline import models

    runtime.prepare()
    opened = [models.read(folder) for folder in task.models]
    decoders, tokenizers = [o.decoder for o in opened], [o.tokenizer_json for o in opened]
    end_of_text = opened[0].end_of_text
    assert end_of_text is not None
    found: list[list[float]] = []
    flops = 0.0
    for share_R in task.share_MR:
        named = [str(folder) for folder in task.models]
        decoder = merging.average(decoders, np.array(share_R), names=named, tokenizers=tokenizers)
        model = LanguageModel(decoder, end_of_text)
        found.append(_by_domain(model, target, target_N, len(names)))
        flops += model.cost.flops
        tick(1)
    return found, flops


def _by_domain(model: LossModel, target: Pool, target_N: IntArray, n_domains: int) -> list[float]:
    """loss_E: mean nats per token."""
    total_E, tokens_E, row = np.zeros(n_domains), np.zeros(n_domains), 0
    for batch in target:
        size_N = np.diff(batch.token_ids[1])
        mine = target_N[row : row + len(batch)]
        total_E += np.bincount(mine, model.document_losses(batch) * size_N, n_domains)
        tokens_E += np.bincount(mine, size_N, n_domains)
        row += len(batch)
    return cast("list[float]", (total_E / np.maximum(tokens_E, 1)).tolist())
