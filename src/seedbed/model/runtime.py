"""Where and how torch computes: device, threads, denormals, determinism, and the names of what bits depend on.

Bits repeat on the same machine type, thread count and torch build; `Runtime.describe` names all three.
"""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import functools
import platform
from typing import Annotated, Literal

import torch
from annotated_types import Ge

from seedbed.core import parameters
from seedbed.core.errors import SeedbedError
from seedbed.core.parameters import Json
from seedbed.model.tensors import keep_fresh_memory_unfilled


@dataclasses.dataclass(frozen=True)
class Runtime:
    """How to compute.

    Args:
        device: "auto" takes CUDA where there is one.
        threads: CPU threads of one process. One is the default: many small models side by side beat one on many cores.
        loader_workers: threads that make batches ahead of time; 0 makes them in between. Results do not depend on it.
        parallel: how several processes share the work: each a whole model (ddp), or each a shard of it (fsdp).
    """

    device: Literal["auto", "cpu", "cuda"] = "cpu"
    threads: Annotated[int, Ge(1)] = 1
    loader_workers: Annotated[int, Ge(0)] = 0
    parallel: Literal["ddp", "fsdp"] = "ddp"

    def __post_init__(self) -> None:
        """Raises RecipeError on a field outside its bounds."""
        parameters.check(self, "runtime")

    @property
    def torch_device(self) -> torch.device:
        """The device, resolved. Raises SeedbedError where CUDA is asked for and absent."""
        if self.device == "cuda" and not torch.cuda.is_available():
            raise SeedbedError("runtime.device", "torch sees no CUDA device", "Use device=cpu or device=auto.")
        wanted = "cuda" if self.device != "cpu" and torch.cuda.is_available() else "cpu"
        return torch.device(wanted)

    def autocast(self) -> contextlib.AbstractContextManager[object]:
        """bfloat16 products on CUDA; on a CPU everything is float32."""
        if self.torch_device.type == "cuda":
            return torch.autocast("cuda", dtype=torch.bfloat16)
        return contextlib.nullcontext()

    def describe(self) -> dict[str, Json]:
        """What the bits of a result depend on besides recipe and data."""
        device = self.torch_device
        machine = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
        return {
            "device": device.type,
            "machine": machine,
            "cpu_capability": torch.backends.cpu.get_cpu_capability(),
            "threads": self.threads,
            "torch": torch.__version__,
            "precision": "bfloat16 autocast" if device.type == "cuda" else "float32",
        }


def prepare(runtime: Runtime | None = None) -> Runtime:
    """Set up this process for `runtime` and return it.

    Denormals are flushed to zero: on a CPU they slow a small transformer down several times. Deterministic kernels are
    asked for, without filling fresh memory first, which would cost a pass and only helps to find uninitialised reads.
    Freed memory stays with the process where the C library lets itself be told (glibc).
    """
    runtime = runtime or Runtime()
    torch.set_flush_denormal(True)
    if torch.get_num_threads() != runtime.threads:
        torch.set_num_threads(runtime.threads)
    _keep_freed_memory()
    torch.set_deterministic_debug_mode("error")  # the other door to it imports torch's compiler
    keep_fresh_memory_unfilled()
    return runtime


_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # names of glibc's malloc.h, see mallopt(3)


@functools.cache
def _keep_freed_memory() -> None:
    """Logits are tens of megabytes, freed at every step; glibc would hand them back and fault them in page by page."""
    if platform.libc_ver()[0] == "glibc":
        tune = ctypes.CDLL(None).mallopt
        tune(_MMAP_THRESHOLD, 1 << 28)
        tune(_TRIM_THRESHOLD, 1 << 30)
