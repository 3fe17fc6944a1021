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
import numpy.typing as npt

from seedbed.core import arrow
from seedbed.core.artifact import Artifact, Draft, Request, Store
from seedbed.core.errors import SeedbedError
from seedbed.core.fingerprint import library_versions
from seedbed.core.nouns import DocumentBatch
from seedbed.core.parameters import Json
from seedbed.curate import tasks
from seedbed.curate.contract import Deduper, Edit, Filter
from seedbed.curate.decide import Verdicts, failures, settle
from seedbed.curate.plan import CuratePlan
from seedbed.curate.sources import Source, cut, find_sources
from seedbed.engine.contract import Engine


@dataclasses.dataclass(frozen=True)
class Curated:
    """The artifacts of one curation.

    Args:
        read: Documents as extracted, with events of records that did not become documents.
        texts: text version by step path; the last is the text that is kept.
        signals: Signals by filter or deduper name.
        decisions, kept: verdicts, and the kept Documents with ids in hex.
    """

    read: Artifact
    texts: Mapping[str, Artifact]
    signals: Mapping[str, Artifact]
    decisions: Artifact
    kept: Artifact

    @property
    def final(self) -> Artifact:
        """The last text version."""
        return list(self.texts.values())[-1] if self.texts else self.read

    def folders(self) -> dict[str, Json]:
        """Where everything lies, by role, as folder names."""
        return {
            "read": self.read.path.name,
            "texts": {name: artifact.path.name for name, artifact in self.texts.items()},
            "signals": {name: artifact.path.name for name, artifact in self.signals.items()},
            "decisions": self.decisions.path.name,
            "kept": self.kept.path.name,
        }

    @classmethod
    def at(cls, root: Path, folders: Mapping[str, Json]) -> Curated:
        """The inverse of `folders`."""
        where = root / "artifacts"
        texts, signals = (cast("dict[str, str]", folders[role]) for role in ("texts", "signals"))
        return cls(
            read=Artifact(where / str(folders["read"])),
            texts={name: Artifact(where / folder) for name, folder in texts.items()},
            signals={name: Artifact(where / folder) for name, folder in signals.items()},
            decisions=Artifact(where / str(folders["decisions"])),
            kept=Artifact(where / str(folders["kept"])),
        )

    @property
    def ledger(self) -> dict[str, Json]:
        """{"read", "kept", "dropped", "errored", ...}: it balances, or the run had failed."""
        return self.decisions.about


def curate(plan: CuratePlan, inputs: Sequence[str | Path], store: Store, engine: Engine) -> Curated:
    """Run a whole curation; finished parts are found, not made again."""
    sources, ignored = find_sources(inputs, plan.readers)
    read = read_sources(plan, sources, store, engine)
    texts, signals = process(plan, read, store, engine)
    decisions = decide(plan, read, texts, signals, ignored, store)
    final = list(texts.values())[-1] if texts else read
    kept = keep(final, decisions, signals.get("language"), store, engine)
    return Curated(read, texts, signals, decisions, kept)


def read_sources(plan: CuratePlan, sources: Sequence[Source], store: Store, engine: Engine) -> Artifact:
    """Documents as extracted."""
    shards = cut(sources, plan.shard_bytes)
    files: list[Json] = [cast(Json, source.identity()) for source in sources]
    identity: dict[str, Json] = {
        "files": files,
        "extractor": dict(plan.extractor.identity()),
        "shard_bytes": plan.shard_bytes,
        "libraries": library_versions("fastwarc", "resiliparse"),
    }

    def fill(draft: Draft) -> dict[str, Json]:
        work = [tasks.ReadTask(f"{i:05d}", shard, plan.extractor, draft) for i, shard in enumerate(shards)]
        total = sum(source.size for source in sources)
        engine.run(tasks.read_shard, work, label="read", total=total, unit="B")
        receipts = [draft.receipt(f"part-{task.name}.parquet") or {} for task in work]
        return {"read": sum(cast("dict[str, int]", receipt["about"])["read"] for receipt in receipts)}

    return store.make(Request("Documents", "read", identity), fill)


def process(
    plan: CuratePlan, read: Artifact, store: Store, engine: Engine
) -> tuple[dict[str, Artifact], dict[str, Artifact]]:
    """(texts, signals): edits make new text versions; methods between two edits share one reading of the text."""
    texts: dict[str, Artifact] = {}
    signals: dict[str, Artifact] = {}
    text, waiting = read, list[Filter | Deduper]()
    for step in (*plan.steps, None):
        if isinstance(step, Filter | Deduper):
            waiting.append(step)
            continue
        signals.update(measure(waiting, text, store, engine))
        waiting = []
        if isinstance(step, Edit):
            text = texts[step.path()] = edit(step, text, store, engine)
    return texts, signals


def edit(step: Edit, text: Artifact, store: Store, engine: Engine) -> Artifact:
    """A new text version."""

    def fill(draft: Draft) -> dict[str, Json]:
        work = [tasks.EditTask(_shard_name(shard), shard, step, draft) for shard in text.shards()]
        engine.run(tasks.edit_shard, work, label=step.name(), total=text.rows, unit="documents")
        return {}

    return store.make(Request("Documents", step.name(), step.identity(), {"text": text.fingerprint}), fill)


def measure(methods: Sequence[Filter | Deduper], text: Artifact, store: Store, engine: Engine) -> dict[str, Artifact]:
    """Signals of each method on this text version, by method name."""
    requests = {m.name(): Request("Signals", m.name(), _measuring(m), {"text": text.fingerprint}) for m in methods}
    missing = [method for method in methods if store.find(requests[method.name()]) is None]
    if missing:
        for method in missing:  # compile kernels once, here, before workers start
            tasks.warm(method)
        drafts = tuple(store.draft(requests[method.name()]) for method in missing)
        work = [tasks.MeasureTask(_shard_name(s), s, tuple(missing), drafts) for s in text.shards()]
        label = "measure " + ", ".join(method.name() for method in missing)
        engine.run(tasks.measure_shard, work, label=label, total=text.rows, unit="documents")
        for draft in drafts:
            draft.finish({})
    return {name: cast(Artifact, store.find(request)) for name, request in requests.items()}


def _measuring(method: Filter | Deduper) -> dict[str, Json]:
    return method.measuring() if isinstance(method, Filter) else method.identity()


def decide(
    plan: CuratePlan,
    read: Artifact,
    texts: Mapping[str, Artifact],
    signals: Mapping[str, Artifact],
    ignored: Sequence[str],
    store: Store,
) -> Artifact:
    """Decisions, shard by shard of the documents, with the ledger in the manifest."""
    parents = {"read": read.fingerprint, **{name: artifact.fingerprint for name, artifact in signals.items()}}
    parents.update({name: artifact.fingerprint for name, artifact in texts.items()})
    steps: list[Json] = [cast(Json, {step.path(): step.to_json()}) for step in plan.steps]
    identity: dict[str, Json] = {"steps": steps, "survivor": plan.survivor, "ignored": list[Json](ignored)}

    def fill(draft: Draft) -> dict[str, Json]:
        ids = document_ids(read)
        verdicts = replay(plan, read, texts, signals)
        start = 0
        for shard in read.shards():
            stop = start + arrow.n_rows(shard)
            draft.write_table(f"part-{_shard_name(shard)}.parquet", verdicts.table(ids, start, stop))
            start = stop
        return {**ledger(verdicts, read, [*texts.values(), *signals.values()]), "ignored_files": list[Json](ignored)}

    return store.make(Request("Decisions", "all", identity, parents), fill)


def replay(
    plan: CuratePlan, read: Artifact, texts: Mapping[str, Artifact], signals: Mapping[str, Artifact]
) -> Verdicts:
    """Verdicts of a plan over stored signals. No text is read, so this is also what a changed threshold costs."""
    ids = document_ids(read)
    errored = _errored([*texts.values(), *signals.values()], ids)
    pieces: list[npt.NDArray[np.bool_]] = []
    rules: tuple[str, ...] = ()
    for shard in read.shards():
        tables = {f.name(): arrow.read_parquet(signals[f.name()].path / shard.name) for f in plan.filters}
        rules, broken = failures(plan.filters, tables)
        pieces.append(broken if plan.filters else np.zeros((arrow.n_rows(shard), 0), np.bool_))
    broken_NR = np.concatenate(pieces) if pieces else np.zeros((0, 0), np.bool_)
    groups = [(deduper, deduper.groups(signals[deduper.name()].table())) for deduper in plan.dedupers]
    return settle(rules, broken_NR, errored, groups, _worth(plan, signals, len(ids)), arrow.id_keys(ids))


def document_ids(documents: Artifact) -> npt.NDArray[np.uint8]:
    """id_N16 over all shards."""
    return np.concatenate([arrow.ids(arrow.read_parquet(shard, ["id"])) for shard in documents.shards()])


def _worth(plan: CuratePlan, signals: Mapping[str, Artifact], n: int) -> npt.NDArray[np.float64]:
    if not plan.survivor:
        return np.zeros(n)
    method, _, signal = plan.survivor.partition(".")
    if method not in signals or signal not in signals[method].table().column_names:
        known = [f"{f.name()}.{s.name}" for f in plan.filters for s in f.signals]
        raise SeedbedError("curate.survivor", f"no signal {plan.survivor!r}", f"Known: {', '.join(known)}.")
    return arrow.numpy(signals[method].table([signal]), signal).astype(np.float64)


def _errored(artifacts: Sequence[Artifact], ids: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    failed = {key for artifact in artifacts for key in _event_ids(artifact)}
    if not failed:
        return np.zeros(len(ids), np.bool_)
    return np.array([row.tobytes() in failed for row in ids], np.bool_)


def _event_ids(artifact: Artifact) -> list[bytes]:
    return DocumentBatch(artifact.table(["id"], stem="events")).ids


def ledger(verdicts: Verdicts, read: Artifact, later: Sequence[Artifact]) -> dict[str, Json]:
    """The account of every record. Raises SeedbedError if it does not balance: an unknown loss is a failure."""
    dropped: dict[str, int] = {}
    errored: dict[str, int] = {}
    seen: set[bytes] = set()
    for artifact in (read, *later):
        rows = artifact.table(["id", "kind", "reason"], stem="events")
        columns = zip(DocumentBatch(rows).ids, arrow.strings(rows, "kind"), arrow.strings(rows, "reason"), strict=True)
        for key, kind, reason in columns:
            if key not in seen:  # a document is counted once, at the first step that failed on it
                seen.add(key)
                counts = dropped if kind == "dropped" else errored
                counts[str(reason)] = counts.get(str(reason), 0) + 1
    dropped.update(verdicts.dropped())
    n_read, kept = cast(int, read.about["read"]), int(verdicts.kept_N.sum())
    if n_read != kept + sum(dropped.values()) + sum(errored.values()):
        counts = f"read {n_read}, kept {kept}, dropped {dropped}, errored {errored}"
        raise SeedbedError("ledger", f"documents were lost: {counts}", "This is a fault in Seedbed: please report it.")
    return {"read": n_read, "kept": kept, "dropped": dict[str, Json](dropped), "errored": dict[str, Json](errored)}


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
