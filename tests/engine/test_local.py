"""Local processes: results in task order, errors whole, and no worker outlives its parent."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from seedbed.core.errors import SeedbedError
from seedbed.engine import progress
from seedbed.engine.contract import Tick
from seedbed.engine.local import LocalEngine


def square(task: int, tick: Tick) -> int:
    time.sleep(0.02 * (task % 3))
    tick(1)
    return task * task


def refuse(task: int, tick: Tick) -> int:
    if task == 2:
        raise SeedbedError("file.txt:2", "is broken", "Mend it.")
    return square(task, tick)


def die(task: int, tick: Tick) -> int:
    if task == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return square(task, tick)


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_results_come_in_the_order_of_the_tasks(
    workers: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "SHORT_SECONDS", 0.0)
    with contextlib.closing(LocalEngine(workers)) as engine:
        found = engine.run(square, list(range(8)), label="square", total=8, unit="tasks")
        assert engine.run(square, [3, 1], label="again", total=2, unit="tasks") == [9, 1]
    assert found == [i * i for i in range(8)]
    assert "square: 8 tasks" in capsys.readouterr().err


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_crosses_the_process_border_whole(workers: int) -> None:
    with pytest.raises(SeedbedError, match=r"file\.txt:2: is broken\. Mend it\."):
        LocalEngine(workers).run(refuse, [1, 2, 3], label="x", total=3, unit="tasks")


def test_a_killed_worker_is_a_clear_error() -> None:
    with pytest.raises(SeedbedError, match=r"a worker process died.*fewer --workers"):
        LocalEngine(2).run(die, [1, 2, 3], label="x", total=3, unit="tasks")


def ask_environment(task: int, tick: Tick) -> str:
    return os.environ.get("PIDS", f"none of {task}")


def test_workers_have_the_environment_of_now(monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[list[str]] = []
    for value in ("first", "second", None):
        if value is None:
            monkeypatch.delenv("PIDS")
        else:
            monkeypatch.setenv("PIDS", value)
        with contextlib.closing(LocalEngine(2)) as engine:
            found.append(engine.run(ask_environment, [1, 2], label="x", total=2, unit="tasks"))
    assert found == [["first"] * 2, ["second"] * 2, ["none of 1", "none of 2"]]


def ask_what_is_loaded(task: int, tick: Tick) -> tuple[bool, int]:
    return "numba" in sys.modules, threading.active_count()


@pytest.mark.skipif(sys.platform != "linux", reason="workers are spawned elsewhere")
def test_workers_find_the_compiler_loaded_and_no_thread_of_their_parents() -> None:
    stop = threading.Event()
    threads = [threading.Thread(target=stop.wait) for _ in range(5)]
    for thread in threads:
        thread.start()
    with contextlib.closing(LocalEngine(2)) as engine:
        found = engine.run(ask_what_is_loaded, [1, 2], label="x", total=2, unit="tasks")
    stop.set()
    assert all(is_loaded and n_threads <= 3 for is_loaded, n_threads in found), found


def wait_long(task: int, tick: Tick) -> int:
    Path(os.environ["PIDS"], str(os.getpid())).touch()
    time.sleep(600)
    return task


def test_workers_end_with_a_killed_parent(tmp_path: Path) -> None:
    program = (
        "from seedbed.engine.local import LocalEngine; from tests.engine.test_local import wait_long\n"
        "if __name__ == '__main__': LocalEngine(2).run(wait_long, [1, 2], label='x', total=2, unit='tasks')"
    )
    environment = {**os.environ, "PIDS": str(tmp_path)}
    root = Path(__file__).parents[2]
    process = subprocess.Popen([sys.executable, "-c", program], cwd=root, env=environment, start_new_session=True)
    deadline = time.monotonic() + 240
    while len(list(tmp_path.iterdir())) < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    workers = [int(path.name) for path in tmp_path.iterdir()]
    assert len(workers) == 2
    process.kill()
    process.wait()
    while any(_alive(pid) for pid in workers) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(_alive(pid) for pid in workers)


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
