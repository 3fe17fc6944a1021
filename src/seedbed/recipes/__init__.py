"""Whole runs as functions that return a Recipe. File name = recipe name; each module has one function, `recipe`."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path
from typing import TYPE_CHECKING

from seedbed.core.errors import RecipeError, did_you_mean

if TYPE_CHECKING:
    from seedbed.recipe import Recipe


def names() -> list[str]:
    """The shipped recipes."""
    return sorted(file.stem for file in Path(__file__).parent.glob("*.py") if not file.stem.startswith("_"))


def title(name: str) -> str:
    """What a shipped recipe is for, its file's first line: read, not imported, for some recipes load much."""
    source = (Path(__file__).parent / f"{name}.py").read_text(encoding="utf-8")
    return (ast.get_docstring(ast.parse(source)) or "").partition("\n")[0]


def load(name: str) -> Recipe:
    """A shipped recipe by name, a .json or .yaml file, or the recipe an output folder was made with."""
    from seedbed import recipe

    path = Path(name)
    if path.suffix in (".json", ".yaml", ".yml"):
        return recipe.from_file(path)
    if (path / "recipe.json").exists():
        return recipe.from_file(path / "recipe.json")
    if name not in names():
        raise RecipeError(
            name, "there is no such recipe", did_you_mean(name, names()) + " A file ends in .json or .yaml."
        )
    return importlib.import_module(f"seedbed.recipes.{name}").recipe()
