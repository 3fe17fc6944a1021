"""The question the predict room asks: what do small runs say about large ones?"""

from __future__ import annotations

from typing import Protocol

import pyarrow as pa

from seedbed.core.method import Method
from seedbed.core.parameters import Json


class FittedLaw(Protocol):
    """A law with its parameters, its uncertainty and the domain it was fitted on."""

    @property
    def level(self) -> float:
        """The share of its intervals that should hold the truth."""
        ...

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the runs do not identify, as sentences."""
        ...

    def forecast(self, params: float, tokens: float) -> tuple[float, float, float]:
        """(value, low, high). Raises SeedbedError outside the domain the law declares."""
        ...

    def to_json(self) -> dict[str, Json]:
        """Everything needed to forecast again."""
        ...


class Law(Method):
    """A form that small runs are fitted to."""

    def fit(self, runs: pa.Table) -> FittedLaw:
        """Fit a table of runs: columns params, tokens, loss. Raises SeedbedError where they cannot identify it."""
        raise NotImplementedError

    def load(self, fitted: dict[str, Json]) -> FittedLaw:
        """The inverse of FittedLaw.to_json."""
        raise NotImplementedError
