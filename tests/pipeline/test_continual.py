"""Routes of stages: what is shared, what is carried over, what a kill leaves, what is refused, and the tables."""

from __future__ import annotations

import csv
import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from seedbed import pipeline
from seedbed import recipe as trees
from seedbed.core.errors import RecipeError, SeedbedError
from seedbed.curate.extractors.all_text import AllText
from seedbed.curate.plan import CuratePlan
from seedbed.curate.readers.jsonl import Jsonl
from seedbed.evaluate.audits.ngram_overlap import NgramOverlap
from seedbed.evaluate.tasks.bits_per_byte import BitsPerByte
from seedbed.model.initializers.mean import Mean
from seedbed.model.shape import ModelShape
from seedbed.model.transforms.bert2bert import Bert2BERT
from seedbed.model.transforms.expand_vocabulary import ExpandVocabulary
from seedbed.model.transforms.task_vectors import TaskVectors
from seedbed.model.transforms.trim_vocabulary import TrimVocabulary
from seedbed.pipeline import continual, continual_stages
from seedbed.pipeline.continual_entry import Entering
from seedbed.pipeline.train_request import Asked, recipe_of
from seedbed.recipe import EvaluatePlan, Recipe, SourcePlan
from seedbed.recipe.continual import (
    ContinualPlan,
    Curriculum,
    Entry,
    RatioPlan,
    Route,
    TrainingStage,
    scaled_schedule,
)
from seedbed.select.mixers.temperature import Temperature
from seedbed.tokenize.tokenizers.byte_bpe import ByteBpe
from seedbed.train.objectives.causal_lm import CausalLM
from seedbed.train.objectives.self_distillation import SelfDistillation
from seedbed.train.optimizers.adamw import AdamW
from seedbed.train.plan import Checkpoints, TrainPlan
from seedbed.train.schedules.cosine import Cosine
from seedbed.train.schedules.infinite import Infinite
from seedbed.train.schedules.warmup_stable_decay import WarmupStableDecay
from tests.conftest import sample_texts

STEP = 2 * 32
OLD = TrainingStage("old", 12 * STEP, {"old": 1.0}, begin="scratch")
NEW = TrainingStage("new", 8 * STEP, {"new": 1.0})


def texts(file: Path, first: int, last: int) -> str:
    rows = sample_texts()[first:last]
    file.write_text(
        "".join(
            json.dumps({"text": r["text"][:3000], "url": f"https://a.example/{first}/{i}"}) + "\n"
            for i, r in enumerate(rows)
        )
    )
    return str(file)


def recipe(folder: Path, *routes: Route, seeds: int = 1, **sources: SourcePlan) -> Recipe:
    folder.mkdir(parents=True, exist_ok=True)
    plan = TrainPlan(
        shape=ModelShape(vocab_size=300, d_model=16, n_layers=1, n_heads=2, context=32),
        objective=CausalLM(),
        optimizer=AdamW(),
        schedule=Cosine(),
        tokens=12 * STEP,
        batch_sequences=2,
        learning_rate=4e-3,
        checkpoints=Checkpoints(every_steps=4),
    )
    held = {"old": texts(folder / "held-old.jsonl", 30, 33), "new": texts(folder / "held-new.jsonl", 33, 36)}
    given = {
        "old": SourcePlan((texts(folder / "old.jsonl", 0, 12),)),
        "new": SourcePlan((texts(folder / "new.jsonl", 12, 20),)),
    }
    return Recipe(
        "tiny",
        "a test",
        CuratePlan((Jsonl(),), AllText(), (), survivors=()),
        sources={**given, **sources},
        tokenizer=ByteBpe(vocab_size=300),
        train=plan,
        continual=ContinualPlan(routes, routes[0].name, seeds),
        evaluate=EvaluatePlan(held, "new", BitsPerByte(), NgramOverlap()),
    )


def rows_of(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def run_of(out: Path, stage: str) -> dict[str, Any]:
    """The manifest of a stage's run."""
    [folder] = sorted((out / "artifacts").glob(f"run-{stage}-*"))
    return json.loads((folder / "manifest.json").read_text())


def routes() -> tuple[Route, ...]:
    open_end = Infinite(warmup_tokens=2 * STEP, cooldown_tokens=4 * STEP)
    first = dataclasses.replace(OLD, name="open", schedule=open_end, anneal_tokens=3 * STEP)
    on = dataclasses.replace(NEW, name="on", begin="continue", replay={"old": 0.25}, anneal_tokens=2 * STEP)
    return (
        Route(
            "union", (TrainingStage("union", 20 * STEP, {"old": 3.0, "new": 1.0}, begin="scratch"),), tokenizer=("old",)
        ),
        Route("re-warm", (OLD, NEW)),
        Route("replay", (OLD, dataclasses.replace(NEW, replay={"old": 0.25}))),
        Route("infinite", (first, on)),
    )


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("continual")
    pipeline.run(recipe(folder, *routes(), seeds=2), folder / "out", workers=2)
    return folder / "out"


def test_what_routes_share_is_trained_once(done: Path) -> None:
    assert len(list((done / "artifacts").glob("run-old-*"))) == 2, "two seeds, two routes"
    assert len(list((done / "artifacts").glob("run-start-*"))) == 2, "one tokenizer"


def test_every_model_is_scored_on_every_domain(done: Path) -> None:
    rows = rows_of(done / continual.CSV)
    models = {(row["route"], row["stage"], row["branch"]) for row in rows}
    assert ("infinite", "on", "annealed") in models
    assert ("union", "initial", "stage") in models
    assert len(rows) == len(models) * 2 * 2, "seeds and domains"
    tokens = {(row["route"], row["stage"], row["branch"]): int(row["tokens"]) for row in rows}
    assert tokens["re-warm", "new", "stage"] == 20 * STEP
    assert tokens["infinite", "on", "stage"] == 20 * STEP
    assert tokens["infinite", "on", "annealed"] == 22 * STEP, "the annealing of the stage before was another branch"


def test_replay_is_counted_in_tokens(done: Path) -> None:
    [folder] = [path for path in (done / "artifacts").glob("run-on-*-seed0-*") if "annealed" not in path.name]
    state = json.loads(max((folder / "state" / "checkpoints").glob("step-*/state.json")).read_text())
    assert state["state"]["cursors"]["old"] == 12 * STEP + 2 * STEP, "it goes on where the stage before left it"
    assert state["state"]["cursors"]["new"] == 6 * STEP


def test_an_annealed_branch_is_nobodys_parent(done: Path) -> None:
    parents = {
        manifest["parents"].get("after")
        for file in (done / "artifacts").glob("run-*/manifest.json")
        if (manifest := json.loads(file.read_text()))
    }
    annealed = {
        json.loads(f.read_text())["fingerprint"] for f in (done / "artifacts").glob("run-annealed-*/manifest.json")
    }
    assert len(annealed) == 4
    assert not annealed & parents


def test_the_rate_is_continuous_where_a_stage_goes_on_and_rises_where_it_is_re_warmed(done: Path) -> None:
    rows = [row for row in rows_of(done / continual.CURVES) if row["seed"] == "0"]

    def rates(route: str, stage: str) -> list[float]:
        return [float(row["learning_rate"]) for row in rows if (row["route"], row["stage"]) == (route, stage)]

    assert rates("infinite", "open")[-1] == pytest.approx(rates("infinite", "on")[0])
    assert rates("infinite", "on annealed")[-1] < rates("infinite", "on")[-1] / 2
    assert max(rates("re-warm", "new")) > 2 * rates("re-warm", "old")[-1]
    tokens = [int(row["tokens"]) for row in rows if row["route"] == "re-warm"]
    assert tokens == sorted(tokens)
    assert tokens[-1] == 20 * STEP


def test_the_tables_tell_of_transfer_and_cost(done: Path) -> None:
    rows = {
        (row["route"], row["domain"], row["measure"], row["stage"]): row for row in rows_of(done / continual.FORGETTING)
    }
    ratio = float(rows["re-warm", "", "update_flops_ratio", ""]["value"])
    assert 0.3 < ratio < 0.5, "8 of 20 steps"
    assert ("re-warm", "old", "backward_transfer", "") in rows
    assert ("replay", "mean", "better_than_baseline", "") in rows
    assert (done / "report.html").exists()
    leaks = rows_of(done / continual.LEAKS)
    assert {(row["source"], row["domain"]) for row in leaks} == {(s, d) for s in ("old", "new") for d in ("old", "new")}


def test_a_killed_run_goes_on_to_the_same_bytes(done: Path, tmp_path: Path) -> None:
    """Stages of which nothing, or only some checkpoints, are left."""
    asked = recipe(tmp_path, *routes()[2:3])
    pipeline.run(asked, tmp_path / "whole", workers=1)
    shutil.copytree(tmp_path / "whole", tmp_path / "killed")
    [folder] = (tmp_path / "killed" / "artifacts").glob("run-new-*")
    partial = folder.with_name(folder.name + ".partial")
    folder.rename(partial)
    (partial / "manifest.json").unlink()
    for file in partial.glob("*.*"):
        file.unlink()
    shutil.rmtree(partial / "state" / "checkpoints" / "step-00000008")
    pipeline.run(asked, tmp_path / "killed", workers=1)
    name = f"artifacts/{folder.name}/model.safetensors"
    assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_teacher_a_curriculum_and_a_mixer(tmp_path: Path) -> None:
    first = dataclasses.replace(NEW, name="first", curriculum=Curriculum("n_tokens", buckets=3))
    again = dataclasses.replace(NEW, name="again", objective=SelfDistillation(), teacher="first", parent="old")
    both = TrainingStage("both", 8 * STEP, {"old": 1.0, "new": 1.0}, mixer=Temperature(temperature=1e6))
    route = Route("all", (OLD, first, again, both))
    pipeline.run(recipe(tmp_path, route), tmp_path / "out", workers=1)
    teacher = run_of(tmp_path / "out", "again")["parents"]["teacher"]
    assert teacher == run_of(tmp_path / "out", "first")["fingerprint"]
    begun = {name: run_of(tmp_path / "out", name)["parents"]["after"] for name in ("first", "again", "both")}
    assert begun["again"] == begun["first"] == run_of(tmp_path / "out", "old")["fingerprint"], "where the teacher began"
    assert begun["both"] == run_of(tmp_path / "out", "again")["fingerprint"]
    ordered = run_of(tmp_path / "out", "first")["identity"]["plan"]["mixture"][0]["shares"]
    assert list(ordered) == ["new by n_tokens ascending 3"], "its places are of this order alone"
    shares = run_of(tmp_path / "out", "both")["identity"]["plan"]["mixture"][0]["shares"]
    assert shares["old"] == pytest.approx(0.5, abs=1e-3)


def test_a_stage_cannot_go_on_under_a_schedule_that_knew_its_end(tmp_path: Path) -> None:
    route = Route("wrong", (OLD, dataclasses.replace(NEW, begin="continue")))
    with pytest.raises(RecipeError, match="cosine, whose past depends on how long training is"):
        pipeline.run(recipe(tmp_path, route), tmp_path / "out", workers=1)


def test_replay_of_what_is_new_is_refused(tmp_path: Path) -> None:
    twin = SourcePlan((texts(tmp_path / "twin.jsonl", 12, 14),))
    route = Route("wrong", (OLD, dataclasses.replace(NEW, sources={"new": 1.0}, replay={"twin": 0.25})))
    made = recipe(tmp_path, route, twin=twin)
    shutil.copy(tmp_path / "new.jsonl", tmp_path / "twin.jsonl")
    with pytest.raises(SeedbedError, match="8 texts of new stand in twin too"):
        pipeline.run(made, tmp_path / "out", workers=1)


def test_sources_that_keep_nothing_or_are_not_there(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_text("")
    empty = SourcePlan((str(tmp_path / "empty.jsonl"),))
    with pytest.raises(SeedbedError, match="source empty"):
        pipeline.run(recipe(tmp_path / "a", Route("r", (OLD,)), empty=empty), tmp_path / "out", workers=1)
    with pytest.raises(RecipeError, match="there is no source 'lost'"):
        pipeline.run(
            recipe(tmp_path / "b", Route("r", (OLD, dataclasses.replace(NEW, replay={"lost": 0.1})))), tmp_path / "o"
        )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"replay": {"old": 1.2}}, "replay"),
        ({"replay": {"old": 0.6, "older": 0.4}}, "leaves nothing that is new"),
        ({"replay": {"new": 0.1}}, "is new in this stage"),
        ({"sources": {}}, "names no text"),
    ],
)
def test_shares_that_cannot_be_meant(change: dict[str, Any], said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        dataclasses.replace(NEW, **change)


def test_too_many_epochs_are_refused(tmp_path: Path) -> None:
    route = Route("greedy", (OLD, dataclasses.replace(NEW, max_epochs=0.01)))
    with pytest.raises(RecipeError, match=r"would read new .* times over"):
        pipeline.run(recipe(tmp_path, route), tmp_path / "out", workers=1)


def test_what_a_stages_model_goes_through_first(tmp_path: Path) -> None:
    """Transforms on entry, one of them with the models of stages before; the vocabulary and sizes of later stages."""
    wider = Entry(Bert2BERT(kind="fpi", width=2.0, depth=1.0))
    more = Entry(ExpandVocabulary(tokens=8), texts=("new",))
    grown = dataclasses.replace(NEW, name="grown", replay={"old": 0.25}, entry=(more, wider))
    again = dataclasses.replace(NEW, name="again", entry=(Entry(TaskVectors(scale=0.5), models={"tuned": "grown"}),))
    pipeline.run(recipe(tmp_path, Route("all", (OLD, grown, again))), tmp_path / "out", workers=1)
    shapes = [run_of(tmp_path / "out", name)["identity"]["plan"]["shape"] for name in ("old", "grown", "again")]
    assert [shape["vocab_size"] for shape in shapes] == [300, 308, 308]
    assert [shape["d_model"] for shape in shapes] == [16, 32, 32]
    [folder] = (tmp_path / "out" / "artifacts").glob("model-entry-grown-*")
    told = json.loads((folder / "movement.json").read_text())
    assert [one["movement"]["promise"] for one in told] == ["greedy", "exact"]
    assert "after" not in run_of(tmp_path / "out", "grown")["parents"], "places count tokens of another tokenizer"
    assert run_of(tmp_path / "out", "again")["parents"]["after"] == run_of(tmp_path / "out", "grown")["fingerprint"]


def test_the_key_of_an_entry_tells_its_models_apart(tmp_path: Path) -> None:
    """Two transforms of one role: another model for the first is another artifact."""
    folders: list[Path] = []
    for name in "abcd":
        folders.append(tmp_path / name)
        folders[-1].mkdir()
        (folders[-1] / "manifest.json").write_text(json.dumps({"fingerprint": name}))
    entry = Entry(TaskVectors(), models={"tuned": "x"})

    def request(first: Path, probes: Path) -> str:
        roles = ({"tuned": first}, {"tuned": folders[2]})
        entering = Entering("new", (entry, entry), folders[3], {}, (probes,), roles, 0, tmp_path)
        return entering.request.fingerprint

    keys = {request(folders[0], folders[3]), request(folders[1], folders[3]), request(folders[0], folders[1])}
    assert len(keys) == 3


def test_a_teacher_of_another_vocabulary_is_refused(tmp_path: Path) -> None:
    """One of more tokens would answer, in rows of other tokens."""
    more = dataclasses.replace(NEW, name="more", entry=(Entry(ExpandVocabulary(tokens=8), texts=("new",)),))
    less = Entry(TrimVocabulary(min_count=100_000), texts=("new",))
    pupil = dataclasses.replace(NEW, name="pupil", objective=SelfDistillation(), teacher="more", entry=(less,))
    with pytest.raises(RecipeError, match="the stage more has another tokenizer"):
        pipeline.run(recipe(tmp_path, Route("wrong", (OLD, more, pupil))), tmp_path / "out", workers=1)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ([{"anneal_tokens": STEP}, {}], "cannot be annealed from anywhere"),
        ([{}, {"begin": "continue"}], "cosine, whose past depends"),
        (
            [{"schedule": WarmupStableDecay(warmup_tokens=0, decay_fraction=0.1)}, {"begin": "continue"}],
            "warmup_stable_decay, whose past depends",
        ),
        ([{}, {"entry": (Entry(TaskVectors()),)}], "asks for a model as 'tuned'"),
        ([{}, {"entry": (Entry(TaskVectors(), models={"tuned": "nowhere"}),)}], "nowhere: there is no such folder"),
        ([{}, {"entry": (Entry(Bert2BERT(), models={"x": "old"}),)}], "takes no other model"),
        ([{}, {"entry": (Entry(ExpandVocabulary()),)}], "reads text"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_trained(
    changes: list[dict[str, Any]], said: str, tmp_path: Path
) -> None:
    stages = [dataclasses.replace(stage, **change) for stage, change in zip((OLD, NEW), changes, strict=True)]
    made = recipe(tmp_path, Route("wrong", tuple(stages)))
    assert made.train is not None
    with pytest.raises(SeedbedError, match=said):
        continual_stages.check_stages([Route("wrong", tuple(stages))], made.train, tmp_path)


@pytest.mark.parametrize("name", ["", "../../evil", "a/b", ".hidden", "n" * 101, "initial", "given", "a\nb"])
def test_names_that_folders_and_tables_cannot_have(name: str) -> None:
    with pytest.raises(RecipeError, match=r"is no name of a stage|is what the model before"):
        dataclasses.replace(NEW, name=name)


def test_a_stage_that_goes_on_has_no_fresh_moments() -> None:
    with pytest.raises(RecipeError, match="keeps its moments"):
        dataclasses.replace(NEW, begin="continue", optimizer="fresh")


def test_scale_holds_for_all_lengths(tmp_path: Path) -> None:
    """Of stages, of their schedules, of the schedule that stages take that have none, and of the ratio's runs."""
    long = Infinite(warmup_tokens=200 * STEP, cooldown_tokens=400 * STEP)
    stage = dataclasses.replace(OLD, tokens=1200 * STEP, schedule=long, anneal_tokens=300 * STEP)
    asked = RatioPlan("r", "old", "new", "old", tokens=1000)
    plan = ContinualPlan((Route("r", (stage,)),), "r", ratio=asked, scale=0.01).scaled()
    [made] = plan.routes[0].stages
    assert (made.tokens, made.anneal_tokens, made.schedule) == (12 * STEP, 3 * STEP, scaled_schedule(long, 0.01))
    assert plan.ratio is not None
    assert (plan.ratio.tokens, plan.scale, plan.scaled()) == (10, 1.0, plan)
    tiny = recipe(tmp_path, Route("r", (dataclasses.replace(OLD, tokens=1200 * STEP),)))
    assert tiny.train is not None
    assert tiny.continual is not None
    train = dataclasses.replace(tiny.train, schedule=long)
    scaled = dataclasses.replace(tiny, train=train, continual=dataclasses.replace(tiny.continual, scale=0.01))
    pipeline.run(scaled, tmp_path / "out", workers=1)
    schedule = run_of(tmp_path / "out", "old")["identity"]["plan"]["schedule"]["train.schedules.infinite"]
    assert (schedule["warmup_tokens"], schedule["cooldown_tokens"]) == (2 * STEP, 4 * STEP)


def test_an_update_of_a_given_model_costs_all_its_stages(done: Path, tmp_path: Path) -> None:
    [given] = (done / "artifacts").glob("run-old-*-seed0-*")
    route = Route("given", (NEW, dataclasses.replace(NEW, name="then")), init=str(given))
    pipeline.run(recipe(tmp_path, route), tmp_path / "out", workers=1)
    rows = {row["measure"]: row for row in rows_of(tmp_path / "out" / continual.FORGETTING) if not row["domain"]}
    assert float(rows["update_tokens"]["value"]) == float(rows["tokens"]["value"]) == 16 * STEP


def test_train_takes_the_plan_of_a_recipe_with_routes_and_leaves_the_routes(tmp_path: Path) -> None:
    asked = Asked(
        recipe(tmp_path, Route("r", (OLD,))), recipe(tmp_path, Route("r", (OLD,))), tmp_path / "out", init="m"
    )
    taken, _ = recipe_of(dataclasses.replace(asked, settings={"tokenizer": None}))
    assert taken.continual is None
    assert taken.tokenizer is None


def test_a_method_inside_a_method_is_read_back_from_a_recipe(tmp_path: Path) -> None:
    entry = Entry(ExpandVocabulary(tokens=8, initializer=Mean(apart=0.1)), texts=("new",))
    made = recipe(tmp_path, Route("r", (OLD, dataclasses.replace(NEW, entry=(entry,)))))
    assert trees.from_json(trees.to_json(made)) == made
