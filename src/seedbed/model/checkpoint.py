"""A model on disk: a folder with `model.safetensors`, `config.json` and, where one travels with it, `tokenizer.json`.

Nothing is pickled, so opening a model runs no code. Each file is written aside, flushed and renamed; `config.json`
comes last, so a folder without it is no model yet.
"""

from __future__ import annotations

import importlib
import inspect
import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from torch import Tensor

from seedbed.core import parameters
from seedbed.core.artifact import disk_error, write_text
from seedbed.core.errors import RecipeError, SeedbedError
from seedbed.core.fingerprint import canonical, fingerprint, hash_file
from seedbed.core.method import Method
from seedbed.core.parameters import Json
from seedbed.model.shape import ModelShape
from seedbed.model.tensors import read_tensors, write_tensors
from seedbed.model.transformer import Decoder

FORMAT = 2
"""Raised when names or layout of the files change."""

WEIGHTS, CONFIG, TOKENIZER = "model.safetensors", "config.json", "tokenizer.json"


def save_model(folder: Path, model: Decoder, tokenizer_json: str | None = None) -> None:
    """Write a model folder. Raises SeedbedError where it cannot be written."""
    save_weights(folder, model.shape, model.state_dict(), tokenizer_json)


def save_weights(
    folder: Path, shape: ModelShape, weights: Mapping[str, Tensor], tokenizer_json: str | None = None
) -> None:
    """Write a model folder from a decoder's shape and whole state_dict. Raises SeedbedError where it cannot be."""
    config: dict[str, Json] = {"format": FORMAT, "architecture": "seedbed decoder"}
    config["shape"] = parameters.encode_fields(shape)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_tensors(folder / WEIGHTS, weights)
        if tokenizer_json is not None:
            write_text(folder / TOKENIZER, tokenizer_json)
        write_text(folder / CONFIG, json.dumps(config, indent=1, sort_keys=True) + "\n")
    except OSError as error:
        raise disk_error(folder, error) from error


def load_model(folder: Path) -> tuple[Decoder, str | None]:
    """(decoder, tokenizer.json as text or None). Raises SeedbedError naming the file that is missing or broken."""
    shape = _read_shape(folder / CONFIG)
    tensors = read_tensors(folder / WEIGHTS)
    model = Decoder(shape)
    expected = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    for name in sorted(expected.keys() | found.keys()):
        if expected.get(name) != found.get(name):
            what = f"{name} is {found.get(name, 'absent')} where {CONFIG} says {expected.get(name, 'absent')}"
            raise SeedbedError(str(folder / WEIGHTS), what, "Copy the model folder again, whole.")
    model.load_state_dict(tensors)
    tokenizer = folder / TOKENIZER
    return model, tokenizer.read_text(encoding="utf-8") if tokenizer.exists() else None


def model_fingerprint(folder: Path) -> str:
    """128-bit hash of what the folder means: shape, weights and tokenizer; not of dates or spelling of the JSON."""
    shape = _read_shape(folder / CONFIG)
    content: dict[str, Json] = {"shape": canonical(parameters.encode_fields(shape))}
    for name in (WEIGHTS, TOKENIZER):
        content[name] = hash_file(folder / name) if (folder / name).exists() else None
    return fingerprint(content)


def _read_shape(file: Path) -> ModelShape:
    try:
        config = cast("dict[str, Json]", json.loads(file.read_text(encoding="utf-8")))
        version, shape = config["format"], config["shape"]
    except FileNotFoundError as error:
        raise SeedbedError(str(file), "there is no such file", "Name a folder that holds a whole model.") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SeedbedError(str(file), f"is no model configuration ({type(error).__name__}: {error})") from error
    if version != FORMAT:
        what = f"has format {version}; this version of seedbed reads format {FORMAT}"
        raise SeedbedError(str(file), what, "Train the model again, or open it with the seedbed it was written by.")
    try:
        return parameters.decode(ModelShape, shape, "shape", _part)
    except RecipeError as error:
        raise SeedbedError(str(file), f"{error.where}: {error.what}", error.mend) from error


def _part(kind: type, value: Json, where: str) -> Method:
    """A part of a kind from `{path: {parameter: value}}`. A configuration is data: it opens this room's files alone."""
    if not isinstance(value, dict) or len(value) != 1:
        raise RecipeError(where, "a part is written as {path: {parameter: value}}")
    path, given = next(iter(value.items()))
    found = _loaded(path)
    if found is None or not issubclass(found, kind):
        mend = "A part of your own must have been loaded, by its recipe, before a model that holds it is opened."
        raise RecipeError(where, f"{path!r} is no {kind.__name__} of seedbed's model room", mend)
    return found.from_parameters(given, f"{where}.{found.name()}")


def _loaded(path: str) -> type[Method] | None:
    """The class at a path: from a file on a shelf of this room, or from a user's own file that was loaded before."""
    on_shelf = re.fullmatch(r"model\.([a-z]\w*)\.([a-z]\w*)", path, re.ASCII)
    if on_shelf and (Path(__file__).parent / on_shelf[1] / f"{on_shelf[2]}.py").exists():
        modules = [importlib.import_module(f"seedbed.{path}")]
    else:
        file = path.rpartition(":")[0]
        modules = [module for module in list(sys.modules.values()) if getattr(module, "__file__", None) == file != ""]
    for module in modules:
        classes = [value for value in vars(module).values() if inspect.isclass(value) and issubclass(value, Method)]
        for cls in classes:
            if cls.__module__ == module.__name__ and cls.path() == path:
                return cls
    return None
