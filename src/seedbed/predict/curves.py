"""Scores over a run's checkpoints: noise, breaks, falls, and one run's curve read against another's."""

from __future__ import annotations

import dataclasses
import math
from typing import NamedTuple

import numpy as np

from seedbed.predict.contract import FloatArray
from seedbed.stats.intervals import t_quantile

LEAST_FOR_LINE = 3
LEAST_FOR_BREAK = 8
BREAK_EVIDENCE = 10.0
"""By how much the BIC must fall: very strong evidence, as Kass and Raftery 1995 (JASA 90:773) word it."""


@dataclasses.dataclass(frozen=True, eq=False)
class Curve:
    """Scores of one run at its checkpoints.

    Args:
        params: of the model.
        tokens_T: read so far, rising.
        score_T: of one metric.
        se_T: standard error of each score; nan where it is not known.
    """

    params: float
    tokens_T: FloatArray
    score_T: FloatArray
    se_T: FloatArray

    @property
    def jitter(self) -> float:
        """Noise of one checkpoint, from successive differences of the later half: a steady trend hardly adds to it."""
        steps_T = np.diff(self.score_T[len(self.score_T) // 2 :])
        return float(np.sqrt(np.mean(steps_T**2) / 2)) if len(steps_T) else 0.0

    def noise(self, last: int) -> float:
        """Standard deviation (ddof 0) of the last checkpoints' scores over their mean."""
        scores = self.score_T[-last:]
        mean = abs(float(scores.mean()))
        return float(np.std(scores)) / mean if mean > 0 else math.inf


class Fall(NamedTuple):
    """The best checkpoint of a run, and how far its last one lies behind, in standard errors."""

    best: float
    at_tokens: float
    final: float
    errors: float


def fall(curve: Curve, lower_is_better: bool) -> Fall:
    """The last score against the best; its standard error, or else the checkpoints' own noise, is the measure."""
    sign = -1.0 if lower_is_better else 1.0
    at = int(np.argmax(sign * curve.score_T))
    best, final = float(curve.score_T[at]), float(curve.score_T[-1])
    known = float(curve.se_T[-1])
    error = curve.jitter if math.isnan(known) else known
    drop = sign * (best - final)
    return Fall(best, float(curve.tokens_T[at]), final, 0.0 if drop <= 0 else drop / error if error > 0 else math.inf)


def signal_to_noise(finals_M: FloatArray, noise: float) -> float:
    """Spread of final scores over their mean, (max - min) / mean, over the noise of the last checkpoints."""
    signal = float(np.ptp(finals_M)) / max(abs(float(finals_M.mean())), 1e-300)
    return signal / noise if noise > 0 else math.inf


def aligned(small: Curve, large: Curve) -> tuple[FloatArray, FloatArray, FloatArray]:
    """(tokens_K, small_K, large_K) at the large one's checkpoints that the small one reached, interpolated."""
    within = (large.tokens_T >= small.tokens_T[0]) & (large.tokens_T <= small.tokens_T[-1])
    tokens_K = large.tokens_T[within]
    return tokens_K, np.interp(tokens_K, small.tokens_T, small.score_T), large.score_T[within]


def change_point(curve: Curve) -> float | None:
    """Tokens at which the curve over ln(tokens) breaks into another slope; None where one line does as well."""
    n = len(curve.tokens_T)
    if n < LEAST_FOR_BREAK:
        return None
    x_T = np.log(curve.tokens_T)
    ones_T = np.ones(n)
    floor = 1e-12 * max(float(np.sum((curve.score_T - curve.score_T.mean()) ** 2)), 1e-300)

    def bic(columns: list[FloatArray], numbers: int) -> float:
        design = np.stack(columns, axis=1)
        rest_T = curve.score_T - design @ np.linalg.lstsq(design, curve.score_T, rcond=None)[0]
        return n * math.log(max(float(rest_T @ rest_T), floor) / n) + numbers * math.log(n)

    broken = [bic([ones_T, x_T, np.maximum(0.0, x_T - x_T[i])], 4) for i in range(2, n - 2)]
    best = int(np.argmin(broken))
    straight = bic([ones_T, x_T], 2)
    return float(curve.tokens_T[best + 2]) if straight - broken[best] > BREAK_EVIDENCE else None


def continued(small: Curve, large: Curve, until: float, since: float) -> Line | None:
    """The large curve between two counts of tokens as a line in the small one; None where three points are not there.

    The bend is how wrong the line through all but the first checkpoint up to half of `until` is at `until`.
    """
    tokens_K, small_K, large_K = aligned(small, large)
    known_K = tokens_K <= until * (1 + 1e-9)
    used_K = known_K & (tokens_K > since)
    if np.count_nonzero(used_K) < LEAST_FOR_LINE:
        return None
    line = Line.through(small_K[used_K], large_K[used_K])
    before_K = (tokens_K <= until / 2 * (1 + 1e-9)) & (tokens_K > tokens_K[0])
    if np.count_nonzero(before_K) < LEAST_FOR_LINE:
        return line
    earlier = Line.through(small_K[before_K], large_K[before_K])
    at = int(np.flatnonzero(known_K)[-1])
    return dataclasses.replace(line, bend=abs(earlier.at(float(small_K[at])) - float(large_K[at])))


@dataclasses.dataclass(frozen=True)
class Line:
    """The large curve as a line in the small one: y = intercept + slope x, by least squares.

    Args:
        n: points behind it.
        mean_x, spread_x: mean and sum of squared distances of x.
        sd: of the residuals, n - 2 of them free.
        bend: by how much such a line was wrong before: two curves make no line for ever.
    """

    intercept: float
    slope: float
    n: int
    mean_x: float
    spread_x: float
    sd: float
    bend: float = 0.0

    @classmethod
    def through(cls, x_K: FloatArray, y_K: FloatArray) -> Line:
        """By least squares; flat where x does not vary. Needs three points."""
        mean_x, mean_y, n = float(x_K.mean()), float(y_K.mean()), len(x_K)
        spread = float(np.sum((x_K - mean_x) ** 2))
        slope = float((x_K - mean_x) @ (y_K - mean_y)) / spread if spread > 0 else 0.0
        intercept = mean_y - slope * mean_x
        rest_K = y_K - intercept - slope * x_K
        return cls(intercept, slope, n, mean_x, spread, float(np.sqrt(rest_K @ rest_K / (n - 2))))

    def at(self, x: float) -> float:
        """y."""
        return self.intercept + self.slope * x

    def error(self, x: float) -> float:
        """Standard error of one new y: the line's own, the residuals' and the bend."""
        away = (x - self.mean_x) ** 2 / self.spread_x if self.spread_x > 0 else 0.0
        return math.hypot(self.sd * math.sqrt(1 + 1 / self.n + away), self.bend)

    def quantile(self, x: float, probability: float) -> float:
        """Of one new y, by Student's t."""
        return self.at(x) + t_quantile(probability, self.n - 2) * self.error(x)
