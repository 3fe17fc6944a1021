"""A whole Hugging Face folder <-> a decoder, its tokenizer and its end-of-text token."""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from seedbed.core.artifact import disk_error, write_text
from seedbed.core.errors import SeedbedError
from seedbed.model.checkpoint import load_model
from seedbed.model.hugging_face.configs import read_architecture
from seedbed.model.hugging_face.fields import CONFIG, Fields, read_object
from seedbed.model.hugging_face.tellings import architecture_for, tell
from seedbed.model.hugging_face.tokenizer import (
    TOKENIZER,
    dumped,
    generation_file,
    id_of,
    read_end_of_text,
    tokenizer_files,
)
from seedbed.model.hugging_face.weights import WEIGHTS, biases_of, folded, read_weights, told_weights
from seedbed.model.shape import ModelShape
from seedbed.model.tensors import write_tensors
from seedbed.model.transformer import Decoder

END_OF_TEXT = "<|endoftext|>"
"""What ends a text in our own folders, unless special.json names another token."""


class ModelFolder(NamedTuple):
    """What a model's folder holds.

    Attributes:
        decoder: in float32, on the CPU.
        tokenizer_json: the tokenizer's definition, where one travels with the model.
        end_of_text: id of the token that ends a text, where one is known.
    """

    decoder: Decoder
    tokenizer_json: str | None
    end_of_text: int | None


def open_model_folder(folder: Path) -> ModelFolder:
    """Of either kind: our own, or Hugging Face's. Raises SeedbedError naming the file that is missing or broken."""
    if is_hugging_face(folder):
        return read_hugging_face(folder)
    decoder, definition = load_model(folder)
    special = folder / "special.json"
    token = read_object(special).get("end_of_text") if special.exists() else END_OF_TEXT
    end_of_text = id_of(definition, str(token)) if definition is not None else None
    return ModelFolder(decoder, definition, end_of_text)


def is_hugging_face(folder: Path) -> bool:
    """Whether config.json says model_type. Raises SeedbedError where there is no config.json."""
    return "model_type" in read_object(folder / CONFIG)


def read_hugging_face(folder: Path) -> ModelFolder:
    """A Llama, Mistral, Qwen2, Qwen3, Arcee or GPT-2 folder, in float32.

    Raises SeedbedError where the architecture or a field of config.json cannot be represented, where a tensor is
    missing, unknown or misshapen, and where the weights are pickled.
    """
    architecture = read_architecture(Fields.read(folder))
    decoder = _decoder(architecture.shape, read_weights(folder, architecture))
    file = folder / TOKENIZER
    definition = file.read_text(encoding="utf-8") if file.exists() else None
    end_of_text = read_end_of_text(folder, definition)
    if end_of_text is not None and not 0 <= end_of_text < architecture.shape.vocab_size:
        what = f"eos_token_id is {end_of_text}, outside the vocabulary of {architecture.shape.vocab_size}"
        raise SeedbedError(str(folder / CONFIG), what)
    return ModelFolder(decoder, definition, end_of_text)


def write_hugging_face(
    folder: Path, decoder: Decoder, tokenizer_json: str | None = None, end_of_text: int | None = None
) -> str:
    """Write a folder that transformers opens; gives the architecture's name. Only a whole folder ever has its name.

    Raises SeedbedError where the folder holds something, where no architecture has the model's parts together, and
    where it cannot be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise SeedbedError(str(folder), "is there already, and not empty", "Name a new folder, or remove this one.")
    ours = folded(decoder.state_dict(), decoder.shape)
    architecture = architecture_for(decoder.shape, biases_of(ours))
    weights = told_weights(ours, architecture)
    files = {CONFIG: dumped(tell(architecture, end_of_text)), **generation_file(end_of_text)}
    if tokenizer_json is not None:
        files |= tokenizer_files(tokenizer_json, end_of_text, decoder.shape.context)
    folder = folder.absolute()
    aside = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    try:
        _write(aside, weights, files)
        if folder.exists():
            folder.rmdir()
        os.replace(aside, folder)
    except OSError as error:
        raise disk_error(folder, error) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return architecture.family.architecture


def shorten(decoder: Decoder, context: int) -> Decoder:
    """The same model with a shorter context. Weights are shared, all but learned positions, which are cut."""
    shape = decoder.shape
    if not 2 <= context <= shape.context:
        what = f"{context} is not between 2 and the {shape.context} the model was trained with"
        raise SeedbedError("model.shape.context", what, "Choose a shorter context.")
    state = dict(decoder.state_dict())
    places = "model.embed_positions.weight"
    if places in state:
        state[places] = state[places][:context].clone()
    return _decoder(dataclasses.replace(shape, context=context), state)


def _decoder(shape: ModelShape, state: Mapping[str, Tensor]) -> Decoder:
    """Made of tensors that are there, so that a large model is not held twice."""
    decoder = Decoder(shape)
    decoder.load_state_dict(state, assign=True)
    return decoder


def _write(folder: Path, weights: Mapping[str, Tensor], files: Mapping[str, str]) -> None:
    folder.mkdir(parents=True)
    write_tensors(folder / WEIGHTS, weights, {"format": "pt"})  # transformers 4 refuses a file that does not say so
    for name, text in files.items():
        write_text(folder / name, text)
