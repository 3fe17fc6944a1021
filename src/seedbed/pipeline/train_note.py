"""train.json: what a training run was asked to be, what it reads, on which machine it runs, and what came of it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from seedbed import catalogue
from seedbed import recipe as trees
from seedbed.core import parameters
from seedbed.core.artifact import write_text
from seedbed.core.errors import SeedbedError
from seedbed.core.parameters import Json
from seedbed.pipeline import models
from seedbed.pipeline.sources import SourceFiles
from seedbed.pipeline.train_data import TrainData
from seedbed.train.plan import TrainPlan

NOTE = "train.json"
FORMAT = 1


def of(out: Path, plan: TrainPlan, seed: int, read: TrainData, begun_from: Mapping[str, str]) -> dict[str, Json]:
    """train.json as far as it is known before the loop. `begun_from`: "init", "branch" or "continue" -> folder."""

    def place(path: Path) -> str:
        return os.path.relpath(path, out) if path.resolve().is_relative_to(out.resolve()) else str(path.resolve())

    sources: dict[str, Json] = {}
    for name, files in read.sources.items():
        folders = {"documents": files.documents, "tokens": files.tokens, "weights": files.weights}
        told: dict[str, Json] = {role: place(folder) for role, folder in folders.items() if folder is not None}
        sources[name] = {**told, "fingerprints": files.fingerprints()}
    tokenizer: dict[str, Json] = {"folder": place(read.tokenizer.path), "fingerprint": read.tokenizer.fingerprint}
    return {
        "format": FORMAT,
        "seed": seed,
        "plan": parameters.encode(plan),
        "resolved": {"batch_sequences": plan.sequences, "learning_rate": plan.peak_learning_rate, "steps": plan.steps},
        "sources": sources,
        "tokenizer": tokenizer,
        "begun_from": dict(begun_from),
    }


_NO_EFFECT = ("plan.checkpoints", "plan.micro_batch_sequences", "plan.log_every_steps")


def identity(note: Mapping[str, Json]) -> dict[str, Json]:
    """What must be the same for a folder's run to go on: dotted path -> value."""
    sources = cast("dict[str, dict[str, Json]]", note["sources"])
    covered: dict[str, Json] = {key: note[key] for key in ("seed", "plan", "begun_from")}
    covered["sources"] = {name: told["fingerprints"] for name, told in sources.items()}
    flat = trees.flatten(covered)
    return {path: value for path, value in flat.items() if not path.startswith(_NO_EFFECT)}


def check_same(out: Path, note: Mapping[str, Json]) -> None:
    """Raises SeedbedError where the folder holds another run, naming what differs."""
    before = read(out)
    if not before or not any((out / models.CHECKPOINTS).glob("step-*")):
        return
    old, new = identity(before), identity(note)
    differs = [path for path in {**old, **new} if old.get(path) != new.get(path)]
    if differs:
        told = [f"{path} was {_short(old.get(path))} and is {_short(new.get(path))}" for path in differs[:4]]
        more = f" and {len(differs) - 4} more" if len(differs) > 4 else ""
        mend = f"Name another --out; to go on from this run under another plan, add --branch {out}."
        raise SeedbedError(str(out), f"this folder holds another run: {'; '.join(told)}{more}", mend)


def _short(value: Json) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else text[:37] + "..."


def read(folder: Path) -> dict[str, Json]:
    """train.json, or nothing. Raises SeedbedError where it is of another version."""
    file = folder / NOTE
    if not file.exists():
        return {}
    note = cast("dict[str, Json]", json.loads(file.read_text(encoding="utf-8")))
    if note.get("format") != FORMAT:
        raise SeedbedError(str(file), f"has format {note.get('format')}; this version of seedbed reads format {FORMAT}")
    return note


def add(folder: Path, **told: Json) -> None:
    """More that is known."""
    write_text(folder / NOTE, json.dumps({**read(folder), **told}, indent=1) + "\n")


def plan_of(note: Mapping[str, Json]) -> TrainPlan:
    """The plan in it."""
    return parameters.decode(TrainPlan, note["plan"], "train", cast(parameters.MethodReader, catalogue.build))


def sources_of(folder: Path, note: Mapping[str, Json]) -> dict[str, SourceFiles]:
    """The sources in it."""
    found: dict[str, SourceFiles] = {}
    for name, told in cast("dict[str, dict[str, str]]", note["sources"]).items():
        weights = folder / told["weights"] if "weights" in told else None
        found[name] = SourceFiles(folder / told["documents"], folder / told["tokens"], weights)
    return found


def is_done(folder: Path, last_step: int) -> bool:
    """Whether the run there has come so far, with its model written."""
    done = cast("dict[str, Any]", read(folder).get("done") or {})
    return done.get("step", -1) >= last_step and (folder / models.MODEL / "config.json").exists()
