"""What a stage's model goes through before the first step: transforms, each measured, side by side over seeds."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import cast

from seedbed.core.artifact import Artifact, Draft, Request, Store
from seedbed.core.errors import RecipeError
from seedbed.core.fingerprint import library_versions
from seedbed.core.parameters import Json
from seedbed.engine.contract import Tick
from seedbed.pipeline import models
from seedbed.pipeline.continual_data import Ground, checkpoint_of, written
from seedbed.pipeline.workplace import Workplace, given
from seedbed.recipe.continual import Entry, Route, TrainingStage
from seedbed.tokenize.run import texts_of

PROBE_TEXTS = 32
"""Texts of each source on which it is measured how far the function moved."""


@dataclasses.dataclass(frozen=True)
class Entering:
    """A model on its way into a stage.

    Args:
        label: of the stage.
        entries: what it goes through, in order.
        model: where it comes from.
        texts: source -> kept documents, of all sources that entries may read.
        probes: documents that the movement is measured on.
        models: role -> model folder, for each entry.
        seed: of all chance.
        root: the output folder.
    """

    label: str
    entries: tuple[Entry, ...]
    model: Path
    texts: Mapping[str, Path]
    probes: tuple[Path, ...]
    models: tuple[Mapping[str, Path], ...]
    seed: int
    root: Path

    @classmethod
    def of(
        cls, ground: Ground, stage: TrainingStage, model: Artifact, run_of: Callable[[str], Artifact], seed: int
    ) -> Entering:
        """With stages and folders found."""
        named = sorted({name for entry in stage.entry for name in entry.texts})
        roles = tuple(_models(ground, entry, run_of) for entry in stage.entry)
        probes = tuple(ground.kept(name).path for name in sorted({*stage.sources, *stage.replay}))
        texts = {name: ground.kept(name).path for name in named}
        return cls(stage.name, stage.entry, model.path, texts, probes, roles, seed, ground.place.out)

    @property
    def request(self) -> Request:
        """The Model it makes."""
        parents = {"model": Artifact(self.model).fingerprint}
        for name, folder in self.texts.items():
            parents[f"{name}: documents"] = Artifact(folder).fingerprint
        told: list[Json] = []
        for at, folder in enumerate(self.probes):
            parents[f"probes {at}: documents"] = Artifact(folder).fingerprint
        for number, (entry, given_models) in enumerate(zip(self.entries, self.models, strict=True), 1):
            told.append({**entry.transform.identity(), "texts": list(entry.texts)})
            parents |= {f"entry {number}, {role}: model": _fingerprint(folder) for role, folder in given_models.items()}
        identity: dict[str, Json] = {"entry": told, "seed": self.seed, "libraries": library_versions("torch")}
        return Request("Model", f"entry-{self.label}-seed{self.seed}", identity, parents)


def enter_all(place: Workplace, entering: Sequence[Entering]) -> list[Artifact]:
    """The Model artifacts, in order; in each, movement.json tells what every transform did to the function."""
    requests = [one.request for one in entering]
    waiting = {
        request.folder: one
        for one, request in zip(entering, requests, strict=True)
        if place.store.find(request) is None
    }
    if waiting:
        label = f"transform {len(waiting)} models"
        place.engine.run(enter_one, list(waiting.values()), label=label, total=len(waiting), unit="models")
    return [cast(Artifact, place.store.find(request)) for request in requests]


def enter_one(task: Entering, tick: Tick) -> None:
    """Apply the transforms one after another, and write the model."""
    from seedbed.model import runtime
    from seedbed.model.transforming import Given
    from seedbed.pipeline import transforming

    runtime.prepare()

    def fill(draft: Draft) -> dict[str, Json]:
        checkpoint, told = checkpoint_of(task.model), list[Json]()
        probes = [text for folder in task.probes for text in _first(folder)]
        for entry, folders in zip(task.entries, task.models, strict=True):

            def texts(names: tuple[str, ...] = entry.texts) -> Iterator[str]:
                for name in names:
                    yield from texts_of(Artifact(task.texts[name]))

            others = {role: checkpoint_of(folder) for role, folder in folders.items()}
            checkpoint, movement = transforming.apply(
                entry.transform, checkpoint, Given(texts, others, task.seed), probes
            )
            told.append({"method": entry.transform.path(), "movement": movement.to_json()})
        draft.write_text("movement.json", json.dumps(told, indent=1) + "\n")
        return {**written(draft, checkpoint), "entry": told}

    Store(task.root).make(task.request, fill)
    tick(1)


def _first(folder: Path) -> list[str]:
    """Some texts of a source."""
    return list(islice(texts_of(Artifact(folder)), PROBE_TEXTS))


def check(route: Route, number: int, out: Path) -> None:
    """Raises RecipeError for a role that is not filled and for text that is missing; before anything is trained."""
    stage, before = route.stages[number], [stage.name for stage in route.stages[:number]]
    where = f"continual.{route.name}.{stage.name}.entry"
    for entry in stage.entry:
        method = entry.transform
        missing = [role for role in method.roles if role not in entry.models]
        if missing:
            what = f"{method.path()} asks for a model as {missing[0]!r}"
            raise RecipeError(where, what, f"Name a stage or a folder: models: {{{missing[0]}: ...}}.")
        if entry.models and not method.roles:
            raise RecipeError(where, f"{method.path()} takes no other model", "Leave `models` out.")
        if method.needs_texts and not entry.texts:
            raise RecipeError(where, f"{method.path()} reads text", "Name sources: texts: [...].")
        for name in entry.models.values():
            if name not in before:
                models.find(given(out, name))


def _models(ground: Ground, entry: Entry, run_of: Callable[[str], Artifact]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for role, name in entry.models.items():
        try:
            found[role] = run_of(name).path
        except StopIteration:
            found[role] = given(ground.place.out, name)
    return found


def _fingerprint(folder: Path) -> str:
    """Of a stage's model, or of one in any folder."""
    from seedbed.pipeline import transforming

    if (folder / "manifest.json").exists():
        return Artifact(folder).fingerprint
    return transforming.fingerprint_of(checkpoint_of(folder))
