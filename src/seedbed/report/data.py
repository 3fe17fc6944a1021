"""What a report is made of: numbers and texts without artifacts, so that a page can be made and tested from nothing.

Every section may be absent: a folder that was only curated has no comparison, one without a ladder no law.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Literal

from seedbed.report.comparison_data import Trial
from seedbed.report.continual_data import Continual
from seedbed.report.law_data import LawFit
from seedbed.report.training_data import Training
from seedbed.stats.intervals import Interval

Side = Literal["min", "max"]


@dataclasses.dataclass(frozen=True)
class ArmResult:
    """One way to choose data, over its seeds.

    Args:
        arm: its name.
        role: "baseline", "ceiling", or empty.
        bits_per_byte: on the target, mean over seeds.
        at_equal_tokens, at_equal_cost: difference to the baseline in bits per byte, in pairs; below 0 is better. None
            for the baseline itself, and where it was not trained.
        flops_select, flops_train: cost of choosing and of training (FLOP).
        seconds_select: CPU-seconds of choosing, where they were logged.
        tokens: tokens trained on.
        unique_tokens, epochs: tokens of the chosen documents, each counted once, and how often they were read on
            average; None where the arm chose more than once.
        verdict: what is to be said of it, a few words or a sentence; or empty.
    """

    arm: str
    role: Literal["", "baseline", "ceiling"]
    bits_per_byte: Interval
    at_equal_tokens: Interval | None = None
    at_equal_cost: Interval | None = None
    flops_select: float = 0.0
    flops_train: float = 0.0
    seconds_select: float | None = None
    tokens: float = 0.0
    unique_tokens: float | None = None
    epochs: float | None = None
    verdict: str = ""


@dataclasses.dataclass(frozen=True)
class LossCurve:
    """The logged training losses of one arm under one seed."""

    arm: str
    seed: int
    tokens: tuple[float, ...]
    loss_nats_per_token: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class Comparison:
    """The head-to-head.

    Args:
        verdict: the outcome in plain words, a sentence an arm.
        notes: what limits it, as sentences.
        target: the domain that decides.
        arms: best first, or in recipe order: as they are to be shown.
        domains: (domain, arm -> mean bits per byte).
        curves: training losses.
        trial: methods against the baseline's measured curve, where there is one; it stands in place of the arms.
    """

    verdict: tuple[str, ...]
    target: str
    arms: tuple[ArmResult, ...]
    notes: tuple[str, ...] = ()
    domains: tuple[tuple[str, Mapping[str, float]], ...] = ()
    curves: tuple[LossCurve, ...] = ()
    trial: Trial | None = None


@dataclasses.dataclass(frozen=True)
class Loss:
    """How many documents one rule dropped, or one kind of error cost."""

    step: str
    rule: str
    documents: int
    kind: Literal["dropped", "errored"] = "dropped"


@dataclasses.dataclass(frozen=True)
class Share:
    """What became of one group of documents: a source, a language."""

    name: str
    read: int
    kept: int


@dataclasses.dataclass(frozen=True)
class Funnel:
    """The account of a curation: read = kept + the sum over `losses`.

    Args:
        losses: in the order in which documents were lost.
        read_bytes, kept_bytes: text as extracted, of all documents and of the kept ones (UTF-8 bytes), where measured.
        sources, languages: by group, the largest first.
        source_kind: what a source is here: "site", "folder of SITE", "file".
        ignored_files: input files that no reader takes.
    """

    read: int
    kept: int
    losses: tuple[Loss, ...] = ()
    read_bytes: int | None = None
    kept_bytes: int | None = None
    sources: tuple[Share, ...] = ()
    source_kind: str = "source"
    languages: tuple[Share, ...] = ()
    ignored_files: int = 0


@dataclasses.dataclass(frozen=True)
class Distribution:
    """The measured values of one rule, in bins.

    Args:
        step, rule, signal, unit: which number, and which rule looks at it.
        side: "min" drops below the threshold, "max" above.
        threshold: None where the rule is switched off.
        edges, counts: bins in the signal's own unit; edges are one more than counts.
        broken_counts: of each bin, the documents that break the rule by the threshold of their own language.
        scale: "log" where the edges grow by factors of 1 + value.
        documents, broken, decided: measured, breaking this rule, and dropped with this rule as first reason.
        outside: how many values lie left and right of the drawn range.
        elsewhere: (language, its own threshold), None where the rule is off in it.
    """

    step: str
    rule: str
    signal: str
    unit: str
    side: Side
    threshold: float | None
    edges: tuple[float, ...]
    counts: tuple[int, ...]
    broken_counts: tuple[int, ...]
    scale: Literal["linear", "log"]
    documents: int
    broken: int
    decided: int
    outside: tuple[int, int] = (0, 0)
    elsewhere: tuple[tuple[str, float | None], ...] = ()


@dataclasses.dataclass(frozen=True)
class Example:
    """One document, with what decided its fate.

    Args:
        language: as the document itself says, or empty.
        measured_language: as it was identified, or empty.
        reason: the first failing rule; empty for a kept document.
        finding: the measured value against the threshold, in words; or empty.
        also: further rules that it breaks.
    """

    id: str
    url: str
    language: str
    excerpt: str
    n_chars: int
    reason: str = ""
    finding: str = ""
    also: tuple[str, ...] = ()
    measured_language: str = ""


@dataclasses.dataclass(frozen=True)
class DuplicatePair:
    """A document dropped as a duplicate, and the one that was kept in its place.

    Args:
        method: the deduper.
        dropped_for: documents dropped for this survivor by this method.
        likeness: share of 5-word phrases that the two have in common (Jaccard), or None.
    """

    method: str
    dropped: Example
    survivor: Example
    dropped_for: int
    likeness: float | None = None


@dataclasses.dataclass(frozen=True)
class LanguageDrops:
    """What each rule took from each language, as first reason.

    Args:
        languages: the largest first: documents read and kept.
        rules: (rule, documents dropped of each language).
    """

    languages: tuple[Share, ...]
    rules: tuple[tuple[str, tuple[int, ...]], ...]


@dataclasses.dataclass(frozen=True)
class Cut:
    """Passages of one kind that one step cut or masked, in documents that were kept and that were not.

    Args:
        kind: what it was: an e-mail address, a repeated line.
        passages, n_bytes: how many, and how much text (UTF-8 bytes as the step met it).
        documents, kept: documents that held some, and those of them that were kept.
    """

    step: str
    kind: str
    passages: int
    n_bytes: int
    documents: int
    kept: int


@dataclasses.dataclass(frozen=True)
class DuplicateStratum:
    """Pairs whose true similarity lies in a range: how many were linked, and how many ended in one group."""

    low: float
    high: float
    expected_linked: float
    linked: Interval
    together: Interval


@dataclasses.dataclass(frozen=True)
class DuplicateGroup:
    """A large group: the share of its pairs that are below the threshold, and whether that makes it a chain."""

    documents: int
    unlike: float
    chained: bool


@dataclasses.dataclass(frozen=True)
class DuplicateSearch:
    """What one deduper found, and how well, where that was measured.

    Args:
        groups, in_groups, largest: groups of more than one, documents in them, documents in the largest.
        dropped: documents that it dropped.
        threshold: the similarity (Jaccard) from which on two documents should have been found.
        precision, recall: over pairs of this corpus whose true similarity was computed.
        strata: recall by similarity.
        giants: the largest groups.
        warnings: as sentences.
    """

    method: str
    groups: int
    in_groups: int
    largest: int
    dropped: int
    threshold: float | None = None
    precision: Interval | None = None
    recall: Interval | None = None
    strata: tuple[DuplicateStratum, ...] = ()
    giants: tuple[DuplicateGroup, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class BenchmarkItem:
    """One benchmark item of which something was found; `example` is the id of a document that holds it."""

    item: str
    verdict: str
    share: float
    likeness: float
    documents: int
    example: str
    excerpt: str


@dataclasses.dataclass(frozen=True)
class BenchmarkLeaks:
    """Benchmark items in the pool.

    Args:
        ngram: words of the n-grams that were looked for.
        benchmarks: (benchmark, verdict -> items; `by_chance`: found with their words shuffled).
        worst: the items of which most was found.
    """

    method: str
    ngram: int
    benchmarks: tuple[tuple[str, Mapping[str, int]], ...]
    worst: tuple[BenchmarkItem, ...] = ()


@dataclasses.dataclass(frozen=True)
class LeakItem:
    """One held-out item that was found in the pool, wholly or in part."""

    item: str
    domain: str
    share: float
    verdict: str


@dataclasses.dataclass(frozen=True)
class LeakCheck:
    """The audit of the held-out texts against the pool.

    Args:
        method: the audit.
        domains: (domain, verdict -> items).
        worst: the items with the largest share found, the worst first.
        caveat: what such a check does not see, as a sentence; or empty.
    """

    method: str
    domains: tuple[tuple[str, Mapping[str, int]], ...]
    worst: tuple[LeakItem, ...] = ()
    caveat: str = ""


@dataclasses.dataclass(frozen=True)
class StepTime:
    """What one artifact took to make."""

    artifact: str
    seconds: float | None
    cpu_seconds: float | None = None


@dataclasses.dataclass(frozen=True)
class Provenance:
    """How to get the same again: the recipe, versions, where things lie."""

    recipe_yaml: str = ""
    versions: tuple[tuple[str, str], ...] = ()
    times: tuple[StepTime, ...] = ()
    folders: tuple[tuple[str, str], ...] = ()


@dataclasses.dataclass(frozen=True)
class ReportData:
    """Everything on the page."""

    title: str
    about: str = ""
    inputs: tuple[str, ...] = ()
    comparison: Comparison | None = None
    funnel: Funnel | None = None
    distributions: tuple[Distribution, ...] = ()
    dropped: tuple[Example, ...] = ()
    kept: tuple[Example, ...] = ()
    duplicates: tuple[DuplicatePair, ...] = ()
    language_drops: LanguageDrops | None = None
    cuts: tuple[Cut, ...] = ()
    duplicate_searches: tuple[DuplicateSearch, ...] = ()
    benchmarks: BenchmarkLeaks | None = None
    leaks: LeakCheck | None = None
    law: LawFit | None = None
    training: Training | None = None
    continual: Continual | None = None
    provenance: Provenance = Provenance()
