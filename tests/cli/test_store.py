"""A folder in a store, verb by verb: over HTTP from an S3 server process, every third transfer broken."""

from __future__ import annotations

import gzip
import io
import json
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest

from seedbed.cli import main
from seedbed.core import remote
from seedbed.core.mirror import SCRATCH
from tests.conftest import sample_texts
from tests.s3_server import Faults, faulty, s3_server

pytest.importorskip("s3fs", reason="remote stores are an extra: pip install 'seedbed[remote]'")
pytestmark = pytest.mark.filterwarnings("ignore")
"""botocore leaves connections to the garbage collector."""

RUN = "s3://crawl/run"
MIN_WORDS = "curate.filters.gopher_quality.min_words"


class Store:
    """A bucket with input in it, and a shell that may use it."""

    def __init__(self, client: Any, folder: Path) -> None:
        self.client, self.folder = client, folder
        self.machines = 0

    def ask(self, *arguments: str, fresh: bool = False) -> tuple[int, str, str]:
        """Exit code, output and errors of a command; `fresh`: on a machine that has no local copy of the folder."""
        self.machines += fresh
        told, errors = io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(told), redirect_stderr(errors):
            patch.setenv(SCRATCH, str(self.folder / f"machine-{self.machines}"))
            patch.setattr(sys, "argv", ["seedbed", *arguments])
            patch.chdir(self.folder)
            with pytest.raises(SystemExit) as ended:
                main()
        return int(ended.value.code or 0), told.getvalue(), errors.getvalue()

    def run(self, *arguments: str, fresh: bool = False) -> str:
        """What a command printed that did not fail."""
        code, told, errors = self.ask(*arguments, fresh=fresh)
        assert code == 0, errors
        assert "s3:/crawl" not in told, "a URL lost a slash"
        assert str(self.folder) not in told, "the local copy is nobody's business"
        return told

    def objects(self, prefix: str = "run/") -> dict[str, tuple[str, Any]]:
        """Key -> (hash, date) of what lies in the bucket."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket="crawl", Prefix=prefix)
        return {o["Key"]: (o["ETag"], o["LastModified"]) for page in pages for o in page.get("Contents", [])}

    def read(self, key: str) -> bytes:
        """An object, by the straight line."""
        return self.client.get_object(Bucket="crawl", Key=key)["Body"].read()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """Two files of input, curated into the same bucket through the broken line."""
    import boto3
    import s3fs

    given = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_DEFAULT_REGION": "us-east-1"}
    with s3_server() as port, faulty(port) as broken, pytest.MonkeyPatch.context() as patch:
        for name, value in {**given, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{broken}"}.items():
            patch.setenv(name, value)
        patch.setattr(remote, "_FIRST_PAUSE_SECONDS", 0.01)
        s3fs.S3FileSystem.clear_instance_cache()
        client = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{port}")
        client.create_bucket(Bucket="crawl")
        for part in range(2):
            lines = (
                json.dumps({**row, "url": f"https://a.example/{part}/{i}"}) + "\n"
                for i, row in enumerate(sample_texts()[part * 12 : part * 12 + 12])
            )
            client.put_object(Bucket="crawl", Key=f"in/{part}.jsonl.gz", Body=gzip.compress("".join(lines).encode()))
        made = Store(client, tmp_path_factory.mktemp("shell"))
        told = made.run("curate", "s3://crawl/in/*.jsonl.gz", "--out", RUN, "--workers", "1", fresh=True)
        assert f"Kept documents: {RUN}/documents   Report: {RUN}/report.html" in told
        assert Faults.broken > 5
        yield made
    s3fs.S3FileSystem.clear_instance_cache()


def test_the_store_holds_the_whole_folder(store: Store) -> None:
    keys = store.objects()
    assert {"run/ledger.json", "run/recipe.json", "run/report.html", "run/artifacts/index.json"} <= set(keys)
    assert json.loads(store.read("run/ledger.json"))["read"] == 24
    assert not any(".partial" in key or ".lock" in key for key in keys)
    rows = json.loads(store.run("status", RUN, "--json"))
    assert {row["state"] for row in rows} == {"in use"}
    manifests = {key.split("/")[2] for key in keys if key.endswith("/manifest.json")}
    assert manifests == {row["name"] for row in rows}


def test_another_machine_asks_and_verifies(store: Store) -> None:
    assert "; 0 problems" in store.run("verify", RUN, fresh=True)
    life = json.loads(store.run("why", RUN, "https://a.example/1/3", "--json"))
    assert (life["file"], life["offset"]) == ("1.jsonl.gz", 3)
    assert life["text"] == sample_texts()[15]["text"]


def test_what_if_prints_a_command_that_runs(store: Store) -> None:
    told = store.run("what-if", RUN, "--set", f"{MIN_WORDS}=400")
    command = f"seedbed run {RUN} --set {MIN_WORDS}=400 --out {RUN}"
    assert f"To keep these: {command}" in told
    then = json.loads(store.run("what-if", RUN, "--set", f"{MIN_WORDS}=400", "--json"))["after"]["kept"]
    assert f"Report: {RUN}/report.html" in store.run(*command.split()[1:], "--workers", "1")
    assert json.loads(store.read("run/ledger.json"))["kept"] == then
    stale = [row["name"] for row in json.loads(store.run("status", RUN, "--json")) if row["state"] != "in use"]
    assert stale
    assert "removed." in store.run("gc", RUN)
    assert not any(name in key for name in stale for key in store.objects())


def test_nothing_is_done_anew_where_all_is_there(store: Store) -> None:
    recipe = ("--recipe", RUN, "--workers", "1")
    store.run("curate", "s3://crawl/in/*.jsonl.gz", "--out", RUN, *recipe)
    before = store.objects()
    store.run("curate", "s3://crawl/in/*.jsonl.gz", "--out", RUN, *recipe, fresh=True)
    after = store.objects()
    assert after.keys() == before.keys()
    anew = {key for key in after if key.startswith("run/artifacts/") and after[key] != before[key] and "/" in key[14:]}
    assert anew == set(), "an artifact was sent again"
    assert {key for key in after if after[key][0] != before[key][0]} <= {
        "run/report.html",
        "run/artifacts/run_log.json",
    }


def test_a_report_is_left_in_the_store(store: Store) -> None:
    store.client.delete_object(Bucket="crawl", Key="run/report.html")
    assert store.run("report", RUN, fresh=True).strip() == f"{RUN}/report.html"
    assert store.read("run/report.html").startswith(b"<!doctype html>")
    assert store.run("report", f"{RUN}/").strip() == f"{RUN}/report.html"


def test_documents_leave_to_a_file_here_and_to_a_store(store: Store) -> None:
    kept = json.loads(store.read("run/ledger.json"))["kept"]
    assert "Exported: here.jsonl.gz" in store.run("export", RUN, "here.jsonl.gz", "--to", "jsonl.gz")
    here = (store.folder / "here.jsonl.gz").read_bytes()
    assert gzip.decompress(here).count(b"\n") == kept
    assert "Exported: s3://crawl/out/all.jsonl.gz" in store.run(
        "export", RUN, "s3://crawl/out/all.jsonl.gz", "--to", "jsonl.gz"
    )
    assert store.read("out/all.jsonl.gz") == here
    counts = json.loads(store.run("export", RUN, "s3://crawl/out/parts", "--to", "jsonl", "--json"))
    parts = [key for key in store.objects("out/parts/") if key.endswith(".jsonl")]
    assert len(parts) == counts["files"]
    assert b"".join(store.read(key) for key in sorted(parts)) == gzip.decompress(here)
    assert not (store.folder / "s3:").exists()


def test_what_is_forgotten_is_gone_from_the_store(store: Store) -> None:
    (store.folder / "urls.txt").write_text("https://a.example/0/2\n")
    told = store.run("forget", RUN, "urls.txt")
    assert f"Certificate: {RUN}/certificates/forget-0001.json" in told
    assert len(json.loads(store.read("run/certificates/forget-0001.json"))["documents"]) == 1
    assert json.loads(store.read("run/ledger.json"))["dropped"]["forgotten"] == 1
    assert "; 0 problems" in store.run("verify", RUN, fresh=True)
    code, _, said = store.ask("why", RUN, "https://a.example/0/2", fresh=True)
    assert (code, f"no document in {RUN} has this id or URL" in said) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["why", "s3://crawl/nothing", "x"], "seedbed: s3://crawl/nothing: this is not the output folder"),
        (["status", "s3://crawl/nothing"], "seedbed: s3://crawl/nothing: this is not an output folder"),
        (["run", "s3://crawl/nothing", "--out", "o"], "s3://crawl/nothing: there is no recipe.json here"),
        (["curate", "s3://crawl/in", "--out", RUN, "--shard", "1/2"], "parts of a run do not meet in a store"),
        (["curate", "s3://crawl/none", "--out", RUN], "s3://crawl/none: there is no such file or folder"),
    ],
)
def test_errors_name_the_url_as_it_was_given(store: Store, arguments: list[str], message: str) -> None:
    code, told, said = store.ask(*arguments)
    assert code in (1, 2), told
    assert message in said
    assert "Traceback" not in said
