"""RegMix as a law: forecasts the loss of a run from the shares of its domains by trees, and averages the best of many.

What      Learns the loss of finished runs, alike but for their mixtures, from the shares; says what another mixture
          will come to, and which shares the best of many simulated mixtures have.
Source    Liu, Zheng, Muennighoff, Zeng, Dou, Pang, Jiang, Lin 2024, arXiv 2407.01492, section 3; reference code
          sail-sg/regmix (regression notebook).
Formula   loss = regressor(share_D); mixture = mean of the 128 lowest of 100,000 from Dirichlet(prior).
Shapes    share_ND, loss_N -> regressor; share_D -> (value, low, high)
Units     Shares as fractions; loss in any unit.
Fidelity  Adapted: as many trees as the paper (1000 at rate 0.01), but no early stopping: the notebook stops on the
          mixtures it is then judged by. Leaves hold at least min(20, N / 10) runs (20 is the library's default, too
          many for few). The prior is what `given` says, else the mean mixture of the runs; simulated mixtures outside
          the runs' shares are left out, where trees know nothing. The interval of a forecast holds `level` of the
          errors on runs that were left out of the fit, k-fold, by how far each was off, without regard to where; that
          of a share holds the middle of the best mixtures, which says how little it matters, not how well it is known.
Errors    SeedbedError for a missing column, a cell that is no share, a row whose shares do not sum to 1 or whose loss
          is not above 0, fewer than 8 runs, a mixture that does not sum to 1 or has a share outside the runs, caps
          that leave no room, and where lightgbm is not installed. Order and duplication of rows do not matter.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import partial
from typing import Annotated, cast

import numpy as np
import pyarrow as pa
from annotated_types import Ge, Gt, Le, Lt

from seedbed.core.errors import SeedbedError, did_you_mean
from seedbed.core.parameters import Json
from seedbed.predict import mixtures, table
from seedbed.predict.contract import Estimate, FloatArray, Law, Plan, Variable
from seedbed.predict.estimates import estimate
from seedbed.stats import regression
from seedbed.stats.regression import Regressor
from seedbed.stats.simplex import dirichlet

LOSS = Variable("loss", what="at the end of the run")

FEWEST = 8
"""Runs that a regression needs."""


@dataclasses.dataclass(frozen=True)
class Regmix(Law):
    """A regression of the loss on all columns `share_<domain>`, which sum to 1, or on one column `share`.

    Args:
        regressor: "lightgbm" grows trees (extra `mix`), "linear" fits a plane.
        trees, learning_rate: of lightgbm.
        simulated: mixtures that are foretold.
        best: of them, how many are averaged.
        folds: of the cross-validation behind the interval.
        level: share of intervals that should hold the truth.
        seed: of folds and simulated mixtures.
    """

    regressor: Regressor = "lightgbm"
    trees: Annotated[int, Gt(0), Le(100_000)] = 1000
    learning_rate: Annotated[float, Gt(0), Le(1)] = 0.01
    simulated: Annotated[int, Gt(0), Le(10_000_000)] = 100_000
    best: Annotated[int, Gt(0), Le(100_000)] = 128
    folds: Annotated[int, Ge(2), Le(100)] = 5
    level: Annotated[float, Gt(0), Lt(1)] = 0.95
    seed: Annotated[int, Ge(0)] = 0

    def fit(self, runs: pa.Table) -> FittedRegression:
        """Learn from the runs. Raises SeedbedError where they cannot carry a regression."""
        names = mixtures.columns(runs.column_names)
        mixtures.check(runs, names, LOSS.name)
        read = table.read(runs, mixtures.variables(names), LOSS)
        table.enough(read, FEWEST, "a regression")
        share_ND, loss_N = np.column_stack([read.column[name] for name in names]), read.column[LOSS.name]
        learn = partial(regression.regression, self.regressor, trees=self.trees, learning_rate=self.learning_rate)
        foretold_N = regression.out_of_fold(learn, share_ND, loss_N, folds=self.folds, seed=self.seed)
        return FittedRegression(
            law=self,
            names=tuple(names),
            predict=learn(share_ND, loss_N),
            residual_N=loss_N - foretold_N,
            low_D=share_ND.min(axis=0),
            high_D=share_ND.max(axis=0),
            mean_D=share_ND.mean(axis=0),
            heldout=regression.agreement(foretold_N, loss_N),
            said=read.warnings,
        )

    def load(self, fitted: Mapping[str, Json]) -> FittedRegression:
        """The inverse of FittedRegression.to_json."""
        try:
            numbers = {name: np.array(fitted[name], np.float64) for name in ("residual", "low", "high", "mean")}
            return FittedRegression(
                law=self,
                names=tuple(cast("list[str]", fitted["names"])),
                predict=regression.read(cast("Mapping[str, Json]", fitted["regression"])),
                residual_N=numbers["residual"],
                low_D=numbers["low"],
                high_D=numbers["high"],
                mean_D=numbers["mean"],
                heldout=cast("Mapping[str, float | None]", fitted["heldout"]),
                said=tuple(cast("list[str]", fitted["said"])),
            )
        except (KeyError, TypeError, ValueError) as error:
            what = f"the stored fit cannot be read ({type(error).__name__}: {error})"
            raise SeedbedError(self.name(), what, "Fit it again.") from error


@dataclasses.dataclass(frozen=True, eq=False)
class FittedRegression:
    """What was learned.

    Args:
        law: as it was fitted.
        names: columns of shares.
        predict: the regression on all runs.
        residual_N: loss of each run less what the other folds foretold.
        low_D, high_D, mean_D: of the runs' shares.
        heldout: how the folds' forecasts agree with the losses.
        said: what reading the table found.
    """

    law: Regmix
    names: tuple[str, ...]
    predict: regression.Plane | regression.Trees
    residual_N: FloatArray
    low_D: FloatArray
    high_D: FloatArray
    mean_D: FloatArray
    heldout: Mapping[str, float | None]
    said: tuple[str, ...]

    @property
    def level(self) -> float:
        """The share of its intervals that should hold the truth."""
        return self.law.level

    @property
    def answer(self) -> str:
        """The column that it foretells."""
        return LOSS.name

    @property
    def variables(self) -> tuple[Variable, ...]:
        """What a plan must give."""
        return mixtures.variables(self.names)

    @property
    def coefficients(self) -> Mapping[str, Estimate]:
        """Slopes of a plane, without interval (only their differences mean something); none of trees."""
        if isinstance(self.predict, regression.Trees):
            return {}
        slopes = dict(zip((*self.names, "constant"), self.predict.slope_P.tolist(), strict=True))
        return {name: Estimate(slope, slope, slope) for name, slope in slopes.items()}

    @property
    def facts(self) -> Mapping[str, Json]:
        """About the fit, for the reader; `heldout_` of runs foretold by fits to the other folds."""
        ends = zip(self.names, self.low_D.tolist(), self.high_D.tolist(), strict=True)
        return {
            "runs": len(self.residual_N),
            "regressor": self.law.regressor,
            **self.heldout,
            "domain": {name: [low, high] for name, low, high in ends},
        }

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the runs do not tell, as sentences."""
        found, ranks, n = list(self.said), self.heldout["heldout_spearman"], len(self.residual_N)
        if ranks is None or ranks < 0.8:
            told = "not at all" if ranks is None else f"to a rank correlation of {ranks:.2f} only"
            found.append(f"runs left out of the fit are ranked {told}: do not choose a mixture by it")
        if n < 10 * len(self.names):
            found.append(f"{n} runs for {len(self.names)} domains are few; the paper has 512 for 17")
        return tuple(found)

    def forecast(self, plan: Plan) -> Estimate:
        """What one new run will come to. Raises SeedbedError for a mixture that the runs do not surround."""
        share_D = self._shares(plan)
        for name, factor in self.outside(plan).items():
            if factor > 1 + 1e-9:
                d = self.names.index(name)
                what = f"{name} {share_D[d]:.4g} lies outside the runs ({self.low_D[d]:.4g} to {self.high_D[d]:.4g})"
                raise SeedbedError(self.law.name(), what, "A regression knows nothing there: add runs that reach it.")
        value = float(self.predict(share_D[None])[0])
        return estimate(value, value + self.residual_N, self.level)

    def sample(self, plan: Plan) -> FloatArray:
        """sample_N: the forecast plus each error on a run left out."""
        return float(self.predict(self._shares(plan)[None])[0]) + self.residual_N

    def outside(self, plan: Plan) -> Mapping[str, float]:
        """Per share 1 + distance / width of the runs."""
        share_D, width_D = self._shares(plan), np.maximum(self.high_D - self.low_D, 1e-9)
        gap_D = np.maximum(0.0, np.maximum(share_D - self.high_D, self.low_D - share_D))
        return dict(zip(self.names, (1.0 + gap_D / width_D).tolist(), strict=True))

    def mixture(self, given: Plan, caps: Mapping[str, float]) -> Mapping[str, Estimate]:
        """The mean of the best simulated mixtures below the caps, and its loss.

        `given` may hold the shares that are drawn round (the pool's); else the mean of the runs. Raises SeedbedError
        where fewer than `best` simulated mixtures keep below the caps and inside the runs.
        """
        cap_D, pool_D = mixtures.room(self.names, caps, self.law.name()), self.mean_D
        if any(name in given for name in self.names):
            pool_D = self._shares(given)
        n, alone = len(self.names), len(self.names) == 1
        prior_D = np.append(pool_D, 1 - pool_D) if alone else pool_D
        share_SD = dirichlet(prior_D, self.law.simulated, np.random.default_rng([self.law.seed, 1]))
        inside_S = (share_SD <= cap_D + 1e-12).all(axis=1)
        share_SD = share_SD[:, :n]
        inside_S &= ((share_SD >= self.low_D) & (share_SD <= self.high_D)).all(axis=1)
        share_SD = share_SD[inside_S]
        if len(share_SD) < self.law.best:
            what = f"{len(share_SD)} of {self.law.simulated} simulated mixtures keep below the caps and inside the runs"
            raise SeedbedError(self.law.name(), what, "Raise the caps, simulate more, or add runs with other mixtures.")
        mean_D, best_BD = regression.lowest_of_many(self.predict, share_SD, self.law.best)
        found = {name: estimate(float(mean_D[d]), best_BD[:, d], self.level) for d, name in enumerate(self.names)}
        return {**found, self.answer: self.forecast(dict(zip(self.names, mean_D.tolist(), strict=True)))}

    def to_json(self) -> dict[str, Json]:
        """Everything needed to forecast again, with facts and warnings for the reader."""
        return {
            **self.law.stored(self.answer),
            "coefficients": {name: {**e._asdict()} for name, e in self.coefficients.items()},
            "warnings": list(self.warnings),
            "facts": dict(self.facts),
            "names": list(self.names),
            "regression": self.predict.to_json(),
            "residual": self.residual_N.tolist(),
            "low": self.low_D.tolist(),
            "high": self.high_D.tolist(),
            "mean": self.mean_D.tolist(),
            "heldout": dict(self.heldout),
            "said": list(self.said),
        }

    def _shares(self, plan: Plan) -> FloatArray:
        """share_D of a plan. Raises SeedbedError for what is missing, no share, or not the whole."""
        for name in self.names:
            if name not in plan:
                mend = did_you_mean(name, plan) or f"It asks for {', '.join(self.names)}."
                raise SeedbedError(self.law.name(), f"a forecast needs {name}", mend)
            if not 0 <= plan[name] <= 1:
                raise SeedbedError(self.law.name(), f"{name} {plan[name]} is no share between 0 and 1")
        mixtures.whole(plan, self.names, self.law.name())
        return np.array([float(plan[name]) for name in self.names])
