"""The recipe: the typed tree of a whole run. To and from JSON and YAML, changed by path, compared with another.

Sections that are absent are not run: a recipe with `curate` alone curates.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, cast

from annotated_types import Ge, Gt, Le

from seedbed import catalogue
from seedbed.core import parameters, units
from seedbed.core.errors import RecipeError, did_you_mean
from seedbed.core.parameters import Json, decode, encode
from seedbed.curate.plan import CuratePlan
from seedbed.evaluate.contract import Audit, Probe, Task
from seedbed.model.shape import ModelShape
from seedbed.predict.contract import Law
from seedbed.recipe.continual import ContinualPlan
from seedbed.select.contract import Scorer, Selector
from seedbed.select.mixing import Mixer
from seedbed.tokenize.contract import TokenizerMaker
from seedbed.train.plan import TrainPlan


@dataclasses.dataclass(frozen=True)
class Stage:
    """One stage of an arm: choose documents, then train on them for a share of the arm's tokens.

    Args:
        scorer, selector: how documents are chosen.
        budget: tokens to choose, as a multiple of the tokens this stage trains on.
        share: share of the arm's training tokens.
        mixer: sets each domain's part of the budget; the selector then chooses within each domain. None: over all.
        domain: what a document's domain is.
        max_epochs: no document is read more often where a domain is smaller than its part; the rest goes to the others.
    """

    scorer: Scorer
    selector: Selector
    budget: Annotated[float, Gt(0)] = 1.0
    share: Annotated[float, Gt(0), Le(1)] = 1.0
    mixer: Mixer | None = None
    domain: Literal["source", "language", "site"] = "source"
    max_epochs: Annotated[float, Gt(0)] = 4.0


@dataclasses.dataclass(frozen=True)
class Arm:
    """One way to choose data: its stages, in order. A loop of selecting and training is an arm of several stages.

    A stage without a mixer leaves out what earlier ones read, while the rest of the pool holds its budget.
    """

    name: str
    stages: tuple[Stage, ...]


@dataclasses.dataclass(frozen=True)
class ComparePlan:
    """Arms trained on the same number of tokens from the same start, over seeds, in pairs.

    Args:
        arms: the ways to choose.
        baseline: the arm that all others are compared with.
        ceiling: the clean-label arm, or empty.
        seeds: how often each arm is trained; the seed sets start and order, the same for every arm.
        equal_cost: also train the baseline longer, by what each method's choosing cost; a curve makes that needless.
        resample: share of pool and target that each seed draws for itself; below 1 methods are fitted anew for every
            seed, and the intervals tell of chance in the data too.
        curve: lengths, as multiples of the arms' tokens, to which the baseline is trained as well, each to the end of
            its own schedule: how many tokens random documents need to reach a loss is read from these.
    """

    arms: tuple[Arm, ...]
    baseline: str
    ceiling: str = ""
    seeds: Annotated[int, Ge(1)] = 3
    equal_cost: bool = True
    resample: Annotated[float, Gt(0), Le(1)] = 1.0
    curve: tuple[Annotated[float, Gt(0), Le(64)], ...] = ()

    def __post_init__(self) -> None:
        """Raises RecipeError for arms that are not there."""
        names = [arm.name for arm in self.arms]
        for field, name in (("baseline", self.baseline), ("ceiling", self.ceiling)):
            if name and name not in names:
                raise RecipeError(f"compare.{field}", f"no arm is called {name!r}", did_you_mean(name, names))
        for name in names:
            if names.count(name) > 1:
                raise RecipeError("compare.arms", f"two arms are called {name!r}", "Give each its own name.")


@dataclasses.dataclass(frozen=True)
class ProbePlan:
    """Items that show an ability, by likelihood.

    Args:
        file: a file, folder or zip archive of items.
        task: how they are scored.
    """

    file: str
    task: Probe


@dataclasses.dataclass(frozen=True)
class EvaluatePlan:
    """What is measured on which held-out texts.

    Args:
        texts: domain -> file; `sample:NAME` is a shipped file.
        target: the domain that decides.
        task: how a model is scored.
        audit: the leak check of the held-out texts against the pool, or none.
        probes: name -> abilities that the models of a comparison are asked for too.
        flatness: draws for the trace of the loss's Hessian on the target, in the report of a training; 0 leaves it out.
    """

    texts: Mapping[str, str]
    target: str
    task: Task
    audit: Audit | None = None
    probes: Mapping[str, ProbePlan] = dataclasses.field(default_factory=dict[str, ProbePlan])
    flatness: Annotated[int, Ge(0), Le(10_000)] = 0

    def __post_init__(self) -> None:
        """Raises RecipeError for a target that has no text."""
        if self.target not in self.texts:
            raise RecipeError("evaluate.target", f"no text for {self.target!r}", did_you_mean(self.target, self.texts))


@dataclasses.dataclass(frozen=True)
class Rung:
    """One size at one length."""

    shape: ModelShape
    tokens: int


@dataclasses.dataclass(frozen=True)
class LadderPlan:
    """Small runs that a law is fitted to, and larger ones that it foretells before they are made.

    Args:
        shapes: model sizes.
        tokens: lengths, each tried with every size.
        law: the law.
        domain: the held-out domain whose loss is the law's.
        seeds: runs of each rung, which differ in start, order and choice of documents.
        targets: their forecasts are registered, then they are trained, and the forecasts scored.
    """

    shapes: tuple[ModelShape, ...]
    tokens: tuple[int, ...]
    law: Law
    domain: str
    seeds: Annotated[int, Ge(1), Le(1000)] = 1
    targets: tuple[Rung, ...] = ()


@dataclasses.dataclass(frozen=True)
class SourcePlan:
    """One of several texts that a model is trained on; `train.mixture` gives their shares.

    Args:
        inputs: files and folders, curated with the recipe's rules into `sources/NAME` of the output folder.
        curated: instead, the output folder of an earlier curation.
        weights: a Weights folder; empty reads every document once an epoch.
    """

    inputs: tuple[str, ...] = ()
    curated: str = ""
    weights: str = ""

    def __post_init__(self) -> None:
        """Raises RecipeError for a source of nothing, or of two things."""
        if bool(self.inputs) == bool(self.curated):
            what = "has both inputs and a curated folder" if self.inputs else "has neither inputs nor a curated folder"
            raise RecipeError("sources", f"a source {what}", "Give it `inputs`, or `curated`.")


POOL = "pool"
"""The source that `inputs` are."""


@dataclasses.dataclass(frozen=True)
class Recipe:
    """A whole run.

    Args:
        name, about: what it is called, and what it is for.
        inputs: files and folders; `sample:pool` is the shipped text. To training they are the source `pool`.
        sources: further texts to train on, by name.
        target: text of what the model should become good at, for methods that ask.
        curate, tokenizer, train, compare, ladder, continual, evaluate: the sections; those that are None are not run.
    """

    name: str
    about: str
    curate: CuratePlan
    inputs: tuple[str, ...] = ()
    target: tuple[str, ...] = ()
    tokenizer: TokenizerMaker | None = None
    train: TrainPlan | None = None
    compare: ComparePlan | None = None
    ladder: LadderPlan | None = None
    continual: ContinualPlan | None = None
    evaluate: EvaluatePlan | None = None
    sources: Mapping[str, SourcePlan] = dataclasses.field(default_factory=dict[str, SourcePlan])

    def __post_init__(self) -> None:
        """Raises RecipeError for a section that lacks another one it needs."""
        parameters.check(self, "recipe")
        for name in self.sources:
            if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name):
                raise RecipeError("sources", f"{name!r} is no name", "Use letters, digits, - and _.")
        for section in ("compare", "ladder", "continual"):
            for needed in ("tokenizer", "train", "evaluate"):
                if getattr(self, section) is not None and getattr(self, needed) is None:
                    raise RecipeError(section, f"it needs a section {needed!r}", f"Add {needed!r} to the recipe.")


def to_json(recipe: Recipe) -> dict[str, Json]:
    """The resolved recipe, every default written out."""
    return cast("dict[str, Json]", encode(recipe))


def from_json(tree: Json) -> Recipe:
    """A recipe, read strictly. Raises RecipeError with the path of what is wrong."""
    return decode(Recipe, tree, "recipe", cast(parameters.MethodReader, catalogue.build))


def to_yaml(recipe: Recipe) -> str:
    """The resolved recipe as YAML."""
    return dump_yaml(to_json(recipe))


def dump_yaml(tree: Mapping[str, Json]) -> str:
    """A recipe that is JSON already as YAML."""
    import yaml

    return yaml.safe_dump(dict(tree), sort_keys=False, allow_unicode=True, width=110)


def from_file(file: Path) -> Recipe:
    """A recipe from a .json or .yaml file. Raises RecipeError naming the file, or the path inside it."""
    try:
        text = file.read_text(encoding="utf-8")
        if file.suffix == ".json":
            return from_json(json.loads(text))
        import yaml

        return from_json(yaml.safe_load(text))
    except OSError as error:
        raise RecipeError(str(file), f"cannot be read ({error.strerror})", "Check the path.") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(str(file), f"is no JSON ({error})") from error
    except Exception as error:
        if type(error).__module__.startswith("yaml"):
            raise RecipeError(str(file), f"is no YAML ({' '.join(str(error).split())})") from error
        raise


def change(recipe: Recipe, settings: Mapping[str, Json]) -> Recipe:
    """The recipe with values set by path, such as `curate.filters.gopher_quality.min_words`.

    A path begins with a section, or names a method wherever it stands in the recipe. Texts are read as JSON, as
    counts (20M), or as they are. Raises RecipeError naming the path that does not exist, with the nearest that does.
    """
    tree = to_json(recipe)
    for path, value in settings.items():
        spots = _spots(tree, path)
        if not spots:
            raise RecipeError(path, "there is no such place in this recipe", did_you_mean(path, _paths(tree)))
        for holder, key in spots:
            holder[key] = parse(value) if isinstance(value, str) else value
    return from_json(tree)


def parse(text: str) -> Json:
    """A value typed by a person: JSON, a count such as 20M, or the text itself."""
    try:
        return cast(Json, json.loads(text))
    except json.JSONDecodeError:
        return units.count(text, text) if re.fullmatch(r"[0-9.]+[kKMBGT]", text) else text


def _spots(tree: Json, path: str) -> list[tuple[dict[str, Json], str]]:
    """(mapping, key) of every value the path names."""
    holder_path, _, key = path.rpartition(".")
    found: list[tuple[dict[str, Json], str]] = []
    for name, node in _walk(tree, ""):
        if isinstance(node, dict) and key in node and (name == holder_path or _is_method(name, holder_path)):
            found.append((node, key))
    return found


def _is_method(name: str, wanted: str) -> bool:
    """Whether a node's path ends in the method `wanted` (room.shelf.method)."""
    return wanted.count(".") == 2 and name.endswith("." + wanted)


def _walk(tree: Json, name: str) -> list[tuple[str, Json]]:
    """Every mapping and list of the tree with its dotted path, parents first."""
    found: list[tuple[str, Json]] = [(name, tree)]
    children = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, child in children:
        if isinstance(child, dict | list):
            found.extend(_walk(child, f"{name}.{key}" if name else str(key)))
    return found


def _paths(tree: Json) -> list[str]:
    """Every settable path, methods by their own."""
    found: list[str] = []
    for name, node in _walk(tree, ""):
        if isinstance(node, dict):
            match = re.search(rf"(?:^|\.)((?:{'|'.join(catalogue.SHELVED)})\.[a-z_]+\.\w+)$", name)
            prefix = match.group(1) if match else name
            found.extend(f"{prefix}.{key}" if prefix else key for key in node)
    return found


def flatten(tree: Json, name: str = "") -> dict[str, Json]:
    """Dotted path -> leaf value."""
    if isinstance(tree, dict) and tree:
        items: list[tuple[str, Json]] = list(tree.items())
    elif isinstance(tree, list) and tree:
        items = [(str(i), item) for i, item in enumerate(tree)]
    else:
        return {name: tree}
    found: dict[str, Json] = {}
    for key, child in items:
        found.update(flatten(child, f"{name}.{key}" if name else key))
    return found


def difference(left: Recipe, right: Recipe) -> list[tuple[str, Any, Any]]:
    """(path, left value, right value) wherever two recipes differ; None where a side has no such place."""
    a, b = flatten(to_json(left)), flatten(to_json(right))
    paths = [*a, *(path for path in b if path not in a)]
    return [(path, a.get(path), b.get(path)) for path in paths if a.get(path) != b.get(path)]
