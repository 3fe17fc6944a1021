"""The ledger: forecasts that were written down before the run, a line each, and never changed.

An append-only JSONL file. Every line carries a hash of itself and the hash of the line before, so a line that was
edited, removed or put elsewhere shows. Beside it lies `<ledger>.head`, the number of lines and the hash of the last:
without it, lines removed at the end could not be seen. Someone who rewrites all lines and the head is only caught by a
hash noted elsewhere (in a commit, in a mail): give it to `check`.

One writer at a time holds the lock. A line is written in one piece and flushed; what a killed process left of a line
has no end, was never confirmed to anyone, and goes when the next line is written.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import itertools
import json
import os
from collections.abc import Callable, Generator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeAlias, cast

import numpy as np
import pyarrow as pa

from seedbed.core.artifact import disk_error, write_text
from seedbed.core.errors import SeedbedError
from seedbed.core.fingerprint import canonical, fingerprint, hash_file, library_versions
from seedbed.core.parameters import Json
from seedbed.predict.contract import FittedLaw, Plan

Line: TypeAlias = dict[str, Json]

START = "0" * 32
"""What the first line has for the hash of the line before."""

CLOCKS_DIFFER = timedelta(minutes=5)
"""A line may be dated so much before the one above it: two machines, two clocks."""

SAME = 1e-6
"""Numbers of two plans that differ relatively by less are one number."""


@dataclasses.dataclass(frozen=True)
class Checked:
    """What a look at the whole file found.

    Args:
        lines: that are there and complete.
        head: the hash of the last line, worth noting elsewhere.
        faults: what was changed, as sentences that name the line; none for a sound ledger.
        notes: what is no fault.
    """

    lines: int
    head: str
    faults: tuple[str, ...]
    notes: tuple[str, ...] = ()


def register(
    ledger_file: Path,
    fitted: FittedLaw,
    plan: Plan,
    *,
    fit_file: Path,
    data_file: Path | None = None,
    runs: pa.Table | None = None,
    made_at: datetime | None = None,
    note: str = "",
    commit: str = "",
) -> Line:
    """Write down what the law forecasts for a run that is still to be made.

    Args:
        ledger_file: the ledger, made where there is none.
        fitted: the law, as it was read from `fit_file`.
        plan: a number for every variable of the law.
        fit_file: the stored fit; its hash is kept, and the hash of its table of runs (`data_hash` in it).
        data_file: the table of runs itself, to be held to that hash.
        runs: the table that was fitted, for a law that stores no runs.
        made_at: when, with its time zone; now if not given.
        note, commit: kept as they are.

    Raises:
        SeedbedError: outside the law's domain; for a run that the law was fitted on; for another table of runs than the
            fit's; for a ledger that was tampered with.
    """
    told = _fit_told(fit_file)
    data_hash = _data_hash(fit_file, told, data_file)
    given = {name: float(value) for name, value in plan.items()}
    estimate = fitted.forecast(given)
    _refuse_known_run(fitted, given, runs)
    sample = fitted.sample(given)
    quantiles = cast("list[Json]", np.quantile(sample, np.linspace(0, 1, 101)).tolist()) if len(sample) else []
    entry: Line = {
        "kind": "forecast",
        "law": str(told.get("law", "")),
        "version": told.get("version"),
        "answer": fitted.answer,
        "plan": dict(given),
        "value": float(estimate.value),
        "low": float(estimate.low),
        "high": float(estimate.high),
        "level": float(fitted.level),
        "quantiles": quantiles,
        "outside": {name: float(factor) for name, factor in _outside(fitted, given).items()},
        "fit_hash": hash_file(fit_file),
        "data_hash": data_hash,
        "software": library_versions("seedbed")["seedbed"],
        "commit": commit,
        "note": note,
    }
    return append(ledger_file, lambda lines: [_once(ledger_file, lines, entry)], made_at)[0]


def read(ledger_file: Path) -> list[Line]:
    """All lines; none where there is no file. Raises SeedbedError at the first that was changed."""
    checked = check(ledger_file)
    if checked.faults:
        mend = "Restore the file from a copy; what it says now cannot be believed."
        raise SeedbedError(str(ledger_file), "; ".join(checked.faults), mend)
    return _complete_lines(ledger_file)[0]


def check(ledger_file: Path, head: str | None = None) -> Checked:
    """Follow the chain from the first line; `head` is a hash that was noted earlier and must be in it."""
    texts, torn = _texts(ledger_file)
    lines = [_parsed(text) for text in texts]
    hashes = [str(line.get("hash")) if line is not None else "" for line in lines]
    faults = [*_unnumbered(lines), *_unchained(lines, hashes)]
    confirmed, last = _head(ledger_file)
    notes: list[str] = []
    if confirmed > len(lines):
        faults.append(f"there are {len(lines)} lines and there were {confirmed}: the last ones were removed")
    elif confirmed and hashes[confirmed - 1] != last:
        faults.append(f"line {confirmed} is another one than was written there: it was changed, with its hash")
    elif lines and not confirmed:
        notes.append("the .head file is missing: whether lines were removed at the end cannot be seen")
    if torn:
        notes.append("the last line has no end and counts for nothing: a process was stopped while it wrote")
    if head is not None and head not in (*hashes, START):
        faults.append(f"no line has the hash {head} that was noted: the ledger was rewritten")
    return Checked(len(lines), hashes[-1] if hashes else START, tuple(dict.fromkeys(faults)), tuple(notes))


def append(
    ledger_file: Path, entries: Callable[[list[Line]], Sequence[Line]], made_at: datetime | None = None
) -> list[Line]:
    """Add what `entries` makes of the lines that are there, under the lock. Gives the lines as they were written."""
    time = made_at if made_at is not None else datetime.now(UTC)
    with _locked(ledger_file):
        lines = read(ledger_file)
        if lines and utc(time, "made_at") < moment(lines[-1]) - CLOCKS_DIFFER:
            what = f"{told_time(time)} is before the last line of the ledger, of {lines[-1]['time']}"
            raise SeedbedError(str(ledger_file), what, "Set the clock: a ledger is not written backwards.")
        added: list[Line] = []
        for entry in entries(lines):
            number, before = len(lines) + len(added) + 1, (added or lines or [{"hash": START}])[-1]["hash"]
            name = fingerprint({**entry, "time": told_time(time), "before": before})[:12]
            line: Line = {"line": number, "id": name, "time": told_time(time), **entry, "before": before}
            added.append({**line, "hash": fingerprint(line)})
        if added:
            _write(ledger_file, added)
        return added


def utc(time: datetime, where: str) -> datetime:
    """The same moment in UTC. Raises SeedbedError where no time zone is given."""
    if time.tzinfo is None:
        raise SeedbedError(where, f"{time.isoformat()} has no time zone", "Write it as 2026-01-31T12:00:00+00:00.")
    return time.astimezone(UTC)


def told_time(time: datetime) -> str:
    """As it stands in a line."""
    return utc(time, "made_at").isoformat(timespec="microseconds")


def moment(line: Line) -> datetime:
    """When a line was written."""
    return datetime.fromisoformat(str(line["time"]))


def is_same(first: float, second: float, tolerance: float = SAME) -> bool:
    """Whether two numbers of plans are one number, up to a relative tolerance."""
    return abs(first - second) <= max(tolerance, SAME) * max(abs(first), abs(second))


# What a forecast is made of.


def _fit_told(fit_file: Path) -> dict[str, Json]:
    try:
        told = json.loads(fit_file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        what = f"this stored fit cannot be read ({type(error).__name__})"
        raise SeedbedError(str(fit_file), what, "Write it with `seedbed predict fit RUNS --out fit.json`.") from error
    return cast("dict[str, Json]", told) if isinstance(told, dict) else {}


def _data_hash(fit_file: Path, told: Mapping[str, Json], data_file: Path | None) -> str:
    """Of the table the fit came from. Raises SeedbedError where it is not known, or the table was changed since."""
    stored = str(told.get("data_hash") or "")
    found = hash_file(data_file) if data_file is not None else ""
    if stored and found and stored != found:
        what = f"the table of runs {data_file} is not the one this was fitted to (hash {found}, not {stored})"
        raise SeedbedError(str(fit_file), what, "Fit it again, then register.")
    if not stored and not found:
        mend = "Fit it again with `seedbed predict fit`, or give the table of runs."
        raise SeedbedError(str(fit_file), "it is not said which table of runs this was fitted to", mend)
    return stored or found


def _refuse_known_run(fitted: FittedLaw, plan: Plan, runs: pa.Table | None) -> None:
    """Raises SeedbedError where the run to be forecast is one of those that were fitted."""
    columns = _columns(fitted, runs)
    names = [v.name for v in fitted.variables if v.name in plan and v.name in columns]
    if not names:
        return
    for row, numbers in enumerate(zip(*(columns[name] for name in names), strict=True)):
        if all(is_same(plan[name], at) for name, at in zip(names, numbers, strict=True)):
            what = f"this run was fitted on (run {row + 1} of the fit): " + told_plan(plan)
            raise SeedbedError("plan", what, "A forecast is of a run that the law has not seen.")


def _once(ledger_file: Path, lines: Sequence[Line], entry: Line) -> Line:
    """The entry. Raises SeedbedError where this fit has forecast this plan before."""
    for line in lines:
        if line["kind"] == "forecast" and line["fit_hash"] == entry["fit_hash"] and line["plan"] == entry["plan"]:
            told = told_plan(cast("dict[str, float]", entry["plan"]))
            what = f"this fit's forecast of {told} is registered already, as {line['id']}"
            raise SeedbedError(str(ledger_file), what, "Score that one.")
    return entry


def _columns(fitted: FittedLaw, runs: pa.Table | None) -> Mapping[str, Sequence[float]]:
    if runs is not None:
        names = [v.name for v in fitted.variables if v.name in runs.column_names]
        return {name: cast("list[float]", cast(Any, runs.column(name)).to_pylist()) for name in names}
    stored = fitted.to_json().get("runs")
    return cast("dict[str, list[float]]", stored) if isinstance(stored, dict) else {}


def _outside(fitted: FittedLaw, plan: Plan) -> Mapping[str, float]:
    """Where the law can say it of what was given (and not only of what it derives)."""
    return fitted.outside(plan) if all(v.name in plan for v in fitted.variables) else {}


def told_plan(plan: Mapping[str, float]) -> str:
    """`params 1e+09, tokens 2e+10`."""
    return ", ".join(f"{name} {value:.6g}" for name, value in plan.items())


# The file.


@contextlib.contextmanager
def _locked(ledger_file: Path) -> Generator[None, None, None]:
    """One writer at a time; others wait."""
    ledger_file.parent.mkdir(parents=True, exist_ok=True)
    with ledger_file.with_name(f".{ledger_file.name}.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _write(ledger_file: Path, lines: Sequence[Line]) -> None:
    """Put lines at the end in one piece, in the place of one that was torn, and move the head on."""
    whole = ledger_file.read_bytes() if ledger_file.exists() else b""
    sound = whole.rfind(b"\n") + 1
    try:
        with ledger_file.open("r+b" if ledger_file.exists() else "xb") as handle:
            handle.truncate(sound)
            handle.seek(sound)
            handle.write("".join(canonical(line) + "\n" for line in lines).encode())
            handle.flush()
            os.fsync(handle.fileno())
        last = lines[-1]
        write_text(_head_file(ledger_file), json.dumps({"lines": last["line"], "hash": last["hash"]}) + "\n")
    except OSError as error:
        raise disk_error(ledger_file, error) from error


def _head_file(ledger_file: Path) -> Path:
    return ledger_file.with_name(ledger_file.name + ".head")


def _head(ledger_file: Path) -> tuple[int, str]:
    """(lines that were confirmed, hash of the last of them); (0, "") where it is not known."""
    try:
        told = json.loads(_head_file(ledger_file).read_text(encoding="utf-8"))
        return int(told["lines"]), str(told["hash"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0, ""


def _texts(ledger_file: Path) -> tuple[list[str], bool]:
    """(complete lines, whether there is the beginning of one more)."""
    if not ledger_file.exists():
        return [], False
    *complete, rest = ledger_file.read_bytes().split(b"\n")
    return [text.decode("utf-8", errors="replace") for text in complete], bool(rest)


def _complete_lines(ledger_file: Path) -> tuple[list[Line], bool]:
    texts, torn = _texts(ledger_file)
    return [cast(Line, json.loads(text)) for text in texts], torn


def _parsed(text: str) -> Line | None:
    try:
        line = json.loads(text)
    except ValueError:
        return None
    return cast(Line, line) if isinstance(line, dict) else None


def _unnumbered(lines: Sequence[Line | None]) -> list[str]:
    """Lines that are gone or stand elsewhere, by the number they were given."""
    numbers = [line.get("line") if line is not None else None for line in lines]
    found = [f"line {at} cannot be read" for at, line in enumerate(lines, 1) if line is None]
    known = [n for n in numbers if isinstance(n, int)]
    found += [f"line {n} stands there twice" for n in sorted({n for n in known if known.count(n) > 1})]
    unread = {at for at, n in enumerate(numbers, 1) if n is None}
    gone = (at for at in range(1, max(known, default=0) + 1) if at not in known and at not in unread)
    found += [f"line {at} was removed" for at in itertools.islice(gone, 5)]
    if known != sorted(known):
        first = next(a for a, b in zip(known, sorted(known), strict=True) if a != b)
        found.append(f"line {first} stands in the place of another: lines were put in another order")
    return found


def _unchained(lines: Sequence[Line | None], hashes: Sequence[str]) -> list[str]:
    """Lines whose hash is not that of what they say, or that do not follow from the line with the number before."""
    found: list[str] = []
    by_number = {line.get("line"): h for line, h in zip(lines, hashes, strict=True) if line is not None}
    for line in lines:
        if line is None:
            continue
        number = line.get("line")
        covered = {name: value for name, value in line.items() if name != "hash"}
        if fingerprint(covered) != line.get("hash"):
            found.append(f"line {number} was edited: it does not have its hash")
        before = START if number == 1 else by_number.get(number - 1) if isinstance(number, int) else None
        if before is not None and line.get("before") != before:
            found.append(f"line {number} does not follow from line {cast(int, number) - 1}: one of them was changed")
    return found
