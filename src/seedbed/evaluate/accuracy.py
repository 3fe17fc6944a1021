"""Answers summed up: accuracy by group and overall, with intervals; what lies between two models; growth by frequency.

An interval by items says how far the accuracy would move with other items of the same groups. Items of one paradigm
share a template, so `over_groups` also gives the mean of the groups with the spread between them. Differences between
two models are taken item by item: both answered the same questions.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from seedbed.core import arrow
from seedbed.core.errors import SeedbedError
from seedbed.core.parameters import Json
from seedbed.stats.intervals import Interval, mean_interval, paired_interval, share_interval
from seedbed.stats.line import straight_line
from seedbed.stats.ranks import spearman

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclasses.dataclass(frozen=True)
class Accuracy:
    """Items of one group summed up.

    Args:
        accuracy: share right, with Wilson's interval.
        chance: what guessing gets.
        rank: mean rank of the right choice, NaN where there was none.
        bits_per_byte: of the right choices given their contexts.
        items: how many.
    """

    accuracy: Interval
    chance: float
    rank: float
    bits_per_byte: float
    items: int

    @property
    def centered(self) -> float:
        """(accuracy - chance) / (1 - chance): 0 is guessing, 1 is perfect."""
        return (self.accuracy.value - self.chance) / (1 - self.chance)

    def to_json(self) -> dict[str, Json]:
        """Numbers by name; what there is none of is null."""
        told: dict[str, Json] = {
            "accuracy": self.accuracy.value,
            "low": self.accuracy.low,
            "high": self.accuracy.high,
            "chance": self.chance,
            "centered": self.centered,
            "rank": self.rank if np.isfinite(self.rank) else None,
            "bits_per_byte": self.bits_per_byte if np.isfinite(self.bits_per_byte) else None,
        }
        return {**told, "items": self.items}


@dataclasses.dataclass(frozen=True)
class ProbeSummary:
    """A probe summed up.

    Args:
        overall: all items together.
        groups: by group, in order of first appearance.
        families: mean over the groups of each family, where there are families.
        over_groups: mean over groups, each counting the same, with Student's t interval of their spread.
    """

    overall: Accuracy
    groups: dict[str, Accuracy]
    families: dict[str, float]
    over_groups: Interval

    def to_json(self) -> dict[str, Json]:
        """Everything, as plain JSON."""
        groups: dict[str, Json] = {name: group.to_json() for name, group in self.groups.items()}
        spread: dict[str, Json] = {name: getattr(self.over_groups, name) for name in ("value", "low", "high")}
        families: dict[str, Json] = dict(self.families)
        return {**self.overall.to_json(), "over_groups": spread, "families": families, "groups": groups}


def summarise_answers(rows: pa.Table) -> ProbeSummary:
    """A table of schema ANSWERS summed up. Raises SeedbedError for one without rows."""
    groups = {name: _accuracy(arrow.take(rows, row_N)) for name, row_N in _rows_by(rows, "domain").items()}
    family_of = dict(zip(arrow.strings(rows, "domain"), arrow.strings(rows, "family"), strict=True))
    by_family: dict[str, list[float]] = {}
    for name, group in groups.items():
        by_family.setdefault(family_of[name] or "", []).append(group.accuracy.value)
    families = {name: float(np.mean(values)) for name, values in by_family.items() if name}
    values = np.array([group.accuracy.value for group in groups.values()])
    return ProbeSummary(_accuracy(rows), groups, families, mean_interval(values))


def _rows_by(rows: pa.Table, column: str) -> dict[str, IntArray]:
    if rows.num_rows == 0:
        raise SeedbedError("answers", "there are no items to sum up", "Give a probe at least one item.")
    names = np.array(arrow.strings(rows, column), dtype=object)
    return {name: np.flatnonzero(names == name) for name in dict.fromkeys(names.tolist())}


def _accuracy(rows: pa.Table) -> Accuracy:
    correct_N, n_bytes = arrow.numpy(rows, "correct"), int(arrow.numpy(rows, "n_bytes").sum())
    nats = -float(arrow.numpy(rows, "log_likelihood_nats").sum())
    return Accuracy(
        share_interval(float(correct_N.mean()), len(correct_N)),
        float(arrow.numpy(rows, "chance").mean()),
        float(arrow.numpy(rows, "rank").mean()),
        nats / n_bytes / float(np.log(2)) if n_bytes else float("nan"),
        len(correct_N),
    )


def difference(first: pa.Table, second: pa.Table) -> dict[str, Interval]:
    """Group -> accuracy of the first model less the second's, item by item; "" is all items together.

    Raises SeedbedError where they did not answer the same items.
    """
    if arrow.strings(first, "item") != arrow.strings(second, "item"):
        raise SeedbedError("answers", "the two models did not answer the same items", "Ask both the same probe.")
    ours_N, theirs_N = arrow.numpy(first, "correct"), arrow.numpy(second, "correct")
    groups = {"": np.arange(len(ours_N)), **_rows_by(first, "domain")}
    return {name: paired_interval(ours_N[row_N], theirs_N[row_N]) for name, row_N in groups.items()}


@dataclasses.dataclass(frozen=True)
class Growth:
    """How accuracy grows with frequency, items never said left out.

    Args:
        slope: accuracy gained by ten times the frequency: least squares of correct on log10(frequency), over items.
        correlation: Pearson's r of the same, over items.
        rank_correlation: Spearman's rho between frequency and the accuracy of the items of that frequency.
    """

    slope: Interval
    correlation: float
    rank_correlation: float


def by_frequency(rows: pa.Table) -> dict[float, Accuracy]:
    """Frequency -> the items of that frequency, from the rarest on."""
    frequency_N = arrow.numpy(rows, "frequency")
    levels = np.unique(frequency_N[np.isfinite(frequency_N)])
    return {float(level): _accuracy(arrow.take(rows, np.flatnonzero(frequency_N == level))) for level in levels}


def growth(rows: pa.Table) -> Growth:
    """Raises SeedbedError for fewer than two frequencies above 0 or fewer than three items."""
    told = {level: found.accuracy.value for level, found in by_frequency(rows).items() if level > 0}
    said_N = arrow.numpy(rows, "frequency") > 0
    x_N, y_N = np.log10(arrow.numpy(rows, "frequency")[said_N]), arrow.numpy(rows, "correct")[said_N]
    if len(told) < 2 or len(x_N) < 3:
        raise SeedbedError("answers", "growth needs facts of two frequencies above 0", "Plant some more often.")
    line = straight_line(x_N, y_N.astype(np.float64))
    rho = spearman(np.array(list(told)), np.array(list(told.values())))
    return Growth(line.slope_interval(), line.correlation, rho)
