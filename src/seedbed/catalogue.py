"""The catalogue: name -> method. Lists the shelves by looking at them, and imports one file when asked.

Nothing is registered. A method is found because its file stands on a shelf; a user's own method by the path of its
file, `my_scorer.py:Mine`.
"""

from __future__ import annotations

import ast
import importlib
import inspect
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import cast

from seedbed.core.errors import RecipeError, did_you_mean
from seedbed.core.method import Method, load_file, sections
from seedbed.core.parameters import Json, MethodReader

ROOMS = ("curate", "tokenize", "select", "train", "predict", "evaluate")
SHELVED = ("curate", "tokenize", "select", "model", "train", "predict", "evaluate")
"""Where shelves stand: the rooms, and the model they train, whose shelves hold the parts of a decoder."""

_HERE = Path(__file__).parent


@cache
def all_paths() -> tuple[str, ...]:
    """Every method as `room.shelf.method`, in the order of the rooms; the model's parts before the trainer's."""
    found: list[str] = []
    for room in SHELVED:
        for shelf in sorted(folder for folder in (_HERE / room).iterdir() if _is_shelf(folder)):
            names = sorted(file.stem for file in shelf.glob("*.py") if not file.stem.startswith("_"))
            found.extend(f"{room}.{shelf.name}.{name}" for name in names)
    return tuple(found)


def _is_shelf(folder: Path) -> bool:
    """Its sign says so; a folder without one is part of the room's workings."""
    sign = folder / "__init__.py"
    return sign.exists() and sign.read_text(encoding="utf-8").startswith('"""A shelf')


def on_shelf(shelf: str) -> tuple[str, ...]:
    """The methods of one shelf, `curate.filters`."""
    return tuple(path for path in all_paths() if path.rpartition(".")[0] == shelf)


def about(path: str) -> dict[str, str]:
    """The headed parts of a method's docstring, and its `title`, without importing it."""
    module = ast.parse(_file(path).read_text(encoding="utf-8"))
    return sections(ast.get_docstring(module, clean=False) or "")


def _file(path: str) -> Path:
    return (_HERE / path.replace(".", "/")).with_suffix(".py")


@cache
def load(path: str) -> type[Method]:
    """The class of a method: `curate.filters.gopher_quality`, a unique last part, or `file.py:Class`."""
    if ".py:" in path:
        return _load_file(path)
    matches = [known for known in all_paths() if known == path or known.endswith("." + path)]
    if len(matches) != 1:
        names = {known.rpartition(".")[2] for known in all_paths()}
        known = f"It could be {' or '.join(matches)}." if matches else did_you_mean(path, {*all_paths(), *names})
        raise RecipeError(path, "no such method" if not matches else "this name is not unique", known)
    return _only_method(importlib.import_module("seedbed." + matches[0]))


def _only_method(module: ModuleType) -> type[Method]:
    found = [
        value
        for name, value in vars(module).items()
        if inspect.isclass(value) and issubclass(value, Method) and value.__module__ == module.__name__
        if not name.startswith("_")
    ]
    if len(found) != 1:
        raise RecipeError(module.__name__, f"a method file holds one public Method, this one has {len(found)}")
    return found[0]


def _load_file(path: str) -> type[Method]:
    file_name, _, class_name = path.rpartition(":")
    file = Path(file_name).resolve()
    if not file.exists():
        raise RecipeError(path, f"there is no file {file}", "Name it as FILE.py:CLASS.")
    module = load_file(file)
    found = getattr(module, class_name, None)
    if not (inspect.isclass(found) and issubclass(found, Method)):
        classes = [n for n, v in vars(module).items() if inspect.isclass(v) and issubclass(v, Method)]
        raise RecipeError(path, f"{class_name!r} is no Method in this file", did_you_mean(class_name, classes))
    return found


def build(kind: type[Method], value: Json, where: str) -> Method:
    """A method of a contract from JSON: its path, or `{path: {parameter: value}}`."""
    if isinstance(value, str):
        value = {value: {}}
    if not isinstance(value, dict) or len(value) != 1:
        raise RecipeError(where, "a method is written as its name, or as {name: {parameter: value}}")
    path, given = next(iter(value.items()))
    try:
        cls = load(path)
    except RecipeError as error:
        raise RecipeError(where, f"{error.where}: {error.what}", error.mend) from error
    if not issubclass(cls, kind):
        raise RecipeError(where, f"{path} is no {kind.__name__}")
    return cls.from_parameters(given, f"{where}.{cls.name()}", cast(MethodReader, build))


def search(word: str = "") -> list[tuple[str, dict[str, str]]]:
    """Methods whose path, title, What or Source holds the word, in any case."""
    found: list[tuple[str, dict[str, str]]] = []
    for path in all_paths():
        told = about(path)
        text = " ".join([path, told.get("title", ""), told.get("What", ""), told.get("Source", "")])
        if word.lower() in text.lower():
            found.append((path, told))
    return found
