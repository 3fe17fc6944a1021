"""What a training run reads: its texts curated (or found curated), one tokenizer, and the tokens of each source."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import cast

from seedbed.core import remote
from seedbed.core.artifact import Artifact, Draft, Request, Store
from seedbed.core.errors import RecipeError, SeedbedError
from seedbed.core.parameters import Json
from seedbed.pipeline import accounts, data, models, workplace
from seedbed.pipeline.sources import SourceFiles
from seedbed.pipeline.workplace import Workplace
from seedbed.recipe import POOL, Recipe, SourcePlan
from seedbed.tokenize.contract import TokenizerMaker
from seedbed.tokenize.encode import Encoder
from seedbed.tokenize.run import make_tokenizer, texts_of, tokenize
from seedbed.tokenize.tokenizers.from_file import FromFile

SOURCES = "sources"
"""Below the output folder: the curation of each source that has a name of its own."""


@dataclasses.dataclass(frozen=True)
class TrainData:
    """Everything on disk that a run reads.

    Args:
        tokenizer: the Tokenizer artifact.
        sources: by name.
        recipe: with each text that was found curated named by its folder, so that the run can be started from it again.
    """

    tokenizer: Artifact
    sources: Mapping[str, SourceFiles]
    recipe: Recipe


def prepare(place: Workplace, recipe: Recipe, origin: Path | None, named: str, init: str | Path | None) -> TrainData:
    """Curate what is not curated, and tokenise what is not tokenised.

    Args:
        place: the output folder.
        recipe: with a tokenizer, unless that of `init` is to be taken.
        origin: the output folder that the recipe is of, whose curations are taken as they are.
        named: that folder as the user wrote it.
        init: the model that training starts from; its tokenizer is the run's.
    """
    plans = source_plans(recipe)
    if init is not None and recipe.tokenizer is None:
        recipe = dataclasses.replace(recipe, tokenizer=tokenizer_of(init))
    folders = {name: curated_source(place, recipe, name, plan, origin) for name, plan in plans.items()}
    kept = {name: workplace.curated_at(folder).kept for name, folder in folders.items()}
    tokenizer = _tokenizer(place, recipe.tokenizer, kept, folders, init)
    sources: dict[str, SourceFiles] = {}
    for name, plan in plans.items():
        tokens = tokens_of(place, kept[name], tokenizer, folders[name])
        if tokens.about["tokens"] == 0:
            raise SeedbedError(
                str(folders[name]), "no document was kept, so there is nothing to read", "See its ledger."
            )
        weights = workplace.given(place.out, plan.weights) if plan.weights else None
        sources[name] = SourceFiles(kept[name].path, tokens.path, weights)
    _remember(place, tokenizer, sources, folders)
    elsewhere = {
        name: dataclasses.replace(plans[name], inputs=(), curated=_as_written(folder, origin, named))
        for name, folder in folders.items()
        if not folder.resolve().is_relative_to(place.out.resolve())
    }
    inputs = () if POOL in elsewhere else recipe.inputs
    here = {name: plan for name, plan in recipe.sources.items() if name not in elsewhere}
    return TrainData(tokenizer, sources, dataclasses.replace(recipe, inputs=inputs, sources={**elsewhere, **here}))


def source_plans(recipe: Recipe) -> dict[str, SourcePlan]:
    """Every source, the recipe's inputs among them. Raises RecipeError where there is none."""
    if recipe.inputs and POOL in recipe.sources and recipe.sources[POOL].inputs:
        raise RecipeError("sources.pool", "`inputs` are the source pool already", "Give this source another name.")
    inputs = {POOL: SourcePlan(recipe.inputs)} if recipe.inputs and POOL not in recipe.sources else {}
    plans = {**inputs, **recipe.sources}
    if not plans:
        mend = "Name files or folders with --input, a section `sources`, or a folder that is curated as RECIPE."
        raise RecipeError("inputs", "this recipe names no text to train on", mend)
    return {name: plans[name] for name in sorted(plans)}  # the order in which they were written down means nothing


def curated_source(place: Workplace, recipe: Recipe, name: str, plan: SourcePlan, origin: Path | None) -> Path:
    """The output folder of a source's curation, made where there is none."""
    if plan.curated:
        workplace.curated_at(plan.curated)
        return workplace.local(plan.curated)
    below = "" if name == POOL else f"{SOURCES}/{name}"
    if origin is not None and "curate" in workplace.read_index(origin / below, missing_is_empty=True):
        return origin / below
    workplace.check_there(f"the inputs of source {name}", plan.inputs)
    if name == POOL:
        data.curate_into(place, recipe, plan.inputs)
        return place.out
    from seedbed import pipeline

    alone = Recipe(f"{recipe.name}: {name}", recipe.about, recipe.curate, plan.inputs)
    pipeline.curate(alone, place.out / below, inputs=plan.inputs, workers=getattr(place.engine, "workers", 1))
    return place.out / below


def _as_written(folder: Path, origin: Path | None, named: str) -> str:
    """A folder of another run, by the name that the user gave to the run."""
    if origin is None or not folder.is_relative_to(origin):
        return str(folder)
    below = folder.relative_to(origin).as_posix()
    return named if below == "." else remote.inside(named, below)


def _remember(
    place: Workplace, tokenizer: Artifact, sources: Mapping[str, SourceFiles], folders: Mapping[str, Path]
) -> None:
    """What lies in this folder's store is in use from now on."""
    if POOL in sources and folders[POOL] == place.out:
        tokens = Artifact(sources[POOL].tokens)
        place.remember(tokenizer=tokenizer.path.name, tokens=tokens.path.name)
        accounts.account_for_tokens(place, tokens)
    used = {"tokenizer": tokenizer.path, **{f"tokens {name}": files.tokens for name, files in sources.items()}}
    here: dict[str, Json] = {role: path.name for role, path in used.items() if path.parent == place.store.path}
    place.remember(train=here)


def _tokenizer(
    place: Workplace,
    maker: TokenizerMaker | None,
    kept: Mapping[str, Artifact],
    folders: Mapping[str, Path],
    init: str | Path | None,
) -> Artifact:
    """One that a source's folder has already, or a new one; where training starts from a model, its own."""
    assert maker is not None
    made = made_tokenizer(place, maker, kept, folders)
    file = models.tokenizer_file(init) if init is not None else None
    definition = (made.path / "tokenizer.json").read_text(encoding="utf-8")
    if file is not None and json.loads(definition) != json.loads(file.read_text(encoding="utf-8")):
        what = f"the recipe's tokenizer is not the one that the model in {init} was trained with"
        raise RecipeError("tokenizer", what, "Leave it to the model: --set tokenizer=null.")
    return made


def tokenizer_of(init: str | Path) -> FromFile:
    """The tokenizer that lies beside a model. Raises SeedbedError where there is none."""
    file = models.tokenizer_file(init)
    if file is None:
        raise SeedbedError(remote.url_of(init), "holds no tokenizer.json", "Copy the model's tokenizer.json there.")
    return FromFile(str(file), _end_of_text(init, file))


def _end_of_text(init: str | Path, file: Path) -> str:
    """The token that ends a text of a model."""
    from tokenizers import Tokenizer

    special = file.with_name("special.json")
    if special.exists():
        return str(json.loads(special.read_text(encoding="utf-8"))["end_of_text"])
    end = models.read(init).end_of_text
    if end is None:
        mend = 'Write {"end_of_text": "..."} to special.json beside it.'
        raise SeedbedError(str(file), "does not say which token ends a text", mend)
    return cast(str, Tokenizer.from_str(file.read_text(encoding="utf-8")).id_to_token(end))


def made_tokenizer(
    place: Workplace, maker: TokenizerMaker, kept: Mapping[str, Artifact], folders: Mapping[str, Path]
) -> Artifact:
    """One tokenizer for all sources; where there are several, trained on all their text."""
    if len(kept) == 1:
        (name,) = kept
        parents = {"pool": kept[name].fingerprint} if maker.needs_text() else {}
        request = Request("Tokenizer", maker.name(), maker.identity(), parents)
        found = Store(folders[name]).find(request)
        return found or make_tokenizer(maker, kept[name], place.store)
    if not maker.needs_text():
        return make_tokenizer(maker, next(iter(kept.values())), place.store)
    parents = {f"pool.{name}": documents.fingerprint for name, documents in kept.items()}

    def texts() -> Iterator[str]:
        for documents in kept.values():
            yield from texts_of(documents)

    def fill(draft: Draft) -> dict[str, Json]:
        definition = maker.make(texts())
        encoder = Encoder(definition, getattr(maker, "end_of_text", Encoder("").end_of_text))
        draft.write_text("tokenizer.json", definition)
        draft.write_text("special.json", json.dumps({"end_of_text": encoder.end_of_text}))
        return {"vocab_size": encoder.vocab_size}

    return place.store.make(Request("Tokenizer", maker.name(), maker.identity(), parents), fill)


def tokens_of(place: Workplace, kept: Artifact, tokenizer: Artifact, folder: Path) -> Artifact:
    """Found in the source's own folder, else made in the output folder."""
    parents = {"documents": kept.fingerprint, "tokenizer": tokenizer.fingerprint}
    found = Store(folder).find(Request("Tokens", "pool", {}, parents))
    return found or tokenize(kept, tokenizer, place.store, place.engine)
