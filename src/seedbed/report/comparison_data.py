"""What the section on a comparison of methods is made of: numbers and texts without artifacts."""

from __future__ import annotations

import dataclasses
from typing import Literal

from seedbed.stats.intervals import Interval

Verdict = Literal["", "better", "worse", "not after correction", "undecided", "not measured"]


@dataclasses.dataclass(frozen=True)
class Factor:
    """A speed-up: geometric mean over replicates.

    Args:
        bound: "at least" or "at most" where some replicates are censored, "unknown" where in both ways.
        words: as it is written out.
    """

    value: Interval
    bound: str
    words: str


@dataclasses.dataclass(frozen=True)
class Terms:
    """A method less the baseline, on one footing.

    Args:
        difference: in bits per byte, in pairs; below 0 is better.
        simultaneous: the interval that holds together with those of all other methods.
        p_holm: adjusted for the number of methods; None from one replicate.
    """

    difference: Interval
    simultaneous: Interval
    p_holm: float | None
    verdict: Verdict


@dataclasses.dataclass(frozen=True)
class MethodResult:
    """One method over its replicates.

    Args:
        target, mean_domain, worst_domain: bits per byte.
        at_equal_tokens, at_equal_cost: None for the baseline, and where it was not measured.
        speedup_equal_tokens, speedup_equal_cost: None without a curve.
        share_better: share of replicates that are better than the baseline's.
        tokens: trained on, mean.
    """

    method: str
    role: Literal["", "baseline", "ceiling"]
    seeds: int
    target: Interval
    mean_domain: Interval
    worst_domain: Interval
    at_equal_tokens: Terms | None
    at_equal_cost: Terms | None
    speedup_equal_tokens: Factor | None
    speedup_equal_cost: Factor | None
    share_better: float | None
    selection_flops: float
    training_flops: float
    unique_token_ratio: float
    tokens: float


@dataclasses.dataclass(frozen=True)
class CurvePoint:
    """The baseline trained on so many tokens, to the end of its own schedule."""

    tokens: float
    bits_per_byte: Interval


@dataclasses.dataclass(frozen=True)
class CostCurve:
    """Speed-up at equal total cost along one ratio.

    Args:
        axis: "size_ratio", "pool_ratio" or "reuse".
        at, value: the curve; low and high where there is an interval.
        own: the measured comparison's own (ratio, speed-up).
        breaks_even: in words.
    """

    method: str
    axis: str
    at: tuple[float, ...]
    value: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    own: tuple[float, float]
    breaks_even: str


@dataclasses.dataclass(frozen=True)
class Group:
    """Share of the tokens of one group of documents, in the pool and in what was chosen."""

    name: str
    pool: float
    chosen: float


@dataclasses.dataclass(frozen=True)
class PickedExample:
    """A document that a method scored highest among those it chose."""

    id: str
    source: str
    excerpt: str
    score: float | None
    copies: float


@dataclasses.dataclass(frozen=True)
class Picked:
    """What one method picked, mean over replicates.

    Args:
        groups: (what they are, groups): by domain, by language, by length, by decile of its own score.
        signals: (signal, mean percentile in the pool of what was chosen); 50 is as the pool.
        unique_token_ratio: share of the chosen tokens that are different.
        documents: chosen, each counted once.
        effective_documents: exp(entropy of the chosen tokens over documents): how many documents of equal part it
            would take to be spread as widely.
    """

    method: str
    groups: tuple[tuple[str, tuple[Group, ...]], ...]
    signals: tuple[tuple[str, float], ...]
    unique_token_ratio: float
    documents: float
    effective_documents: float
    examples: tuple[PickedExample, ...] = ()


@dataclasses.dataclass(frozen=True)
class Agreement:
    """How alike methods are.

    Args:
        methods: names, in order of rows and columns.
        spearman: rank correlation of scores over the pool; None where one has no scores, or one score for all.
        overlap: share of the chosen tokens that two have in common, under the same seed.
    """

    methods: tuple[str, ...]
    spearman: tuple[tuple[float | None, ...], ...]
    overlap: tuple[tuple[float, ...], ...]


@dataclasses.dataclass(frozen=True)
class Trial:
    """Methods against a baseline whose curve was measured.

    Args:
        target: the domain that decides.
        baseline: its name.
        methods: in the order in which they are shown.
        curve: the baseline at several lengths, shortest first.
        costs: curves of the break-even.
        picked, agreement: what was chosen.
    """

    target: str
    baseline: str
    methods: tuple[MethodResult, ...]
    curve: tuple[CurvePoint, ...]
    costs: tuple[CostCurve, ...] = ()
    picked: tuple[Picked, ...] = ()
    agreement: Agreement | None = None
