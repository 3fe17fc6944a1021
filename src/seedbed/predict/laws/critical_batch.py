"""Critical batch: the batch size beyond which steps are no longer saved, from runs of one model at several batches.

What      Says for a loss how many tokens a batch should hold for a fair trade: at Bcrit a run takes twice the least
          steps and twice the least tokens. Also the least steps and the least tokens to that loss.
Source    McCandlish et al. 2018, arXiv 1812.06162, section 2; Kaplan et al. 2020, arXiv 2001.08361, section 5.1; the
          procedure as step 2 of Su et al. 2024, arXiv 2403.06563.
Formula   For each of `n_levels` losses, steps S_B that the runs of each batch size B take to it:
          (S / Smin - 1)(E / Emin - 1) = 1 with E = B S, which is S = Smin (1 + Bcrit / B), by least squares of ln S;
          Bcrit = Emin / Smin. Then the line ln Bcrit = ln B_star - ln L / alpha_B through the losses.
Shapes    batch_tokens_N, steps_N, loss_N (points of curves) -> B_star, alpha_B; loss -> (value, low, high) of Bcrit
Units     batch_tokens, Bcrit and least tokens in tokens; steps in updates; loss in nats per token, or any unit.
Fidelity  Adapted: steps to a loss are read off the nearest falling curve (isotonic regression of ln loss on ln steps),
          as the first step below it is early on a noisy curve. A loss whose Bcrit lies over 50 times beyond the batch
          sizes tells nothing of it and is left out. Intervals come from redrawn batch sizes (or losses, with
          bootstrap="levels", which is too narrow, as all come from the same runs). The learning rate should have been
          tuned for each batch size; a rate that was not shows as a Bcrit of the rate, not of the gradient's noise.
Errors    SeedbedError for a missing column, a value that is no positive finite number (with its row), more than one
          params, fewer than three batch sizes, fewer than two losses that tell a Bcrit, and forecasts at losses more
          than max_extrapolation times beyond those fitted (least steps and tokens: not beyond them at all).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, cast

import numpy as np
import pyarrow as pa
from annotated_types import Ge, Gt, Le, Lt

from seedbed.core import arrow
from seedbed.core.errors import SeedbedError, did_you_mean
from seedbed.core.parameters import Json
from seedbed.predict import table
from seedbed.predict.batch_curves import (
    BATCH_TOKENS,
    STEPS,
    Curve,
    alike,
    at_full_rate,
    critical_batches,
    falling,
    levels,
    line,
)
from seedbed.predict.contract import Estimate, FloatArray, Law, Plan, Variable
from seedbed.predict.estimates import estimate

LOSS = Variable("loss", what="that is to be reached")


@dataclasses.dataclass(frozen=True)
class CriticalBatch(Law):
    """Hyperbolas of steps and tokens, and a power of the loss.

    Args:
        n_levels: losses at which a hyperbola is fitted.
        skip_first: share of each run's steps, from its first on, that is left out as warm-up.
        max_extrapolation: how many times beyond the losses fitted a forecast may go.
        n_bootstrap: refits behind the interval; 0 gives none (low = high = value).
        bootstrap: "runs" redraws batch sizes, "levels" losses.
        level: share of intervals that should hold the truth.
        seed: of the bootstrap.
    """

    n_levels: Annotated[int, Ge(2), Le(1000)] = 12
    skip_first: Annotated[float, Ge(0), Lt(1)] = 0.1
    max_extrapolation: Annotated[float, Ge(1), Le(1e6)] = 1.5
    n_bootstrap: Annotated[int, Ge(0), Le(100_000)] = 200
    bootstrap: Literal["runs", "levels"] = "runs"
    level: Annotated[float, Gt(0), Lt(1)] = 0.95
    seed: Annotated[int, Ge(0)] = 0

    def fit(self, runs: pa.Table) -> FittedCriticalBatch:
        """Fit the points that are at the constant rate. Raises SeedbedError where they tell no critical batch."""
        variables = (BATCH_TOKENS, STEPS)
        table.read(runs, variables, LOSS)  # so that errors tell the rows as they were given
        if "params" in runs.column_names and len(np.unique(arrow.numpy(runs, "params"))) > 1:
            raise SeedbedError("runs, column 'params'", "the runs are of several sizes", "Keep the rows of one size.")
        read = table.read(at_full_rate(runs, self.skip_first), variables, LOSS)
        log_batch, log_steps, log_loss = (np.log(read.column[name]) for name in ("batch_tokens", "steps", "loss"))
        groups = alike([log_batch], len(read))
        log_batch_B = np.array([log_batch[rows[0]] for rows in groups])
        if len(log_batch_B) < 3:
            what = f"{len(log_batch_B)} batch sizes cannot tell a hyperbola"
            raise SeedbedError("runs, column 'batch_tokens'", what, "Add runs until there are at least 3.")
        curves = [falling(log_steps[rows], log_loss[rows]) for rows in groups]
        found_L3, untold = critical_batches(curves, log_batch_B, levels(curves, log_batch_B, self.n_levels))
        if len(found_L3) < 2:
            what = f"{len(found_L3)} losses tell a critical batch near the batch sizes of the runs"
            mend = "Run batch sizes on both sides of it, all down to the same losses."
            raise SeedbedError("runs", what, mend)
        return FittedCriticalBatch(
            law=self,
            levels_L3=found_L3,
            draws=self._redrawn(curves, log_batch_B, found_L3),
            batches=(float(np.exp(log_batch_B[0])), float(np.exp(log_batch_B[-1]))),
            n_batches=len(groups),
            untold=untold,
            said=read.warnings,
        )

    def load(self, fitted: Mapping[str, Json]) -> FittedCriticalBatch:
        """The inverse of FittedCriticalBatch.to_json."""
        try:
            return FittedCriticalBatch(
                law=self,
                levels_L3=np.array(fitted["levels"], np.float64).reshape(-1, 3),
                draws=np.array(fitted["draws"], np.float64).reshape(-1, 2 + len(cast("list[Json]", fitted["levels"]))),
                batches=cast("tuple[float, float]", tuple(cast("list[float]", fitted["batches"]))),
                n_batches=cast(int, fitted["n_batches"]),
                untold=cast(int, fitted["untold"]),
                said=tuple(cast("list[str]", fitted["said"])),
            )
        except (KeyError, TypeError, ValueError) as error:
            what = f"the stored fit cannot be read ({type(error).__name__}: {error})"
            raise SeedbedError(self.name(), what, "Fit it again.") from error

    def _redrawn(self, curves: Sequence[Curve], log_batch_B: FloatArray, found_L3: FloatArray) -> FloatArray:
        """draw_RK: intercept and slope of ln Bcrit on ln L, then ln Smin at each of the losses; none where ten redraws
        for each do not tell enough of them."""
        rng, draws = np.random.default_rng(self.seed), list[FloatArray]()
        for _ in range(10 * self.n_bootstrap):
            if len(draws) == self.n_bootstrap:
                break
            if self.bootstrap == "levels":
                again_L3 = found_L3[np.sort(rng.integers(0, len(found_L3), len(found_L3)))]
            else:
                rows: list[int] = rng.integers(0, len(curves), len(curves)).tolist()
                again_L3 = critical_batches([curves[i] for i in rows], log_batch_B[rows], found_L3[:, 0])[0]
            if len(again_L3) and np.ptp(again_L3[:, 0]) > 0:
                slope, intercept = line(again_L3[:, 0], again_L3[:, 2])
                log_least_L = np.interp(-found_L3[:, 0], -again_L3[:, 0], again_L3[:, 1])
                draws.append(np.concatenate([[intercept, slope], log_least_L]))
        return np.array(draws, np.float64).reshape(-1, 2 + len(found_L3))


@dataclasses.dataclass(frozen=True, eq=False)
class FittedCriticalBatch:
    """Critical batches at some losses, and the line through them.

    Args:
        law: what was fitted.
        levels_L3: ln loss, ln Smin and ln Bcrit, from high to low losses.
        draws: the same of each bootstrap refit: intercept, slope, ln Smin at each loss.
        batches: smallest and largest batch of the runs.
        n_batches: how many there are.
        untold: losses whose critical batch lies too far from the batches of the runs.
        said: what reading the table found.
    """

    law: CriticalBatch
    levels_L3: FloatArray
    draws: FloatArray
    batches: tuple[float, float]
    n_batches: int
    untold: int
    said: tuple[str, ...] = ()

    @property
    def level(self) -> float:
        """The share of its intervals that should hold the truth."""
        return self.law.level

    @property
    def answer(self) -> str:
        """The column that it foretells."""
        return BATCH_TOKENS.name

    @property
    def variables(self) -> tuple[Variable, ...]:
        """What a plan must give."""
        return (LOSS,)

    @property
    def line(self) -> tuple[float, float]:
        """(slope, intercept) of ln Bcrit on ln loss."""
        return line(self.levels_L3[:, 0], self.levels_L3[:, 2])

    @property
    def coefficients(self) -> Mapping[str, Estimate]:
        """B_star, the critical batch at a loss of 1, and alpha_B."""
        slope, intercept = self.line
        found = estimate(-slope, -self.draws[:, 1], self.level)
        return {
            "B_star": estimate(_exp(intercept), np.exp(np.clip(self.draws[:, 0], -700, 700)), self.level),
            "inverse_alpha_B": found,
            "alpha_B": Estimate(*(1 / x if x > 0 else 1e300 for x in (found.value, found.high, found.low))),
        }

    @property
    def facts(self) -> Mapping[str, Json]:
        """About the fit, for the reader: the least steps and the critical batch at each loss among it."""
        slope, intercept = self.line
        off = self.levels_L3[:, 2] - (intercept + slope * self.levels_L3[:, 0])
        names = ("loss", "least_steps", "critical_batch_tokens")
        return {
            "batch_sizes": self.n_batches,
            "losses": [dict(zip(names, row, strict=True)) for row in np.exp(self.levels_L3).tolist()],
            "losses_that_tell_nothing": self.untold,
            "residual_sd": float(np.std(off)),
            "domain": {"loss": list(self.domain), "batch_tokens": list(self.batches)},
        }

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the runs do not tell, as sentences."""
        found = list(self.said)
        low, high = np.exp(self.levels_L3[:, 2].min()), np.exp(self.levels_L3[:, 2].max())
        if high < self.batches[0] or low > self.batches[1]:
            side = "below" if high < self.batches[0] else "above"
            found.append(f"the critical batch lies {side} all batch sizes of the runs: add some there")
        if self.line[0] >= 0:
            found.append("the critical batch does not grow as the loss falls: alpha_B is not told")
        if self.untold:
            found.append(f"{self.untold} losses tell no critical batch near the batch sizes of the runs")
        if self.n_batches < 6:
            found.append(f"{self.n_batches} batch sizes: the interval rests on little; the paper takes 6 octaves")
        if len(self.draws) < self.law.n_bootstrap:
            found.append(f"only {len(self.draws)} of {self.law.n_bootstrap} redraws told a critical batch")
        return tuple(found)

    @property
    def domain(self) -> tuple[float, float]:
        """Lowest and highest loss with a critical batch."""
        return float(np.exp(self.levels_L3[:, 0].min())), float(np.exp(self.levels_L3[:, 0].max()))

    def predict(self, plan: Plan) -> float:
        """The critical batch in tokens, without a look at the domain."""
        slope, intercept = self.line
        return _exp(intercept + slope * math.log(_asked(plan)))

    def forecast(self, plan: Plan) -> Estimate:
        """The critical batch in tokens. Raises SeedbedError for a loss too far from those fitted."""
        self._refuse(plan, self.law.max_extrapolation)
        return estimate(self.predict(plan), self.sample(plan), self.level)

    def sample(self, plan: Plan) -> FloatArray:
        """sample_R: what it may be; empty without a bootstrap."""
        return np.exp(np.clip(self.draws[:, 0] + self.draws[:, 1] * math.log(_asked(plan)), -700, 700))

    def least(self, plan: Plan) -> Mapping[str, Estimate]:
        """steps of an unlimited batch, tokens of a small one, to a loss. Raises SeedbedError beyond those fitted."""
        self._refuse(plan, 1.0)
        at, x = -math.log(_asked(plan)), -self.levels_L3[:, 0]
        steps = _exp(float(np.interp(at, x, self.levels_L3[:, 1])))
        rows = cast("list[FloatArray]", list(self.draws[:, 2:]))
        steps_R = np.exp(np.array([float(np.interp(at, x, row)) for row in rows]))
        tokens = steps * self.predict(plan)
        tokens_R = steps_R * self.sample(plan)
        return {"steps": estimate(steps, steps_R, self.level), "tokens": estimate(tokens, tokens_R, self.level)}

    def outside(self, plan: Plan) -> Mapping[str, float]:
        """How many times beyond the losses fitted; 1 inside them."""
        at, (low, high) = _asked(plan), self.domain
        return {LOSS.name: max(1.0, at / high, low / at)}

    def to_json(self) -> dict[str, Json]:
        """Everything needed to forecast again, with coefficients, facts and warnings for the reader."""
        named = {name: dict(zip(Estimate._fields, e, strict=True)) for name, e in self.coefficients.items()}
        return {
            **self.law.stored(self.answer),
            "coefficients": cast(Json, named),
            "warnings": list(self.warnings),
            "facts": dict(self.facts),
            "levels": self.levels_L3.tolist(),
            "draws": self.draws.tolist(),
            "batches": list(self.batches),
            "n_batches": self.n_batches,
            "untold": self.untold,
            "said": list(self.said),
        }

    def _refuse(self, plan: Plan, limit: float) -> None:
        if (factor := self.outside(plan)[LOSS.name]) > limit * (1 + 1e-9):
            low, high = self.domain
            what = f"loss {plan[LOSS.name]:.4g} lies {factor:.3g} times beyond those fitted ({low:.4g} to {high:.4g})"
            raise SeedbedError(self.law.name(), f"{what}; the limit is {limit:g}", "Train the runs until they pass it.")


def _asked(plan: Plan) -> float:
    if LOSS.name not in plan:
        raise SeedbedError(CriticalBatch.name(), "a forecast needs loss", did_you_mean(LOSS.name, plan))
    if not (math.isfinite(plan[LOSS.name]) and plan[LOSS.name] > 0):
        raise SeedbedError(CriticalBatch.name(), f"loss {plan[LOSS.name]} must be a positive finite number")
    return plan[LOSS.name]


def _exp(logarithm: float) -> float:
    return math.exp(min(700.0, max(-700.0, logarithm)))
