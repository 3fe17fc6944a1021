"""Data mixing law: forecasts the loss of a run from the shares of its domains, and finds the shares of the lowest.

What      Fits the loss of finished runs, alike but for their mixtures, to an exponential of a weighted sum of the
          shares; says what another mixture will come to, and which one comes to the least.
Source    Ye, Liu, Sun, Zhan, Zhou, Qiu 2024, arXiv 2403.16952, section 3; reference code yegcjs/mixinglaws.
Formula   loss(r) = c + k exp(SUM_d t_d r_d); objective = SUM over runs of Huber_delta(loss(r) - loss), delta = 0.02.
          mixture = argmin over r of t . r, r_d <= cap_d: domains of the lowest t first, each up to its cap.
Shapes    share_ND, loss_N -> (c, k, t_D); share_D -> (value, low, high)
Units     Shares as fractions; loss in nats per token (huber_delta is in the same unit).
Fidelity  Adapted: same law and objective. Of shares that sum to 1, k and t are known only up to a common shift of t,
          which k undoes: the mean of t over the domains is 0, so D - 1 of them are fitted, and the last is shown.
          Starts take c from a ladder below the lowest loss, where the other numbers are a linear regression, in place
          of a random grid. Of one loss the lowest mixture is known in closed form, where the code searches a grid:
          without caps it is one domain alone.
          Partial: one loss at a time (the paper adds up several target domains, and learns hidden ones); the laws of
          steps and sizes that carry a mixture law to a larger scale are left out: it holds at the runs' own scale.
Errors    SeedbedError for a missing column, a cell that is no share, a row whose shares do not sum to 1 or whose loss
          is not above 0, fewer runs than one more than the numbers to fit, shares that never vary, and forecasts of
          mixtures that do not sum to 1 or lie too far from the runs.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated

import numpy as np
import pyarrow as pa
from annotated_types import Ge, Gt, Le

from seedbed.core.parameters import Json
from seedbed.predict import mixtures
from seedbed.predict.contract import Estimate, FloatArray, Plan
from seedbed.predict.fitted import Fitted
from seedbed.predict.form import Coefficient, Form, Points
from seedbed.predict.parametric import Parametric
from seedbed.predict.shares import specialised
from seedbed.stats import mixing_law
from seedbed.stats.mixing_law import HIGHEST_LOG, LOWEST_LOG, STEEPEST

STARTS = 12
"""Values of c that descents begin at."""


@dataclasses.dataclass(frozen=True)
class DataMixingLaw(Parametric):
    """c + k exp(t . r); r are all columns `share_<domain>`, which sum to 1, or one column `share`.

    Args:
        huber_delta: residuals beyond it count linearly (in the unit of the loss).
        max_extrapolation: a share may lie so many times the width of the runs' shares beyond them, less one.
    """

    huber_delta: Annotated[float, Gt(0), Le(1e6)] = 0.02
    max_extrapolation: Annotated[float, Ge(1), Le(1e6)] = 2.0

    def form(self, columns: Sequence[str]) -> Form:
        """Of the columns of shares."""
        names = mixtures.columns(columns)
        free = names if len(names) == 1 else names[:-1]
        return Form(
            variables=mixtures.variables(names),
            coefficients=(
                Coefficient("c", LOWEST_LOG[0], HIGHEST_LOG),
                Coefficient("k", LOWEST_LOG[1], HIGHEST_LOG),
                *(Coefficient(slope(name), -STEEPEST, STEEPEST, is_log=False) for name in free),
            ),
            value=partial(value, names),
            starts=partial(starts, names),
            residual="linear",
        )

    def fit(self, runs: pa.Table) -> FittedMixture:
        """Fit the runs. Raises SeedbedError where they cannot carry the coefficients."""
        mixtures.check(runs, mixtures.columns(runs.column_names), "loss")
        return specialised(FittedMixture, super().fit(runs))

    def load(self, fitted: Mapping[str, Json]) -> FittedMixture:
        """The inverse of to_json."""
        return specialised(FittedMixture, super().load(fitted))

    def refuse(self, plan: Plan) -> None:
        """Raises SeedbedError for shares that do not sum to 1."""
        mixtures.whole(plan, [name for name in plan if name.startswith(mixtures.PREFIX)], self.name())


class FittedMixture(Fitted):
    """The fitted law, which also chooses shares."""

    def named(self, params_RP: FloatArray) -> list[dict[str, float]]:
        """Coefficients by name, the slope of the last domain with them."""
        rows, names = super().named(params_RP), [v.name for v in self.variables]
        if len(names) == 1:
            return rows
        return [{**row, slope(names[-1]): -sum(row[slope(name)] for name in names[:-1])} for row in rows]

    def mixture(self, given: Plan, caps: Mapping[str, float]) -> Mapping[str, Estimate]:  # noqa: ARG002
        """The shares of the lowest loss below the caps, and that loss; intervals are those of the refits' own lowest.

        Raises SeedbedError for caps that leave no room for 1, or where the lowest lies too far from the runs.
        """
        names = [v.name for v in self.variables]
        cap_D = mixtures.room(names, caps, self.law.name())
        share_D = _lowest(self._slopes(np.array(self.params)), cap_D)
        drawn_RD = np.array([_lowest(self._slopes(params_P), cap_D) for params_P in self.draws])
        drawn_RD = drawn_RD.reshape(len(self.draws), len(share_D))
        found = {name: self.estimate(float(share_D[d]), drawn_RD[:, d]) for d, name in enumerate(names)}
        return {**found, self.answer: self.forecast({name: float(share_D[d]) for d, name in enumerate(names)})}

    def _slopes(self, params_P: FloatArray) -> FloatArray:
        """t_D, that of the last domain with them; one column `share` stands beside a rest whose slope is 0."""
        return np.append(params_P[2:], 0.0 if len(self.variables) == 1 else -params_P[2:].sum())


def slope(column: str) -> str:
    """What the coefficient of a column of shares is called."""
    return "t" + column.removeprefix("share")


def value(names: Sequence[str], params_P: FloatArray, points: Points) -> tuple[FloatArray, FloatArray]:
    """(loss_N, jacobian_NP) of (ln c, ln k, t of all domains but the last)."""
    share_ND = np.column_stack([points[name] for name in names])
    if len(names) == 1:
        return mixing_law.losses(params_P, share_ND)
    loss_N, jacobian_NP = mixing_law.losses(np.append(params_P, -params_P[2:].sum()), share_ND)
    return loss_N, np.column_stack([jacobian_NP[:, :2], jacobian_NP[:, 2:-1] - jacobian_NP[:, -1:]])


def starts(names: Sequence[str], points: Points, answer_N: FloatArray) -> list[FloatArray]:
    """A start for each of some values of c."""
    share_ND = np.column_stack([points[name] for name in names])
    whole = share_ND if len(names) > 1 else np.column_stack([share_ND, 1 - share_ND])
    found = [mixing_law.start(whole, answer_N, part) for part in np.linspace(0.02, 0.98, STARTS)]
    if len(names) > 1:
        return [start[:-1] for start in found]
    return [np.array([c, k + rest, t - rest]) for c, k, t, rest in found]


def _lowest(t_D: FloatArray, cap_D: FloatArray) -> FloatArray:
    """share_D: the domains that lower the loss most, each as far as its cap goes."""
    share_D, left = np.zeros(len(t_D)), 1.0
    for d in np.argsort(t_D, kind="stable"):
        share_D[d] = min(float(cap_D[d]), left)
        left -= share_D[d]
    return share_D
