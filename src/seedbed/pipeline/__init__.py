"""Recipe -> artifacts. The only place that knows all rooms; rooms hand over artifacts and never call each other."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

from seedbed.core import remote
from seedbed.core.errors import RecipeError
from seedbed.core.parameters import Json
from seedbed.pipeline.workplace import Workplace

if TYPE_CHECKING:
    from seedbed.core.artifact import Artifact
    from seedbed.curate.reading import Part
    from seedbed.curate.run import Curated
    from seedbed.pipeline.material import Material
    from seedbed.recipe import Recipe, Stage


def run(
    recipe: Recipe,
    out: str | Path,
    *,
    inputs: Sequence[str] = (),
    workers: int = 1,
    engine: str = "local",
    check: bool = False,
) -> dict[str, Json]:
    """Run every section of a recipe and write the report. Gives the index of what was made, by role.

    Args:
        recipe: what to do.
        out: the output folder; what is there already is not made again.
        inputs: files and folders instead of the recipe's.
        workers: processes at once; the result does not depend on it.
        engine: where they run: `local`, `ray` or `ray:ADDRESS`; nor does it depend on that.
        check: refuse to start where disk or memory will not do.
    """
    from seedbed.pipeline import preflight, reporting, workplace

    workplace.check_engine(engine)
    given = tuple(inputs) or recipe.inputs
    if not given and not recipe.sources:
        raise RecipeError("inputs", "this recipe names no input", "Name files or folders.")
    workplace.check_there("target", recipe.target)
    if recipe.evaluate is not None:
        workplace.check_there("evaluate.texts", recipe.evaluate.texts.values())
    recipe = dataclasses.replace(recipe, inputs=given)
    if check:
        preflight.check(recipe, given, out, workers)
    with Workplace.open(out, workers, engine) as place:
        _run_sections(place, recipe)
        reporting.report_into(place, recipe)
    return workplace.read_index(out)


def _run_sections(place: Workplace, recipe: Recipe) -> None:
    from seedbed.pipeline import continual, data

    if recipe.continual is not None:
        place.remember_recipe(recipe)
        continual.continual_into(place, recipe)
    if not recipe.inputs:
        return
    curated = data.curate_into(place, recipe, recipe.inputs)
    if recipe.tokenizer is None:
        return
    if recipe.train is None or recipe.evaluate is None or (recipe.compare is None and recipe.ladder is None):
        data.tokenize_into(place, recipe.tokenizer, curated.kept)
        return
    from seedbed.pipeline import compare, ladder, leaks, scoring

    material = _material(place, recipe)
    texts = scoring.heldout(place, recipe)
    scoring.audit_into(place, recipe.evaluate, material.pool, texts)
    if recipe.compare is not None:
        leaks.refuse_overlap(place, recipe.evaluate.audit, material, texts)
        compare.compare_into(place, material, recipe.compare, recipe.evaluate, texts)
    if recipe.ladder is not None:
        ladder.ladder_into(place, material, recipe.ladder, recipe.evaluate, texts)


def _material(place: Workplace, recipe: Recipe) -> Material:
    """What arms choose from and train with, of a folder that is curated."""
    from seedbed.pipeline import data, workplace
    from seedbed.pipeline.material import Material

    assert recipe.tokenizer is not None
    assert recipe.train is not None
    tokenizer, pool = data.tokenize_into(place, recipe.tokenizer, workplace.curated_at(place.out).kept)
    target = data.target_pool(place, recipe, tokenizer) if recipe.target else None
    shape = dataclasses.replace(recipe.train.shape, vocab_size=cast(int, tokenizer.about["vocab_size"]))
    return Material(pool, target, tokenizer, dataclasses.replace(recipe.train, shape=shape), recipe.curate)


def curate(
    recipe: Recipe,
    out: str | Path,
    *,
    inputs: Sequence[str] = (),
    workers: int = 1,
    engine: str = "local",
    published: str | Path | None = None,
    check: bool = False,
) -> Curated:
    """The curate section alone. What the folder `published` kept is not dropped for a duplicate that came later."""
    from seedbed.pipeline import data, preflight, reporting, workplace

    workplace.check_engine(engine)
    if published is not None:
        workplace.curated_at(published)
    given = tuple(inputs) or recipe.inputs
    if check:
        preflight.check(recipe, given, out, workers)
    with Workplace.open(out, workers, engine) as place:
        curated = data.curate_into(place, recipe, given, published)
        reporting.report_into(place, recipe)
    return curated


def read_part(recipe: Recipe, out: str | Path, shard: str, *, inputs: Sequence[str], workers: int = 1) -> int:
    """Read the part `shard`, "3/16", of the input; parts may be read at the same time. Gives the shards read."""
    from seedbed.core.artifact import Store
    from seedbed.curate.forgotten import Forgotten
    from seedbed.curate.reading import read_part
    from seedbed.curate.sources import find_sources
    from seedbed.engine.local import LocalEngine
    from seedbed.pipeline import workplace

    part = part_of(shard)
    if remote.is_remote(out):
        mend = "Name a folder that all jobs share as --out; the run that follows may write to the store."
        raise RecipeError(f"--shard {shard}", "parts of a run do not meet in a store", mend)
    root = Path(out)
    sources, _ = find_sources(workplace.resolve(inputs), recipe.curate.readers)
    with contextlib.closing(LocalEngine(workers)) as engine:  # no lock: parts write different files
        return read_part(recipe.curate, sources, Store(root), engine, part, Forgotten.of(root))


def part_of(shard: str) -> Part:
    """The part that "3/16" names. Raises RecipeError where it is none."""
    from seedbed.curate.reading import Part

    number, _, of = shard.partition("/")
    if not (number.isdecimal() and of.isdecimal() and 1 <= int(number) <= int(of)):
        raise RecipeError(f"--shard {shard}", "is no part of a whole", "Parts count from 1: 3/16, up to 16/16.")
    return Part(int(number), int(of))


def tokenize(recipe: Recipe, out: str | Path, *, workers: int = 1) -> None:
    """The tokenizer section, on a folder that is curated."""
    from seedbed.pipeline import data, workplace

    with Workplace.open(out, workers) as place:
        assert recipe.tokenizer is not None
        place.remember_recipe(recipe)
        data.tokenize_into(place, recipe.tokenizer, workplace.curated_at(out).kept)


def select(
    recipe: Recipe, out: str | Path, stage: Stage, *, budget_tokens: int, seed: int = 0, workers: int = 1
) -> Artifact:
    """Weights of one way to choose, on a folder that is curated."""
    from seedbed.core.artifact import Artifact
    from seedbed.pipeline import arms, workplace

    workplace.check_there("--target", recipe.target)
    with Workplace.open(out, workers) as place:
        place.remember_recipe(recipe)
        material = _material(place, recipe)
        weights = arms.weights_of_stage(place, material, stage, budget_tokens, seed=seed)
        place.remember_made("selected", weights)
        if "mixture" in weights.about:
            place.remember_made("selected", Artifact(weights.path.parent / str(weights.about["mixture"])))
    return weights


def evaluate(model: Path, texts: Sequence[str], defaults: Recipe) -> dict[str, Json]:
    """{"bits_per_byte", "loss_nats_per_token", "tokens", "bytes"} of a model folder on files; nothing is left."""
    from seedbed.pipeline import models, scoring, workplace

    models.find(model)
    workplace.check_there("--text", texts)
    return scoring.evaluate_files(model, texts, defaults)


def report(out: str | Path) -> Path:
    """Write report.html anew."""
    from seedbed.pipeline import reporting, workplace

    workplace.read_index(out)  # a folder that holds nothing is not made
    with Workplace.open(out) as place:
        return reporting.report_into(place, workplace.read_recipe(out))
