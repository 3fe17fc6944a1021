"""Work in a child process that is watched: ended when one step of it takes too long or too much memory.

Bounds in bytes, depth and nodes come first and stop nearly every page made to hurt. This is the last resort, for what
they do not foresee: a library that never comes back, or asks for memory without end. The child does whole tasks, so
that watching costs a few stores into shared memory a document, and no copy of it. What it was at when it was ended is
known to the record; the verdict is kept, because a clock decided.
"""

from __future__ import annotations

import contextlib
import dataclasses
import mmap
import os
import pickle
import signal
import struct
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection
from typing import Annotated, Any, Generic, TypeVar, cast

from annotated_types import Gt

from seedbed.core import parameters
from seedbed.engine.contract import Tick

Task = TypeVar("Task")

TIME, MEMORY, DIED = "time_limit", "memory_limit", "died"
_WAITS_FOR = 10.0
_LOOK_SECONDS = 0.02
_IDLE_SECONDS = 5.0
_STEP = struct.Struct("<Qqq")


@dataclasses.dataclass(frozen=True)
class Limits:
    """What the reading of one record may cost before it is given up.

    Args:
        cpu_seconds: of computing; one that only waits may take ten times as long.
        memory_bytes: that the reading process holds in all.
    """

    cpu_seconds: Annotated[float, Gt(0)] = 30.0
    memory_bytes: Annotated[int, Gt(0)] = 2 << 30

    def __post_init__(self) -> None:
        """Raises RecipeError for a field outside its bounds."""
        parameters.check(self, "curate.limits")


class Ended(Exception):  # noqa: N818  a fate, told to whoever gave the work
    """The child was ended, or ended itself, at one step.

    Args:
        reason: time_limit, memory_limit or died.
        message: how much it took, or by which signal it died.
        step: the numbers last given to `Pulse.step`; (-1, -1) where the work had not begun.
    """

    def __init__(self, reason: str, message: str, step: tuple[int, int]) -> None:
        super().__init__(reason, message, step)
        self.reason, self.message, self.step = reason, message, step


class Pulse:
    """What the work is at now, told to whoever watches."""

    def __init__(self, shared: mmap.mmap | None = None) -> None:
        self._shared = shared
        self._count = 0

    def step(self, first: int, second: int) -> None:
        """A new step begins; the two numbers say which."""
        if self._shared is not None:
            self._count += 1
            _STEP.pack_into(self._shared, 0, self._count, first, second)


class Child(Generic[Task]):
    """A process that does `function(task, tick, pulse)` for one task after the other, and ends itself when idle."""

    def __init__(self) -> None:
        with tempfile.TemporaryFile() as shared:
            shared.truncate(_STEP.size)
            self._shared = mmap.mmap(shared.fileno(), _STEP.size)
            ours, theirs = _pair()
            fds = (theirs.fileno(), shared.fileno())
            code = f"from seedbed.curate.watch import serve; serve({os.getpid()}, *{fds})"
            path = os.pathsep.join([os.environ.get("PYTHONPATH", ""), *filter(None, sys.path)]).strip(os.pathsep)
            environment = {**os.environ, "PYTHONPATH": path}
            self._process = subprocess.Popen([sys.executable, "-c", code], pass_fds=fds, env=environment)
            theirs.close()
        self._pipe = ours

    @property
    def alive(self) -> bool:
        """Whether it can be given work."""
        return self._process.poll() is None

    def close(self) -> None:
        """End it, whatever it is doing."""
        self._process.kill()
        self._process.wait()
        self._pipe.close()
        self._shared.close()

    def run(self, function: Callable[[Task, Tick, Pulse], None], task: Task, limits: Limits, tick: Tick) -> None:
        """Let it work. Raises Ended where it had to be ended or died, and what `function` raised."""
        clock = _Clock(self._process.pid, self._shared, limits)
        try:
            self._pipe.send_bytes(pickle.dumps((function, task)))
            self._follow(clock, tick)
        except (EOFError, BrokenPipeError, ConnectionResetError) as error:
            code, step = self._process.wait(), clock.step
            self.close()
            name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
            raise Ended(DIED, f"the reading process died ({name})", step) from error
        except BaseException:
            self.close()
            raise

    def _follow(self, clock: _Clock, tick: Tick) -> None:
        kind = ""
        while kind != "done":
            while not self._pipe.poll(_LOOK_SECONDS):
                clock.look()
            kind, value = cast("tuple[str, Any]", self._pipe.recv())
            if kind == "raised":
                raise value
            if kind == "begun":
                clock.start()
            if kind == "tick":
                tick(value)


class _Clock:
    """Time and memory of the child since its last step."""

    def __init__(self, pid: int, shared: mmap.mmap, limits: Limits) -> None:
        self._pid, self._shared, self._limits = pid, shared, limits
        self._count, self._wall, self._cpu, self._begun = -1, 0.0, 0.0, False

    @property
    def step(self) -> tuple[int, int]:
        """The numbers of the step; (-1, -1) before the work has begun."""
        _, first, second = _STEP.unpack_from(self._shared, 0)
        return (first, second) if self._begun else (-1, -1)

    def start(self) -> None:
        """The child has loaded what it needs; from now on time counts."""
        self._wall, self._cpu, self._begun = time.monotonic(), _taken(self._pid)[0], True

    def look(self) -> None:
        """Raises Ended where the child must be ended."""
        count = _STEP.unpack_from(self._shared, 0)[0]
        cpu, memory = _taken(self._pid)
        if memory > self._limits.memory_bytes:
            raise Ended(MEMORY, f"more than {self._limits.memory_bytes} bytes of memory were taken", self.step)
        now = time.monotonic()
        if count != self._count:
            self._count, self._wall, self._cpu = count, now, cpu
        waits_for = self._limits.cpu_seconds * (_WAITS_FOR if _TELLS_CPU else 1)
        if not self._begun:
            return
        if cpu - self._cpu > self._limits.cpu_seconds or now - self._wall > waits_for:
            raise Ended(TIME, f"took longer than {self._limits.cpu_seconds} seconds", self.step)


_TELLS_CPU = os.path.exists("/proc/self/stat")  # noqa: PTH110


def _taken(pid: int) -> tuple[float, int]:
    """(CPU-seconds, resident bytes) of a process, zeros where the system does not tell: then only the clock counts."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as told:  # noqa: PTH123  read fifty times a second
            fields = told.read().rpartition(b")")[2].split()
        ticks = int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK"), int(fields[21]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0.0, 0


def _pair() -> tuple[Connection, Connection]:
    from multiprocessing import Pipe

    return Pipe()


def serve(parent: int, pipe_fd: int, shared_fd: int) -> None:
    """In the child: do tasks until the pipe closes or none comes for some seconds. It never outlives its parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _die_with(parent)
    pipe: Connection = Connection(pipe_fd)
    pulse = Pulse(mmap.mmap(shared_fd, _STEP.size))
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while pipe.poll(_IDLE_SECONDS):
            function, task = pickle.loads(pipe.recv_bytes())  # noqa: S301  from our own parent
            import pyarrow

            pyarrow.array([""])  # imports pandas where it is installed: seconds that no page has taken
            pipe.send(("begun", None))
            try:
                function(task, partial(_tell, pipe), pulse)
                pipe.send(("done", None))
            except Exception as error:
                pipe.send(("raised", _portable(error)))


def _tell(pipe: Connection, amount: float) -> None:
    pipe.send(("tick", amount))


def _portable(error: Exception) -> Exception:
    """The error with its traceback as a note; a plain one of the same words where it cannot be sent."""
    error.add_note(traceback.format_exc())
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301  our own
    except Exception:
        return RuntimeError(traceback.format_exc())
    return error


def _die_with(parent: int) -> None:
    """Ask Linux to kill this process when its parent dies; elsewhere it ends when it next looks at the pipe."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
        if os.getppid() != parent:
            os._exit(1)
