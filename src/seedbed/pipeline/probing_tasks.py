"""Likelihood probes asked of models: items from JSON Lines, answers as Outcomes, accuracies beside their baselines."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack, cast

import pyarrow as pa

from seedbed import catalogue
from seedbed.core import arrow
from seedbed.core.artifact import Artifact, Draft, Request, Store
from seedbed.core.errors import RecipeError, SeedbedError
from seedbed.core.fingerprint import fingerprint, hash_file
from seedbed.core.parameters import Json
from seedbed.engine.contract import Tick
from seedbed.evaluate.accuracy import ProbeSummary, difference, summarise_answers
from seedbed.evaluate.baselines import ShorterWins, ngram_baseline
from seedbed.evaluate.contract import Probe, TextModel
from seedbed.evaluate.items import Item, Line, read_lines
from seedbed.pipeline import flatness, models, workplace
from seedbed.pipeline.data import texts_into
from seedbed.pipeline.workplace import Workplace
from seedbed.tokenize.run import from_kept

if TYPE_CHECKING:
    from seedbed.recipe import Recipe

SIGNS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("minimal_pairs", ("good", "sentence_good")),
    ("planted_facts", ("distractors",)),
    ("multiple_choice", ("choices",)),
    ("cloze", ("context",)),
)
"""Task -> fields of which one gives it away, in the order in which they are looked for."""


@dataclasses.dataclass(frozen=True)
class ProbeTask:
    """Ask one model all probes.

    Args:
        model: its folder.
        probes: name -> (task, file or folder of items).
        root: the output folder.
    """

    model: Path
    probes: Mapping[str, tuple[Probe, Path]]
    root: Path

    def request(self, name: str) -> Request:
        """The Outcomes of one probe: of the task, the items' content and the model."""
        probe, source = self.probes[name]
        identity: dict[str, Json] = {**probe.identity(), "probe": name, "items": content_of(source)}
        return Request("Outcomes", f"{probe.name()}-{name}", identity, {"model": Artifact(self.model).fingerprint})


def probe_runs(
    place: Workplace, runs: Sequence[Artifact], probes: Mapping[str, tuple[Probe, str]]
) -> dict[str, dict[str, ProbeSummary]]:
    """Run folder -> probe -> its answers summed up (`.overall.accuracy.value`); what is stored is not asked again.

    Args:
        place: where the answers are kept, as Outcomes with the columns of ANSWERS.
        runs: trained models.
        probes: name -> (task, file, folder or zip archive of items).
    """
    sources = {name: (probe, _there(source)) for name, (probe, source) in probes.items()}
    tasks = [ProbeTask(run.path, sources, place.out) for run in runs]
    waiting = [t for t in tasks if any(place.store.find(t.request(name)) is None for name in sources)]
    place.engine.run(probe_one, waiting, label=f"probe {len(waiting)} models", total=len(waiting), unit="models")
    return {
        task.model.name: {
            name: summarise_answers(cast(Artifact, place.store.find(task.request(name))).table()) for name in sources
        }
        for task in tasks
    }


def probe_one(task: ProbeTask, tick: Tick) -> None:
    """Outcomes of one model, an artifact a probe."""
    from seedbed.model import runtime

    runtime.prepare()
    model = models.open_model(task.model)
    store = Store(task.root)
    for name, (probe, source) in task.probes.items():

        def fill(draft: Draft, probe: Probe = probe, source: Path = source) -> dict[str, Json]:
            draft.write_table("part-00000.parquet", answers_of(probe, model, items_of(probe, read_lines(source))))
            return {}

        store.make(task.request(name), fill)
    tick(1)


def probe_baselines(probes: Mapping[str, tuple[Probe, str]], documents: Artifact) -> dict[str, dict[str, ProbeSummary]]:
    """Baseline -> probe -> its answers summed up: "shorter wins", and a "5-gram" model of these documents."""
    baselines: dict[str, TextModel] = {"shorter wins": ShorterWins(), "5-gram": _ngrams_of(documents)}
    read = {name: (probe, items_of(probe, read_lines(_there(source)))) for name, (probe, source) in probes.items()}
    return {
        told: {name: summarise_answers(answers_of(probe, model, items)) for name, (probe, items) in read.items()}
        for told, model in baselines.items()
    }


class How(TypedDict, total=False):
    """What may be asked of `evaluate` beside bits per byte.

    Args:
        probes: files, folders or zip archives of items.
        task: the probes' task: its name, JSON such as {"multiple_choice": {"normalise": "pmi"}}, or an instance;
            by default the one that their fields tell.
        ngrams: text for an n-gram baseline, by default none.
        flatness: draws for the trace of the loss's Hessian on the texts (model.flatness), by default none.
    """

    probes: Sequence[str | Path]
    task: str | Probe
    ngrams: Sequence[str | Path]
    flatness: int


def evaluate(model: str | Path, texts: Sequence[str], defaults: Recipe, **how: Unpack[How]) -> dict[str, Json]:
    """Bits per byte on texts, where there are any, and "probes": name -> accuracies, where there are any.

    Args:
        model: a model folder.
        texts: held-out files.
        defaults: a recipe whose readers and extractor read texts.
        how: see How.
    """
    probes, ngrams = (workplace.expand(given) for given in (how.get("probes", ()), how.get("ngrams", ())))
    from seedbed import pipeline
    from seedbed.model import runtime

    if not texts and not probes:
        raise RecipeError("evaluate", "there is nothing to evaluate on", "Name held-out texts, or probes.")
    folder = workplace.local(model)
    read = {_name(source): _read(source, how.get("task", "")) for source in probes}
    if len(read) < len(probes):
        raise RecipeError("--probe", "two probes have the same name", "Ask them one by one, or rename a file.")
    told = pipeline.evaluate(folder, texts, defaults) if texts else {}
    if draws := how.get("flatness", 0):
        if not texts:
            raise RecipeError("--flatness", "there is no text to take the loss on", "Name held-out texts.")
        told["flatness"] = flatness.measured(folder, texts, defaults, draws)
    if not read:
        return told
    baselines: dict[str, TextModel] = {"shorter_wins": ShorterWins()}
    if ngrams:
        workplace.check_there("--ngrams", ngrams)
        with tempfile.TemporaryDirectory() as scratch, Workplace.open(scratch) as place:
            baselines["ngrams"] = _ngrams_of(texts_into(place, defaults.curate, ngrams))
    runtime.prepare()
    asked = models.open_model(folder)
    return {**told, "probes": {name: _told(probe, asked, items, baselines) for name, (probe, items) in read.items()}}


def _ngrams_of(documents: Artifact) -> TextModel:
    return ngram_baseline(from_kept(arrow.read_parquet(shard)) for shard in documents.shards())


def _told(probe: Probe, model: TextModel, items: Sequence[Item], baselines: Mapping[str, TextModel]) -> dict[str, Json]:
    """A probe of one model, as JSON: accuracies, those of the baselines, and the model's lead over them."""
    rows = answers_of(probe, model, items)
    told = summarise_answers(rows).to_json()
    for baseline, other in baselines.items():
        theirs = answers_of(probe, other, items)
        base, gap = summarise_answers(theirs), difference(rows, theirs)
        for name, group in {"": told, **cast("dict[str, dict[str, Json]]", told["groups"])}.items():
            group[baseline] = (base.groups[name] if name else base.overall).accuracy.value
            group[f"above_{baseline}"] = [gap[name].value, gap[name].low, gap[name].high]
    return {"task": probe.name(), "parameters": probe.to_json(), **told}


def tables(probes: Mapping[str, dict[str, Json]]) -> list[tuple[str, list[str], list[list[Json]]]]:
    """(title, columns, rows) of each probe that `evaluate` told of, to be printed."""
    found: list[tuple[str, list[str], list[list[Json]]]] = []
    for name, told in probes.items():
        baselines = [baseline for baseline in ("shorter_wins", "ngrams") if baseline in told]
        columns = ["", "items", "accuracy", "95 %", "chance", *(b.replace("_", " ") for b in baselines), "bits/byte"]
        groups = cast("dict[str, dict[str, Json]]", told["groups"])
        every = {**groups, "all items": told} if len(groups) > 1 else {"all items": told}
        rows = [_row(group, of, baselines) for group, of in every.items()]
        blank: list[Json] = [""] * (len(columns) - 3)
        for family, value in cast("dict[str, float]", told["families"]).items():
            rows.append([f"mean of {family}", "", f"{value:.3f}", *blank])
        found.append((f"\n{name}: {told['task']}", columns, rows))
    return found


def _row(group: str, of: Mapping[str, Json], baselines: Sequence[str]) -> list[Json]:
    number = cast("Mapping[str, float]", of)
    interval = f"{number['low']:.3f} to {number['high']:.3f}"
    bits = "" if of["bits_per_byte"] is None else f"{number['bits_per_byte']:.3f}"
    beside = [f"{number[name]:.3f}" for name in ("chance", *baselines)]
    return [group, of["items"], f"{number['accuracy']:.3f}", interval, *beside, bits]


def answers_of(probe: Probe, model: TextModel, items: Sequence[Item]) -> pa.Table:
    """A table of schema ANSWERS, one row an item, in the order of the items."""
    rows = probe.score(model, items)
    if rows.num_rows != len(items):
        raise SeedbedError(
            probe.path(), f"{rows.num_rows} answers to {len(items)} items", "A probe answers every item."
        )
    return rows


def items_of(probe: Probe, lines: Sequence[Line]) -> tuple[Item, ...]:
    """The items of all lines. Raises SeedbedError naming file, line and field, also for an id given twice."""
    seen: dict[str, Line] = {}
    items: list[Item] = []
    for line in lines:
        item = probe.item(line)
        if item.name in seen:
            raise line.wrong(
                "id", f"{item.name!r} is the id of line {seen[item.name].number} of {seen[item.name].file}"
            )
        seen[item.name] = line
        items.append(item)
    return tuple(items)


def fitting(line: Line) -> Probe:
    """The task that the fields of a line are those of. Raises SeedbedError where they are none's."""
    for name, signs in SIGNS:
        if any(sign in line.fields for sign in signs):
            return cast(Probe, catalogue.build(Probe, f"evaluate.tasks.{name}", "task"))
    tells = "; ".join(f"{name}: {' or '.join(signs)}" for name, signs in SIGNS)
    raise SeedbedError(f"{line.file}, line {line.number}", "its fields are no task's", f"A task is known by: {tells}.")


def content_of(source: Path) -> str:
    """A fingerprint of items: of one file, or of the names and contents of a folder's."""
    if source.is_dir():
        return fingerprint({file.name: hash_file(file) for file in sorted(source.iterdir()) if file.is_file()})
    return hash_file(source)


def _read(source: str, task: str | Probe) -> tuple[Probe, tuple[Item, ...]]:
    from seedbed.recipe import parse

    lines = read_lines(_there(source))
    if isinstance(task, Probe):
        return task, items_of(task, lines)
    value = parse(task) if task.startswith("{") else task
    probe = cast(Probe, catalogue.build(Probe, value, "task")) if task else fitting(lines[0])
    return probe, items_of(probe, lines)


def _there(source: str) -> Path:
    workplace.check_there("--probe", [source])
    return workplace.resolve([source])[0]


def _name(source: str) -> str:
    return Path(source).name.partition(".")[0] or source
