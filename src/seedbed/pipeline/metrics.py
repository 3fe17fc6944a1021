"""The metrics of a run: `metrics.jsonl`, a line a step as training goes, and `metrics.parquet`, the same whole.

What a run computed (loss, rate, norm) comes from the log in its checkpoints, which a kill cannot tear; what a clock
measured comes from the lines. So no step is there twice and none is missing, however often a run was killed.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, cast

import pyarrow as pa

from seedbed.core import arrow
from seedbed.core.artifact import disk_error

if TYPE_CHECKING:
    from seedbed.train.run import Report

LINES, TABLE = "metrics.jsonl", "metrics.parquet"
EVERY_SECONDS = 60.0
"""Between two writings of the table while a run goes on."""

_COMPUTED = (
    arrow.field("step", pa.int64()),
    arrow.field("tokens", pa.int64(), unit="tokens trained on so far"),
    arrow.field("flops", pa.float64(), unit="FLOP so far"),
    arrow.field("loss_nats_per_token", pa.float64(), unit="nats per token, training batch"),
    arrow.field("learning_rate", pa.float64(), unit="of this step"),
    arrow.field("grad_norm", pa.float64(), unit="Euclidean norm of the gradient, before clipping"),
    arrow.field("skipped", pa.bool_(), unit="whether the update was left out"),
)
_MEASURED = (
    arrow.field("tokens_per_second", pa.float64(), unit="tokens a second, this step"),
    arrow.field("seconds", pa.float64(), unit="seconds of training so far, over all calls"),
    arrow.field("waited_seconds", pa.float64(), unit="seconds this step waited for data"),
)

Row = dict[str, Any]


def schema(sources: Sequence[str]) -> pa.Schema:
    """The columns of the table; every source has two."""
    shares: list[Any] = []
    for name in sources:
        shares.append(arrow.field(f"share_{name}", pa.float64(), unit="fraction of the tokens read so far"))
        shares.append(arrow.field(f"asked_share_{name}", pa.float64(), unit="fraction asked for at this step"))
    return pa.schema([*_COMPUTED, *_MEASURED, *shares])


class Metrics:
    """Writes the metrics of one run; an observer of the loop.

    Args:
        folder: of the run.
        sources: names of what is read, views included.
        every_steps: lines are written for these steps, as the log has them.
        parent: folder of the run that this one branched from; its lines are this run's past.
    """

    def __init__(self, folder: Path, sources: Sequence[str], every_steps: int = 1, parent: Path | None = None) -> None:
        self.folder, self.schema, self.every_steps = folder, schema(sources), every_steps
        self._past = folder if (folder / LINES).exists() or parent is None else parent
        self._rows: dict[int, Row] = {}
        self._out: TextIO | None = None
        self._seconds = 0.0
        self._written = time.monotonic()

    def add(self, report: Report) -> None:
        """One more step."""
        if self._out is None:
            self._begin(report.step - 1)
        self._seconds += report.seconds
        if report.step % self.every_steps and report.step != report.steps:
            return
        row: Row = {
            "step": report.step,
            "tokens": report.tokens,
            "flops": report.flops,
            "loss_nats_per_token": report.loss_nats_per_token,
            "learning_rate": report.learning_rate,
            "grad_norm": report.grad_norm,
            "skipped": report.skipped,
            "tokens_per_second": report.total_tokens / report.steps / max(report.seconds, 1e-9),
            "seconds": self._seconds,
            "waited_seconds": report.waited_seconds,
        }
        row |= {f"share_{name}": share for name, share in report.realised.items()}
        row |= {f"asked_share_{name}": share for name, share in report.asked.items()}
        self._rows[report.step] = row
        assert self._out is not None
        try:
            self._out.write(json.dumps(_finite(row)) + "\n")
            self._out.flush()
        except OSError as error:
            raise disk_error(self.folder / LINES, error) from error
        if time.monotonic() - self._written > EVERY_SECONDS:
            self._write(list(self._rows.values()))

    def _begin(self, step: int) -> None:
        """Keep the lines up to a step; those of steps that are taken again go."""
        self._rows = {row["step"]: row for row in read_lines(self._past / LINES) if row["step"] <= step}
        self._seconds = max((row["seconds"] or 0.0 for row in self._rows.values()), default=0.0)
        aside = self.folder / f".{LINES}.{os.getpid()}.tmp"
        try:
            with aside.open("w", encoding="utf-8") as out:
                out.writelines(json.dumps(_finite(row)) + "\n" for row in self._rows.values())
            os.replace(aside, self.folder / LINES)
            self._out = (self.folder / LINES).open("a", encoding="utf-8")
        except OSError as error:
            raise disk_error(self.folder / LINES, error) from error

    def close(self, log: pa.Table | None = None) -> None:
        """Write the table: of the log's steps where there is one, else of what was seen."""
        if self._out is not None:
            self._out.close()
            self._out = None
        if log is None:
            if self._rows:
                self._write(list(self._rows.values()))
            return
        seen = {row["step"]: row for row in read_lines(self._past / LINES)} | self._rows
        computed = cast("list[Row]", cast(Any, log).to_pylist())
        self._write([{**seen.get(row["step"], {}), **row} for row in computed])

    def _write(self, rows: Sequence[Row]) -> None:
        names = cast("list[str]", cast(Any, self.schema).names)
        columns = {name: [row.get(name) for row in rows] for name in names}
        aside = self.folder / f".{TABLE}.{os.getpid()}.tmp"
        try:
            arrow.write_parquet(aside, arrow.table(columns, self.schema))
            os.replace(aside, self.folder / TABLE)
        except OSError as error:
            aside.unlink(missing_ok=True)
            raise disk_error(self.folder / TABLE, error) from error
        self._written = time.monotonic()


def read_lines(file: Path) -> list[Row]:
    """The lines of a run that may have been killed while it wrote one; of a step that is there twice, the later."""
    if not file.exists():
        return []
    found: dict[int, Row] = {}
    for line in file.read_text(encoding="utf-8").splitlines():
        try:
            row = cast(Row, json.loads(line))
            found[int(row["step"])] = row
        except (ValueError, KeyError, TypeError):
            continue
    for row in found.values():
        for name in ("loss_nats_per_token", "grad_norm"):
            row[name] = float(row[name]) if isinstance(row.get(name), str) else row.get(name)
    return [found[step] for step in sorted(found)]


def _finite(row: Mapping[str, Any]) -> Row:
    """JSON knows no NaN."""
    return {k: repr(v) if isinstance(v, float) and not math.isfinite(v) else v for k, v in row.items()}
