"""The room at work: runs are read, a law is fitted to them, and its forecasts become a table.

The plans to forecast are (params, tokens) pairs; the table has schema FORECAST, a row a plan, in the order asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
from pyarrow import csv as pyarrow_csv

from seedbed.core import arrow
from seedbed.core.errors import SeedbedError, did_you_mean
from seedbed.core.nouns import FORECAST
from seedbed.predict.contract import FittedLaw, Law

COLUMNS = ("params", "tokens", "loss")

_csv: Any = pyarrow_csv


def read_runs(file: Path) -> pa.Table:
    """A table of runs from .csv or .parquet, with columns params, tokens, loss (others are kept and not used)."""
    if not file.is_file():
        raise SeedbedError(str(file), "there is no such file", "Give a .csv or .parquet with params, tokens, loss.")
    ending = file.suffix.lower()
    if ending not in (".csv", ".parquet"):
        raise SeedbedError(
            str(file), f"a table of runs is a .csv or .parquet, not {ending or 'a file without ending'!r}"
        )
    try:
        rows = cast(pa.Table, _csv.read_csv(file)) if ending == ".csv" else arrow.read_parquet(file)
    except (pa.ArrowInvalid, pa.ArrowKeyError, OSError) as error:
        raise SeedbedError(str(file), f"this cannot be read as {ending[1:]} ({str(error).splitlines()[0]})") from error
    for name in COLUMNS:
        if name not in rows.column_names:
            raise SeedbedError(str(file), f"there is no column {name!r}", did_you_mean(name, rows.column_names))
    return rows


def fit(law: Law, runs: pa.Table, where: str = "runs") -> FittedLaw:
    """Fit the law; an error names `where` the runs came from."""
    try:
        return law.fit(runs)
    except SeedbedError as error:
        raise SeedbedError(error.where.replace("runs", where, 1), error.what, error.mend) from error


def forecast(fitted: FittedLaw, plans: Sequence[tuple[float, float]]) -> pa.Table:
    """A row a plan. Raises SeedbedError at the first plan outside the law's domain."""
    answers = [fitted.forecast(params, tokens) for params, tokens in plans]
    columns: dict[str, list[float]] = {
        "params": [float(params) for params, _ in plans],
        "tokens": [float(tokens) for _, tokens in plans],
        "value": [value for value, _, _ in answers],
        "low": [low for _, low, _ in answers],
        "high": [high for _, _, high in answers],
        "level": [fitted.level] * len(answers),
    }
    return arrow.table(columns, FORECAST)
