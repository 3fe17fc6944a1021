"""Training from the shell: the manual, a kill, two processes, and what can be done with the folder afterwards."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.main import get_command
from typer.testing import CliRunner

from seedbed import cli
from seedbed import recipe as trees
from tests.killing import kill_when
from tests.pipeline.test_train_folder import BATCH, recipe, write_texts

TRAIN = get_command(cli.app).commands["train"]  # type: ignore[attr-defined]


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    file = write_texts(tmp_path / "texts.jsonl", 0, 12)
    (tmp_path / "plan.json").write_text(json.dumps(trees.to_json(recipe(file, 60))))
    return tmp_path / "plan.json"


def ask(*arguments: str) -> str:
    """What a command printed that did not fail, in this process."""
    done = CliRunner().invoke(cli.app, list(arguments))
    assert done.exit_code == 0, f"{done.output}\n{done.exception}"
    return done.stdout


def losses(folder: Path) -> list[float]:
    return pq.read_table(folder / "metrics.parquet")["loss_nats_per_token"].to_pylist()


def test_the_manual_tells_what_a_newcomer_asks() -> None:
    told = CliRunner().invoke(cli.app, ["train", "--help"], env={"COLUMNS": "120"}).stdout
    for heading in ("WHAT COMES IN", "WHAT IS LEFT IN THE FOLDER", "RESUME", "CHANGE A VALUE", "BRANCH"):
        assert heading in told
    for heading in ("SEVERAL SOURCES", "SPOT A BAD RUN", "SEVERAL PROCESSES", "EXAMPLES"):
        assert heading in told
    assert "sources: {web: {inputs: [crawl/*.warc.gz]}, books: {curated: runs/books}}" in told
    assert "mixture: [{shares: {web: 0.9, books: 0.1}, until: 0.8}" in told
    panels = {getattr(param, "rich_help_panel", None) for param in TRAIN.params}
    assert {"What is trained on what", "Where it starts", "Watching", "Machine"} <= panels


def test_the_values_that_the_manual_sets_are_there(plan: Path) -> None:
    loaded = trees.from_file(plan)
    settings = re.findall(r"--set (train\.[\w.]+)=(\w+(?:[.-]+\w+)*)", TRAIN.help or "")
    assert len(settings) >= 5
    trees.change(loaded, dict(settings))


def test_a_folder_from_the_shell(plan: Path, tmp_path: Path) -> None:
    out, hf = tmp_path / "run", tmp_path / "hf"
    early = ask("train", str(plan), "--out", str(out), "--until-tokens", str(10 * BATCH), "--workers", "1")
    assert "not finished: the same command without --until-tokens goes on" in early
    told = ask("train", str(plan), "--out", str(out), "--workers", "1")
    assert f"{60 * BATCH:,} tokens" in told
    assert f"Model: {out}/model   Metrics: {out}/metrics.parquet   Report: {out}/report.html" in told
    scored = json.loads(ask("evaluate", str(out), "--text", "sample:target_eval.jsonl.gz", "--json"))
    assert "LlamaForCausalLM" in ask("export", str(out), "--to", "hf", "--out", str(hf))
    again = json.loads(ask("evaluate", str(hf), "--text", "sample:target_eval.jsonl.gz", "--json"))
    assert again["bits_per_byte"] == pytest.approx(scored["bits_per_byte"], rel=1e-5)
    written = ask("sample", str(hf), "--prompt", "The query", "--max-tokens", "5", "--count", "2", "--seed", "3")
    assert written.count("The query") == 2
    assert written == ask(
        "sample", str(out), "--prompt", "The query", "--max-tokens", "5", "--count", "2", "--seed", "3"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "PLAN"], "a recipe says nothing of a folder for the run"),
        (
            ["train", "PLAN", "--out", "o", "--init", "a", "--branch", "b"],
            "a run begins from one model. Leave out --init or --branch.",
        ),
        (["train", "PLAN", "--out", "o", "--set", "train.learning_rat=1"], "Did you mean 'train.learning_rate'"),
        (["train", "PLAN", "--out", "o", "--init", "missing"], "missing: there is no such folder. Name a model folder"),
        (["train", "PLAN", "--out", "o", "--input", "no.txt"], "there is no file or folder 'no.txt'"),
        (["export", "o", "--to", "hf"], "asks for one file or folder to write"),
        (["export", "o", "p", "--to", "hff"], "there is no format 'hff'"),
    ],
)
def test_what_cannot_be_meant(
    plan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(cli.app, [word.replace("PLAN", str(plan)) for word in arguments])
    assert message in str(done.exception)
    assert not Path("o").exists()


def test_killed_from_outside_the_same_command_goes_on_to_the_same_bits(plan: Path, tmp_path: Path) -> None:
    ask("train", str(plan), "--out", str(tmp_path / "whole"), "--workers", "1")
    out = tmp_path / "killed"
    command = [sys.executable, "-m", "seedbed", "train", str(plan), "--out", str(out), "--workers", "1"]
    assert kill_when(lambda: (out / "checkpoints" / "step-00000012").exists(), command)
    assert not (out / "model" / "config.json").exists()
    ask(*command[3:])
    rows = pq.read_table(out / "metrics.parquet")
    assert rows["step"].to_pylist() == list(range(1, 61))
    assert losses(out) == losses(tmp_path / "whole")


def test_two_processes_train_what_one_does(plan: Path, tmp_path: Path) -> None:
    """Of the same batches in the same order; sums round differently. The first process alone prints and writes."""
    ask("train", str(plan), "--out", str(tmp_path / "one"), "--workers", "1")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [*torchrun, "-m", "seedbed", "train", str(plan), "--out", str(tmp_path / "two"), "--workers", "1"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Report:") == 1
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), rel=1e-4)
    assert json.loads((tmp_path / "two" / "train.json").read_text())["runtime"]["processes"] == 2
    again = subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=300)
    assert again.stdout.splitlines()[-1] == done.stdout.splitlines()[-1]
    refused = subprocess.run([*command, "--seed", "1"], capture_output=True, text=True, env=environment, check=False)
    assert refused.returncode != 0
    assert refused.stderr.count("seedbed: ") == 1, "only the first one says it"
    assert "seed was 0 and is 1" in refused.stderr
