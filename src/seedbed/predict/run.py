"""The room at work: runs are read, a law is fitted to them, and its forecasts become a table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as pyarrow_csv

from seedbed.core import arrow
from seedbed.core.errors import SeedbedError, did_you_mean
from seedbed.predict.contract import FittedLaw, Law, Plan

_csv: Any = pyarrow_csv
_compute: Any = pc


def read_runs(file: Path) -> pa.Table:
    """A table of runs from .csv or .parquet, whatever its columns."""
    if not file.is_file():
        raise SeedbedError(str(file), "there is no such file", "Give a .csv or .parquet with a row a run.")
    ending = file.suffix.lower()
    if ending not in (".csv", ".parquet"):
        raise SeedbedError(
            str(file), f"a table of runs is a .csv or .parquet, not {ending or 'a file without ending'!r}"
        )
    try:
        rows = cast(pa.Table, _csv.read_csv(file)) if ending == ".csv" else arrow.read_parquet(file)
    except (pa.ArrowInvalid, pa.ArrowKeyError, OSError) as error:
        raise SeedbedError(str(file), f"this cannot be read as {ending[1:]} ({str(error).splitlines()[0]})") from error
    rows = rows.rename_columns([name.strip() for name in rows.column_names])
    twice = [name for name in rows.column_names if rows.column_names.count(name) > 1]
    if twice:
        raise SeedbedError(str(file), f"there are several columns {twice[0]!r}", "Keep one of them.")
    if rows.num_rows == 0:
        raise SeedbedError(str(file), "there are no rows in it", "Give a row a run.")
    return rows


def only(runs: pa.Table, conditions: Sequence[str]) -> pa.Table:
    """The rows where each COLUMN=VALUE holds. Raises SeedbedError for a column or value that is not there."""
    for condition in conditions:
        column, equals, wanted = condition.partition("=")
        if not equals:
            raise SeedbedError(f"--only {condition}", "is not COLUMN=VALUE", "Write it as domain=code.")
        if column not in runs.column_names:
            raise SeedbedError(
                f"--only {condition}", f"there is no column {column!r}", did_you_mean(column, runs.column_names)
            )
        cells = [_said(cell) for cell in cast("list[object]", cast(Any, runs.column(column)).to_pylist())]
        keep = [cell == _said(wanted) for cell in cells]
        if not any(keep):
            raise SeedbedError(f"--only {condition}", "no row is so", did_you_mean(wanted, set(cells)))
        runs = runs.filter(pa.array(keep))
    return runs


def fit(law: Law, runs: pa.Table, where: str = "runs") -> FittedLaw:
    """Fit the law; an error names `where` the runs came from.

    A law of params_count "non_embedding" reads a column params_non_embedding for params where there is one.
    """
    try:
        return law.fit(counted(law, runs))
    except SeedbedError as error:
        at = error.where.replace("runs", where, 1) if error.where.startswith("runs") else error.where
        raise SeedbedError(at, error.what, error.mend) from error


def counted(law: Law, runs: pa.Table) -> pa.Table:
    """The table with params counted as the law says."""
    other = "params_non_embedding"
    if getattr(law, "params_count", "") == "non_embedding" and other in runs.column_names:
        kept = [name for name in runs.column_names if name not in ("params", other)]
        return arrow.select(runs, kept).append_column("params", runs.column(other))
    return runs


def forecast(fitted: FittedLaw, plans: Sequence[Plan]) -> pa.Table:
    """A row a plan: its numbers, value, low, high, level. Raises SeedbedError at the first outside the law's domain."""
    answers = [fitted.forecast(plan) for plan in plans]
    columns: dict[str, list[float]] = {
        name: [float(plan[name]) for plan in plans] for name in (plans[0] if plans else ())
    }
    for name in ("value", "low", "high"):
        columns[name] = [float(getattr(answer, name)) for answer in answers]
    columns["level"] = [fitted.level] * len(answers)
    return arrow.table(columns)


def _said(cell: object) -> str:
    """A cell or a condition as text; 1, 1.0 and "1" are the same."""
    try:
        return repr(float(cast(str, cell)))
    except (TypeError, ValueError):
        return str(cell)
