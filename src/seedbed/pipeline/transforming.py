"""A transform asked of a model: its promise is checked on text, and a model folder that tells what was done is left."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack, cast

from seedbed import catalogue
from seedbed.core import parameters, remote
from seedbed.core.artifact import disk_error, write_text
from seedbed.core.errors import RecipeError, SeedbedError, did_you_mean
from seedbed.core.fingerprint import fingerprint, hash_bytes
from seedbed.core.parameters import Json
from seedbed.model.transforming import Transform
from seedbed.pipeline import models, workplace
from seedbed.pipeline.data import texts_into
from seedbed.pipeline.workplace import Workplace
from seedbed.tokenize.run import texts_of

if TYPE_CHECKING:
    from seedbed.core.artifact import Artifact
    from seedbed.model.movement import Movement
    from seedbed.model.transforming import Checkpoint, Given
    from seedbed.recipe import Recipe

NOTE = "transform.json"
"""In the new model's folder: what it was made from and how, what was promised, and what moved."""
SHELF = "model.transforms"
PROBE_TEXTS = 64
"""Texts of each file that movement is measured on, at most."""


class How(TypedDict, total=False):
    """What may be said of a transform.

    Args:
        settings: values of the method's fields, where it is not an instance.
        texts: files that the method may read, where it asks for some.
        others: role -> further model, where the method asks for some.
        probes: files that the movement is measured on; by default `texts`, and random tokens without either.
        seed: of all chance.
    """

    settings: Mapping[str, Json]
    texts: Sequence[str | Path]
    others: Mapping[str, str | Path]
    probes: Sequence[str | Path]
    seed: int


def transform(
    model: str | Path, method: str | Transform, out: str | Path, defaults: Recipe, **how: Unpack[How]
) -> Movement:
    """Make the new model folder, with transform.json in it. Where anything fails, nothing is left.

    Args:
        model: any folder that holds a model.
        method: a name on the shelf, FILE.py:CLASS, or an instance.
        out: a folder that is not there yet.
        defaults: a recipe whose readers and extractor read texts.
        how: see How.

    Raises SeedbedError where the folder holds something, where the model cannot be transformed so, and where the
    transform moved what it promised to keep.
    """
    from seedbed.model import runtime
    from seedbed.model.transforming import Given

    asked = _method(method, how.get("settings", {}))
    target = _target(out)
    files, probed = (workplace.expand(paths) for paths in (how.get("texts", ()), how.get("probes", ())))
    given, seed = how.get("others", {}), how.get("seed", 0)
    _check_given(asked, given, bool(files))
    workplace.check_there("--text", files)
    workplace.check_there("--probe", probed)
    runtime.prepare()
    checkpoint = _read(model)
    others = {role: _read(folder) for role, folder in given.items()}
    with _documents(defaults, files) as texts, _documents(defaults, probed) as probes:

        def read() -> Iterator[str]:
            return (text for artifact in texts for text in texts_of(artifact))

        made, movement = apply(asked, checkpoint, Given(read, others, seed), _probes(probes or texts))
    note: dict[str, Json] = {
        "from": {"model": fingerprint_of(checkpoint), **{role: fingerprint_of(one) for role, one in others.items()}},
        "method": asked.identity(),
        "seed": seed,
        "promise": movement.promise,
        "movement": movement.to_json(),
        "model": fingerprint_of(made),
    }
    _write(target, made, note)
    return movement


def apply(
    transform: Transform, checkpoint: Checkpoint, given: Given, probe_texts: Sequence[str]
) -> tuple[Checkpoint, Movement]:
    """(the new checkpoint, how far the function moved on these texts).

    Raises SeedbedError where a role is not filled or text is missing, where the promise is broken, and where the
    transform changed what it was handed.
    """
    from seedbed.model.movement import moved

    _check_given(transform, given.models, next(iter(given.texts()), None) is not None)
    promise = transform.promise(checkpoint.decoder.shape)
    handed = {"the model": checkpoint, **given.models}
    before = {name: fingerprint_of(one) for name, one in handed.items()}
    made = transform.apply(checkpoint, given)
    for name, one in handed.items():
        if fingerprint_of(one) != before[name]:
            raise SeedbedError(transform.path(), f"changed {name} that it was handed", "It must make a new one.")
    movement = moved(checkpoint, made, probe_texts, promise)
    if movement.broken:
        what = f"broke its promise: {movement.broken}"
        raise SeedbedError(transform.path(), what, "Nothing was written. This is an error of the transform.")
    return made, movement


def fingerprint_of(checkpoint: Checkpoint) -> str:
    """128-bit hash of what a checkpoint means: shape, weights by name, tokenizer; whatever folder it was read from."""
    state = checkpoint.decoder.state_dict()
    weights: dict[str, Json] = {name: hash_bytes(value.cpu().numpy().tobytes()).hex() for name, value in state.items()}
    return fingerprint(
        {
            "shape": parameters.encode_fields(checkpoint.decoder.shape),
            "weights": weights,
            "tokenizer": checkpoint.tokenizer_json,
            "end_of_text": checkpoint.end_of_text,
        }
    )


def _check_given(method: Transform, others: Mapping[str, object], has_texts: bool) -> None:
    """Raises RecipeError for a role that is not filled, models that nobody asked for, and text that is missing."""
    where = method.path()
    missing = [role for role in method.roles if role not in others]
    if missing:
        what = f"needs another model as {missing[0]!r}"
        raise RecipeError(where, what, f"Say --with {missing[0]}=MODEL, or models: {{{missing[0]}: ...}} in a recipe.")
    if others and not method.roles:
        what = f"takes no other model, and one is given as {min(others)!r}"
        raise RecipeError(where, what, "Leave it out.")
    if method.needs_texts and not has_texts:
        raise RecipeError(where, "reads text, and is given none", "Say --text FILE, or texts: [...] in a recipe.")


def _method(named: str | Transform, settings: Mapping[str, Json]) -> Transform:
    if not isinstance(named, str):
        if settings:
            raise RecipeError("settings", "the method is given as it shall be", "Set its fields when you make it.")
        return named
    known = catalogue.on_shelf(SHELF)
    path = f"{SHELF}.{named}" if f"{SHELF}.{named}" in known else named
    if ".py:" not in path and path not in known:
        names = [name.rpartition(".")[2] for name in known]
        raise RecipeError(named, "there is no such transform", did_you_mean(named, names))
    cls = catalogue.load(path)
    if not issubclass(cls, Transform):
        raise RecipeError(named, "is no Transform", "Name a class of seedbed.model.transforming.Transform.")
    return cast(Transform, parameters.decode_fields(cls, dict(settings), cls.name(), catalogue.build))


def _target(out: str | Path) -> Path:
    if remote.is_remote(out):
        raise RecipeError("--out", f"{out} is in a store, and models are written here", "Name a folder here.")
    folder = Path(out)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise SeedbedError(str(folder), "is there already, and not empty", "Name a new folder, or remove this one.")
    return folder.absolute()


def _read(folder: str | Path) -> Checkpoint:
    from seedbed.model.transforming import Checkpoint

    return Checkpoint(*models.read(folder))


@contextlib.contextmanager
def _documents(defaults: Recipe, files: tuple[str, ...]) -> Generator[list[Artifact], None, None]:
    """The documents of each file, read like any others, for as long as they are needed."""
    if not files:
        yield []
        return
    with tempfile.TemporaryDirectory(prefix="seedbed-") as scratch, Workplace.open(scratch) as place:
        yield [texts_into(place, defaults.curate, [file]) for file in files]


def _probes(documents: Sequence[Artifact]) -> list[str]:
    """The first texts of each file."""
    return [text for artifact in documents for text, _ in zip(texts_of(artifact), range(PROBE_TEXTS), strict=False)]


def _write(target: Path, made: Checkpoint, note: Mapping[str, Json]) -> None:
    """A whole model folder under its name, or nothing."""
    from seedbed.model.checkpoint import save_model

    aside = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        aside.mkdir(parents=True)
        if made.tokenizer_json is not None and made.end_of_text is not None:
            from tokenizers import Tokenizer

            token = cast(str, Tokenizer.from_str(made.tokenizer_json).id_to_token(made.end_of_text))
            write_text(aside / "special.json", json.dumps({"end_of_text": token}))
        write_text(aside / NOTE, json.dumps(dict(note), indent=1, sort_keys=True, ensure_ascii=False) + "\n")
        save_model(aside, made.decoder, made.tokenizer_json)
        if target.exists():
            target.rmdir()
        os.replace(aside, target)
    except OSError as error:
        raise disk_error(target, error) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
