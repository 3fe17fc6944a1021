"""What a notebook calls and the command line prints: the same work on the same objects.

Functions take paths (globs too) and plain values, and give typed results; errors are SeedbedError.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import pyarrow as pa

from seedbed import pipeline, recipes
from seedbed import recipe as trees
from seedbed.core import arrow, remote, units
from seedbed.core.artifact import Artifact
from seedbed.core.errors import RecipeError, SeedbedError
from seedbed.core.parameters import Json
from seedbed.model.transforming import Transform
from seedbed.pipeline import concepts as counting
from seedbed.pipeline import dialects, models, preflight, probing_tasks, transforming, upkeep, workplace
from seedbed.pipeline import export as exporting
from seedbed.pipeline import forget as forgetting
from seedbed.pipeline import verify as verifying
from seedbed.pipeline import what_if as asking
from seedbed.pipeline import why as whys
from seedbed.pipeline.compared import Compared
from seedbed.pipeline.fitting import fit, load_fit
from seedbed.pipeline.forecasting import (
    forecast,
    hyperparameters,
    ledger,
    mixture,
    optimum,
    plan_ladder,
    register,
    score,
)
from seedbed.pipeline.reporting_law import page as law_page
from seedbed.pipeline.trained import TrainedRun
from seedbed.pipeline.workplace import expand
from seedbed.recipe import Arm, Recipe
from seedbed.select.contract import Scorer, Selector
from seedbed.select.mixing import Mixer

if TYPE_CHECKING:
    from seedbed.model.movement import Movement
    from seedbed.pipeline.train_request import How

Settings = Mapping[str, Json]


@dataclasses.dataclass(frozen=True)
class Corpus:
    """An output folder with a curation in it."""

    out: Path

    @property
    def ledger(self) -> dict[str, Json]:
        """{"read", "kept", "dropped": {reason: n}, "errored": {type: n}}; it balances."""
        return workplace.curated_at(self.out).ledger

    def documents(self) -> pa.Table:
        """The kept documents: id, text, url, source, language."""
        return workplace.curated_at(self.out).kept.table()

    def signals(self, method: str) -> pa.Table:
        """What a filter measured, on every document read, in the order of reading."""
        signals = workplace.curated_at(self.out).signals
        if method not in signals:
            raise SeedbedError(method, "measured nothing here", f"Measured: {', '.join(signals)}.")
        return signals[method].table()

    def why(self, document: str) -> whys.Life:
        """The life of one document, by id (or its beginning) or URL."""
        return whys.why(self.out, document)

    def why_token(self, token: str) -> whys.TokenOrigin:
        """The document that a token comes from, by SHARD:OFFSET."""
        return whys.why_token(self.out, token)

    def what_if(self, settings: Settings) -> asking.WhatIf:
        """What other thresholds would keep; no text is read but of the examples shown."""
        return asking.what_if(self.out, settings)

    def ledger_by_shard(self) -> pa.Table:
        """What became of every record, by shard and step, in documents, bytes and tokens."""
        return arrow.read_parquet(workplace.local(self.out) / "ledger.parquet")

    def forget(self, asked: Sequence[str], *, dry_run: bool = False) -> forgetting.Certificate:
        """Remove documents, by URL or id, and all that was derived from them; later runs here drop them too."""
        return forgetting.forget(self.out, asked, dry_run=dry_run)

    def verify(self) -> verifying.Verified:
        """Check every file against its manifest, and the ledger against the documents themselves."""
        return verifying.verify(self.out)

    def gc(self, *, dry_run: bool = False) -> list[upkeep.Lying]:
        """Remove the artifacts that the newest run does not use."""
        return upkeep.gc(self.out, dry_run=dry_run)

    def export(self, target: str | Path, to: str = "jsonl.zst", **how: Unpack[exporting.How]) -> dict[str, int]:
        """Write documents as JSON Lines, tokens as megatron or mds, or a selection: see pipeline.export_selection."""
        return exporting.export(self.out, target, to, **how)


def load_recipe(recipe: str | Recipe, settings: Settings | None = None) -> Recipe:
    """A recipe by name, file or output folder, with values set by path."""
    if isinstance(recipe, str):
        recipe = workplace.read_recipe(recipe) if remote.is_remote(recipe) else recipes.load(recipe)
    return trees.change(recipe, settings or {})


def run(
    recipe: str | Recipe,
    out: str | Path,
    *,
    inputs: Sequence[str | Path] = (),
    settings: Settings | None = None,
    workers: int = 1,
    engine: str = "local",
    check: bool = True,
) -> dict[str, Json]:
    """Run a whole recipe into `out`; what is there already is not made again. Gives the index by role."""
    loaded = load_recipe(recipe, settings)
    return pipeline.run(loaded, out, inputs=expand(inputs), workers=workers, engine=engine, check=check)


def preview(
    recipe: str | Recipe,
    out: str | Path,
    *,
    inputs: Sequence[str | Path] = (),
    settings: Settings | None = None,
    workers: int = 1,
) -> preflight.Preview:
    """What a run would do and cost, from a probe of a thousand documents; nothing is written."""
    loaded = load_recipe(recipe, settings)
    return preflight.preview(loaded, expand(inputs) or loaded.inputs, out, workers)


def curate(
    *inputs: str | Path,
    out: str | Path,
    recipe: str | Recipe = "fineweb_en",
    settings: Settings | None = None,
    workers: int = 1,
    engine: str = "local",
    published: str | Path | None = None,
    check: bool = True,
) -> Corpus:
    """Curate files and folders into `out`, by default with the rules for English web text.

    What the folder `published` of an earlier run kept is not dropped for a duplicate that came later.
    """
    loaded = load_recipe(recipe, settings)
    pipeline.curate(
        loaded, out, inputs=expand(inputs), workers=workers, engine=engine, published=published, check=check
    )
    return Corpus(Path(out))


def read_part(
    *inputs: str | Path,
    out: str | Path,
    shard: str,
    recipe: str | Recipe = "fineweb_en",
    settings: Settings | None = None,
    workers: int = 1,
) -> int:
    """Read the part `shard` ("3/16") of the input into `out`; `curate` with the same arguments then goes on."""
    return pipeline.read_part(load_recipe(recipe, settings), out, shard, inputs=expand(inputs), workers=workers)


def compare_dialects(
    method: str,
    first: str,
    second: str,
    *inputs: str | Path,
    max_documents: int | None = None,
    recipe: str | Recipe = "fineweb_en",
) -> dialects.DialectComparison:
    """The documents that two dialects of one filter disagree on, with the rule and both numbers.

    Args:
        method: the filter, such as "gopher_quality".
        first, second: its dialects, such as "paper" and "datatrove".
        inputs: files and folders, or the output folder of one curation.
        max_documents: compare no more than these.
        recipe: its readers and extractor read the inputs.
    """
    plan = load_recipe(recipe).curate
    return dialects.compare_dialects(method, first, second, plan, expand(inputs), max_documents)


def tokenize(out: str | Path, *, settings: Settings | None = None, workers: int = 1) -> Artifact:
    """Tokenise the kept documents of `out`. Gives the Tokens artifact."""
    pipeline.tokenize(_study(out, settings), out, workers=workers)
    return workplace.artifact_at(out, "tokens")


def select(
    out: str | Path,
    method: str | Scorer | Mixer,
    selector: str | Selector = "",
    *,
    budget_tokens: int | str,
    target: Sequence[str | Path] = (),
    seed: int = 0,
    settings: Settings | None = None,
    workers: int = 1,
) -> Artifact:
    """Choose documents of `out` under a budget. Gives the Weights artifact (id, copies, n_tokens).

    Without a selector a scorer's own is taken; a mixer shares the budget among the documents' sources.
    """
    from seedbed.recipes._arms import stage_of

    stage = stage_of(method, selector)
    recipe = _study(out, settings, target)
    budget = units.count(budget_tokens, "budget_tokens")
    return pipeline.select(recipe, out, stage, budget_tokens=budget, seed=seed, workers=workers)


def train(
    recipe: str | Path | Recipe | Corpus,
    out: str | Path | None = None,
    *,
    inputs: Sequence[str | Path] = (),
    weights: Artifact | str | Path | None = None,
    tokens: int | str | None = None,
    seed: int = 0,
    init: str | Path | None = None,
    branch: str | Path | None = None,
    settings: Settings | None = None,
    **how: Unpack[How],
) -> TrainedRun:
    """Train a model in the folder `out`, or go on where a killed call left it, or find it done.

    Args:
        recipe: a corpus or its folder, read as it is; or a recipe, its name or file: its inputs are curated first.
        out: folder of the run; by default that of the corpus. A folder holds one run.
        inputs: files and folders instead of the recipe's.
        weights: how often each document is read; by default once an epoch.
        tokens, seed, settings: how long, such as "2M"; of weights and order; values by recipe path.
        init, branch: a model to start from; a run, or its checkpoint, to go on from under another plan.
        how: see pipeline.train_request.How.
    """
    from seedbed.pipeline import train_folder

    given = recipe.out if isinstance(recipe, Corpus) else recipe
    origin = None if isinstance(given, Recipe) or not workplace.holds_recipe(given) else str(given)
    if out is None and origin is None:
        raise RecipeError("out", "a recipe says nothing of a folder for the run", "Name one.")
    asked = train_folder.Asked(
        recipe=load_recipe(given if isinstance(given, Recipe) else str(given)),
        defaults=_defaults(),
        origin=origin,
        out=origin or "" if out is None else out,
        inputs=expand(inputs),
        settings=dict(settings or {}),
        tokens=tokens,
        seed=seed,
        weights=weights.path if isinstance(weights, Artifact) else weights,
        init=init,
        branch=branch,
        **how,
    )
    train_folder.train(asked)
    return TrainedRun(Path(asked.out))


def transform(model: str | Path, method: str | Transform, out: str | Path, **how: Unpack[transforming.How]) -> Movement:
    """Make another model of one without training, in a new folder; gives how far the function moved.

    The method is a name such as `task_vectors`, FILE.py:CLASS, or an instance; see pipeline.transforming.How.
    """
    return transforming.transform(model, method, out, _defaults(), **how)


def export(
    folder: str | Path, target: str | Path, to: str = "jsonl.zst", **how: Unpack[exporting.How]
) -> dict[str, Any]:
    """Hand documents, tokens or a selection of a folder, or with `to="hf"` its model, to other programs."""
    return exporting.export(folder, target, to, **how)


def sample(model: str | Path, prompt: str, **how: Any) -> Iterator[str]:
    """Pieces of the text that a model writes after a prompt: max_tokens, temperature, top_k, top_p, seed."""
    return models.sample(model, prompt, **how)


def compare(
    out: str | Path | Corpus,
    *,
    methods: Sequence[str | Scorer | Mixer | Arm],
    target: str | Path | Sequence[str | Path],
    heldout: Mapping[str, str | Path],
    budget_tokens: int | str,
    ceiling: str = "",
    seeds: int = 5,
    resample: float = 0.9,
    curve: Sequence[float] = (0.5, 2.0, 4.0),
    settings: Settings | None = None,
    workers: int = 1,
) -> Compared:
    """Train one arm a method and a random arm on the same number of tokens, and say which data was better.

    Args:
        out: a corpus or its folder.
        methods: scorers and mixers by name (`dsir`, `dsir+top_k`, `regmix`), as FILE.py:CLASS, or as objects; or arms.
        target: text of what the model should become good at, for methods that ask. It must not be in the pool.
        heldout: domain -> file to measure on; the first decides. It must not be in the pool.
        budget_tokens: tokens to choose and to train on.
        ceiling: which documents are clean, such as `source=handbook*`: an arm that reads these alone.
        seeds, resample, curve: see recipe.ComparePlan.
        settings: values by recipe path, the methods' own among them: `select.scorers.qurating.labels`.
        workers: processes at once.
    """
    from seedbed.recipes._arms import comparison

    folder = out.out if isinstance(out, Corpus) else out
    recipe = _study(folder, None, target)
    assert recipe.train is not None
    assert recipe.evaluate is not None
    texts = {domain: str(file) for domain, file in heldout.items()}
    recipe = dataclasses.replace(
        recipe,
        train=dataclasses.replace(recipe.train, tokens=units.count(budget_tokens, "budget_tokens")),
        compare=comparison(methods, labels=ceiling, seeds=seeds, resample=resample, curve=curve),
        evaluate=dataclasses.replace(recipe.evaluate, texts=texts, target=next(iter(texts))),
    )
    pipeline.run(trees.change(recipe, settings or {}), folder, inputs=recipe.inputs, workers=workers)
    return Compared(workplace.local(folder))


def evaluate(model: str | Path, texts: Sequence[str | Path] = (), **how: Unpack[probing_tasks.How]) -> dict[str, Json]:
    """Bits per byte of a model folder on files, and its accuracy on probes: see pipeline.probing_tasks.How."""
    return probing_tasks.evaluate(model, expand(texts), _defaults(), **how)


def concepts(corpus: Sequence[str | Path], words: str | Path) -> pa.Table:
    """How often words and phrases (a file, one a line) stand in folders and files; a row a concept."""
    return counting.count(corpus, words, _defaults())


def _defaults() -> Recipe:
    return recipes.load("study")


def _study(out: str | Path, settings: Settings | None, target: str | Path | Sequence[str | Path] = ()) -> Recipe:
    """The recipe of a folder, with the default sections of `study` where it has none."""
    recipe, defaults = workplace.read_recipe(out), _defaults()
    missing = {
        section: getattr(defaults, section)
        for section in ("tokenizer", "train", "evaluate")
        if getattr(recipe, section) is None
    }
    filled = dataclasses.replace(recipe, **missing)
    if target:
        filled = dataclasses.replace(filled, target=expand(target))
    return trees.change(filled, settings or {})


__all__ = [
    "Compared",
    "Corpus",
    "Recipe",
    "TrainedRun",
    "arrow",
    "compare",
    "compare_dialects",
    "concepts",
    "curate",
    "evaluate",
    "expand",
    "export",
    "fit",
    "forecast",
    "hyperparameters",
    "law_page",
    "ledger",
    "load_fit",
    "mixture",
    "optimum",
    "plan_ladder",
    "preview",
    "read_part",
    "register",
    "run",
    "sample",
    "score",
    "select",
    "tokenize",
    "train",
    "transform",
]
