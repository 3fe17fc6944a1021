"""Concept frequency: how accuracy grows with the logarithm of how often the corpus says a thing.

What      Fits accuracy = m log10(f) + b over concepts (words, facts, classes), f being how often the corpus says one,
          and says what a concept of another frequency will come to. Steeper than flat means that the model needs ten
          times the mentions for every further m of accuracy: rare concepts stay unknown.
Source    Udandarao et al. 2024, arXiv 2404.04125, sections 2 and 3 (the log-linear trend of 34 models over 4,029
          concepts); the counting is seedbed.evaluate.concepts.
Formula   accuracy_c = m log10(f_c) + b by least squares over concepts with f_c > 0; Pearson's r with its two-sided p,
          over the same. Concepts with f_c = 0 have no logarithm: they are left out and summed up apart. For the
          picture: bins of log10 f, each of at least min_per_bin concepts, and the R^2 of a line through their means.
Shapes    frequency_N, accuracy_N, a row a concept (or an item) -> m, b; {"frequency": f} -> (value, low, high)
Units     frequency in documents or occurrences; accuracy and m (a decade) as fractions; level as a fraction.
Fidelity  Adapted: the source's line and test, over single concepts. Bins have equal width in log10 f, and one with
          too few concepts is joined to the next. The interval is Student's, for one new concept, cut to [0, 1].
Errors    SeedbedError for a missing column, an accuracy outside [0, 1] or a frequency below 0 (with its row), fewer
          than 3 concepts or 2 frequencies above 0, and forecasts for f = 0 or further than max_extrapolation beyond
          the rows. Rows that are alike are different concepts: all count. A trend that is not significant is fitted
          and warned of.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from annotated_types import Ge, Gt, Le, Lt

from seedbed.core import arrow
from seedbed.core.errors import SeedbedError
from seedbed.core.parameters import Json
from seedbed.predict import table
from seedbed.predict.contract import Estimate, FloatArray, Variable
from seedbed.predict.line import Axes, FittedLine, Trend, estimate
from seedbed.stats.correlation import pearson_interval
from seedbed.stats.intervals import mean_interval
from seedbed.stats.line import Line, straight_line

FREQUENCY = Variable("frequency", "number", "how often the corpus says it")
ACCURACY = Variable("accuracy", "share", "share of its items that are right")


@dataclasses.dataclass(frozen=True)
class ConceptFrequency(Trend):
    """A line in log10 of the frequency.

    Args:
        min_per_bin: concepts that a bin of the picture holds at least.
        bin_width: of a bin, in powers of ten.
        significance: a trend with a higher p is warned of.
    """

    min_per_bin: Annotated[int, Ge(1)] = 5
    bin_width: Annotated[float, Gt(0), Le(10)] = 0.25
    significance: Annotated[float, Gt(0), Lt(1)] = 0.05

    def axes(self) -> Axes:
        """What the line is drawn between."""
        return Axes(dataclasses.replace(FREQUENCY, kind="size"), ACCURACY.name, "log10", limits=(0.0, 1.0))

    def fit(self, runs: pa.Table) -> FittedLine:
        """Fit a table of concepts. Raises SeedbedError where no line can be drawn through them."""
        read = table.read(_all_different(runs), [FREQUENCY], ACCURACY)
        said_N = read.column["frequency"] > 0
        f_N, accuracy_N = read.column["frequency"][said_N], read.column["accuracy"][said_N]
        if len(f_N) < 3 or len(np.unique(f_N)) < 2:
            what = f"{len(f_N)} concepts of {len(np.unique(f_N))} frequencies above 0 cannot carry a line"
            raise SeedbedError("runs, column 'frequency'", what, "Give at least 3 concepts of 2 frequencies above 0.")
        x_N = np.log10(f_N)
        line = straight_line(x_N, accuracy_N)
        never_N = read.column["accuracy"][~said_N]
        bins = self.bins(x_N, accuracy_N)
        noted: dict[str, Json] = {
            "bins": [dict(one) for one in bins],
            "binned_r2": _binned_r2(bins),
            "never_said": {"concepts": len(never_N), **_told(never_N, self.level)} if len(never_N) else {"concepts": 0},
        }
        return FittedLine(
            law=self,
            line=line,
            domain=(float(f_N.min()), float(f_N.max())),
            more={"r": _correlation(line, self.level)},
            noted=noted,
            said=self._warnings(line, f_N, accuracy_N),
        )

    def bins(self, x_N: FloatArray, accuracy_N: FloatArray) -> list[dict[str, Json]]:
        """For the picture: mean log10 f, mean accuracy with its interval and concepts of every bin, rarest first."""
        bin_N = np.floor((x_N - x_N.min()) / self.bin_width + 1e-9).astype(np.int64)
        groups, rows = list[npt.NDArray[np.int64]](), np.zeros(0, np.int64)
        for one in np.unique(bin_N).tolist():
            rows = np.concatenate([rows, np.flatnonzero(bin_N == one)])
            if len(rows) >= self.min_per_bin:
                groups.append(rows)
                rows = np.zeros(0, np.int64)
        if len(rows) and groups:
            groups[-1] = np.concatenate([groups[-1], rows])
        return [
            {"log10_frequency": float(x_N[g].mean()), "concepts": len(g), **_told(accuracy_N[g], self.level)}
            for g in groups
        ]

    def _warnings(self, line: Line, f_N: FloatArray, accuracy_N: FloatArray) -> tuple[str, ...]:
        found: list[str] = []
        if line.p_value > self.significance:
            found.append(
                f"r = {line.correlation:.2f} with p = {line.p_value:.2g}: these concepts show no trend with frequency"
            )
        elif line.slope < 0:
            found.append(f"accuracy falls with frequency (r = {line.correlation:.2f}): look for what else differs")
        if f_N.max() <= f_N.min() * 10.1:
            span = f_N.max() / f_N.min()
            found.append(f"frequency spans only a factor of {span:.3g}, hardly a decade: the slope says little")
        top = float(np.mean(accuracy_N >= 1))
        if top > 0.5:
            found.append(
                f"{top:.0%} of the concepts are at accuracy 1, where no line can rise: leave out saturated items"
            )
        return tuple(found)


def _all_different(runs: pa.Table) -> pa.Table:
    """The table with its rows numbered, for concepts of one frequency and accuracy are not one concept twice.

    Raises SeedbedError for a frequency below 0, by its row.
    """
    if "frequency" in runs.column_names:
        cells = cast("list[object]", cast(Any, runs.column("frequency")).to_pylist())
        for row, cell in enumerate(cells, 1):
            if isinstance(cell, int | float) and cell < 0:
                raise SeedbedError(f"runs, row {row}, column 'frequency'", f"{cell!r} is below 0", "Give a count.")
    name = "_row"
    while name in runs.column_names:
        name += "_"
    return runs.append_column(name, arrow.column(list(range(runs.num_rows)), pa.int64()))


def _told(accuracy_N: FloatArray, level: float) -> dict[str, Json]:
    found = mean_interval(accuracy_N, level)
    return {"accuracy": found.value, "low": found.low, "high": found.high}


def _binned_r2(bins: list[dict[str, Json]]) -> float | None:
    """R^2 of the line through the bins' means; None for fewer than 3 bins."""
    x, y = (np.array([cast(float, one[name]) for one in bins]) for name in ("log10_frequency", "accuracy"))
    return straight_line(x, y).correlation ** 2 if len(bins) >= 3 else None


def _correlation(line: Line, level: float) -> Estimate:
    """Pearson's r with Fisher's interval (1921)."""
    return estimate(pearson_interval(line.correlation, line.n, level))
