"""Ray: a real cluster of two nodes gives the bytes that local processes give, also when a worker is killed."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from seedbed import catalogue
from seedbed.core.artifact import Store
from seedbed.core.errors import SeedbedError
from seedbed.curate.run import curate
from seedbed.engine.contract import Engine, Tick
from seedbed.engine.local import LocalEngine
from seedbed.engine.ray import RayEngine
from seedbed.recipes import fineweb_en
from tests.conftest import write_corpus
from tests.curate.test_run import tree
from tests.engine.test_local import refuse, square

pytestmark = pytest.mark.filterwarnings("ignore")
"""Ray starts processes and sockets of its own that it does not always close."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    pytest.importorskip("ray", reason="Ray is an extra: pip install 'seedbed[ray]'")
    from ray.cluster_utils import Cluster

    nodes: Any = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    nodes.add_node(num_cpus=1)
    nodes.wait_for_nodes()
    yield str(nodes.address)
    import ray

    ray.shutdown()
    nodes.shutdown()


def die_once(task: tuple[int, str], tick: Tick) -> int:
    number, marker = task
    if number == 2 and not Path(marker).exists():
        Path(marker).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return square(number, tick)


def meet(folder: Path, tick: Tick) -> int:
    """How many nodes had come when a second one had, or when it is hopeless."""
    import ray

    (folder / ray.get_runtime_context().get_node_id()).touch()
    end = time.monotonic() + 120
    while len(list(folder.iterdir())) < 2 and time.monotonic() < end:
        time.sleep(0.05)
    return len(list(folder.iterdir()))


def test_results_errors_and_a_killed_worker(cluster: str, tmp_path: Path) -> None:
    engine = RayEngine(tmp_path, cluster)
    assert engine.run(square, list(range(8)), label="x", total=8, unit="tasks") == [i * i for i in range(8)]
    (tmp_path / "nodes").mkdir()
    assert engine.run(meet, [tmp_path / "nodes"] * 2, label="x", total=2, unit="tasks") == [2, 2]
    with pytest.raises(SeedbedError, match=r"file\.txt:2: is broken\. Mend it\."):
        engine.run(refuse, [1, 2, 3], label="x", total=3, unit="tasks")
    tasks = [(i, str(tmp_path / "died")) for i in range(4)]
    assert engine.run(die_once, tasks, label="x", total=4, unit="tasks") == [0, 1, 4, 9]
    assert (tmp_path / "died").exists()


DEADLY = '''
"""Size: a filter that kills the process which first asks it, but not the one that runs the test."""
import dataclasses, os, signal
from pathlib import Path
from seedbed.curate.filters.size import Size

@dataclasses.dataclass(frozen=True)
class Deadly(Size):
    marker: str = ""
    spared: int = 0
    def measure(self, documents):
        if os.getpid() != self.spared and not Path(self.marker).exists():
            Path(self.marker).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().measure(documents)
'''


def test_a_curation_has_the_same_bytes_here_and_there(cluster: str, tmp_path: Path) -> None:
    write_corpus(tmp_path / "in")

    def run(name: str, engine: Engine) -> dict[str, bytes]:
        store = Store(tmp_path / name)
        curate(plan, [tmp_path / "in"], store, engine)
        return tree(tmp_path / name)

    plan = dataclasses.replace(fineweb_en.curation(), shard_bytes=5_000)
    with contextlib.closing(LocalEngine(1)) as local:
        expected = run("local", local)
    assert run("ray", RayEngine(tmp_path, cluster)) == expected
    assert len([name for name in expected if "part-" in name and "documents-kept" in name]) > 2


def test_a_worker_killed_in_the_middle_of_a_curation_is_survived(cluster: str, tmp_path: Path) -> None:
    write_corpus(tmp_path / "in")
    (tmp_path / "deadly.py").write_text(DEADLY)
    marker = tmp_path / "died"
    path = f"{tmp_path / 'deadly.py'}:Deadly"
    deadly = catalogue.load(path).from_parameters({"marker": str(marker), "spared": os.getpid()}, "test")
    plan = dataclasses.replace(fineweb_en.curation(), steps=(deadly,), survivors=(), shard_bytes=5_000)
    ledger = curate(plan, [tmp_path / "in"], Store(tmp_path / "out"), RayEngine(tmp_path, cluster)).ledger
    assert marker.exists()
    assert ledger["read"] == 36


def test_a_node_that_does_not_see_the_folder_is_named(
    cluster: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # /proc/self/cwd is another folder for the workers, started elsewhere
    with pytest.raises(SeedbedError, match=r"does not see it.*all nodes share"):
        RayEngine(Path("/proc/self/cwd"), cluster).run(square, [1], label="x", total=1, unit="tasks")
