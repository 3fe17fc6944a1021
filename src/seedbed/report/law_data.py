"""What the section on a law is made of: plain numbers and texts."""

from __future__ import annotations

import dataclasses

from seedbed.stats.intervals import Interval


@dataclasses.dataclass(frozen=True)
class Band:
    """A curve and its interval: what the law says of one new run along it."""

    at: tuple[float, ...]
    value: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class LawCurve:
    """Loss against tokens at one model size: what the law says, and the runs it saw there."""

    params: float
    band: Band
    run_tokens: tuple[float, ...]
    run_loss: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class IsoFlop:
    """Loss against parameters at one budget, and where it is lowest; no lowest point where it lies too far away."""

    flops: float
    band: Band
    params: Interval | None = None
    value: float | None = None


@dataclasses.dataclass(frozen=True)
class Residual:
    """One run: what the law says of it, how far it was off (a fraction of it, or in units of the answer), its group."""

    fitted: float
    off: float
    group: int


@dataclasses.dataclass(frozen=True)
class Outcome:
    """A forecast from the ledger, and what came; nothing came yet where `observed` is empty."""

    plan: tuple[tuple[str, float], ...]
    value: float
    low: float
    high: float
    observed: tuple[float, ...] = ()
    inside: bool | None = None
    prospective: bool | None = None
    law: str = ""

    @property
    def mean(self) -> float | None:
        """Of the seeds."""
        return sum(self.observed) / len(self.observed) if self.observed else None

    @property
    def error(self) -> float | None:
        """What the forecast was off by, as a fraction of what came."""
        return None if self.mean is None else self.value / self.mean - 1


@dataclasses.dataclass(frozen=True)
class LawFit:
    """A fitted law.

    Args:
        method: its name.
        answer: what it foretells.
        coefficients: with their intervals.
        level: of all intervals.
        relative: whether residuals are fractions.
        facts: (what, value) about the fit.
        warnings: what the runs do not tell.
        curves: a model size each; none for a law of other things.
        groups: names of the groups of runs, as residuals number them.
        residuals: of each run.
        isoflops: a budget each.
        frontier: the lowest loss for each budget, where the law can tell.
        runs: (FLOP, loss, group) of each run, for the frontier.
        outcomes: forecasts made before the run.
    """

    method: str
    answer: str
    coefficients: tuple[tuple[str, Interval], ...]
    level: float
    relative: bool = True
    facts: tuple[tuple[str, str], ...] = ()
    warnings: tuple[str, ...] = ()
    curves: tuple[LawCurve, ...] = ()
    groups: tuple[str, ...] = ()
    residuals: tuple[Residual, ...] = ()
    isoflops: tuple[IsoFlop, ...] = ()
    frontier: Band | None = None
    runs: tuple[tuple[float, float, int], ...] = ()
    outcomes: tuple[Outcome, ...] = ()
