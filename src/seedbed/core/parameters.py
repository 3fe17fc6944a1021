"""Values in and out of plain JSON, checked against the type annotations of a frozen dataclass.

One small codec serves every method and every recipe: `encode` gives JSON, `decode` reads it back strictly (an unknown
field, a wrong type or a broken bound names its path), `check` holds an instance built in Python to the same rules.
Bounds are data in the annotation, from `annotated_types`: `Annotated[float, Ge(0), Le(1)]`.
"""

from __future__ import annotations

import dataclasses
import math
import types
from collections.abc import Callable, Mapping
from functools import cache
from typing import Annotated, Any, Literal, TypeAlias, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import annotated_types as at

from seedbed.core.errors import RecipeError, did_you_mean

MethodReader: TypeAlias = Callable[[type, "Json", str], object]
"""Reads a method of a kind (a contract) from JSON; given by whoever knows the shelves."""

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

T = TypeVar("T")


@cache
def hints(cls: type) -> dict[str, Any]:
    """Field name -> annotation (with its bounds) of a dataclass, in order of definition."""
    resolved = get_type_hints(cls, include_extras=True)
    return {field.name: resolved[field.name] for field in dataclasses.fields(cls) if field.init}


def check(instance: object, where: str) -> None:
    """Hold every field of a frozen dataclass to its annotation; RecipeError names the first that breaks it."""
    for name, annotation in hints(type(instance)).items():
        _expect(annotation, getattr(instance, name), f"{where}.{name}")


def encode(value: object) -> Json:
    """A frozen dataclass, tuple, mapping or scalar as plain JSON."""
    path = getattr(type(value), "path", None)
    if path is not None:  # a method inside a tree says which one it is
        return {cast(str, path()): encode_fields(value)}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return encode_fields(value)
    if isinstance(value, tuple | list):
        return [encode(item) for item in cast(tuple[object, ...], value)]
    if isinstance(value, Mapping):
        return {str(key): encode(item) for key, item in cast(Mapping[object, object], value).items()}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"{type(value).__name__} has no JSON form")


def encode_fields(instance: object) -> dict[str, Json]:
    """Field name -> JSON, for the fields that the constructor takes."""
    return {name: encode(getattr(instance, name)) for name in hints(type(instance))}


def decode(cls: type[T], value: Json, where: str, methods: MethodReader | None = None) -> T:
    """Read `cls` from plain JSON, strictly. Raises RecipeError with the path of what is wrong.

    `methods` reads the fields whose type is a contract; without it such fields are read as plain dataclasses.
    """
    return cast(T, _decode(cls, value, where, methods))


def _decode(annotation: Any, value: Json, where: str, methods: MethodReader | None) -> object:
    annotation, bounds = _split(annotation)
    if methods is not None and isinstance(annotation, type) and hasattr(annotation, "shelf"):
        return methods(annotation, value, where)
    origin = get_origin(annotation)
    if dataclasses.is_dataclass(annotation):
        return decode_fields(cast(type, annotation), value, where, methods)
    if origin in (Union, types.UnionType):
        return _decode_union(get_args(annotation), value, where, methods)
    if origin is tuple and isinstance(value, list):
        kinds = get_args(annotation)
        each = [kinds[0]] * len(value) if len(kinds) == 2 and kinds[1] is ... else list(kinds)
        if len(each) != len(value):
            raise RecipeError(where, f"{len(value)} values where {len(each)} are needed")
        pairs = enumerate(zip(each, value, strict=True))
        result: object = tuple(_decode(kind, item, f"{where}[{i}]", methods) for i, (kind, item) in pairs)
    elif origin in (dict, Mapping):
        if not isinstance(value, dict):
            raise RecipeError(where, f"{value!r} is not a mapping")
        kind = get_args(annotation)[1]
        result = {key: _decode(kind, item, f"{where}.{key}", methods) for key, item in value.items()}
    elif annotation is float and isinstance(value, int) and not isinstance(value, bool):
        result = float(value)
    else:
        result = value
    _expect(Annotated[annotation, *bounds] if bounds else annotation, result, where)
    return result


def decode_fields(cls: type, value: Json, where: str, methods: MethodReader | None = None) -> object:
    """A dataclass from a mapping of its fields; unknown and missing ones are errors."""
    if not isinstance(value, dict):
        raise RecipeError(where, f"{value!r} is not a mapping of fields")
    known = hints(cls)
    for key in value:
        if key not in known:
            raise RecipeError(f"{where}.{key}", "unknown field", did_you_mean(key, known))
    given = {key: _decode(known[key], item, f"{where}.{key}", methods) for key, item in value.items()}
    for field in dataclasses.fields(cls):
        missing = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if field.init and missing and field.name not in given:
            raise RecipeError(f"{where}.{field.name}", "this field is needed")
    return cls(**given)


def _decode_union(kinds: tuple[Any, ...], value: Json, where: str, methods: MethodReader | None) -> object:
    if value is None and type(None) in kinds:
        return None
    errors: list[RecipeError] = []
    for kind in kinds:
        if kind is type(None):
            continue
        try:
            return _decode(kind, value, where, methods)
        except RecipeError as error:
            errors.append(error)
    raise max(errors, key=lambda error: len(error.where))  # the branch that got furthest


def _split(annotation: Any) -> tuple[Any, tuple[Any, ...]]:
    if get_origin(annotation) is Annotated:
        inner, *bounds = get_args(annotation)
        return inner, tuple(bounds)
    return annotation, ()


def _expect(annotation: Any, value: object, where: str) -> None:
    annotation, bounds = _split(annotation)
    if not _is_a(annotation, value):
        raise RecipeError(where, f"{value!r} is not {_name(annotation)}")
    for bound in bounds:
        if broken := _broken(bound, value):
            raise RecipeError(where, f"{value!r} must be {broken}")
    if isinstance(value, tuple) and get_origin(annotation) is tuple:
        items = cast(tuple[object, ...], value)
        kinds = get_args(annotation)
        if len(kinds) == 2 and kinds[1] is ...:
            kinds = (kinds[0],) * len(items)
        for i, (kind, item) in enumerate(zip(kinds, items, strict=True)):
            _expect(kind, item, f"{where}[{i}]")


def _is_a(annotation: Any, value: object) -> bool:
    origin = get_origin(annotation)
    if annotation is Any or annotation is object:
        return True
    if origin is Literal:
        return value in get_args(annotation)
    if origin in (Union, types.UnionType):
        return any(_is_a(_split(kind)[0], value) for kind in get_args(annotation))
    if annotation is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if annotation is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if annotation is type(None):
        return value is None
    return isinstance(value, origin or annotation)


def _broken(bound: Any, value: object) -> str:
    number = cast(float, value)
    if value is None:
        return ""
    if isinstance(bound, at.Ge) and not number >= cast(float, bound.ge):
        return f">= {bound.ge}"
    if isinstance(bound, at.Gt) and not number > cast(float, bound.gt):
        return f"> {bound.gt}"
    if isinstance(bound, at.Le) and not number <= cast(float, bound.le):
        return f"<= {bound.le}"
    if isinstance(bound, at.Lt) and not number < cast(float, bound.lt):
        return f"< {bound.lt}"
    if isinstance(bound, at.MinLen) and len(cast(str, value)) < bound.min_length:
        return f"at least {bound.min_length} long"
    return ""


def _name(annotation: Any) -> str:
    if get_origin(annotation) is Literal:
        return "one of " + ", ".join(repr(choice) for choice in get_args(annotation))
    names = {int: "a whole number", float: "a finite number", str: "a text", bool: "true or false"}
    return names.get(annotation, str(annotation).replace("typing.", ""))
