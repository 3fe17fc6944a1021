"""Break-even: from which size of auxiliary model, size of pool and number of readings of the scores choosing pays.

S_cost = S_tokens * C_train / (C_train + C_select / reuse)
C_select = C_auxiliary + C_scoring
C_auxiliary(r) = C_auxiliary * r / r_0          training auxiliary models of r times the target model's parameters
C_scoring(r, k) = C_scoring * r / r_0 * k / k_0 reading a pool of k times the selection with them

S_tokens is the measured speed-up at equal tokens, C the FLOP as counted, r_0 and k_0 those of the measured comparison.
Assumed: the auxiliary models' tokens, the batches and the measured S_tokens stay as they are, so that a curve shows
what the price alone does. A smaller model may choose worse, a larger pool may hold better documents: to know, measure
there. Judges and files of labels cost the same whatever r; what scores without a model scales with the pool alone.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Literal, TypeAlias

import numpy as np
import pyarrow as pa

from seedbed.core import arrow
from seedbed.core.errors import SeedbedError
from seedbed.evaluate.summary import SpeedUp
from seedbed.stats.intervals import Interval

Axis: TypeAlias = Literal["size_ratio", "pool_ratio", "reuse"]
AXES: tuple[Axis, ...] = ("size_ratio", "pool_ratio", "reuse")
REACH: dict[Axis, tuple[float, float]] = {"size_ratio": (1 / 64, 1), "pool_ratio": (1, 64), "reuse": (1, 64)}
"""How far a curve goes at least; further where the user's own point lies outside."""
POINTS = 25

CURVES = pa.schema(
    [
        arrow.field("method", pa.large_string()),
        arrow.field("axis", pa.large_string(), unit="size_ratio | pool_ratio | reuse"),
        arrow.field("at", pa.float64(), unit="parameters over the target model's | pool over selection | readings"),
        arrow.field("speedup_equal_cost", pa.float64()),
        arrow.field("low", pa.float64()),
        arrow.field("high", pa.float64()),
        arrow.field("bound", pa.large_string(), unit="empty | at least | at most"),
        arrow.field("is_own", pa.bool_(), unit="the measured comparison's own point"),
    ]
)
POINTS_TABLE = pa.schema(
    [
        arrow.field("method", pa.large_string()),
        arrow.field("axis", pa.large_string()),
        arrow.field("own", pa.float64()),
        arrow.field("speedup_equal_cost", pa.float64(), unit="at the own point"),
        arrow.field("breaks_even_at", pa.float64(), unit="empty where it never or always does"),
        arrow.field("verdict", pa.large_string(), unit="pays | pays up to there | pays from there on | never pays"),
    ]
)


@dataclasses.dataclass(frozen=True)
class Price:
    """What a method costs, as counted.

    Args:
        training, auxiliary, scoring: FLOP of training, of auxiliary models' training, and of reading the pool.
        size_ratio: parameters of the auxiliary model over those of the trained one; 0 where there is none.
        pool_ratio: tokens of the pool over tokens selected, at least 1.
        reuse: how many trainings share the scores.
    """

    training: float
    auxiliary: float
    scoring: float
    size_ratio: float = 0.0
    pool_ratio: float = 1.0
    reuse: float = 1.0

    def __post_init__(self) -> None:
        """Raises SeedbedError for a price that is none."""
        positive = self.training > 0 and self.pool_ratio > 0 and self.reuse > 0
        if not positive or min(self.auxiliary, self.scoring, self.size_ratio) < 0:
            what = f"{self} holds a number that no price has"
            raise SeedbedError("break-even", what, "Training, pool and reuse are above 0, the rest at least 0.")

    def moved(self, axis: Axis, at: float) -> Price:
        """The price with one ratio changed."""
        if axis == "reuse":
            return dataclasses.replace(self, reuse=at)
        if axis == "pool_ratio":
            return dataclasses.replace(self, pool_ratio=at, scoring=self.scoring * at / self.pool_ratio)
        if self.size_ratio == 0:
            return self
        factor = at / self.size_ratio
        scaled = {"auxiliary": self.auxiliary * factor, "scoring": self.scoring * factor}
        return dataclasses.replace(self, size_ratio=at, **scaled)

    @property
    def share(self) -> float:
        """Cost of choosing over cost of training, for each training that shares the scores."""
        return (self.auxiliary + self.scoring) / self.reuse / self.training


@dataclasses.dataclass(frozen=True)
class Point:
    """Where along an axis choosing breaks even.

    Args:
        at: there; None where it never or always pays.
        verdict: in words.
    """

    axis: Axis
    own: float
    at: float | None
    verdict: Literal["pays", "pays up to there", "pays from there on", "never pays"]


@dataclasses.dataclass(frozen=True)
class BreakEven:
    """A method's measured speed-up with its price."""

    method: str
    speed: SpeedUp
    price: Price

    def at(self, price: Price) -> Interval:
        """Speed-up at equal total cost for another price; the interval is that of the speed-up in tokens."""
        of, factor = self.speed.factor, 1 / (1 + price.share)
        low, high = (None if edge is None else edge * factor for edge in (of.low, of.high))
        return Interval(of.value * factor, low, high, of.level, of.n)

    @property
    def own(self) -> Interval:
        """At the measured comparison's own point."""
        return self.at(self.price)

    def axes(self) -> list[Axis]:
        """The axes that move its price."""
        moves = {"size_ratio": self.price.size_ratio > 0, "pool_ratio": self.price.scoring > 0, "reuse": True}
        return [axis for axis in AXES if moves[axis]] if self.price.share > 0 else []

    def point(self, axis: Axis) -> Point:
        """Where the value of the speed-up at equal total cost is 1 along an axis."""
        own = float(getattr(self.price, axis))
        gain = (self.speed.factor.value - 1) * self.price.training * self.price.reuse  # FLOP that choosing may cost
        spent = self.price.auxiliary + self.price.scoring
        if self.price.share == 0:
            return Point(axis, own, None, "pays" if gain > 0 else "never pays")
        if gain <= 0:
            return Point(axis, own, None, "never pays")
        if axis == "reuse":
            least = spent * self.price.reuse / gain
            return Point(axis, own, least, "pays from there on") if least > 1 else Point(axis, own, None, "pays")
        if axis == "size_ratio" and own:
            return Point(axis, own, own * gain / spent, "pays up to there")
        if axis == "size_ratio" or self.price.scoring == 0:
            return Point(axis, own, None, "pays" if gain >= spent else "never pays")
        most = own * (gain - self.price.auxiliary) / self.price.scoring
        return Point(axis, own, most, "pays up to there") if most >= 1 else Point(axis, own, None, "never pays")

    def curve(self, axis: Axis) -> list[tuple[float, Interval]]:
        """(ratio, speed-up at equal total cost) along an axis, the own point among them."""
        own = float(getattr(self.price, axis))
        low, high = REACH[axis]
        low, high = min(low, own), max(high, own)
        grid = sorted({*np.geomspace(low, high, POINTS).tolist(), own})
        return [(at, self.at(self.price.moved(axis, at))) for at in grid]


def curve_rows(found: Sequence[BreakEven]) -> pa.Table:
    """The table of `break_even.csv`: a row for each method, axis and ratio."""
    rows = [
        (one.method, axis, at, value.value, value.low, value.high, one.speed.bound, at == getattr(one.price, axis))
        for one in found
        for axis in one.axes()
        for at, value in one.curve(axis)
    ]
    return _table(rows, CURVES)


def point_rows(found: Sequence[BreakEven]) -> pa.Table:
    """A row for each method and axis: where it breaks even."""
    rows: list[tuple[object, ...]] = []
    for one in found:
        for axis in AXES:
            point = one.point(axis)
            rows.append((one.method, axis, point.own, one.own.value, point.at, point.verdict))
    return _table(rows, POINTS_TABLE)


def _table(rows: Sequence[Sequence[object]], schema: pa.Schema) -> pa.Table:
    return arrow.table({name: [row[i] for row in rows] for i, name in enumerate(schema.names)}, schema)
