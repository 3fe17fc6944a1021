"""Write requirements.lock: every package, at the version that a clean environment resolves to today.

Packages and ranges come from pyproject.toml (dependencies, all extras, the group `dev`); the resolver is pip in
an empty virtual environment. Pins carry no hash, no index and no local tag, so that the platform's own build of a
version serves (a CPU wheel where one is offered). What only the CUDA builds of torch need is left out: pip adds it by
itself where such a build is chosen.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "requirements.lock"
TORCH = "torch==2.13.0"
"""Pinned by hand: a bare `torch` may resolve to a build of several gigabytes. Raise it here."""
LEFT_OUT = re.compile(r"^(nvidia-.*|cuda-.*|triton|pip|seedbed)$")
HEADER = """\
# Made by `make lock` from pyproject.toml; do not edit. Install with `make setup`.
"""


def wanted() -> list[str]:
    """Requirements as pyproject.toml states them."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras: dict[str, list[str]] = project["project"]["optional-dependencies"]
    optional = [line for extra in extras.values() for line in extra]
    everything = [*project["project"]["dependencies"], *optional, *project["dependency-groups"]["dev"]]
    return [TORCH, *(line for line in everything if not line.startswith("torch"))]


def pins(frozen: str) -> list[str]:
    """`name==version` lines of a `pip freeze`, local tags and what LEFT_OUT names removed, in order of name."""
    found: dict[str, str] = {}
    for line in frozen.splitlines():
        name, separator, version = line.strip().partition("==")
        if separator and not LEFT_OUT.match(name.lower()):
            found[re.sub(r"[-_.]+", "-", name).lower()] = version.partition("+")[0]
    return [f"{name}=={version}" for name, version in sorted(found.items())]


def main() -> None:
    """Resolve, freeze, write."""
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        pip = [str(Path(folder) / "bin" / "python"), "-m", "pip", "--disable-pip-version-check"]
        subprocess.run([*pip, "install", "-qq", *wanted()], check=True)
        frozen = subprocess.run([*pip, "freeze", "--all"], check=True, capture_output=True, text=True).stdout
    LOCK.write_text(HEADER + "\n".join(pins(frozen)) + "\n")
    sys.stdout.write(f"{LOCK.name}: {len(pins(frozen))} packages\n")


if __name__ == "__main__":
    main()
