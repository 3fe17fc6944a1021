"""What the report says of a curation, read from its artifacts: the account, the measured values, example documents."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from seedbed.core import arrow
from seedbed.core.artifact import Artifact
from seedbed.core.nouns import DocumentBatch
from seedbed.curate.by_language import failures, in_language, of_filter
from seedbed.curate.contract import Filter, Rule
from seedbed.curate.edits.mask_personal_data import MaskPersonalData
from seedbed.curate.edits.mask_secrets import MaskSecrets
from seedbed.curate.plan import CuratePlan
from seedbed.curate.replay import document_ids
from seedbed.curate.run import Curated
from seedbed.report import bins, wording
from seedbed.report.data import Distribution, DuplicatePair, Example, Funnel, Loss, Share

PER_REASON, N_KEPT, N_PAIRS, N_GROUPS = 2, 4, 2, 12
EXCERPT_CHARS = 420
LIKENESS_WORDS = 20_000
NO_ADDRESS = "no address"
_MIX = np.uint64(0x9E3779B97F4A7C15)

IntArray = npt.NDArray[np.int64]


@dataclasses.dataclass(frozen=True)
class Story:
    """A curation with the columns that several parts of the report look at, each read once."""

    curated: Curated
    plan: CuratePlan

    @cached_property
    def ids(self) -> npt.NDArray[np.uint8]:
        """id_N16."""
        return document_ids(self.curated.read)

    @cached_property
    def kept(self) -> npt.NDArray[np.bool_]:
        """Which documents were kept."""
        return arrow.numpy(self.curated.decisions.table(["kept"]), "kept").astype(np.bool_)

    @cached_property
    def reasons(self) -> tuple[list[str], IntArray]:
        """(names, code_N)."""
        return coded(self.curated.decisions.table(["reason"]), "reason")

    @cached_property
    def drawn(self) -> npt.NDArray[np.uint64]:
        """A number for every document that nothing but its id decides: examples are those with the smallest."""
        return arrow.id_keys(self.ids) * _MIX

    @cached_property
    def languages(self) -> pa.Table | None:
        """The column `language` as the plan's identifier measured it."""
        identifier = self.plan.identifier
        return self.curated.signals[identifier.name()].table(["language"]) if identifier else None

    def language_of(self, row: int) -> str:
        """As it was measured; empty where it was not."""
        return str(cast(Any, self.languages.column("language"))[row].as_py()) if self.languages is not None else ""

    def in_language_of(self, row: int, step: Filter) -> Filter:
        """The filter with the thresholds that hold in the language of a document."""
        return in_language(step, self.language_of(row), self.plan.by_language) if self.languages is not None else step

    def dropped_for(self, reason: str) -> IntArray:
        """Rows dropped with this first reason."""
        names, code_N = self.reasons
        return np.flatnonzero(code_N == names.index(reason)) if reason in names else np.zeros(0, np.int64)

    def some(self, rows: IntArray, n: int) -> list[int]:
        """At most n of the rows, drawn by id."""
        return cast("list[int]", rows[np.argsort(self.drawn[rows], kind="stable")[:n]].tolist())

    def text_measured_by(self, method: str) -> Artifact:
        """The text version that a filter or deduper looked at."""
        seen = cast("Mapping[str, str]", self.curated.signals[method].manifest["parents"])["text"]
        versions = (self.curated.read, *self.curated.texts.values())
        return next((text for text in versions if text.fingerprint == seen), self.curated.final)


def coded(rows: pa.Table, column: str) -> tuple[list[str], IntArray]:
    """A text column as (distinct values, code_N)."""
    if rows.num_rows == 0:
        return [], np.zeros(0, np.int64)
    column_array = cast(Any, rows.column(column)).combine_chunks().dictionary_encode()
    names = [str(name) for name in column_array.dictionary.to_pylist()]
    return names, np.asarray(column_array.indices.to_numpy(zero_copy_only=False), np.int64)


def funnel(story: Story) -> Funnel:
    """The account of every record, in recipe order."""
    ledger = story.curated.ledger
    read_bytes, kept_bytes = _bytes(story)
    kind, sources = _sources(story)
    return Funnel(
        read=cast(int, ledger["read"]),
        kept=cast(int, ledger["kept"]),
        losses=tuple(_losses(story)),
        read_bytes=read_bytes,
        kept_bytes=kept_bytes,
        sources=sources,
        source_kind=kind,
        languages=_languages(story),
        ignored_files=len(cast("list[str]", ledger.get("ignored_files", []))),
    )


def _losses(story: Story) -> Iterator[Loss]:
    """Records that gave no document, then step by step errors, rules and duplicates."""
    events = _events(story.curated)
    dropped = cast("dict[str, int]", story.curated.ledger["dropped"])
    steps = {step.name() for step in story.plan.steps}
    yield from (Loss(*key[:2], n, key[2]) for key, n in events.items() if key[0] not in steps)
    for step in story.plan.steps:
        yield from (Loss(*key[:2], n, key[2]) for key, n in events.items() if key[0] == step.name())
        names = [rule.name for rule in step.rules] if isinstance(step, Filter) else ["duplicate"]
        for name in names:
            if n := dropped.get(f"{step.name()}.{name}", 0):
                yield Loss(step.name(), name, n)


def _events(curated: Curated) -> dict[tuple[str, str, Any], int]:
    """(step, reason, kind) -> records that did not become documents or were quarantined, each counted once."""
    counts: Counter[tuple[str, str, Any]] = Counter()
    seen: set[bytes] = set()
    for artifact in (curated.read, *curated.texts.values(), *curated.signals.values()):
        rows = artifact.table(["id", "step", "reason", "kind"], stem="events")
        texts = (arrow.strings(rows, name) for name in ("step", "reason", "kind"))
        for key, step, reason, kind in zip(DocumentBatch(rows).ids, *texts, strict=True):
            if key not in seen:
                seen.add(key)
                counts[str(step).rpartition(".")[2], str(reason), kind] += 1
    return dict(sorted(counts.items()))


def _bytes(story: Story) -> tuple[int | None, int | None]:
    """(text of all documents, text of the kept ones) as extracted, where the filter `size` measured it."""
    size = story.curated.signals.get("size")
    if size is None or story.text_measured_by("size").path != story.curated.read.path:
        return None, None
    n_bytes = arrow.numpy(size.table(["n_bytes"]), "n_bytes")
    return int(n_bytes.sum()), int(n_bytes[story.kept].sum())


def _sources(story: Story) -> tuple[str, tuple[Share, ...]]:
    """(what a group is, the groups): sites; the top folders where all is one site; files where there are no URLs."""
    sites, folders, files = (list[str]() for _ in range(3))
    for rows in _rows(story.curated.read, ["url", "source"]):
        for url, source in zip(arrow.strings(rows, "url"), arrow.strings(rows, "source"), strict=True):
            site, _, path = (url or "").partition("://")[2].partition("/")
            sites.append(site or NO_ADDRESS)
            folders.append(path.partition("/")[0] if "/" in path else "/")
            files.append(source or "")
    known = set(sites)
    if known <= {NO_ADDRESS}:
        return "file", shares(files, story.kept)
    if len(known) == 1:
        return f"folder of {sites[0]}", shares(folders, story.kept)
    return "site", shares(sites, story.kept)


def shares(names: Sequence[str], kept: npt.NDArray[np.bool_]) -> tuple[Share, ...]:
    """What became of each group: the largest by name, the rest together."""
    read, left = Counter(names), Counter(name for name, is_kept in zip(names, kept.tolist(), strict=True) if is_kept)
    order = sorted(read, key=lambda name: (-read[name], name))
    found = [Share(name or "not known", read[name], left[name]) for name in order[:N_GROUPS]]
    if rest := order[N_GROUPS:]:
        label = f"{len(rest)} others" if len(rest) > 1 else rest[0]
        found.append(Share(label, sum(read[name] for name in rest), sum(left[name] for name in rest)))
    return tuple(found)


def _languages(story: Story) -> tuple[Share, ...]:
    if story.languages is None:
        return ()
    names, code_N = coded(story.languages, "language")
    return shares([names[code] for code in cast("list[int]", code_N.tolist())], story.kept)


def distributions(story: Story) -> Iterator[Distribution]:
    """A histogram a rule that looks at a number, in recipe order; rules that are switched off are left out."""
    for step in story.plan.filters:
        table = story.curated.signals[step.name()].table()
        broken = failures(step, table, story.languages, story.plan.by_language)
        signals = {signal.name: signal for signal in step.signals}
        own = of_filter(step, story.plan.by_language)
        for rule in step.rules:
            elsewhere = tuple((name, _limit(found[rule.name])) for name, found in own.items() if rule.name in found)
            threshold = _limit(getattr(step, rule.name)) if rule.side != "in" else None
            is_on = threshold is not None or any(limit is not None for _, limit in elsewhere)
            if rule.side == "in" or not is_on or signals[rule.signal].kind == "text":
                continue
            drawn = bins.binned(arrow.numpy(table, rule.signal), threshold, rule.side, broken[rule.name])
            yield Distribution(
                step=step.name(),
                rule=rule.name,
                signal=rule.signal,
                unit=signals[rule.signal].unit,
                side=rule.side,
                threshold=threshold,
                edges=drawn.edges,
                counts=drawn.counts,
                broken_counts=drawn.broken,
                scale=drawn.scale,
                documents=table.num_rows,
                broken=int(broken[rule.name].sum()),
                decided=len(story.dropped_for(f"{step.name()}.{rule.name}")),
                outside=drawn.outside,
                elsewhere=elsewhere,
            )


def _limit(threshold: float | None) -> float | None:
    return None if threshold is None else float(threshold)


def dropped_examples(story: Story) -> Iterator[Example]:
    """A few documents for every rule that decided, with the number that broke it."""
    reasons = story.curated.decisions.table(["failures"])
    for step in story.plan.filters:
        chosen = {rule: story.some(story.dropped_for(f"{step.name()}.{rule.name}"), PER_REASON) for rule in step.rules}
        wanted = [row for rows in chosen.values() for row in rows]
        if not wanted:
            continue
        found = _examples(story, story.text_measured_by(step.name()), wanted)
        values = story.curated.signals[step.name()].table()
        for rule, rows in chosen.items():
            for row in rows:
                reason = f"{step.name()}.{rule.name}"
                broken = cast("list[str]", cast(Any, reasons.column("failures"))[row].as_py())
                also = tuple(name for name in broken if name != reason)
                value = cast(Any, values.column(rule.signal))[row].as_py()
                finding = _finding(story.in_language_of(row, step), rule, value)
                yield dataclasses.replace(found[row], reason=reason, finding=finding, also=also)


def kept_examples(story: Story) -> tuple[Example, ...]:
    """A few kept documents, as they are kept."""
    rows = story.some(np.flatnonzero(story.kept), N_KEPT)
    found = _examples(story, story.curated.final, rows)
    return tuple(found[row] for row in rows)


def duplicate_pairs(story: Story) -> Iterator[DuplicatePair]:
    """A few dropped duplicates with the document that was kept in their place."""
    survivors = arrow.ids(story.curated.decisions.table(["survivor"]), "survivor")
    for step in story.plan.dedupers:
        lost = story.dropped_for(f"{step.name()}.duplicate")
        for row in story.some(lost, N_PAIRS):
            at = _survivor(story, survivors, row)
            both = _examples(story, story.text_measured_by(step.name()), [row, at])
            texts = _texts(story.text_measured_by(step.name()), [row, at])
            same = (survivors[lost] == survivors[row]).all(axis=1)
            yield DuplicatePair(
                method=step.name(),
                dropped=dataclasses.replace(both[row], reason=f"{step.name()}.duplicate"),
                survivor=both[at],
                dropped_for=int(same.sum()),
                likeness=likeness(texts[row], texts[at]),
            )


def _survivor(story: Story, survivors: npt.NDArray[np.uint8], row: int) -> int:
    """The kept row at the end of the chain: what survived one deduper may have been dropped by the next."""
    for _ in range(1 + len(story.plan.dedupers)):
        if story.kept[row]:
            break
        row = int(np.flatnonzero((story.ids == survivors[row]).all(axis=1))[0])
    return row


def likeness(first: str, second: str) -> float | None:
    """Share of word 5-grams (in any case) that two texts have in common; None where one has fewer than 5 words."""
    grams: list[set[tuple[str, ...]]] = []
    for text in (first, second):
        words = text.lower().split()[:LIKENESS_WORDS]
        grams.append(set(zip(*(words[i:] for i in range(5)), strict=False)))
    both = grams[0] | grams[1]
    return len(grams[0] & grams[1]) / len(both) if grams[0] and grams[1] else None


def _finding(step: Filter, rule: Rule, value: float | str) -> str:
    threshold = getattr(step, rule.name)
    name = wording.rule_name(rule.signal)
    if rule.side == "in":
        return f"{name}: {value or 'not known'}; kept is {', '.join(threshold)}"
    measured, limit = wording.apart(float(value), float(threshold))
    return f"{name}: {measured}; {'at least' if rule.side == 'min' else 'at most'} {limit} is kept"


def _examples(story: Story, documents: Artifact, rows: Iterable[int]) -> dict[int, Example]:
    """Row -> the document there."""
    fetched = dict(_fetch(documents, rows))
    shown = masked(story.plan, [found["text"] or "" for found in fetched.values()])
    return {
        row: Example(
            id=cast(bytes, found["id"]).hex(),
            url=found["url"] or found["source"] or "",
            language=found["language"] or "",
            measured_language=story.language_of(row),
            excerpt=wording.excerpt(text, EXCERPT_CHARS),
            n_chars=len(found["text"] or ""),
        )
        for (row, found), text in zip(fetched.items(), shown, strict=True)
    }


def masked(plan: CuratePlan, texts: list[str]) -> list[str]:
    """What the recipe masks is masked in examples too, of any text version: pages are handed on."""
    for step in plan.steps:
        if texts and isinstance(step, MaskPersonalData | MaskSecrets):
            edited = step.edit(DocumentBatch.of(texts)).texts
            texts = cast("list[str]", cast(Any, edited).to_pylist())
    return texts


def _texts(documents: Artifact, rows: Iterable[int]) -> dict[int, str]:
    return {row: found["text"] or "" for row, found in _fetch(documents, rows)}


def _fetch(documents: Artifact, rows: Iterable[int]) -> Iterator[tuple[int, dict[str, Any]]]:
    """(row, document) of some rows; only shards that hold one are opened."""
    wanted = sorted(set(rows))
    start = 0
    for shard in documents.shards():
        stop = start + arrow.n_rows(shard)
        if any(start <= row < stop for row in wanted):
            for group in arrow.row_groups(shard):
                inside = [row for row in wanted if start <= row < start + group.num_rows]
                chosen = arrow.take(group, np.array(inside, np.int64) - start)
                yield from zip(inside, cast("list[dict[str, Any]]", cast(Any, chosen).to_pylist()), strict=True)
                start += group.num_rows
        start = stop


def _rows(documents: Artifact, columns: list[str]) -> Iterator[pa.Table]:
    for shard in documents.shards():
        yield from arrow.row_groups(shard, columns)
