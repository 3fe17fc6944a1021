"""Step law: forecasts the best learning rate and batch for a size and length, from sweeps at smaller ones.

What      In each cell of runs of one size and length keeps those near its lowest loss, and draws lines through their
          learning rates and batches: what a cell that was never swept should be trained with.
Source    Li et al. 2025, arXiv 2503.04715; the authors' released runs and 1,000 fits (github.com/step-law/steplaw).
Formula   kept: loss <= (1 + 0.0025) * lowest loss of the cell;  ln learning_rate = a + p ln N + q ln D and
          ln batch_tokens = b + r ln D by least squares over the kept runs; their means over 1,000 resamples.
Shapes    params_N, tokens_N, learning_rate_N, batch_tokens_N, loss_N -> 5 numbers; (params, tokens) -> 2 Estimates
Units     N non-embedding parameters, D tokens, batch in tokens (any multiple gives the same recommendations); the rate
          is the peak of a schedule, which should be the same in all runs (the paper: a cosine to a fixed 1e-5).
Fidelity  Exact, but that logarithms are centred, and that an interval is given: it is where a near-best run of a new
          cell may lie (refits and the scatter of kept runs), much wider than what is known of the line. A point inside
          it is not as good as the best: only the value is a recommendation. The fit the paper prints comes from runs
          that were not all released; model/step_law.py has it.
Errors    SeedbedError for a missing column, a cell that is no positive finite number (a run that diverged has no row),
          one size or one length only, fewer than 3 cells or all of them on one line, and forecasts further than
          max_extrapolation from the runs. Order and duplication of rows do not matter.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Annotated, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from annotated_types import Ge, Gt, Le, Lt

from seedbed.core.errors import SeedbedError, did_you_mean
from seedbed.core.parameters import Json
from seedbed.predict import table
from seedbed.predict.contract import PARAMS, TOKENS, Estimate, FloatArray, Law, Plan, Variable
from seedbed.predict.estimates import estimate
from seedbed.stats.fits import condition_number

RATE, BATCH = Variable("learning_rate", what="peak"), Variable("batch_tokens", what="tokens a step")
LOSS = Variable("loss", what="at the end of the run")
SIZES = (PARAMS, TOKENS)
NAMES = ("rate_factor", "rate_by_params", "rate_by_tokens", "batch_factor", "batch_by_tokens")
SPREADS = ("log_rate_residual_sd", "log_batch_residual_sd")
N_RATE = 3
"""Numbers of the rate's line; the rest are the batch's."""


@dataclasses.dataclass(frozen=True)
class StepLaw(Law):
    """The learning rate by params and tokens, the batch by tokens.

    Args:
        within: runs are kept whose loss is no further above the cell's lowest, as a fraction of it.
        n_bootstrap: resamples of the kept runs whose fits are averaged; 0 fits the runs themselves, without interval.
        max_extrapolation: how many times beyond the largest, or below the smallest, cell a forecast may go.
        level: share of intervals that should hold a near-best run.
        seed: of the resamples.
    """

    within: Annotated[float, Ge(0), Lt(1)] = 0.0025
    n_bootstrap: Annotated[int, Ge(0), Le(100_000)] = 1000
    max_extrapolation: Annotated[float, Ge(1), Le(1e6)] = 10.0
    level: Annotated[float, Gt(0), Lt(1)] = 0.95
    seed: Annotated[int, Ge(0)] = 0

    def fit(self, runs: pa.Table) -> FittedSteps:
        """Fit the runs. Raises SeedbedError where they cannot carry the lines."""
        read = table.read(runs, (*SIZES, RATE, BATCH), LOSS)
        table.varied(read, [PARAMS.name, TOKENS.name])
        logs = {name: np.log(values) for name, values in read.column.items()}
        cell_N, n_cells, cell_C2 = _cells(logs)
        if n_cells < N_RATE or np.linalg.matrix_rank(_design(cell_C2 - cell_C2.mean(axis=0)), tol=1e-6) < N_RATE:
            what = f"the rate's line cannot be drawn through {n_cells} cells (params, tokens) that lie in a row"
            raise SeedbedError("runs", what, "Sweep cells in which params and tokens do not grow together.")
        kept_M = np.flatnonzero(_kept(cell_N, read.column[LOSS.name], self.within))
        centre = (float(logs[PARAMS.name][kept_M].mean()), float(logs[TOKENS.name][kept_M].mean()))
        design_MP = _design(np.column_stack([logs[v.name][kept_M] for v in SIZES]) - centre)
        target_M2 = np.column_stack([logs[v.name][kept_M] for v in (RATE, BATCH)])
        draws, noise = self._resample(design_MP, target_M2)
        best = draws.mean(axis=0) if len(draws) else _lines(design_MP, target_M2)
        return FittedSteps(
            law=self,
            centre=centre,
            params=tuple(best.tolist()),
            draws=draws,
            noise=noise,
            domain={v.name: (float(read.column[v.name].min()), float(read.column[v.name].max())) for v in SIZES},
            told={
                "runs": len(read),
                "cells": n_cells,
                "kept": len(kept_M),
                **dict(zip(SPREADS, np.std(target_M2 - _at(best, design_MP), axis=0).tolist(), strict=True)),
                "condition_number": min(condition_number(design_MP), 1e300),
            },
            said=(*read.warnings, *_remarks(cell_N, read.column)),
        )

    def load(self, fitted: Mapping[str, Json]) -> FittedSteps:
        """The inverse of FittedSteps.to_json."""
        try:
            domain = cast("Mapping[str, list[float]]", fitted["domain"])
            return FittedSteps(
                law=self,
                centre=cast("tuple[float, float]", tuple(cast("list[float]", fitted["centre"]))),
                params=tuple(cast("list[float]", fitted["params"])),
                draws=np.array(fitted["draws"], np.float64).reshape(-1, len(NAMES)),
                noise=np.array(fitted["noise"], np.float64).reshape(-1, 2),
                domain={name: (low, high) for name, (low, high) in domain.items()},
                told=cast("Mapping[str, Json]", fitted["told"]),
                said=tuple(cast("list[str]", fitted["said"])),
            )
        except (KeyError, TypeError, ValueError) as error:
            what = f"the stored fit cannot be read ({type(error).__name__}: {error})"
            raise SeedbedError(self.name(), what, "Fit it again.") from error

    def _resample(self, design_MP: FloatArray, target_M2: FloatArray) -> tuple[FloatArray, FloatArray]:
        """(draw_RP, noise_R2): fits of kept runs drawn with replacement, and residuals of a new run."""
        rng, n = np.random.default_rng(self.seed), len(design_MP)
        draws = np.zeros((self.n_bootstrap, len(NAMES)))
        for i in range(self.n_bootstrap):
            rows = rng.integers(0, n, n)
            while np.linalg.matrix_rank(design_MP[rows], tol=1e-6) < N_RATE:
                rows = rng.integers(0, n, n)
            draws[i] = _lines(design_MP[rows], target_M2[rows])
        off_M2 = target_M2 - _at(_lines(design_MP, target_M2), design_MP)
        off_M2 *= np.sqrt(n / max(1, n - N_RATE))
        return draws, off_M2[rng.integers(0, n, self.n_bootstrap)]


@dataclasses.dataclass(frozen=True, eq=False)
class FittedSteps:
    """The two lines.

    Args:
        law: as it was fitted.
        centre: mean ln params and ln tokens of the kept runs.
        params: ln rate at the centre and its slopes by params and tokens; ln batch there and its slope by tokens.
        draws, noise: draw_RP, the same for each resample, and noise_R2, residuals of ln rate and ln batch.
        domain: column -> smallest and largest.
        told: facts of the fit.
        said: warnings.
    """

    law: StepLaw
    centre: tuple[float, float]
    params: tuple[float, ...]
    draws: FloatArray
    noise: FloatArray
    domain: Mapping[str, tuple[float, float]]
    told: Mapping[str, Json]
    said: tuple[str, ...]

    @property
    def level(self) -> float:
        """The share of its intervals that should hold a near-best run."""
        return self.law.level

    @property
    def answer(self) -> str:
        """The column that `forecast` foretells."""
        return RATE.name

    @property
    def variables(self) -> tuple[Variable, ...]:
        """What a plan must give."""
        return SIZES

    @property
    def coefficients(self) -> Mapping[str, Estimate]:
        """rate_factor N^rate_by_params D^rate_by_tokens, and batch_factor D^batch_by_tokens."""
        best, drawn = self._natural(np.array([self.params]))[0], self._natural(self.draws)
        return {name: estimate(float(best[i]), drawn[:, i], self.level) for i, name in enumerate(NAMES)}

    @property
    def facts(self) -> Mapping[str, Json]:
        """About the fit, for the reader."""
        return {**self.told, "domain": {name: list(ends) for name, ends in self.domain.items()}}

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the runs do not tell, as sentences."""
        return self.said

    def forecast(self, plan: Plan) -> Estimate:
        """The learning rate."""
        return self.hyperparameters(plan)[RATE.name]

    def hyperparameters(self, plan: Plan) -> Mapping[str, Estimate]:
        """learning_rate and batch_tokens. Raises SeedbedError too far from the runs."""
        for name, factor in self.outside(plan).items():
            if factor > self.law.max_extrapolation * (1 + 1e-9):
                low, high = self.domain[name]
                what = (
                    f"{name} {plan[name]:.3g} lies {factor:.3g} times beyond the runs ({low:.3g} to {high:.3g}); the "
                    f"limit is {self.law.max_extrapolation:g}"
                )
                raise SeedbedError(self.law.name(), what, "Sweep a cell nearer to it, or raise max_extrapolation.")
        best, sample_R2 = self._value(np.array([self.params]), plan)[0], np.exp(self._drawn(plan))
        return {
            variable.name: estimate(float(np.exp(best[i])), sample_R2[:, i], self.level)
            for i, variable in enumerate((RATE, BATCH))
        }

    def sample(self, plan: Plan) -> FloatArray:
        """sample_R: learning rates of near-best runs; empty without a bootstrap."""
        return np.exp(self._drawn(plan)[:, 0])

    def outside(self, plan: Plan) -> Mapping[str, float]:
        """Per variable how many times beyond the runs."""
        found: dict[str, float] = {}
        for variable in SIZES:
            if variable.name not in plan:
                mend = did_you_mean(variable.name, plan) or "It asks for params and tokens."
                raise SeedbedError(self.law.name(), f"a forecast needs {variable.name}", mend)
            at, (low, high) = float(plan[variable.name]), self.domain[variable.name]
            if not np.isfinite(at) or at <= 0:
                raise SeedbedError(self.law.name(), f"{variable.name} {at} must be a positive finite number")
            found[variable.name] = max(1.0, at / high, low / at)
        return found

    def to_json(self) -> dict[str, Json]:
        """Everything needed to forecast again, with coefficients, facts and warnings for the reader."""
        return {
            **self.law.stored(self.answer),
            "coefficients": {name: {**e._asdict()} for name, e in self.coefficients.items()},
            "warnings": list(self.warnings),
            "facts": dict(self.facts),
            "centre": list(self.centre),
            "params": list(self.params),
            "domain": {name: list(ends) for name, ends in self.domain.items()},
            "told": dict(self.told),
            "said": list(self.said),
            "draws": self.draws.tolist(),
            "noise": self.noise.tolist(),
        }

    def _value(self, params_RP: FloatArray, plan: Plan) -> FloatArray:
        """(ln rate, ln batch) of each row of coefficients."""
        at = np.log([plan[v.name] for v in SIZES]) - self.centre
        return np.array([_at(params_P, _design(at[None]))[0] for params_P in params_RP]).reshape(-1, 2)

    def _drawn(self, plan: Plan) -> FloatArray:
        return self._value(self.draws, plan) + self.noise

    def _natural(self, params_RP: FloatArray) -> FloatArray:
        """The numbers of the formula, with factors where the centred lines have heights."""
        size, length = self.centre
        rate, by_size, by_length, batch, batch_by_length = params_RP.T
        factors = np.exp(rate - by_size * size - by_length * length), np.exp(batch - batch_by_length * length)
        return np.column_stack([factors[0], by_size, by_length, factors[1], batch_by_length])


def _cells(logs: Mapping[str, FloatArray]) -> tuple[npt.NDArray[np.int64], int, FloatArray]:
    """(number of each run's cell, how many there are, their ln params and ln tokens)."""
    at_C2, cell_N = np.unique(np.column_stack([logs[v.name] for v in SIZES]), axis=0, return_inverse=True)
    return cell_N.reshape(-1), len(at_C2), at_C2


def _kept(cell_N: npt.NDArray[np.int64], loss_N: FloatArray, within: float) -> npt.NDArray[np.bool_]:
    """Which runs are near the lowest loss of their cell."""
    lowest_C = np.full(int(cell_N.max()) + 1, np.inf)
    np.minimum.at(lowest_C, cell_N, loss_N)
    return loss_N <= lowest_C[cell_N] * (1 + within)


def _design(at_M2: FloatArray) -> FloatArray:
    """(1, ln N, ln D) of each run, the logarithms centred."""
    return np.column_stack([np.ones(len(at_M2)), at_M2])


def _lines(design_MP: FloatArray, target_M2: FloatArray) -> FloatArray:
    """Least squares: three numbers of the rate, two of the batch, which does not see N."""
    rate = np.linalg.lstsq(design_MP, target_M2[:, 0], rcond=None)[0]
    batch = np.linalg.lstsq(design_MP[:, [0, 2]], target_M2[:, 1], rcond=None)[0]
    return np.asarray(np.concatenate([rate, batch]), np.float64)


def _at(params_P: FloatArray, design_MP: FloatArray) -> FloatArray:
    """value_M2: (ln rate, ln batch)."""
    return np.column_stack([design_MP @ params_P[:N_RATE], design_MP[:, [0, 2]] @ params_P[N_RATE:]])


def _remarks(cell_N: npt.NDArray[np.int64], column: Mapping[str, FloatArray]) -> list[str]:
    """Cells whose best run stands at the edge of what was tried: the best may lie beyond."""
    found: list[str] = []
    for variable in (RATE, BATCH):
        edges = {"highest": 0, "lowest": 0}
        for cell in range(int(cell_N.max()) + 1):
            tried, loss = column[variable.name][cell_N == cell], column[LOSS.name][cell_N == cell]
            best = tried[int(np.argmin(loss))]
            edges["highest"] += int(best == tried.max())
            edges["lowest"] += int(best == tried.min() and best < tried.max())
        n = int(cell_N.max()) + 1
        found += [
            f"in {count} of {n} cells the best run has the {which} {variable.name} tried: the best may lie beyond"
            for which, count in edges.items()
            if count
        ]
    return found
