"""What routes read and begin from: kept documents by source, their tokens under any tokenizer, orders, given models."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import numpy.typing as npt

from seedbed.core import arrow
from seedbed.core.artifact import Artifact, Draft, Request
from seedbed.core.errors import RecipeError, SeedbedError, did_you_mean
from seedbed.core.parameters import Json
from seedbed.pipeline import models, train_data, workplace
from seedbed.pipeline.sources import Order, SourceFiles
from seedbed.pipeline.workplace import Workplace
from seedbed.recipe import Recipe
from seedbed.recipe.continual import Curriculum
from seedbed.tokenize.contract import TokenizerMaker
from seedbed.tokenize.run import make_tokenizer

if TYPE_CHECKING:
    from seedbed.model.transforming import Checkpoint

MODEL_FILES = ("model.safetensors", "config.json", "tokenizer.json")


@dataclasses.dataclass(frozen=True)
class Ground:
    """Everything that routes read.

    Args:
        place: the output folder.
        recipe: with a tokenizer and a plan of training.
        folders: source -> the output folder of its curation.
    """

    place: Workplace
    recipe: Recipe
    folders: Mapping[str, Path]

    @classmethod
    def of(cls, place: Workplace, recipe: Recipe) -> Ground:
        """With every source curated. Raises SeedbedError for one that keeps nothing."""
        plans = train_data.source_plans(recipe)
        folders = {name: train_data.curated_source(place, recipe, name, plan, None) for name, plan in plans.items()}
        ground = cls(place, recipe, folders)
        for name in folders:
            if ground.kept(name).rows == 0:
                raise SeedbedError(
                    f"source {name}", "keeps no document, so there is nothing to read", "See its ledger."
                )
        return ground

    def kept(self, source: str) -> Artifact:
        """The kept documents of a source. Raises RecipeError for one that is not there."""
        if source not in self.folders:
            raise RecipeError("continual", f"there is no source {source!r}", did_you_mean(source, list(self.folders)))
        return workplace.curated_at(self.folders[source]).kept

    def tokenizer(self, sources: Sequence[str]) -> Artifact:
        """The recipe's tokenizer, trained on the text of these sources."""
        assert self.recipe.tokenizer is not None
        kept = {name: self.kept(name) for name in sorted(sources)}
        return train_data.made_tokenizer(self.place, self.recipe.tokenizer, kept, self.folders)

    def tokenizer_from(self, maker: TokenizerMaker) -> Artifact:
        """A tokenizer that comes with a model."""
        return make_tokenizer(maker, next(self.kept(name) for name in self.folders), self.place.store)

    def files(self, source: str, tokenizer: Artifact, curriculum: Curriculum | None = None) -> SourceFiles:
        """A source in the tokens of a tokenizer, in the order of a curriculum where there is one."""
        kept = self.kept(source)
        tokens = train_data.tokens_of(self.place, kept, tokenizer, self.folders[source])
        plan = self.recipe.sources.get(source)
        weights = workplace.given(self.place.out, plan.weights) if plan is not None and plan.weights else None
        order = None if curriculum is None else self._order(source, tokens, curriculum)
        return SourceFiles(kept.path, tokens.path, weights, order)

    def _order(self, source: str, tokens: Artifact, curriculum: Curriculum) -> Order:
        """A Signals artifact: a rank for every kept document."""
        parents = {"tokens": tokens.fingerprint, "curation": self.kept(source).fingerprint}
        identity: dict[str, Json] = {"signal": curriculum.signal, "descending": curriculum.descending}

        def fill(draft: Draft) -> dict[str, Json]:
            value_N = self._signal(source, tokens, curriculum.signal)
            rank_N = -value_N if curriculum.descending else value_N
            index = tokens.table(["id"])
            rows = arrow.table({"id": index.column("id"), "rank": rank_N})
            draft.write_table("part-00000.parquet", rows)
            return {}

        made = self.place.store.make(Request("Signals", "curriculum", identity, parents), fill)
        return Order(made.path, curriculum.buckets)

    def _signal(self, source: str, tokens: Artifact, name: str) -> npt.NDArray[np.float64]:
        """A number for each kept document, in their order."""
        if name in ("n_tokens", "n_bytes"):
            return arrow.numpy(tokens.table([name]), name).astype(np.float64)
        curated = workplace.curated_at(self.folders[source])
        method, _, column = name.rpartition(".")
        found = curated.signals.get(method)
        if found is None or column not in found.table().column_names:
            known = [
                f"{path}.{each}" for path, signals in curated.signals.items() for each in signals.table().column_names
            ]
            mend = did_you_mean(name, ["n_tokens", "n_bytes", *known])
            raise RecipeError("curriculum.signal", f"source {source} has no number {name!r}", mend)
        is_kept_N = np.asarray(arrow.numpy(curated.decisions.table(["kept"]), "kept"), bool)
        value_N = arrow.numpy(found.table([column]), column).astype(np.float64)[is_kept_N]
        if not np.isfinite(value_N).all():
            raise SeedbedError(name, f"is missing for documents of source {source}", "Order by another signal.")
        return value_N


def given_model(place: Workplace, init: str, ground: Ground) -> tuple[Artifact, Artifact]:
    """(Model artifact, its Tokenizer) of a model folder that a route begins from."""
    from seedbed.model.checkpoint import save_model
    from seedbed.model.transforming import Checkpoint
    from seedbed.pipeline.transforming import fingerprint_of

    maker = train_data.tokenizer_of(init)
    found = models.read(init)
    told = {"model": fingerprint_of(Checkpoint(*found)), "end_of_text": maker.end_of_text}

    def fill(draft: Draft) -> dict[str, Json]:
        save_model(draft.path, found.decoder, found.tokenizer_json)
        return _adopted(draft, maker.end_of_text)

    model = place.store.make(Request("Model", "given", dict[str, Json](told)), fill)
    return model, ground.tokenizer_from(maker)


def checkpoint_of(folder: Path) -> Checkpoint:
    """A model folder as transforms take it."""
    from seedbed.model.transforming import Checkpoint

    return Checkpoint(*models.read(folder))


def written(draft: Draft, checkpoint: Checkpoint) -> dict[str, Json]:
    """A checkpoint in a draft, as a model folder that says which token ends a text."""
    from tokenizers import Tokenizer

    from seedbed.model.checkpoint import save_model

    assert checkpoint.tokenizer_json is not None
    assert checkpoint.end_of_text is not None
    save_model(draft.path, checkpoint.decoder, checkpoint.tokenizer_json)
    return _adopted(draft, cast(str, Tokenizer.from_str(checkpoint.tokenizer_json).id_to_token(checkpoint.end_of_text)))


def tokenizer_of_model(ground: Ground, model: Artifact, before: Artifact) -> Artifact:
    """The tokenizer that lies in a Model artifact; the one `before` where it has not changed."""
    if same_tokenizer(model.path, before.path):
        return before
    return ground.tokenizer_from(train_data.tokenizer_of(model.path))


def same_tokenizer(one: Path, other: Path) -> bool:
    """Whether the tokenizers in two folders are the same."""
    first, second = ((folder / "tokenizer.json").read_text(encoding="utf-8") for folder in (one, other))
    return json.loads(first) == json.loads(second)


def _adopted(draft: Draft, end_of_text: str) -> dict[str, Json]:
    draft.write_text("special.json", json.dumps({"end_of_text": end_of_text}))
    for name in MODEL_FILES:
        draft.adopt(name)
    return {}
