"""One engine's end of the benchmark: it trains a few steps when it is told to, and says what they took.

The engine asks `fetched()` before each batch it reads. At every boundary that call prints a line of JSON and waits
for the number of further steps on standard input; 0 ends the process. No clock runs while it waits, and all loops are
the engines' own.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Iterator

import numpy as np
import torch

SHAPE = json.loads(sys.argv[1]) if len(sys.argv) > 1 else {}
_out = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # what engines print goes elsewhere


def prepare() -> None:
    """One thread, denormals flushed: for all engines alike."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)


class Gate:
    """Counts steps.

    Args:
        ahead: batches that the engine reads before it trains on the first.
    """

    def __init__(self, ahead: int = 0) -> None:
        self._left, self._more = 1 + ahead, False
        self.extra: dict[str, float] = {}
        self._cpu, self._wall = time.process_time(), time.perf_counter()

    def fetched(self) -> None:
        if self._left == 0:
            self._tell_and_wait()
        self._left -= 1

    def _tell_and_wait(self) -> None:
        cpu, wall = time.process_time() - self._cpu, time.perf_counter() - self._wall
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({"cpu": cpu, "wall": wall, "peak_mb": peak, **self.extra}), file=_out, flush=True)
        self.extra = {}
        steps = int(sys.stdin.readline() or 0)
        if steps == 0:
            os._exit(0)
        self._left = steps
        self._cpu, self._wall = time.process_time(), time.perf_counter()


def batches() -> Iterator[np.ndarray]:
    """(batch, context + 1) token ids without end, the same for all."""
    rng = np.random.default_rng(0)
    while True:
        yield rng.integers(SHAPE["vocab"], size=(SHAPE["batch"], SHAPE["context"] + 1))
