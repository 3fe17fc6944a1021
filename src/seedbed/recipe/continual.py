"""The section `continual` of a recipe: routes from old text to new, stage by stage, compared over seeds.

A route is a list of stages. What two routes have in common at their beginning is trained once.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le, Lt

from seedbed.core import parameters
from seedbed.core.errors import RecipeError, did_you_mean
from seedbed.model.transforming import Transform
from seedbed.select.mixing import Mixer
from seedbed.train.contract import Objective, Schedule

_NAME = re.compile(r"\w[\w .,+=%()-]*")
_LONGEST_NAME = 100
_TAKEN = ("initial", "given")
"""What the model before the first stage is called."""


@dataclasses.dataclass(frozen=True)
class Entry:
    """A transform that a stage's model goes through before the first step.

    Args:
        transform: what is done to it.
        texts: sources whose text the transform may read, where it asks for some.
        models: role -> a stage before this one of the same route, or a model folder.
    """

    transform: Transform
    texts: tuple[str, ...] = ()
    models: Mapping[str, str] = dataclasses.field(default_factory=dict[str, str])


@dataclasses.dataclass(frozen=True)
class Curriculum:
    """An order of reading by a number on each document, instead of a shuffled one.

    Args:
        signal: `n_tokens`, `n_bytes`, or a column of a filter, such as `curate.filters.gopher_quality.n_words`.
        descending: the largest first.
        buckets: documents are put into so many equal parts by rank, and shuffled inside each.
    """

    signal: str
    descending: bool = False
    buckets: Annotated[int, Ge(1), Le(10_000)] = 10


@dataclasses.dataclass(frozen=True)
class TrainingStage:
    """One stage of training: what is read, for how long, at which rate, and from where it begins.

    Args:
        name: of the stage, in the report and in folders' names: letters, digits, spaces and . , + - = % ( ).
        tokens: trained on in this stage, replay included.
        sources: source -> weight among what is new; divided by their sum.
        replay: source -> share of the stage's tokens, in tokens; what is new gets the rest. Replayed sources go on
            where they were left, without replacement within an epoch.
        mixer: gives the weights of `sources` from their sizes, instead of the numbers there; such as `temperature`.
        max_epochs: no source is read more often in this stage; a stage that would is refused.
        begin: "scratch" from an initial model; "rewarm" from the model of the stage before, with a schedule that begins
            anew; "continue" under the same schedule, which must not have known its end.
        parent: a stage before this one in the same route, to begin from its model instead of the last one's.
        optimizer: of "rewarm": the moments of the stage before, or fresh ones. They are fresh behind any transform.
        schedule, learning_rate, objective: of this stage; None takes those of the section `train`, and where it goes on
            ("continue") those of the stage before.
        curriculum: the order in which the new sources are read; each begins anew in it. After a change of vocabulary
            every source begins anew.
        entry: what the model goes through first.
        teacher: a stage before this one in the same route, for objectives that ask for a teacher.
        anneal_tokens: also a branch whose rate comes down over so many further tokens: it is what would be published,
            and is never the parent of another stage. 0: none.
        teaches: the held-out domain that this stage is for; empty: the one with the name of its only source, if any.
    """

    name: str
    tokens: Annotated[int, Ge(1)]
    sources: Mapping[str, float]
    replay: Mapping[str, Annotated[float, Ge(0), Lt(1)]] = dataclasses.field(default_factory=dict[str, float])
    mixer: Mixer | None = None
    max_epochs: Annotated[float | None, Gt(0)] = None
    begin: Literal["scratch", "rewarm", "continue"] = "rewarm"
    optimizer: Literal["carried", "fresh"] = "carried"
    schedule: Schedule | None = None
    learning_rate: Annotated[float | None, Gt(0)] = None
    objective: Objective | None = None
    curriculum: Curriculum | None = None
    entry: tuple[Entry, ...] = ()
    teacher: str = ""
    parent: str = ""
    anneal_tokens: Annotated[int, Ge(0)] = 0
    teaches: str = ""

    def __post_init__(self) -> None:
        """Raises RecipeError for shares that are none, and for text that is both new and replayed."""
        where = f"continual.{self.name}"
        parameters.check(self, where)
        _check_name(self.name)
        if self.begin == "continue" and self.optimizer == "fresh":
            raise RecipeError(f"{where}.optimizer", "a stage that goes on keeps its moments", 'Say "rewarm".')
        if not self.sources or min(self.sources.values()) < 0 or sum(self.sources.values()) <= 0:
            raise RecipeError(f"{where}.sources", "names no text", "Give at least one source a weight above 0.")
        if sum(self.replay.values()) >= 1:
            what = f"replay takes {sum(self.replay.values()):g} of the tokens, which leaves nothing that is new"
            raise RecipeError(f"{where}.replay", what, "Shares are fractions of the stage's tokens: 0.05 is 5 percent.")
        if both := sorted(self.sources.keys() & self.replay.keys()):
            mend = "Leave it out of one of the two."
            raise RecipeError(f"{where}.replay", f"{both[0]!r} is new in this stage and cannot be replayed in it", mend)

    def scaled(self, scale: float) -> TrainingStage:
        """The same, so many times as long."""
        tokens, anneal = round(self.tokens * scale), round(self.anneal_tokens * scale)
        return dataclasses.replace(
            self,
            tokens=max(1, tokens),
            anneal_tokens=anneal,
            schedule=None if self.schedule is None else scaled_schedule(self.schedule, scale),
        )

    def shares(self) -> dict[str, float]:
        """Source -> share of the stage's tokens, where no mixer says otherwise."""
        left, total = 1.0 - sum(self.replay.values()), sum(self.sources.values())
        return {**{name: left * weight / total for name, weight in self.sources.items()}, **self.replay}


def _check_name(name: str) -> None:
    """Raises RecipeError for a name that could be none of a folder, or that is taken."""
    if not _NAME.fullmatch(name) or len(name.encode()) > _LONGEST_NAME:
        mend = f"Use letters, digits, spaces and . , + - = % ( ), at most {_LONGEST_NAME} bytes."
        raise RecipeError("continual.stages", f"{name[:40]!r} is no name of a stage", mend)
    if name in _TAKEN:
        raise RecipeError("continual.stages", f"{name!r} is what the model before the first stage is called", "Rename.")


def scaled_schedule(schedule: Schedule, scale: float) -> Schedule:
    """A schedule whose lengths in tokens are so many times as long."""
    lengths = {
        field.name: round(length * scale)
        for field in dataclasses.fields(schedule)
        if field.name.endswith("_tokens") and (length := getattr(schedule, field.name)) is not None
    }
    return dataclasses.replace(schedule, **lengths)


@dataclasses.dataclass(frozen=True)
class Route:
    """One way from nothing, or from a given model, to a model that knows the new text.

    Args:
        name: of the route.
        stages: in order.
        init: a model folder that the first stage begins from; its tokenizer is used throughout.
        tokenizer: sources whose text the recipe's tokenizer is trained on, where there is no `init`; empty: those of
            the first stage.
    """

    name: str
    stages: tuple[TrainingStage, ...]
    init: str = ""
    tokenizer: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Raises RecipeError for a first stage without a model, and for stages that share a name."""
        where = f"continual.{self.name}"
        if not self.stages:
            raise RecipeError(f"{where}.stages", "there is no stage", "Give the route at least one.")
        names = [stage.name for stage in self.stages]
        for at, stage in enumerate(self.stages):
            if names.index(stage.name) != at:
                raise RecipeError(f"{where}.stages", f"two stages are called {stage.name!r}", "Rename one.")
            if stage.begin == "scratch" and (at or self.init):
                raise RecipeError(f"{where}.{stage.name}.begin", "would throw the model away", 'Say "rewarm".')
            if at == 0 and not self.init and stage.begin != "scratch":
                mend = 'Say "scratch", or give the route an `init`.'
                raise RecipeError(f"{where}.{stage.name}.begin", "there is no model to begin from", mend)
            for field in ("teacher", "parent"):
                named = getattr(stage, field)
                if named and named not in names[:at]:
                    mend = did_you_mean(named, names[:at])
                    raise RecipeError(f"{where}.{stage.name}.{field}", f"no stage before is called {named!r}", mend)
            if stage.parent and stage.begin == "continue":
                mend = 'Say "rewarm", or leave `parent` out.'
                raise RecipeError(f"{where}.{stage.name}.parent", "a stage goes on from the one before it", mend)


@dataclasses.dataclass(frozen=True)
class RatioPlan:
    """How much of a stage should be replay: small runs at a few ratios, a law, and a check (D-CPT law).

    Args:
        route, stage: the stage whose `replay` is asked for; it must replay one source.
        replay: shares that are tried.
        tokens: of each small run.
        new, old: held-out domains (names in `evaluate.texts`) of the new and of the replayed text.
        max_old_increase: bound on what may be lost: nats per token of `old` above the model that the stage begins from.
        seeds: of the small runs and of the check.
        check: also train the stage itself at the ratio that is found, and at half and twice of it.
    """

    route: str
    stage: str
    new: str
    old: str
    replay: tuple[Annotated[float, Gt(0), Lt(1)], ...] = (0.01, 0.05, 0.1, 0.25, 0.5)
    tokens: Annotated[int, Ge(1)] = 200_000
    max_old_increase: float = 0.05
    seeds: Annotated[int, Ge(1)] = 1
    check: bool = True


@dataclasses.dataclass(frozen=True)
class ContinualPlan:
    """Routes that are trained from the same starts, over seeds, in pairs.

    Args:
        routes: the ways.
        baseline: the route that the others are compared with.
        seeds: how often each is trained; the seed sets initial weights and order, the same for every route.
        ratio: a replay ratio to be found first, or none.
        scale: times the tokens of every stage and of the ratio's runs, and of every length that a schedule gives in
            tokens, to try a recipe out.
    """

    routes: tuple[Route, ...]
    baseline: str
    seeds: Annotated[int, Ge(1)] = 3
    ratio: RatioPlan | None = None
    scale: Annotated[float, Gt(0)] = 1.0

    def __post_init__(self) -> None:
        """Raises RecipeError for a route that is not there, or is there twice."""
        names = [route.name for route in self.routes]
        if self.baseline not in names:
            what = f"no route is called {self.baseline!r}"
            raise RecipeError("continual.baseline", what, did_you_mean(self.baseline, names))
        if len(set(names)) < len(names):
            raise RecipeError("continual.routes", "two routes have one name", "Give each its own.")

    def scaled(self) -> ContinualPlan:
        """The plan as it is trained, of scale 1."""
        if self.scale == 1:
            return self
        routes = tuple(
            dataclasses.replace(route, stages=tuple(stage.scaled(self.scale) for stage in route.stages))
            for route in self.routes
        )
        ratio = self.ratio
        if ratio is not None:
            ratio = dataclasses.replace(ratio, tokens=max(1, round(ratio.tokens * self.scale)))
        return dataclasses.replace(self, routes=routes, ratio=ratio, scale=1.0)
