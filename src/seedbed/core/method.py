"""The base of every method: a frozen dataclass of its parameters, in a file of its own, named after that file.

A method is data (its parameters) and pure verbs. Its name is its file, its place is its shelf; `version` goes up
whenever its outputs change. Nothing is registered: the catalogue lists the shelves.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import inspect
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, Self, cast

from seedbed.core import parameters
from seedbed.core.fingerprint import library_versions
from seedbed.core.parameters import Json

HEADINGS = ("What", "Source", "Formula", "Shapes", "Units", "Fidelity", "Errors")


@dataclasses.dataclass(frozen=True)
class Method:
    """Parameters of one published method. Subclasses add fields, each with a default: the paper's."""

    version: ClassVar[int] = 1
    """Raised whenever outputs change."""
    libraries: ClassVar[tuple[str, ...]] = ()
    """Distributions whose version shapes the output; they are part of the fingerprint."""

    def __post_init__(self) -> None:
        """Raises RecipeError naming the first parameter outside its bounds."""
        parameters.check(self, self.name())

    @classmethod
    def name(cls) -> str:
        """The file's name: `gopher_quality`."""
        return cls.__module__.rsplit(".", 1)[-1].removeprefix(_USER)

    @classmethod
    def shelf(cls) -> str:
        """Room and shelf, `curate.filters`; empty for a method in a user's own file."""
        parts = cls.__module__.split(".")
        return ".".join(parts[1:3]) if parts[0] == "seedbed" and len(parts) == 4 else ""

    @classmethod
    def path(cls) -> str:
        """The method's path in recipes and errors: `curate.filters.gopher_quality`."""
        return f"{cls.shelf()}.{cls.name()}" if cls.shelf() else f"{inspect.getsourcefile(cls)}:{cls.__name__}"

    def identity(self) -> dict[str, Json]:
        """What a fingerprint covers: path, version, parameters, library versions."""
        about: dict[str, Json] = {"method": self.path(), "version": self.version, "parameters": self.fingerprinted()}
        return {**about, "libraries": library_versions(*self.libraries)} if self.libraries else about

    def fingerprinted(self) -> dict[str, Json]:
        """The parameters as a fingerprint covers them: a method that reads a file puts its content for its name."""
        return self.to_json()

    def to_json(self) -> dict[str, Json]:
        """The parameters as plain JSON, with the defaults written out."""
        return parameters.encode_fields(self)

    @classmethod
    def from_parameters(cls, given: Json, where: str, methods: parameters.MethodReader | None = None) -> Self:
        """Strictly read from JSON; `methods` reads parameters that are methods themselves."""
        return cast(Self, parameters.decode_fields(cls, given, where, methods))

    def __reduce__(self) -> Any:
        """A method in a user's own file travels to other processes as that file's path, class and parameters."""
        if not type(self).__module__.startswith(_USER):
            return super().__reduce__()
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self) if field.init}
        return _rebuild, (str(inspect.getsourcefile(type(self))), type(self).__name__, fields)


_USER = "seedbed_user_"


def load_file(file: Path) -> ModuleType:
    """The module of a user's own file."""
    name = _USER + file.stem
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _rebuild(file: str, class_name: str, fields: dict[str, Any]) -> Method:
    module = sys.modules.get(_USER + Path(file).stem)
    if module is None or getattr(module, "__file__", None) != file:
        module = load_file(Path(file))
    return cast(Method, getattr(module, class_name)(**fields))


def sections(docstring: str) -> dict[str, str]:
    """The headed parts of a method's docstring, plus `title`: heading -> text, lines joined."""
    lines = inspect.cleandoc(docstring).splitlines()
    found: dict[str, list[str]] = {"title": [lines[0]] if lines else []}
    current = ""
    for line in lines[1:]:
        match = re.match(r"([A-Z][a-z]+)(?:\s{2,}|$)(.*)", line)
        if match and match.group(1) in HEADINGS:
            current = match.group(1)
            found[current] = [match.group(2).strip()]
        elif current and line.startswith(" "):
            found[current].append(line.strip())
        elif line.strip():
            current = ""
    return {heading: " ".join(part for part in text if part) for heading, text in found.items()}
