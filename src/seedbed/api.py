"""What a notebook calls and the command line prints: the same work on the same objects.

Functions take paths (globs too) and plain values, and give typed results; errors are SeedbedError.
"""

from __future__ import annotations

import dataclasses
import glob
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pyarrow as pa

from seedbed import catalogue, pipeline, recipes
from seedbed import recipe as trees
from seedbed.core import arrow, units
from seedbed.core.artifact import Artifact
from seedbed.core.errors import SeedbedError
from seedbed.core.parameters import Json
from seedbed.pipeline import explain, workplace
from seedbed.recipe import Arm, ComparePlan, Recipe, Stage
from seedbed.select.contract import Scorer, Selector

if TYPE_CHECKING:
    from seedbed.predict.contract import FittedLaw

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

    def why(self, document: str) -> explain.Life:
        """The life of one document, by id (or its beginning) or URL."""
        return explain.why(self.out, document)

    def what_if(self, settings: Settings) -> explain.WhatIf:
        """What other thresholds would keep; no text is read."""
        return explain.what_if(self.out, settings)


def expand(inputs: Sequence[str | Path]) -> tuple[str, ...]:
    """Globs resolved, in order; a pattern that matches nothing stays, and is then reported as missing."""
    found: list[str] = []
    for given in map(str, inputs):
        is_glob = glob.has_magic(given) and not given.startswith("sample:")
        found.extend((sorted(glob.glob(given, recursive=True)) or [given]) if is_glob else [given])  # noqa: PTH207
    return tuple(found)


def load_recipe(recipe: str | Recipe, settings: Settings | None = None) -> Recipe:
    """A recipe by name, file or output folder, with values set by path."""
    loaded = recipes.load(recipe) if isinstance(recipe, str) else recipe
    return trees.change(loaded, settings or {})


def run(
    recipe: str | Recipe,
    out: str | Path,
    *,
    inputs: Sequence[str | Path] = (),
    settings: Settings | None = None,
    workers: int = 1,
    engine: str = "local",
) -> dict[str, Json]:
    """Run a whole recipe into `out`; what is there already is not made again. Gives the index by role."""
    return pipeline.run(load_recipe(recipe, settings), out, inputs=expand(inputs), workers=workers, engine=engine)


def curate(
    *inputs: str | Path,
    out: str | Path,
    recipe: str | Recipe = "fineweb_en",
    settings: Settings | None = None,
    workers: int = 1,
    engine: str = "local",
) -> Corpus:
    """Curate files and folders into `out`, by default with the rules for English web text."""
    pipeline.curate(load_recipe(recipe, settings), out, inputs=expand(inputs), workers=workers, engine=engine)
    return Corpus(Path(out))


def tokenize(out: str | Path, *, settings: Settings | None = None, workers: int = 1) -> Artifact:
    """Tokenise the kept documents of `out`. Gives the Tokens artifact."""
    pipeline.tokenize(_study(out, settings), out, workers=workers)
    return workplace.artifact_at(out, "tokens")


def select(
    out: str | Path,
    scorer: str | Scorer,
    selector: str | Selector = "top_k",
    *,
    budget_tokens: int | str,
    target: Sequence[str | Path] = (),
    seed: int = 0,
    settings: Settings | None = None,
    workers: int = 1,
) -> Artifact:
    """Choose documents of `out` under a budget. Gives the Weights artifact (id, copies, n_tokens)."""
    stage = Stage(_scorer(scorer), _selector(selector))
    recipe = _study(out, settings, target)
    budget = units.count(budget_tokens, "budget_tokens")
    return pipeline.select(recipe, out, stage, budget_tokens=budget, seed=seed, workers=workers)


def train(
    out: str | Path,
    *,
    weights: Artifact | str | Path | None = None,
    tokens: int | str | None = None,
    seed: int = 0,
    init: str | Path | None = None,
    settings: Settings | None = None,
    workers: int = 1,
) -> Artifact:
    """Train a model on the kept documents of `out`, all or as `weights` says, from scratch or from `init`.

    Gives the Run artifact; its folder is a model folder.
    """
    recipe = _study(out, settings)
    if tokens is not None and recipe.train is not None:
        plan = dataclasses.replace(recipe.train, tokens=units.count(tokens, "tokens"))
        recipe = dataclasses.replace(recipe, train=plan)
    chosen = Artifact(Path(weights)) if isinstance(weights, str | Path) else weights
    start = Path(init) if init is not None else None
    return pipeline.train(recipe, out, weights=chosen, seed=seed, init=start, workers=workers)


def compare(
    out: str | Path,
    *,
    methods: Sequence[str | Scorer],
    target: Sequence[str | Path],
    heldout: Mapping[str, str | Path],
    budget_tokens: int | str,
    seeds: int = 3,
    settings: Settings | None = None,
    workers: int = 1,
) -> dict[str, Json]:
    """Train one arm a method and a random arm on the same number of tokens, and say which data was better.

    Args:
        out: a folder with a curation.
        methods: scorers by name, as instances, or as FILE.py:CLASS; each with top_k.
        target: text of what the model should become good at, for methods that ask.
        heldout: domain -> file to measure on; the first decides. It must not be in the pool.
        budget_tokens: tokens to choose and to train on.
        seeds: how often each arm is trained.
        settings: values by recipe path.
        workers: processes at once.
    """
    recipe = _study(out, settings, target)
    tokens = units.count(budget_tokens, "budget_tokens")
    assert recipe.train is not None
    assert recipe.evaluate is not None
    texts = {domain: str(file) for domain, file in heldout.items()}
    random = Arm("random", (Stage(_scorer("constant"), _selector("gumbel_top_k")),))
    arms = [Arm(scorer.name(), (Stage(scorer, _selector("top_k")),)) for scorer in map(_scorer, methods)]
    recipe = dataclasses.replace(
        recipe,
        train=dataclasses.replace(recipe.train, tokens=tokens),
        compare=ComparePlan(arms=(random, *arms), baseline="random", seeds=seeds),
        evaluate=dataclasses.replace(recipe.evaluate, texts=texts, target=next(iter(texts))),
    )
    index = pipeline.run(recipe, out, inputs=recipe.inputs, workers=workers)
    return cast("dict[str, Json]", index["compare"])


def evaluate(model: str | Path, texts: Sequence[str | Path]) -> dict[str, Json]:
    """Bits per byte of a model folder on files: {"bits_per_byte", "loss_nats_per_token", "tokens", "bytes"}."""
    return pipeline.evaluate(Path(model), expand(texts), _defaults())


def fit(runs: str | Path, law: str = "chinchilla", settings: Settings | None = None) -> FittedLaw:
    """Fit a law to a table of runs: CSV or Parquet with columns params, tokens, loss."""
    from seedbed.predict.contract import Law
    from seedbed.predict.run import read_runs

    method = cast(
        Law, catalogue.build(Law, {f"predict.laws.{law}" if "." not in law else law: dict(settings or {})}, "law")
    )
    return method.fit(read_runs(Path(runs)))


def forecast(fitted: str | Path, params: float, tokens: float) -> tuple[float, float, float]:
    """(value, low, high) of a fit.json at a size and a length."""
    return load_fit(fitted).forecast(params, tokens)


def load_fit(fitted: str | Path) -> FittedLaw:
    """A fitted law from the file `seedbed predict fit` wrote."""
    from seedbed.predict.contract import Law

    told = cast("dict[str, Json]", _read_json(Path(fitted)))
    if not isinstance(told.get("law"), str):
        raise SeedbedError(
            str(fitted), "is no fitted law", "Make one with `seedbed predict fit RUNS.csv --out fit.json`."
        )
    law = cast(Law, catalogue.build(Law, f"predict.laws.{told['law']}", "law"))
    return law.load(told)


def _read_json(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        raise SeedbedError(str(file), f"cannot be read as JSON ({error})") from error


def _defaults() -> Recipe:
    return recipes.load("study")


def _study(out: str | Path, settings: Settings | None, target: Sequence[str | Path] = ()) -> Recipe:
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


def _scorer(given: str | Scorer) -> Scorer:
    if isinstance(given, Scorer):
        return given
    path = given if "." in given else f"select.scorers.{given}"
    return cast(Scorer, catalogue.build(Scorer, path, "scorer"))


def _selector(given: str | Selector) -> Selector:
    if isinstance(given, Selector):
        return given
    path = given if "." in given else f"select.selectors.{given}"
    return cast(Selector, catalogue.build(Selector, path, "selector"))


__all__ = [
    "Corpus",
    "Recipe",
    "arrow",
    "compare",
    "curate",
    "evaluate",
    "fit",
    "forecast",
    "run",
    "select",
    "tokenize",
    "train",
]
