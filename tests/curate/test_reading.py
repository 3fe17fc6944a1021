"""Reading as a whole: what hangs or eats memory is ended alone, nothing is read twice, parts make the whole."""

from __future__ import annotations

import dataclasses
import gzip
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from seedbed import catalogue
from seedbed.core.artifact import Artifact, Store
from seedbed.core.errors import SeedbedError
from seedbed.curate import reading
from seedbed.curate.contract import Extractor
from seedbed.curate.extractors.main_content import MainContent
from seedbed.curate.forgotten import Forgotten
from seedbed.curate.plan import CuratePlan
from seedbed.curate.readers.html import Html
from seedbed.curate.readers.jsonl import Jsonl
from seedbed.curate.readers.warc import Warc
from seedbed.curate.reading import Part, read_part, read_sources
from seedbed.curate.sources import cut, find_sources
from seedbed.curate.watch import Limits
from seedbed.engine.local import LocalEngine

HOSTILE = """
from __future__ import annotations

import dataclasses
import os
import signal
import time
from pathlib import Path

from seedbed.curate.contract import Extractor, Record


@dataclasses.dataclass(frozen=True)
class Hostile(Extractor):
    def extract(self, record: Record) -> str:
        text = record.content.decode()
        with Path(__file__).with_name("asked").open("a") as asked:
            asked.write(".")
        if "SPIN" in text:
            while True:
                pass
        if "SLEEP" in text:
            time.sleep(1e6)
        if "EAT" in text:
            held = []
            while True:
                held.append(b"x" * (8 << 20))
                time.sleep(0.01)  # whoever watches may be waiting for a core
        if "DIE" in text:
            os.kill(os.getpid(), signal.SIGSEGV)
        return text
"""


def plan(extractor: Extractor | None = None, **about: object) -> CuratePlan:
    bare = CuratePlan(readers=(Warc(), Html(), Jsonl()), extractor=extractor or MainContent())
    return dataclasses.replace(bare, **about)  # type: ignore[arg-type]


def read(folder: Path, out: Path, asked: CuratePlan, workers: int = 1, forgotten: Forgotten | None = None) -> Artifact:
    sources, _ = find_sources([folder], asked.readers)
    engine = LocalEngine(workers)
    try:
        return read_sources(asked, sources, Store(out), engine, forgotten or Forgotten())
    finally:
        engine.close()


def events(artifact: Artifact) -> list[Mapping[str, str]]:
    return artifact.table(stem="events").to_pylist()


def files(artifact: Artifact) -> dict[str, str]:
    return {file["name"]: file["hash"] for file in artifact.manifest["files"]}  # type: ignore[union-attr,call-overload,index]


def corpus(folder: Path, numbers: range) -> Path:
    for i in numbers:
        file = folder / f"crawl-{i // 6}" / f"{i:03d}.jsonl"
        file.parent.mkdir(parents=True, exist_ok=True)
        rows = [{"text": f"document {i} {j} " * 20, "url": f"http://a.example/{i}/{j}"} for j in range(3)]
        file.write_text("".join(json.dumps(row) + "\n" for row in rows) + "{broken\n")
    return folder


# A clock that decides -------------------------------------------------------------------------------------------------


@pytest.fixture
def hostile(tmp_path: Path) -> Extractor:
    (tmp_path / "hostile.py").write_text(HOSTILE)
    found = catalogue.load(f"{tmp_path / 'hostile.py'}:Hostile")()
    assert isinstance(found, Extractor)
    return found


@pytest.mark.parametrize(
    ("word", "reason", "limits"),
    [
        ("SPIN", "time_limit", Limits(cpu_seconds=1)),
        ("SLEEP", "time_limit", Limits(cpu_seconds=0.8)),
        ("EAT", "memory_limit", Limits(memory_bytes=700 << 20)),
        ("DIE", "died", Limits()),
    ],
)
def test_a_page_that_hangs_eats_memory_or_kills_is_given_up_alone(
    tmp_path: Path, hostile: Extractor, word: str, reason: str, limits: Limits
) -> None:
    (tmp_path / "in").mkdir()
    for i in range(5):
        (tmp_path / "in" / f"{i}.html").write_text(f"page {i} {word if i == 2 else 'calm'}")
    found = read(tmp_path / "in", tmp_path / "out", plan(hostile, limits=limits))
    assert found.table(["text"]).column("text").to_pylist() == [f"page {i} calm" for i in (0, 1, 3, 4)]
    (event,) = events(found)
    assert (event["kind"], event["reason"], event["locator"]) == ("errored", reason, "2.html:0")
    assert event["step"].endswith("hostile.py:Hostile")
    assert found.about["read"] == found.rows + 1


def test_what_a_clock_decided_is_not_decided_again(tmp_path: Path, hostile: Extractor) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.html").write_text("SLEEP")
    asked = plan(hostile, limits=Limits(cpu_seconds=1))  # less, and loading modules may be taken for a page that hangs
    sources, _ = find_sources([tmp_path / "in"], asked.readers)
    store = Store(tmp_path / "out")
    assert read_part(asked, sources, store, LocalEngine(1), Part(1, 1)) == 1
    (draft,) = (tmp_path / "out" / "artifacts").glob("documents-read-*.partial")
    for made in draft.glob("[!.]*"):  # as after a kill between the verdict and the shard
        made.unlink()
    for receipt in draft.glob(".*.receipt"):
        receipt.unlink()
    assert [note.name for note in draft.glob(".verdicts-*")] == [".verdicts-00000.json"]
    before = (tmp_path / "asked").read_text()
    (event,) = events(read(tmp_path / "in", tmp_path / "out", asked))
    assert (tmp_path / "asked").read_text() == before == ".", "the page was not tried again"
    assert event["reason"] == "time_limit"


def test_nothing_is_left_running_when_the_reader_is_killed(tmp_path: Path, hostile: Extractor) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.html").write_text("SPIN")
    program = (
        "import sys; from pathlib import Path; from seedbed import catalogue\n"
        "from tests.curate.test_reading import plan, read\n"
        "read(Path(sys.argv[1]), Path(sys.argv[2]), plan(catalogue.load(sys.argv[3])()))"
    )
    arguments = [str(tmp_path / "in"), str(tmp_path / "out"), f"{tmp_path / 'hostile.py'}:Hostile"]
    parent = subprocess.Popen([sys.executable, "-c", program, *arguments], cwd=Path(__file__).parents[2])
    try:
        child = _wait_for(lambda: _spinning_child(parent.pid))
    finally:
        parent.kill()
        parent.wait()
    _wait_for(lambda: not Path(f"/proc/{child}/stat").exists() or _state(child) == "Z")


def _wait_for(found: object, seconds: float = 120) -> int:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if result := found():  # type: ignore[operator]
            return result
        time.sleep(0.05)
    raise AssertionError("waited in vain")


def _spinning_child(parent: int) -> int:
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == parent and int(fields[11]) > os.sysconf("SC_CLK_TCK"):
            return int(stat.parent.name)
    return 0


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"


def test_bombs_long_lines_deep_pages_and_broken_encodings_cost_only_themselves(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    row = b'{"text": "good"}\n'
    bomb = row + b'{"text": "' + b"\0" * 200_000_000 + b'"}\n' + row
    (folder / "bomb.jsonl.gz").write_bytes(gzip.compress(bomb, 1))
    (folder / "long.jsonl").write_bytes(row + b"x" * 100_000_000 + b"\n" + row)
    (folder / "deep.html").write_bytes(b"<div>" * 1_000_000)
    (folder / "latin.html").write_bytes(b"<meta charset=utf-8><p>caf\xe9 \xff\xfe\x00 is a place to meet</p>")
    found = read(folder, tmp_path / "out", plan(limits=Limits(memory_bytes=1 << 30)))
    assert sorted(found.table(["text"]).column("text").to_pylist())[1:] == ["good"] * 4
    reasons = {event["locator"]: event["message"].partition(":")[0] for event in events(found)}
    assert reasons["deep.html:0"] == "too_deep"
    assert {event["reason"] for event in events(found)} == {"too_large", "too_deep"}
    assert found.about["read"] == found.rows + len(events(found))


# Only what is new -----------------------------------------------------------------------------------------------------


def test_added_files_are_read_and_nothing_else_and_all_is_as_if_read_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = plan(shard_bytes=20_000)
    first = read(corpus(tmp_path / "in", range(20, 60)), tmp_path / "out", asked)
    corpus(tmp_path / "in", range(0, 20))
    told = tmp_path / "told"
    counting = reading._documents

    def noting(task: reading.ReadTask, place: int, *rest: object) -> object:
        with told.open("a") as out:
            out.write(task.sources[place].relative + "\n")
        return counting(task, place, *rest)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(reading, "_documents", noting)
        patch.setattr(reading.Child, "run", lambda _, f, task, limits, tick: f(task, tick, reading.Pulse()))
        grown = read(tmp_path / "in", tmp_path / "out", asked)
    assert sorted(name.rpartition("/")[2] for name in told.read_text().splitlines()) == [
        f"{i:03d}.jsonl" for i in range(20)
    ]
    whole = read(tmp_path / "in", tmp_path / "other", asked)
    assert files(grown) == files(whole)
    assert (grown.path / "manifest.json").read_bytes() == (whole.path / "manifest.json").read_bytes()
    before = {row["id"]: row["text"] for row in first.table(["id", "text"]).to_pylist()}
    after = {row["id"]: row["text"] for row in grown.table(["id", "text"]).to_pylist()}
    assert before.items() <= after.items()
    assert len(set(files(first).values()) & set(files(grown).values())) >= 4, "some shards are the same to the byte"


@pytest.mark.parametrize("changed", ["extractor", "limits", "forgotten", "bytes"])
def test_nothing_is_taken_over_that_would_be_read_otherwise_now(tmp_path: Path, changed: str) -> None:
    asked, forgotten = plan(shard_bytes=20_000), Forgotten()
    first = read(corpus(tmp_path / "in", range(8)), tmp_path / "out", asked)
    target = first.table(["id"]).column("id").to_pylist()[5]
    if changed == "extractor":
        asked = dataclasses.replace(asked, extractor=MainContent(list_bullets=False))
    elif changed == "limits":
        asked = dataclasses.replace(asked, limits=Limits(cpu_seconds=7))
    elif changed == "forgotten":
        forgotten = Forgotten(ids=frozenset([target]))
    else:
        for file in (tmp_path / "in").rglob("*.jsonl"):
            file.write_text(file.read_text().replace("document", "DOCUMENT"))
        sources, _ = find_sources([tmp_path / "in"], asked.readers)
        assert not reading.find_earlier(Store(tmp_path / "out"), first.manifest["identity"], sources)  # type: ignore[arg-type]
    second = read(tmp_path / "in", tmp_path / "out", asked, forgotten=forgotten)
    assert files(second) == files(read(tmp_path / "in", tmp_path / "fresh", asked, forgotten=forgotten))
    assert changed != "forgotten" or target not in second.table(["id"]).column("id").to_pylist()


def test_a_damaged_earlier_shard_is_read_again(tmp_path: Path) -> None:
    asked = plan(shard_bytes=20_000)
    first = read(corpus(tmp_path / "in", range(20)), tmp_path / "out", asked)
    damaged = first.shards()[0]
    damaged.write_bytes(damaged.read_bytes()[:-50] + bytes(50))
    (tmp_path / "in" / "zz.jsonl").write_text('{"text": "new"}\n')
    grown = read(tmp_path / "in", tmp_path / "out", asked)
    assert files(grown) == files(read(tmp_path / "in", tmp_path / "fresh", asked))


def test_shards_are_about_as_large_as_asked_and_an_added_file_moves_one(tmp_path: Path) -> None:
    asked = plan()
    sources, _ = find_sources([corpus(tmp_path / "in", range(200))], asked.readers)
    whole = cut(sources, 10_000)
    total = sum(source.size for source in sources)
    assert [source for shard in whole for source in shard] == sources
    assert total / 20_000 < len(whole) < total / 5_000
    assert all(sum(source.size for source in shard) <= 40_000 for shard in whole)
    for gone in (3, 77, 150):
        without = cut([*sources[:gone], *sources[gone + 1 :]], 10_000)
        assert len(set(whole) - set(without)) <= 2
    assert [len(shard) for shard in cut(sources, 1)] == [1] * 200


# Parts of an array ----------------------------------------------------------------------------------------------------


def test_parts_read_apart_make_the_same_whole(tmp_path: Path) -> None:
    asked = plan(shard_bytes=20_000)
    sources, _ = find_sources([corpus(tmp_path / "in", range(30))], asked.readers)
    counts: list[int] = []
    for number in (3, 1, 2):
        store = Store(tmp_path / f"out-{number % 2}")  # two machines
        counts.append(read_part(asked, sources, store, LocalEngine(1), Part(number, 3)))
    assert sum(counts) == len(cut(sources, 20_000))
    assert min(counts) > 0
    (here,) = (tmp_path / "out-1" / "artifacts").glob("*.partial")
    (there,) = (tmp_path / "out-0" / "artifacts").glob("*.partial")
    assert here.name == there.name
    for file in there.iterdir():
        file.rename(here / file.name)
    before = {file.name: file.stat().st_mtime_ns for file in here.glob("part-*")}
    merged = read(tmp_path / "in", tmp_path / "out-1", asked)
    assert {file.name: file.stat().st_mtime_ns for file in merged.shards()} == before, "nothing is read again"
    whole = read(tmp_path / "in", tmp_path / "alone", asked, workers=2)
    assert (merged.path / "manifest.json").read_bytes() == (whole.path / "manifest.json").read_bytes()
    assert read_part(asked, sources, Store(tmp_path / "out-1"), LocalEngine(1), Part(1, 3)) == 0, "it is finished"


def test_there_is_no_part_outside_the_array() -> None:
    for number in (0, 4):
        with pytest.raises(SeedbedError, match="count from 1"):
            Part(number, 3)
