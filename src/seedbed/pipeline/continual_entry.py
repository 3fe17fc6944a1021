"""What a stage's model goes through before the first step: transforms, each measured, side by side over seeds."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import cast

from seedbed.core import arrow
from seedbed.core.artifact import Artifact, Draft, Request, Store
from seedbed.core.errors import RecipeError
from seedbed.core.parameters import Json
from seedbed.engine.contract import Tick
from seedbed.pipeline.continual_data import Ground, checkpoint_of, written
from seedbed.pipeline.workplace import Workplace, given
from seedbed.recipe.continual import Entry, TrainingStage
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
        """With stages and folders found. Raises RecipeError for a role that is not filled."""
        named = sorted({name for entry in stage.entry for name in entry.texts})
        roles = tuple(_models(ground, stage, entry, run_of) for entry in stage.entry)
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
        for entry, models in zip(self.entries, self.models, strict=True):
            told.append({**entry.transform.identity(), "texts": list(entry.texts)})
            parents |= {f"{role}: model": _fingerprint(folder) for role, folder in models.items()}
        return Request("Model", f"entry-{self.label}-seed{self.seed}", {"entry": told, "seed": self.seed}, parents)


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
        for entry, models in zip(task.entries, task.models, strict=True):

            def texts(names: tuple[str, ...] = entry.texts) -> Iterator[str]:
                for name in names:
                    yield from texts_of(Artifact(task.texts[name]))

            others = {role: checkpoint_of(folder) for role, folder in models.items()}
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
    shard = Artifact(folder).shards()[0]
    rows = next(iter(arrow.row_groups(shard, ["text"])))
    return [text or "" for text in arrow.strings(rows.slice(0, PROBE_TEXTS), "text")]


def _models(ground: Ground, stage: TrainingStage, entry: Entry, run_of: Callable[[str], Artifact]) -> dict[str, Path]:
    where = f"continual.{stage.name}.entry"
    missing = [role for role in entry.transform.roles if role not in entry.models]
    if missing:
        what = f"{entry.transform.path()} asks for a model as {missing[0]!r}"
        raise RecipeError(where, what, f"Name a stage or a folder: models: {{{missing[0]}: ...}}.")
    if entry.transform.needs_texts and not entry.texts:
        raise RecipeError(where, f"{entry.transform.path()} reads text", "Name sources: texts: [...].")
    found: dict[str, Path] = {}
    for role, name in entry.models.items():
        try:
            found[role] = run_of(name).path
        except StopIteration:
            found[role] = given(ground.place.out, name)
    return found


def _fingerprint(folder: Path) -> str:
    from seedbed.model.checkpoint import model_fingerprint

    return model_fingerprint(folder)
