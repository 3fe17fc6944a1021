"""Outcomes: what came of the forecasts in a ledger, a line each, which is added and never changes the forecast.

A forecast has one outcome, with all seeds of its run: a second one is refused, so that nobody scores until it suits.
The interval and the distribution of a forecast are for one run, so each seed is held to them by itself; the error is
that of the seeds' mean. An outcome is prospective where its run began after the forecast was written, unknown where
nobody said when it began, and not prospective where it began before, or where the ledger had the run's outcome already.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import pyarrow as pa

from seedbed.core.errors import SeedbedError
from seedbed.core.parameters import Json
from seedbed.predict.contract import Plan
from seedbed.predict.ledger import SAME, Line, append, is_same, moment, read, told_plan, told_time, utc
from seedbed.stats.crps import crps_of_quantiles

NEAR: Mapping[str, float] = {"tokens": 0.02}
"""Column -> how far, relatively, a run may lie from its plan: runs end on a whole step."""


class Scored(NamedTuple):
    """What a table of runs did: the outcomes that were added, and the open forecasts without a run in it."""

    lines: list[Line]
    unmatched: list[Line]


def score(
    ledger_file: Path,
    forecast: str,
    observed: Sequence[float],
    *,
    began_at: datetime | None = None,
    made_at: datetime | None = None,
    note: str = "",
    commit: str = "",
) -> Line:
    """Write down what came of a forecast.

    Args:
        ledger_file: the ledger.
        forecast: its id, or a beginning of it that fits no other.
        observed: the answer of each seed.
        began_at: when the first of these runs began, with its time zone.
        made_at: when this is written; now if not given.
        note, commit: kept as they are.
    """

    def outcome(lines: list[Line]) -> list[Line]:
        line = _named(ledger_file, lines, forecast)
        if (done := _outcomes(lines).get(str(line["id"]))) is not None:
            what = f"forecast {line['id']} was scored on {done['time']} (line {done['line']})"
            raise SeedbedError(str(ledger_file), what, "An outcome stands; register a new forecast for a new run.")
        return [_outcome(lines, line, observed, began_at, note, commit)]

    return append(ledger_file, outcome, made_at)[0]


def score_table(
    ledger_file: Path,
    runs: pa.Table,
    *,
    tolerance: Mapping[str, float] = NEAR,
    began_at: datetime | None = None,
    made_at: datetime | None = None,
    note: str = "",
    commit: str = "",
) -> Scored:
    """Score every open forecast whose plan has runs in the table.

    Rows of a plan are its seeds: those that meet it exactly, or else those within `tolerance` in each column. A column
    `began_at` of ISO 8601 times says when each run began, and counts before the argument of that name.
    """
    rows = cast("list[dict[str, object]]", runs.to_pylist())
    unmatched: list[Line] = []

    def outcomes(lines: list[Line]) -> list[Line]:
        added: list[Line] = []
        for line in _open(lines):
            found = _rows_of(line, rows, tolerance)
            if not found:
                unmatched.append(line)
                continue
            observed = [cast(float, rows[at][str(line["answer"])]) for at in found]
            began = [_began(at, rows[at].get("began_at")) or began_at for at in found]
            added.append(_outcome(lines, line, observed, _first(began, moment(line)), note, commit))
        return added

    return Scored(append(ledger_file, outcomes, made_at), unmatched)


def matching(lines: Sequence[Line], plan: Plan, tolerance: Mapping[str, float] = NEAR) -> list[Line]:
    """Open forecasts of a plan, in the order they were registered."""
    return [line for line in _open(lines) if _meets(plan_of(line), plan, tolerance)]


def pairs(ledger_file: Path) -> list[tuple[Line, Line | None]]:
    """Every forecast with its outcome, in the order they were registered."""
    lines = read(ledger_file)
    done = _outcomes(lines)
    return [(line, done.get(str(line["id"]))) for line in lines if line["kind"] == "forecast"]


def plan_of(line: Line) -> dict[str, float]:
    """Of a forecast."""
    return cast("dict[str, float]", line["plan"])


def _outcome(
    lines: Sequence[Line], line: Line, observed: Sequence[float], began_at: datetime | None, note: str, commit: str
) -> Line:
    seen = np.array(observed, np.float64)
    if not len(seen) or not np.all(np.isfinite(seen)):
        raise SeedbedError(f"outcome of {line['id']}", f"{list(observed)} are no finite numbers")
    mean, value = float(seen.mean()), cast(float, line["value"])
    low, high = cast(float, line["low"]), cast(float, line["high"])
    quantiles = np.array(cast("list[float]", line["quantiles"]), np.float64)
    has_interval = len(quantiles) > 0
    crps = np.mean([crps_of_quantiles(quantiles, o) if has_interval else abs(value - o) for o in seen.tolist()])
    scale = abs(mean) if mean else 1.0
    return {
        "kind": "outcome",
        "forecast": line["id"],
        "observed": [float(o) for o in seen],
        "mean": mean,
        "error": (value - mean) / scale,
        "inside": low <= mean <= high if has_interval else None,
        "inside_share": float(np.mean((low <= seen) & (seen <= high))) if has_interval else None,
        "crps": float(crps),
        "crps_relative": float(crps) / scale,
        "seed_noise": float(np.std(seen, ddof=1)) / scale if len(seen) > 1 else None,
        "began_at": told_time(began_at) if began_at is not None else None,
        "prospective": _prospective(lines, line, began_at),
        "commit": commit,
        "note": note,
    }


def _prospective(lines: Sequence[Line], line: Line, began_at: datetime | None) -> Json:
    """Whether the run began after its forecast; None where that is not known."""
    done = {str(other["forecast"]): cast(int, other["line"]) for other in lines if other["kind"] == "outcome"}
    for other in lines:
        came_before = done.get(str(other["id"]), len(lines) + 1) < cast(int, line["line"])
        if came_before and other["answer"] == line["answer"] and _meets(plan_of(other), plan_of(line), {}):
            return False
    return None if began_at is None else utc(began_at, "began_at") >= moment(line)


def _named(ledger_file: Path, lines: Sequence[Line], forecast: str) -> Line:
    forecasts = [line for line in lines if line["kind"] == "forecast"]
    found = [line for line in forecasts if forecast and str(line["id"]).startswith(forecast)]
    if len(found) != 1:
        what = f"{len(found) or 'no'} forecasts have an id that begins with {forecast!r}"
        known = ", ".join(f"{line['id']} ({told_plan(plan_of(line))})" for line in _open(lines)[:5])
        raise SeedbedError(str(ledger_file), what, f"Open are {known}." if known else "No forecast is open.")
    return found[0]


def _outcomes(lines: Sequence[Line]) -> dict[str, Line]:
    """Id of a forecast -> its outcome."""
    return {str(line["forecast"]): line for line in lines if line["kind"] == "outcome"}


def _open(lines: Sequence[Line]) -> list[Line]:
    done = _outcomes(lines)
    return [line for line in lines if line["kind"] == "forecast" and str(line["id"]) not in done]


def _rows_of(line: Line, rows: Sequence[Mapping[str, object]], tolerance: Mapping[str, float]) -> list[int]:
    """Rows that are runs of this plan. Raises SeedbedError for one without a finite answer."""
    plan, answer = plan_of(line), str(line["answer"])
    if not rows or answer not in rows[0]:
        return []
    near = [at for at, row in enumerate(rows) if _meets(plan, row, tolerance)]
    exact = [at for at in near if _meets(plan, rows[at], {})]
    for at in exact or near:
        cell = rows[at][answer]
        if not isinstance(cell, int | float) or not np.isfinite(cell):
            mend = "Fill it in, or leave the row out until the run is done."
            raise SeedbedError(f"runs, row {at + 1}, column {answer!r}", f"{cell!r} is not a finite number", mend)
    return exact or near


def _meets(plan: Mapping[str, float], row: Mapping[str, Any], tolerance: Mapping[str, float]) -> bool:
    """Whether a run has the plan's number in each of its columns."""
    cells = {name: row.get(name) for name in plan}
    return all(
        isinstance(cell, int | float) and is_same(plan[name], float(cell), tolerance.get(name, SAME))
        for name, cell in cells.items()
    )


def _first(began: Sequence[datetime | None], registered: datetime) -> datetime | None:
    """When the first run began; None where one is not known, unless another began too early already."""
    known = [utc(time, "began_at") for time in began if time is not None]
    first = min(known, default=None)
    return first if first is not None and (len(known) == len(began) or first < registered) else None


def _began(at: int, cell: object) -> datetime | None:
    if cell is None or cell == "":
        return None
    where = f"runs, row {at + 1}, column 'began_at'"
    try:
        time = cell if isinstance(cell, datetime) else datetime.fromisoformat(str(cell))
    except ValueError as error:
        raise SeedbedError(where, f"{cell!r} is no time", "Write it as 2026-01-31T12:00:00+00:00.") from error
    return utc(time, where)
