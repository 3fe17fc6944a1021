"""Curate: raw files to kept documents, a ledger that balances, and everything measured.

read -> (edit | measure)* -> groups -> decide -> keep. Every arrow is an artifact, so a changed recipe computes only
what follows from the change, and a killed run goes on where it was.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

import numpy as np

from seedbed.core import arrow
from seedbed.core.artifact import Artifact, Draft, Request, Store
from seedbed.core.parameters import Json, encode
from seedbed.curate import tasks
from seedbed.curate.account import account
from seedbed.curate.contract import Deduper, Edit, Filter, PassageDeduper
from seedbed.curate.decide import Members
from seedbed.curate.filters.size import Size
from seedbed.curate.forgotten import NOTHING, Forgotten
from seedbed.curate.ledger import READ, STEM, summary
from seedbed.curate.passages import cut_repeats
from seedbed.curate.plan import CuratePlan
from seedbed.curate.reading import read_sources
from seedbed.curate.replay import Measured, document_ids, find, published_among
from seedbed.curate.samples import learn
from seedbed.curate.sources import find_sources
from seedbed.engine.contract import Engine


@dataclasses.dataclass(frozen=True)
class Curated(Measured):
    """The artifacts of one curation: what was measured, the verdicts, and the kept Documents with ids in hex."""

    decisions: Artifact
    kept: Artifact

    def folders(self) -> dict[str, Json]:
        """Where everything lies, by role, as folder names."""
        return {
            "read": self.read.path.name,
            "texts": {name: artifact.path.name for name, artifact in self.texts.items()},
            "signals": {name: artifact.path.name for name, artifact in self.signals.items()},
            "groups": {name: artifact.path.name for name, artifact in self.groups.items()},
            "sizes": {name: artifact.path.name for name, artifact in self.sizes.items()},
            "decisions": self.decisions.path.name,
            "kept": self.kept.path.name,
        }

    @classmethod
    def at(cls, root: Path, folders: Mapping[str, Json]) -> Curated:
        """The inverse of `folders`."""
        where = root / "artifacts"

        def named(role: str) -> dict[str, Artifact]:
            return {n: Artifact(where / folder) for n, folder in cast("dict[str, str]", folders[role]).items()}

        return cls(
            read=Artifact(where / str(folders["read"])),
            texts=named("texts"),
            signals=named("signals"),
            groups=named("groups"),
            sizes=named("sizes"),
            decisions=Artifact(where / str(folders["decisions"])),
            kept=Artifact(where / str(folders["kept"])),
        )

    @property
    def ledger(self) -> dict[str, Json]:
        """{"read", "kept", "dropped", "errored", ...}: it balances, or the run had failed."""
        return self.decisions.about


def curate(
    plan: CuratePlan,
    inputs: Sequence[str | Path],
    store: Store,
    engine: Engine,
    published: Artifact | None = None,
    forgotten: Forgotten = NOTHING,
) -> Curated:
    """Run a whole curation; finished parts are found, not made again.

    Args:
        plan: what to do.
        inputs: files and folders.
        store, engine: where results lie, and where tasks run.
        published: Decisions of an earlier run; what was kept there is not dropped for a duplicate that came later.
        forgotten: records that are not read.
    """
    sources, ignored = find_sources(inputs, plan.readers)
    read = read_sources(plan, sources, store, engine, forgotten)
    return curate_read(plan, read, ignored, store, engine, published)


def curate_read(
    plan: CuratePlan,
    read: Artifact,
    ignored: Sequence[str],
    store: Store,
    engine: Engine,
    published: Artifact | None = None,
) -> Curated:
    """All that comes after reading."""
    texts, signals, sizes = process(plan, read, store, engine, published)
    groups = {deduper.name(): group(deduper, signals[deduper.name()], store) for deduper in plan.dedupers}
    measured = Measured(read, texts, signals, groups, sizes)
    decisions = decide(plan, measured, ignored, store, published)
    languages = signals[plan.identifier.name()] if plan.identifier else None
    kept = keep(measured.final, decisions, languages, store, engine)
    return Curated(read, texts, signals, groups, sizes, decisions, kept)


def process(
    plan: CuratePlan, read: Artifact, store: Store, engine: Engine, published: Artifact | None = None
) -> tuple[dict[str, Artifact], dict[str, Artifact], dict[str, Artifact]]:
    """(texts, signals, sizes): edits make new text versions; methods between two edits share one reading of the text.

    The bytes of every text version are measured along, for the ledger.
    """
    texts: dict[str, Artifact] = {}
    signals: dict[str, Artifact] = {}
    sizes: dict[str, Artifact] = {}
    text, version, waiting = read, READ, list[Filter | Deduper]()
    for step in (*plan.steps, None):
        if isinstance(step, Filter | Deduper):
            waiting.append(step)
            continue
        found = measure([Size(), *(m for m in waiting if m.name() != Size.name())], text, store, engine)
        signals.update({method.name(): found[method.name()] for method in waiting})
        sizes[version] = found[Size.name()]
        waiting = []
        if isinstance(step, Edit):
            version = step.path()
            if isinstance(step, PassageDeduper):
                text = texts[version] = cut_passages(step, text, read, published, store, engine)
            else:
                text = texts[version] = edit(step, text, store, engine)
    return texts, signals, sizes


def edit(step: Edit, text: Artifact, store: Store, engine: Engine) -> Artifact:
    """A new text version."""

    def fill(draft: Draft) -> dict[str, Json]:
        if text.rows:
            tasks.warm([step])
        work = [tasks.EditTask(_shard_name(shard), shard, step, draft) for shard in text.shards()]
        engine.run(tasks.edit_shard, work, label=step.name(), total=text.rows, unit="documents")
        return {}

    return store.make(Request("Documents", step.name(), step.identity(), {"text": text.fingerprint}), fill)


def cut_passages(
    step: PassageDeduper, text: Artifact, read: Artifact, published: Artifact | None, store: Store, engine: Engine
) -> Artifact:
    """A new text version without passages that stand elsewhere; what was published before keeps them before others."""
    parents = {"text": text.fingerprint, **({"published": published.fingerprint} if published else {})}
    made = store.find(Request("Documents", step.name(), step.identity(), parents))
    if made is not None:
        return made
    ids = document_ids(read)
    return cut_repeats(step, text, ids, published_among(ids, published), parents, store, engine)


def measure(methods: Sequence[Filter | Deduper], text: Artifact, store: Store, engine: Engine) -> dict[str, Artifact]:
    """Signals of each method on this text version, by method name."""
    learned = {m.name(): learn(m, text, store) for m in methods if isinstance(m, Deduper) and m.learns()}
    requests = {m.name(): Request("Signals", m.name(), _measuring(m), {"text": text.fingerprint}) for m in methods}
    missing = [method for method in methods if store.find(requests[method.name()]) is None]
    if missing:
        if text.rows:
            tasks.warm(missing)  # compile kernels once, here, before workers start
        drafts = tuple(store.draft(requests[method.name()]) for method in missing)
        known = {name: artifact.path for name, artifact in learned.items()}
        work = [tasks.MeasureTask(_shard_name(s), s, tuple(missing), drafts, known) for s in text.shards()]
        label = "measure " + ", ".join(method.name() for method in missing)
        engine.run(tasks.measure_shard, work, label=label, total=text.rows, unit="documents")
        for draft in drafts:
            draft.finish({})
    return {name: cast(Artifact, store.find(request)) for name, request in requests.items()}


def _measuring(method: Filter | Deduper) -> dict[str, Json]:
    return method.measuring() if isinstance(method, Filter) else method.identity()


def group(deduper: Deduper, signatures: Artifact, store: Store) -> Artifact:
    """The documents that have duplicates, with their groups. One column of signatures at a time is in memory."""

    def fill(draft: Draft) -> dict[str, Json]:
        columns = arrow.Shards(signatures.shards())
        members = Members.of(deduper.name(), deduper.groups(columns) if columns.num_rows else np.zeros(0, np.int64))
        draft.write_table("part-00000.parquet", arrow.table({"row": members.row_M, "group": members.group_M}))
        return {}

    label = f"{deduper.name()}_groups"
    return store.make(Request("Signals", label, deduper.identity(), {"signatures": signatures.fingerprint}), fill)


def decide(
    plan: CuratePlan, measured: Measured, ignored: Sequence[str], store: Store, published: Artifact | None = None
) -> Artifact:
    """Decisions, shard by shard of the documents, with the ledger in the manifest."""
    made = {**measured.signals, **measured.texts, "read": measured.read}
    made |= {f"{name}_groups": artifact for name, artifact in measured.groups.items()}
    made |= {"published": published} if published else {}
    parents = {name: artifact.fingerprint for name, artifact in made.items()}
    steps: list[Json] = [cast(Json, {step.path(): step.to_json()}) for step in plan.steps]
    identity: dict[str, Json] = {"steps": steps, "survivors": encode(plan.survivors), "ignored": list[Json](ignored)}
    identity["by_language"] = encode(plan.by_language)

    def fill(draft: Draft) -> dict[str, Json]:
        ids = document_ids(measured.read)
        findings = find(plan, measured, published=published)
        verdicts = findings.verdicts()
        for shard, start, stop in measured.bounds():
            draft.write_table(shard, verdicts.table(ids, start, stop))
        findings.leave(draft, ids)
        table = account(plan, measured, verdicts.reason_names, verdicts.reason_N, ids)
        draft.write_table(f"{STEM}-00000.parquet", table)
        return {**summary(table), "ignored_files": list[Json](ignored)}

    return store.make(Request("Decisions", "all", identity, parents), fill)


def keep(
    final: Artifact, decisions: Artifact | None, language: Artifact | None, store: Store, engine: Engine
) -> Artifact:
    """The kept documents, as the user gets them; all of them where nothing was decided."""
    parents = {"documents": final.fingerprint, **({"decisions": decisions.fingerprint} if decisions else {})}

    def fill(draft: Draft) -> dict[str, Json]:
        work = [
            tasks.KeepTask(
                _shard_name(shard),
                shard,
                decisions.path / shard.name if decisions else None,
                language.path / shard.name if language else None,
                draft,
            )
            for shard in final.shards()
        ]
        engine.run(tasks.keep_shard, work, label="write kept", total=final.rows, unit="documents")
        return {}

    return store.make(Request("Documents", "kept", {}, parents), fill)


def _shard_name(shard: Path) -> str:
    return shard.stem.removeprefix("part-")
