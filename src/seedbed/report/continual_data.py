"""What the section on continual training is made of: plain numbers and names."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from seedbed.stats.intervals import Interval


@dataclasses.dataclass(frozen=True)
class Point:
    """One model of a route: how far it had read, and how well it does on each domain (means over seeds).

    Args:
        annealed: whether it is a branch beside the route.
        tokens: trained on along the route.
        bits_per_byte: by domain.
    """

    order: int
    stage: str
    annealed: bool
    tokens: float
    bits_per_byte: Mapping[str, float]


@dataclasses.dataclass(frozen=True)
class StageCurve:
    """The logged losses and rates of one route under one seed; tokens count over the whole route.

    Args:
        begins: where each stage begins, in tokens.
    """

    route: str
    seed: int
    tokens: tuple[float, ...]
    loss_nats_per_token: tuple[float, ...]
    learning_rate: tuple[float, ...]
    begins: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class Measure:
    """One measure: its mean over domains, and each domain. None and empty where it is not defined."""

    mean: Interval | None = None
    domains: Mapping[str, Interval] = dataclasses.field(default_factory=dict[str, Interval])


@dataclasses.dataclass(frozen=True)
class RouteStory:
    """One route.

    Args:
        stages: of the matrix, in order; the first may be the model before.
        matrix: bits per byte, a row a stage, a cell a domain.
        home: domain -> the stage that taught it.
        backward, forward, forgetting, learned, gain: see `evaluate.forgetting`; above 0 is better, but for forgetting.
        better_than_baseline: bits per byte less than the baseline's last model, in pairs.
        costs: FLOP, seconds, tokens and ratios by name, as in `evaluate.forgetting.Cost`.
        points: for the plot.
    """

    route: str
    stages: tuple[str, ...]
    matrix: tuple[tuple[Interval, ...], ...]
    home: Mapping[str, str] = dataclasses.field(default_factory=dict[str, str])
    backward: Measure = Measure()
    forward: Measure = Measure()
    forgetting: Measure = Measure()
    learned: Measure = Measure()
    gain: Measure = Measure()
    better_than_baseline: Measure = Measure()
    costs: Mapping[str, Interval] = dataclasses.field(default_factory=dict[str, Interval])
    points: tuple[Point, ...] = ()


@dataclasses.dataclass(frozen=True)
class Continual:
    """Routes from old text to new, compared.

    Args:
        baseline: the route that the others are compared with; empty where there is none.
    """

    routes: tuple[RouteStory, ...]
    domains: tuple[str, ...]
    baseline: str = ""
    curves: tuple[StageCurve, ...] = ()
    level: float = 0.95
