"""Two dialects of one filter on the same documents: what they disagree on, by rule, with examples and both numbers."""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, cast, get_args

import pyarrow as pa

from seedbed import catalogue
from seedbed.core import arrow, parameters
from seedbed.core.errors import RecipeError, did_you_mean
from seedbed.core.fingerprint import hash_bytes
from seedbed.core.nouns import DOCUMENTS, DocumentBatch
from seedbed.curate.contract import Filter, Record
from seedbed.curate.dialects import compare
from seedbed.curate.plan import CuratePlan
from seedbed.curate.sources import Source, find_sources
from seedbed.pipeline.workplace import curated_at, local, resolve

BATCH_DOCUMENTS = 256
PER_RULE = 3
EXCERPT_CHARS = 160


@dataclasses.dataclass(frozen=True)
class Example:
    """A document that one dialect keeps and the other drops, with one rule that makes the difference.

    Args:
        id, url, file: of the document.
        kept_by: the dialect that keeps it.
        rule, signal: the rule, and the number it looks at.
        values, thresholds: of the first and of the second dialect; None where it measures no such number.
        beginning: of its text.
    """

    id: str
    url: str
    file: str
    kept_by: str
    rule: str
    signal: str
    values: tuple[float | None, float | None]
    thresholds: tuple[float | None, float | None]
    beginning: str


@dataclasses.dataclass(frozen=True)
class DialectComparison:
    """Verdicts of two dialects.

    Args:
        method, dialects: what was compared.
        documents: how many; kept_by_both, kept_by_first, kept_by_second and kept_by_none add up to it.
        rules: rule -> documents on which it makes the difference, by the dialect that keeps them.
        examples: some for every such rule.
    """

    method: str
    dialects: tuple[str, str]
    documents: int
    kept_by_both: int
    kept_by_first: int
    kept_by_second: int
    kept_by_none: int
    rules: dict[str, dict[str, int]]
    examples: tuple[Example, ...]

    @property
    def agreement(self) -> float:
        """Fraction of documents with the same verdict."""
        return (self.kept_by_both + self.kept_by_none) / self.documents if self.documents else 1.0


def compare_dialects(
    method: str, first: str, second: str, plan: CuratePlan, inputs: Sequence[str], max_documents: int | None = None
) -> DialectComparison:
    """Compare two dialects of a filter.

    Args:
        method: name of the filter.
        first, second: its dialects.
        plan: its readers and extractor read the inputs.
        inputs: files and folders, or the output folder of one curation, whose documents are taken as read.
        max_documents: no more than these.
    """
    filters = _in_dialect(method, first), _in_dialect(method, second)
    sums: Counter[str] = Counter()
    rules: dict[str, Counter[str]] = {}
    examples: dict[str, list[Example]] = {}
    for batch in _batches(plan, inputs, max_documents):
        found = compare(*filters, [batch])
        for name in ("documents", "kept_by_both", "kept_by_first", "kept_by_second", "kept_by_none"):
            sums[name] += getattr(found, name)
        for row in found.disagreements.to_pylist():
            keeper = first if row["kept_by"] == "first" else second
            rules.setdefault(row["rule"], Counter())[keeper] += 1
            some = examples.setdefault(row["rule"], [])
            if len(some) < PER_RULE:
                some.append(_example(batch, row, keeper))
    return DialectComparison(
        method=method,
        dialects=(first, second),
        **{
            name: sums[name]
            for name in ("documents", "kept_by_both", "kept_by_first", "kept_by_second", "kept_by_none")
        },
        rules={rule: dict(counts) for rule, counts in sorted(rules.items(), key=lambda item: -item[1].total())},
        examples=tuple(example for some in examples.values() for example in some),
    )


def _in_dialect(method: str, dialect: str) -> Filter:
    path = method if "." in method else f"curate.filters.{method}"
    known = get_args(parameters.hints(catalogue.load(path)).get("dialect"))
    if not known:
        has = [p.rpartition(".")[2] for p in catalogue.on_shelf("curate.filters")
               if "dialect" in parameters.hints(catalogue.load(p))]  # fmt: skip
        raise RecipeError(method, "has no dialects", f"These have: {', '.join(has)}.")
    if dialect not in known:
        raise RecipeError(dialect, f"{method} has no such dialect", did_you_mean(dialect, known))
    return cast(Filter, catalogue.build(Filter, {path: {"dialect": dialect}}, "dialect"))


def _example(batch: DocumentBatch, row: dict[str, Any], keeper: str) -> Example:
    document = batch.rows.slice(row["row"], 1).to_pylist()[0]
    return Example(
        id=row["id"].hex(),
        url=document["url"],
        file=f"{document['file']}:{document['offset']}",
        kept_by=keeper,
        rule=row["rule"],
        signal=row["signal"],
        values=(row["first"], row["second"]),
        thresholds=(row["first_threshold"], row["second_threshold"]),
        beginning=" ".join(document["text"][: 4 * EXCERPT_CHARS].split())[:EXCERPT_CHARS],
    )


def _batches(plan: CuratePlan, inputs: Sequence[str], max_documents: int | None) -> Iterator[DocumentBatch]:
    """The documents as read, up to a number."""
    tables = _stored(inputs[0]) if _is_output(inputs) else _read(plan, inputs)
    left = max_documents
    for rows in tables:
        some = rows if left is None else rows.slice(0, left)
        left = None if left is None else left - some.num_rows
        if some.num_rows:
            yield DocumentBatch(some)
        if left == 0:
            return


def _is_output(inputs: Sequence[str]) -> bool:
    return len(inputs) == 1 and (local(inputs[0]) / "artifacts" / "index.json").exists()


def _stored(out: str) -> Iterator[pa.Table]:
    for shard in curated_at(out).read.shards():
        yield from arrow.row_groups(shard)


def _read(plan: CuratePlan, inputs: Sequence[str]) -> Iterator[pa.Table]:
    sources, _ = find_sources(resolve(inputs), plan.readers)
    documents = (row for source in sources for row in _documents(plan, source))
    while rows := list(itertools.islice(documents, BATCH_DOCUMENTS)):
        yield pa.Table.from_pylist(rows, DOCUMENTS)


def _documents(plan: CuratePlan, source: Source) -> Iterator[dict[str, Any]]:
    with source.local() as path:
        for record in source.reader.records(path):
            if record.kind in ("drop", "error"):
                continue
            text = plan.extractor.extract(record) if record.kind == "html" else record.text
            yield _row(record, source, text)


def _row(record: Record, source: Source, text: str) -> dict[str, Any]:
    key = hash_bytes(source.relative.encode(), record.offset.to_bytes(8, "little"), record.content)
    about = {"text": text, "url": record.url, "source": record.source, "language": record.language}
    about |= {"date": record.date, "file": source.relative, "metadata": record.metadata}
    told = {name: value.encode("utf-8", "replace").decode() for name, value in about.items()}
    return {"id": key, "offset": record.offset, **told}
