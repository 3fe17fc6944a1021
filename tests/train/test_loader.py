"""Loader threads: the same batches in the same order whatever their number, errors in their place, a clean end."""

import threading
import time

import numpy as np
import pytest

from seedbed.train.loader import Loader

WORKERS = [0, 1, 2, 5]


def slow_square(job: int) -> int:
    time.sleep(np.random.default_rng(job).random() * 0.004)  # later jobs are often done first
    return job * job


def running() -> int:
    return sum(thread.name.startswith("loader") for thread in threading.enumerate())


@pytest.mark.parametrize("workers", WORKERS)
@pytest.mark.parametrize("ahead", [None, 0, 1, 9])
def test_batches_come_in_order_whatever_the_number_of_threads(workers, ahead):
    with Loader(range(40), slow_square, workers=workers, ahead=ahead) as loader:
        assert list(loader) == [job * job for job in range(40)]
        assert list(loader) == []
    assert running() == 0


def test_the_source_gives_the_same_bytes_to_any_number_of_threads():
    from tests.train.markov_language import source

    def read(workers: int) -> list[bytes]:
        made = source(60, context=8)
        with Loader(range(800), lambda i: made.reading(i).tokens.tobytes(), workers=workers) as loader:
            return list(loader)

    assert read(0) == read(1) == read(4)


@pytest.mark.parametrize("workers", WORKERS)
def test_an_error_comes_where_its_batch_would_have_come(workers):
    def make(job: int) -> int:
        if job == 7:
            raise ValueError("seven")
        return slow_square(job)

    loader = Loader(range(40), make, workers=workers)
    assert [next(loader) for _ in range(7)] == [job * job for job in range(7)]
    with pytest.raises(ValueError, match="seven"):
        next(loader)
    assert list(loader) == []
    assert running() == 0


@pytest.mark.parametrize("workers", WORKERS)
def test_an_error_of_the_jobs_comes_after_the_batches_before_it(workers):
    def jobs():
        yield from range(5)
        raise ValueError("no more")

    loader = Loader(jobs(), slow_square, workers=workers, ahead=9)
    assert [next(loader) for _ in range(5)] == [0, 1, 4, 9, 16]
    with pytest.raises(ValueError, match="no more"):
        next(loader)


@pytest.mark.parametrize("workers", WORKERS)
def test_a_stray_end_of_iteration_does_not_end_the_run_in_silence(workers):
    loader = Loader(range(3), lambda job: next(iter(())), workers=workers)
    with pytest.raises(RuntimeError, match="StopIteration"):
        next(loader)


def reaches(made: list[int], count: int) -> bool:
    """Whether so many are made, and no more within a while."""
    until = time.monotonic() + 10
    while len(made) < count and time.monotonic() < until:
        time.sleep(0.002)
    time.sleep(0.02)
    return len(made) == count


def test_no_more_is_made_than_was_asked_to_be_ahead():
    made: list[int] = []
    with Loader(range(100), made.append, workers=2, ahead=4) as loader:
        next(loader)
        assert reaches(made, 5)  # the one in use, and four
        next(loader)
        assert reaches(made, 6)


def test_closing_early_waits_for_threads_and_makes_no_more():
    made: list[int] = []

    def make(job: int) -> int:
        time.sleep(0.02)
        made.append(job)
        return job

    loader = Loader(range(100), make, workers=2, ahead=20)
    assert next(loader) == 0
    loader.close()
    assert running() == 0
    left = len(made)
    time.sleep(0.05)
    assert len(made) == left < 10
    assert list(loader) == []
    loader.close()


def test_the_seconds_waited_are_those_the_caller_lost():
    made: list[int] = []

    def make(job: int) -> int:
        time.sleep(0.02)
        made.append(job)
        return job

    with Loader(range(5), make, workers=0) as inline:
        list(inline)
    assert inline.waited_seconds >= 0.1
    made.clear()
    with Loader(range(5), make, workers=1, ahead=4) as ahead:
        next(ahead)
        first = ahead.waited_seconds
        assert reaches(made, 5)
        list(ahead)
    assert first >= 0.02
    assert ahead.waited_seconds - first < 0.05
