"""Replay: the verdicts of a plan over what was measured, without reading text.

The first decision reads every signal. It leaves two small files in its artifact, the broken rules and the preference
among duplicates, so that a later one with other thresholds reads only the signals of the filters that changed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from seedbed.core import arrow
from seedbed.core.artifact import Artifact, Draft
from seedbed.core.parameters import Json, encode
from seedbed.curate.by_language import ByLanguage, failures, of_filter, rules_on
from seedbed.curate.contract import BoolArray, Filter, FloatArray, IntArray
from seedbed.curate.decide import Members, Preference, Verdicts, settle
from seedbed.curate.ledger import events
from seedbed.curate.plan import ABOUT_DOCUMENTS, CuratePlan

_BROKEN, _PREFERENCE, _IDS = "broken-00000.parquet", "preference-00000.parquet", "ids-00000.parquet"
_ERRORED = "errored"


@dataclasses.dataclass(frozen=True)
class Measured:
    """What verdicts are made from.

    Args:
        read: Documents as extracted, with events of records that did not become documents.
        texts: text version by step path; the last is the text that is kept.
        signals: Signals by filter or deduper name.
        groups: by deduper name, the documents it found more than once.
        sizes: bytes of every document, by text version: "read", then by step path.
    """

    read: Artifact
    texts: Mapping[str, Artifact]
    signals: Mapping[str, Artifact]
    groups: Mapping[str, Artifact]
    sizes: Mapping[str, Artifact]

    @property
    def final(self) -> Artifact:
        """The last text version."""
        return list(self.texts.values())[-1] if self.texts else self.read

    def bounds(self) -> Iterator[tuple[str, int, int]]:
        """(name, first row, row after the last) of every shard; as the manifest tells, so that none is opened."""
        files = cast("list[dict[str, Json]]", self.read.manifest["files"])
        start = 0
        for name, rows in sorted((str(file["name"]), cast(int, file["rows"])) for file in files):
            if name.startswith("part-"):
                yield name, start, start + rows
                start += rows


@dataclasses.dataclass(frozen=True)
class Findings:
    """What a plan finds in what was measured: broken rules, and duplicates with the preference among them."""

    rules: tuple[str, ...]
    broken_NR: BoolArray
    errored_N: BoolArray
    duplicates: tuple[Members, ...]
    preference: Preference

    def verdicts(self) -> Verdicts:
        """Who stays."""
        return settle(self.rules, self.broken_NR, self.errored_N, self.duplicates, self.preference)

    def leave(self, draft: Draft, id_N16: npt.NDArray[np.uint8]) -> None:
        """Write down what a later decision can use again."""
        columns = {rule: self.broken_NR[:, r] for r, rule in enumerate(self.rules)}
        draft.write_table(_BROKEN, arrow.table({**columns, _ERRORED: self.errored_N}))
        draft.write_table(_IDS, arrow.table({"id": arrow.id_column(id_N16)}))
        about = self.preference
        columns = {"row": about.row_U, "rank": about.rank_U, "published": about.published_U}
        draft.write_table(_PREFERENCE, arrow.table(columns))


def replay(plan: CuratePlan, measured: Measured, decided: Artifact | None = None) -> Verdicts:
    """Verdicts of a plan over stored numbers: what a changed threshold costs.

    Args:
        plan: it must measure what was measured.
        measured: the signals.
        decided: an earlier decision over the same signals, which makes this one fast.
    """
    return find(plan, measured, decided).verdicts()


def find(
    plan: CuratePlan, measured: Measured, decided: Artifact | None = None, published: Artifact | None = None
) -> Findings:
    """What `replay` decides from; `published` are the Decisions of an earlier run whose kept documents stay."""
    duplicates = tuple(_members(d.name(), measured.groups[d.name()]) for d in plan.dedupers)
    if decided is None:
        ids = document_ids(measured.read)
        errored_N = arrow.ids_in(ids, _failed(measured))
        rules, broken_NR = _broken(plan, measured, {}, len(ids))
        row_U = _union(duplicates)
        is_published = published_among(ids[row_U], published)
        preference = _preference(plan, measured, row_U, arrow.id_keys(ids[row_U]), is_published)
        return Findings(rules, broken_NR, errored_N, duplicates, preference)
    known = arrow.read_parquet(decided.path / _BROKEN)
    rules, broken_NR = _broken(plan, measured, _unchanged(plan, decided, known), known.num_rows)
    errored_N = arrow.numpy(known, _ERRORED).astype(np.bool_)
    return Findings(rules, broken_NR, errored_N, duplicates, _known_preference(plan, measured, decided))


def decided_ids(decided: Artifact) -> npt.NDArray[np.uint8]:
    """id_N16 over all shards, from the one file that a decision leaves."""
    return arrow.ids(arrow.read_parquet(decided.path / _IDS))


def document_ids(documents: Artifact) -> npt.NDArray[np.uint8]:
    """id_N16 over all shards."""
    return np.concatenate([arrow.ids(arrow.read_parquet(shard, ["id"])) for shard in documents.shards()])


def _members(deduper: str, groups: Artifact) -> Members:
    rows = groups.table()
    return Members(deduper, arrow.numpy(rows, "row"), arrow.numpy(rows, "group"))


def _union(duplicates: Sequence[Members]) -> IntArray:
    found = [members.row_M for members in duplicates]
    return np.unique(np.concatenate(found)) if found else np.zeros(0, np.int64)


def _failed(measured: Measured) -> npt.NDArray[np.uint8]:
    """Ids of the documents that a step failed on."""
    failed = [arrow.ids(events(a, ["id"])) for a in (*measured.texts.values(), *measured.signals.values())]
    return np.concatenate([np.zeros((0, 16), np.uint8), *failed])


def published_among(id_N16: npt.NDArray[np.uint8], published: Artifact | None) -> BoolArray:
    """Which documents were kept in the Decisions of an earlier run."""
    if published is None:
        return np.zeros(len(id_N16), np.bool_)
    rows = published.table(["id", "kept"])
    return arrow.ids_in(id_N16, arrow.ids(rows)[arrow.numpy(rows, "kept").astype(np.bool_)])


def _broken(
    plan: CuratePlan, measured: Measured, known: Mapping[str, pa.Table], n: int
) -> tuple[tuple[str, ...], BoolArray]:
    """(rules, broken_NR); the verdicts of filters in `known` are taken from there."""
    names = {step.name(): rules_on(step, plan.by_language) for step in plan.filters}
    rules = tuple(f"{step}.{rule}" for step, found in names.items() for rule in found)
    broken_NR = np.zeros((n, len(rules)), np.bool_, order="F")
    at = 0
    for step in plan.filters:
        here = broken_NR[:, at : (at := at + len(names[step.name()]))]
        if step.name() in known:
            for r, rule in enumerate(names[step.name()]):
                here[:, r] = arrow.numpy(known[step.name()], f"{step.name()}.{rule}")
            continue
        for shard, start, stop in measured.bounds():
            signals = arrow.read_parquet(measured.signals[step.name()].path / shard)
            languages = _languages(plan, step, measured, shard)
            for r, broken in enumerate(failures(step, signals, languages, plan.by_language).values()):
                here[start:stop, r] = broken
    return rules, broken_NR


def _languages(plan: CuratePlan, step: Filter, measured: Measured, shard: str) -> pa.Table | None:
    """The language of every document of a shard, where thresholds of this filter differ by it."""
    identifier = plan.identifier
    if identifier is None or not of_filter(step, plan.by_language):
        return None
    return arrow.read_parquet(measured.signals[identifier.name()].path / shard, ["language"])


def _unchanged(plan: CuratePlan, decided: Artifact, known: pa.Table) -> dict[str, pa.Table]:
    """The filters whose rules were the same in the earlier decision."""
    before = cast("list[Json]", _identity(decided)["steps"])
    by_language = cast(ByLanguage, _identity(decided)["by_language"])
    same = [step for step in plan.filters if of_filter(step, plan.by_language) == of_filter(step, by_language)]
    return {step.name(): known for step in same if {step.path(): step.to_json()} in before}


def _identity(decided: Artifact) -> dict[str, Json]:
    return cast("dict[str, Json]", decided.manifest["identity"])


def _known_preference(plan: CuratePlan, measured: Measured, decided: Artifact) -> Preference:
    rows = arrow.read_parquet(decided.path / _PREFERENCE)
    row_U, rank_U = (arrow.numpy(rows, name) for name in ("row", "rank"))
    published_U = arrow.numpy(rows, "published").astype(np.bool_)
    if encode(plan.survivors) == _identity(decided)["survivors"]:
        return Preference(row_U, rank_U, published_U)
    keys = arrow.id_keys(document_ids(measured.read)[row_U])
    return _preference(plan, measured, row_U, keys, published_U)


def _preference(
    plan: CuratePlan, measured: Measured, row_U: IntArray, key_U: npt.NDArray[np.uint64], published_U: BoolArray
) -> Preference:
    reads = dict.fromkeys(column for survivor in plan.survivors for column in survivor.reads())
    candidates = _candidates(measured, row_U, list(reads))
    worth_KU: list[FloatArray] = [survivor.worth(candidates) for survivor in plan.survivors] if len(row_U) else []
    return Preference.of(row_U, worth_KU, key_U, published_U)


def _candidates(measured: Measured, row_U: IntArray, columns: Sequence[str]) -> pa.Table:
    """Some columns of some rows, shard by shard, so that only what is asked for is in memory."""
    pieces: list[pa.Table] = []
    for shard, start, stop in measured.bounds() if columns else ():
        low, high = np.searchsorted(row_U, (start, stop))
        if low < high:
            found = {c: _stored(measured, shard, c) for c in columns}
            pieces.append(arrow.take(arrow.table(found), row_U[low:high] - start))
    return arrow.concat(pieces, pieces[0].schema if pieces else pa.schema([]))


def _stored(measured: Measured, shard: str, column: str) -> object:
    if column in ABOUT_DOCUMENTS:
        return arrow.read_parquet(measured.read.path / shard, [column]).column(column)
    method, _, signal = column.partition(".")
    return arrow.read_parquet(measured.signals[method].path / shard, [signal]).column(signal)
