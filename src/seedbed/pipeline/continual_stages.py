"""Routes at work: stage by stage, all routes and seeds that stand at the same place side by side.

What two routes have in common at their beginning is one run: its name says what led to it, not whose it is.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from seedbed.core.artifact import Artifact
from seedbed.core.errors import RecipeError, SeedbedError
from seedbed.core.fingerprint import fingerprint
from seedbed.core.parameters import encode
from seedbed.pipeline import continual_entry, leaks
from seedbed.pipeline.continual_data import Ground, given_model, same_tokenizer, tokenizer_of_model
from seedbed.pipeline.sources import epoch_tokens
from seedbed.pipeline.training import RunTask, run_all
from seedbed.recipe.continual import Route, TrainingStage
from seedbed.select.mixing import Domains, Seen
from seedbed.train.plan import Phase, TrainPlan

if TYPE_CHECKING:
    from seedbed.model.shape import ModelShape


@dataclasses.dataclass(frozen=True)
class Leg:
    """One model on a route.

    Args:
        stage, order: the stage that made it, counted from 1; 0 is the model before the first.
        branch: "stage", or "annealed": the branch that no stage begins from.
        run: a model folder: a Run, or the Model that the route was given.
        begins_at: tokens that the run's counters began with.
        tokens, flops: of this stage (FLOP).
        entered: the model that went into the stage, where it was transformed first.
    """

    route: str
    seed: int
    stage: str
    order: int
    branch: str
    run: Artifact
    begins_at: int = 0
    tokens: int = 0
    flops: float = 0.0
    entered: Artifact | None = None


@dataclasses.dataclass(frozen=True)
class _Walker:
    """A route under one seed, and how far it is."""

    route: Route
    seed: int
    tokenizer: Artifact
    legs: tuple[Leg, ...]
    plan: TrainPlan | None = None
    lineage: str = ""

    @property
    def model(self) -> Artifact:
        """The last stage's; annealed branches are nobody's parents."""
        return next(leg.run for leg in reversed(self.legs) if leg.branch == "stage")

    def stage(self, number: int) -> TrainingStage:
        """The stage of that number."""
        return self.route.stages[number]

    def begins_from(self, number: int) -> Artifact:
        """The model that a stage begins from."""
        parent = self.stage(number).parent
        return self.run_of(parent) if parent else self.model

    def run_of(self, stage: str) -> Artifact:
        """The model that a stage before this one made."""
        return next(leg.run for leg in self.legs if leg.stage == stage and leg.branch == "stage")


def walk(ground: Ground, routes: Sequence[Route], seeds: Sequence[int]) -> list[Leg]:
    """Every model of every route under every seed, the initial ones included."""
    walkers = _begun(ground, routes, seeds)
    for number in range(max(len(route.stages) for route in routes)):
        standing = [at for at, walker in enumerate(walkers) if number < len(walker.route.stages)]
        tasks = dict(zip(standing, _tasks(ground, [walkers[at] for at in standing], number), strict=True))
        runs = _run(ground, tasks.values(), "train")
        for at, task in tasks.items():
            walkers[at] = _moved(walkers[at], number, task, runs[task.label])
        branches = {at: _branch(walkers[at], number, tasks[at]) for at in standing if _anneals(walkers[at], number)}
        annealed = _run(ground, branches.values(), "anneal")
        for at, task in branches.items():
            leg = _leg(walkers[at], number, task, annealed[task.label], "annealed")
            walkers[at] = dataclasses.replace(walkers[at], legs=(*walkers[at].legs, leg))
    return [leg for walker in walkers for leg in walker.legs]


def _run(ground: Ground, tasks: Iterable[RunTask], verb: str) -> dict[str, Artifact]:
    """label -> Run; what routes share is one."""
    different = list({task.label: task for task in tasks}.values())
    if not different:
        return {}
    return run_all(different, ground.place.store, ground.place.engine, f"{verb} {len(different)} stages")


def _begun(ground: Ground, routes: Sequence[Route], seeds: Sequence[int]) -> list[_Walker]:
    """Where every route begins: an initial model of its seed, or the one that it was given."""
    walkers: list[_Walker] = []
    starts: dict[str, RunTask] = {}
    for route in routes:
        if route.init:
            model, tokenizer = given_model(ground.place, route.init, ground)
            for seed in seeds:
                leg = Leg(route.name, seed, "given", 0, "stage", model)
                walkers.append(_Walker(route, seed, tokenizer, (leg,), lineage=model.fingerprint))
            continue
        tokenizer = ground.tokenizer(route.tokenizer or tuple(route.stages[0].sources))
        plan = _sized(ground, tokenizer)
        sources = {name: ground.files(name, tokenizer) for name in route.stages[0].sources}
        for seed in seeds:
            label = f"start-{tokenizer.fingerprint[:6]}-seed{seed}"
            some = dict([next(iter(sources.items()))])
            one = RunTask(label, plan, seed, some, tokenizer.path, ground.place.out, until_tokens=0)
            starts.setdefault(label, one)
            walkers.append(_Walker(route, seed, tokenizer, (), lineage=label))
    runs = run_all(list(starts.values()), ground.place.store, ground.place.engine, f"start {len(starts)} models")
    return [
        walker if walker.legs else dataclasses.replace(
            walker, legs=(Leg(walker.route.name, walker.seed, "initial", 0, "stage", runs[walker.lineage]),)
        )
        for walker in walkers
    ]  # fmt: skip


def _sized(ground: Ground, tokenizer: Artifact) -> TrainPlan:
    """The recipe's plan with the tokenizer's vocabulary."""
    assert ground.recipe.train is not None
    shape = dataclasses.replace(ground.recipe.train.shape, vocab_size=cast(int, tokenizer.about["vocab_size"]))
    return dataclasses.replace(ground.recipe.train, shape=shape)


def _tasks(ground: Ground, walkers: Sequence[_Walker], number: int) -> list[RunTask]:
    """The stage of that number of every walker; models go through their entries first, side by side."""
    entered = continual_entry.enter_all(
        ground.place,
        [
            continual_entry.Entering.of(
                ground, walker.stage(number), walker.begins_from(number), walker.run_of, walker.seed
            )
            for walker in walkers
            if walker.stage(number).entry
        ],
    )
    waiting = iter(entered)
    tasks: list[RunTask] = []
    for walker in walkers:
        model = next(waiting) if walker.stage(number).entry else None
        tasks.append(_task(ground, walker, number, model))
    return tasks


def _task(ground: Ground, walker: _Walker, number: int, entered: Artifact | None) -> RunTask:
    """One stage of one walker. `entered`: its model after the entry, where there is one."""
    stage, where = walker.stage(number), f"continual.{walker.route.name}.{walker.stage(number).name}"
    parent = walker.begins_from(number)
    before = tokenizer_of_model(ground, parent, walker.tokenizer) if stage.parent else walker.tokenizer
    tokenizer = before if entered is None else tokenizer_of_model(ground, entered, before)
    sources = {name: ground.files(name, tokenizer, stage.curriculum) for name in stage.sources}
    sources |= {name: ground.files(name, tokenizer) for name in stage.replay}
    if stage.replay:
        new = {name: sources[name] for name in stage.sources}
        leaks.refuse_shared(new, {name: sources[name] for name in stage.replay}, where)
    sizes = {name: epoch_tokens(files) for name, files in sources.items()}
    shares = _shares(stage, sizes, walker.seed)
    _check_epochs(stage, shares, sizes, where)
    plan = _plan(ground, walker, number, tokenizer, entered, where)
    named = _named(stage, sources)
    plan = dataclasses.replace(plan, mixture=(Phase({named[name]: share for name, share in shares.items()}),))
    how = "branch" if stage.begin == "continue" else "rewarm"
    trained = dataclasses.replace(stage, anneal_tokens=0, teaches="", max_epochs=None)  # what shapes the model
    lineage = fingerprint({"before": walker.lineage, "stage": encode(trained), "seed": walker.seed})
    is_first = number == 0
    return RunTask(
        label=f"{stage.name}-{lineage[:8]}-seed{walker.seed}",
        plan=plan,
        seed=walker.seed,
        sources={named[name]: sources[name] for name in sorted(sources)},
        tokenizer=tokenizer.path,
        root=ground.place.out,
        init=_init(walker, stage, entered),
        after=None if is_first or tokenizer is not before else parent.path,  # places count tokens of one tokenizer
        how=how,
        carry_optimizer=stage.optimizer == "carried" and entered is None,
        teacher=_teacher(walker, stage, tokenizer, where),
        until_tokens=plan.total_tokens,
    )


def _named(stage: TrainingStage, sources: Mapping[str, object]) -> dict[str, str]:
    """Source -> its name in the run. Under a curriculum it has another: a place in one order is none in another."""
    if stage.curriculum is None:
        return {name: name for name in sources}
    order = f"{stage.curriculum.signal} {'descending' if stage.curriculum.descending else 'ascending'}"
    told = f"{order} {stage.curriculum.buckets}"
    return {name: f"{name} by {told}" if name in stage.sources else name for name in sources}


def _teacher(walker: _Walker, stage: TrainingStage, tokenizer: Artifact, where: str) -> Path | None:
    """The model of the stage that teaches. Raises RecipeError where it reads other tokens."""
    if not stage.teacher:
        return None
    folder = walker.run_of(stage.teacher).path
    if not same_tokenizer(folder, tokenizer.path):
        what = f"the stage {stage.teacher} has another tokenizer than this one"
        raise RecipeError(f"{where}.teacher", what, "Change the vocabulary before the stage that teaches.")
    return folder


def _init(walker: _Walker, stage: TrainingStage, entered: Artifact | None) -> Path | None:
    """The model a stage begins from, where that is not the checkpoint of the stage before."""
    if entered is not None:
        return entered.path
    return walker.model.path if len(walker.legs) == 1 and stage.begin != "scratch" else None


def _shares(stage: TrainingStage, sizes: Mapping[str, float], seed: int) -> dict[str, float]:
    """Source -> share of the stage's tokens."""
    if stage.mixer is None:
        return stage.shares()
    names = sorted(stage.sources)
    held = round((1 - sum(stage.replay.values())) * stage.tokens)
    domains = Domains(tuple(names), np.array([round(sizes[name]) for name in names], np.int64), budget_tokens=held)
    mixture = stage.mixer.mixture(domains, Seen(), seed)
    weights = {name: float(share) for name, share in zip(names, mixture.share_D, strict=True)}
    return dataclasses.replace(stage, sources=weights, mixer=None).shares()


def _check_epochs(stage: TrainingStage, shares: Mapping[str, float], sizes: Mapping[str, float], where: str) -> None:
    for name, share in shares.items():
        epochs = share * stage.tokens / sizes[name]
        if stage.max_epochs is not None and epochs > stage.max_epochs:
            what = f"would read {name} {epochs:.1f} times over, and max_epochs is {stage.max_epochs:g}"
            raise RecipeError(where, what, "Train for fewer tokens, give it a smaller share, or raise max_epochs.")


def _plan(
    ground: Ground, walker: _Walker, number: int, tokenizer: Artifact, entered: Artifact | None, where: str
) -> TrainPlan:
    """How the stage is trained; its mixture is still that of the recipe."""
    stage = walker.stage(number)
    if stage.begin == "continue":
        return _continued(walker.plan, stage, where)
    plan = _sized(ground, tokenizer)
    if entered is not None or walker.route.init or len(walker.legs) > 1:
        plan = dataclasses.replace(plan, shape=_shape_of(walker.begins_from(number) if entered is None else entered))
    return dataclasses.replace(
        plan,
        tokens=stage.tokens,
        schedule=stage.schedule or plan.schedule,
        learning_rate=stage.learning_rate or plan.learning_rate,
        objective=stage.objective or plan.objective,
    )


def _shape_of(model: Artifact) -> ModelShape:
    from seedbed.pipeline import models

    return models.read(model.path).decoder.shape


def _continued(before: TrainPlan | None, stage: TrainingStage, where: str) -> TrainPlan:
    """The plan of the stages before, made longer. Raises RecipeError where it cannot be."""
    changed = [name for name in ("schedule", "learning_rate") if getattr(stage, name) is not None]
    if before is None or stage.entry or changed:
        told = "there is not" if before is None else "cannot change"
        what = f"goes on under the schedule of the stage before, which {told}"
        raise RecipeError(f"{where}.begin", what, 'Say "rewarm", or leave schedule, learning_rate and entry out.')
    seen = before.total_tokens
    longer = dataclasses.replace(
        before,
        tokens=seen + stage.tokens,
        learning_rate=before.peak_learning_rate,
        batch_sequences=before.sequences,
        objective=stage.objective or before.objective,
    )
    for part in range(9):  # the end among them: the rate may have come down there
        at = seen * part // 8
        if abs(before.schedule.value(before.at(at)) - before.schedule.value(longer.at(at))) > 1e-12:
            what = f"goes on under {before.schedule.name()}, whose past depends on how long training is"
            mend = 'Give warm-up and cooldown in tokens (the schedule "infinite" is made for this), or say "rewarm".'
            raise RecipeError(f"{where}.begin", what, mend)
    return longer


def _moved(walker: _Walker, number: int, task: RunTask, run: Artifact) -> _Walker:
    leg = _leg(walker, number, task, run, "stage")
    tokenizer = Artifact(task.tokenizer)
    return dataclasses.replace(
        walker, legs=(*walker.legs, leg), plan=task.plan, lineage=run.fingerprint, tokenizer=tokenizer
    )


def _leg(walker: _Walker, number: int, task: RunTask, run: Artifact, branch: str) -> Leg:
    begins_at = task.begins_at
    spent = cast(float, run.about["flops_train"])
    if begins_at and task.after is not None:
        spent -= cast(float, Artifact(task.after).about["flops_train"])
    tokens = cast(int, run.about["tokens"]) - begins_at
    name = walker.stage(number).name
    entered = Artifact(task.init) if walker.stage(number).entry and task.init is not None else None
    return Leg(walker.route.name, walker.seed, name, number + 1, branch, run, begins_at, tokens, spent, entered)


def _anneals(walker: _Walker, number: int) -> bool:
    return walker.stage(number).anneal_tokens > 0


def _branch(walker: _Walker, number: int, task: RunTask) -> RunTask:
    """The annealing of a stage that is done: an event, which the stage's own plan knows nothing of."""
    stage = walker.stage(number)
    tokens = max(1, stage.anneal_tokens // task.plan.batch_tokens) * task.plan.batch_tokens
    plan = dataclasses.replace(
        task.plan,
        tokens=task.plan.total_tokens + tokens,
        schedule=task.plan.schedule.annealed(tokens),
        learning_rate=task.plan.peak_learning_rate,
        batch_sequences=task.plan.sequences,
    )
    return dataclasses.replace(
        task,
        label=f"annealed-{task.label}",
        plan=plan,
        init=None,
        after=walker.model.path,
        how="branch",
        until_tokens=None,
    )


def check_stages(routes: Sequence[Route], plan: TrainPlan, out: Path) -> None:
    """Raises RecipeError for what a stage's schedule cannot do, and entries that lack something, before any training.

    Of a route that begins from a given model, whose context is not known yet, going on is looked at when it is there.
    """
    for route in routes:
        schedule, before = plan.schedule, None
        for number, stage in enumerate(route.stages):
            continual_entry.check(route, number, out)
            if stage.begin != "continue":
                schedule = stage.schedule or plan.schedule
            if not route.init and stage.begin == "continue":
                before = _continued(before, stage, f"continual.{route.name}.{stage.name}")
            elif not route.init:
                before = dataclasses.replace(plan, tokens=stage.tokens, schedule=schedule)
            if stage.anneal_tokens:
                schedule.annealed(stage.anneal_tokens)


def check(routes: Sequence[Route], domains: Sequence[str]) -> dict[str, str]:
    """stage -> the held-out domain it teaches. Raises SeedbedError where a stage names one that is not there."""
    home: dict[str, str] = {}
    for route in routes:
        for stage in route.stages:
            only = next(iter(stage.sources)) if len(stage.sources) == 1 else ""
            teaches = stage.teaches or (only if only in domains else "")
            if stage.teaches and stage.teaches not in domains:
                what = f"teaches {stage.teaches!r}, and there is no held-out text of that name"
                raise SeedbedError(f"continual.{route.name}.{stage.name}", what, f"There are: {', '.join(domains)}.")
            if teaches and home.setdefault(stage.name, teaches) != teaches:
                what = f"is a stage for {teaches} here and for {home[stage.name]} in another route"
                raise SeedbedError(f"continual.{route.name}.{stage.name}", what, "Give one of them another name.")
    return home
