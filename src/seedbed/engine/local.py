"""Local processes: the default engine.

One worker runs in this process. More workers are processes that inherit no lock or thread of this one, and end by
themselves when it dies, however it dies: forked from a server that has loaded what all need (Linux), or spawned.
"""

from __future__ import annotations

import multiprocessing
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.context import ForkServerContext, SpawnContext
from multiprocessing.queues import Queue
from typing import cast

from seedbed.core.errors import SeedbedError
from seedbed.engine.contract import Engine, Result, Task, Tick
from seedbed.engine.progress import Bar


class LocalEngine(Engine):
    """Runs tasks in `workers` processes of this machine, started when first needed and kept until `close`."""

    def __init__(self, workers: int = 1) -> None:
        self.workers = workers
        self._pool: ProcessPoolExecutor | None = None
        self._ticks: Queue[float] | None = None

    def spread(self, function: Callable[[Task, Tick], Result], tasks: Sequence[Task], bar: Bar) -> list[Result]:
        """Raises SeedbedError when a worker dies; what was finished is kept by the tasks."""
        if self.workers <= 1 or len(tasks) == 1:
            return [function(task, bar.add) for task in tasks]
        pool, ticks = self._started()
        try:
            futures = [pool.submit(_work, function, task) for task in tasks]
            _follow(cast("list[Future[object]]", futures), ticks, bar)
            return [future.result() for future in futures]
        except BrokenProcessPool as error:
            self.close()
            mend = (
                "It may have run out of memory; fewer --workers need less. The same command goes on where this one was."
            )
            raise SeedbedError(bar.label, "a worker process died", mend) from error
        except BaseException:
            self.close()
            raise

    def _started(self) -> tuple[ProcessPoolExecutor, Queue[float]]:
        if self._pool is None or self._ticks is None:
            context = _context()
            self._ticks = cast("Queue[float]", context.Queue())
            given = (self._ticks, dict(os.environ))
            self._pool = ProcessPoolExecutor(self.workers, mp_context=context, initializer=_begin, initargs=given)
        return self._pool, self._ticks

    def close(self) -> None:
        """End the workers, whatever they are doing; what they finished is kept."""
        pool, ticks, self._pool, self._ticks = self._pool, self._ticks, None, None
        if pool is not None:
            processes = cast("dict[int, multiprocessing.Process] | None", getattr(pool, "_processes", None)) or {}
            for process in list(processes.values()):
                process.terminate()
            pool.shutdown(wait=True, cancel_futures=True)
        if ticks is not None:
            ticks.close()


def _context() -> SpawnContext | ForkServerContext:
    """How workers are started. The server is a fresh Python, so a fork of it is as safe as a spawned process."""
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["seedbed.engine.preload"])
    return context


def _follow(futures: list[Future[object]], ticks: Queue[float], bar: Bar) -> None:
    """Show ticks until all futures are done; stop at the first failure."""
    while not all(future.done() for future in futures):
        if any(future.done() and future.exception() is not None for future in futures):
            return
        try:
            bar.add(ticks.get(timeout=0.05))
            while True:
                bar.add(ticks.get_nowait())
        except queue.Empty:
            continue
    while True:  # what arrived after the last task ended
        try:
            bar.add(ticks.get(timeout=0.01))
        except queue.Empty:
            return


_ticks: Queue[float] | None = None


def _begin(ticks: Queue[float], environment: dict[str, str]) -> None:
    """In a new worker: leave Ctrl-C to the parent, do not outlive it, have its environment and not the server's."""
    global _ticks
    _ticks = ticks
    os.environ.clear()
    os.environ.update(environment)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _work(function: Callable[[Task, Tick], Result], task: Task) -> Result:
    assert _ticks is not None
    return function(task, _ticks.put)
