"""A model by the name of any folder that holds one: a training folder, a run, a checkpoint, a model, Hugging Face's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from seedbed.core import remote
from seedbed.core.artifact import disk_error
from seedbed.core.errors import SeedbedError

if TYPE_CHECKING:
    from seedbed.model.hugging_face import ModelFolder
    from seedbed.model.language_model import LanguageModel
    from seedbed.model.runtime import Runtime

MODEL, CHECKPOINTS = "model", "checkpoints"
"""Folders of a training run: the final model with its tokenizer, and the states it went through."""


def find(given: str | Path) -> Path:
    """The folder with the model: of a training run the final one, before that its newest checkpoint."""
    from seedbed.pipeline import workplace

    folder = workplace.local(given)
    if (folder / "config.json").exists():
        return folder
    if (folder / MODEL / "config.json").exists():
        return folder / MODEL
    steps = [path for path in (folder / CHECKPOINTS).glob("step-*") if (path / "state.json").exists()]
    if steps:
        return max(steps, key=lambda path: int(path.name.removeprefix("step-")))
    if not folder.is_dir():
        mend = "Name a model folder, with config.json in it, or a training folder."
        raise SeedbedError(remote.url_of(given), "there is no such folder", mend)
    mend = "Name a training folder, one of its checkpoints, or a folder with config.json and weights."
    raise SeedbedError(remote.url_of(given), "holds no model: there is no config.json", mend)


def tokenizer_file(given: str | Path) -> Path | None:
    """The model's tokenizer.json; a checkpoint's is that of its run."""
    folder = find(given)
    for place in (folder, folder.parent.parent / MODEL):
        if (place / "tokenizer.json").exists():
            return place / "tokenizer.json"
    return None


def read(given: str | Path) -> ModelFolder:
    """(decoder, tokenizer.json as text or None, id of the end-of-text token or None)."""
    from seedbed.model.hugging_face import ModelFolder, open_model_folder

    folder = find(given)
    found, file = open_model_folder(folder), tokenizer_file(given)
    if found.tokenizer_json is not None or file is None:
        return found
    text, special = file.read_text(encoding="utf-8"), file.with_name("special.json")
    if not special.exists():
        return ModelFolder(found.decoder, text, found.end_of_text)
    from tokenizers import Tokenizer

    token = json.loads(special.read_text(encoding="utf-8"))["end_of_text"]
    return ModelFolder(found.decoder, text, Tokenizer.from_str(text).token_to_id(token))


def open_model(given: str | Path) -> LanguageModel:
    """A model that can be asked. Raises SeedbedError where it has no tokenizer, or none that ends a text."""
    from seedbed.model.language_model import LanguageModel

    decoder, definition, end_of_text = read(given)
    if definition is None:
        raise SeedbedError(str(given), "holds no tokenizer.json", "Copy the model's tokenizer.json there.")
    if end_of_text is None:
        mend = 'Write {"end_of_text": "..."} to special.json beside it.'
        raise SeedbedError(str(given), "its tokenizer does not say which token ends a text", mend)
    return LanguageModel(decoder, end_of_text, definition)


def sample(
    given: str | Path,
    prompt: str,
    *,
    max_tokens: int = 128,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    seed: int = 0,
    runtime: Runtime | None = None,
) -> Iterator[str]:
    """Pieces of the text that a model writes after a prompt."""
    from seedbed.model.sampling import sample

    decoder, definition, end_of_text = read(given)
    if definition is None:
        raise SeedbedError(str(given), "holds no tokenizer.json", "Copy the model's tokenizer.json there.")
    return sample(
        decoder,
        definition,
        prompt,
        max_tokens=max_tokens,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        seed=seed,
        end_of_text=end_of_text,
        runtime=runtime,
    )


def export_hugging_face(given: str | Path, target: Path) -> dict[str, int | str]:
    """Write the model as Hugging Face's folder; gives what is worth telling."""
    from seedbed.model import counts
    from seedbed.model.hugging_face import write_hugging_face

    found = read(given)
    try:
        architecture = write_hugging_face(target, *found)
    except OSError as error:
        raise disk_error(target, error) from error
    size = sum(file.stat().st_size for file in target.iterdir())
    return {"architecture": architecture, "parameters": counts.total_parameters(found.decoder.shape), "bytes": size}
