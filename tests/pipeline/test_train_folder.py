"""Training in a folder: what is left, what a kill leaves, and what a run may begin from."""

from __future__ import annotations

import dataclasses
import io
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

import seedbed as sb
from seedbed.core import arrow
from seedbed.core.artifact import Artifact, Store
from seedbed.core.errors import RecipeError, SeedbedError
from seedbed.curate.extractors.all_text import AllText
from seedbed.curate.plan import CuratePlan
from seedbed.curate.readers.jsonl import Jsonl
from seedbed.model.shape import ModelShape
from seedbed.pipeline import metrics, models, sources, tracking, train_data, train_folder, train_request
from seedbed.pipeline.trained import TrainedRun
from seedbed.recipe import Recipe, SourcePlan
from seedbed.tokenize.encode import Encoder
from seedbed.tokenize.tokenizers.byte_bpe import ByteBpe
from seedbed.train.objectives.causal_lm import CausalLM
from seedbed.train.optimizers.adamw import AdamW
from seedbed.train.plan import Checkpoints, Phase, TrainPlan
from seedbed.train.schedules.warmup_stable_decay import WarmupStableDecay
from tests.conftest import sample_texts

BATCH = 2 * 32


def write_texts(file: Path, first: int, last: int, url: str = "https://docs.a.example/") -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    rows = sample_texts()[first:last]
    file.write_text("".join(json.dumps({"text": r["text"], "url": f"{url}{i}"}) + "\n" for i, r in enumerate(rows)))
    return file


def recipe(file: Path, steps: int = 20, **plan: Any) -> Recipe:
    shape = ModelShape(vocab_size=300, d_model=16, n_layers=1, n_heads=2, context=32)
    train = TrainPlan(
        shape=shape,
        objective=CausalLM(),
        optimizer=AdamW(),
        schedule=WarmupStableDecay(warmup_tokens=BATCH, decay_tokens=min(5, steps // 2) * BATCH),
        tokens=steps * BATCH,
        batch_sequences=2,
        learning_rate=4e-3,
        checkpoints=Checkpoints(every_steps=4, keep_last=20),
    )
    curate = CuratePlan((Jsonl(),), AllText(), (), survivors=())
    tiny = Recipe("tiny", "a test", curate, inputs=(str(file),), tokenizer=ByteBpe(vocab_size=300))
    return dataclasses.replace(tiny, train=dataclasses.replace(train, **plan))


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_texts(tmp_path_factory.mktemp("texts") / "a.jsonl", 0, 12)


@pytest.fixture(scope="module")
def whole(file: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainedRun:
    """A finished run of 20 steps; only to be read."""
    return sb.train(recipe(file), tmp_path_factory.mktemp("whole") / "run")


def losses(run: TrainedRun) -> list[float]:
    return run.metrics().column("loss_nats_per_token").to_pylist()


def steps(run: TrainedRun) -> list[int]:
    return run.metrics().column("step").to_pylist()


def test_a_run_leaves_what_the_manual_says(whole: TrainedRun) -> None:
    folder = Path(whole.folder)
    names = {path.name for path in folder.iterdir()}
    assert {"metrics.parquet", "metrics.jsonl", "model", "checkpoints", "train.json", "report.html"} <= names
    table = pq.read_table(folder / "metrics.parquet")
    units = {field.name: (field.metadata or {}).get(b"unit") for field in table.schema}
    assert set(units) == {
        *("step", "tokens", "flops", "loss_nats_per_token", "learning_rate", "grad_norm", "skipped"),
        *("tokens_per_second", "seconds", "waited_seconds", "share_pool", "asked_share_pool"),
    }
    assert [name for name, unit in units.items() if unit is None] == ["step"]
    assert steps(whole) == list(range(1, 21))
    assert table["tokens"].to_pylist() == [BATCH * step for step in range(1, 21)]
    assert all(np.diff(table["seconds"].to_numpy()) > 0)
    assert {path.name for path in (folder / "model").iterdir()} == {
        *("config.json", "model.safetensors", "tokenizer.json", "special.json")
    }
    told: dict[str, Any] = whole.about
    assert {"machine", "threads", "torch"} <= set(told["runtime"])
    assert told["done"]["finished"]
    assert 'id="training"' in (folder / "report.html").read_text()
    assert sb.evaluate(whole.model, ["sample:target_eval.jsonl.gz"])["bits_per_byte"] > 1  # type: ignore[operator]


def test_the_same_again_is_answered_without_training(whole: TrainedRun, file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(whole.folder, folder)
    dates = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file() and path.name != ".lock"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys.modules["seedbed.train.run"], "train", None)
        patch.setattr(train_data, "prepare", None)
        sb.train(recipe(file), folder)
    assert {path: path.stat().st_mtime_ns for path in dates} == dates


class Killed(BaseException):
    pass


def train_and_die(step: int, *asked: Any, **how: Any) -> None:
    """As if the process died at a step: the metrics file gets half a line, the table nothing."""
    add = metrics.Metrics.add

    def dying(self: metrics.Metrics, report: Any) -> None:
        add(self, report)
        if report.step == step:
            assert self._out is not None
            self._out.write('{"step": 99, "tok')
            self._out.flush()
            self._rows = {}
            raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(metrics.Metrics, "add", dying)
        with pytest.raises(Killed):
            sb.train(*asked, **how)


def test_killed_and_resumed_no_step_is_there_twice_and_none_is_missing(
    whole: TrainedRun, file: Path, tmp_path: Path
) -> None:
    for step in (3, 10, 15):
        train_and_die(step, recipe(file), tmp_path / "run")
    with (tmp_path / "run" / "metrics.jsonl").open("a") as out:
        out.write('{"step": 3, ')
    run = sb.train(recipe(file), tmp_path / "run")
    assert steps(run) == list(range(1, 21))
    assert losses(run) == losses(whole), "not the same bits"
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == list(range(1, 21))
    rows = run.metrics()
    assert rows.column("seconds").null_count == 0
    assert all(np.diff(rows.column("seconds").to_numpy()) > 0)
    assert (run.model / "model.safetensors").read_bytes() == (whole.model / "model.safetensors").read_bytes()
    (tmp_path / "run" / "metrics.jsonl").unlink()
    (tmp_path / "run" / "metrics.parquet").unlink()
    shutil.rmtree(tmp_path / "run" / "checkpoints" / "step-00000020")
    again = sb.train(recipe(file, checkpoints=Checkpoints(every_steps=5)), tmp_path / "run", seed=0)
    assert again.about["done"]["step"] == 20  # type: ignore[index, call-overload]


def test_lost_lines_are_filled_from_the_log(whole: TrainedRun, file: Path, tmp_path: Path) -> None:
    sb.train(recipe(file), tmp_path / "run", until_tokens=12 * BATCH)
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "run" / "metrics.jsonl").write_text("".join(lines[:5]))
    run = sb.train(recipe(file), tmp_path / "run")
    assert steps(run) == list(range(1, 21))
    assert losses(run) == losses(whole)
    assert run.metrics().column("seconds").null_count == 7


def test_another_run_in_the_same_folder_is_refused_by_what_differs(whole: TrainedRun, file: Path) -> None:
    with pytest.raises(SeedbedError, match=r"plan.learning_rate was 0.004 and is 0.001. Name another --out"):
        sb.train(recipe(file, learning_rate=1e-3), whole.folder)
    with pytest.raises(SeedbedError, match="seed was 0 and is 1"):
        sb.train(recipe(file), whole.folder, seed=1)


def test_an_early_end_goes_on(whole: TrainedRun, file: Path, tmp_path: Path) -> None:
    first = sb.train(recipe(file), tmp_path / "run", until_tokens=7 * BATCH)
    assert not first.about["done"]["finished"]  # type: ignore[index, call-overload]
    assert steps(first) == list(range(1, 8))
    assert losses(sb.train(recipe(file), tmp_path / "run")) == losses(whole)


def test_a_branch_decays_now_and_leaves_its_parent_as_it_is(whole: TrainedRun, tmp_path: Path) -> None:
    parent = Path(whole.folder)
    before = {path: path.read_bytes() for path in parent.rglob("*") if path.is_file() and path.name != ".lock"}
    branch = parent / "checkpoints" / "step-00000012"
    run = sb.train(str(parent), tmp_path / "branch", branch=branch, tokens=18 * BATCH)
    assert steps(run) == list(range(1, 19))
    assert losses(run)[:12] == losses(whole)[:12]
    rates = run.metrics().column("learning_rate").to_pylist()
    assert rates[12] == pytest.approx(4e-3)
    assert rates[17] < 1e-3
    assert run.metrics().column("seconds").null_count == 0, "the parent's seconds are its past"
    assert run.about["begun_from"] == {"branch": str(branch)}
    assert {path: path.read_bytes() for path in before} == before


@pytest.fixture(scope="module")
def two(file: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainedRun:
    """Two sources, one curated elsewhere, whose shares change half way."""
    folder = tmp_path_factory.mktemp("two")
    other = write_texts(folder / "b.jsonl", 12, 24)
    sb.curate(str(other), out=folder / "elsewhere", recipe=dataclasses.replace(recipe(other), train=None))
    phases = (Phase({"web": 0.75, "books": 0.25}, until=0.5), Phase({"web": 0.25, "books": 0.75}))
    plan = dataclasses.replace(recipe(file, 40, mixture=phases), inputs=())
    named = {"web": SourcePlan((str(file),)), "books": SourcePlan(curated=str(folder / "elsewhere"))}
    return sb.train(dataclasses.replace(plan, sources=named), folder / "run")


def test_sources_are_read_as_asked(two: TrainedRun) -> None:
    rows = two.metrics()
    for name, half, end in (("web", 0.75, 0.5), ("books", 0.25, 0.5)):
        assert rows.column(f"share_{name}")[19].as_py() == pytest.approx(half, abs=0.03)
        assert rows.column(f"share_{name}")[39].as_py() == pytest.approx(end, abs=0.03)
        assert rows.column(f"asked_share_{name}")[39].as_py() == pytest.approx({"web": 0.25, "books": 0.75}[name])
    assert (Path(two.folder) / "sources" / "web" / "documents").is_dir()
    page = (Path(two.folder) / "report.html").read_text()
    assert "Shares of books, web" in page
    told: dict[str, Any] = two.about
    assert set(told["sources"]) == {"web", "books"}
    assert len({entry["fingerprints"]["tokens"] for entry in told["sources"].values()}) == 2


def test_a_run_of_several_sources_can_be_started_from_its_folder(two: TrainedRun, tmp_path: Path) -> None:
    run = sb.train(str(two.folder), tmp_path / "again")
    assert losses(run) == losses(two)
    assert not (tmp_path / "again" / "sources").exists()
    kept: dict[str, Any] = json.loads((tmp_path / "again" / "recipe.json").read_text())["sources"]
    assert kept["web"]["curated"] == f"{two.folder}/sources/web"


def test_a_source_without_a_share_is_an_error_that_proposes_one(file: Path, tmp_path: Path) -> None:
    plan = dataclasses.replace(recipe(file), sources={"more": SourcePlan((str(file),))})
    with pytest.raises(RecipeError, match=r"no share to the source more. .* mixture: \[{shares: {more: 0.50, pool"):
        sb.train(plan, tmp_path / "run")


def test_metadata_is_filled_in_for_each_document(whole: TrainedRun, tmp_path: Path) -> None:
    told: dict[str, Any] = whole.about
    folder = Path(whole.folder)
    files = sources.SourceFiles(*(folder / told["sources"]["pool"][role] for role in ("documents", "tokens")))
    tokenizer = folder / told["tokenizer"]["folder"]
    made = sources.metadata_into(files, tokenizer, "URL: {domain}\n\n", Store(tmp_path))
    counts = arrow.numpy(made.table(), "n_tokens")
    assert len(counts) == Artifact(files.documents).rows
    ids = np.fromfile(made.path / "ids-00000.bin", str(made.about["dtype"]))
    text = Encoder.open(tokenizer).decode(ids[: counts[0]].tolist())
    assert text == "URL: docs.a.example\n\n"
    with pytest.raises(SeedbedError, match=r"there is no field 'host' to fill in. Known: {url}, {domain}"):
        sources.metadata_into(files, tokenizer, "{host}", Store(tmp_path))


def test_weights_choose_the_documents(whole: TrainedRun, file: Path, tmp_path: Path) -> None:
    out = tmp_path / "corpus"
    sb.curate(str(file), out=out, recipe=dataclasses.replace(recipe(file), train=None))
    weights = sb.select(out, "constant", "top_k", budget_tokens=1500)
    run = sb.train(sb.api.Corpus(out), weights=weights, tokens="2k", settings={
        "train.shape.d_model": 16, "train.shape.n_layers": 1, "train.shape.context": 32,
    })  # fmt: skip
    assert run.folder == out
    told: dict[str, Any] = run.about
    assert told["sources"]["pool"]["weights"].startswith("artifacts/weights-")
    chosen = arrow.numpy(weights.table(), "copies") @ arrow.numpy(weights.table(), "n_tokens")
    assert told["done"]["epochs"]["pool"] == pytest.approx(told["done"]["tokens"] / chosen, rel=0.01)
    other = write_texts(tmp_path / "c.jsonl", 3, 9)
    with pytest.raises(SeedbedError, match="these weights are of other documents"):
        sb.train(recipe(other), tmp_path / "run", weights=weights)


def test_a_run_may_begin_from_a_model(whole: TrainedRun, file: Path, tmp_path: Path) -> None:
    """Its shape and tokenizer are the run's; a recipe that names another tokenizer is refused."""
    other = write_texts(tmp_path / "d.jsonl", 24, 36)
    plain = dataclasses.replace(recipe(other, 4), tokenizer=None)
    run = sb.train(plain, tmp_path / "run", init=whole.folder)
    told: dict[str, Any] = run.about
    assert told["begun_from"] == {"init": str(whole.folder)}
    assert (run.model / "tokenizer.json").read_text() == (whole.model / "tokenizer.json").read_text()
    assert losses(run)[0] < losses(whole)[0] - 0.5
    with pytest.raises(RecipeError, match="tokenizer: the recipe's tokenizer is not the one that the model in"):
        sb.train(recipe(other, 4), tmp_path / "refused", init=whole.model)
    with pytest.raises(SeedbedError, match="there is no such folder"):
        sb.train(plain, tmp_path / "none", init=tmp_path / "missing")


def test_a_hugging_face_folder_goes_out_and_comes_back(whole: TrainedRun, file: Path, tmp_path: Path) -> None:
    told = whole.export(tmp_path / "hf")
    assert told["architecture"] == "LlamaForCausalLM"
    assert json.loads((tmp_path / "hf" / "config.json").read_text())["model_type"] == "llama"
    plain = dataclasses.replace(recipe(file, 3), tokenizer=None)
    run = sb.train(plain, tmp_path / "run", init=tmp_path / "hf")
    assert losses(run)[0] < losses(whole)[0] - 0.5
    here, there = (models.read(folder) for folder in (whole.folder, tmp_path / "hf"))
    for name, tensor in here.decoder.state_dict().items():
        assert tensor.equal(there.decoder.state_dict()[name])
    assert here.end_of_text == there.end_of_text


def test_every_folder_that_holds_a_model_is_found(whole: TrainedRun, tmp_path: Path) -> None:
    folder = Path(whole.folder)
    checkpoint = folder / "checkpoints" / "step-00000008"
    assert models.find(folder) == folder / "model"
    assert models.find(checkpoint) == checkpoint
    assert models.read(checkpoint).tokenizer_json == (folder / "model" / "tokenizer.json").read_text()
    assert models.read(checkpoint).end_of_text == models.read(folder).end_of_text
    shutil.copytree(folder / "checkpoints", tmp_path / "going" / "checkpoints")
    assert models.find(tmp_path / "going").name == "step-00000020"
    assert whole.sample("The query", max_tokens=8, seed=1) == whole.sample("The query", max_tokens=8, seed=1)
    with pytest.raises(SeedbedError, match=r"holds no model: there is no config.json"):
        models.find(tmp_path)


def test_what_cannot_be_meant_is_said_before_anything_is_made(file: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="a run begins from one model"):
        sb.train(recipe(file), tmp_path / "run", init="a", branch="b")
    with pytest.raises(RecipeError, match="a recipe says nothing of a folder"):
        sb.train(recipe(file))
    with pytest.raises(RecipeError, match="names no text to train on"):
        sb.train(dataclasses.replace(recipe(file), inputs=()), tmp_path / "run")
    with pytest.raises(RecipeError, match=r"there is no such tracker. Did you mean 'tensorboard'"):
        sb.train(recipe(file), tmp_path / "run2", track=("tensorbord",))
    assert not (tmp_path / "run2").exists()
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "wandb", None)
        with pytest.raises(
            SeedbedError, match=r'wandb, which is not installed. Install it with: pip install "seedbed\['
        ):
            sb.train(recipe(file), tmp_path / "run2", track=("wandb",))


def test_tensorboard_reads_what_was_written(whole: TrainedRun, file: Path, tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    train_and_die(11, recipe(file), tmp_path / "run", track=("tensorboard",))
    sb.train(recipe(file), tmp_path / "run", track=("tensorboard",))
    events = accumulator.EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    scalars = events.Scalars("loss_nats_per_token")
    assert [event.step for event in scalars] == list(range(1, 21)), "steps taken again replace the old ones"
    assert [event.value for event in scalars] == pytest.approx(losses(whole), rel=1e-6)
    assert "share/pool" in events.Tags()["scalars"]


@pytest.mark.filterwarnings("ignore")
def test_wandb_stays_offline_and_keeps_no_secret(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_API_KEY", "5ec2e7" * 7)
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")  # whoever asks the network fails
    sb.train(recipe(file, 3), tmp_path / "run", track=("wandb",))
    (folder,) = (tmp_path / "run" / "wandb").glob("offline-run-*")
    written = [path for path in folder.rglob("*") if path.is_file()]
    assert any(path.suffix == ".wandb" and b"loss_nats_per_token" in path.read_bytes() for path in written)
    assert not any(b"5ec2e7" in path.read_bytes() for path in written)


def report(step: int, **more: Any) -> Any:
    from seedbed.train.run import Report

    values: dict[str, Any] = {"steps": 100, "total_tokens": 100_000, "tokens": 1000 * step, "flops": 1e9 * step}
    values |= {"learning_rate": 1e-3, "loss_nats_per_token": 3.25, "grad_norm": 1.0, "skipped": False}
    values |= {"tokens_per_second": 10_000.0, "seconds": 0.1, "waited_seconds": 0.01}
    return Report(step=step, **{**values, "asked": {"pool": 1.0}, "realised": {"pool": 1.0}, **more})


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("out", [io.StringIO(), Terminal()])
def test_progress_says_loss_speed_utilisation_waiting_and_time_left(out: io.StringIO) -> None:
    display = tracking.Display(peak=5e10, last_step=50, out=out, every_seconds=0)
    for step in range(11, 31):
        display.add(report(step))
    told = display._told()
    display.close()
    said = ["step 30 of 50", "loss 3.250", "10 k tokens/s", "20% of peak", "10% waiting", "2.0 s left"]
    assert told == said
    summary = "train: 20 steps, 20 k tokens in 2.0 s (10 k tokens/s, 20% of this machine's peak (50 GFLOP/s))"
    assert out.getvalue().strip().splitlines()[-1].endswith(f"{summary}, 10.0% of the time waiting for data")
    if not out.isatty():
        assert out.getvalue().splitlines()[-2] == f"train: {', '.join(said)}"


def test_threads_are_those_the_run_began_with(whole: TrainedRun, file: Path) -> None:
    plan = recipe(file).train
    assert plan is not None
    asked = train_request.Asked(recipe(file), recipe(file), whole.folder)
    assert train_folder._runtime(asked, plan, 1).threads == 1
    large = dataclasses.replace(plan, shape=dataclasses.replace(plan.shape, vocab_size=1 << 20))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.sched_getaffinity", lambda _: set(range(8)), raising=False)
        new = dataclasses.replace(asked, out="nowhere")
        assert train_folder._runtime(new, large, 2).threads == 4
        assert train_folder._runtime(asked, large, 2).threads == 1


def test_an_objective_that_reads_metadata_finds_it(file: Path, tmp_path: Path) -> None:
    """The two views of a source are columns of their own; the second takes over where the cooldown begins."""
    from seedbed.train.objectives.meco import MeCo

    rows = sb.train(recipe(file, objective=MeCo(cooldown=0.5)), tmp_path / "run").metrics()
    asked = [rows.column(f"asked_share_pool{view}").to_pylist() for view in ("+metadata", "+plain")]
    assert asked == [[1.0] * 10 + [0.0] * 10, [0.0] * 10 + [1.0] * 10]
    assert rows.column("share_pool+plain")[19].as_py() == pytest.approx(0.5, abs=0.01)
    assert list((tmp_path / "run" / "artifacts").glob("tokens-metadata-*"))
