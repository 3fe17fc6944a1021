"""Checkpoints of a run: weights, optimizer and log as they were after a step, safe against a kill at any instant.

A snapshot is a folder `step-00000123`, itself a model folder (`model.checkpoint.load_model` opens it), with
`optimizer.safetensors`, `optimizer.json`, `log.parquet` and `state.json`: counters, the hash of every other file, and a
hash of itself. It is written aside, flushed and renamed; a reader takes the newest whose hashes verify. Nothing is
pickled. Where it is written in the background, all tensors are copied first, so training goes on at once; the bytes are
the same either way.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
import shutil
import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import torch

from seedbed.core import arrow, parameters
from seedbed.core.artifact import disk_error
from seedbed.core.errors import RecipeError, SeedbedError
from seedbed.core.fingerprint import fingerprint, hash_file
from seedbed.core.nouns import RUN
from seedbed.core.parameters import Json
from seedbed.model.checkpoint import load_model, save_weights
from seedbed.model.shape import ModelShape
from seedbed.model.tensors import read_tensors, write_tensors
from seedbed.model.transformer import Decoder

_NAME = re.compile(r"step-[0-9]{8,}")

LogRow = tuple[int, int, float, float, float, float, bool]
"""step, tokens, flops, learning rate, loss, norm of the gradient, whether the step was skipped: a row of RUN."""


@dataclasses.dataclass(frozen=True)
class State:
    """Where a run stands.

    Args:
        step, tokens: done so far, since the plan's schedule began: over all calls, and stages under one schedule.
        flops: spent so far, a whole number of FLOP; all weights count, those that are pruned too.
        cursors: source -> tokens read of it, over epochs.
        seed: of the run.
        plan: hash of the plan.
        owed: source -> what the mixture owes it, in the mixture's whole units.
        recent: losses of the last good steps, where a rule compares with them.
        skipped: bad steps one after another, up to now.
        batch: hash that tells when the data under a run has changed.
        row: (source, index) of the sequence which that hash is of.
        annealed: whether a step was taken while the rate was coming down for good: no stage should begin from here.
        read_before: source -> what its cursor was when this stage was entered.
        idle: weights that were pruned away, summed over the tokens.
    """

    step: int
    tokens: int
    flops: int
    cursors: Mapping[str, int]
    seed: int
    plan: str
    owed: Mapping[str, int] = dataclasses.field(default_factory=dict[str, int])
    recent: tuple[float, ...] = ()
    skipped: int = 0
    batch: str = ""
    row: tuple[str, int] | None = None
    annealed: bool = False
    read_before: Mapping[str, int] = dataclasses.field(default_factory=dict[str, int])
    idle: int = 0

    @property
    def read(self) -> dict[str, int]:
        """Source -> tokens read of it in this run."""
        return {name: cursor - self.read_before.get(name, 0) for name, cursor in self.cursors.items()}


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """A verified snapshot, read."""

    folder: Path
    state: State
    model: Decoder
    optimizer: dict[str, Any]
    log: list[LogRow]


@dataclasses.dataclass(frozen=True)
class _Content:
    """All that a snapshot holds, belonging to nobody else."""

    state: State
    shape: ModelShape
    weights: Mapping[str, torch.Tensor]
    optimizer: Mapping[str, torch.Tensor]
    described: str
    log: Sequence[LogRow]


class Snapshots:
    """The snapshots of one run, as they are written.

    Args:
        root: folder they lie in.
        keep_last: the newest that stay; only those count that verify.
        keep_every: a snapshot whose step is a multiple of this stays, for good; 0 keeps none.
        background: `save` copies the tensors and returns, and another thread writes.

    At most one snapshot is in memory: `save` waits for the one before. An error of the thread is raised by the next
    `save` or `wait`.
    """

    def __init__(self, root: Path, keep_last: int = 2, keep_every: int = 0, background: bool = True) -> None:
        if keep_last < 1:
            raise RecipeError("keep_last", f"{keep_last} keeps nothing to go on from", "Keep at least one.")
        self.root, self.keep_last, self.keep_every, self.background = root, keep_last, keep_every, background
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="snapshot")
        self._pending: Future[None] | None = None
        self._sound: dict[Path, bool] = {}

    def save(
        self,
        state: State,
        shape: ModelShape,
        weights: Mapping[str, torch.Tensor],
        optimizer: Mapping[str, Any],
        log: Sequence[LogRow],
    ) -> Path:
        """Write `root/step-...`, then let older ones go. Returns its folder, which is there after `wait`.

        `weights` are a model's whole state_dict, `optimizer` a torch optimizer's. Raises SeedbedError where the disk is
        full; the snapshots before are then as they were.
        """
        self.wait()
        tensors, described = flatten(optimizer)
        if self.background:
            weights, tensors = _copied(weights), _copied(tensors)
        text = json.dumps(described, sort_keys=True)
        content = _Content(state, shape, weights, tensors, text, list(log) if self.background else log)
        folder = self.root / f"step-{state.step:08d}"
        if self.background:
            self._pending = self._writer.submit(self._write, folder, content)
        else:
            self._write(folder, content)
        return folder

    def wait(self) -> None:
        """Return when all that was saved is on disk. Raises the error of writing it."""
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()

    def close(self) -> None:
        """Wait, and end the thread. An error that nobody waited for is a warning: most often another is on its way."""
        try:
            self.wait()
        except SeedbedError as error:
            warnings.warn(str(error), RuntimeWarning, stacklevel=2)
        finally:
            self._writer.shutdown()

    def _write(self, folder: Path, content: _Content) -> None:
        aside = _aside(folder)
        try:
            shutil.rmtree(aside, ignore_errors=True)
            aside.mkdir(parents=True)
            _fill(aside, content)
            before = _without_name(folder)
            os.replace(aside, folder)
            _flush(self.root)
        except BaseException as error:
            shutil.rmtree(aside, ignore_errors=True)
            cause = _os_error(error)
            if cause is None:
                raise
            raise disk_error(folder, cause) from error
        shutil.rmtree(before, ignore_errors=True)
        self._sound[folder] = True
        self._retain()

    def _retain(self) -> None:
        """Let go of what no rule keeps."""
        kept = 0
        for folder in reversed(snapshots(self.root)):
            for_good = self.keep_every and _step(folder) % self.keep_every == 0
            if kept < self.keep_last and self._is_sound(folder):
                kept += 1
            elif not for_good:
                shutil.rmtree(_without_name(folder), ignore_errors=True)

    def _is_sound(self, folder: Path) -> bool:
        """Whether a snapshot verifies; of those that were there before, each is read once."""
        if folder not in self._sound:
            try:
                _verified(folder)
                self._sound[folder] = True
            except SeedbedError:
                self._sound[folder] = False
        return self._sound[folder]


def log_table(rows: Sequence[LogRow]) -> pa.Table:
    """The log as a table of schema RUN."""
    columns = list(zip(*rows, strict=True)) or [()] * len(RUN.names)
    return arrow.table({name: list(column) for name, column in zip(RUN.names, columns, strict=True)}, RUN)


def snapshots(root: Path) -> list[Path]:
    """Snapshot folders, oldest first, verified or not."""
    return sorted((folder for folder in root.glob("step-*") if _NAME.fullmatch(folder.name)), key=_step)


def _step(folder: Path) -> int:
    return int(folder.name.removeprefix("step-"))


def newest_snapshot(root: Path, name: str = "") -> Snapshot | None:
    """The newest snapshot that verifies; warns of each that does not, and gives None where there is none.

    With the `name` of one, that one or none: it raises SeedbedError where it does not verify.
    """
    if name:
        return read_snapshot(root / name) if (root / name).exists() else None
    for folder in reversed(snapshots(root)):
        try:
            return read_snapshot(folder)
        except SeedbedError as error:
            warnings.warn(f"{error} Falling back on an older snapshot.", RuntimeWarning, stacklevel=2)
    return None


def read_snapshot(folder: Path) -> Snapshot:
    """Read and verify one snapshot. Raises SeedbedError naming the file that does not verify."""
    state, described = _verified(folder)
    model, _ = load_model(folder)
    optimizer = unflatten(read_tensors(folder / "optimizer.safetensors"), described)
    rows = arrow.read_parquet(folder / "log.parquet")
    log = cast("list[LogRow]", list(zip(*(arrow.numpy(rows, name).tolist() for name in RUN.names), strict=True)))
    return Snapshot(folder, state, model, optimizer, log)


def newest_state(root: Path, wanted: Callable[[State], bool]) -> Path | None:
    """The newest snapshot that verifies and whose counters are wanted."""
    for folder in reversed(snapshots(root)):
        with contextlib.suppress(SeedbedError):
            if wanted(_verified(folder)[0]):
                return folder
    return None


def sweep(root: Path) -> None:
    """Remove what a killed writer left behind."""
    for stale in root.glob(".step-*.tmp"):
        shutil.rmtree(stale, ignore_errors=True)


def flatten(state: Mapping[str, Any]) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """A torch optimizer's state_dict, its parameters known by number or by name, as (named tensors, JSON)."""
    tensors: dict[str, torch.Tensor] = {}
    plain: dict[str, dict[str, Any]] = {}
    for index, entry in cast("dict[int | str, dict[str, Any]]", state["state"]).items():
        for key, value in entry.items():
            if isinstance(value, torch.Tensor):
                tensors[f"{index}.{key}"] = value
            else:
                plain.setdefault(str(index), {})[key] = value
    return tensors, {"plain": plain, "param_groups": state["param_groups"]}


def unflatten(tensors: Mapping[str, torch.Tensor], described: Mapping[str, Any]) -> dict[str, Any]:
    """The inverse of `flatten`; lists of JSON become the tuples torch had (betas), except the lists of parameters."""
    entries: dict[int | str, dict[str, Any]] = {}
    for name, tensor in tensors.items():
        index, _, key = name.rpartition(".")
        entries.setdefault(_number(index), {})[key] = tensor
    for index, values in cast("dict[str, dict[str, Any]]", described["plain"]).items():
        entries.setdefault(_number(index), {}).update(values)
    groups = cast("list[dict[str, Any]]", described["param_groups"])
    for group in groups:
        for key, value in group.items():
            if isinstance(value, list) and key != "params":
                group[key] = tuple(cast("list[Any]", value))
    return {"state": entries, "param_groups": groups}


def _number(index: str) -> int | str:
    return int(index) if index.isdecimal() else index


def _copied(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """In memory of their own, whatever they are views of."""
    return {
        name: torch.empty(tensor.shape, dtype=tensor.dtype).copy_(tensor.detach()) for name, tensor in tensors.items()
    }


def _fill(folder: Path, content: _Content) -> None:
    """Write all files of a snapshot, flushed; `state.json` last."""
    save_weights(folder, content.shape, content.weights)
    write_tensors(folder / "optimizer.safetensors", content.optimizer)
    _write_flushed(folder / "optimizer.json", content.described)
    arrow.write_parquet(folder / "log.parquet", log_table(content.log))
    _flush(folder / "log.parquet")
    hashes: dict[str, Json] = {file.name: hash_file(file) for file in sorted(folder.iterdir())}
    note: dict[str, Json] = {"state": parameters.encode_fields(content.state), "hashes": hashes}
    _write_flushed(folder / "state.json", json.dumps({**note, "hash": fingerprint(note)}))
    _flush(folder)


def _verified(folder: Path) -> tuple[State, dict[str, Any]]:
    """The counters and the optimizer's settings, when every hash is right."""
    try:
        note = cast("dict[str, Json]", json.loads((folder / "state.json").read_text(encoding="utf-8")))
        if fingerprint({name: note[name] for name in ("state", "hashes")}) != note["hash"]:
            raise SeedbedError(str(folder / "state.json"), "its bytes are not the ones that were written")
        state = parameters.decode(State, note["state"], "state")
        for name, expected in cast("dict[str, str]", note["hashes"]).items():
            if hash_file(folder / name) != expected:
                raise SeedbedError(str(folder / name), "its bytes are not the ones that were written")
        return state, cast("dict[str, Any]", json.loads((folder / "optimizer.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, SeedbedError) and error.where.startswith(str(folder)):
            raise
        raise SeedbedError(str(folder), f"is no whole snapshot ({type(error).__name__}: {error})") from error


def _aside(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.{os.getpid()}.tmp")


def _without_name(folder: Path) -> Path:
    """Take a snapshot's name away, before it is removed: one that is half removed must not be read."""
    nameless = folder.with_name(f".{folder.name}.{os.getpid()}.old.tmp")
    with contextlib.suppress(OSError):
        os.replace(folder, nameless)
    return nameless


def _os_error(error: BaseException) -> OSError | None:
    """The failed write behind an error; safetensors wraps it in a type of its own, with its number in words."""
    for known in (error, error.__cause__):
        if isinstance(known, OSError):
            return known
    number = re.search(r"os error (\d+)", str(error))
    return OSError(int(number[1]), os.strerror(int(number[1]))) if number else None


def _write_flushed(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8")
    _flush(file)


def _flush(path: Path) -> None:
    """Force a file, or the names in a folder, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    with contextlib.ExitStack() as stack:
        stack.callback(os.close, handle)
        os.fsync(handle)
