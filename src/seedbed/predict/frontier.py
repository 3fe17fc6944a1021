"""Best sizes at several budgets, and the power laws through them: what laws that read an optimum off runs share.

ln params = ln N0 + a (ln flops - mean), ln tokens likewise with b, each by ordinary least squares.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Self, cast

import numpy as np
import pyarrow as pa
from annotated_types import Ge, Gt, Le, Lt

from seedbed.core.errors import SeedbedError
from seedbed.core.parameters import Json
from seedbed.predict import table
from seedbed.predict.contract import PARAMS, TOKENS, Estimate, FloatArray, Law, Plan, Variable
from seedbed.predict.table import Runs

FLOPS, LOSS = Variable("flops", what="FLOP of the training"), Variable("loss")


@dataclasses.dataclass(frozen=True)
class FrontierLaw(Law):
    """What laws that read best sizes off runs share.

    Args:
        max_extrapolation: how many times beyond the budgets a forecast may go; the paper went 192 times.
        n_bootstrap: draws behind the interval; 0 gives none.
        level: share of intervals that should hold the truth.
        seed: of the bootstrap.
    """

    max_extrapolation: Annotated[float, Ge(1), Le(1e6)] = 200.0
    n_bootstrap: Annotated[int, Ge(0), Le(100_000)] = 200
    level: Annotated[float, Gt(0), Lt(1)] = 0.95
    seed: Annotated[int, Ge(0)] = 0

    def through(
        self,
        points: tuple[FloatArray, FloatArray, FloatArray],
        centre: float,
        draws: Sequence[tuple[float, ...]],
        read: Runs,
        warnings: Sequence[str],
    ) -> Frontier:
        """The lines through best points (flops, params, tokens), and those of the bootstrap's draws."""
        return Frontier(
            self,
            *(tuple(column.tolist()) for column in points),
            lines=lines(*points, centre),
            draws=np.array(draws).reshape(-1, 4),
            n_runs=len(read),
            warnings=(*read.warnings, *warnings),
        )

    def load(self, fitted: Mapping[str, Json]) -> Frontier:
        """The inverse of Frontier.to_json."""
        return Frontier.from_json(self, fitted)


@dataclasses.dataclass(frozen=True, eq=False)
class Frontier:
    """Two lines through the best points.

    Args:
        law: that found them.
        flops, params, tokens: of each best point.
        lines: (ln N0, a, ln D0, b) at the mean ln flops.
        draws: the same of each bootstrap draw, draw_R4.
        n_runs: that were read.
        warnings: what they do not tell, as sentences.
    """

    law: FrontierLaw
    flops: tuple[float, ...]
    params: tuple[float, ...]
    tokens: tuple[float, ...]
    lines: tuple[float, ...]
    draws: FloatArray
    n_runs: int
    warnings: tuple[str, ...] = ()

    @property
    def level(self) -> float:
        """The share of its intervals that should hold the truth."""
        return self.law.level

    @property
    def answer(self) -> str:
        """The best size."""
        return "params"

    @property
    def variables(self) -> tuple[Variable, ...]:
        """A budget."""
        return (FLOPS,)

    @property
    def coefficients(self) -> Mapping[str, Estimate]:
        """a and b, the exponents of params and tokens in flops, and the factors before them."""
        names = ("N0", "a", "D0", "b")
        best, drawn = self._natural(np.array([self.lines]))[0], self._natural(self.draws)
        return {name: self.estimate(float(best[i]), drawn[:, i]) for i, name in enumerate(names)}

    @property
    def facts(self) -> Mapping[str, Json]:
        """About the fit, for the reader."""
        ends: list[Json] = [min(self.flops), max(self.flops)]
        return {"runs": self.n_runs, "budgets": len(self.flops), "domain": {"flops": ends}}

    def forecast(self, plan: Plan) -> Estimate:
        """The best size for plan["flops"]."""
        at = self._refused(plan)
        return self.estimate(float(np.exp(self.lines[0] + self.lines[1] * at)), self.sample(plan))

    def sample(self, plan: Plan) -> FloatArray:
        """sample_R of the best size."""
        return np.exp(self.draws[:, 0] + self.draws[:, 1] * self._at(plan))

    def outside(self, plan: Plan) -> Mapping[str, float]:
        """How many times beyond the budgets."""
        flops = float(plan["flops"])
        return {"flops": max(1.0, flops / max(self.flops), min(self.flops) / flops)}

    def optimum(self, flops: float, given: Plan | None = None) -> dict[str, Estimate]:  # noqa: ARG002
        """The best params and tokens for `flops`."""
        at = self._refused({"flops": flops})
        tokens = self.estimate(
            float(np.exp(self.lines[2] + self.lines[3] * at)), np.exp(self.draws[:, 2] + self.draws[:, 3] * at)
        )
        return {"params": self.forecast({"flops": flops}), "tokens": tokens}

    def to_json(self) -> dict[str, Json]:
        """Everything needed to forecast again, with coefficients, facts and warnings for the reader."""
        return {
            **self.law.stored(self.answer),
            "coefficients": {name: dict(e._asdict()) for name, e in self.coefficients.items()},
            "facts": dict(self.facts),
            **{name: list(getattr(self, name)) for name in LISTS},
            "draws": self.draws.tolist(),
            "n_runs": self.n_runs,
        }

    @classmethod
    def from_json(cls, law: FrontierLaw, told: Mapping[str, Json]) -> Self:
        """The inverse of to_json. Raises SeedbedError where it cannot be read."""
        try:
            lists: dict[str, Any] = {name: tuple(cast("list[Any]", told[name])) for name in LISTS}
            draws = np.array(told["draws"], np.float64).reshape(-1, 4)
            return cls(law, draws=draws, n_runs=cast(int, told["n_runs"]), **lists)
        except (KeyError, TypeError, ValueError) as error:
            what = f"the stored fit cannot be read ({type(error).__name__}: {error})"
            raise SeedbedError(law.name(), what, "Fit it again.") from error

    def estimate(self, value: float, sample_R: FloatArray) -> Estimate:
        """A number with the interval that holds `level` of the sample."""
        if not len(sample_R):
            return Estimate(value, value, value)
        low, high = np.quantile(sample_R, [(1 - self.level) / 2, (1 + self.level) / 2], method="weibull")
        return Estimate(value, min(float(low), value), max(float(high), value))

    def _natural(self, lines_R4: FloatArray) -> FloatArray:
        """(N0, a, D0, b) at 1 FLOP."""
        centre = float(np.mean(np.log(self.flops)))
        n, a, d, b = lines_R4.T
        return np.column_stack([np.exp(n - a * centre), a, np.exp(d - b * centre), b])

    def _at(self, plan: Plan) -> float:
        return float(np.log(plan["flops"]) - np.mean(np.log(self.flops)))

    def _refused(self, plan: Plan) -> float:
        """ln flops relative to the budgets. Raises SeedbedError outside the domain."""
        flops = float(plan.get("flops", float("nan")))
        if not (np.isfinite(flops) and flops > 0):
            raise SeedbedError(self.law.name(), f"flops {flops} is no budget", "Give a positive finite number of FLOP.")
        if (factor := self.outside(plan)["flops"]) > self.law.max_extrapolation * (1 + 1e-9):
            what = (
                f"flops {flops:.3g} lies {factor:.3g} times beyond the runs ({min(self.flops):.3g} to "
                f"{max(self.flops):.3g}); the limit is {self.law.max_extrapolation:g}"
            )
            raise SeedbedError(self.law.name(), what, "Add runs nearer to it, or fit with a higher max_extrapolation.")
        return self._at({"flops": flops})


LISTS = ("flops", "params", "tokens", "lines", "warnings")


def read(runs: pa.Table) -> tuple[Runs, FloatArray]:
    """The runs, and flops_N: as the table says, else 6 params tokens."""
    table.one_domain(runs)
    told = "flops" in runs.column_names
    found = table.read(runs, (PARAMS, TOKENS, *((FLOPS,) if told else ())), LOSS)
    return found, found.column["flops"] if told else 6 * found.column["params"] * found.column["tokens"]


def lines(flops_G: FloatArray, params_G: FloatArray, tokens_G: FloatArray, centre: float) -> tuple[float, ...]:
    """(ln N0, a, ln D0, b) at ln flops = centre."""
    x = np.log(flops_G) - centre
    (a, n), (b, d) = (np.polyfit(x, np.log(y), 1) for y in (params_G, tokens_G))
    return float(n), float(a), float(d), float(b)
