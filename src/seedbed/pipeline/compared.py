"""A comparison as a notebook holds it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pyarrow.csv

from seedbed.core.artifact import Artifact
from seedbed.core.errors import SeedbedError, did_you_mean
from seedbed.core.parameters import Json
from seedbed.pipeline import workplace


@dataclasses.dataclass(frozen=True)
class Compared:
    """A folder in which ways to choose data were compared."""

    out: Path

    @property
    def about(self) -> dict[str, Json]:
        """All that the report reads: rows, differences, verdict."""
        return cast("dict[str, Json]", workplace.read_index(self.out)["compare"])

    @property
    def verdict(self) -> tuple[str, ...]:
        """A sentence a method, in plain words."""
        return tuple(map(str, cast("list[Json]", self.about["verdict"])))

    @property
    def summary(self) -> pa.Table:
        """summary.csv: a row a method, with intervals, speed-ups and the cost of choosing."""
        return self._table("summary")

    @property
    def rows(self) -> pa.Table:
        """comparison.csv: a row a method and seed."""
        return self._table("comparison")

    def weights(self, method: str, seed: int = 0, stage: int = -1) -> Artifact:
        """What a method chose under a seed, by default in its last stage: id, copies, n_tokens."""
        rows = cast("list[dict[str, Any]]", self.about["rows"])
        found = [row["weights"] for row in rows if (row["arm"], row["seed"]) == (method, seed)]
        if not found:
            names = {str(row["arm"]) for row in rows}
            raise SeedbedError(
                method, f"nothing was compared under this name and seed {seed}", did_you_mean(method, names)
            )
        return Artifact(workplace.local(self.out) / "artifacts" / found[0][stage])

    def _table(self, name: str) -> pa.Table:
        file = workplace.local(self.out) / f"{name}.csv"
        if not file.exists():
            raise SeedbedError(str(file), "is not there: this comparison has no curve of its baseline")
        return pyarrow.csv.read_csv(file)
