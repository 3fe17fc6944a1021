"""Checkpoints of a run: weights, optimizer and log as they were after a step, safe against a kill at any instant.

A snapshot is a folder `step-00000123`, itself a model folder (`model.checkpoint.load_model` opens it), with
`optimizer.safetensors`, `log.parquet` and `state.json`: integers, and the hash of every other file. It is written
aside, flushed and renamed; a reader takes the newest whose hashes verify. Nothing is pickled.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import torch

from seedbed.core import arrow, parameters
from seedbed.core.artifact import disk_error
from seedbed.core.errors import SeedbedError
from seedbed.core.fingerprint import hash_file
from seedbed.core.nouns import RUN
from seedbed.core.parameters import Json
from seedbed.model.checkpoint import load_model, save_model
from seedbed.model.tensors import read_tensors, write_tensors
from seedbed.model.transformer import Decoder

KEPT = 2
"""Snapshots kept: the newest, and one to fall back on."""

LogRow = tuple[int, int, float, float, float, float]


@dataclasses.dataclass(frozen=True)
class State:
    """Where a run stands.

    Args:
        step, tokens: done so far, over all stages.
        flops: spent so far, a whole number of FLOP.
        cursors: next sequence of each source, by its name.
        seed: of the run.
        plan: hash of the plan.
        batch: hash of the last batch's token ids; tells when the data under a run has changed.
        source: name of the source that batch came from.
    """

    step: int
    tokens: int
    flops: int
    cursors: Mapping[str, int]
    seed: int
    plan: str
    batch: str = ""
    source: str = ""


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """A verified snapshot, read."""

    folder: Path
    state: State
    model: Decoder
    optimizer: dict[str, Any]
    log: list[LogRow]


def log_table(rows: list[LogRow]) -> pa.Table:
    """The log as a table of schema RUN."""
    columns = list(zip(*rows, strict=True)) or [()] * len(RUN.names)
    return arrow.table({name: list(column) for name, column in zip(RUN.names, columns, strict=True)}, RUN)


def write_snapshot(
    root: Path, state: State, model: Decoder, optimizer: torch.optim.Optimizer, log: list[LogRow]
) -> Path:
    """Write `root/step-...`, then let older ones go. Raises SeedbedError where the disk is full."""
    final = root / f"step-{state.step:08d}"
    aside = root / f".{final.name}.{os.getpid()}.tmp"
    try:
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        save_model(aside, model)
        tensors, described = flatten(optimizer.state_dict())
        write_tensors(aside / "optimizer.safetensors", tensors)
        _write_flushed(aside / "optimizer.json", json.dumps(described, sort_keys=True))
        arrow.write_parquet(aside / "log.parquet", log_table(log))
        _flush(aside / "log.parquet")
        hashes = {file.name: hash_file(file) for file in sorted(aside.iterdir())}
        _write_flushed(aside / "state.json", json.dumps({"state": parameters.encode_fields(state), "hashes": hashes}))
        _flush(aside)
        shutil.rmtree(final, ignore_errors=True)
        os.replace(aside, final)
        _flush(root)
    except OSError as error:
        shutil.rmtree(aside, ignore_errors=True)
        raise disk_error(final, error) from error
    for older in snapshots(root)[:-KEPT]:
        shutil.rmtree(older, ignore_errors=True)
    return final


def snapshots(root: Path) -> list[Path]:
    """Snapshot folders, oldest first, verified or not."""
    return sorted(root.glob("step-[0-9]*"))


def newest_snapshot(root: Path) -> Snapshot | None:
    """The newest snapshot that verifies; warns of each that does not, and gives None where there is none."""
    for folder in reversed(snapshots(root)):
        try:
            return read_snapshot(folder)
        except SeedbedError as error:
            warnings.warn(f"{error} Falling back on an older snapshot.", RuntimeWarning, stacklevel=2)
    return None


def read_snapshot(folder: Path) -> Snapshot:
    """Read and verify one snapshot. Raises SeedbedError naming the file that does not verify."""
    try:
        note = cast("dict[str, Json]", json.loads((folder / "state.json").read_text(encoding="utf-8")))
        state = parameters.decode(State, note["state"], "state")
        for name, expected in cast("dict[str, str]", note["hashes"]).items():
            if hash_file(folder / name) != expected:
                raise SeedbedError(str(folder / name), "its bytes are not the ones that were written")
        described = cast("dict[str, Any]", json.loads((folder / "optimizer.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, SeedbedError) and error.where.startswith(str(folder)):
            raise
        raise SeedbedError(str(folder), f"is no whole snapshot ({type(error).__name__}: {error})") from error
    model, _ = load_model(folder)
    optimizer = unflatten(read_tensors(folder / "optimizer.safetensors"), described)
    rows = arrow.read_parquet(folder / "log.parquet")
    log = cast("list[LogRow]", list(zip(*(arrow.numpy(rows, name).tolist() for name in RUN.names), strict=True)))
    return Snapshot(folder, state, model, optimizer, log)


def sweep(root: Path) -> None:
    """Remove what a killed writer left behind."""
    for stale in root.glob(".step-*.tmp"):
        shutil.rmtree(stale, ignore_errors=True)


def flatten(state: Mapping[str, Any]) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """A torch optimizer's state_dict as (named tensors, JSON)."""
    tensors: dict[str, torch.Tensor] = {}
    plain: dict[str, dict[str, Any]] = {}
    for index, entry in cast("dict[int, dict[str, Any]]", state["state"]).items():
        for key, value in entry.items():
            if isinstance(value, torch.Tensor):
                tensors[f"{index}.{key}"] = value
            else:
                plain.setdefault(str(index), {})[key] = value
    return tensors, {"plain": plain, "param_groups": state["param_groups"]}


def unflatten(tensors: Mapping[str, torch.Tensor], described: Mapping[str, Any]) -> dict[str, Any]:
    """The inverse of `flatten`; lists of JSON become the tuples torch had (betas), except the lists of parameters."""
    entries: dict[int, dict[str, Any]] = {}
    for name, tensor in tensors.items():
        index, _, key = name.partition(".")
        entries.setdefault(int(index), {})[key] = tensor
    for index, values in cast("dict[str, dict[str, Any]]", described["plain"]).items():
        entries.setdefault(int(index), {}).update(values)
    groups = cast("list[dict[str, Any]]", described["param_groups"])
    for group in groups:
        for key, value in group.items():
            if isinstance(value, list) and key != "params":
                group[key] = tuple(cast("list[Any]", value))
    return {"state": entries, "param_groups": groups}


def _write_flushed(file: Path, text: str) -> None:
    file.write_text(text)
    _flush(file)


def _flush(path: Path) -> None:
    """Force a file, or the names in a folder, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    with contextlib.ExitStack() as stack:
        stack.callback(os.close, handle)
        os.fsync(handle)
