"""The comparison over resampled pools: files it leaves, what it refuses, what it costs, and what is asked twice."""

from __future__ import annotations

import csv
import dataclasses
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from seedbed import api, pipeline, recipes
from seedbed.core.artifact import Artifact
from seedbed.core.errors import RecipeError, SeedbedError
from seedbed.core.nouns import DocumentBatch
from seedbed.evaluate.audits.ngram_overlap import NgramOverlap
from seedbed.pipeline.losses import CachedLosses
from seedbed.recipe import Arm, ComparePlan, EvaluatePlan, Recipe, Stage
from seedbed.recipes._arms import arm_of, ceiling, comparison
from seedbed.select.scorers.color_filter import ColorFilter
from seedbed.select.selectors.gumbel_top_k import GumbelTopK
from seedbed.select.selectors.top_k import TopK
from seedbed.tokenize.run import Part, Pool
from tests.pipeline.test_pipeline import tiny

TOKENS = 4096


def compared(corpus: Path, folder: Path) -> Recipe:
    plain = tiny(corpus, folder)
    assert plain.train is not None
    assert plain.evaluate is not None
    color = ColorFilter(prior_tokens=1024, conditional_tokens=512, shape=1.0)
    arms = (arm_of("constant"), arm_of("dsir"), Arm("color", (Stage(color, TopK()),)))
    arms = (dataclasses.replace(arms[0], name="random"), *arms[1:])
    plan = ComparePlan(arms, "random", seeds=2, resample=0.7, curve=(0.5, 2.0))
    return dataclasses.replace(plain, compare=plan)


@pytest.fixture(scope="module")
def done(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compare")
    pipeline.run(compared(corpus, folder), folder / "out", workers=2)
    return folder / "out"


def table(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as lines:
        return list(csv.DictReader(lines))


def test_a_row_a_method_and_seed_and_a_row_a_method(done: Path) -> None:
    rows = table(done / "comparison.csv")
    assert list(rows[0]) == [
        "method", "seed", "budget_tokens", "target_bits_per_byte", "mean_domain_bits_per_byte",
        "worst_domain_bits_per_byte", "speedup_equal_tokens", "selection_flops", "training_flops",
        "speedup_equal_cost", "censored", "unique_token_ratio",
    ]  # fmt: skip
    assert [(row["method"], row["seed"]) for row in rows] == [(m, s) for m in ("random", "dsir", "color") for s in "01"]
    assert [row["method"] for row in table(done / "summary.csv")] == ["random", "dsir", "color"]
    color = [row for row in rows if row["method"] == "color"]
    assert all(float(row["selection_flops"]) > 0 for row in color)
    for row in color:
        spent = float(row["training_flops"]) + float(row["selection_flops"])
        factor = float(row["speedup_equal_tokens"]) / float(row["speedup_equal_cost"])
        assert row["censored"] or factor == pytest.approx(spent / float(row["training_flops"]), rel=0.02)


def index_of(out: Path) -> dict[str, Any]:
    return json.loads((out / "artifacts" / "index.json").read_text())


def test_each_seed_has_its_own_part_of_the_pool_and_its_own_models(done: Path) -> None:
    rows = {(row["arm"], row["seed"]): row for row in index_of(done)["compare"]["rows"]}
    read: dict[int, set[bytes]] = {}
    for seed in (0, 1):
        read[seed] = set()
        for arm in ("random", "dsir", "color", "random@x2"):
            weights = Artifact(done / "artifacts" / rows[arm, seed]["weights"][0]).table()
            copies = weights.column("copies").to_numpy()
            ids = np.array(weights.column("id").to_pylist(), dtype=object)
            part = set(Part(seed, 0.7).rows(ids.tolist()).tolist())
            assert set(np.flatnonzero(copies > 0).tolist()) <= part
            read[seed] |= set(ids[copies > 0].tolist())
    assert read[0] != read[1]
    assert len(list((done / "artifacts").glob("run-auxiliary-prior-*"))) == 2
    assert len(list((done / "artifacts").glob("signals-color_filter-*"))) == 2


def test_the_curve_is_made_of_whole_runs(done: Path) -> None:
    rows = index_of(done)["compare"]["rows"]
    tokens = {row["arm"]: row["tokens"] for row in rows if row["seed"] == 0}
    assert tokens["random@x0.5"] == tokens["random"] / 2
    assert tokens["random@x2"] == tokens["random"] * 2
    run = next(row["run"] for row in rows if row["arm"] == "random@x0.5")
    rates = pq.read_table(done / "artifacts" / run / "part-00000.parquet").column("learning_rate").to_pylist()
    assert rates[-1] < 0.2 * max(rates), "its own schedule runs to its end"


def test_a_model_is_asked_once_for_a_document_and_charged_each_time(done: Path, monkeypatch: Any) -> None:
    run = next((done / "artifacts").glob("run-auxiliary-prior-*"))
    batch = DocumentBatch.of(["one", "another"])
    batch = DocumentBatch(batch.rows, (np.array([1, 2, 3, 4, 5]), np.array([0, 2, 5])))
    first = CachedLosses(run, done)
    losses = first.document_losses(batch)
    monkeypatch.setattr(CachedLosses, "_open", lambda _: pytest.fail("it was asked again"))
    again = CachedLosses(run, done)
    assert np.array_equal(again.document_losses(batch), losses)
    assert again.cost.flops == first.cost.flops > 0


@pytest.mark.parametrize("damage", [b"", b"123", b"\0" * 24, b"\0" * 80])
def test_a_torn_file_of_losses_is_made_again(done: Path, damage: bytes) -> None:
    run = next((done / "artifacts").glob("run-auxiliary-prior-*"))
    batch = DocumentBatch.of(["three"])
    batch = DocumentBatch(batch.rows, (np.array([7, 8, 9]), np.array([0, 3])))
    losses = CachedLosses(run, done).document_losses(batch)
    newest = max((done / "cache" / "losses").rglob("*.f64"), key=lambda file: file.stat().st_mtime_ns)
    newest.write_bytes(damage)
    assert np.array_equal(CachedLosses(run, done).document_losses(batch), losses)


def test_a_target_that_lies_in_the_pool_is_refused(corpus: Path, tmp_path: Path, done: Path) -> None:
    recipe = compared(corpus, tmp_path)
    text = api.Corpus(done).documents().column("text")[0].as_py()
    (tmp_path / "inside.jsonl").write_text(json.dumps({"text": text}) + "\n")
    overlapping = dataclasses.replace(recipe, target=(str(tmp_path / "inside.jsonl"),))
    with pytest.raises(SeedbedError, match=r"target: 1 of 1 documents overlap with the pool: \w+ \(100%, in \w+\)"):
        pipeline.run(overlapping, tmp_path / "out", workers=1)


def test_held_out_text_that_methods_learn_from_is_refused(corpus: Path, tmp_path: Path) -> None:
    recipe = compared(corpus, tmp_path)
    assert recipe.evaluate is not None
    evaluation = EvaluatePlan({"held": recipe.target[0]}, "held", recipe.evaluate.task, NgramOverlap())
    with pytest.raises(SeedbedError, match="6 of 6 documents overlap with the target"):
        pipeline.run(dataclasses.replace(recipe, evaluate=evaluation), tmp_path / "out", workers=1)


def test_a_budget_beyond_the_pool_is_refused(corpus: Path, tmp_path: Path) -> None:
    recipe = compared(corpus, tmp_path)
    assert recipe.train is not None
    greedy = dataclasses.replace(recipe, train=dataclasses.replace(recipe.train, tokens=10**9))
    with pytest.raises(SeedbedError, match="Every method would read everything"):
        pipeline.run(greedy, tmp_path / "out", workers=1)


def test_what_a_person_types_is_an_arm() -> None:
    assert arm_of("dsir").stages[0].selector == GumbelTopK()
    assert arm_of("dsir+top_k") == Arm("dsir-top_k", (Stage(arm_of("dsir").stages[0].scorer, TopK()),))
    plan = comparison(["dsir", "temperature"], labels="source=handbook*", seeds=3, curve=(2.0,))
    assert [arm.name for arm in plan.arms] == ["random", "ceiling", "dsir", "temperature"]
    assert (plan.baseline, plan.ceiling, plan.seeds, plan.curve) == ("random", "ceiling", 3, (2.0,))
    assert plan.arms[3].stages[0].mixer is not None
    with pytest.raises(RecipeError, match="Did you mean 'dsir'"):
        arm_of("dsirr")
    with pytest.raises(RecipeError, match="takes no selector"):
        arm_of("temperature+top_k")
    with pytest.raises(RecipeError, match="source=PATTERN"):
        ceiling((), "language")


def test_a_part_is_the_same_whatever_the_order_and_walks_like_the_whole(done: Path) -> None:
    index = index_of(done)
    kept = Artifact(done / "artifacts" / index["curate"]["kept"])
    tokens = Artifact(done / "artifacts" / index["tokens"])
    whole, part = Pool(kept, tokens), Pool(kept, tokens, Part(3, 0.5))
    by_id = {i: ids.tolist() for batch in whole for i, ids in zip(batch.ids, pieces(batch), strict=True)}
    found = {i: ids.tolist() for batch in part for i, ids in zip(batch.ids, pieces(batch), strict=True)}
    assert found == {i: by_id[i] for i in part.index().column("id").to_pylist()}
    assert 0.25 * len(by_id) < len(found) < 0.75 * len(by_id)
    assert part.n_tokens == sum(map(len, found.values()))
    assert part.fingerprint != whole.fingerprint != Pool(kept, tokens, Part(4, 0.5)).fingerprint


def pieces(batch: DocumentBatch) -> list[Any]:
    ids, offsets = batch.token_ids
    return [ids[a:b] for a, b in pairwise(offsets)]


def test_the_result_is_a_table_and_weights(done: Path) -> None:
    result = api.Compared(done)
    assert result.summary.column("method").to_pylist() == ["random", "dsir", "color"]
    assert result.weights("dsir", seed=1).about["documents"] > 0
    assert len(result.verdict) == 2
    with pytest.raises(SeedbedError, match="Did you mean 'dsir'"):
        result.weights("dsirr")


def test_recipes_are_left_as_they_were() -> None:
    plan = recipes.load("demo").compare
    assert plan is not None
    assert (plan.resample, plan.curve) == (1.0, ())


def test_settings_reach_the_methods_that_are_compared(done: Path, monkeypatch: Any) -> None:
    asked: list[Recipe] = []
    monkeypatch.setattr(pipeline, "run", lambda recipe, *_, **__: asked.append(recipe))
    settings = {"select.scorers.dsir.buckets": 77, "select.selectors.gumbel_top_k.temperature": 0.5}
    texts = {"held": "sample:target_eval.jsonl.gz"}
    api.compare(done, methods=["dsir"], target=(), heldout=texts, budget_tokens="4k", settings=settings)
    assert asked[0].compare is not None
    stage = asked[0].compare.arms[1].stages[0]
    assert (stage.scorer.to_json()["buckets"], stage.selector) == (77, GumbelTopK(temperature=0.5))


def test_a_method_that_reads_files_and_is_given_none_says_how(done: Path) -> None:
    with pytest.raises(SeedbedError, match=r"harmful_perplexity: reads files of harmful text .* --set"):
        api.select(done, "harmful_perplexity", budget_tokens="1k")
