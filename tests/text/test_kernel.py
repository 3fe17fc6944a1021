"""The cache of compiled kernels: never older than what went into them, and the first compilation is told."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import seedbed
from seedbed.text import kernel

MODULE = """
import numpy as np
from seedbed.text.hashing import extend
from seedbed.text.kernel import compiling, kernel

@kernel
def twice(state):
    return extend(extend(state, np.uint64(1)), np.uint64(2))

told = []
with compiling(lambda: told.append("compiled")):
    first, second = twice(np.uint64(7)), twice(np.uint64(7))
print(first, second, *told)
"""


@pytest.fixture
def house(tmp_path: Path) -> Path:
    source = Path(seedbed.__file__).parent
    for room in ("core", "text"):
        shutil.copytree(source / room, tmp_path / "seedbed" / room, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "seedbed" / "__init__.py").touch()
    (tmp_path / "mine.py").write_text(MODULE)
    return tmp_path


def run(house: Path) -> list[str]:
    environment = {**os.environ, "PYTHONPATH": str(house), "NUMBA_CACHE_DIR": str(house / "cache")}
    environment["PYTHONDONTWRITEBYTECODE"] = "1"  # a file of the same size and time would not be read anew
    done = subprocess.run([sys.executable, "mine.py"], cwd=house, env=environment, capture_output=True, check=True)
    return done.stdout.decode().split()


def test_a_kernel_is_compiled_once_and_again_when_what_it_calls_has_changed(house: Path) -> None:
    first, again, *told = run(house)
    assert (first, told) == (again, ["compiled"])
    assert run(house) == [first, first], "from the cache, and nothing is told"
    inner = house / "seedbed" / "text" / "hashing.py"
    before, stat = inner.read_text(), inner.stat()
    inner.write_text(before.replace("0x9E3779B97F4A7C15", "0x9E3779B97F4A7C17"))
    os.utime(inner, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert inner.stat().st_size == stat.st_size
    changed, _, *told = run(house)
    assert changed != first
    assert told == ["compiled"]
    unused = house / "seedbed" / "text" / "words" / "normalize.py"
    unused.write_text(unused.read_text() + "\n# not called here\n")
    assert run(house) == [changed, changed], "what it does not call does not count"


def test_all_kernels_that_a_file_can_call_count() -> None:
    text = Path(kernel.__file__).parent
    names = {part.stem for part in kernel._parts(text / "rules" / "lines.py")}
    assert {"lines", "unicode", "hashing", "vectors", "kernel"} <= names
    assert "normalize" not in names


def test_old_content_leaves_the_cache_after_a_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel._numba.config, "CACHE_DIR", str(tmp_path))
    file = tmp_path / "mine.py"
    file.write_text("one = 1")
    first = kernel._folder(file)
    first.mkdir(parents=True)
    young = first.with_name("young")
    young.mkdir()
    os.utime(first, (0, 0))
    kernel._read.cache_clear()
    kernel._folder.cache_clear()
    file.write_text("two = 2")
    second = kernel._folder(file)
    assert second != first
    assert not first.exists()
    assert young.exists()
    kernel._read.cache_clear()
    kernel._folder.cache_clear()
