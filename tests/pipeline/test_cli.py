"""The command line as a stranger meets it: help, exit codes, errors that mend, and machine-readable answers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from seedbed import cli
from tests.cli.shell import seedbed

VERBS = ("methods", "show", "run", "curate", "tokenize", "select", "compare", "train", "evaluate", "predict")
VERBS += ("sample", "report", "diff", "status", "why", "what-if", "forget", "gc", "verify", "export")
VERBS += ("compare-dialects", "transform")


def test_help_names_every_verb_and_each_has_its_own() -> None:
    told = seedbed("--help")
    assert told.returncode == 0
    from typer.main import get_command

    commands = get_command(cli.app).commands  # type: ignore[attr-defined]
    assert set(commands) == set(VERBS)
    assert all(command.help for command in commands.values())
    assert all(verb in told.stdout for verb in VERBS)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["curate", "missing/", "--out", "o"], 1, "no such file or folder"),
        (["curate", "x.txt", "--out", "o", "--set", "curate.filters.gopher_quality.min_wordz=3"], 2, "Did you mean"),
        (["curate", "x.txt", "--out", "o", "--set", "nonsense"], 2, "Write --set PATH=VALUE"),
        (["curate", "x.txt", "--out", "o", "--recipe", "fineweb_em"], 2, "Did you mean 'fineweb_en'"),
        (["curate", "x.txt"], 2, "--out"),
        (["run", "fineweb_en", "--out", "o"], 2, "names no input"),
        (["why", "empty", "abc"], 1, "not the output folder"),
        (["why", "empty"], 2, "asks for one document or one token"),
        (["gc", "empty"], 1, "not an output folder"),
        (["verify", "empty"], 1, "not an output folder"),
        (["forget", "empty", "x.txt"], 1, "not the output folder"),
        (["forget", "empty", "none.txt"], 1, "none.txt: cannot be read (No such file or directory). Give a text file"),
        (["export", "empty", "a.jsonl.zst"], 1, "not the output folder"),
        (["curate", "x.txt", "--out", "o", "--shard", "3of4"], 2, "Parts count from 1: 3/16"),
        (["compare-dialects", "size", "a", "b", "x.txt"], 2, "has no dialects"),
        (["status", "empty"], 1, "not an output folder"),
        (["evaluate", "empty", "--text", "x.txt"], 1, "config.json"),
        (["methods", "zzzz"], 2, "no method"),
        (["what-if", "empty"], 2, "nothing is to be changed"),
        (["predict", "fit", "none.csv"], 1, "none.csv"),
        (["verify", "hollow"], 1, "not an output folder"),
        (["verify", "missing", "--dry-run"], 1, "not an output folder"),
        (["curate", "x.txt", "--out", "o", "--engine", "spark"], 2, "no such engine. Known: local, ray"),
        (["curate", "x.txt", "--out", "o", "--engine", "spark", "--dry-run"], 2, "no such engine"),
        (["run", "fineweb_en", "--input", "x.txt", "--out", "o", "--engine", "ra"], 2, "no such engine"),
        (["curate", "x.txt", "--out", "o", "--engine", "ray:x"], 2, "no address of a cluster. Write ray:HOST:PORT"),
        (["curate", "x.txt", "--out", "o", "--engine", "ray:127.0.0.1:1"], 1, "no cluster answers at 127.0.0.1:1"),
        (["curate", "x.txt", "--out", "o", "--shard", "5/3"], 2, "--shard 5/3: is no part of a whole"),
        (["curate", "x.txt", "--out", "o", "--shard", "0/3"], 2, "Parts count from 1: 3/16"),
        (["curate", "x.txt", "--out", "o", "--shard", "1/3", "--engine", "ray"], 2, "processes of one machine"),
        (["curate", "x.txt", "--out", "o", "--published", "empty"], 1, "empty: this is not the output folder"),
        (["curate", "x.txt", "--out", "x.txt"], 1, "cannot be used as output folder"),
        (
            ["run", "smoke", "--out", "o", "--set", 'target=["no.txt"]'],
            1,
            "target: there is no file or folder 'no.txt'",
        ),
        (["compare", "empty", "--budget-tokens", "2M", "--method", "dsir", "--heldout", "x"], 2, "DOMAIN=FILE"),
        (["report", "missing"], 1, "not the output folder"),
        (["evaluate", "missing", "--text", "x.txt"], 1, "missing: there is no such folder. Name a model folder"),
        (
            ["predict", "forecast", "none.json", "--params", "1"],
            1,
            "none.json: cannot be read as JSON (No such file",
        ),
        (["curate", "x.txt", "--out", "o", "--set", "zzzz=3"], 2, "there is no such place in this recipe"),
        (["frobnicate"], 2, "No such command"),
    ],
)
def test_errors_say_what_where_and_how_to_mend_it(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    message: str,
) -> None:
    """In this process: starting one for each would take most of the time."""
    (tmp_path / "x.txt").write_text("A text.")
    (tmp_path / "empty").mkdir()
    (tmp_path / "hollow" / "artifacts").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["seedbed", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    told = capsys.readouterr().err
    assert ended.value.code == code, told
    assert message in told
    assert "Traceback" not in told
    assert "[Errno" not in told
    assert {path.name for path in tmp_path.iterdir()} == {"x.txt", "empty", "hollow"}, "something was made"
    assert list((tmp_path / "empty").iterdir()) == []


def test_an_error_ends_the_process_with_its_code_and_without_a_traceback(tmp_path: Path) -> None:
    told = seedbed("curate", "missing/", "--out", "o", cwd=tmp_path)
    assert told.returncode == 1
    assert "no such file or folder" in told.stderr
    assert "Traceback" not in told.stderr


def test_methods_are_listed_searched_and_shown() -> None:
    assert "curate.filters.gopher_quality" in seedbed("methods").stdout
    found = seedbed("methods", "importance").stdout
    assert "select.scorers.dsir" in found
    assert "gopher" not in found
    assert "Fidelity" in seedbed("methods", "color_filter").stdout


def test_show_says_what_a_recipe_will_need() -> None:
    told = seedbed("show", "smoke", "--set", "compare.seeds=5").stdout
    assert "seeds: 5" in told
    for line in ("records (estimated)", "tokens before filters", "FLOP", "disk"):
        assert line in told


def test_a_folder_from_the_shell(corpus: Path, tmp_path: Path) -> None:
    done = seedbed("curate", str(corpus), "--out", "o", "--workers", "1", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "exact.duplicate" in done.stdout
    ledger = json.loads((tmp_path / "o" / "ledger.json").read_text())
    assert ledger["read"] == ledger["kept"] + sum(ledger["dropped"].values()) + sum(ledger["errored"].values())
    states = {row["state"] for row in json.loads(seedbed("status", "o", "--json", cwd=tmp_path).stdout)}
    assert states == {"in use"}
    what_if = seedbed("what-if", "o", "--set", "curate.filters.gopher_quality.min_words=100000", cwd=tmp_path).stdout
    assert "0 documents would newly be kept" in what_if
    life = json.loads(seedbed("why", "o", "https://a.example/0", "--json", cwd=tmp_path).stdout)
    assert life["url"] == "https://a.example/0"
    same = seedbed("diff", "fineweb_en", "o", cwd=tmp_path).stdout
    assert "inputs" in same
    assert "gopher" not in same


def test_asking_and_tidying_from_the_shell(changed: Path, tmp_path: Path) -> None:
    out = str(changed)
    assert json.loads(seedbed("verify", out, "--json").stdout)["problems"] == []
    assert "0 problems" in seedbed("verify", out, "--dry-run").stdout
    assert json.loads(seedbed("gc", out, "--dry-run", "--json").stdout) == []
    told = json.loads(seedbed("what-if", out, "--set", "curate.filters.gopher_quality.min_words=400", "--json").stdout)
    assert told["after"]["kept"] < told["before"]["kept"]
    assert told["borderline"][0]["rule"] == "gopher_quality.min_words"
    token = json.loads(seedbed("why", out, "--token", "0:0", "--json").stdout)
    assert token["position"] == 0
    assert token["life"]["verdict"] == "kept"
    counts = json.loads(seedbed("export", out, str(tmp_path / "a.jsonl.zst"), "--json").stdout)
    assert counts["documents"] == json.loads((changed / "ledger.json").read_text())["kept"]
    (tmp_path / "urls.txt").write_text("https://a.example/0\n")
    dry = seedbed("forget", out, str(tmp_path / "urls.txt"), "--dry-run").stdout
    assert "1 documents would be forgotten" in dry
    assert not (changed / "certificates").exists()
    done = seedbed("forget", out, str(tmp_path / "urls.txt"))
    assert "1 documents are forgotten; 0 of what was asked is not here" in done.stdout, done.stderr
    assert json.loads(seedbed("why", out, "https://a.example/1", "--json").stdout)["verdict"] == "kept"
    assert seedbed("why", out, "https://a.example/0").returncode == 1
    (changed / "ledger.json").write_text("{}")
    broken = seedbed("verify", out)
    assert broken.returncode == 1
    assert "ledger.json is not what the documents add up to" in broken.stdout


def test_a_dry_run_shows_cost_and_makes_nothing(corpus: Path, tmp_path: Path) -> None:
    told = seedbed("curate", str(corpus), "--out", "o", "--dry-run", cwd=tmp_path)
    assert told.returncode == 0, told.stderr
    for line in ("Probe of 32 documents", "curate.filters.gopher_quality", "min_words", "memory (estimated)"):
        assert line in told.stdout
    assert not (tmp_path / "o").exists()
    asked = seedbed("run", "smoke", "--out", "o", "--dry-run", "--json", cwd=tmp_path)
    preview = json.loads(asked.stdout)
    assert preview["needs"]["flops"] > 0
    assert preview["refusals"] == []


def test_where_there_is_no_document_nothing_is_compiled(tmp_path: Path) -> None:
    (tmp_path / "zero.jsonl").write_text("")
    cache = tmp_path / "kernels"
    given = {**os.environ, "NUMBA_CACHE_DIR": str(cache)}
    settings = ("--set", "curate.filters.size.min_bytes=1", "--json")
    done = seedbed("curate", "zero.jsonl", "--out", "o", *settings, cwd=tmp_path, env=given)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["read"] == 0
    assert "Compiling" not in done.stderr
    assert list(cache.rglob("*.nbi")) == []


def test_parts_of_an_array_job_come_together(corpus: Path, tmp_path: Path) -> None:
    settings = ("--set", "curate.shard_bytes=40000", "--workers", "1")
    shards = [
        json.loads(
            seedbed("curate", str(corpus), "--out", "o", "--shard", f"{k}/2", "--json", *settings, cwd=tmp_path).stdout
        )
        for k in (1, 2)
    ]
    assert all(part["shards"] >= 1 for part in shards)
    assert list((tmp_path / "o" / "artifacts").glob("documents-read-*.partial"))
    done = seedbed("curate", str(corpus), "--out", "o", *settings, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "o" / "ledger.json").read_text())["read"] == 36


def test_a_verb_stays_a_verb_when_its_room_is_imported() -> None:
    program = (
        "import seedbed as sb; import seedbed.select.run, seedbed.curate.run, seedbed.train.plan\n"
        "from seedbed.tokenize.run import Pool\n"
        "assert all(callable(getattr(sb, name)) for name in sb.__all__), sb.select\n"
        "assert sb.curate.__module__ == 'seedbed.api' and 'torch' not in __import__('sys').modules"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True)
