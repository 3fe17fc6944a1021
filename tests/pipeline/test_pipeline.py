"""The whole path, tiny: a comparison, a loop of two stages, a user's own method, resume, and answers about it all."""

from __future__ import annotations

import dataclasses
import gzip
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from seedbed import api, pipeline, recipes
from seedbed import recipe as trees
from seedbed.core.errors import RecipeError, SeedbedError
from seedbed.model.shape import ModelShape
from seedbed.recipe import Arm, ComparePlan, EvaluatePlan, Recipe, Stage
from seedbed.recipes import demo
from seedbed.recipes._arms import arm_of
from seedbed.select.scorers.constant import Constant
from seedbed.select.selectors.gumbel_top_k import GumbelTopK
from seedbed.select.selectors.top_k import TopK
from seedbed.tokenize.tokenizers.byte_bpe import ByteBpe
from seedbed.train.plan import Checkpoints
from tests.conftest import sample_texts
from tests.killing import kill_when

OWN_METHOD = '''
"""Hard for me: documents the arm's own model finds hard."""
import dataclasses
import pyarrow as pa
from seedbed.core import arrow
from seedbed.select.contract import CurrentModel, Scorer

@dataclasses.dataclass(frozen=True)
class HardForMe(Scorer):
    scale: float = 1.0

    def needs(self):
        return (CurrentModel(),)

    def fit(self, given):
        return Fitted(given.models["current"], self.scale)

@dataclasses.dataclass(frozen=True)
class Fitted:
    model: object
    scale: float

    def measure(self, documents):
        return arrow.table({"score": self.model.document_losses(documents) * self.scale})
'''


def written(file: Path, rows: list[dict[str, str]]) -> Path:
    file.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode(), mtime=0))
    return file


def tiny(corpus: Path, folder: Path) -> Recipe:
    """A recipe of seconds over the small corpus."""
    rows = sample_texts("target_select.jsonl.gz")
    heldout, target = written(folder / "heldout.jsonl.gz", rows[:6]), written(folder / "target.jsonl.gz", rows[6:12])
    plain = demo.recipe()
    assert plain.train is not None
    shape = ModelShape(vocab_size=300, d_model=16, n_layers=1, n_heads=2, context=64)
    return dataclasses.replace(
        plain,
        name="tiny",
        inputs=(str(corpus),),
        target=(str(target),),
        tokenizer=ByteBpe(vocab_size=300),
        train=dataclasses.replace(
            plain.train, shape=shape, tokens=4096, batch_sequences=4, checkpoints=Checkpoints(every_steps=4)
        ),
        compare=ComparePlan(arms=demo.arms(2048, 1024)[:3], baseline="random", seeds=2),
        evaluate=EvaluatePlan(texts={"held": str(heldout)}, target="held", task=plain.evaluate.task),
    )


def tree(out: Path) -> dict[str, bytes]:
    """Every file but the log of seconds, the report, which shows them, and the cache, which is part of no result."""
    skip = {"run_log.json", ".lock", ".log.lock", "report.html"}
    files = sorted(path for path in out.rglob("*") if path.is_file() and path.name not in skip)
    files = [path for path in files if path.relative_to(out).parts[0] != "cache"]
    return {str(path.relative_to(out)): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def done(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pipeline")
    pipeline.run(tiny(corpus, folder), folder / "out", workers=2)
    return folder / "out"


def test_a_comparison_counts_costs_and_pairs_seeds(done: Path) -> None:
    result = json.loads((done / "artifacts" / "index.json").read_text())["compare"]
    rows = {(row["arm"], row["seed"]): row for row in result["rows"]}
    arms = {"random", "dsir", "color_filter", "random@color_filter"}
    assert rows.keys() == {(arm, seed) for arm in arms for seed in (0, 1)}
    color, longer, random = rows["color_filter", 0], rows["random@color_filter", 0], rows["random", 0]
    assert color["flops_train"] == random["flops_train"] == rows["dsir", 1]["flops_train"]
    assert color["flops_select"] > 0 == random["flops_select"]
    per_step = random["flops_train"] / (4096 / 256)
    assert abs(longer["flops_train"] - color["flops_train"] - color["flops_select"]) <= per_step
    assert len(result["verdict"]) == 2
    difference = next(d for d in result["differences"] if d["arm"] == "color_filter" and d["terms"] == "equal tokens")
    paired = np.mean([rows["color_filter", s]["bits_per_byte"] - rows["random", s]["bits_per_byte"] for s in (0, 1)])
    assert difference["bits_per_byte"]["value"] == pytest.approx(paired)
    assert (done / "report.html").stat().st_size > 10_000


def test_auxiliary_cost_is_training_and_scoring_of_both_models(done: Path) -> None:
    scores = json.loads(next((done / "artifacts").glob("signals-color_filter-*/manifest.json")).read_text())["about"]
    runs = [json.loads(f.read_text())["about"] for f in (done / "artifacts").glob("run-auxiliary-*/manifest.json")]
    assert len(runs) == 2
    assert scores["flops_auxiliary"] == pytest.approx(sum(run["flops_train"] for run in runs))
    assert scores["flops_select"] > scores["flops_auxiliary"]


def test_a_second_run_trains_nothing(corpus: Path, done: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from seedbed.core.artifact import Store

    monkeypatch.setattr(Store, "draft", lambda _, request: pytest.fail(f"{request.label} was made again"))
    before = (done / "artifacts" / "index.json").read_text()
    pipeline.run(tiny(corpus, done.parent), done, workers=1)
    assert (done / "artifacts" / "index.json").read_text() == before


def test_another_seed_count_keeps_the_runs_there_are(corpus: Path, done: Path, tmp_path: Path) -> None:
    shutil.copytree(done, tmp_path / "out")
    before = {path.name for path in (tmp_path / "out" / "artifacts").glob("run-*")}
    pipeline.run(trees.change(tiny(corpus, done.parent), {"compare.seeds": 3}), tmp_path / "out", workers=2)
    after = {path.name for path in (tmp_path / "out" / "artifacts").glob("run-*")}
    assert before < after
    assert len(after - before) == 4


def test_killed_while_training_the_same_command_gives_the_same_losses(corpus: Path, done: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.json"
    recipe.write_text(json.dumps(trees.to_json(tiny(corpus, done.parent))))
    command = [sys.executable, "-m", "seedbed", "run", str(recipe), "--out", str(tmp_path / "out"), "--workers", "2"]
    made = tmp_path / "out" / "artifacts"
    assert kill_when(lambda: any(made.glob("run-*.partial/*")), command)
    assert kill_when(lambda: len(list(made.glob("run-*/manifest.json"))) > 2, command)
    subprocess.run(command, check=True, capture_output=True)
    assert tree(tmp_path / "out").keys() == tree(done).keys()
    assert tree(tmp_path / "out") == tree(done)


def test_a_loop_of_two_stages_asks_the_model_of_the_first(corpus: Path, tmp_path: Path) -> None:
    own = tmp_path / "own.py"
    own.write_text(OWN_METHOD)
    plain = tiny(corpus, tmp_path)
    random = Stage(Constant(), GumbelTopK(), share=0.5)
    hard = Stage(arm_of(f"{own}:HardForMe").stages[0].scorer, TopK(), share=0.5)
    arms = (Arm("random", (Stage(Constant(), GumbelTopK()),)), Arm("loop", (random, hard)))
    assert plain.train is not None
    recipe = dataclasses.replace(plain, compare=ComparePlan(arms=arms, baseline="random", seeds=1))
    index = pipeline.run(recipe, tmp_path / "out", workers=1)
    rows = {row["arm"]: row for row in index["compare"]["rows"]}
    assert rows["loop"]["tokens"] == rows["random"]["tokens"]
    assert rows["loop"]["flops_train"] == rows["random"]["flops_train"]
    assert rows["loop"]["flops_select"] > 0
    assert len(rows["loop"]["weights"]) == 2
    log = pq.read_table(tmp_path / "out" / "artifacts" / rows["loop"]["run"] / "part-00000.parquet")
    assert log.column("step").to_pylist() == list(range(1, plain.train.steps + 1))
    assert trees.from_json(json.loads((tmp_path / "out" / "recipe.json").read_text())).compare == recipe.compare


def test_step_by_step_on_a_folder(corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    settings = {
        "tokenize.tokenizers.byte_bpe.vocab_size": 300,
        "train.shape.d_model": 16,
        "train.shape.n_layers": 1,
        "train.shape.context": 64,
        "train.tokens": "4k",
    }
    api.curate(corpus, out=out)
    target = tiny(corpus, tmp_path).target
    assert api.tokenize(out, settings=settings).about["vocab_size"] == 300
    weights = api.select(out, "dsir", budget_tokens="3k", target=target, settings=settings)
    assert 3000 <= weights.about["tokens"] < 30_000
    run = api.train(out, weights=weights, tokens="4k", settings=settings)
    result = api.evaluate(run.model, target)
    assert set(result) == {"bits_per_byte", "loss_nats_per_token", "tokens", "bytes"}
    expected = result["loss_nats_per_token"] * result["tokens"] / result["bytes"] / np.log(2)
    assert result["bits_per_byte"] == pytest.approx(expected)
    assert 1 < result["bits_per_byte"] < 9


def test_why_leads_from_a_document_to_its_tokens_and_copies(done: Path) -> None:
    corpus = api.Corpus(done)
    life = corpus.why(corpus.documents().column("id")[0].as_py())
    assert life.tokens is not None
    shard, offset, n_tokens = dataclasses.astuple(life.tokens)
    folder = next((done / "artifacts").glob("tokens-pool-*"))
    ids = np.fromfile(folder / shard, "<u2")[offset : offset + n_tokens]
    assert len(ids) == n_tokens
    assert len(life.copies) >= 4


def test_a_method_that_asks_for_a_target_says_so(corpus: Path, tmp_path: Path) -> None:
    api.curate(corpus, out=tmp_path / "out")
    with pytest.raises(SeedbedError, match="asks for target text"):
        api.select(
            tmp_path / "out",
            "dsir",
            budget_tokens="3k",
            settings={"tokenizer.tokenize.tokenizers.byte_bpe.vocab_size": 300},
        )


@pytest.mark.parametrize("name", recipes.names())
def test_every_recipe_reads_back_from_json_and_yaml(name: str, tmp_path: Path) -> None:
    import yaml

    recipe = recipes.load(name)
    assert trees.from_json(json.loads(json.dumps(trees.to_json(recipe)))) == recipe
    (tmp_path / "r.yaml").write_text(trees.to_yaml(recipe))
    assert recipes.load(str(tmp_path / "r.yaml")) == recipe
    assert trees.from_json(yaml.safe_load(trees.to_yaml(recipe))) == recipe
    assert trees.difference(recipe, recipe) == []


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("curate.filters.gopher_quality.min_wordz", 3, "Did you mean 'curate.filters.gopher_quality.min_words'"),
        ("curate.filters.gopher_quality.min_words", "many", "is not a whole number"),
        ("curate.filters.gopher_quality.max_symbol_ratio", -1, "must be >= 0"),
        ("compare.seeds", 0, r"compare\.seeds: 0 must be >= 1"),
        ("compare.baseline", "rando", "Did you mean 'random'"),
        ("evaluate.target", "nowhere", "no text for 'nowhere'"),
    ],
)
def test_a_setting_that_cannot_be_meant_names_its_path(path: str, value: object, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        trees.change(recipes.load("demo"), {path: value})  # type: ignore[dict-item]


def test_a_setting_reaches_every_place_its_method_stands() -> None:
    changed = trees.change(
        recipes.load("demo"), {"select.selectors.gumbel_top_k.temperature": "0.5", "train.tokens": "1M"}
    )
    told = {path for path, _, _ in trees.difference(recipes.load("demo"), changed)}
    assert len([path for path in told if path.endswith("gumbel_top_k.temperature")]) == 2
    assert changed.train is not None
    assert changed.train.tokens == 1_000_000


def test_unknown_fields_of_a_recipe_file_are_refused(tmp_path: Path) -> None:
    tree = trees.to_json(recipes.load("fineweb_en"))
    (tmp_path / "r.json").write_text(json.dumps({**tree, "curat": {}}))
    with pytest.raises(RecipeError, match=r"recipe\.curat: unknown field\. Did you mean 'curate'"):
        recipes.load(str(tmp_path / "r.json"))
    (tmp_path / "r.json").write_text("{")
    with pytest.raises(RecipeError, match="is no JSON"):
        recipes.load(str(tmp_path / "r.json"))
    with pytest.raises(RecipeError, match=r"no such recipe.*Did you mean 'demo'"):
        recipes.load("dem")
