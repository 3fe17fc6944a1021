"""Rows of a comparison: one for each (arm, seed, domain), read and checked; and tables as CSV.

A seed is a replicate: of start and order, and of pool and target where they were resampled. Bits per byte of held-out
text; tokens and FLOP of the whole training; FLOP and CPU-seconds of choosing.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import math
from pathlib import Path
from typing import Any, cast

import pyarrow as pa

from seedbed.core.artifact import write_text
from seedbed.core.errors import SeedbedError, did_you_mean

COLUMNS = ("arm", "seed", "domain", "bits_per_byte", "tokens", "flops_train", "flops_select", "seconds_select")
CHOICE_COLUMNS = ("budget_tokens", "unique_tokens", "chosen_tokens")
DIGITS = 8
"""Of a number in CSV: more would differ from one processor to the next."""


@dataclasses.dataclass(frozen=True)
class Row:
    """One arm under one seed on one domain.

    Args:
        budget_tokens: what the selector was asked for.
        unique_tokens: tokens of the chosen documents, each counted once.
        chosen_tokens: the same, each counted as often as it was chosen.
    """

    arm: str
    seed: int
    domain: str
    bits_per_byte: float
    tokens: float
    flops_train: float
    flops_select: float = 0.0
    seconds_select: float = 0.0
    budget_tokens: float = 0.0
    unique_tokens: float = 0.0
    chosen_tokens: float = 0.0

    @property
    def flops(self) -> float:
        """Training and selection together."""
        return self.flops_train + self.flops_select


def read_rows(
    results: pa.Table, where: str = "results", *, columns: tuple[str, ...] = COLUMNS, is_curve: bool = False
) -> list[Row]:
    """Rows with the columns named. Raises SeedbedError for one that is missing, doubled rows and numbers not finite.

    Two rows of one arm, seed and domain are doubled; of a curve, where they have as many tokens.
    """
    for name in columns:
        if name not in results.column_names:
            raise SeedbedError(where, f"there is no column {name!r}", did_you_mean(name, results.column_names))
    rows = [Row(**{name: cells[name] for name in columns}) for cells in cast(Any, results).to_pylist()]
    seen: set[tuple[str, int, str, float]] = set()
    for number, row in enumerate(rows, 1):
        key = (row.arm, row.seed, row.domain, row.tokens if is_curve else 0.0)
        if key in seen:
            raise SeedbedError(f"{where}, row {number}", f"arm {row.arm}, seed {row.seed}, {row.domain} is there twice")
        if not all(math.isfinite(value) for value in (row.bits_per_byte, row.tokens, row.flops)):
            what = f"arm {row.arm}, seed {row.seed} has a number that is not finite"
            raise SeedbedError(f"{where}, row {number}", what)
        seen.add(key)
    return rows


def write_csv(table: pa.Table, file: Path) -> None:
    """The table as CSV: a header, lines that end in a newline alone, empty cells for what is not known."""
    write_text(file, csv_text(table))


def csv_text(table: pa.Table) -> str:
    """What `write_csv` writes."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(table.column_names)
    for cells in cast("list[dict[str, object]]", cast(Any, table).to_pylist()):
        writer.writerow([_cell(value) for value in cells.values()])
    return out.getvalue()


def _cell(value: object) -> object:
    return f"{value:.{DIGITS}g}" if isinstance(value, float) else value
