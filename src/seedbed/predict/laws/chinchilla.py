"""Chinchilla law: forecasts the loss of a larger run from a table of smaller ones, with an interval.

What      Fits L(N, D) = E + A / N^alpha + B / D^beta to finished runs and says what loss a run of N parameters and D
          tokens will end at; also the best split of a compute budget between N and D.
Source    Hoffmann et al. 2022, arXiv 2203.15556, section 3.3 and appendix D.2 (approach 3); the stopping fault of the
          original fit and its cure: Besiroglu et al. 2024, arXiv 2404.10102.
Formula   log_loss_N = logsumexp(a - alpha * x_N, b - beta * y_N, e), with x = ln N, y = ln D, a = ln A, b = ln B,
          e = ln E; objective = SUM over runs of Huber_delta(log_loss_N - ln loss_N), delta = 1e-3.
          allocation: G = (alpha A / (beta B))^(1 / (alpha + beta)), N* = G (C / 6)^(beta / (alpha + beta)),
          D* = (C / 6) / N*.
Shapes    params_N, tokens_N, loss_N -> 5 numbers; (params, tokens) -> (value, low, high)
Units     params in parameters and tokens in tokens (any multiple gives the same forecasts), loss in nats per token (or
          bits per byte: all stays in that unit), FLOP for `optimum`, level as a fraction.
Fidelity  Adapted: same form and objective; logs are centred on the runs before fitting, so that 72 starts, the same in
          any unit, replace the published grid of 4,500. The interval is for one new run: its refits and its own noise.
          The default bootstrap adds noise of the residuals' size to the fitted losses (a small grid loses whole
          sizes when rows are redrawn); bootstrap="rows" redraws runs, as the replication did.
Errors    SeedbedError for a missing column, a value that is no positive finite number (with its row), fewer than 6
          runs, fewer than 2 distinct params or tokens, and forecasts further than max_extrapolation from the runs.
          Order and duplication of rows do not matter. What the runs do not identify is said in `warnings`.
"""

from __future__ import annotations

import dataclasses
import itertools
from typing import Annotated, Any, Literal, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from annotated_types import Ge, Gt, Le, Lt

from seedbed.core.errors import SeedbedError, did_you_mean
from seedbed.core.parameters import Json
from seedbed.predict.contract import Law
from seedbed.stats.fits import Fit, condition_number, huber, minimise

FloatArray = npt.NDArray[np.float64]

COLUMNS = ("params", "tokens", "loss")
COEFFICIENTS = ("A", "B", "E", "alpha", "beta")
BOUNDS = ((-12.0, 4.0), (-12.0, 4.0), (-12.0, 1.0), (0.0, 4.0), (0.0, 4.0))
"""Of (a, b, e, alpha, beta) after centring: each term as a share of a typical loss, e^-12 being none of it."""


@dataclasses.dataclass(frozen=True)
class Chinchilla(Law):
    """Parameters of the fit.

    Args:
        huber_delta: log residuals beyond it count linearly.
        max_extrapolation: how many times beyond the largest, or below the smallest, run a forecast may go.
        n_bootstrap: refits behind the interval; 0 gives none (low = high = value).
        bootstrap: "noise" adds residual-sized noise to the fitted losses, "rows" redraws runs.
        level: share of intervals that should hold the truth.
        seed: of the bootstrap.
    """

    huber_delta: Annotated[float, Gt(0), Le(1)] = 1e-3
    max_extrapolation: Annotated[float, Ge(1), Le(1e6)] = 10.0
    n_bootstrap: Annotated[int, Ge(0), Le(100_000)] = 200
    bootstrap: Literal["noise", "rows"] = "noise"
    level: Annotated[float, Gt(0), Lt(1)] = 0.95
    seed: Annotated[int, Ge(0)] = 0

    def fit(self, runs: pa.Table) -> ChinchillaFit:
        """Fit the runs. Raises SeedbedError where they cannot carry five numbers."""
        data = _centred(*_columns(runs))
        fit = _descend(data, _starts(), self.huber_delta)
        draws, noise = _resamples(self, data, fit)
        return ChinchillaFit(
            centre=data.centre,
            params=tuple(fit.params_P.tolist()),
            draws=tuple(tuple(cast("list[float]", row)) for row in draws.tolist()),
            noise=tuple(noise.tolist()),
            domain=(*_range(data.x_N + data.centre[0]), *_range(data.y_N + data.centre[1])),
            max_extrapolation=self.max_extrapolation,
            level=self.level,
            n_runs=len(data.x_N),
            objective=fit.objective * _scale(data, self.huber_delta),
            n_starts=fit.n_starts,
            n_agree=fit.n_agree,
            condition=min(condition_number(_log_loss(fit.params_P, data)[1]), 1e300),
            bound_hits=tuple(name for name, at in zip(COEFFICIENTS, fit.at_bound_P, strict=True) if at),
        )

    def load(self, fitted: dict[str, Json]) -> ChinchillaFit:
        """The inverse of ChinchillaFit.to_json; the parameters of this law are not used."""
        names = {field.name for field in dataclasses.fields(ChinchillaFit)}
        given = {name: _tuples(value) for name, value in fitted.items() if name in names}
        if missing := names - given.keys():
            raise SeedbedError("chinchilla", f"the stored fit has no {', '.join(sorted(missing))}", "Fit it again.")
        return ChinchillaFit(**cast("dict[str, Any]", given))


@dataclasses.dataclass(frozen=True)
class ChinchillaFit:
    """A fitted law.

    Args:
        centre: means of ln params, ln tokens and ln loss over the runs; all else is relative to them.
        params: (a, b, e, alpha, beta) after centring.
        draws, noise: the same five for each bootstrap refit, and the log noise of one new run in that world.
        domain: smallest and largest params, smallest and largest tokens of the runs.
        objective: SUM of Huber losses at `params`.
        n_starts, n_agree: descents made, and how many reached the lowest objective to 1e-6.
        condition: condition number of the log losses in the five parameters.
        bound_hits: parameters that ended on a bound of the search.
    """

    centre: tuple[float, float, float]
    params: tuple[float, ...]
    draws: tuple[tuple[float, ...], ...]
    noise: tuple[float, ...]
    domain: tuple[float, float, float, float]
    max_extrapolation: float
    level: float
    n_runs: int
    objective: float
    n_starts: int
    n_agree: int
    condition: float
    bound_hits: tuple[str, ...]

    @property
    def coefficients(self) -> dict[str, float]:
        """A, B, E, alpha, beta as published fits print them. A and B are hardly identified: compare forecasts."""
        a, b, e, alpha, beta = self.params
        x, y, z = self.centre
        free = {"A": a + alpha * x + z, "B": b + beta * y + z, "E": e + z}
        return {**{name: float(np.exp(value)) for name, value in free.items()}, "alpha": alpha, "beta": beta}

    def predict(self, params: float, tokens: float) -> float:
        """The fitted loss, without a look at the domain."""
        return float(np.exp(self._log_losses(np.array([self.params]), params, tokens)[0]))

    def forecast(self, params: float, tokens: float) -> tuple[float, float, float]:
        """(value, low, high) for one new run. Raises SeedbedError too far from the runs."""
        self._refuse(params, tokens)
        value = self.predict(params, tokens)
        if not self.draws:
            return value, value, value
        drawn = np.exp(self._log_losses(np.array(self.draws), params, tokens) + np.array(self.noise))
        low, high = np.quantile(drawn, [(1 - self.level) / 2, (1 + self.level) / 2])
        return value, min(float(low), value), max(float(high), value)

    def extrapolation(self, params: float, tokens: float) -> float:
        """How many times beyond the runs this is, in params or tokens; 1 inside them."""
        low_n, high_n, low_d, high_d = self.domain
        return max(1.0, params / high_n, low_n / params, tokens / high_d, low_d / tokens)

    def optimum(self, flops: float) -> tuple[float, float]:
        """(params, tokens) of the lowest loss at 6 * params * tokens FLOP. Raises SeedbedError outside the domain."""
        of = self.coefficients
        if min(of["alpha"], of["beta"]) <= 1e-6:
            what = "the runs show no effect of params or of tokens, so there is no best split of compute"
            raise SeedbedError("chinchilla", what, "Add runs that differ in both.")
        params, tokens = allocation(of["A"], of["B"], of["alpha"], of["beta"], flops)
        self._refuse(params, tokens)
        return params, tokens

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the runs do not tell, as sentences; empty for a well identified fit."""
        low_n, high_n, low_d, high_d = self.domain
        said = [
            f"{name} spans only a factor of {high / low:.3g}: one decade or more identifies its exponent"
            for name, low, high in (("params", low_n, high_n), ("tokens", low_d, high_d))
            if high <= low * 10.1
        ]
        said += [f"{name} ended on a bound of the search: the runs do not identify it" for name in self.bound_hits]
        if self.condition > 1e3:
            said.append(f"the condition number is {self.condition:.2g}: trust forecasts, not single coefficients")
        if self.n_agree * 5 < self.n_starts:
            said.append(f"only {self.n_agree} of {self.n_starts} descents reached the lowest objective")
        if self.n_runs < 10:
            said.append(f"{self.n_runs} runs for five numbers: the interval rests on little")
        return tuple(said)

    def to_json(self) -> dict[str, Json]:
        """Everything needed to forecast again, with the coefficients and warnings for the reader."""
        stored = {field.name: _lists(getattr(self, field.name)) for field in dataclasses.fields(self)}
        readable: dict[str, Json] = {"coefficients": dict(self.coefficients), "warnings": list(self.warnings)}
        return {"law": Chinchilla.name(), **stored, **readable}

    def _log_losses(self, params_RP: FloatArray, params: float, tokens: float) -> FloatArray:
        x, y = np.log(params) - self.centre[0], np.log(tokens) - self.centre[1]
        a, b, e, alpha, beta = params_RP.T
        return np.logaddexp(np.logaddexp(a - alpha * x, b - beta * y), e) + self.centre[2]

    def _refuse(self, params: float, tokens: float) -> None:
        if not (np.isfinite(params) and np.isfinite(tokens) and params > 0 and tokens > 0):
            raise SeedbedError("chinchilla", f"params {params} and tokens {tokens} must be positive finite numbers")
        factor = self.extrapolation(params, tokens)
        if factor > self.max_extrapolation * (1 + 1e-9):
            low_n, high_n, low_d, high_d = self.domain
            what = (
                f"params {params:.3g}, tokens {tokens:.3g} lies {factor:.3g} times beyond the runs (params {low_n:.3g} "
                f"to {high_n:.3g}, tokens {low_d:.3g} to {high_d:.3g}); the limit is {self.max_extrapolation:g}"
            )
            raise SeedbedError(
                "chinchilla", what, "Add runs nearer to it, or raise max_extrapolation and own the risk."
            )


def allocation(A: float, B: float, alpha: float, beta: float, flops: float) -> tuple[float, float]:
    """(params, tokens) that minimise A / N^alpha + B / D^beta at 6 N D = flops."""
    G = (alpha * A / (beta * B)) ** (1 / (alpha + beta))
    params = G * (flops / 6) ** (beta / (alpha + beta))
    return params, flops / 6 / params


@dataclasses.dataclass(frozen=True)
class _Centred:
    """Logs of the runs less their means: x of params, y of tokens, z of loss."""

    x_N: FloatArray
    y_N: FloatArray
    z_N: FloatArray
    centre: tuple[float, float, float]


def _columns(runs: pa.Table) -> tuple[FloatArray, FloatArray, FloatArray]:
    found: list[FloatArray] = []
    for name in COLUMNS:
        if name not in runs.column_names:
            raise SeedbedError("runs", f"there is no column {name!r}", did_you_mean(name, runs.column_names))
        cells = cast("list[object]", cast(Any, runs.column(name)).to_pylist())
        numbers = [float(c) if isinstance(c, int | float) else float("nan") for c in cells]
        values = np.array(numbers, np.float64)
        wrong = np.flatnonzero(~(np.isfinite(values) & (values > 0)))
        if len(wrong):
            row = int(wrong[0])
            raise SeedbedError(
                f"runs, row {row + 1}, column {name!r}", f"{cells[row]!r} is not a positive finite number"
            )
        found.append(values)
    params, tokens, loss = found
    if len(loss) < 6:
        raise SeedbedError("runs", f"{len(loss)} runs cannot carry five coefficients", "Give at least 6.")
    for name, values in (("params", params), ("tokens", tokens)):
        if len(np.unique(values)) < 2:
            what = f"all runs have the same {name}, so its effect cannot be told"
            raise SeedbedError(f"runs, column {name!r}", what, "Add runs of another size.")
    return params, tokens, loss


def _centred(params: FloatArray, tokens: FloatArray, loss: FloatArray) -> _Centred:
    order = np.lexsort((loss, tokens, params))  # sums in floating point then do not depend on the order of rows
    logs = [np.log(values[order]) for values in (params, tokens, loss)]
    centre = tuple(float(np.mean(values)) for values in logs)
    x, y, z = (values - mean for values, mean in zip(logs, centre, strict=True))
    return _Centred(x, y, z, cast("tuple[float, float, float]", centre))


def _starts() -> list[FloatArray]:
    terms, exponents = (np.log(0.1), np.log(0.5)), (0.2, 0.5, 1.0)
    grid = itertools.product(terms, terms, (np.log(0.3), np.log(0.8)), exponents, exponents)
    return [np.array(start) for start in grid]


def _log_loss(params_P: FloatArray, data: _Centred) -> tuple[FloatArray, FloatArray]:
    """(log_loss_N, jacobian_NP) of the centred form."""
    a, b, e, alpha, beta = params_P
    terms = np.stack([a - alpha * data.x_N, b - beta * data.y_N, np.full(len(data.x_N), e)])
    top = terms.max(axis=0)
    shares = np.exp(terms - top)
    total = shares.sum(axis=0)
    shares /= total
    size, length, floor = shares
    return top + np.log(total), np.stack([size, length, floor, -data.x_N * size, -data.y_N * length], axis=1)


def _scale(data: _Centred, delta: float) -> float:
    return delta**2 * len(data.z_N)


def _descend(data: _Centred, starts: list[FloatArray], delta: float) -> Fit:
    scale = _scale(data, delta)

    def objective(params_P: FloatArray) -> tuple[float, FloatArray]:
        predicted, jacobian = _log_loss(params_P, data)
        value, slope = huber(predicted - data.z_N, delta)
        return float(value.sum()) / scale, jacobian.T @ slope / scale

    return minimise(objective, starts, BOUNDS)


def _resamples(law: Chinchilla, data: _Centred, fit: Fit) -> tuple[FloatArray, FloatArray]:
    """(draws_RP, noise_R). The noise's size, known from n - 5 residuals, is itself drawn: Student's tails."""
    rng = np.random.default_rng(law.seed)
    n, draws = len(data.z_N), np.zeros((law.n_bootstrap, 5))
    predicted = _log_loss(fit.params_P, data)[0]
    freedom = n - 5
    spread = float(np.sqrt(np.sum((data.z_N - predicted) ** 2) / freedom))
    size_R = spread * np.sqrt(freedom / rng.chisquare(freedom, law.n_bootstrap))
    for i in range(law.n_bootstrap):
        if law.bootstrap == "noise":
            again = dataclasses.replace(data, z_N=predicted + size_R[i] * rng.standard_normal(n))
        else:
            again = _redrawn(data, rng)
        draws[i] = _descend(again, [fit.params_P], law.huber_delta).params_P
    return draws, size_R * rng.standard_normal(law.n_bootstrap)


def _redrawn(data: _Centred, rng: np.random.Generator) -> _Centred:
    """Runs drawn with replacement, again until two sizes and two lengths are among them."""
    while True:
        rows = rng.integers(0, len(data.z_N), len(data.z_N))
        x, y, z = data.x_N[rows], data.y_N[rows], data.z_N[rows]
        if np.ptp(x) > 0 and np.ptp(y) > 0:
            return _Centred(x, y, z, data.centre)


def _range(log_N: FloatArray) -> tuple[float, float]:
    return float(np.exp(log_N.min())), float(np.exp(log_N.max()))


def _lists(value: object) -> Json:
    return (
        [_lists(item) for item in cast("tuple[object, ...]", value)] if isinstance(value, tuple) else cast(Json, value)
    )


def _tuples(value: Json) -> object:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value
