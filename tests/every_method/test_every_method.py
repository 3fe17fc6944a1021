"""What holds for every method on every shelf, without knowing any of them."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import json
from pathlib import Path
from typing import Annotated, Any, Literal, cast, get_args, get_origin

import annotated_types as at
import pytest

import seedbed
from seedbed import catalogue
from seedbed.core import parameters
from seedbed.core.errors import RecipeError
from seedbed.core.method import HEADINGS, Method, sections
from seedbed.core.parameters import MethodReader

SHELVES = Path(seedbed.__file__).parent
ALL = catalogue.all_paths()


def test_the_catalogue_finds_every_file_on_a_shelf() -> None:
    files = {
        ".".join(file.relative_to(SHELVES).with_suffix("").parts)
        for room in catalogue.SHELVED
        for file in (SHELVES / room).glob("*/*.py")
        if "\nFidelity  " in file.read_text()
    }
    assert files == set(ALL)
    assert len(ALL) >= 20


@pytest.mark.parametrize("path", ALL)
def test_a_method_is_a_frozen_dataclass_with_defaults(path: str) -> None:
    cls = catalogue.load(path)
    method = cls()
    assert cls.path() == path
    assert cls.name() == path.rpartition(".")[2]
    assert isinstance(cls.version, int)
    assert cls.version >= 1
    assert dataclasses.is_dataclass(cls)
    assert "__dataclass_params__" in vars(cls), "the class itself is a dataclass, not only its contract"
    for field in dataclasses.fields(method):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(method, field.name, getattr(method, field.name))
    assert hash(method) == hash(cls())
    assert method == cls()


@pytest.mark.parametrize("path", ALL)
def test_parameters_survive_json(path: str) -> None:
    cls = catalogue.load(path)
    method = cls()
    told = json.loads(json.dumps(method.to_json(), allow_nan=False))
    assert cls.from_parameters(told, cls.name(), cast(MethodReader, catalogue.build)) == method
    assert cls.from_parameters({}, cls.name()) == method
    assert set(told) == {field.name for field in dataclasses.fields(method) if field.init}
    assert method.identity()["method"] == path


@pytest.mark.parametrize("path", ALL)
def test_the_docstring_has_every_part(path: str) -> None:
    cls = catalogue.load(path)
    module = inspect.getmodule(cls)
    assert module is not None
    told = sections(module.__doc__ or "")
    assert set(told) == {"title", *HEADINGS}
    assert all(len(text) >= 5 for text in told.values()), told
    assert ": " in told["title"]
    assert told["title"].endswith((".", "?"))
    assert told["Fidelity"].startswith(("Exact", "Adapted", "Partial"))
    for line in (module.__doc__ or "").splitlines()[2:]:
        assert line[:10].strip() == "" or line.split()[0] in HEADINGS, line
        assert len(line) <= 120


@pytest.mark.parametrize("path", ALL)
def test_one_public_method_a_file_that_imports_no_other(path: str) -> None:
    file = (SHELVES / path.replace(".", "/")).with_suffix(".py")
    tree = ast.parse(file.read_text(encoding="utf-8"))
    module = inspect.getmodule(catalogue.load(path))
    own = [
        value
        for value in vars(module).values()
        if inspect.isclass(value) and issubclass(value, Method) and value.__module__ == f"seedbed.{path}"
    ]
    assert len(own) == 1
    shelves = {known.rpartition(".")[0] for known in ALL}
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
        base = f"{node.module}." if isinstance(node, ast.ImportFrom) and node.module else ""
        assert not (isinstance(node, ast.ImportFrom) and node.level), "imports are absolute"
        for name in names:
            full = (base + name).removeprefix("seedbed.")
            assert not any(full == shelf or full.startswith(shelf + ".") for shelf in shelves), full


def fails(cls: type[Method], given: dict[str, Any]) -> RecipeError:
    with pytest.raises(RecipeError) as caught:
        cls.from_parameters(given, cls.name())
    return caught.value


@pytest.mark.parametrize("path", ALL)
def test_an_unknown_parameter_is_one_sentence_that_names_it(path: str) -> None:
    cls = catalogue.load(path)
    error = fails(cls, {"no_such_parameter": 1})
    assert str(error).startswith(f"{cls.name()}.no_such_parameter: unknown field.")
    assert "\n" not in str(error)
    for given in (None, 3, [], "x"):
        with pytest.raises(RecipeError, match=cls.name()):
            cls.from_parameters(given, cls.name())


class Odd:
    """A value of no parameter's type."""


def outside(annotation: Any) -> list[Any]:
    """Values that break an annotation: of another type, and beyond each bound."""
    bounds: tuple[Any, ...] = ()
    if get_origin(annotation) is Annotated:
        annotation, *rest = get_args(annotation)
        bounds = tuple(rest)
    broken: list[Any] = [{"odd": [1]}] if annotation not in (dict,) else [3]
    if annotation in (int, float) or set(get_args(annotation)) & {int, float}:
        broken += ["x", True] if get_origin(annotation) is not Literal else []
    if annotation is float:
        broken += [float("nan"), float("inf")]
    if get_origin(annotation) is Literal:
        broken.append("no such choice")
    for bound in bounds:
        step = {at.Ge: -1, at.Gt: 0, at.Le: 1, at.Lt: 0}.get(type(bound))
        if step is not None:
            edge = next(iter(dataclasses.asdict(bound).values()))
            broken.append(edge + step)
        elif isinstance(bound, at.MinLen):
            broken.append("")
    return broken


PARAMETERS = [(path, name) for path in ALL for name in parameters.hints(catalogue.load(path))]


@pytest.mark.parametrize(("path", "name"), PARAMETERS)
def test_a_wrong_parameter_is_one_sentence_that_names_it(path: str, name: str) -> None:
    cls = catalogue.load(path)
    for value in outside(parameters.hints(cls)[name]):
        error = fails(cls, {name: value})
        assert str(error).startswith(f"{cls.name()}.{name}"), value
        assert "\n" not in str(error)
        assert str(error).endswith(".")
    with pytest.raises(RecipeError, match=rf"{cls.name()}\.{name}"):
        cls(**{name: Odd()})  # pyright: ignore[reportCallIssue]


def test_the_two_kinds_of_broken_value_are_found() -> None:
    """The suite can fail: it knows a bound and a type when it sees one."""
    assert outside(Annotated[float, at.Ge(0), at.Le(1)])[-2:] == [-1, 2]
    assert outside(Annotated[int, at.Gt(0)])[-1] == 0
    assert "no such choice" in outside(Literal["a", "b"])
    assert "" in outside(Annotated[str, at.MinLen(1)])
