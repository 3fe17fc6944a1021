"""The processes of a run: who they are, how they meet and part, and how one of them works while the others wait.

`torchrun --nproc-per-node N` starts N processes of one command and tells each who it is. Without it a process is alone,
and everything here does nothing.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import json
import os
import sys
import time
from collections.abc import Callable, Generator
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

from seedbed.core.errors import RecipeError, SeedbedError

Work = TypeVar("Work")

_torch_distributed: Any = torch.distributed

TIMEOUT = datetime.timedelta(minutes=30)
"""How long an exchange waits: for a process that hangs. One that dies is seen at once, as its connections close."""

_BROKEN_OFF = ("connection", "broken pipe", "socket", "timed out", "timeout", "nccl")
"""In the messages of gloo, nccl and the store."""

_ENDED = "ended"
"""Key of the note that a process leaves which parts from the others with an error."""


@dataclasses.dataclass(frozen=True)
class World:
    """The processes of a run, as one of them sees it.

    Args:
        rank: number of this process; the first writes and prints.
        size: how many there are.
        local_rank: number on this machine, which is the number of its GPU.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @property
    def is_first(self) -> bool:
        """Whether this process is the one that writes and prints."""
        return self.rank == 0


@dataclasses.dataclass
class _Joined:
    """What this process keeps of the run it is part of."""

    store: Any
    joins: int = 0
    made: bool = False
    handovers: int = 0
    notes: Any = None
    partings: list[Callable[[], None]] = dataclasses.field(default_factory=list["Callable[[], None]"])


_joined: _Joined | None = None


def _of_environment() -> World:
    """Who this process is, from what torchrun put into its environment."""
    size = _number("WORLD_SIZE", 1)
    world = World(_number("RANK", 0), size, _number("LOCAL_RANK", 0))
    if size < 1 or not 0 <= world.rank < size:
        what = f"RANK is {world.rank} and WORLD_SIZE {size}"
        raise SeedbedError("environment", what, "Start the processes with torchrun.")
    missing = [name for name in ("RANK", "MASTER_ADDR", "MASTER_PORT") if size > 1 and not os.environ.get(name)]
    if missing:
        what = f"WORLD_SIZE is {size}, but {', '.join(missing)} is not set"
        raise SeedbedError("environment", what, "Start the processes with torchrun, or unset WORLD_SIZE.")
    return world


def _number(name: str, default: int) -> int:
    text = os.environ.get(name, "") or str(default)
    if not text.isdigit():
        raise SeedbedError("environment", f"{name} is {text!r}, no number", "Start the processes with torchrun.")
    return int(text)


def join(device: torch.device, timeout: datetime.timedelta = TIMEOUT) -> World:
    """Meet the other processes, once; alone without torchrun. gloo carries tensors of a CPU, nccl those of GPUs."""
    global _joined
    world = _of_environment()
    if world.size == 1:
        return world
    if _joined is None:
        store, _, _ = next(_torch_distributed.rendezvous("env://", world.rank, world.size, timeout=timeout))
        _joined = _Joined(store)
    if _joined.notes is not None:
        return world
    # A store outlives a group, so every group has keys of its own; else a second one would find the first one's.
    mine = _torch_distributed.PrefixStore(f"seedbed/{_joined.joins}", _joined.store)
    if not torch.distributed.is_initialized():
        backend, bound = _backend(device, world)
        print_error = sys.excepthook
        _torch_distributed.init_process_group(
            backend, store=mine, rank=world.rank, world_size=world.size, timeout=timeout, device_id=bound
        )
        _joined.made = True
        if _joined.joins:  # torch puts the rank before what is printed, once more each time
            sys.excepthook = print_error
    _joined.notes, _joined.handovers = _torch_distributed.PrefixStore("notes", mine), 0
    _joined.joins += 1
    return world


def _backend(device: torch.device, world: World) -> tuple[str, torch.device | None]:
    """What carries the exchanges, and the GPU that this process is bound to."""
    if device.type != "cuda":
        return "gloo", None
    if world.local_rank >= torch.cuda.device_count():
        what = f"process {world.local_rank} of this machine has no GPU: torch sees {torch.cuda.device_count()}"
        raise SeedbedError("runtime.device", what, "Start at most one process per GPU (--nproc-per-node).")
    torch.cuda.set_device(world.local_rank)
    return "nccl", torch.device("cuda", world.local_rank)


def leave() -> None:
    """Part from the other processes, where `join` met them; what they still exchange with this one fails."""
    if _joined is None or _joined.notes is None:
        return
    for part in _joined.partings:
        part()
    _joined.partings.clear()
    if _joined.made and torch.distributed.is_initialized():
        _torch_distributed.destroy_process_group()
    _joined.notes, _joined.made = None, False


def on_leaving(part: Callable[[], None]) -> None:
    """Have something done just before this process leaves the others."""
    if _joined is not None:
        _joined.partings.append(part)


@contextlib.contextmanager
def together(device: torch.device, timeout: datetime.timedelta = TIMEOUT) -> Generator[World]:
    """Join, and leave at the end if not joined before. An error ends the other processes' exchanges at once, and what
    breaks off because another process ended is said so."""
    before = _joined is not None and _joined.notes is not None
    world = join(device, timeout)
    try:
        yield world
        if world.size > 1 and not before:
            agree(world, True)  # the first process may host the store that others still read from
    except BaseException as error:
        _tell_that_it_ends()
        told = str(error).lower()
        if world.size == 1 or not isinstance(error, RuntimeError) or not any(sign in told for sign in _BROKEN_OFF):
            raise
        raise _lost(world.rank, str(error).splitlines()[0]) from error
    finally:
        if not before:
            leave()


def _tell_that_it_ends() -> None:
    """To those who wait for a note, not for an exchange."""
    if _joined is not None and _joined.notes is not None:
        with contextlib.suppress(RuntimeError):  # the store may be what is lost
            _joined.notes.set(_ENDED, "")


def _lost(rank: int, how: str) -> SeedbedError:
    what = f"process {rank} lost the others ({how})"
    return SeedbedError("train", what, "Another process ended or hangs: see what it says above.")


def first_does(world: World, work: Callable[[], Work]) -> Work | None:
    """The first process works while the others wait, however long it takes; its error is raised on all of them.

    Returns what the work gives on the first process, None on the others.
    """
    if world.size == 1:
        return work()
    notes, key = _next_note()
    if not world.is_first:
        _raise_noted(_wait_for(world, notes, key))
        return None
    try:
        done = work()
    except BaseException as error:
        notes.set(key, json.dumps(_told(error)))
        raise
    notes.set(key, "null")
    return done


def _next_note() -> tuple[Any, str]:
    """The store, and the key of this hand-over: all processes come by the same ones in the same order."""
    if _joined is None or _joined.notes is None:
        raise SeedbedError("train", "this process has not met the others", "Call distributed.join first.")
    _joined.handovers += 1
    return _joined.notes, str(_joined.handovers)


def _wait_for(world: World, notes: Any, key: str) -> str:
    """Looks in now and then: a blocking wait would end at a timeout, and could not be interrupted."""
    pause = 0.0005
    while not notes.check([key]):
        if notes.check([_ENDED]):
            raise _lost(world.rank, "one of them ended with an error")
        time.sleep(pause)
        pause = min(2 * pause, 0.1)
    return cast(bytes, notes.get(key)).decode()


def _told(error: BaseException) -> tuple[bool, str, str, str]:
    """An error, for the others: whether it is one of usage, and what it says."""
    if isinstance(error, SeedbedError):
        return isinstance(error, RecipeError), error.where, error.what, error.mend
    return False, "the first process", f"{type(error).__name__}: {error}", ""


def _raise_noted(text: str) -> None:
    told = cast("tuple[bool, str, str, str] | None", json.loads(text))
    if told is not None:
        raise (RecipeError if told[0] else SeedbedError)(*told[1:])


def agree(world: World, ok: bool) -> bool:
    """Whether all processes say so."""
    if world.size == 1:
        return ok
    device = "cuda" if torch.distributed.get_backend() == "nccl" else "cpu"
    return int(sum_over(world, torch.tensor(int(ok), device=device))) == world.size


def sum_over(world: World, value: Tensor) -> Tensor:
    """The sum of what each process holds, on every process."""
    if world.size == 1:
        return value
    value = value.detach().clone()
    _torch_distributed.all_reduce(value)
    return value
