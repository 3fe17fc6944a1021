"""What this machine can do at best: the speed of a large product of matrices, which utilisation is measured against."""

from __future__ import annotations

import time

import torch

from seedbed.model.kernels.products import product
from seedbed.model.runtime import Runtime, prepare

_SIZES = {"cpu": 768, "cuda": 4096}


def matmul_peak(runtime: Runtime | None = None, seconds: float = 0.2) -> float:
    """FLOP/s of the fastest product seen in about `seconds`, on the device, threads and precision of `runtime`."""
    runtime = prepare(runtime)
    device = runtime.torch_device
    n = _SIZES[device.type]
    with torch.inference_mode(), runtime.autocast():
        left, right = (torch.ones(n, n, device=device) for _ in range(2))
        best, ends = float("inf"), time.perf_counter() + seconds
        while time.perf_counter() < ends or best == float("inf"):
            _wait(device)
            begun = time.perf_counter()
            product(left, right)
            _wait(device)
            best = min(best, time.perf_counter() - begun)
    return 2.0 * n**3 / best


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
