"""Where the compiled loops hold, and how several threads share one."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, cast

import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import is_in_torch_dispatch_mode

from seedbed.model.kernels.tiles import Floats

_PLAIN = (Tensor, nn.Parameter)


def suits(*tensors: Tensor) -> bool:
    """Whether all of them are plain float32 tensors of a CPU.

    Autocast, torch.compile, and what watches torch's operations (a counter of FLOP, say) are given torch's own.
    """
    for tensor in tensors:
        if tensor.dtype != torch.float32 or tensor.device.type != "cpu" or type(tensor) not in _PLAIN:
            return False
    watched = torch.compiler.is_compiling() or is_in_torch_dispatch_mode()
    return not watched and not torch.is_autocast_enabled("cpu")


def apply(function: type[torch.autograd.Function], *inputs: object) -> Tensor:
    """Call an autograd function; inputs that are no tensors have no gradient."""
    return cast(Tensor, cast(Any, function).apply(*inputs))


def array(tensor: Tensor) -> npt.NDArray[Any]:
    """The same memory."""
    return cast("npt.NDArray[Any]", cast(Any, tensor.detach()).numpy())


def steps(x_BHTD: Tensor) -> tuple[int, int, int]:
    """Steps in memory from sequence to sequence, head to head, token to token."""
    return x_BHTD.stride(0), x_BHTD.stride(1), x_BHTD.stride(2)


def memory(tensor: Tensor) -> Floats:
    """What lies between the first number of a tensor and its last."""
    span = 1 + sum((size - 1) * step for size, step in zip(tensor.shape, tensor.stride(), strict=True))
    return array(tensor.as_strided((span,), (1,)))


def share(total: int, work: Callable[[int, int, int], None]) -> int:
    """work(first, last, part) over [0, total), in as many parts as torch has threads; the number of parts.

    Parts write to places of their own, so the result depends on their number only where sums over them are taken.
    """
    parts = max(1, min(torch.get_num_threads(), total))
    if parts == 1:
        work(0, total, 0)
    else:
        bounds = [total * part // parts for part in range(parts + 1)]
        list(_pool(os.getpid(), parts).map(work, bounds[:-1], bounds[1:], range(parts)))
    return parts


@cache
def _pool(process: int, threads: int) -> ThreadPoolExecutor:  # noqa: ARG001 - a child process needs its own
    return ThreadPoolExecutor(threads, "seedbed-kernel", lambda: torch.set_flush_denormal(True))
