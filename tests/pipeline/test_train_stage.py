"""Stages in folders: what a new one takes over from its parent, and what is refused before anything is trained."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import seedbed as sb
from seedbed.core.errors import RecipeError, SeedbedError
from seedbed.model.transforms.expand_vocabulary import ExpandVocabulary
from seedbed.pipeline.trained import TrainedRun
from seedbed.recipe import Recipe, SourcePlan
from seedbed.tokenize.tokenizers.byte_bpe import ByteBpe
from seedbed.train.optimizers.adamw import AdamW
from seedbed.train.plan import Phase
from seedbed.train.schedules.constant import Constant
from seedbed.train.schedules.cosine import Cosine
from tests.pipeline.test_train_folder import BATCH, losses, recipe, steps, write_texts

SHARES = {"new": 0.75, "pool": 0.25}


@pytest.fixture(scope="module")
def parent(tmp_path_factory: pytest.TempPathFactory) -> TrainedRun:
    """A run of 20 steps, whose last five decay; checkpoints at every fourth."""
    folder = tmp_path_factory.mktemp("parent")
    return sb.train(recipe(write_texts(folder / "a.jsonl", 0, 12)), folder / "run")


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """New text, curated once."""
    folder = tmp_path_factory.mktemp("new")
    return curated(write_texts(folder / "b.jsonl", 12, 24), folder / "out")


def curated(file: Path, out: Path) -> Path:
    sb.curate(str(file), out=out, recipe=dataclasses.replace(recipe(file), train=None))
    return out


def at(parent: TrainedRun, step: int = 12) -> Path:
    return Path(parent.folder) / "checkpoints" / f"step-{step:08d}"


def stage(fresh: Path, parent: TrainedRun, shares: dict[str, float] | None = None, **about: Any) -> Recipe:
    """New text beside a little of the parent's; the tokenizer is left to the model."""
    shares = SHARES if shares is None else shares
    named = {"new": SourcePlan(curated=str(fresh)), "pool": SourcePlan(curated=str(parent.folder))}
    mixture = (Phase(shares),) if len(shares) > 1 else ()
    asked = recipe(fresh, 12, schedule=Cosine(), mixture=mixture, **about)
    return dataclasses.replace(asked, inputs=(), sources={n: named[n] for n in shares}, tokenizer=None)


@pytest.fixture(scope="module")
def rewarmed(parent: TrainedRun, fresh: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainedRun:
    return sb.train(stage(fresh, parent), tmp_path_factory.mktemp("stage") / "run", rewarm=at(parent))


def test_a_new_stage_begins_with_weights_and_places_and_its_own_schedule(
    parent: TrainedRun, rewarmed: TrainedRun
) -> None:
    told: dict[str, Any] = rewarmed.about
    assert told["begun_from"] == {"rewarm": str(at(parent))}
    assert steps(rewarmed) == list(range(1, 13))
    rows = rewarmed.metrics()
    assert rows["tokens"].to_pylist() == [BATCH * step for step in range(1, 13)]
    assert rows["learning_rate"][0].as_py() == pytest.approx(4e-3, rel=0.02)
    assert losses(rewarmed)[0] < losses(parent)[0] - 0.3
    assert told["done"]["shares"] == pytest.approx({"new": 0.75, "pool": 0.25}, abs=0.05)
    assert rows["share_pool"][11].as_py() == pytest.approx(0.25, abs=0.05)
    assert (rewarmed.model / "tokenizer.json").read_text() == (parent.model / "tokenizer.json").read_text()
    state = json.loads((Path(rewarmed.folder) / "checkpoints" / "step-00000012" / "state.json").read_text())["state"]
    assert state["cursors"]["pool"] == 12 * BATCH + round(0.25 * 12 * BATCH)
    assert "rewarm" in (Path(rewarmed.folder) / "report.html").read_text()


def test_the_same_again_goes_on_and_another_way_of_beginning_is_another_run(
    parent: TrainedRun, rewarmed: TrainedRun, fresh: Path, tmp_path: Path
) -> None:
    asked = stage(fresh, parent)
    first = sb.train(asked, tmp_path / "run", rewarm=at(parent), until_tokens=5 * BATCH)
    assert steps(first) == list(range(1, 6))
    assert losses(sb.train(asked, tmp_path / "run", rewarm=at(parent))) == losses(rewarmed)
    with pytest.raises(SeedbedError, match=r'begun_from.optimizer was null and is "fresh"'):
        sb.train(asked, tmp_path / "run", rewarm=at(parent), fresh_optimizer=True)
    fresh = sb.train(asked, tmp_path / "fresh", rewarm=at(parent), fresh_optimizer=True)
    assert losses(fresh)[0] == losses(rewarmed)[0]
    assert losses(fresh)[1] != losses(rewarmed)[1]


def test_a_stage_may_begin_with_the_weights_of_a_changed_model(
    parent: TrainedRun, rewarmed: TrainedRun, fresh: Path, tmp_path: Path
) -> None:
    changed = tmp_path / "changed"
    shutil.copytree(parent.model, changed)  # stands for what a transform made: here the parent's last weights
    run = sb.train(stage(fresh, parent), tmp_path / "run", rewarm=at(parent), init=changed)
    assert losses(run)[0] != losses(rewarmed)[0]
    assert run.about["done"]["shares"] == rewarmed.about["done"]["shares"]  # type: ignore[index, call-overload]


def test_an_annealed_checkpoint_is_not_branched_off_by_accident(
    parent: TrainedRun, fresh: Path, tmp_path: Path
) -> None:
    with pytest.raises(SeedbedError, match=r"it is annealed.*The newest checkpoint from before it is .*step-00000012"):
        sb.train(stage(fresh, parent), tmp_path / "run", branch=parent.folder)
    assert not (tmp_path / "run").exists()


def test_an_annealed_checkpoint_is_entered_from_with_a_warm_up(parent: TrainedRun, fresh: Path, tmp_path: Path) -> None:
    asked = stage(fresh, parent)
    run = sb.train(asked, tmp_path / "run", rewarm=parent.folder)
    assert losses(run)[0] < losses(parent)[0] - 0.5
    assert asked.train is not None
    cold = dataclasses.replace(asked, train=dataclasses.replace(asked.train, schedule=Constant(warmup_fraction=0)))
    with pytest.raises(SeedbedError, match="it is annealed"):
        sb.train(cold, tmp_path / "cold", rewarm=parent.folder)


def test_places_of_another_tokenizer_are_not_taken_up(parent: TrainedRun, fresh: Path, tmp_path: Path) -> None:
    file = write_texts(tmp_path / "more.jsonl", 24, 30)
    sb.transform(parent.model, ExpandVocabulary(tokens=8), tmp_path / "grown", texts=[str(file)])
    with pytest.raises(RecipeError, match="whose places in pool count its own tokens"):
        sb.train(stage(fresh, parent), tmp_path / "run", rewarm=at(parent), init=tmp_path / "grown")


@pytest.mark.parametrize("role", ["rewarm", "branch"])
def test_a_tokenizer_that_does_not_fit_is_refused(parent: TrainedRun, fresh: Path, tmp_path: Path, role: str) -> None:
    how: dict[str, Any] = {role: at(parent)}
    other = dataclasses.replace(stage(fresh, parent), tokenizer=ByteBpe(vocab_size=299))
    with pytest.raises(RecipeError, match="the recipe's tokenizer is not the one that the model in"):
        sb.train(other, tmp_path / "run", **how)
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_texts_that_are_not_what_they_were_are_refused(parent: TrainedRun, fresh: Path, tmp_path: Path) -> None:
    asked = stage(fresh, parent)
    pool = dataclasses.replace(asked, sources={"pool": SourcePlan(curated=str(fresh))})
    alone = dataclasses.replace(pool, train=dataclasses.replace(stage(fresh, parent, {"new": 1.0}).train))  # type: ignore[type-var, arg-type]
    with pytest.raises(SeedbedError, match=r"sources.pool: .* read other text.*a name of its own"):
        sb.train(alone, tmp_path / "a", rewarm=at(parent))
    renamed = dataclasses.replace(asked, sources={"new": asked.sources["new"], "old": asked.sources["pool"]})
    renamed = dataclasses.replace(
        renamed, train=dataclasses.replace(asked.train, mixture=(Phase({"new": 1, "old": 1}),))
    )  # type: ignore[type-var]
    with pytest.raises(SeedbedError, match=r"sources.old: .*under the name 'pool'. Call it pool"):
        sb.train(renamed, tmp_path / "b", rewarm=at(parent))
    with pytest.raises(SeedbedError, match="in the order of seed 0, and this is seed 1"):
        sb.train(asked, tmp_path / "c", rewarm=at(parent), seed=1)
    assert sb.train(stage(fresh, parent, {"new": 1.0}), tmp_path / "d", rewarm=at(parent), seed=1).about["done"]


def test_a_document_is_not_both_replayed_and_new(parent: TrainedRun, fresh: Path, tmp_path: Path) -> None:
    lines = (Path(parent.folder).parent / "a.jsonl").read_text().splitlines()[:3]
    both = tmp_path / "a.jsonl"  # a file that grew: its first records have the ids they had
    both.write_text("".join(f"{line}\n" for line in lines) + (fresh.parent / "b.jsonl").read_text())
    with pytest.raises(
        SeedbedError, match=r"sources.new: 3 texts of new stand in pool too, such as document [0-9a-f]{32}"
    ):
        sb.train(stage(curated(both, tmp_path / "out"), parent), tmp_path / "run", rewarm=at(parent))
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_shares_and_sources_that_cannot_be_meant(parent: TrainedRun, fresh: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"train.mixture\[0\].shares: a share of 5 of the tokens for pool. 0.05 is 5"):
        sb.train(stage(fresh, parent, {"new": 0.95, "pool": 5}), tmp_path / "a", rewarm=at(parent))
    with pytest.raises(RecipeError, match="are no shares"):
        stage(fresh, parent, {"new": 0.95, "pool": -0.05})
    empty = tmp_path / "empty.jsonl"
    empty.write_text("")
    with pytest.raises(SeedbedError, match=r"no document was kept"):
        sb.train(stage(curated(empty, tmp_path / "out"), parent), tmp_path / "b", rewarm=at(parent))


def test_what_a_run_begins_from_is_one_thing(parent: TrainedRun, fresh: Path, tmp_path: Path) -> None:
    asked, where = stage(fresh, parent), at(parent)
    with pytest.raises(RecipeError, match=r"a run begins from one model. Leave out --branch or --rewarm"):
        sb.train(asked, tmp_path / "a", rewarm=where, branch=where)
    with pytest.raises(RecipeError, match=r"--fresh-optimizer: is of a new stage"):
        sb.train(asked, tmp_path / "a", branch=where, fresh_optimizer=True)
    with pytest.raises(RecipeError, match="--from-annealed: no run is gone on from"):
        sb.train(asked, tmp_path / "a", init=where, from_annealed=True)
    with pytest.raises(SeedbedError, match="no checkpoint of an earlier stage"):
        sb.train(asked, tmp_path / "a", rewarm=tmp_path / "nowhere")
    assert not (tmp_path / "a").exists()
    with pytest.raises(SeedbedError, match="Give the plan that shape"):
        sb.train(asked, tmp_path / "b", rewarm=where, settings={"train.shape.d_model": 32})
    wider = stage(fresh, parent, optimizer=AdamW(weight_decay=0.0))
    shape = dataclasses.replace(wider.train.shape, d_model=32, n_layers=2)  # type: ignore[union-attr]
    taken = dataclasses.replace(wider, train=dataclasses.replace(wider.train, shape=shape))  # type: ignore[type-var]
    run = sb.train(taken, tmp_path / "c", rewarm=where)
    assert run.about["plan"]["shape"]["d_model"] == 16, "unless it is asked for, the shape is the checkpoint's"  # type: ignore[index, call-overload]
