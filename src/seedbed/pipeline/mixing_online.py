"""Mixers that learn while a proxy model trains: the reference it is held to, and the proxy's run, each an artifact.

The proxy reads documents by their domain, each domain a source of its own. Killed anywhere, it goes on from its newest
snapshot; a second identical request is answered from disk.
"""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from seedbed.core import arrow
from seedbed.core.artifact import Artifact, Draft, Request, Store
from seedbed.core.errors import SeedbedError
from seedbed.core.fingerprint import library_versions
from seedbed.core.parameters import Json, encode, encode_fields
from seedbed.engine.contract import Tick
from seedbed.pipeline.material import Material, column_of, everything, scaled
from seedbed.pipeline.training import run_all
from seedbed.pipeline.workplace import Workplace
from seedbed.select.contract import FloatArray
from seedbed.select.mixing import Domains, Mixer, ProxyRun, StepSeen, WeightLaw
from seedbed.tokenize.run import Part, Pool
from seedbed.train.objectives.causal_lm import CausalLM
from seedbed.train.plan import TrainPlan

if TYPE_CHECKING:
    from seedbed.train.domain_proxy import DomainStep
    from seedbed.train.source import TokenSource


@dataclasses.dataclass(frozen=True)
class ProxyTask:
    """One proxy run.

    Args:
        run: what the mixer asks of it; `method` is the mixer's identity.
        law: moves the weights.
        domains: what is mixed.
        domain: what a document's domain is: source, language or site.
        plan: how it is trained.
        seed: of start and order.
        documents, tokens, part: the pool.
        target_documents, target_tokens, target_part: the target text, where gradients are compared with it.
        reference: folder of the reference's Run.
        root: the output folder.
    """

    run: ProxyRun
    law: WeightLaw
    method: dict[str, Json]
    domains: Domains
    domain: str
    plan: TrainPlan
    seed: int
    documents: Path
    tokens: Path
    part: Part | None
    target_documents: Path | None
    target_tokens: Path | None
    target_part: Part | None
    reference: Path | None
    root: Path

    @property
    def pool(self) -> Pool:
        """What is read."""
        return Pool(Artifact(self.documents), Artifact(self.tokens), self.part)

    @property
    def target(self) -> Pool | None:
        """What gradients are compared with; None: the domains themselves."""
        if self.target_documents is None or self.target_tokens is None:
            return None
        return Pool(Artifact(self.target_documents), Artifact(self.target_tokens), self.target_part)

    @property
    def request(self) -> Request:
        """The Run it makes: a row a step."""
        target = self.target
        parents = {"tokens": self.pool.fingerprint}
        if target is not None:
            parents["target"] = target.fingerprint
        if self.reference is not None:
            parents["reference"] = Artifact(self.reference).fingerprint
        identity: dict[str, Json] = {
            **self.method,
            "plan": {**cast("dict[str, Json]", encode(self.plan)), "checkpoints": None},
            "run": encode_fields(self.run),
            "domain": self.domain,
            "domains": list[Json](self.domains.names),
            "targets": list[Json](self.domains.targets),
            "seed": self.seed,
            "training": library_versions("torch"),
        }
        return Request("Run", f"proxy-seed{self.seed}", identity, parents)


def proxy_weights(
    place: Workplace, material: Material, mixer: Mixer, domains: Domains, domain: str, seed: int
) -> Artifact:
    """The Run of the mixer's proxy: `part-00000.parquet` has a row a step and a column a domain.

    Its `about` has `flops_select`, all it cost (the reference's training too), and `tokens`. Gradients are compared
    with the target text where `domains` has targets, else with the pool's own domains. Raises SeedbedError for a
    domain with less text than a sequence.
    """
    run, law = mixer.proxy()
    shape = scaled(material.plan.shape, run.shape)
    plan = dataclasses.replace(
        material.plan,
        shape=shape,
        objective=CausalLM(),
        tokens=run.tokens,
        learning_rate=run.learning_rate,
        mixture=(),
        reweighter=None,
    )
    reference = _reference(place, material, plan, seed) if run.reference else None
    target = material.the_target if run.gradients and domains.targets else None
    task = ProxyTask(
        run=run,
        law=law,
        method=mixer.identity(),
        domains=domains,
        domain=domain,
        plan=plan,
        seed=seed,
        documents=material.pool.documents.path,
        tokens=material.pool.tokens.path,
        part=material.pool.part,
        target_documents=None if target is None else target.documents.path,
        target_tokens=None if target is None else target.tokens.path,
        target_part=None if target is None else target.part,
        reference=None if reference is None else reference.path,
        root=place.out,
    )
    request = task.request
    if place.store.find(request) is None:
        label = f"train the proxy of {mixer.name()}"
        place.engine.run(proxy_one, [task], label=label, total=plan.total_tokens, unit="tokens")
    return cast(Artifact, place.store.find(request))


def step_weights(made: Artifact) -> FloatArray:
    """step_weight_SD of a proxy's Run."""
    table = made.table()
    return np.stack([arrow.numpy(table, name) for name in table.column_names], 1)


def _reference(place: Workplace, material: Material, plan: TrainPlan, seed: int) -> Artifact:
    """Trained as the proxy is, on the pool as it is."""
    label = f"proxy-reference-seed{seed}"
    task = material.task(place, label, seed, plan, everything(place, material.pool))
    return run_all([task], place.store, place.engine, f"train {label}")[label]


def proxy_one(task: ProxyTask, tick: Tick) -> None:
    """Train one proxy into its artifact; killed anywhere, it goes on from its newest snapshot."""
    from seedbed.model import runtime

    machine = runtime.prepare().describe()
    Store(task.root).make(task.request, lambda draft: {**_fill(task, draft, tick), "runtime": machine})


def _fill(task: ProxyTask, draft: Draft, tick: Tick) -> dict[str, Json]:
    from seedbed.model.checkpoint import load_model
    from seedbed.train.domain_proxy import ProxyPlan, train_proxy

    law, domains = task.law, task.domains
    shares = tuple(domains.share_D.tolist())
    asked = ProxyPlan(task.plan, shares, tuple(law.first(domains).tolist()), task.run.sampling, task.run.gradients)
    target = task.target

    def moved(weight_D: FloatArray, told: DomainStep) -> FloatArray:
        seen = told.observed
        numbers = (seen.excess_D, seen.loss_D, seen.alignment_D, seen.norm_D)
        return law.next(weight_D, StepSeen(*numbers, told.learning_rate, told.peak_learning_rate))

    def observe(step: int, told: DomainStep) -> None:
        del step, told
        tick(task.plan.batch_tokens)

    result = train_proxy(
        asked,
        _sources(task, task.pool, domains.names, ""),
        moved,
        seed=task.seed,
        folder=draft.path / "state",
        targets=None if target is None else _sources(task, target, domains.targets, "target "),
        reference=load_model(task.reference)[0] if task.reference else None,
        observe=observe,
    )
    columns = {name: result.step_weight_SD[:, d] for d, name in enumerate(domains.names)}
    draft.write_table("part-00000.parquet", arrow.table(columns))
    shutil.rmtree(draft.path / "state", ignore_errors=True)
    before = cast(float, Artifact(task.reference).about["flops_train"]) if task.reference else 0.0
    return {
        "tokens": task.plan.total_tokens,
        "flops_proxy": result.flops,
        "flops_reference": before,
        "flops_select": result.flops + before,
    }


def _sources(task: ProxyTask, pool: Pool, names: tuple[str, ...], before: str) -> dict[str, TokenSource]:
    """A source a domain, every document of it once an epoch; documents of other domains are not read."""
    from seedbed.train.source import TokenShard, TokenSource

    shards = [TokenShard(pool.ids(shard), pool.shard_index(shard)) for shard in pool.shard_names()]
    walked_N, of_N = pool.rows(), column_of(pool, task.domain)
    context = task.plan.shape.context
    found: dict[str, TokenSource] = {}
    for name in names:
        mine = walked_N[of_N == name]
        if not len(mine):
            known = ", ".join(sorted({str(text) for text in of_N}))
            raise SeedbedError(f"domain {name!r}", f"no document has this {task.domain}", f"There are: {known}.")
        copies_N = np.zeros(pool.tokens.rows)
        copies_N[mine] = 1.0
        found[before + name] = TokenSource(before + name, shards, copies_N, seed=task.seed, context=context)
    return found
