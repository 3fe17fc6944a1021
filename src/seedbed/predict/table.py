"""A table of runs as the laws read it: positive finite numbers in an order of their own, or an error by row and column.

Rows are numbered from 1, without the header. A row that repeats another in every column of the table is counted once
(the runs of two seeds differ in their loss, or in a column `seed` or `run`), so duplication changes nothing.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import pyarrow as pa

from seedbed.core.errors import SeedbedError
from seedbed.predict import mixups
from seedbed.predict.contract import FloatArray, IntArray, Variable

WIDEST_GAP, WIDEST_GAP_OF_ANSWERS, WIDEST_FLOPS = 3e3, 30.0, 30.0
"""Two neighbours of a column of sizes, or of answers, that differ by more are taken for a mix-up of units; so is a run
whose FLOP over params * tokens differs by more from that of the middle run."""
SMALLEST_PARAMS = 1e4
"""Where all models are smaller, params is taken to be in thousands, millions or billions."""


@dataclasses.dataclass(frozen=True)
class Runs:
    """What a law is fitted to.

    Args:
        column: name -> number of each run, in an order that does not depend on the table's.
        n_rows: of the table.
        warnings: what was found and is no error, as sentences.
    """

    column: Mapping[str, FloatArray]
    n_rows: int
    warnings: tuple[str, ...] = ()

    def __len__(self) -> int:
        """How many runs."""
        return len(next(iter(self.column.values())))


def read(runs: pa.Table, variables: Sequence[Variable], answer: Variable, *, drop_worst: int = 0) -> Runs:
    """The columns less repeated rows and the `drop_worst` highest answers. Raises SeedbedError by row and column."""
    row_K, warnings = _distinct(runs)
    found: dict[str, FloatArray] = {}
    _all_there(runs, [variable.name for variable in (*variables, answer)])
    for variable in (*variables, answer):
        found[variable.name] = _numbers(_cells(runs, variable.name), variable)[row_K]
    order = np.lexsort(tuple(found[v.name] for v in (answer, *reversed(variables))))  # sums then know no order of rows
    if drop_worst:
        keep = np.argsort(found[answer.name][order], kind="stable")[: max(0, len(row_K) - drop_worst)]
        order = order[np.sort(keep)]
    found, row_K = {name: values[order] for name, values in found.items()}, row_K[order]
    for variable in variables:
        _one_unit(found[variable.name], row_K, variable, WIDEST_GAP)
    _one_unit(found[answer.name], row_K, answer, WIDEST_GAP_OF_ANSWERS)
    flops_per_product(runs)
    odd = mixups.odd_one(found, row_K, variables, answer)
    return Runs(found, runs.num_rows, (*warnings, *_oddities(found), *odd))


def flops_per_product(runs: pa.Table) -> float:
    """FLOP of training over params * tokens, of the middle run: as `flops` says, else 6.

    Raises SeedbedError by row where a run is far from it, as where units are mixed.
    """
    names = ("flops", "params", "tokens")
    if not set(names) <= set(runs.column_names):
        return 6.0
    flops, params, tokens = (_positive(_cells(runs, name)) for name in names)
    per_N = flops / (params * tokens)
    known = np.isfinite(per_N)
    if not known.any():
        return 6.0
    middle = float(np.median(per_N[known]))
    factor = np.where(known, np.maximum(per_N / middle, middle / per_N), 1.0)
    if factor.max() > WIDEST_FLOPS:
        row = int(np.argmax(factor))
        what = (
            f"flops / (params * tokens) is {per_N[row]:.3g}, and {middle:.3g} in the middle of the runs, a factor of "
            f"{factor[row]:.3g}: one of the three is in another unit there"
        )
        raise SeedbedError(f"runs, row {row + 1}, column 'flops'", what, "Give each column in one unit, in all rows.")
    return middle


def one_domain(runs: pa.Table) -> None:
    """Raises SeedbedError for runs whose answers were measured on several domains."""
    if "domain" not in runs.column_names:
        return
    found = sorted({str(cell) for cell in _cells(runs, "domain")})
    if len(found) > 1:
        told = ", ".join(found[:5]) + (f" and {len(found) - 5} more" if len(found) > 5 else "")
        what = f"the runs hold {len(found)} domains ({told}), and a fit is of one"
        raise SeedbedError("runs, column 'domain'", what, f"Choose one with --only domain={found[0]}.")


def enough(runs: Runs, least: int, what: str) -> None:
    """Raises SeedbedError where there are fewer than `least` runs."""
    if len(runs) < least:
        raise SeedbedError("runs", f"{len(runs)} runs cannot carry {what}", f"Give at least {least}.")


def varied(runs: Runs, names: Sequence[str]) -> None:
    """Raises SeedbedError for a column that has one value in all runs."""
    for name in names:
        if len(np.unique(runs.column[name])) < 2:
            what = f"all runs have the same {name}, so its effect cannot be told"
            mend = f"Add runs with another {name}, or hold its coefficients with --fix."
            raise SeedbedError(f"runs, column {name!r}", what, mend)


OTHER_NAMES = {
    "params": ("n", "parameters", "nparams", "numparams", "modelsize", "size", "nonembeddingparams"),
    "tokens": ("d", "trainingtokens", "traintokens", "ntokens", "numtokens", "tokensseen"),
    "loss": ("l", "valloss", "validationloss", "evalloss", "finalloss", "testloss"),
    "flops": ("c", "flop", "trainingflop", "trainingflops", "compute", "flopstrain"),
}
"""What other tables call these columns, in small letters alone."""


def _all_there(runs: pa.Table, names: Sequence[str]) -> None:
    """Raises SeedbedError for columns that are missing, and says which ones may be meant."""
    missing = [name for name in names if name not in runs.column_names]
    if not missing:
        return
    here = {"".join(filter(str.isalnum, name)).lower(): name for name in runs.column_names}
    mends: list[str] = []
    for name in missing:
        meant = next((here[word] for word in (name, *OTHER_NAMES.get(name, ())) if word in here), None)
        meant = meant or next(iter(difflib.get_close_matches(name, runs.column_names, n=1)), None)
        if meant is not None:
            mends.append(f"Rename {meant} to {name}.")
        elif name == "tokens" and any(word in here for word in ("flops", *OTHER_NAMES["flops"])):
            mends.append("Where only FLOP were kept, tokens are about flops / (6 * params).")
    what = f"there {'is no column' if len(missing) == 1 else 'are no columns'} {', '.join(map(repr, missing))}"
    raise SeedbedError("runs", what, " ".join(mends) or f"There are {', '.join(runs.column_names)}.")


def _distinct(runs: pa.Table) -> tuple[IntArray, tuple[str, ...]]:
    """Rows that repeat no earlier one, and a sentence on the others."""
    first: dict[tuple[object, ...], int] = {}
    repeated: list[tuple[int, int]] = []
    columns = [_cells(runs, name) for name in runs.column_names]
    for i, row in enumerate(zip(*columns, strict=True)):
        if (earlier := first.setdefault(tuple(map(repr, row)), i)) != i:
            repeated.append((i + 1, earlier + 1))
    if not repeated:
        return np.arange(runs.num_rows), ()
    told = ", ".join(f"row {i} repeats row {j}" for i, j in repeated[:3])
    more = f" and {len(repeated) - 3} more" if len(repeated) > 3 else ""
    what = f"{told}{more}: counted once; give runs of different seeds a column `seed`"
    return np.array(sorted(first.values()), np.int64), (what,)


def _oddities(found: Mapping[str, FloatArray]) -> list[str]:
    """What is no error and yet looks like one."""
    said: list[str] = []
    if not {"params", "tokens"} <= set(found) or not len(found["params"]):
        return said
    if np.all(found["tokens"] < found["params"]):
        said.append("every run has fewer tokens than params: are the two columns swapped, or in different units?")
    if found["params"].max() < SMALLEST_PARAMS:
        said.append(
            f"params are all below {SMALLEST_PARAMS:,.0f}, so they look like millions or billions: give forecasts the "
            "same unit; FLOP are right only if the table has a column `flops`"
        )
    return said


def _cells(runs: pa.Table, name: str) -> list[object]:
    return cast("list[object]", cast(Any, runs.column(name)).to_pylist())


def number(cell: object) -> float:
    """A cell as a number, also where the table has it as text; NaN for what is none."""
    if isinstance(cell, bool) or not isinstance(cell, int | float | str):
        return float("nan")
    try:
        return float(cell)
    except ValueError:
        return float("nan")


def _floats(cells: Sequence[object]) -> FloatArray:
    return np.array([number(cell) for cell in cells], np.float64)


def _positive(cells: Sequence[object]) -> FloatArray:
    values = _floats(cells)
    return np.where(values > 0, values, np.nan)


def _numbers(cells: Sequence[object], variable: Variable) -> FloatArray:
    values = _floats(cells)
    right, said = np.isfinite(values), "is not a finite number"
    if variable.kind == "size":
        right, said = right & (values > 0), "is not a positive finite number"
    elif variable.kind == "share":
        right, said = right & (values >= 0) & (values <= 1), "is no share between 0 and 1"
    wrong = np.flatnonzero(~right)
    if len(wrong):
        row, more = int(wrong[0]), f" ({len(wrong)} such rows)" if len(wrong) > 1 else ""
        what, mend = f"{cells[row]!r} {said}", "Correct it, or leave the row out."
        if cells[row] is None:
            what, mend = "there is no number", "Fill it in, or leave the row out."
        elif isinstance(cells[row], str):
            mend = "Write plain numbers, such as 30000000 or 3e7."
        elif variable.kind == "share" and values[row] > 1:
            mend = "Give fractions, not percent."
        raise SeedbedError(f"runs, row {row + 1}, column {variable.name!r}", f"{what}{more}", mend)
    return values


def _one_unit(values: FloatArray, row_K: IntArray, variable: Variable, widest: float) -> None:
    """Raises SeedbedError where a column of sizes falls into two groups that only another unit explains."""
    if variable.kind != "size" or len(values) < 2:
        return
    order = np.argsort(values, kind="stable")
    factor = values[order][1:] / values[order][:-1]
    at = int(np.argmax(factor))
    if factor[at] <= widest:
        return
    low, high = order[: at + 1], order[at + 1 :]
    odd, other = (low, high) if len(low) <= len(high) else (high, low)
    row, like = int(odd[0]), int(other[0])
    where = f"runs, row {int(row_K[row]) + 1}, column {variable.name!r}"
    what = (
        f"{values[row]:.6g} beside {values[like]:.6g} in row {int(row_K[like]) + 1}: no runs lie between, a factor of "
        f"{factor[at]:.3g}, as where units are mixed"
    )
    mend = "Give all rows in one unit (such as parameters, not partly in millions), or leave the row out."
    raise SeedbedError(where, what, mend)
