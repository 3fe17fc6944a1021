"""Light at the door: naming Seedbed and asking for help load neither torch nor the compiler."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

LOADED = (
    "import sys; heavy = sorted({'torch', 'numba', 'llvmlite', 'scipy', 'matplotlib'} & set(sys.modules)); "
    "print('loaded:', heavy)"
)


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("module", ["seedbed", "seedbed.cli", "seedbed.catalogue", "seedbed.curate.contract"])
def test_importing_the_door_loads_nothing_heavy(module: str) -> None:
    assert "loaded: []" in run(f"import {module}; {LOADED}")


def test_help_loads_nothing_heavy() -> None:
    code = f"""
import runpy, sys
sys.argv = ["seedbed", "--help"]
try:
    runpy.run_module("seedbed", run_name="__main__")
except SystemExit as end:
    assert not end.code, end.code
{LOADED}
"""
    told = run(code)
    assert "loaded: []" in told
    assert "curate" in told


def test_curation_needs_no_torch() -> None:
    code = f"""
from seedbed import catalogue
for path in catalogue.all_paths():
    if path.startswith("curate."):
        catalogue.load(path)()
import seedbed.curate.run
{LOADED}
"""
    assert "torch" not in run(code)


def test_the_check_can_fail() -> None:
    assert "numba" in run(f"import numba; {LOADED}")


def test_to_load_a_recipe_compiles_nothing(tmp_path: Path) -> None:
    names = ["fineweb_en", "web_en", "web_zh", "web_multilingual", "math", "code", "qa", "wikipedia"]
    code = f"from seedbed import recipes\nfor name in {names}: recipes.load(name)"
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    assert list(tmp_path.rglob("*.nbi")) == []
