"""Ray: the engine for a cluster. The same tasks, wherever Ray puts them; the same bytes.

The output folder must be one that every node sees (a network file system): tasks write their shards there. A worker
that dies is replaced and its task asked again; what the task had finished is kept by its receipts.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

from seedbed.core import optional
from seedbed.core.errors import SeedbedError
from seedbed.engine.contract import Engine, Result, Task, Tick
from seedbed.engine.progress import Bar

RETRIES = 5
"""How often a task is asked again after the worker or the node it ran on has died."""

_PASSED_ON = ("NUMBA_CACHE_DIR", "OMP_NUM_THREADS", "PYTHONPATH")


class RayEngine(Engine):
    """Runs tasks on a Ray cluster, as many at once as it has cores.

    Args:
        folder: the output folder; every node must see it.
        address: of a running cluster ("auto" finds the one this machine belongs to); empty starts one here.
        workers: cores of a cluster started here, ignored for a running one.
    """

    def __init__(self, folder: Path, address: str = "", workers: int = 1) -> None:
        self.folder, self.address, self.workers = folder, address, workers
        self._ray: Any = None
        self._started_here = False

    def spread(self, function: Callable[[Task, Tick], Result], tasks: Sequence[Task], bar: Bar) -> list[Result]:
        """Raises SeedbedError when a task's workers keep dying; other errors come as they are."""
        ray = self._connected()
        ask = ray.remote(num_cpus=1, max_retries=RETRIES)(_work)
        waiting = {ask.remote(function, task): i for i, task in enumerate(tasks)}
        results: dict[int, Result] = {}
        try:
            while waiting:
                done, _ = ray.wait(list(waiting), num_returns=1)
                result, amount = ray.get(done[0])
                results[waiting.pop(done[0])] = result
                bar.add(amount)
        except ray.exceptions.RayTaskError as error:
            raise cast(BaseException, error.cause) from error
        except ray.exceptions.RayError as error:
            mend = "See Ray's log for why; the same command goes on where this one was."
            raise SeedbedError(bar.label, f"its workers died {RETRIES + 1} times ({error})", mend) from error
        return [results[i] for i in range(len(tasks))]

    def _connected(self) -> Any:
        if self._ray is None:
            ray = optional.load("ray", "ray", "engine ray")
            if not ray.is_initialized():
                self._started_here = True
                passed_on = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
                where = {"address": self.address} if self.address else {"num_cpus": self.workers}
                ray.init(**where, runtime_env={"env_vars": passed_on}, log_to_driver=False, logging_level="warning")
            self._check_shared(ray)
            self._ray = ray
        return self._ray

    def _check_shared(self, ray: Any) -> None:
        """Every node must see the output folder: asked with a file that only this run has."""
        token = self.folder / f".shared-{secrets.token_hex(8)}"
        token.touch()
        try:
            sees = ray.remote(num_cpus=0)(os.path.exists)
            for node in ray.nodes():
                if not node["Alive"]:
                    continue
                here = sees.options(label_selector={"ray.io/node-id": node["NodeID"]})
                if not ray.get(here.remote(str(token.absolute()))):
                    mend = "Name a folder on a file system that all nodes share."
                    raise SeedbedError(str(self.folder), f"node {node['NodeManagerHostname']} does not see it", mend)
        finally:
            token.unlink()

    def close(self) -> None:
        """Leave the cluster; one that was started here ends."""
        if self._ray is not None and self._started_here:
            self._ray.shutdown()
        self._ray = None


def _work(function: Callable[[Task, Tick], Result], task: Task) -> tuple[Result, float]:
    """(result, how much was done): ticks are added up and told when the task is done."""
    done = 0.0

    def tick(amount: float) -> None:
        nonlocal done
        done += amount

    return function(task, tick), done
