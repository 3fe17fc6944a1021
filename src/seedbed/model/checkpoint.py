"""A model on disk: a folder with `model.safetensors`, `config.json` and, where one travels with it, `tokenizer.json`.

Nothing is pickled, so opening a model runs no code. Each file is written aside, flushed and renamed; `config.json`
comes last, so a folder without it is no model yet.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import cast

from seedbed.core import parameters
from seedbed.core.artifact import disk_error, write_text
from seedbed.core.errors import RecipeError, SeedbedError
from seedbed.core.fingerprint import canonical, fingerprint, hash_file
from seedbed.core.parameters import Json
from seedbed.model.shape import ModelShape
from seedbed.model.tensors import read_tensors, write_tensors
from seedbed.model.transformer import Decoder

FORMAT = 1
"""Raised when names or layout of the files change."""

WEIGHTS, CONFIG, TOKENIZER = "model.safetensors", "config.json", "tokenizer.json"


def save_model(folder: Path, model: Decoder, tokenizer_json: str | None = None) -> None:
    """Write a model folder. Raises SeedbedError where it cannot be written."""
    config: dict[str, Json] = {"format": FORMAT, "architecture": "seedbed decoder"}
    config["shape"] = parameters.encode_fields(model.shape)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_tensors(folder / WEIGHTS, model.state_dict())
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
        raise SeedbedError(str(file), f"has format {version}; this version of seedbed reads format {FORMAT}")
    try:
        return parameters.decode(ModelShape, shape, "shape")
    except RecipeError as error:
        raise SeedbedError(str(file), f"{error.where}: {error.what}") from error
