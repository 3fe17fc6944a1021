"""The first half of a run: raw files to kept documents, and documents to tokens."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from seedbed.core.artifact import Artifact
from seedbed.core.errors import SeedbedError
from seedbed.curate.forgotten import Forgotten
from seedbed.curate.plan import CuratePlan
from seedbed.curate.publish import publish
from seedbed.curate.run import Curated, curate, keep, read_sources
from seedbed.curate.sources import find_sources
from seedbed.pipeline import accounts, duplicates, workplace
from seedbed.pipeline.workplace import Workplace, resolve
from seedbed.recipe import Recipe
from seedbed.tokenize.contract import TokenizerMaker
from seedbed.tokenize.run import Pool, make_tokenizer, tokenize


def curate_into(
    place: Workplace, recipe: Recipe, inputs: Sequence[str], published: str | Path | None = None
) -> Curated:
    """Curate, publish documents/, ledger.json and quarantine/, and remember.

    What the folder `published` kept is not dropped for a duplicate that came later.
    """
    earlier = workplace.curated_at(published).decisions if published is not None else None
    forgotten = Forgotten.of(place.out)
    curated = curate(recipe.curate, resolve(inputs), place.store, place.engine, earlier, forgotten)
    publish(curated, place.out)
    place.remember_recipe(dataclasses.replace(recipe, inputs=tuple(inputs)))
    place.remember(curate=curated.folders(), **({"published": str(published)} if published is not None else {}))
    duplicates.measure_into(place, recipe.curate, curated)
    tokens = accounts.tokens_of_kept(place.out, curated)
    if tokens is not None:
        accounts.account_for_tokens(place, tokens)
    else:  # those of other documents are of no use any more
        index = workplace.read_index(place.out)
        workplace.write_index(place.out, {k: v for k, v in index.items() if k not in ("tokenizer", "tokens")})
    return curated


def tokenize_into(place: Workplace, maker: TokenizerMaker, kept: Artifact) -> tuple[Artifact, Pool]:
    """(tokenizer, pool of kept documents with tokens), remembered."""
    tokenizer = make_tokenizer(maker, kept, place.store)
    tokens = tokenize(kept, tokenizer, place.store, place.engine)
    if tokens.about["tokens"] == 0:
        raise SeedbedError(str(place.out), "no document was kept, so there is nothing to tokenize", "See ledger.json.")
    place.remember(tokenizer=tokenizer.path.name, tokens=tokens.path.name)
    accounts.account_for_tokens(place, tokens)
    return tokenizer, Pool(kept, tokens)


def texts_into(place: Workplace, plan: CuratePlan, files: Sequence[str | Path]) -> Artifact:
    """Documents of held-out or target files: read and extracted like the pool, neither edited nor filtered."""
    bare = dataclasses.replace(plan, steps=(), survivors=())
    sources, _ = find_sources(resolve([str(file) for file in files]), bare.readers)
    read = read_sources(bare, sources, place.store, place.engine, Forgotten.of(place.out))
    return keep(read, None, None, place.store, place.engine)


def target_pool(place: Workplace, recipe: Recipe, tokenizer: Artifact) -> Pool:
    """The target text, tokenised with the pool's tokenizer."""
    if not recipe.target:
        raise SeedbedError("target", "a method asks for target text and the recipe names none", "Give `target` files.")
    documents = texts_into(place, recipe.curate, recipe.target)
    return Pool(documents, tokenize(documents, tokenizer, place.store, place.engine))
