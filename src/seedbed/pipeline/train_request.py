"""What `seedbed train` is asked: the request, and the recipe that it means."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, TypedDict

from seedbed import recipe as trees
from seedbed.core import remote, units
from seedbed.core.errors import RecipeError
from seedbed.core.fingerprint import fingerprint
from seedbed.core.parameters import Json
from seedbed.pipeline import models, workplace
from seedbed.recipe import POOL, Recipe, SourcePlan


class How(TypedDict, total=False):
    """How a run is trained: what stops it, watches it, and computes it."""

    continue_from: str | Path | None
    """A run to go on from under the same plan, in another folder."""
    rewarm: str | Path | None
    """A run, or its checkpoint, whose weights, moments and places in the data a new stage begins with; with `init` the
    weights are that model's, and the moments fresh."""
    fresh_optimizer: bool
    """Of `rewarm`: leave its moments behind."""
    from_annealed: bool
    """Begin from a checkpoint whose rate has come down already."""
    reference: str | Path | None
    """The model that a reweighter compares with."""
    until_tokens: int | str | None
    """End this call early; a later one goes on."""
    track: tuple[str, ...]
    """"tensorboard", "wandb" (offline)."""
    device: Literal["auto", "cpu", "cuda"]
    threads: int | None
    loader_workers: int
    parallel: Literal["ddp", "fsdp"]
    workers: int
    """Processes of curation."""


@dataclasses.dataclass(frozen=True)
class Asked:
    """What `seedbed train` was asked.

    Args:
        recipe: what is trained on what.
        defaults: has the sections that it may lack.
        out: folder of the run.
        origin: the output folder that the recipe is of, as it was named; its curations are taken as they are.
        inputs: files and folders instead of the recipe's.
        settings: values by recipe path.
        tokens: how long, instead of the plan's.
        seed: of initial weights and order.
        weights: a Weights folder, for the source `pool`.
        init: a model to start from: a training folder, a checkpoint, a model folder, Hugging Face's.
        branch, continue_from: a training folder or checkpoint to go on from, with another plan or the same.
        rewarm: a training folder or checkpoint that a new stage begins from: its schedule begins anew.
        fresh_optimizer: of rewarm: leave the optimizer's moments behind.
        from_annealed: branch, continue_from and rewarm may name a checkpoint whose rate has come down already.
        reference: a model that the reweighter compares with.
        until_tokens: end this call early.
        track: "tensorboard", "wandb".
        device, threads, loader_workers, parallel: how to compute; None for threads chooses.
        workers: processes of curation.
    """

    recipe: Recipe
    defaults: Recipe
    out: str | Path
    origin: str | None = None
    inputs: tuple[str, ...] = ()
    settings: Mapping[str, Json] = dataclasses.field(default_factory=dict[str, Json])
    tokens: int | str | None = None
    seed: int = 0
    weights: str | Path | None = None
    init: str | Path | None = None
    branch: str | Path | None = None
    continue_from: str | Path | None = None
    rewarm: str | Path | None = None
    fresh_optimizer: bool = False
    from_annealed: bool = False
    reference: str | Path | None = None
    until_tokens: int | str | None = None
    track: tuple[str, ...] = ()
    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: int | None = None
    loader_workers: int = 0
    parallel: Literal["ddp", "fsdp"] = "ddp"
    workers: int = 1

    @property
    def model(self) -> str | Path | None:
        """Where the run's first weights are, and so its tokenizer."""
        return self.init or self.branch or self.continue_from or self.rewarm


def recipe_of(asked: Asked) -> tuple[Recipe, Path | None]:
    """The recipe with its values set, and the output folder it is of. Sections that training does not use are gone."""
    recipe, origin = dataclasses.replace(asked.recipe, compare=None, ladder=None, continual=None), None
    if asked.origin is not None:
        folder, out = workplace.local(asked.origin), workplace.local(asked.out)
        origin = folder if folder.resolve() != out.resolve() else out
    if recipe.train is None:
        recipe = dataclasses.replace(recipe, train=asked.defaults.train)
    if recipe.tokenizer is None and asked.model is None:
        recipe = dataclasses.replace(recipe, tokenizer=asked.defaults.tokenizer)
    recipe = trees.change(recipe, asked.settings)
    assert recipe.train is not None
    if asked.tokens is not None:
        plan = dataclasses.replace(recipe.train, tokens=units.count(asked.tokens, "--tokens"))
        recipe = dataclasses.replace(recipe, train=plan)
    if asked.inputs:
        recipe, origin = dataclasses.replace(recipe, inputs=asked.inputs), None
    if asked.weights is not None:
        pool = recipe.sources.get(POOL, SourcePlan(recipe.inputs) if recipe.inputs else None)
        if pool is None:
            raise RecipeError("--weights", "there is no source pool", "Write them into `sources` of the recipe.")
        chosen = dataclasses.replace(pool, weights=str(asked.weights))
        recipe = dataclasses.replace(recipe, inputs=(), sources={POOL: chosen, **_others(recipe)})
    return recipe, origin


def hash_of(recipe: Recipe, origin: Path | None, asked: Asked) -> str:
    """A hash of what was asked, and of the size and date of every input: the same again needs no second look."""
    named = [recipe.inputs, *(plan.inputs for plan in recipe.sources.values())]
    paths = workplace.resolve([name for names in named for name in names if not remote.is_remote(name)])
    found = [file for path in paths for file in (sorted(path.rglob("*")) if path.is_dir() else [path]) if file.exists()]
    files = [f"{file} {file.stat().st_size} {file.stat().st_mtime_ns}" for file in found]
    folders = (origin, asked.init, asked.branch, asked.continue_from, asked.rewarm, asked.reference)
    told: list[Json] = [None if folder is None else str(folder) for folder in folders]
    covered: dict[str, Json] = {"recipe": trees.to_json(recipe), "files": list[Json](files), "folders": told}
    return fingerprint({**covered, "seed": asked.seed, "fresh_optimizer": asked.fresh_optimizer})


def _others(recipe: Recipe) -> dict[str, SourcePlan]:
    return {name: plan for name, plan in recipe.sources.items() if name != POOL}


def check_there(asked: Asked, recipe: Recipe, origin: Path | None) -> None:
    """What is named is there; before anything is made."""
    if origin is None:  # else they were read long ago
        workplace.check_there("inputs", recipe.inputs)
    for name, source in recipe.sources.items():
        workplace.check_there(f"sources.{name}", [path for path in (source.curated, source.weights) if path])
    for given in (asked.init, asked.reference):
        if given is not None:
            models.find(given)
    if recipe.evaluate is not None:
        workplace.check_there("evaluate.texts", recipe.evaluate.texts.values())
