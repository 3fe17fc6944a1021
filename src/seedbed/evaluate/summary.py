"""What a comparison says of each method: means, paired differences, speed-ups, corrected for how many were compared.

Differences are to the baseline, replicate by replicate; below 0 the method is better. A method is called better or
worse by Holm's p over all methods of the comparison (the ceiling, which no one can choose, is not among them).
Speed-ups are geometric means; a censored one enters as the bound it is, so that the mean is a bound too and is written
"at least" (or "at most"). At equal total cost a method is held against the baseline's measured curve, read at the
method's training plus selection FLOP.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from seedbed.core import arrow
from seedbed.core.errors import SeedbedError
from seedbed.core.parameters import Json
from seedbed.evaluate.speed_up import Outcome
from seedbed.stats.intervals import Interval, mean_interval, paired_interval
from seedbed.stats.multiple import holm, mean_p, simultaneous_intervals

FloatArray = npt.NDArray[np.float64]
Bound: TypeAlias = Literal["", "at least", "at most", "unknown"]
Verdict: TypeAlias = Literal["better", "worse", "not after correction", "undecided", "not measured"]

LOSSES = ("target_bits_per_byte", "mean_domain_bits_per_byte", "worst_domain_bits_per_byte")


@dataclasses.dataclass(frozen=True)
class SpeedUp:
    """A geometric mean over replicates.

    Args:
        factor: with its t interval of logarithms; no bound on the side that censoring leaves open.
        bound: "at least" where some replicates are censored above, "at most" below, "unknown" where both.
        censored: how many replicates are.
    """

    factor: Interval
    bound: Bound
    censored: int

    @property
    def words(self) -> str:
        """'3.2 (2.8 to 3.7)', 'at least 8.0'."""
        if self.bound == "unknown":
            return "outside of what was measured"
        low, high = self.factor.low, self.factor.high
        value = f"{self.bound} {self.factor.value:.2f}".strip()
        if low is None:
            return value if high is None else f"{value} (below {high:.2f})"
        return f"{value} (above {low:.2f})" if high is None else f"{value} ({low:.2f} to {high:.2f})"


@dataclasses.dataclass(frozen=True)
class Difference:
    """A method less the baseline on the target, in bits per byte.

    Args:
        interval: mean paired difference, its own t interval.
        simultaneous: the same, all methods' intervals together holding with their level.
        p, p_holm: two-sided; None for a single replicate. Adjusted over the methods of the comparison.
        methods: how many those are.
    """

    interval: Interval
    simultaneous: Interval
    p: float | None
    p_holm: float | None
    methods: int

    @property
    def verdict(self) -> Verdict:
        """What the adjusted p allows to say."""
        alpha = 1 - self.interval.level
        if self.p is None or self.p_holm is None or self.p > alpha:
            return "undecided"
        if self.p_holm > alpha:
            return "not after correction"
        return "better" if self.interval.value < 0 else "worse"


@dataclasses.dataclass(frozen=True)
class MethodSummary:
    """One method over its replicates.

    Args:
        role: "baseline", "ceiling" or empty.
        seeds: how many replicates.
        losses: mean bits per byte on the target, over domains, and on the worst domain.
        differences: the same three less the baseline's, in pairs; None for the baseline and without a shared seed.
        at_equal_tokens, at_equal_cost: on the target; None for the baseline, and where the curve does not cover it.
        cost_seeds: replicates whose total cost the baseline's curve covers.
        share_better: share of replicates with a lower target loss than the baseline's.
        speedup_equal_tokens, speedup_equal_cost: None where there is no curve.
        selection_flops, training_flops, unique_token_ratio: means.
    """

    method: str
    role: Literal["", "baseline", "ceiling"]
    seeds: int
    losses: tuple[Interval, Interval, Interval]
    differences: tuple[Interval, Interval, Interval] | None
    at_equal_tokens: Difference | None
    at_equal_cost: Difference | None
    cost_seeds: int
    is_cost_beyond: bool
    share_better: float | None
    speedup_equal_tokens: SpeedUp | None
    speedup_equal_cost: SpeedUp | None
    selection_flops: float
    training_flops: float
    unique_token_ratio: float


@dataclasses.dataclass(frozen=True)
class Summary:
    """Every method of a comparison, in order of first appearance."""

    baseline: str
    methods: tuple[MethodSummary, ...]

    def table(self) -> pa.Table:
        """The table of `summary.csv`: a row for each method."""
        listed = [_flat(one) for one in self.methods]
        names = list(listed[0])
        kinds = {name: pa.large_string() if name in _TEXTS else pa.float64() for name in names}
        kinds |= {name: pa.int64() for name in _COUNTS}
        schema = pa.schema([arrow.field(name, kinds[name]) for name in names])
        return arrow.table({name: [row[name] for row in listed] for name in names}, schema)

    def to_json(self) -> dict[str, Json]:
        """Plain JSON, with the verdicts and the speed-ups in words."""
        return {"baseline": self.baseline, "methods": [_plain(one) for one in self.methods]}


def _plain(one: MethodSummary) -> dict[str, Json]:
    plain = cast("dict[str, Json]", dataclasses.asdict(one))
    for terms in ("equal_tokens", "equal_cost"):
        difference = cast("Difference | None", getattr(one, f"at_{terms}"))
        speed = cast("SpeedUp | None", getattr(one, f"speedup_{terms}"))
        plain[f"verdict_{terms}"] = difference.verdict if difference else ""
        plain[f"speedup_{terms}_words"] = speed.words if speed else ""
    return plain


def summary_rows(found: Sequence[Outcome], *, baseline: str, ceiling: str = "", level: float = 0.95) -> pa.Table:
    """The table of `summary.csv`."""
    return summarise(found, baseline=baseline, ceiling=ceiling, level=level).table()


def summarise(found: Sequence[Outcome], *, baseline: str, ceiling: str = "", level: float = 0.95) -> Summary:
    """A Summary of `speed_up.outcomes`. Raises SeedbedError where a method and the baseline share no seed."""
    by_method: dict[str, dict[int, Outcome]] = {}
    for one in found:
        by_method.setdefault(one.method, {})[one.seed] = one
    if baseline not in by_method:
        raise SeedbedError("comparison", f"there is no method {baseline!r} to compare with")
    base = by_method[baseline]
    tested = [name for name in by_method if name not in (baseline, ceiling)]
    tokens = {name: _at_equal_tokens(name, own, base) for name, own in by_method.items() if name != baseline}
    costs = {name: _at_equal_cost(own) for name, own in by_method.items() if name != baseline}
    at_tokens, at_cost = (_tested(values, tested, level) for values in (tokens, costs))
    methods: list[MethodSummary] = []
    for name, own in by_method.items():
        role = "baseline" if name == baseline else "ceiling" if name == ceiling else ""
        summary = _method(name, role, own, base, level)
        methods.append(
            dataclasses.replace(summary, at_equal_tokens=at_tokens.get(name), at_equal_cost=at_cost.get(name))
        )
    return Summary(baseline, tuple(methods))


def _method(
    name: str,
    role: Literal["", "baseline", "ceiling"],
    own: dict[int, Outcome],
    base: dict[int, Outcome],
    level: float,
) -> MethodSummary:
    shared = sorted(own.keys() & base.keys())
    losses: list[Interval] = []
    differences: list[Interval] = []
    for loss in LOSSES:
        mine = {s: cast(float, getattr(one, loss)) for s, one in own.items()}
        theirs = {s: cast(float, getattr(one, loss)) for s, one in base.items()}
        losses.append(mean_interval(np.array(list(mine.values()), np.float64), level))
        first, second = (np.array([side[s] for s in shared], np.float64) for side in (mine, theirs))
        differences.append(paired_interval(first, second, level))
    better = [own[s].target_bits_per_byte < base[s].target_bits_per_byte for s in shared]
    all_own = list(own.values())
    is_baseline = role == "baseline"
    return MethodSummary(
        method=name,
        role=role,
        seeds=len(own),
        losses=(losses[0], losses[1], losses[2]),
        differences=None if is_baseline else (differences[0], differences[1], differences[2]),
        at_equal_tokens=None,
        at_equal_cost=None,
        cost_seeds=sum(one.baseline_at_cost is not None for one in all_own),
        is_cost_beyond=any(one.is_cost_beyond for one in all_own),
        share_better=None if is_baseline else float(np.mean(better)),
        speedup_equal_tokens=_speed_up(all_own, lambda one: one.speedup_equal_tokens, level),
        speedup_equal_cost=_speed_up(all_own, lambda one: one.speedup_equal_cost, level),
        selection_flops=float(np.mean([one.selection_flops for one in all_own])),
        training_flops=float(np.mean([one.training_flops for one in all_own])),
        unique_token_ratio=float(np.mean([one.unique_token_ratio for one in all_own])),
    )


def _at_equal_tokens(name: str, own: dict[int, Outcome], base: dict[int, Outcome]) -> FloatArray:
    shared = sorted(own.keys() & base.keys())
    if not shared:
        what = f"{name} and the baseline share no seed"
        raise SeedbedError("comparison", what, "Run both from the same seeds: differences are taken seed by seed.")
    return np.array([own[s].target_bits_per_byte - base[s].target_bits_per_byte for s in shared], np.float64)


def _at_equal_cost(own: dict[int, Outcome]) -> FloatArray:
    """Only where the curve covers every replicate: those it does not cover are the dearest, and would be missed."""
    known = [(one.target_bits_per_byte, one.baseline_at_cost) for _, one in sorted(own.items())]
    if any(base is None for _, base in known):
        return np.zeros(0)
    return np.array([loss - cast(float, base) for loss, base in known], np.float64)


def _tested(values: dict[str, FloatArray], family: Sequence[str], level: float) -> dict[str, Difference]:
    """Each method's difference, p adjusted over the family; what is outside of it (a ceiling) has its own p."""
    there = [name for name in family if len(values[name])]
    p = {name: mean_p(one) for name, one in values.items() if len(one)}
    sure = [name for name in there if p[name] is not None]
    adjusted = dict(zip(sure, holm(np.array([p[name] for name in sure], np.float64)).tolist(), strict=True))
    together = dict(zip(there, simultaneous_intervals([values[name] for name in there], level), strict=True))
    found: dict[str, Difference] = {}
    for name in p:
        interval = mean_interval(values[name], level)
        is_inside = name in together
        both = together[name] if is_inside else interval
        found[name] = Difference(interval, both, p[name], adjusted.get(name, p[name]), len(there) if is_inside else 1)
    return found


def _speed_up(found: Sequence[Outcome], read: Callable[[Outcome], float | None], level: float) -> SpeedUp | None:
    known = [(value, one.censored) for one in found if (value := read(one)) is not None]
    if not known:
        return None
    kinds = {censored for _, censored in known if censored}
    bound: Bound = "unknown" if len(kinds) == 2 else "at least" if "above" in kinds else "at most" if kinds else ""
    logs = np.log(np.array([value for value, _ in known], np.float64))
    inner = mean_interval(logs, level)
    low, high = (None if edge is None else math.exp(edge) for edge in (inner.low, inner.high))
    censored = sum(bool(kind) for _, kind in known)
    if bound in ("at least", "unknown") or censored == len(known):
        high = None
    if bound in ("at most", "unknown") or censored == len(known):
        low = None
    return SpeedUp(Interval(math.exp(inner.value), low, high, level, inner.n), bound, censored)


_TERMS = ("equal_tokens", "equal_cost")
_TEXTS = ("method", "role", *(f"speedup_{t}_bound" for t in _TERMS), *(f"verdict_{t}" for t in _TERMS))
_COUNTS = ("seeds", "methods_compared", "censored_seeds", "equal_cost_seeds")


def _flat(one: MethodSummary) -> dict[str, object]:
    row: dict[str, object] = {"method": one.method, "role": one.role, "seeds": one.seeds}
    for i, loss in enumerate(LOSSES):
        row |= _bounds(loss, one.losses[i])
        row |= _bounds(loss.replace("_bits_per_byte", "_difference"), one.differences[i] if one.differences else None)
    row["share_of_seeds_better"] = one.share_better
    row["methods_compared"] = one.at_equal_tokens.methods if one.at_equal_tokens else None
    for terms, difference in (("equal_tokens", one.at_equal_tokens), ("equal_cost", one.at_equal_cost)):
        if terms == "equal_cost":
            row |= _bounds("equal_cost_difference", difference.interval if difference else None)
            row["equal_cost_seeds"] = one.cost_seeds
        row |= _bounds(f"{terms}_simultaneous", difference.simultaneous if difference else None, with_value=False)
        row[f"{terms}_p"] = difference.p if difference else None
        row[f"{terms}_p_holm"] = difference.p_holm if difference else None
        row[f"verdict_{terms}"] = difference.verdict if difference else "" if one.role == "baseline" else "not measured"
    for terms, speed in (("equal_tokens", one.speedup_equal_tokens), ("equal_cost", one.speedup_equal_cost)):
        row |= _bounds(f"speedup_{terms}", speed.factor if speed else None)
        row[f"speedup_{terms}_bound"] = speed.bound if speed else ""
    row["censored_seeds"] = one.speedup_equal_tokens.censored if one.speedup_equal_tokens else 0
    row["selection_flops"], row["training_flops"] = one.selection_flops, one.training_flops
    row["unique_token_ratio"] = one.unique_token_ratio
    return row


def _bounds(name: str, of: Interval | None, *, with_value: bool = True) -> dict[str, object]:
    value = {name: of.value if of else None} if with_value else {}
    return {**value, f"{name}_low": of.low if of else None, f"{name}_high": of.high if of else None}
