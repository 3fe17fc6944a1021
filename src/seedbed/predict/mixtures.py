"""Columns of shares as the laws of mixtures read them: all `share_<domain>`, which sum to 1, or one column `share`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import pyarrow as pa

from seedbed.core.errors import SeedbedError, did_you_mean
from seedbed.predict.contract import FloatArray, Plan, Variable

ALONE, PREFIX = "share", "share_"

TOLERANCE = 0.01
"""Published tables of mixtures are rounded: their rows sum to 1 within this."""


def columns(names: Sequence[str]) -> list[str]:
    """Those of a table, in its order. Raises SeedbedError where there are none."""
    found = [name for name in names if name.startswith(PREFIX)]
    if len(found) >= 2:
        return found
    if ALONE in names:
        return [ALONE]
    what = f"there is one column of shares, {found[0]!r}" if found else "there is no column of shares"
    mend = "Give share_<domain> for each of two domains or more, or one column 'share' beside a rest."
    raise SeedbedError("runs", what, mend)


def variables(names: Sequence[str]) -> tuple[Variable, ...]:
    """Of columns of shares."""
    return tuple(Variable(name, "share", f"share of {name.removeprefix(PREFIX)} in what is read") for name in names)


def check(runs: pa.Table, names: Sequence[str], answer: str) -> None:
    """Raises SeedbedError for the first row whose shares do not sum to 1 or whose answer is not above 0.

    Cells that are no numbers are left to the reading of the table.
    """
    read = [*names, answer] if answer in runs.column_names else list(names)
    cells = [cast("list[object]", cast(Any, runs.column(name)).to_pylist()) for name in read]
    for i, row in enumerate(zip(*cells, strict=True), 1):
        numbers = [float(cell) for cell in row if isinstance(cell, int | float)]
        if len(numbers) < len(read):
            continue
        if len(read) > len(names) and numbers[-1] <= 0:
            raise SeedbedError(f"runs, row {i}, column {answer!r}", f"{numbers[-1]:g} is not above 0")
        if all(0 <= number <= 1 for number in numbers[: len(names)]):
            whole(dict(zip(names, numbers, strict=False)), names, f"runs, row {i}")


def whole(plan: Plan, names: Sequence[str], where: str) -> None:
    """Raises SeedbedError for shares of several domains that do not sum to 1."""
    total = sum(plan[name] for name in names)
    if len(names) > 1 and not abs(total - 1) <= TOLERANCE + 1e-9:
        what = f"the shares {', '.join(names)} sum to {total:.4g}, not to 1"
        raise SeedbedError(where, what, "Give every domain that is read, as a fraction of what is read.")


def room(names: Sequence[str], caps: Mapping[str, float], where: str) -> FloatArray:
    """cap_D; of one column `share`, that of the rest behind it. Raises SeedbedError where 1 does not fit."""
    for name, cap in caps.items():
        if name not in names:
            what = f"there is a cap on {name!r}, which is no share of this law"
            raise SeedbedError(where, what, did_you_mean(name, names) or f"There are {', '.join(names)}.")
        if not 0 <= cap <= 1:
            raise SeedbedError(where, f"the cap of {name}, {cap}, is no share between 0 and 1")
    cap_D = np.array([caps.get(name, 1.0) for name in names] + [1.0] * (len(names) == 1))
    if cap_D.sum() < 1:
        what = f"the caps leave room for {cap_D.sum():.4g} in all"
        raise SeedbedError(where, what, "Raise them until they sum to 1 or more.")
    return cap_D
