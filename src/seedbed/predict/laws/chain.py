"""Chain: what one law foretells is a variable of another, such as a loss on the way to an accuracy.

What      Fits two laws to one table of runs and forecasts through both: size and length to loss, loss to accuracy.
          The interval carries what both steps leave open.
Source    Bhagia et al. 2024, arXiv 2412.04403 (task ladder): two steps, each fitted by itself. The laws are theirs.
Formula   value = second(first(plan), plan); draw r = second_r(first_r(plan) + noise_r, plan) + noise_r, of refit r of
          each; the interval is their quantiles.
Shapes    columns of both laws, N rows -> the numbers of both; plan -> (value, low, high)
Units     as the steps have them; the number between the two in one unit in both.
Fidelity  Adapted: the source gives no interval; here draws of the first step go through draws of the second. A law
          with a formula reads the rows in which none of its columns is empty, another law all rows.
Errors    SeedbedError of either step, which it names; where the second does not read what the first foretells; and
          RecipeError where their levels differ.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import partial

import pyarrow as pa

from seedbed.core.parameters import Json
from seedbed.predict import chaining
from seedbed.predict.chaining import FittedChain
from seedbed.predict.contract import Law


@dataclasses.dataclass(frozen=True)
class Chain(Law):
    """Two laws.

    Args:
        first: foretells a column that the second reads.
        second: foretells what is asked.
    """

    first: Law = dataclasses.field(default_factory=partial(chaining.usual_law, "chinchilla", {}))
    second: Law = dataclasses.field(default_factory=partial(chaining.usual_law, "sigmoid", {}))

    def fit(self, runs: pa.Table) -> FittedChain:
        """Each law on the rows that hold its columns. Raises SeedbedError where they cannot carry it."""
        tables = chaining.whole_rows(runs, self.first), chaining.whole_rows(runs, self.second)
        return chaining.fit_chain(self, self.first, self.second, tables)

    def load(self, fitted: Mapping[str, Json]) -> FittedChain:
        """The inverse of FittedChain.to_json."""
        return chaining.load_chain(self, self.first, self.second, fitted)
