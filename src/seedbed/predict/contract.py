"""The question the predict room asks: what do small runs say about large ones?

A plan is what a forecast is asked for: a number for every variable of the law, by the name of its column.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Literal, NamedTuple, Protocol, TypeAlias, runtime_checkable

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from seedbed.core.method import Method
from seedbed.core.parameters import Json

FloatArray: TypeAlias = npt.NDArray[np.float64]
IntArray: TypeAlias = npt.NDArray[np.int64]
Plan: TypeAlias = Mapping[str, float]


class Estimate(NamedTuple):
    """A number and its interval; low = value = high where there is none."""

    value: float
    low: float
    high: float


@dataclasses.dataclass(frozen=True)
class Variable:
    """A column of runs that a law reads.

    Args:
        name: of the column, and of the number in a plan.
        kind: a "size" is positive and enters by its logarithm, relative to the runs, so that any unit gives the same
            forecasts; a "share" lies in [0, 1]; a "number" is finite and enters as it is.
        what: it is, for the reader.
    """

    name: str
    kind: Literal["size", "share", "number"] = "size"
    what: str = ""


PARAMS = Variable("params", what="parameters of the model")
TOKENS = Variable("tokens", what="tokens it is trained on")


class FittedLaw(Protocol):
    """A law with its parameters, its uncertainty and the domain it was fitted on."""

    @property
    def level(self) -> float:
        """The share of its intervals that should hold the truth."""
        ...

    @property
    def answer(self) -> str:
        """The column that it foretells."""
        ...

    @property
    def variables(self) -> tuple[Variable, ...]:
        """What a plan must give."""
        ...

    @property
    def coefficients(self) -> Mapping[str, Estimate]:
        """The numbers of the law as published fits print them, with their intervals."""
        ...

    @property
    def facts(self) -> Mapping[str, Json]:
        """About the fit, for the reader: runs, objective, starts that agree, condition number, domain of the data."""
        ...

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the runs do not identify, as sentences."""
        ...

    def forecast(self, plan: Plan) -> Estimate:
        """What one new run will come to. Raises SeedbedError outside the domain the law declares."""
        ...

    def sample(self, plan: Plan) -> FloatArray:
        """sample_R: what one new run may come to, as equally likely numbers; empty without a bootstrap."""
        ...

    def outside(self, plan: Plan) -> Mapping[str, float]:
        """Per variable how many times beyond the runs the plan lies; 1 inside them."""
        ...

    def to_json(self) -> dict[str, Json]:
        """Everything needed to forecast again."""
        ...


class Law(Method):
    """A form that small runs are fitted to."""

    def fit(self, runs: pa.Table) -> FittedLaw:
        """Fit a table of runs, a row a run. Raises SeedbedError where they cannot identify it."""
        raise NotImplementedError

    def stored(self, answer: str) -> dict[str, Json]:
        """What a stored fit says of its law, and of what it foretells."""
        return {"law": self.path(), "version": self.version, "parameters": self.to_json(), "answer": answer}

    def load(self, fitted: Mapping[str, Json]) -> FittedLaw:
        """The inverse of FittedLaw.to_json."""
        raise NotImplementedError


@runtime_checkable
class Allocates(Protocol):
    """A fitted law that divides compute between size and length."""

    def optimum(self, flops: float, given: Plan) -> Mapping[str, Estimate]:
        """params, tokens and the answer at the lowest answer for `flops` FLOP; `given` holds the other variables."""
        ...


@runtime_checkable
class Mixes(Protocol):
    """A fitted law that chooses shares."""

    def mixture(self, given: Plan, caps: Mapping[str, float]) -> Mapping[str, Estimate]:
        """share columns and the answer at the lowest answer; `caps` are the largest shares, `given` other variables."""
        ...


@runtime_checkable
class Recommends(Protocol):
    """A fitted law that says how to train."""

    def hyperparameters(self, plan: Plan) -> Mapping[str, Estimate]:
        """learning_rate and batch_tokens."""
        ...
