"""Batches made ahead of time by threads, in order: how many threads there are changes nothing but the seconds."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Generic, Self, TypeVar

J = TypeVar("J")
T = TypeVar("T")


class Loader(Generic[J, T]):
    """`make(job)` for each of the jobs, in order. Iterate over it once, and close it.

    Args:
        jobs: what to make; read by the thread that iterates, a little ahead of what it has got.
        make: a pure function; with several workers it is called by several threads at once.
        workers: threads; 0 makes each batch when it is asked for.
        ahead: batches that are ready or being made beyond the one in use; None means one more than there are workers.

    An error of `make` or of `jobs` is raised where its batch would have come, and ends the iteration.

    Attributes:
        waited_seconds: that the caller has spent waiting for batches so far.
    """

    def __init__(
        self, jobs: Iterable[J], make: Callable[[J], T], *, workers: int = 1, ahead: int | None = None
    ) -> None:
        self._jobs, self._make = iter(jobs), make
        self._ahead = max(1, workers + 1 if ahead is None else ahead)
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="loader") if workers else None
        self._queue: deque[Future[T]] = deque()
        self._failed: BaseException | None = None
        self._closed = False
        self.waited_seconds = 0.0

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        if self._closed:
            raise StopIteration
        started = time.perf_counter()
        try:
            made = self._next_inline() if self._pool is None else self._next_of(self._pool)
        except BaseException:
            self.close()
            raise
        self.waited_seconds += time.perf_counter() - started
        return made

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Make no more, and return when no thread is at work."""
        self._closed = True
        self._queue.clear()
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def _next_inline(self) -> T:
        return self._made(next(self._jobs))

    def _made(self, job: J) -> T:
        try:
            return self._make(job)
        except StopIteration as error:  # would pass for the end of the jobs
            raise RuntimeError(f"making a batch raised {error!r}") from error

    def _next_of(self, pool: ThreadPoolExecutor) -> T:
        self._fill(pool)
        if not self._queue:
            raise StopIteration if self._failed is None else self._failed
        made = self._queue.popleft().result()
        self._fill(pool)
        return made

    def _fill(self, pool: ThreadPoolExecutor) -> None:
        """Hand out jobs until enough batches are under way; an error of theirs waits for its turn."""
        while self._failed is None and len(self._queue) < self._ahead:
            try:
                self._queue.append(pool.submit(self._made, next(self._jobs)))
            except StopIteration:
                return
            except BaseException as error:
                self._failed = error
