"""Checkpoints: what was saved comes back, whoever writes it; a kill, a full disk or a flipped bit costs one at most."""

import contextlib
import dataclasses
import errno
import json
import math
import os
import signal
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import pytest
import torch

from seedbed.core.artifact import disk_error
from seedbed.core.errors import RecipeError, SeedbedError
from seedbed.core.nouns import RUN
from seedbed.model.checkpoint import load_model
from seedbed.model.shape import ModelShape
from seedbed.model.transformer import initial_model
from seedbed.train import snapshot
from seedbed.train.snapshot import Snapshots, State, flatten, newest_snapshot, read_snapshot, snapshots, unflatten

SHAPE = ModelShape(16, d_model=16, n_layers=1, n_heads=2, context=8)
FILES = ["model.safetensors", "config.json", "optimizer.safetensors", "optimizer.json", "log.parquet", "state.json"]


class Momentum:
    """An optimizer by hand, its state laid out as torch's; making one of torch's takes seconds in a fresh process."""

    def __init__(self, parameters) -> None:
        self.parameters = list(parameters)
        self.group = {"lr": 1e-2, "betas": (0.8, 0.9), "maximize": False, "params": list(range(len(self.parameters)))}
        moments = [torch.zeros_like(parameter) for parameter in self.parameters]
        self.state = {i: {"step": torch.tensor(0.0), "exp_avg": moment} for i, moment in enumerate(moments)}

    def step(self) -> None:
        with torch.no_grad():
            for parameter, entry in zip(self.parameters, self.state.values(), strict=True):
                entry["step"] += 1
                entry["exp_avg"].lerp_(parameter.grad, 0.2)
                parameter.sub_(entry["exp_avg"], alpha=self.group["lr"])
                parameter.grad = None

    def state_dict(self):
        return {"state": self.state, "param_groups": [self.group]}


class Run:
    """A model that is trained in place, and all that is saved of it."""

    def __init__(self, seed: int = 0) -> None:
        self.model = initial_model(SHAPE, seed)
        self.optimizer = Momentum(self.model.parameters())
        self.log, self.step = [], 0

    def train(self) -> None:
        self.step += 1
        ids_BT = (torch.arange(16).reshape(2, 8) * self.step) % 16
        self.model(ids_BT).square().mean().backward()
        self.optimizer.group["lr"] = 1e-2 / self.step
        self.optimizer.step()
        loss = math.nan if self.step == 2 else 1 / self.step
        self.log.append((self.step, 16 * self.step, 1e9 * self.step, 1e-2 / self.step, loss, 0.5, self.step == 2))

    @property
    def state(self) -> State:
        cursors, owed = {"a": 16 * self.step, "b": 1 << 50}, {"a": -(1 << 40), "b": 1 << 40}
        recent = tuple(1 / k for k in range(3, 3 + self.step))
        counters = {"owed": owed, "recent": recent, "skipped": 2, "batch": "ab", "row": ("a", 7)}
        return State(self.step, 16 * self.step, 10**18 + self.step, cursors, seed=3, plan="p", **counters)

    def save(self, writer: Snapshots) -> Path:
        return writer.save(self.state, SHAPE, self.model.state_dict(), self.optimizer.state_dict(), self.log)


def saved(root: Path, steps: int, **about) -> Run:
    """A run with a snapshot of each of its steps."""
    run, writer = Run(), Snapshots(root, **about)
    for _ in range(steps):
        run.train()
        run.save(writer)
    writer.close()
    return run


def save_and_wait(run: Run, writer: Snapshots) -> None:
    run.save(writer)
    writer.wait()


def content(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def left(root: Path) -> list[str]:
    return sorted(file.name for file in root.iterdir())


def test_what_was_saved_is_read_again(tmp_path):
    run = saved(tmp_path, 3)
    found = newest_snapshot(tmp_path)
    assert found.folder == tmp_path / "step-00000003"
    assert sorted(content(found.folder)) == sorted(FILES)
    assert found.state == run.state
    assert repr(found.log) == repr(run.log)  # a loss that is no number among them
    assert all(torch.equal(a, b) for a, b in zip(found.model.parameters(), run.model.parameters(), strict=True))
    same_optimizer(found.optimizer, run.optimizer.state_dict())
    assert snapshot.log_table(found.log).schema.equals(RUN)
    assert load_model(found.folder)[0].shape == SHAPE


def same_optimizer(mine, theirs) -> None:
    assert mine["param_groups"] == theirs["param_groups"]
    assert mine["state"].keys() == theirs["state"].keys()
    for index, entry in theirs["state"].items():
        assert mine["state"][index].keys() == entry.keys()
        assert all(torch.equal(mine["state"][index][key], value) for key, value in entry.items())


@pytest.mark.parametrize("kind", [torch.optim.AdamW, torch.optim.Muon])
def test_an_optimizer_of_torch_goes_on_as_if_nothing_had_been(tmp_path, kind):
    def step(parameters, optimizer) -> None:
        for parameter in parameters:
            parameter.grad = parameter.detach().sin()
        optimizer.step()

    run = Run()
    weights = [run.model.state_dict()[name] for name in sorted(run.model.state_dict())]
    mine = [torch.nn.Parameter(weight.clone()) for weight in weights if weight.ndim == 2]
    optimizer = kind(mine, lr=1e-2)
    step(mine, optimizer)
    Snapshots(tmp_path, background=False).save(
        run.state, SHAPE, run.model.state_dict(), optimizer.state_dict(), run.log
    )
    theirs = [torch.nn.Parameter(parameter.detach().clone()) for parameter in mine]
    again = kind(theirs, lr=7.0)
    again.load_state_dict(newest_snapshot(tmp_path).optimizer)
    same_optimizer(again.state_dict(), optimizer.state_dict())
    step(mine, optimizer)
    step(theirs, again)
    assert all(torch.equal(a, b) for a, b in zip(mine, theirs, strict=True))


def test_the_bytes_do_not_depend_on_who_writes(tmp_path):
    for background in (True, False):
        saved(tmp_path / str(background), 3, keep_last=3, background=background)
    for step in (1, 2, 3):
        name = f"step-{step:08d}"
        assert content(tmp_path / "True" / name) == content(tmp_path / "False" / name)


class Gate:
    """Holds the writer before its first file until it is opened."""

    def __init__(self, monkeypatch) -> None:
        self.reached, self.opened = threading.Event(), threading.Event()
        original = snapshot.save_weights

        def held(*given) -> None:
            self.reached.set()
            assert self.opened.wait(20)
            original(*given)

        monkeypatch.setattr(snapshot, "save_weights", held)


def test_training_goes_on_in_place_while_a_snapshot_is_written(tmp_path, monkeypatch):
    saved(tmp_path / "expected", 1, background=False)
    run, gate, writer = Run(), Gate(monkeypatch), Snapshots(tmp_path / "got")
    run.train()
    folder = run.save(writer)
    assert gate.reached.wait(20)
    for _ in range(3):  # weights, moments, learning rate and log all change while nothing is written yet
        run.train()
    assert not folder.exists()
    gate.opened.set()
    writer.close()
    assert content(folder) == content(tmp_path / "expected" / "step-00000001")


def test_one_snapshot_is_in_memory_and_the_next_waits_for_it(tmp_path, monkeypatch):
    gate, writer, run = Gate(monkeypatch), Snapshots(tmp_path), Run()
    copies: list[int] = []
    copied = snapshot._copied
    monkeypatch.setattr(snapshot, "_copied", lambda tensors: (copies.append(1), copied(tensors))[1])
    run.train()
    run.save(writer)
    assert gate.reached.wait(20)
    assert len(copies) == 2
    run.train()
    second = threading.Thread(target=run.save, args=(writer,))
    second.start()
    second.join(0.1)
    assert second.is_alive()
    assert len(copies) == 2
    gate.opened.set()
    second.join(20)
    writer.wait()
    assert len(copies) == 4
    assert [folder.name for folder in snapshots(tmp_path)] == ["step-00000001", "step-00000002"]
    writer.close()


def test_a_view_of_a_large_tensor_is_copied_alone():
    large = torch.arange(10_000.0)
    copy = snapshot._copied({"w": large.view(100, 100)[:2].t()})["w"]
    assert copy.untyped_storage().nbytes() == 200 * 4
    assert copy.is_contiguous()
    assert torch.equal(copy, large.view(100, 100)[:2].t())


def full(*_, **__) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def full_in_words(*_, **__) -> None:
    """As `save_weights` says it, of a file nobody knows."""
    try:
        full()
    except OSError as error:
        raise disk_error(Path("aside/model.safetensors"), error) from error


def half(original, match: str):
    """Writes, and finds the disk full at the file that is named so."""

    def harmful(file: Path, *given) -> None:
        original(file, *given)
        if match in Path(file).name:
            with contextlib.suppress(OSError):
                os.truncate(file, 10)
            full()

    return harmful


@pytest.mark.parametrize("background", [True, False])
@pytest.mark.parametrize(
    ("function", "match"),
    [
        ("write_tensors", "optimizer"),
        ("save_weights", ""),
        ("save_weights", "in words"),
        ("_write_flushed", "optimizer.json"),
        ("_write_flushed", "state.json"),
        ("_flush", "log.parquet"),
        ("_flush", ".tmp"),
        ("log_table", ""),
    ],
)
def test_a_full_disk_leaves_what_was_there_and_says_so(tmp_path, monkeypatch, background, function, match):
    run, writer = Run(), Snapshots(tmp_path, background=background)
    run.train()
    save_and_wait(run, writer)
    before = content(tmp_path / "step-00000001")
    with monkeypatch.context() as patch:
        harm = full if function == "log_table" else half(getattr(snapshot, function), match)
        harm = full_in_words if match == "in words" else harm
        patch.setattr(snapshot, function, harm)
        run.train()
        with pytest.raises(SeedbedError, match="step-00000002: the disk is full") as caught:
            save_and_wait(run, writer)
    assert "Free space" in caught.value.mend
    assert left(tmp_path) == ["step-00000001"]
    assert content(tmp_path / "step-00000001") == before
    run.save(writer)  # there is room again
    writer.close()
    assert newest_snapshot(tmp_path).state == run.state


def test_an_error_of_the_writer_comes_once_with_the_next_save_or_as_a_warning(tmp_path, monkeypatch):
    run, writer = Run(), Snapshots(tmp_path)
    run.train()
    with monkeypatch.context() as patch:
        patch.setattr(snapshot, "save_weights", full)
        run.save(writer)
        with pytest.raises(SeedbedError, match="disk is full"):
            run.save(writer)
        writer.wait()
        run.save(writer)
        with pytest.warns(RuntimeWarning, match="disk is full"):
            writer.close()
    assert not list(tmp_path.iterdir())


REAL = """
import resource, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from seedbed.core.errors import SeedbedError
from seedbed.train.snapshot import Snapshots
from tests.train.test_snapshot import Run

run, writer = Run(), Snapshots(Path(sys.argv[1]))
run.train()
run.save(writer)
writer.wait()
whole = resource.getrlimit(resource.RLIMIT_FSIZE)
for limit in (9000, 3000, 700):
    run.train()
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, whole[1]))
    try:
        run.save(writer)
        writer.wait()
    except SeedbedError as error:
        print(error)
    resource.setrlimit(resource.RLIMIT_FSIZE, whole)
    print(sorted(file.name for file in Path(sys.argv[1]).iterdir()))
run.save(writer)
writer.close()
"""


def child(code: str, root: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code, str(root), str(Path(__file__).parents[2])]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=100)


def test_files_that_may_not_grow_are_a_full_disk(tmp_path):
    """No monkeypatch: the kernel refuses the bytes."""
    run = saved(tmp_path / "expected", 1)
    sizes = [len(data) for data in content(tmp_path / "expected" / "step-00000001").values()]
    assert max(sizes) > 9000 > 3000 > min(sizes)
    done = child(REAL, tmp_path / "real")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 6
    for step, said, there in zip((2, 3, 4), lines[::2], lines[1::2], strict=True):
        assert f"step-0000000{step}: the disk is full. Free space" in said
        assert there == "['step-00000001']"
    for _ in range(3):
        run.train()
    assert newest_snapshot(tmp_path / "real").state == run.state


KILLED = """
import os, signal, sys, threading
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from seedbed.train import snapshot
from tests.train.test_snapshot import Run

run, writer = Run(), snapshot.Snapshots(Path(sys.argv[1]))
run.train()
run.save(writer)
writer.wait()
original, reached = snapshot.write_tensors, threading.Event()

def slow(file, tensors):
    original(file, dict(list(tensors.items())[:2]))
    reached.set()
    threading.Event().wait()

snapshot.write_tensors = slow
run.train()
run.save(writer)
reached.wait()
run.train()
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_killed_in_the_middle_of_a_background_write(tmp_path):
    done = child(KILLED, tmp_path)
    assert done.returncode == -signal.SIGKILL, done.stderr
    half, whole = left(tmp_path)
    assert whole == "step-00000001"
    assert (tmp_path / half / "optimizer.safetensors").exists()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert newest_snapshot(tmp_path).state.step == 1
    snapshot.sweep(tmp_path)
    assert left(tmp_path) == ["step-00000001"]


@pytest.mark.parametrize(
    ("keep_last", "keep_every", "kept"),
    [(1, 0, [7]), (2, 0, [6, 7]), (3, 2, [2, 4, 5, 6, 7]), (1, 3, [3, 6, 7]), (9, 0, [1, 2, 3, 4, 5, 6, 7])],
)
def test_the_last_ones_and_every_so_many_steps_are_kept(tmp_path, keep_last, keep_every, kept):
    (tmp_path / "step-by-hand").mkdir()
    run = saved(tmp_path, 7, keep_last=keep_last, keep_every=keep_every)
    assert [int(folder.name[5:]) for folder in snapshots(tmp_path)] == kept
    assert left(tmp_path) == [*(f"step-{step:08d}" for step in kept), "step-by-hand"]
    assert newest_snapshot(tmp_path).state == run.state


def test_nothing_is_kept_is_an_error(tmp_path):
    with pytest.raises(RecipeError, match="keep_last"):
        Snapshots(tmp_path, keep_last=0)


def harm(file: Path, how: str) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.unlink() if how == "remove" else file.write_bytes(data if how == "flip" else data[:-3])


def test_a_corrupt_snapshot_does_not_push_a_sound_one_out(tmp_path):
    """A run that fell back from step 4 to 2 and saves step 3: by its name, 4 is the newest, and nobody can read it."""
    saved(tmp_path, 4, keep_last=3)
    harm(tmp_path / "step-00000004" / "model.safetensors", "flip")
    harm(tmp_path / "step-00000003" / "model.safetensors", "flip")
    run, writer = Run(), Snapshots(tmp_path, keep_last=1)
    for _ in range(3):
        run.train()
    run.save(writer)
    writer.close()
    assert left(tmp_path) == ["step-00000003"]
    assert newest_snapshot(tmp_path).state == run.state


def test_corrupt_ones_do_not_count_among_the_last(tmp_path):
    saved(tmp_path, 3, keep_last=3)
    harm(tmp_path / "step-00000003" / "optimizer.json", "cut")
    run, writer = Run(), Snapshots(tmp_path, keep_last=2)
    for _ in range(4):
        run.train()
    run.save(writer)
    writer.close()
    assert left(tmp_path) == ["step-00000002", "step-00000004"]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("how", ["flip", "cut", "remove"])
def test_a_corrupt_newest_falls_back_with_a_warning_that_names_it(tmp_path, name, how):
    saved(tmp_path, 3)
    harm(tmp_path / "step-00000003" / name, how)
    with pytest.warns(RuntimeWarning, match="Falling back") as caught:
        found = newest_snapshot(tmp_path)
    assert found.state.step == 2
    assert "step-00000003" in str(caught[0].message)
    if how != "remove" and name != "state.json":
        assert f"step-00000003/{name}" in str(caught[0].message)
    assert newest_snapshot(tmp_path, "step-00000002").state.step == 2
    assert newest_snapshot(tmp_path, "step-00000009") is None
    with pytest.raises(SeedbedError, match="step-00000003"):
        newest_snapshot(tmp_path, "step-00000003")


def test_no_flipped_bit_of_the_counters_goes_unseen(tmp_path):
    """A digit that becomes another digit is sound JSON."""
    run = saved(tmp_path, 1)
    folder = tmp_path / "step-00000001"
    file, seen = folder / "state.json", 0
    original = file.read_bytes()
    assert json.loads(original)["state"]["step"] == 1
    for place in range(len(original)):
        data = bytearray(original)
        data[place] ^= 1
        file.write_bytes(data)
        try:
            assert snapshot._verified(folder)[0] == run.state
        except SeedbedError:
            seen += 1
    assert seen > 0.95 * len(original)  # the others are spaces between


def test_a_step_that_is_saved_again_replaces_a_corrupt_one(tmp_path):
    saved(tmp_path / "a", 2)
    expected = content(tmp_path / "a" / "step-00000002")
    harm(tmp_path / "a" / "step-00000002" / "config.json", "cut")
    saved(tmp_path / "a", 2)
    assert content(tmp_path / "a" / "step-00000002") == expected
    assert left(tmp_path / "a") == ["step-00000001", "step-00000002"]


def test_an_optimizer_may_know_its_parameters_by_name():
    run = Run()
    run.train()
    names = [name for name, _ in run.model.named_parameters()]
    state = run.optimizer.state_dict()
    named = {
        "state": {names[index]: {**entry, "calls": 3} for index, entry in state["state"].items()},
        "param_groups": [{**group, "params": names} for group in state["param_groups"]],
    }
    tensors, described = flatten(named)
    again = unflatten(tensors, json.loads(json.dumps(described)))
    assert again["param_groups"] == named["param_groups"]
    assert again["state"].keys() == named["state"].keys()
    for name, entry in named["state"].items():
        assert all(again["state"][name][key] is value for key, value in entry.items())


def test_an_old_counter_file_is_no_snapshot_of_this_version(tmp_path):
    saved(tmp_path, 1)
    folder = tmp_path / "step-00000001"
    note = json.loads((folder / "state.json").read_text())
    del note["hash"]
    (folder / "state.json").write_text(json.dumps(note))
    with pytest.raises(SeedbedError, match="no whole snapshot"):
        read_snapshot(folder)


def test_the_state_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Run().state.step = 1  # type: ignore[misc]
