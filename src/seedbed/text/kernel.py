"""The one door to the compiler: `@kernel` turns a typed Python loop over arrays into machine code, cached on disk.

A cached kernel is found by the content of its own file and of the files of kernels (this package, and model.kernels)
that it imports, directly or through others. Kernels call kernels of these files only, so a kernel that is loaded is
never older than any line that went into it.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Generator
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
import numpy as np
import numpy.typing as npt
from numba.core import event

from seedbed.core.fingerprint import hash_bytes

F = TypeVar("F", bound=Callable[..., Any])

Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

_IMPORT = re.compile(r"from seedbed\.((?:text|model\.kernels)[.\w]*) import (?:\(([^)]*)\)|(.*))")
_DAY_SECONDS = 86_400
_numba, _event = cast(Any, numba), cast(Any, event)


def kernel(function: F) -> F:
    """`function` compiled on its first call; it releases the interpreter while it runs."""
    with _cached_under(_folder(Path(function.__code__.co_filename))):
        return cast(F, _numba.njit(cache=True, nogil=True)(function))


def leaf(function: F) -> F:
    """A short kernel that makes no array and calls none that does: it does not count who holds its arguments.

    That counting takes longer than a few comparisons do. Ask for it where a kernel is called for every word.
    """
    with _cached_under(_folder(Path(function.__code__.co_filename))):
        return cast(F, _numba.njit(cache=True, nogil=True, _nrt=False)(function))


def numeric(*given_up: str) -> Callable[[F], F]:
    """As `kernel`, for arithmetic: a division by zero gives an infinity, as in numpy, and of IEEE's rules those that
    LLVM's fast-math flags name are given up."""

    def compiled(function: F) -> F:
        options = {"error_model": "numpy", "fastmath": set(given_up)}
        with _cached_under(_folder(Path(function.__code__.co_filename))):
            return cast(F, _numba.njit(cache=True, nogil=True, **options)(function))

    return compiled


@contextlib.contextmanager
def compiling(tell: Callable[[], None]) -> Generator[None, None, None]:
    """Within, `tell` is called once, when the first kernel is compiled because the cache does not hold it."""
    told = _FirstCompilation(tell)
    with _event.install_listener("numba:compile", told):
        yield


class _FirstCompilation(_event.Listener):
    def __init__(self, tell: Callable[[], None]) -> None:
        self._tell, self._told = tell, False

    def on_start(self, event: Any) -> None:  # noqa: ARG002 - the compiler's signature
        if not self._told:
            self._told = True
            self._tell()

    def on_end(self, event: Any) -> None:
        """Nothing to say."""


@contextlib.contextmanager
def _cached_under(folder: Path) -> Generator[None, None, None]:
    """The compiler's setting is one a process, and not ours alone: it is put back."""
    before = _numba.config.CACHE_DIR
    _numba.config.CACHE_DIR = str(folder)
    try:
        yield
    finally:
        _numba.config.CACHE_DIR = before


@cache
def _folder(file: Path) -> Path:
    """Where the kernels of `file` as it is now are kept; what earlier content left there goes after a day."""
    home = Path(_numba.config.CACHE_DIR or _user_cache()) / f"{file.stem}-{hash_bytes(str(file).encode()).hex()[:12]}"
    content = [_read(part).encode() for part in sorted(_parts(file))]
    folder = home / hash_bytes(*content).hex()[:16]
    if not folder.exists():
        with contextlib.suppress(OSError):
            for old in home.iterdir():
                if time.time() - old.stat().st_mtime > _DAY_SECONDS:
                    shutil.rmtree(old, ignore_errors=True)
    return folder


def _parts(file: Path) -> set[Path]:
    """`file`, and the files of this package that it names in an import, and those that they name."""
    found, waiting = set[Path](), [file]
    while waiting:
        part = waiting.pop()
        if part not in found:
            found.add(part)
            for package, *names in _IMPORT.findall(_read(part)):
                folder = Path(__file__).parents[1].joinpath(*package.split("."))
                files = [folder, *(folder / name for name in re.findall(r"\w+", "".join(names)))]
                waiting.extend(path for file in files if (path := file.with_suffix(".py")).exists())
    return found


@cache
def _read(file: Path) -> str:
    return file.read_text(encoding="utf-8") if file.exists() else ""


def _user_cache() -> Path:
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home())) / "seedbed" / "kernels"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "seedbed" / "kernels"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "seedbed" / "kernels"
