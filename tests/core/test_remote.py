"""Remote files: over HTTP from an S3 server process, through a proxy that breaks every third transfer."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from seedbed.core import remote
from seedbed.core.artifact import Request, Store
from seedbed.core.errors import SeedbedError
from seedbed.core.mirror import SCRATCH, Mirror
from tests.s3_server import Faults, faulty, s3_server

pytest.importorskip("s3fs", reason="remote stores are an extra: pip install 'seedbed[remote]'")
pytestmark = pytest.mark.filterwarnings("ignore")
"""botocore and aiohttp leave connections to the garbage collector."""


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    """A bucket behind the faulty proxy; settings as a user would give them, in the environment."""
    with s3_server() as port, faulty(port) as broken, pytest.MonkeyPatch.context() as patch:
        given = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_DEFAULT_REGION": "us-east-1"}
        for name, value in {**given, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{broken}"}.items():
            patch.setenv(name, value)
        patch.setattr(remote, "_FIRST_PAUSE_SECONDS", 0.01)
        import boto3
        import s3fs

        s3fs.S3FileSystem.clear_instance_cache()

        boto3.client("s3", endpoint_url=f"http://127.0.0.1:{port}").create_bucket(Bucket="crawl")
        yield "s3://crawl"


def test_files_come_and_go_whole(bucket: str, tmp_path: Path) -> None:
    contents = {f"{bucket}/in/{i}.bin": os.urandom(1000 * i + 1) for i in range(8)}
    for i, (url, content) in enumerate(contents.items()):
        (tmp_path / f"{i}").write_bytes(content)
        remote.send(tmp_path / f"{i}", url)
    files = remote.listing(f"{bucket}/in")
    assert [(file.url, file.size) for file in files] == [(url, len(content)) for url, content in contents.items()]
    assert len({file.mark for file in files}) == 8
    assert [file.name for file in remote.listing(f"{bucket}/in/*3.bin")] == ["3.bin"]
    before = Faults.broken
    for file in files:
        with remote.fetched(file) as path:
            assert path.read_bytes() == contents[file.url]
        assert not path.exists()
    assert Faults.broken > before
    remote.remove(files[0].url)
    remote.remove(files[0].url)
    assert len(remote.listing(f"{bucket}/in")) == 7


def test_what_is_not_there_is_named(bucket: str) -> None:
    assert remote.listing(f"{bucket}/nothing") == []
    with pytest.raises(SeedbedError, match=r"s3://crawl/gone\.txt: there is no such file"):
        remote.fetch(remote.RemoteFile(f"{bucket}/gone.txt", 3, ""), Path("/nowhere/x"))
    with pytest.raises(SeedbedError, match=r"cannot be reached.*seedbed\[remote\]"):
        remote.listing("nosuch://a/b")


def test_a_url_that_went_through_path_is_still_one() -> None:
    assert remote.is_remote(Path("s3://bucket/a"))
    assert remote.url_of(Path("s3://bucket/a")) == "s3://bucket/a"
    assert not remote.is_remote("runs/a:b")
    assert not remote.is_remote(Path("/a/b"))


def test_a_file_of_a_folder_is_named_as_it_was_given() -> None:
    assert remote.inside(Path("s3://bucket/a"), "b.html") == "s3://bucket/a/b.html"
    assert remote.inside("s3://bucket/a/", "b.html") == "s3://bucket/a/b.html"
    assert remote.inside("runs/a", "b.html") == "runs/a/b.html"


@pytest.fixture
def no_second_try(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Waiting for another attempt fails; no file system is left from other credentials."""
    import s3fs

    monkeypatch.setattr(remote.time, "sleep", lambda _: pytest.fail("asked again"))
    s3fs.S3FileSystem.clear_instance_cache()
    yield
    s3fs.S3FileSystem.clear_instance_cache()


def test_missing_credentials_are_said_at_once(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_second_try: None
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    (tmp_path / "x").write_text("x")
    with pytest.raises(SeedbedError, match=r"s3://crawl/x: no valid credentials.*AWS_ACCESS_KEY_ID"):
        remote.send(tmp_path / "x", f"{bucket}/x")
    with pytest.raises(SeedbedError, match=r"s3://crawl/in: no valid credentials"):
        remote.listing(f"{bucket}/in")


def test_wrong_credentials_are_said_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INITIAL_NO_AUTH_ACTION_COUNT", "0")  # the server knows no user, and asks who it is
    with s3_server() as port:
        for name, value in (("AWS_ACCESS_KEY_ID", "AKIAWRONG"), ("AWS_SECRET_ACCESS_KEY", "b")):
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        monkeypatch.setattr(remote.time, "sleep", lambda _: pytest.fail("asked again"))
        import s3fs

        s3fs.S3FileSystem.clear_instance_cache()
        (tmp_path / "x").write_text("x")
        with pytest.raises(SeedbedError, match=r"the store refuses access.*AWS_ACCESS_KEY_ID"):
            remote.send(tmp_path / "x", "s3://crawl/x")
        with pytest.raises(SeedbedError, match="the store refuses access"):
            remote.listing("s3://crawl/in")
        s3fs.S3FileSystem.clear_instance_cache()


class AnswerError(Exception):
    """What a store's library throws for an HTTP answer, each with the status in a place of its own."""

    def __init__(self, **about: object) -> None:
        self.__dict__ |= about


@pytest.mark.parametrize(
    ("error", "attempts"),
    [
        (AnswerError(status=403), 1),  # aiohttp, under s3 and gs
        (AnswerError(code=401), 1),  # gcsfs
        (AnswerError(status_code=403), 1),  # azure
        (AnswerError(response={"ResponseMetadata": {"HTTPStatusCode": 403}}), 1),  # botocore
        (AnswerError(status=404), remote.ATTEMPTS),
        (AnswerError(status=503), remote.ATTEMPTS),
        (AnswerError(response={"ResponseMetadata": {"HTTPStatusCode": 500}}), remote.ATTEMPTS),
        (TimeoutError("slow"), remote.ATTEMPTS),
    ],
)
def test_only_what_may_end_well_is_asked_again(
    error: Exception, attempts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = list[int]()
    monkeypatch.setattr(remote.time, "sleep", lambda _: None)

    def act() -> None:
        asked.append(1)
        raise OSError("in the library") from error

    with pytest.raises(SeedbedError, match="refuses access" if attempts == 1 else "failed 6 times"):
        remote._retried(act, "s3://a/b")
    assert len(asked) == attempts


def test_an_output_folder_lives_on_the_store(bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SCRATCH, str(tmp_path / "one"))
    first = Mirror(f"{bucket}/runs/a")
    first.pull()
    store = Store(first.local)
    made = store.make(Request("Documents", "x", {"n": 1}), lambda draft: dict(draft.write_text("part-0.txt", "text")))
    draft = store.draft(Request("Documents", "unfinished", {}))
    draft.write_text("part-0.txt", "half")
    (first.local / "ledger.json").write_text("{}")
    first.push()
    names = {file.url.removeprefix(f"{bucket}/runs/a/") for file in remote.listing(f"{bucket}/runs/a")}
    folder = f"artifacts/{made.path.name}"
    assert names == {f"{folder}/manifest.json", f"{folder}/part-0.txt", "ledger.json", "artifacts/run_log.json"}
    monkeypatch.setenv(SCRATCH, str(tmp_path / "two"))  # another machine goes on
    second = Mirror(f"{bucket}/runs/a")
    second.pull()
    assert Store(second.local).find(Request("Documents", "x", {"n": 1})) is not None
    (second.local / "ledger.json").unlink()
    second.push()
    assert f"{bucket}/runs/a/ledger.json" not in [file.url for file in remote.listing(f"{bucket}/runs/a")]


def test_what_one_machine_takes_away_another_does_not_bring_back(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirrors = list[Mirror]()
    for machine in ("one", "two"):
        monkeypatch.setenv(SCRATCH, str(tmp_path / machine))
        mirrors.append(Mirror(f"{bucket}/runs/c"))
    one, two = mirrors
    made = Store(one.local).make(Request("X", "x", {}), lambda draft: dict(draft.write_text("part-0.txt", "text")))
    (one.local / "notes.json").write_text("old")
    one.push()
    two.pull()
    shutil.rmtree(made.path)
    (one.local / "notes.json").write_text("new")
    one.push()
    kept = Store(two.local).make(Request("X", "y", {}), lambda draft: dict(draft.write_text("part-0.txt", "mine")))
    two.pull()
    assert not (two.local / "artifacts" / made.path.name).exists()
    assert (two.local / "notes.json").read_text() == "new"
    assert kept.path.exists(), "made here, and not sent yet"
    (two.local / "notes.json").write_text("newer, of a run that was killed before it was sent")
    two.pull()
    assert (two.local / "notes.json").read_text().startswith("newer")
    two.push()
    names = {file.url.removeprefix(f"{bucket}/runs/c/") for file in remote.listing(f"{bucket}/runs/c")}
    assert not any(made.path.name in name for name in names)
    assert f"artifacts/{kept.path.name}/manifest.json" in names


def test_what_is_in_step_is_not_fetched_again(bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SCRATCH, str(tmp_path))
    mirror = Mirror(f"{bucket}/runs/d")
    Store(mirror.local).make(Request("X", "x", {}), lambda draft: dict(draft.write_text("part-0.txt", "text")))
    (mirror.local / "notes.json").write_text("{}")
    mirror.push()
    fetched = list[str]()
    monkeypatch.setattr(remote, "fetch", lambda file, to: fetched.append(file.name))
    mirror.pull()
    assert fetched == []


def test_damage_in_the_store_is_seen(bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SCRATCH, str(tmp_path / "one"))
    mirror = Mirror(f"{bucket}/runs/b")
    made = Store(mirror.local).make(Request("X", "x", {}), lambda draft: dict(draft.write_text("part-0.txt", "text")))
    mirror.push()
    (tmp_path / "bad").write_text("tExt")
    remote.send(tmp_path / "bad", f"{bucket}/runs/b/artifacts/{made.path.name}/part-0.txt")
    monkeypatch.setenv(SCRATCH, str(tmp_path / "two"))
    for _ in range(2):  # it is not taken for sound because it is here by now
        with pytest.raises(SeedbedError, match=r"part-0\.txt: does not match its manifest"):
            Mirror(f"{bucket}/runs/b").pull()


def test_input_files_in_a_store_are_listed_and_read_there(bucket: str, tmp_path: Path) -> None:
    from seedbed.curate.readers.jsonl import Jsonl
    from seedbed.curate.sources import find_sources

    folder = tmp_path / "in"
    for i in range(4):
        file = folder / f"crawl-{i % 2}" / f"{i}.jsonl"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f'{{"text": "document {i}"}}\n')
        remote.send(file, f"{bucket}/input/crawl-{i % 2}/{i}.jsonl")
    (folder / "note.rst").write_text("x")
    remote.send(folder / "note.rst", f"{bucket}/input/note.rst")
    readers = (Jsonl(),)
    near, _ = find_sources([folder], readers)
    for given in ([f"{bucket}/input"], [f"{bucket}/input/", Path(f"{bucket}/input/crawl-0")]):
        far, ignored = find_sources(given, readers)
        assert ([source.relative for source in far], ignored) == ([source.relative for source in near], ["note.rst"])
        assert [source.size for source in far] == [source.size for source in near]
        assert len({source.key() for source in far}) == 4
    for here, there in zip(near, far, strict=True):
        with here.local() as one, there.local() as other:
            assert list(Jsonl().records(one)) == list(Jsonl().records(other))
        assert not other.exists(), "the copy goes with its use"
    for given, said in (([f"{bucket}/nothing"], "no such file"), ([f"{bucket}/input/note.rst"], "no reader takes")):
        with pytest.raises(SeedbedError, match=said):
            find_sources(given, readers)
    with pytest.raises(SeedbedError, match="one kind at a time"):
        find_sources([f"{bucket}/input", folder], readers)
