"""What watches a training run: a line on the terminal, TensorBoard, Weights & Biases. Watchers look, and never act."""

from __future__ import annotations

import contextlib
import sys
import time
from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from seedbed.core import optional
from seedbed.core.errors import RecipeError, did_you_mean
from seedbed.core.parameters import Json
from seedbed.core.units import duration, human

if TYPE_CHECKING:
    from seedbed.train.run import Report

RECENT_SECONDS = 20.0
"""What is shown as speed is the mean over this long."""


class Watcher(Protocol):
    """Is told of every step, in its order."""

    def add(self, report: Report) -> None:
        """A step is done."""
        ...

    def close(self) -> None:
        """No more will come."""
        ...


class Display:
    """Loss, speed, utilisation, waiting and time left: one live line on a terminal, one line a minute elsewhere.

    Args:
        peak: FLOP/s that the processes of the run could do at best; 0 where it was not measured.
        last_step: where this call ends, if not with the plan.
        out: where to show it, by default stderr.
        every_seconds: pause between lines where `out` is no terminal.
    """

    def __init__(self, peak: float, last_step: int, out: TextIO | None = None, every_seconds: float = 60.0) -> None:
        self.peak, self.last_step, self.every_seconds = peak, last_step, every_seconds
        self.out = out or sys.stderr
        self._recent: deque[tuple[float, float, float, float]] = deque()
        self._begun = self._last = time.monotonic()
        self._first: tuple[int, float] | None = None
        self._report: Report | None = None
        self._waited = self._seconds = 0.0
        self._live: Any = None

    def add(self, report: Report) -> None:
        """Show it."""
        batch = report.total_tokens / report.steps
        if self._first is None:
            self._first = (report.step - 1, report.flops * (1 - 1 / report.step) if report.step > 1 else 0.0)
            self._open()
        flops = report.flops - (self._report.flops if self._report else self._first[1])
        self._recent.append((report.seconds, batch, flops, report.waited_seconds))
        while len(self._recent) > 1 and sum(entry[0] for entry in self._recent) - self._recent[0][0] > RECENT_SECONDS:
            self._recent.popleft()
        self._report = report
        self._seconds += report.seconds
        self._waited += report.waited_seconds
        now = time.monotonic()
        if self._live is not None:
            bar, task = self._live
            bar.update(task, completed=report.step, told=", ".join(self._told()[1:]))
        elif now - self._last >= self.every_seconds:
            self._last = now
            print(f"train: {', '.join(self._told())}", file=self.out, flush=True)

    def _open(self) -> None:
        if not self.out.isatty():
            return
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        columns = (
            TextColumn("train"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[told]}"),
        )
        bar = Progress(*columns, console=Console(file=self.out), transient=True)
        bar.start()
        self._live = (bar, bar.add_task("train", total=self.last_step, told=""))

    def _told(self) -> list[str]:
        """Step, loss, speed, utilisation, waiting, time left: of the last seconds."""
        assert self._report is not None
        seconds, tokens, flops, waited = (max(sum(part), 1e-9) for part in zip(*self._recent, strict=True))
        told = [f"step {self._report.step:,} of {self.last_step:,}", f"loss {self._report.loss_nats_per_token:.3f}"]
        told.append(f"{human(tokens / seconds)} tokens/s")
        if self.peak:
            told.append(f"{flops / seconds / self.peak:.0%} of peak")
        told.append(f"{waited / seconds:.0%} waiting")
        left = (self.last_step - self._report.step) * seconds / len(self._recent)
        return [*told, f"{duration(left)} left"]

    def close(self) -> None:
        """Take the live line away and leave one that sums up."""
        if self._live is not None:
            self._live[0].stop()
            self._live = None
        if self._report is None or self._first is None:
            return
        steps = self._report.step - self._first[0]
        tokens = steps * self._report.total_tokens / self._report.steps
        flops, seconds = self._report.flops - self._first[1], max(self._seconds, 1e-9)
        used = (
            f", {flops / seconds / self.peak:.0%} of this machine's peak ({human(self.peak, 'FLOP')}/s)"
            if self.peak
            else ""
        )
        told = (
            f"train: {steps:,} steps, {human(tokens)} tokens in {duration(seconds)} ({human(tokens / seconds)} tokens/s"
        )
        print(f"{told}{used}), {self._waited / seconds:.1%} of the time waiting for data", file=self.out, flush=True)


class TensorBoard:
    """Scalars for TensorBoard in `tensorboard/`; after a resume the steps that are taken again replace the old ones."""

    def __init__(self, folder: Path) -> None:
        what = "--track tensorboard"
        writer = optional.load("tensorboard.summary.writer.event_file_writer", "track", what)
        self._event: Any = optional.load("tensorboard.compat.proto.event_pb2", "track", what)
        self._summary: Any = optional.load("tensorboard.compat.proto.summary_pb2", "track", what)
        self._writer: Any = writer.EventFileWriter(str(folder / "tensorboard"))
        self._begun = False

    def add(self, report: Report) -> None:
        """Write its scalars."""
        if not self._begun:
            log = self._event.SessionLog(status=self._event.SessionLog.START)
            self._writer.add_event(self._event.Event(wall_time=time.time(), step=report.step, session_log=log))
            self._begun = True
        values = [self._summary.Summary.Value(tag=tag, simple_value=value) for tag, value in scalars(report).items()]
        summary = self._summary.Summary(value=values)
        self._writer.add_event(self._event.Event(wall_time=time.time(), step=report.step, summary=summary))

    def close(self) -> None:
        """Flush and end the file."""
        self._writer.close()


class WandB:
    """A run of Weights & Biases in `wandb/`, offline: `wandb sync` sends it when you want it sent.

    Only the plan and the numbers are in it: no code, no git remote, no list of packages, no console, no environment.
    """

    def __init__(self, folder: Path, run_id: str, config: Mapping[str, Json]) -> None:
        wandb = optional.load("wandb", "track", "--track wandb")
        settings = wandb.Settings(
            console="off",
            disable_code=True,
            disable_git=True,
            disable_job_creation=True,
            save_code=False,
            silent=True,
            x_disable_machine_info=True,
            x_disable_meta=True,
            x_disable_stats=True,
            x_save_requirements=False,
        )
        told = {"project": "seedbed", "name": folder.resolve().name, "id": run_id, "config": dict(config)}
        self._run: Any = wandb.init(mode="offline", dir=str(folder), settings=settings, **told)

    def add(self, report: Report) -> None:
        """Log its scalars."""
        self._run.log(scalars(report), step=report.step)

    def close(self) -> None:
        """End the run's file."""
        self._run.finish()


def scalars(report: Report) -> dict[str, float]:
    """What trackers are told of a step."""
    told = {
        "loss_nats_per_token": report.loss_nats_per_token,
        "learning_rate": report.learning_rate,
        "grad_norm": report.grad_norm,
        "tokens": float(report.tokens),
        "tokens_per_second": report.total_tokens / report.steps / max(report.seconds, 1e-9),
        "skipped": float(report.skipped),
    }
    return told | {f"share/{name}": share for name, share in report.realised.items()}


TRACKERS = ("tensorboard", "wandb")


def check(names: Sequence[str]) -> None:
    """Before anything is made: raises RecipeError for a tracker there is not, SeedbedError for an extra that lacks."""
    for name in names:
        if name not in TRACKERS:
            raise RecipeError(f"--track {name}", "there is no such tracker", did_you_mean(name, TRACKERS))
        optional.load(name, "track", f"--track {name}")


@contextlib.contextmanager
def watching(watchers: Sequence[Watcher]) -> Generator[Callable[[Report], None], None, None]:
    """Tells all of them, and closes them whatever happens."""

    def observe(report: Report) -> None:
        for watcher in watchers:
            watcher.add(report)

    with contextlib.ExitStack() as stack:
        for watcher in watchers:
            stack.callback(watcher.close)
        yield observe
