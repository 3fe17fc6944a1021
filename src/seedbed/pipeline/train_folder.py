"""One training run in a folder, as `seedbed train` leaves it: curate, tokenise, train, write down what came of it.

In the folder: `checkpoints/` while and after, `metrics.jsonl` as it goes and `metrics.parquet`, `model/` (the final
model with its tokenizer), `incidents.jsonl` where steps were skipped, `train.json` (what was asked, what was read, on
which machine, what came of it), `report.html`. A folder holds one run; the same request goes on with it, or is
answered from it.

Under torchrun the first process does everything but the loop itself, while the others wait.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

from seedbed.core import remote, units
from seedbed.core.artifact import Artifact, Store, disk_error, write_text
from seedbed.core.errors import RecipeError
from seedbed.core.fingerprint import fingerprint
from seedbed.core.parameters import Json
from seedbed.engine.progress import announce
from seedbed.pipeline import models, tracking, train_data, train_note, train_request, train_stage, workplace
from seedbed.pipeline.metrics import Metrics
from seedbed.pipeline.sources import SourceFiles, epoch_tokens, make_metadata, token_sources
from seedbed.pipeline.train_request import Asked
from seedbed.pipeline.workplace import Workplace
from seedbed.recipe import Recipe
from seedbed.train.plan import TrainPlan

if TYPE_CHECKING:
    from seedbed.model.runtime import Runtime
    from seedbed.model.transformer import Decoder
    from seedbed.train.run import TrainResult

SMALL_MODEL = 10_000_000
"""Parameters up to which one CPU thread is the default: on less work, more threads wait for one another."""


@dataclasses.dataclass(frozen=True)
class _Run:
    """A run that is prepared: plain data, the same for every process."""

    folder: Path
    plan: TrainPlan
    seed: int
    sources: Mapping[str, SourceFiles]
    tokenizer: Path
    last_step: int


def train(asked: Asked) -> Path:
    """Do it, or go on with it, or find it done. Gives the folder on this machine."""
    tracking.check(asked.track)
    train_stage.check_origin(asked)
    recipe, origin = train_request.recipe_of(asked)
    train_request.check_there(asked, recipe, origin)
    processes = int(os.environ.get("WORLD_SIZE") or "1")
    if processes == 1:
        with Workplace.open(asked.out, asked.workers) as place:
            run = _prepare(place, asked, recipe, origin)
            if train_note.is_done(place.out, run.last_step):
                return place.out
            _loop(run, asked, _runtime(asked, run.plan, 1))
            _finish(place)
        return place.out
    return _with_others(asked, recipe, origin, processes)


def _with_others(asked: Asked, recipe: Recipe, origin: Path | None, processes: int) -> Path:
    """The same in one of several processes: the first does all but the loop, and holds the folder's lock."""
    from seedbed.model.runtime import Runtime
    from seedbed.train import distributed

    if remote.is_remote(asked.out):
        raise RecipeError(
            "--out", "several processes do not meet in a store", "Name a folder that all processes share."
        )
    with (
        distributed.together(Runtime(device=asked.device).torch_device) as world,
        contextlib.ExitStack() as stack,
    ):
        opened: list[Workplace] = []

        def prepare() -> None:
            opened.append(stack.enter_context(Workplace.open(asked.out, asked.workers)))
            _prepare(opened[0], asked, recipe, origin)

        distributed.first_does(world, prepare)
        run = _prepared(Path(asked.out), asked)
        if train_note.is_done(run.folder, run.last_step):
            return run.folder
        _loop(run, asked, _runtime(asked, run.plan, processes), is_first=world.is_first)
        distributed.first_does(world, lambda: _finish(opened[0]))
    return Path(asked.out)


def _runtime(asked: Asked, plan: TrainPlan, processes: int) -> Runtime:
    """How to compute; threads are those the run began with, since its bits depend on them."""
    from seedbed.model import counts
    from seedbed.model.runtime import Runtime

    threads = asked.threads
    before = cast("dict[str, Json]", train_note.read(workplace.local(asked.out)).get("runtime") or {})
    if threads is None and before.get("threads"):
        threads = cast(int, before["threads"])
    if threads is None:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        is_small = counts.total_parameters(plan.shape) < SMALL_MODEL
        threads = 1 if is_small else max(1, cores // processes)
    return Runtime(asked.device, threads, asked.loader_workers, asked.parallel)


def _prepare(place: Workplace, asked: Asked, recipe: Recipe, origin: Path | None) -> _Run:
    """Everything before the loop: sources, tokenizer, plan; written down in train.json."""
    note, asking = train_note.read(place.out), train_request.hash_of(recipe, origin, asked)
    if note.get("asked") == asking and train_note.is_done(place.out, (run := _prepared(place.out, asked)).last_step):
        return run
    read = train_data.prepare(place, recipe, origin, asked.origin or "", asked.model)
    plan = _plan(recipe, read.tokenizer, asked)
    _check_mixture(plan, read.sources)
    train_stage.check_stage(asked, plan.mixture, read.sources)
    begun = {"init": asked.init, "branch": asked.branch, "continue": asked.continue_from, "rewarm": asked.rewarm}
    begun_from = {role: remote.url_of(given) for role, given in begun.items() if given is not None}
    begun_from |= {"optimizer": "fresh"} if asked.fresh_optimizer else {}
    before, note = note, train_note.of(place.out, plan, asked.seed, read, begun_from)
    train_note.check_same(place.out, note)
    note |= {"asked": asking}
    note |= {key: before[key] for key in ("runtime", "done", "heldout") if key in before}
    place.remember_recipe(dataclasses.replace(read.recipe, train=plan))
    make_metadata(read.sources.values(), plan, read.tokenizer.path, place.store)
    _publish_tokenizer(place.out, read.tokenizer)
    write_text(place.out / train_note.NOTE, json.dumps(note, indent=1) + "\n")
    return _prepared(place.out, asked)


def _plan(recipe: Recipe, tokenizer: Artifact, asked: Asked) -> TrainPlan:
    """With the tokenizer's vocabulary, or the shape of the model that training starts from."""
    assert recipe.train is not None
    vocabulary = cast(int, tokenizer.about["vocab_size"])
    own = dataclasses.replace(recipe.train, shape=dataclasses.replace(recipe.train.shape, vocab_size=vocabulary))
    given = asked.rewarm if asked.init is None else asked.init
    if given is None:
        return own
    shape = models.read(given).decoder.shape
    if vocabulary > shape.vocab_size:
        what = f"the tokenizer has {vocabulary} entries, the model's embedding {shape.vocab_size}"
        raise RecipeError("--init", what, "Name a model that was trained with this tokenizer.")
    if asked.rewarm is not None:  # places in the data are of a context
        return (
            own
            if any(path.startswith("train.shape") for path in asked.settings)
            else dataclasses.replace(own, shape=shape)
        )
    context = min(shape.context, recipe.train.shape.context)
    return dataclasses.replace(recipe.train, shape=dataclasses.replace(shape, context=context))


def _check_mixture(plan: TrainPlan, sources: Mapping[str, SourceFiles]) -> None:
    """Every source has a share somewhere, and every share a source."""
    named = dict.fromkeys(name for phase in plan.mixture for name in phase.shares)
    if unknown := [name for name in named if name not in sources]:
        what = f"there is no source {unknown[0]!r}"
        raise RecipeError("train.mixture", what, f"Sources: {', '.join(sources)}.")
    if len(sources) > 1 and (silent := [name for name in sources if name not in named]):
        tokens = {name: epoch_tokens(files) for name, files in sources.items()}
        shares = ", ".join(f"{name}: {tokens[name] / sum(tokens.values()):.2f}" for name in sources)
        mend = f"In proportion to their tokens it would be: mixture: [{{shares: {{{shares}}}}}]."
        raise RecipeError("train.mixture", f"it gives no share to the source {silent[0]}", mend)


def _prepared(folder: Path, asked: Asked) -> _Run:
    """The run as train.json tells it, which is how the other processes come to know."""
    note = train_note.read(folder)
    plan = train_note.plan_of(note)
    tokenizer = folder / cast("dict[str, str]", note["tokenizer"])["folder"]
    last_step = plan.steps
    if asked.until_tokens is not None:
        last_step = min(last_step, -(-units.count(asked.until_tokens, "--until-tokens") // plan.batch_tokens))
    return _Run(folder, plan, asked.seed, train_note.sources_of(folder, note), tokenizer, last_step)


def _loop(run: _Run, asked: Asked, runtime: Runtime, *, is_first: bool = True) -> None:
    """Train, watched by what was asked for; in the first process write down what came of it."""
    from seedbed.model.peak import matmul_peak
    from seedbed.train.run import train

    processes = int(os.environ.get("WORLD_SIZE") or "1")
    watchers: list[tracking.Watcher] = []
    metrics = _metrics(run, asked)
    if is_first:
        train_note.add(run.folder, runtime={**runtime.describe(), "processes": processes, "parallel": runtime.parallel})
        _tell_choice(run.plan)
        display = tracking.Display(matmul_peak(runtime) * processes, run.last_step)
        watchers = [display, metrics, *_trackers(run, asked)]
    with tracking.watching(watchers) as observe:
        result = train(
            run.plan,
            token_sources(run.sources, run.plan, run.seed, run.tokenizer, Store(run.folder)),
            seed=run.seed,
            folder=run.folder,
            init=_init(run, asked.init),
            continue_from=_folder(asked.continue_from),
            branch_from=_folder(asked.branch),
            enter_from=_folder(asked.rewarm),
            carry_optimizer=not asked.fresh_optimizer,
            from_annealed=asked.from_annealed,
            until_tokens=run.last_step * run.plan.batch_tokens,
            observe=observe,
            runtime=runtime,
            reference=models.read(asked.reference).decoder if asked.reference is not None else None,
        )
    if is_first:
        metrics.close(result.log)
        _publish_model(run.folder, result.folder)
        train_note.add(run.folder, done=_done(run, result))


def _tell_choice(plan: TrainPlan) -> None:
    """Say what the Step Law chose where the plan left it to it."""
    left = [name for name in ("batch_sequences", "learning_rate") if getattr(plan, name) is None]
    if left:
        rate, batch = f"learning rate {plan.peak_learning_rate:.3g}", f"batch of {plan.sequences} sequences"
        told = {"learning_rate": rate, "batch_sequences": batch}
        beyond = "" if plan.step_law.in_range else "; it was fitted on larger models and longer runs"
        announce(f"The Step Law chose: {', '.join(told[name] for name in left)}{beyond}.")


def _metrics(run: _Run, asked: Asked) -> Metrics:
    parent = _folder(asked.branch or asked.continue_from)
    if parent is not None and parent.name.startswith("step-"):
        parent = parent.parent.parent
    return Metrics(run.folder, _views(run), run.plan.log_every_steps, parent)


def _views(run: _Run) -> list[str]:
    """What is read, by name."""
    return [name + view.suffix for name in run.sources for view in run.plan.objective.views()]


def _trackers(run: _Run, asked: Asked) -> Sequence[tracking.Watcher]:
    found: list[tracking.Watcher] = []
    if "tensorboard" in asked.track:
        found.append(tracking.TensorBoard(run.folder))
    if "wandb" in asked.track:
        note = train_note.read(run.folder)
        config = {key: note[key] for key in ("plan", "resolved", "seed", "runtime")}
        found.append(tracking.WandB(run.folder, fingerprint(train_note.identity(note))[:12], config))
    return found


def _folder(given: str | Path | None) -> Path | None:
    return None if given is None else workplace.local(given)


def _init(run: _Run, given: str | Path | None) -> Decoder | None:
    """The model to start from; not read where the run has a checkpoint of its own."""
    if given is None or any((run.folder / models.CHECKPOINTS).glob("step-*")):
        return None
    from seedbed.model.hugging_face import shorten

    decoder = models.read(given).decoder
    return decoder if decoder.shape == run.plan.shape else shorten(decoder, run.plan.shape.context)


def _done(run: _Run, result: TrainResult) -> dict[str, Json]:
    from seedbed.model import counts
    from seedbed.train.pruning import account

    seen = result.state.read
    read = {name: tokens for name, tokens in seen.items() if tokens or name in _views(run)}
    return {
        "step": result.state.step,
        "tokens": result.state.tokens,
        "flops": float(result.state.flops),
        "finished": result.finished,
        "params": counts.total_parameters(run.plan.shape),
        "params_non_embedding": counts.non_embedding_parameters(run.plan.shape),
        "shares": {name: tokens / max(sum(read.values()), 1) for name, tokens in read.items()},
        "epochs": {
            name: result.state.cursors.get(name, 0) / epoch_tokens(files)
            for name, files in run.sources.items()
            if name in result.state.cursors
        },
        "resumed_from_step": result.resumed_from_step,
        "checkpoint": result.folder.name,
        **account(run.plan, result.state, result.off),
    }


def _publish_tokenizer(folder: Path, tokenizer: Artifact) -> None:
    """`model/` begins as a tokenizer; it is a model when its config.json is there, which comes last."""
    target = folder / models.MODEL
    target.mkdir(exist_ok=True)
    for name in ("tokenizer.json", "special.json"):
        write_text(target / name, (tokenizer.path / name).read_text(encoding="utf-8"))


def _publish_model(folder: Path, checkpoint: Path) -> None:
    target = folder / models.MODEL
    try:
        for name in ("model.safetensors", "config.json"):
            aside = target / f".{name}.tmp"
            shutil.copyfile(checkpoint / name, aside)
            with aside.open("rb") as handle:
                os.fsync(handle.fileno())
            os.replace(aside, target / name)
    except OSError as error:
        raise disk_error(target, error) from error


def _finish(place: Workplace) -> None:
    """Held-out numbers where the recipe asks for them, and the report."""
    from seedbed.pipeline import flatness, reporting, scoring

    recipe = workplace.read_recipe(place.out)
    note = train_note.read(place.out)
    done = cast("dict[str, Json]", note["done"])
    if recipe.evaluate is not None and cast("dict[str, Json]", note.get("heldout") or {}).get("step") != done["step"]:
        texts: dict[str, Json] = {}
        for domain, file in recipe.evaluate.texts.items():
            texts[domain] = scoring.evaluate_files(place.out / models.MODEL, [file], recipe)
        told: dict[str, Json] = {"step": done["step"], "texts": texts}
        if draws := recipe.evaluate.flatness:
            target = recipe.evaluate.texts[recipe.evaluate.target]
            told["flatness"] = flatness.measured(place.out / models.MODEL, [target], recipe, draws)
        train_note.add(place.out, heldout=told)
    reporting.report_into(place, recipe)
