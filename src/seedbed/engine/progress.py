"""Progress of long work: a bar with rate and time left on a terminal, one line a minute elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self, TextIO

from seedbed.core.units import duration, human

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


SHORT_SECONDS = 1.0
"""Work that was shorter is not worth a line afterwards."""


def announce(text: str, out: TextIO | None = None) -> None:
    """Say what is about to take a while and shows no progress."""
    print(text, file=out or sys.stderr, flush=True)


class Bar:
    """Shows how far a piece of work is. Use as a context manager; `add` as work gets done.

    Args:
        label: what is being done.
        total: how much there is, in `unit`.
        unit: bytes, documents, tokens, ...
        out: where to show it, by default stderr.
        every_seconds: pause between lines where `out` is no terminal.
    """

    def __init__(
        self, label: str, total: float, unit: str, out: TextIO | None = None, every_seconds: float = 60.0
    ) -> None:
        self.label, self.total, self.unit, self.every_seconds = label, total, unit, every_seconds
        self.out = out or sys.stderr
        self.done = 0.0
        self._rich: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        self._start = self._last = time.monotonic()
        if self.out.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

            columns = (TextColumn("{task.description:28}"), BarColumn(), TextColumn("{task.fields[rate]:>18}"))
            console = Console(file=self.out)
            self._rich = Progress(*columns, TimeRemainingColumn(), console=console, transient=True)
            self._rich.start()
            self._task = self._rich.add_task(self.label, total=self.total or 1, rate="")
        return self

    def add(self, amount: float) -> None:
        """So much more is done."""
        self.done += amount
        now = time.monotonic()
        if self._rich is not None and self._task is not None:
            rate = f"{human(self.done / max(now - self._start, 1e-9), self.unit)}/s"
            self._rich.update(self._task, completed=self.done, rate=rate)
        elif now - self._last >= self.every_seconds:
            self._last = now
            print(self._line(now), file=self.out, flush=True)

    def _line(self, now: float) -> str:
        spent = now - self._start
        rate = self.done / max(spent, 1e-9)
        left = max(self.total - self.done, 0) / rate if rate else 0.0
        share = f"{self.done / self.total:.0%}" if self.total else "0%"
        speed = f"{human(rate, self.unit)}/s"
        return f"{self.label}: {share}, {speed}, {duration(spent)} so far, about {duration(left)} left"

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._rich is not None:
            self._rich.stop()
        spent = time.monotonic() - self._start
        if kind is None and spent >= SHORT_SECONDS:
            speed = f"{human(self.done / max(spent, 1e-9), self.unit)}/s"
            print(f"{self.label}: {human(self.done, self.unit)} in {duration(spent)} ({speed})", file=self.out)
