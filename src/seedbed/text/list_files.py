"""Folders of lists that a user gives: one entry a line, # before a comment; a file is named as what it lists."""

from __future__ import annotations

from pathlib import Path

from seedbed.core.errors import RecipeError
from seedbed.core.fingerprint import hash_file
from seedbed.core.parameters import Json

Stamp = tuple[tuple[str, int, int], ...]


def files(folder: str, where: str) -> dict[str, Path]:
    """Name without .txt -> file; RecipeError at `where` if there is none."""
    path = Path(folder)
    found = {file.name.removesuffix(".txt"): file for file in sorted(path.glob("*")) if file.is_file()}
    if not found:
        raise RecipeError(where, f"{folder!r} holds no lists", "Name a folder with one file a list.")
    return found


def contents(folder: str, where: str) -> dict[str, Json]:
    """Name -> hash of the file's content: what a fingerprint covers. Nothing for a folder without a name."""
    return {name: hash_file(file) for name, file in files(folder, where).items()} if folder else {}


def entries(file: Path) -> list[str]:
    """The entries in order, lower-cased, without comments and blank lines."""
    lines = (line.strip().lower() for line in file.read_text(encoding="utf-8", errors="replace").splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def stamp(given: str) -> Stamp:
    """What changes when a file, or one in a folder, does: cheap enough to ask at every batch."""
    path = Path(given)
    found = sorted(path.rglob("*")) if path.is_dir() else [path]
    return tuple((str(f), f.stat().st_size, f.stat().st_mtime_ns) for f in found if f.is_file())
