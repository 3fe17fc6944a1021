"""What the report says of a curation's quality: whom each rule drops, how well duplicates were found, what leaks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np

from seedbed.core import arrow
from seedbed.core.nouns import DocumentBatch
from seedbed.core.parameters import Json
from seedbed.curate.drops_by_language import drops_by_language
from seedbed.curate.filters import benchmark_overlap
from seedbed.curate.filters.benchmark_overlap import BenchmarkOverlap
from seedbed.pipeline import duplicates
from seedbed.pipeline.reporting_curation import Story
from seedbed.report.data import (
    BenchmarkItem,
    BenchmarkLeaks,
    Cut,
    DuplicateGroup,
    DuplicateSearch,
    DuplicateStratum,
    LanguageDrops,
    Share,
)
from seedbed.stats.intervals import Interval

N_LANGUAGES, N_ITEMS = 8, 12


def language_drops(story: Story) -> LanguageDrops | None:
    """First reasons by language, of the languages with the most documents; None where there is only one."""
    table = drops_by_language(story.plan, story.curated)
    names, rules = (cast("list[str]", arrow.strings(table, column)) for column in ("language", "rule"))
    documents, kept, first = (arrow.numpy(table, column).tolist() for column in ("documents", "kept", "first"))
    shares = {name: Share(name, n, left) for name, n, left in zip(names, documents, kept, strict=True)}
    shown = [name for name in shares if name][:N_LANGUAGES]
    if len(shown) < 2:
        return None
    cells = {(rule, name): n for rule, name, n in zip(rules, names, first, strict=True)}
    order = dict.fromkeys(rules)
    rows = [(rule, tuple(cells.get((rule, name), 0) for name in shown)) for rule in order]
    rows.sort(key=lambda row: _place(story, row[0]))
    return LanguageDrops(tuple(shares[name] for name in shown), tuple(row for row in rows if any(row[1])))


def _place(story: Story, rule: str) -> int:
    """Where a rule stands in the recipe."""
    steps = [step.name() for step in story.plan.steps]
    step = rule.partition(".")[0]
    return steps.index(step) if step in steps else len(steps)


def cuts(story: Story) -> Iterator[Cut]:
    """What every edit and passage deduper took out of texts, by kind, where it tells."""
    for step, text in story.curated.texts.items():
        passages, n_bytes, holders = Counter[str](), Counter[str](), dict[str, set[int]]()
        start = 0
        for shard in text.shards():
            spans = arrow.read_parquet(text.path / shard.name.replace("part-", "spans-", 1))
            rows, sizes = (arrow.numpy(spans, "row") + start, arrow.numpy(spans, "end") - arrow.numpy(spans, "start"))
            kinds = cast("list[str]", arrow.strings(spans, "kind"))
            for row, size, kind in zip(rows.tolist(), sizes.tolist(), kinds, strict=True):
                passages[kind] += 1
                n_bytes[kind] += size
                holders.setdefault(kind, set()).add(row)
            start += arrow.n_rows(shard)
        for kind in sorted(passages):
            left = sum(bool(story.kept[row]) for row in holders[kind])
            yield Cut(step.rpartition(".")[2], kind, passages[kind], n_bytes[kind], len(holders[kind]), left)


def duplicate_searches(story: Story, out: Path) -> Iterator[DuplicateSearch]:
    """Groups found by every deduper; precision and recall of those that were measured."""
    told = duplicates.measured(out)
    for step in story.plan.dedupers:
        members = arrow.numpy(story.curated.groups[step.name()].table(["group"]), "group")
        sizes = np.unique(members, return_counts=True)[1]
        about = told.get(step.name(), {})
        yield DuplicateSearch(
            method=step.name(),
            groups=len(sizes),
            in_groups=int(sizes.sum()),
            largest=int(sizes.max(initial=0)),
            dropped=len(story.dropped_for(f"{step.name()}.duplicate")),
            threshold=_number(about.get("threshold")),
            precision=_interval(about.get("precision")),
            recall=_interval(about.get("recall")),
            strata=tuple(_strata(about)),
            giants=tuple(_giants(about)),
            warnings=tuple(cast("list[str]", about.get("warnings", []))),
        )


def _strata(about: Mapping[str, Json]) -> Iterator[DuplicateStratum]:
    for stratum in cast("list[dict[str, Any]]", about.get("strata", [])):
        linked, together = _interval(stratum["linked"]), _interval(stratum["together"])
        if linked is not None and together is not None:
            yield DuplicateStratum(stratum["low"], stratum["high"], stratum["expected_linked"], linked, together)


def _giants(about: Mapping[str, Json]) -> Iterator[DuplicateGroup]:
    for group in cast("list[dict[str, Any]]", about.get("groups", [])):
        yield DuplicateGroup(group["documents"], group["unlike"]["value"], group["chained"])


def _number(value: Json) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _interval(told: Json) -> Interval | None:
    if not isinstance(told, dict):
        return None
    numbers = cast("dict[str, float]", told)
    return Interval(numbers["value"], numbers["low"], numbers["high"], 0.95, int(numbers["pairs"]))


def benchmark_leaks(story: Story) -> BenchmarkLeaks | None:
    """Benchmark items in the pool, by benchmark, and the items of which most was found."""
    step = next((step for step in story.plan.filters if isinstance(step, BenchmarkOverlap) and step.items), None)
    if step is None:
        return None
    items = step.item_report(_found(story, step))
    counts = benchmark_overlap.summary(items)
    rows = cast("list[dict[str, Any]]", cast(Any, items).to_pylist())
    worst = sorted((row for row in rows if row["n_documents"]), key=lambda row: (-row["share"], -row["likeness"]))
    return BenchmarkLeaks(
        method=step.name(),
        ngram=step.ngram,
        benchmarks=tuple((name, counts[name]) for name in sorted(counts)),
        worst=tuple(
            BenchmarkItem(
                item=f"{row['benchmark']}:{row['line']}",
                verdict=row["verdict"],
                share=row["share"],
                likeness=row["likeness"],
                documents=row["n_documents"],
                example=row["documents"][0],
                excerpt=row["excerpt"],
            )
            for row in worst[:N_ITEMS]
        ),
    )


def _found(story: Story, step: BenchmarkOverlap) -> Iterator[tuple[list[str], list[str]]]:
    signals = story.curated.signals[step.name()]
    for shard in story.curated.read.shards():
        ids = [key.hex() for key in DocumentBatch(arrow.read_parquet(shard, ["id"])).ids]
        yield ids, cast("list[str]", arrow.strings(arrow.read_parquet(signals.path / shard.name, ["found"]), "found"))
