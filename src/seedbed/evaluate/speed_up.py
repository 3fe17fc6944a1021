"""Speed-up: how many times more tokens, or FLOP, the baseline needs to reach the loss a method ends at.

The baseline is trained to the end of its own schedule at several multiples of the budget, each a run of its own, under
the seeds of the methods. Losses part-way through a decaying learning rate would be too high, and flatter the method.
Between two lengths the curve is straight in (ln tokens, bits per byte), after its running minimum: whoever may train
longer may stop earlier. It is never extrapolated. A loss that the longest run does not reach is censored "above": the
factor is at least what stands there; one that the shortest run is already below is censored "below": at most.

speedup_equal_tokens = baseline tokens there / the method's tokens
speedup_equal_cost   = baseline FLOP there / (the method's training FLOP + its selection FLOP)
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from seedbed.core import arrow
from seedbed.core.errors import SeedbedError, did_you_mean
from seedbed.evaluate.rows import CHOICE_COLUMNS, COLUMNS, Row, read_rows

FloatArray = npt.NDArray[np.float64]
Censored: TypeAlias = Literal["", "above", "below"]

CURVE_COLUMNS = ("arm", "seed", "domain", "bits_per_byte", "tokens", "flops_train")
COMPARISON = pa.schema(
    [
        arrow.field("method", pa.large_string()),
        arrow.field("seed", pa.int64(), unit="replicate of start, order, and resampled pool and target"),
        arrow.field("budget_tokens", pa.int64(), unit="tokens to train on"),
        arrow.field("target_bits_per_byte", pa.float64()),
        arrow.field("mean_domain_bits_per_byte", pa.float64(), unit="every domain counts the same"),
        arrow.field("worst_domain_bits_per_byte", pa.float64()),
        arrow.field(
            "speedup_equal_tokens", pa.float64(), unit="baseline tokens over the method's; a bound if censored"
        ),
        arrow.field("selection_flops", pa.float64(), unit="FLOP, auxiliary models included"),
        arrow.field("training_flops", pa.float64(), unit="FLOP"),
        arrow.field("speedup_equal_cost", pa.float64(), unit="baseline FLOP over the method's; a bound if censored"),
        arrow.field("censored", pa.large_string(), unit="empty | above: at least | below: at most"),
        arrow.field("unique_token_ratio", pa.float64(), unit="share of the tokens read that are new when read"),
    ]
)


@dataclasses.dataclass(frozen=True)
class Outcome:
    """One method under one seed.

    Args:
        tokens: trained on.
        speedup_equal_tokens, speedup_equal_cost: None where the seed has no curve of the baseline.
        baseline_at_cost: the baseline's bits per byte on the target at this method's total cost; None where its curve
            does not reach there.
        is_cost_beyond: whether that is for want of longer runs.
    """

    method: str
    seed: int
    budget_tokens: float
    tokens: float
    target_bits_per_byte: float
    mean_domain_bits_per_byte: float
    worst_domain_bits_per_byte: float
    speedup_equal_tokens: float | None
    selection_flops: float
    training_flops: float
    speedup_equal_cost: float | None
    censored: Censored
    unique_token_ratio: float
    baseline_at_cost: float | None
    is_cost_beyond: bool = False


@dataclasses.dataclass(frozen=True)
class Reach:
    """Where the baseline reaches a loss: tokens and FLOP; bounds where censored."""

    tokens: float
    flops: float
    censored: Censored


@dataclasses.dataclass(frozen=True)
class Curve:
    """The baseline under one seed: P lengths, shortest first.

    Args:
        tokens_P, flops_P: rising.
        lowest_P: bits per byte, the running minimum.
        bits_per_byte_P: as measured.
    """

    tokens_P: FloatArray
    flops_P: FloatArray
    lowest_P: FloatArray
    bits_per_byte_P: FloatArray

    @classmethod
    def of(cls, tokens: Sequence[float], flops: Sequence[float], bits_per_byte: Sequence[float]) -> Curve:
        """From points in any order. Raises ValueError without a point or where tokens or FLOP are not above 0."""
        columns = np.array([tokens, flops, bits_per_byte], np.float64)
        if columns.shape[1] == 0 or not np.all(columns[:2] > 0):
            raise ValueError("a curve needs points, with tokens and FLOP above 0")
        tokens_P, flops_P, measured_P = columns[:, np.argsort(columns[0], kind="stable")]
        return cls(tokens_P, flops_P, np.minimum.accumulate(measured_P), measured_P)

    def reach(self, bits_per_byte: float) -> Reach:
        """Where the running minimum first is at or below this."""
        at = int(np.argmax(self.lowest_P <= bits_per_byte))
        if self.lowest_P[-1] > bits_per_byte:
            return Reach(float(self.tokens_P[-1]), float(self.flops_P[-1]), "above")
        if at == 0:
            is_equal = self.lowest_P[0] == bits_per_byte
            return Reach(float(self.tokens_P[0]), float(self.flops_P[0]), "" if is_equal else "below")
        above, below = self.lowest_P[at - 1 : at + 1]
        part = (above - bits_per_byte) / (above - below)
        tokens, flops = (
            math.exp((1 - part) * math.log(x[at - 1]) + part * math.log(x[at])) for x in (self.tokens_P, self.flops_P)
        )
        return Reach(tokens, flops, "")

    def bits_per_byte_at(self, flops: float) -> float | None:
        """The running minimum at this cost; None outside of what was measured."""
        inside = self.flops_P[0] * (1 - 1e-9) <= flops <= self.flops_P[-1] * (1 + 1e-9)
        return float(np.interp(math.log(flops), np.log(self.flops_P), self.lowest_P)) if inside else None

    @property
    def rises(self) -> bool:
        """Whether a longer run was worse than a shorter one."""
        return bool(np.any(self.bits_per_byte_P > self.lowest_P))


def curves_of(curve: pa.Table, rows: Sequence[Row], *, target: str, baseline: str) -> dict[int, Curve]:
    """seed -> the baseline's curve on the target: the curve's rows, and the baseline's own among the arms'."""
    read = read_rows(curve, "curve", columns=CURVE_COLUMNS, is_curve=True)
    points: dict[int, dict[float, Row]] = {}
    own = [row for row in rows if row.arm == baseline]
    for row in (*own, *(row for row in read if row.arm == baseline or row.arm.startswith(f"{baseline}@"))):
        if row.domain == target:
            points.setdefault(row.seed, {})[row.tokens] = row
    found: dict[int, Curve] = {}
    for seed, runs in sorted(points.items()):
        columns = zip(*((r.tokens, r.flops_train, r.bits_per_byte) for r in runs.values()), strict=True)
        found[seed] = Curve.of(*columns)
    return found


def outcomes(results: pa.Table, curve: pa.Table, *, target: str, baseline: str) -> list[Outcome]:
    """An Outcome for each arm and seed, in order of first appearance; those named `<baseline>@...` are left out.

    Args:
        results: a row for each (arm, seed, domain): the columns `COLUMNS` and `CHOICE_COLUMNS`.
        curve: the baseline's other lengths, named as it is or `<baseline>@...`: the columns `CURVE_COLUMNS`.
        target: the domain that decides.
        baseline: the arm that the others are held against.

    Raises SeedbedError for missing columns, doubled rows, an unknown target or baseline, and arms that were not
    evaluated on the same domains.
    """
    rows = read_rows(results, columns=(*COLUMNS, *CHOICE_COLUMNS))
    rows = [row for row in rows if not row.arm.startswith(f"{baseline}@")]
    for what, name, known in (
        ("arm", baseline, list(dict.fromkeys(row.arm for row in rows))),
        ("domain", target, list(dict.fromkeys(row.domain for row in rows))),
    ):
        if name not in known:
            raise SeedbedError("results", f"there is no {what} {name!r}", did_you_mean(name, known))
    curves = curves_of(curve, rows, target=target, baseline=baseline)
    cells: dict[tuple[str, int], dict[str, Row]] = {}
    for row in rows:
        cells.setdefault((row.arm, row.seed), {})[row.domain] = row
    everywhere = {row.domain for row in rows}
    for (arm, seed), by_domain in cells.items():
        if missing := sorted(everywhere - by_domain.keys()):
            what = f"arm {arm}, seed {seed} was not evaluated on {', '.join(missing)}"
            raise SeedbedError("results", what, "Means over domains need the same domains for every arm.")
    return [_outcome(found, target, baseline, curves.get(seed)) for (_, seed), found in cells.items()]


def comparison_rows(results: pa.Table, curve: pa.Table, *, target: str, baseline: str) -> pa.Table:
    """The table of `comparison.csv`: `outcomes` in schema COMPARISON."""
    return comparison_table(outcomes(results, curve, target=target, baseline=baseline))


def comparison_table(found: Sequence[Outcome]) -> pa.Table:
    """Outcomes in schema COMPARISON."""
    columns = {name: [getattr(one, name) for one in found] for name in COMPARISON.names}
    columns["budget_tokens"] = [round(one.budget_tokens) for one in found]
    return arrow.table(columns, COMPARISON)


def _outcome(by_domain: dict[str, Row], target: str, baseline: str, curve: Curve | None) -> Outcome:
    row = by_domain[target]
    losses = [one.bits_per_byte for one in by_domain.values()]
    reach = curve.reach(row.bits_per_byte) if curve else None
    if row.arm == baseline:  # by definition, also where a shorter run did better
        reach = Reach(row.tokens, row.flops, "")
    return Outcome(
        method=row.arm,
        seed=row.seed,
        budget_tokens=row.budget_tokens,
        tokens=row.tokens,
        target_bits_per_byte=row.bits_per_byte,
        mean_domain_bits_per_byte=float(np.mean(losses)),
        worst_domain_bits_per_byte=max(losses),
        speedup_equal_tokens=reach.tokens / row.tokens if reach else None,
        selection_flops=row.flops_select,
        training_flops=row.flops_train,
        speedup_equal_cost=reach.flops / row.flops if reach else None,
        censored=reach.censored if reach else "",
        unique_token_ratio=min(1.0, row.unique_tokens / max(row.chosen_tokens, row.tokens)),
        baseline_at_cost=curve.bits_per_byte_at(row.flops) if curve else None,
        is_cost_beyond=curve is not None and row.flops > curve.flops_P[-1] * (1 + 1e-9),
    )
