"""The probe: about a thousand documents of the input taken through the plan, timed and weighed, before it runs.

Files are sampled evenly; of a large one only the beginning is read. Nothing of it stays.
"""

from __future__ import annotations

import contextlib
import dataclasses
import tempfile
import time
from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from seedbed.core import arrow
from seedbed.core.fingerprint import hash_bytes
from seedbed.core.nouns import DOCUMENTS, DocumentBatch
from seedbed.curate.contract import CurateStep, Edit, Filter, Record
from seedbed.curate.decide import BoolArray
from seedbed.curate.plan import CuratePlan
from seedbed.curate.sources import Source
from seedbed.curate.tasks import warm
from seedbed.curate.whole_file import WholeFileReader

N_DOCUMENTS = 1000
N_SOURCES = 8
N_WARM = 8
SAMPLED_BYTES = 16 << 20
"""What is read at most of all sampled files together; of each, the beginning."""

COLUMNS = ("url", "date", "language")


@dataclasses.dataclass(frozen=True)
class RuleShare:
    """What one rule does to the probed documents, as fractions of them.

    Args:
        rule: its name.
        breaking: break it.
        alone: break it and no other rule of the plan.
        dropped: drop for it, because no earlier rule did.
    """

    rule: str
    breaking: float
    alone: float
    dropped: float


@dataclasses.dataclass(frozen=True)
class StepCost:
    """What one step cost on the probed documents.

    Args:
        step: its path; "read" is reading and extracting.
        cpu_seconds: of one process, kernels warm. What steps share (words, lines) is paid by the first that asks.
        disk_bytes: of what it stores.
        rules: of a filter.
        failed: what a step said that failed on them.
    """

    step: str
    cpu_seconds: float
    disk_bytes: int
    rules: tuple[RuleShare, ...] = ()
    failed: str = ""


@dataclasses.dataclass(frozen=True)
class Probe:
    """What was seen.

    Args:
        input_bytes: of all files; seen_bytes: of the part that was sampled.
        records, not_text: in the sampled part; how many of them are no text.
        documents, text_bytes: probed.
        passing: fraction of them that break no rule.
        missing: column -> fraction of them that have nothing there.
        languages: language -> fraction of them, where the plan identifies it.
        steps: read, then the steps of the plan.
    """

    input_bytes: int
    seen_bytes: float
    records: int
    not_text: int
    documents: int
    text_bytes: int
    passing: float
    missing: Mapping[str, float]
    languages: Mapping[str, float]
    steps: tuple[StepCost, ...]

    @property
    def scale(self) -> float:
        """Documents of the whole input for one that was probed."""
        texts = self.records - self.not_text
        return self.input_bytes / max(self.seen_bytes, 1) * texts / max(self.documents, 1)


def probe(plan: CuratePlan, sources: Sequence[Source], n_documents: int = N_DOCUMENTS) -> Probe:
    """Sample the input and take the sample through the plan, kernels warm."""
    warm((plan.extractor, *plan.steps))
    start = time.process_time()
    sampled = sample(sources, n_documents)
    rows = _documents(plan, sampled)
    read_seconds = time.process_time() - start
    batch = DocumentBatch(arrow.table(rows, DOCUMENTS))
    size = sum(len(text.encode("utf-8", "replace")) for text in rows["text"])
    with tempfile.TemporaryDirectory(prefix="seedbed-") as folder:
        scratch = Path(folder) / "shard.parquet"
        first = StepCost("read", read_seconds, _stored(batch.rows, scratch))
        costs, broken = _steps(plan, batch, scratch)
    some = np.zeros(len(batch), np.bool_)
    for broken_N in broken.values():
        some |= broken_N
    return Probe(
        input_bytes=sum(source.size for source in sources),
        seen_bytes=sampled.seen_bytes,
        records=sampled.records,
        not_text=sampled.not_text,
        documents=len(batch),
        text_bytes=size,
        passing=1 - float(some.mean()) if len(batch) else 0.0,
        missing={name: _share_empty(rows[name]) for name in COLUMNS},
        languages=_languages(plan, batch),
        steps=(first, *_shared(costs, broken, len(batch))),
    )


@dataclasses.dataclass(frozen=True)
class Sampled:
    """Records of some files, and how much was looked at to find them."""

    records: int
    not_text: int
    seen_bytes: float
    chosen: list[tuple[Source, Record]]


def sample(sources: Sequence[Source], n_documents: int, n_sources: int = N_SOURCES) -> Sampled:
    """Up to `n_documents` records with text from files spread evenly over the input."""
    prefix = SAMPLED_BYTES // min(n_sources, max(len(sources), 1))
    n_some = n_sources if any(source.size > prefix for source in sources) else 25 * n_sources
    some = sources[:: max(1, -(-len(sources) // n_some))]
    each = max(1, -(-n_documents // max(len(some), 1)))
    records = not_text = 0
    seen, chosen = 0.0, list[tuple[Source, Record]]()
    for source in some:
        mine = 0
        with _beginning(source, prefix) as (path, share, limit):
            for record in source.reader.records(path):
                if record.kind == "error" and share < 1:
                    break  # the cut
                records += 1
                not_text += record.kind in ("drop", "error")
                if record.kind not in ("drop", "error") and mine < each:
                    chosen.append((source, record))
                    mine += 1
                if limit is not None and mine >= limit:
                    break
        seen += source.size * share
    return Sampled(records, not_text, seen, chosen[:n_documents])


@contextlib.contextmanager
def _beginning(source: Source, prefix: int) -> Generator[tuple[Path, float, int | None], None, None]:
    """(file to read, share of the source that it is, records to stop after)."""
    with source.local() as path:
        if source.size <= prefix or isinstance(source.reader, WholeFileReader):  # half a document is none
            yield path, 1.0, None
        elif path.suffix == ".parquet":  # its index is at its end: it is read itself, to a row
            rows = arrow.n_rows(path)
            limit = min(N_DOCUMENTS, rows)
            yield path, limit / max(rows, 1), limit
        else:
            with tempfile.TemporaryDirectory(prefix="seedbed-") as folder:
                cut = Path(folder) / path.name
                with path.open("rb") as whole:
                    cut.write_bytes(whole.read(prefix))
                yield cut, prefix / source.size, None


def _documents(plan: CuratePlan, sampled: Sampled) -> dict[str, list[Any]]:
    """The columns of the sampled records; one that cannot be extracted is left out."""
    rows: dict[str, list[Any]] = {name: [] for name in DOCUMENTS.names}
    for number, (source, record) in enumerate(sampled.chosen):
        try:
            text = plan.extractor.extract(record) if record.kind == "html" else record.text
        except Exception:
            continue
        key = hash_bytes(number.to_bytes(8, "little"), record.content)
        about = (record.url, record.source, record.language, record.date, source.relative)
        told = [value.encode("utf-8", "replace").decode() for value in (text, *about, record.metadata)]
        values = (key, *told[:6], record.offset, told[6])
        for name, value in zip(DOCUMENTS.names, values, strict=True):
            rows[name].append(value)
    return rows


def _steps(plan: CuratePlan, batch: DocumentBatch, scratch: Path) -> tuple[list[StepCost], dict[str, BoolArray]]:
    """(costs, rule -> which documents break it), step by step, each text version from the one before."""
    costs: list[StepCost] = []
    broken: dict[str, BoolArray] = {}
    for step in plan.steps:
        try:
            _ask(step, DocumentBatch(batch.rows.slice(0, N_WARM)))  # what a method loads or compiles for such text
            start = time.process_time()
            table = _ask(step, batch)
            spent = time.process_time() - start
        except Exception as error:
            costs.append(StepCost(step.path(), 0.0, 0, failed=f"{type(error).__name__}: {error}"))
            continue
        costs.append(StepCost(step.path(), spent, _stored(table, scratch)))
        if isinstance(step, Edit):
            batch = DocumentBatch(table)
        if isinstance(step, Filter):
            broken |= {f"{step.path()}.{rule}": found for rule, found in step.failures(table).items()}
    return costs, broken


def _ask(step: CurateStep, batch: DocumentBatch) -> pa.Table:
    """What a step makes of documents: new ones, signals or signatures."""
    if isinstance(step, Edit):
        return arrow.replace(batch.rows, "text", step.edit(batch).texts)
    return step.measure(batch) if isinstance(step, Filter) else step.signatures(batch)


def _shared(costs: Sequence[StepCost], broken: Mapping[str, BoolArray], n: int) -> Iterator[StepCost]:
    """The costs, with what the rules of each step do."""
    counts = np.sum(list(broken.values()), axis=0) if broken else np.zeros(n)
    gone = np.zeros(n, np.bool_)
    for cost in costs:
        rules: list[RuleShare] = []
        for path, broken_N in broken.items():
            if path.rpartition(".")[0] == cost.step:
                shares = (broken_N.mean(), (broken_N & (counts == 1)).mean(), (broken_N & ~gone).mean())
                rules.append(RuleShare(path.rpartition(".")[2], *(float(share) for share in shares)))
                gone |= broken_N
        yield dataclasses.replace(cost, rules=tuple(rules))


def _languages(plan: CuratePlan, batch: DocumentBatch) -> dict[str, float]:
    """Language -> fraction; as measured where the plan measures it, else as the records say."""
    if plan.identifier is not None and len(batch):
        names = arrow.strings(plan.identifier.measure(batch), "language")
    else:
        names = batch.column("language")
    counts = Counter(name for name in names if name)
    return {name: n / max(len(batch), 1) for name, n in counts.most_common()}


def _share_empty(values: Sequence[str]) -> float:
    return sum(not value for value in values) / len(values) if values else 0.0


def _stored(rows: Any, scratch: Path) -> int:
    """Bytes of a table as a shard."""
    arrow.write_parquet(scratch, rows)
    return scratch.stat().st_size
