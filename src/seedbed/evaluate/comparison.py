"""Arms against a baseline: paired over seeds, with intervals, at equal tokens and at equal total cost, in plain words.

A table of results has a row for each (arm, seed, domain): bits_per_byte, tokens, flops_train, flops_select,
seconds_select. Arms that share a seed share start and data order, so their difference is taken seed by seed; lower is
better. A baseline trained longer, until its FLOP equal an arm's training plus selection, is named `<baseline>@<arm>`;
the arm is compared with it as well. Intervals are 95 % each: among twenty arms without any effect, one will stand out.
Where the baseline was trained at several lengths instead, see `speed_up` and `summary`.
"""

from __future__ import annotations

import dataclasses
from typing import Literal, TypeAlias, cast

import numpy as np
import pyarrow as pa

from seedbed.core.errors import SeedbedError, did_you_mean
from seedbed.core.parameters import Json
from seedbed.evaluate.rows import COLUMNS, Row, read_rows
from seedbed.stats.intervals import Interval, mean_interval, paired_interval

Terms: TypeAlias = Literal["equal tokens", "equal total cost"]

CONFIRMED_SEEDS = 5
"""With fewer, a result is called indicative."""
TOKENS_SLACK, COST_SLACK = 0.02, 0.05
"""How far apart (as a fraction) tokens or FLOP of two arms may be and still be called equal."""


@dataclasses.dataclass(frozen=True)
class ArmSummary:
    """One arm on one domain, averaged over its seeds."""

    arm: str
    domain: str
    bits_per_byte: Interval
    tokens: float
    flops_train: float
    flops_select: float
    seconds_select: float

    @property
    def flops(self) -> float:
        """Training and selection together."""
        return self.flops_train + self.flops_select


@dataclasses.dataclass(frozen=True)
class Difference:
    """An arm less its opponent, on one domain.

    Args:
        arm, opponent: names; the opponent is the baseline, or the baseline trained longer.
        terms: what the two are meant to share.
        domain: what was evaluated.
        bits_per_byte: mean paired difference with its t interval; below 0 the arm is better.
        seeds: the seeds both have.
        tokens_ratio, flops_ratio: arm over opponent; FLOP with selection.
        fair: whether the terms hold, within the slack.
    """

    arm: str
    opponent: str
    terms: Terms
    domain: str
    bits_per_byte: Interval
    seeds: tuple[int, ...]
    tokens_ratio: float
    flops_ratio: float
    fair: bool

    @property
    def verdict(self) -> Literal["better", "worse", "undecided"]:
        """What the interval allows to say."""
        if not self.bits_per_byte.excludes_zero:
            return "undecided"
        return "better" if self.bits_per_byte.value < 0 else "worse"

    @property
    def sentence(self) -> str:
        """The verdict in plain words, with the interval, the seeds and the terms."""
        return f"{_headline(self)} {_terms(self)}."


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Every arm on every domain, and its differences to the baseline.

    Args:
        baseline: the arm all others are held against.
        arms: averages, in order of first appearance.
        differences: at equal tokens, then at equal total cost where such a run exists.
        notes: what limits the comparison, as sentences.
    """

    baseline: str
    arms: tuple[ArmSummary, ...]
    differences: tuple[Difference, ...]
    notes: tuple[str, ...]

    def of(self, arm: str, domain: str, terms: Terms = "equal tokens") -> Difference | None:
        """One difference, where it was measured."""
        asked = (arm, domain, terms)
        return next((d for d in self.differences if (d.arm, d.domain, d.terms) == asked), None)

    def sentences(self, domain: str) -> tuple[str, ...]:
        """One sentence an arm: at equal tokens first, then at equal total cost."""
        said: list[str] = []
        for arm in dict.fromkeys(d.arm for d in self.differences if d.domain == domain):
            found = [self.of(arm, domain, terms) for terms in ("equal tokens", "equal total cost")]
            parts = [d.sentence.rstrip(".") for d in found if d is not None]
            if len({d.opponent for d in found if d is not None}) < len(parts):
                parts = [parts[0], "at equal total cost the same, for choosing cost next to nothing"]
            said.append("; ".join([parts[0], *(part.removeprefix(arm).strip() for part in parts[1:])]) + ".")
        return tuple(said)

    def to_json(self) -> dict[str, Json]:
        """Plain JSON, with verdicts and sentences written out."""
        plain = cast("dict[str, Json]", dataclasses.asdict(self))
        written = [
            {**dataclasses.asdict(d), "seeds": list(d.seeds), "verdict": d.verdict, "sentence": d.sentence}
            for d in self.differences
        ]
        arms = cast("list[Json]", [dataclasses.asdict(arm) for arm in self.arms])
        return {**plain, "arms": arms, "differences": cast("list[Json]", written), "notes": list(self.notes)}


def compare_arms(results: pa.Table, baseline: str, level: float = 0.95) -> Comparison:
    """Compare every arm with the baseline. Raises SeedbedError for missing columns, doubled rows or no shared seed."""
    rows = read_rows(results)
    arms = list(dict.fromkeys(row.arm for row in rows))
    if baseline not in arms:
        raise SeedbedError("results", f"there is no arm {baseline!r} to compare with", did_you_mean(baseline, arms))
    notes: list[str] = []
    differences: list[Difference] = []
    for arm in (arm for arm in arms if arm != baseline and not arm.startswith(f"{baseline}@")):
        at_equal_tokens = _against(rows, arm, baseline, "equal tokens", level, notes)
        differences += at_equal_tokens
        longer = f"{baseline}@{arm}"
        if longer in arms:
            differences += _against(rows, arm, longer, "equal total cost", level, notes)
        elif all(abs(d.flops_ratio - 1) <= COST_SLACK for d in at_equal_tokens):  # choosing cost next to nothing
            differences += [dataclasses.replace(d, terms="equal total cost", fair=True) for d in at_equal_tokens]
        else:
            notes.append(f"{arm}: no run {longer}, so nothing is said at equal total cost")
    averages = [_average(rows, arm, domain, level) for arm in arms for domain in _domains(rows, arm)]
    return Comparison(baseline, tuple(averages), tuple(differences), tuple(dict.fromkeys(notes)))


def _domains(rows: list[Row], arm: str) -> list[str]:
    return list(dict.fromkeys(row.domain for row in rows if row.arm == arm))


def _average(rows: list[Row], arm: str, domain: str, level: float) -> ArmSummary:
    own = [row for row in rows if (row.arm, row.domain) == (arm, domain)]
    means = {name: float(np.mean([getattr(row, name) for row in own])) for name in COLUMNS[4:]}
    return ArmSummary(arm, domain, mean_interval(np.array([row.bits_per_byte for row in own]), level), **means)


def _against(
    rows: list[Row], arm: str, opponent: str, terms: Terms, level: float, notes: list[str]
) -> list[Difference]:
    """The differences on every domain the arm was evaluated on."""
    found: list[Difference] = []
    for domain in _domains(rows, arm):
        ours, theirs = ({r.seed: r for r in rows if (r.arm, r.domain) == (name, domain)} for name in (arm, opponent))
        seeds = sorted(ours.keys() & theirs.keys())
        if not seeds:
            what = f"{arm} and {opponent} share no seed on {domain}"
            raise SeedbedError("results", what, "Run both from the same seeds: differences are taken seed by seed.")
        if alone := sorted(ours.keys() ^ theirs.keys()):
            notes.append(f"{arm} and {opponent} on {domain}: seeds {alone} have no partner and are left out")
        first, second = ([side[seed] for seed in seeds] for side in (ours, theirs))
        losses = [np.array([row.bits_per_byte for row in side]) for side in (first, second)]
        paired = paired_interval(losses[0], losses[1], level)
        tokens_ratio = _ratio(sum(r.tokens for r in first), sum(r.tokens for r in second))
        flops_ratio = _ratio(sum(r.flops for r in first), sum(r.flops for r in second))
        apart, slack = (tokens_ratio, TOKENS_SLACK) if terms == "equal tokens" else (flops_ratio, COST_SLACK)
        fair = abs(apart - 1) <= slack
        if not fair:
            notes.append(f"{arm} and {opponent}: not at {terms}, {arm} has {apart:.3g} times as much")
        found.append(Difference(arm, opponent, terms, domain, paired, tuple(seeds), tokens_ratio, flops_ratio, fair))
    return found


def _ratio(first: float, second: float) -> float:
    return first / second if second > 0 else 1.0 if first == second else 1e300


def _headline(d: Difference) -> str:
    interval, size = d.bits_per_byte, abs(d.bits_per_byte.value)
    if interval.low is None or interval.high is None:
        side = "below" if interval.value < 0 else "above"
        return f"{d.arm} lies {size:.3f} bits per byte {side} {d.opponent} (one seed: no interval, nothing is shown)"
    seeds = f"{interval.n} seeds" + (": indicative" if interval.n < CONFIRMED_SEEDS else "")
    percent = f"{100 * interval.level:g} % interval"
    if d.verdict == "undecided":
        bounds = f"{interval.low:+.3f} to {interval.high:+.3f}"
        return (
            f"{d.arm} against {d.opponent}: no difference can be told "
            f"({interval.value:+.3f} bits per byte, {percent} {bounds}, {seeds})"
        )
    verb = "beats" if d.verdict == "better" else "loses to"
    near, far = sorted((abs(interval.low), abs(interval.high)))
    return f"{d.arm} {verb} {d.opponent} by {size:.3f} bits per byte ({percent} {near:.3f} to {far:.3f}, {seeds})"


def _terms(d: Difference) -> str:
    if d.fair:
        return f"at {d.terms}"
    what, ratio = ("tokens", d.tokens_ratio) if d.terms == "equal tokens" else ("total cost", d.flops_ratio)
    return f"at unequal {what} ({ratio:.3g} times {d.opponent}'s)"
