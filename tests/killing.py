"""A command that is killed without warning, at a moment that is seen rather than waited for."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path


def kill_when(reached: Callable[[], bool], command: Sequence[str], cwd: Path | None = None) -> bool:
    """Runs the command and kills it as soon as `reached()`; False where it ended by itself before."""
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, cwd=cwd, stdout=quiet, stderr=quiet, start_new_session=True) as process:
        while process.poll() is None:
            if reached():
                process.kill()
                return True
            time.sleep(0.01)
    return False


def changed(folder: Path, n_files: int) -> Callable[[], bool]:
    """Whether so many files below the folder have come, gone or changed since it was asked for."""
    before = _files(folder)
    return lambda: len(before ^ _files(folder)) >= n_files


def _files(folder: Path) -> set[tuple[str, int]]:
    found: set[tuple[str, int]] = set()
    for file in folder.rglob("*"):
        try:
            found.add((str(file), file.stat().st_mtime_ns))
        except FileNotFoundError:  # gone since it was listed
            continue
    return found
