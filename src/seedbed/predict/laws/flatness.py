"""Flatness: among models of one pre-training loss, which will do better at a task, by the trace of the Hessian.

What      Ranks runs of the same loss by Tr(H) at their end, says how well that rank agrees with their scores
          (Spearman), and draws a line through score over ln Tr(H).
Source    Liu et al. 2022, arXiv 2210.14199, section 3 (models of equal loss whose minima are flatter transfer better);
          the trace is measured by seedbed.model.flatness.
Formula   rho = Spearman(trace, score), with Bonett and Wright's interval and the p of random pairings;
          score = m ln(trace) + b by least squares.
Shapes    loss_N, flatness_N (the trace), score_N, a row a run -> rho, m, b; {"flatness": trace} -> (value, low, high)
Units     loss in any one unit (tolerance too); trace in nats per token and squared weight; score in its own unit.
Fidelity  Adapted: the source shows the correlation and gives no formula; the line is ours. Which way is better is the
          score's: lower trace is flatter, so rho < 0 for a score that should be high, rho > 0 for one in bits.
Errors    SeedbedError for a missing column, a trace or loss that is not positive and finite (with its row), fewer than
          4 runs, one trace or one score alone, losses that differ by more than `tolerance` (naming the run furthest
          out), and forecasts further than max_extrapolation beyond the runs.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated

import numpy as np
import pyarrow as pa
from annotated_types import Gt, Le

from seedbed.core import arrow
from seedbed.core.errors import SeedbedError
from seedbed.core.parameters import Json
from seedbed.predict import table
from seedbed.predict.contract import Variable
from seedbed.predict.line import Axes, FittedLine, Trend, estimate
from seedbed.stats.correlation import shuffled_p, spearman_interval
from seedbed.stats.line import straight_line

LOSS = Variable("loss", what="pre-training loss at the end of the run")
TRACE = Variable("flatness", what="trace of the Hessian of that loss, norm gains left out")
SCORE = Variable("score", "number", "what the run comes to at the task")


@dataclasses.dataclass(frozen=True)
class Flatness(Trend):
    """Rank correlation of trace and score, and a line in ln trace.

    Args:
        tolerance: the most by which the losses of two runs may differ: the deviation between seeds.
    """

    tolerance: Annotated[float, Gt(0), Le(1e6)] = 0.01

    def axes(self) -> Axes:
        """What the line is drawn between."""
        return Axes(TRACE, SCORE.name, "ln")

    def fit(self, runs: pa.Table) -> FittedLine:
        """Fit a table of runs. Raises SeedbedError where their losses differ, or all else is one."""
        read = table.read(runs, [LOSS, TRACE], SCORE)
        table.enough(read, 4, "a rank correlation")
        self._one_loss(runs, read)
        table.varied(read, [TRACE.name, SCORE.name])
        trace_N, score_N, loss_N = (read.column[name] for name in ("flatness", "score", "loss"))
        rho = spearman_interval(trace_N, score_N, self.level)
        p = shuffled_p(trace_N, score_N, seed=self.seed)
        beside = spearman_interval(loss_N, score_N, self.level)
        noted: dict[str, Json] = {
            "spearman_p": p,
            "loss_span": float(np.ptp(loss_N)),
            "spearman_of_loss": {"value": beside.value, "low": beside.low, "high": beside.high},
        }
        line = straight_line(np.log(trace_N), score_N)
        return FittedLine(
            law=self,
            line=line,
            domain=(float(trace_N.min()), float(trace_N.max())),
            more={"rho": estimate(rho)},
            noted=noted,
            said=(*read.warnings, *self._warnings(len(trace_N), p, line.p_value)),
        )

    def _one_loss(self, runs: pa.Table, read: table.Runs) -> None:
        """Raises SeedbedError where the losses of two runs differ by more than the tolerance."""
        loss_N = read.column["loss"]
        if np.ptp(loss_N) <= self.tolerance:
            return
        middle = float(np.median(loss_N))
        odd = float(loss_N[np.argmax(np.abs(loss_N - middle))])
        row = int(np.flatnonzero(arrow.numpy(runs, "loss") == odd)[0]) + 1
        what = (
            f"{odd:.6g} beside a median of {middle:.6g}: losses that span {np.ptp(loss_N):.3g} (tolerance "
            f"{self.tolerance:g}) are no minima of one depth, and a lower loss is flatter and better by itself"
        )
        mend = "Leave the run out, train all to one loss, or give the deviation between seeds as tolerance."
        raise SeedbedError(f"runs, row {row}, column 'loss'", what, mend)

    def _warnings(self, n: int, p_rank: float, p_line: float) -> tuple[str, ...]:
        found = [
            "the trace is no invariant: weights of another scale give another trace at the same function; compare runs "
            "of one architecture, parametrization and tokenizer alone"
        ]
        if p_rank > 1 - self.level:
            found.append(f"random pairings reach this rank correlation with p = {p_rank:.2g}: it may be chance")
        if p_line > 1 - self.level:
            found.append(f"the line's slope has p = {p_line:.2g}: forecasts are hardly more than the mean score")
        if n < 10:
            found.append(f"{n} runs: the interval of a rank correlation is wide")
        return tuple(found)
