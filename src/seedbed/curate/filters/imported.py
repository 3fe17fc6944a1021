"""Imported: numbers that another tool measured, taken from a document's metadata, so that nobody starts over.

What      Takes declared numbers out of the metadata that a reader kept (Dolma's attributes, datatrove's metadata,
          columns of a NeMo Curator table) as signals, and drops documents outside the thresholds given for them.
Source    none; formats as written by Dolma 1.2 (attributes/), datatrove 0.10 (JsonlWriter) and NeMo Curator.
Formula   value = metadata at the dotted name; a list of Dolma spans [start, end, score] counts as the mean of its
          scores by length; dropped if value < min or value > max
Shapes    N documents -> one number a field, and missing_mask_N, whose bit i says that field i is not there
Units     as the other tool had them; true is 1, false is 0
Fidelity  Exact. Which field is which tool's, its own names say.
Errors    A value that is no finite number counts as missing: it is stored as 0, breaks no rule, and with
          missing="fails" breaks every rule of its field. Raises RecipeError for bounds without a field, and for
          fields that make one column.
"""

from __future__ import annotations

import dataclasses
import math
import re
from typing import Any, ClassVar, Literal, cast

import numpy as np
import orjson
import pyarrow as pa

from seedbed.core import arrow
from seedbed.core.errors import RecipeError
from seedbed.core.nouns import DocumentBatch, Signal
from seedbed.core.parameters import Json
from seedbed.curate.contract import BoolArray, Filter, Rule

_MASK = "missing_mask"
_MAX_FIELDS = 62


@dataclasses.dataclass(frozen=True)
class Imported(Filter):
    """Which numbers, and what they must be.

    Args:
        fields: dotted names in the metadata: `attributes.quality__score`, `language_score`.
        min_values, max_values: a threshold for each field in order, None for no threshold; may be left out.
        missing: whether a document without the number breaks the rules of that field.
    """

    columns: ClassVar[tuple[str, ...]] = ("metadata",)

    fields: tuple[str, ...] = ()
    min_values: tuple[float | None, ...] = ()
    max_values: tuple[float | None, ...] = ()
    missing: Literal["passes", "fails"] = "passes"

    def __post_init__(self) -> None:
        """Raises RecipeError for a parameter that cannot be meant."""
        super().__post_init__()
        names = [_column(field) for field in self.fields]
        where = f"{self.path()}.fields"
        if len(set(names)) < len(names) or _MASK in names or not all(names):
            raise RecipeError(where, "two fields would have the same column", "Name each field once.")
        if max(len(self.min_values), len(self.max_values)) > len(names) or len(names) > _MAX_FIELDS:
            raise RecipeError(where, f"{len(names)} fields do not fit the thresholds", "Give one a field, at most 62.")
        signals = (*(Signal(name, "as imported") for name in names), Signal(_MASK, "bits", "int", low=0))
        object.__setattr__(self, "signals", signals)
        object.__setattr__(self, "rules", tuple(rule for rule, _ in self._bounds()))

    def measure(self, documents: DocumentBatch) -> pa.Table:
        """The numbers, and which are missing."""
        value_FN = np.zeros((len(self.fields), len(documents)))
        mask_N = np.zeros(len(documents), np.int64)
        paths = [field.split(".") for field in self.fields]
        for n, metadata in enumerate(documents.column("metadata")):
            told = _parsed(metadata)
            for f, path in enumerate(paths):
                value = _number(_at(told, path))
                if value is None:
                    mask_N[n] |= 1 << f
                else:
                    value_FN[f, n] = value
        columns = {signal.name: value_FN[f] for f, signal in enumerate(self.signals[:-1])}
        return self.table({**columns, _MASK: mask_N})

    def failures(self, signals: pa.Table) -> dict[str, BoolArray]:
        """Rule -> which rows break it."""
        found: dict[str, BoolArray] = {}
        mask_N = arrow.numpy(signals, _MASK)
        names = [_column(field) for field in self.fields]
        for rule, threshold in self._bounds():
            value_N = arrow.numpy(signals, rule.signal)
            missing_N = (mask_N >> names.index(rule.signal)) & 1 == 1
            breaks_N = value_N < threshold if rule.side == "min" else value_N > threshold
            found[rule.name] = np.asarray(np.where(missing_N, self.missing == "fails", breaks_N), np.bool_)
        return found

    def measuring(self) -> dict[str, Json]:
        """The identity of the measurement: without the thresholds."""
        return {**self.identity(), "parameters": {"fields": self.fingerprinted()["fields"]}}

    def _bounds(self) -> list[tuple[Rule, float]]:
        """Rules in the order of the fields, with their thresholds."""
        found: list[tuple[Rule, float]] = []
        for f, name in enumerate(map(_column, self.fields)):
            for side, bounds in (("min", self.min_values), ("max", self.max_values)):
                threshold = bounds[f] if f < len(bounds) else None
                if threshold is not None:
                    found.append((Rule(f"{side}_{name}", name, cast(Literal["min", "max"], side)), threshold))
        return found


def _column(field: str) -> str:
    return re.sub(r"\W+", "_", field)


def _parsed(metadata: str) -> object:
    try:
        return orjson.loads(metadata) if metadata else None
    except orjson.JSONDecodeError:
        return None


def _at(told: object, path: list[str]) -> object:
    """The value at a dotted name; a key that itself has dots is found too."""
    for i, key in enumerate(path):
        if not isinstance(told, dict):
            return None
        rest = ".".join(path[i:])
        known = cast("dict[str, object]", told)
        if rest in known:
            return known[rest]
        told = known.get(key)
    return told


def _number(value: object) -> float | None:
    if isinstance(value, list):
        return _mean_of_spans(cast("list[Any]", value))
    if not isinstance(value, bool | int | float):
        return None
    number = float(value)
    return number if math.isfinite(number) else None


def _mean_of_spans(spans: list[Any]) -> float | None:
    """Of Dolma's [start, end, score] the mean score by length; of spans without length the plain mean."""
    try:
        rows = [(max(float(end) - float(start), 0.0), float(score)) for start, end, score in spans]
    except (TypeError, ValueError):
        return None
    weight = sum(length for length, _ in rows)
    total = sum(length * score for length, score in rows) if weight else sum(score for _, score in rows)
    mean = total / (weight or len(rows)) if rows else math.nan
    return mean if math.isfinite(mean) else None
