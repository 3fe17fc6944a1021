"""The typed door to torch and safetensors: what is untyped there is reached through here, and through nothing else."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import safetensors
import safetensors.torch
import torch
from torch import Tensor

from seedbed.core.errors import SeedbedError

_torch: Any = torch
_files: Any = safetensors.torch


def from_numpy(array: npt.NDArray[np.generic]) -> Tensor:
    """A tensor over the same memory."""
    return cast(Tensor, _torch.from_numpy(array))


def split(tensor: Tensor, sizes: tuple[int, int], axis: int) -> tuple[Tensor, Tensor]:
    """Two views of a tensor along an axis."""
    return cast("tuple[Tensor, Tensor]", _torch.split(tensor, sizes, axis))


def apply(function: type[torch.autograd.Function], *inputs: Tensor) -> Tensor:
    """Call an autograd function."""
    return cast(Tensor, cast(Any, function).apply(*inputs))


def keep_fresh_memory_unfilled() -> None:
    """Deterministic mode fills every fresh tensor unless told otherwise, which costs a pass and finds bugs only."""
    _torch.utils.deterministic.fill_uninitialized_memory = False


def write_tensors(file: Path, tensors: Mapping[str, Tensor], about: Mapping[str, str] | None = None) -> None:
    """A safetensors file, with `about` in its header: aside, flushed, renamed. Its bytes depend on these alone."""
    aside = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    try:
        whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        _files.save_file(whole, aside, about)
    except safetensors.SafetensorError as error:  # the library wraps a full disk in its own type
        aside.unlink(missing_ok=True)
        mend = "Free space or check the folder's rights, and run the same command again."
        raise SeedbedError(str(file), f"could not be written ({error})", mend) from error
    with aside.open("rb") as handle:
        os.fsync(handle.fileno())
    os.replace(aside, file)


def read_tensors(file: Path) -> dict[str, Tensor]:
    """Name -> tensor. Raises SeedbedError where the file is missing or broken."""
    try:
        return cast("dict[str, Tensor]", _files.load_file(file))
    except FileNotFoundError as error:
        raise SeedbedError(str(file), "there is no such file") from error
    except (safetensors.SafetensorError, OSError) as error:
        raise SeedbedError(str(file), f"is no readable safetensors file ({error})") from error
