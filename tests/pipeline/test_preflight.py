"""The plan is checked before it runs: what cannot be meant, what will not fit, and what a probe costs."""

from __future__ import annotations

import dataclasses
import gzip
import json
import time
from pathlib import Path
from typing import ClassVar

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from seedbed import api
from seedbed.core.errors import RecipeError, SeedbedError
from seedbed.core.nouns import DocumentBatch
from seedbed.curate.contract import Filter, Record, Rule
from seedbed.curate.extractors.main_content import MainContent
from seedbed.curate.filters.bad_words import BadWords
from seedbed.curate.filters.benchmark_overlap import BenchmarkOverlap
from seedbed.curate.filters.size import Size
from seedbed.curate.filters.url_blocklist import UrlBlocklist
from seedbed.curate.sources import find_sources
from seedbed.pipeline import preflight, probe
from seedbed.pipeline.workplace import resolve
from tests.conftest import sample_texts


def jsonl(file: Path, n: int, **extra: str) -> Path:
    """n documents, the sample over and over."""
    rows = sample_texts()
    lines = (json.dumps({"text": rows[i % len(rows)]["text"] + f" {i}", **extra}) + "\n" for i in range(n))
    data = "".join(lines).encode()
    file.write_bytes(gzip.compress(data, mtime=0) if file.suffix == ".gz" else data)
    return file


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.parquet"])
def test_the_input_is_counted_from_a_part_of_it(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "SAMPLED_BYTES", 1 << 20 if name == "a.jsonl" else 200_000)
    monkeypatch.setattr(probe, "N_DOCUMENTS", 200)
    n = 1500
    file = jsonl(tmp_path / name.replace(".parquet", ".jsonl"), n)
    if name.endswith(".parquet"):
        pq.write_table(
            pa.Table.from_pylist([json.loads(line) for line in file.read_text().splitlines()]), tmp_path / name
        )
    recipe = api.load_recipe("fineweb_en")
    seen = preflight.preview(recipe, [str(tmp_path / name)], tmp_path / "out", workers=2)
    assert seen.probe.seen_bytes < seen.probe.input_bytes
    assert seen.needs.documents == pytest.approx(n, rel=0.25)
    texts = [row["text"] for row in sample_texts()]
    mean = sum(len(texts[i % len(texts)].encode()) for i in range(n)) / n
    assert seen.needs.text_bytes == pytest.approx(mean * n, rel=0.25)
    assert not (tmp_path / "out").exists()


def test_a_probe_says_what_the_run_then_does(corpus: Path, asked: Path, tmp_path: Path) -> None:
    recipe = api.load_recipe("fineweb_en")
    seen = preflight.preview(recipe, [str(corpus)], tmp_path / "out").probe
    steps = {step.step: step for step in seen.steps}
    assert list(steps) == ["read", *(step.path() for step in recipe.curate.steps)]
    dropped = api.Corpus(asked).ledger["dropped"]
    for step in recipe.curate.filters:
        for rule in steps[step.path()].rules:
            got = dropped.get(f"{step.name()}.{rule.rule}", 0)  # type: ignore[union-attr]
            assert rule.dropped * seen.documents == pytest.approx(got), rule  # type: ignore[arg-type]
            assert rule.alone <= rule.dropped <= rule.breaking or rule.dropped == 0
    assert all(step.cpu_seconds >= 0 for step in seen.steps)
    assert seen.not_text == 4
    assert seen.records == 36
    assert sum(seen.languages.values()) == pytest.approx(1)


def test_disk_or_memory_that_will_not_do_is_refused_with_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = jsonl(tmp_path / "a.jsonl", 300)
    recipe = api.load_recipe("fineweb_en")
    preflight.check(recipe, [str(file)], tmp_path / "out")
    monkeypatch.setattr(preflight, "free_disk", lambda _: 1000)
    with pytest.raises(SeedbedError, match=r"needs about .*B of disk and 1 kB are free.*--no-check"):
        api.curate(file, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
    seen = preflight.preview(recipe, [str(file)], tmp_path / "out")
    assert len(seen.refusals) == 1
    monkeypatch.setattr(preflight, "free_disk", lambda _: 1 << 40)
    monkeypatch.setattr(preflight, "free_memory", lambda: 10_000_000)
    with pytest.raises(SeedbedError, match=r"needs about .*MB of memory and 10 MB are free"):
        api.curate(file, out=tmp_path / "out")
    assert api.curate(file, out=tmp_path / "out", check=False).ledger["read"] == 300


@dataclasses.dataclass(frozen=True)
class HostSize(Size):
    """A filter that looks at the URL, and knows English alone."""

    columns: ClassVar[tuple[str, ...]] = ("url",)
    rules: ClassVar[tuple[Rule, ...]] = (Rule("min_bytes", "n_bytes", "min", languages=("en",)),)

    def measure(self, documents: DocumentBatch) -> pa.Table:
        if "POISON" in documents.texts()[-1]:
            raise ZeroDivisionError("poison")
        return super().measure(documents)


def warnings(tmp_path: Path, settings: dict[str, object], **extra: str) -> list[str]:
    file = jsonl(tmp_path / "a.jsonl", 40, **extra)
    plain = api.load_recipe("fineweb_en", settings)  # type: ignore[arg-type]
    plan = dataclasses.replace(plain.curate, steps=(*plain.curate.steps[1:3], HostSize()), survivors=())
    return list(preflight.preview(dataclasses.replace(plain, curate=plan), [str(file)], tmp_path / "out").warnings)


def test_a_column_that_the_input_lacks_is_said(tmp_path: Path) -> None:
    (told,) = warnings(tmp_path, {})
    assert "looks at url, which 100% of 40 probed documents do not have" in told
    assert warnings(tmp_path, {}, url="https://a.example/") == []


def test_a_rule_that_meets_a_language_it_was_not_made_for_is_said(tmp_path: Path) -> None:
    (told,) = warnings(tmp_path, {"curate.filters.language.languages": ["en", "de", "zh"]}, url="https://a.example/")
    assert "min_bytes was made for en and will judge de (which the plan keeps), zh" in told
    recipe = api.load_recipe("fineweb_en", {"curate.filters.language.languages": ["fr"]})
    seen = preflight.preview(recipe, [str(jsonl(tmp_path / "b.jsonl", 20))], tmp_path / "out")
    assert any("gopher_quality.min_stop_words was made for en and will judge fr" in told for told in seen.warnings)


def test_a_rule_that_can_never_fire_and_a_column_that_no_step_makes(tmp_path: Path) -> None:
    recipe = api.load_recipe("fineweb_en", {"curate.filters.gopher_quality.max_bullet_lines": 1.0})
    seen = preflight.preview(recipe, [str(jsonl(tmp_path / "b.jsonl", 5))], tmp_path / "out")
    assert any("max_bullet_lines = 1.0 can never drop a document" in told for told in seen.warnings)
    survivor = {"curate.survivors": [{"curate.survivors.best_signal": {"signal": "gopher_quality.wordz"}}]}
    with pytest.raises(RecipeError, match=r"no filter of this plan measures.*Did you mean 'gopher_quality\.words'"):
        api.load_recipe("fineweb_en", survivor)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("method", "field"), [(BenchmarkOverlap, "items"), (UrlBlocklist, "lists"), (BadWords, "lists")]
)
def test_a_filter_with_nothing_to_search_for_is_said(method: type[Filter], field: str, tmp_path: Path) -> None:
    plain = api.load_recipe("fineweb_en").curate
    plan = dataclasses.replace(plain, steps=(method(),), survivors=())
    (told,) = plan.warnings()
    assert told.startswith(f"{method().path()}.{field} is empty: it searches for nothing")
    (tmp_path / "en.txt").write_text("a word\n")
    named = method(**{field: str(tmp_path)})  # type: ignore[arg-type]
    assert dataclasses.replace(plan, steps=(named,)).warnings() == []


def test_a_step_that_fails_on_the_probe_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "POISON", "url": "u"}\n')
    plain = api.load_recipe("fineweb_en")
    plan = dataclasses.replace(plain.curate, steps=(HostSize(),), survivors=())
    seen = preflight.preview(dataclasses.replace(plain, curate=plan), [str(tmp_path / "a.jsonl")], tmp_path / "out")
    assert any("fails on the probed documents: ZeroDivisionError: poison" in told for told in seen.warnings)


@dataclasses.dataclass(frozen=True)
class SlowToStart(MainContent):
    """An extractor that takes a second of the processor the first time, as one whose kernels are compiled does."""

    started: ClassVar[list[bool]] = []

    def extract(self, record: Record) -> str:
        if not self.started:
            self.started.append(True)
            start = time.process_time()
            while time.process_time() - start < 1:
                pass
        return super().extract(record)


def test_what_is_made_ready_once_is_no_cost_of_a_document(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text(f"<p>{sample_texts()[0]['text']}</p>")
    plain = api.load_recipe("fineweb_en")
    preflight.preview(plain, [str(tmp_path)], tmp_path / "out")
    plan = dataclasses.replace(plain.curate, extractor=SlowToStart())
    seen = preflight.preview(dataclasses.replace(plain, curate=plan), [str(tmp_path)], tmp_path / "out")
    assert SlowToStart.started
    assert seen.probe.documents == 1
    assert seen.probe.steps[0].cpu_seconds < 0.8


def test_a_large_document_is_probed_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "SAMPLED_BYTES", 1000)
    (tmp_path / "a.txt").write_text("A text of some words. " * 1000)
    plan = dataclasses.replace(api.load_recipe("fineweb_en").curate, steps=(), survivors=())
    sources, _ = find_sources([tmp_path], plan.readers)
    seen = probe.probe(plan, sources)
    assert (seen.documents, seen.scale) == (1, 1)
    assert seen.text_bytes > 20_000


def test_free_room_is_that_of_the_folder_or_where_it_would_be(tmp_path: Path) -> None:
    assert preflight.free_disk(tmp_path / "a" / "b") == pytest.approx(preflight.free_disk(tmp_path), rel=0.1)
    assert 1 << 20 < preflight.free_memory() < 1 << 50
    assert resolve(["sample:pool"])
