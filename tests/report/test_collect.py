"""Collecting: what the page says is what lies in the artifacts."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from seedbed import pipeline
from seedbed.core import arrow
from seedbed.core.artifact import Draft, Request, Store
from seedbed.core.parameters import Json
from seedbed.curate.dedup.exact import Exact
from seedbed.curate.dedup.minhash import Minhash
from seedbed.curate.edits.mask_personal_data import MaskPersonalData
from seedbed.curate.extractors.all_text import AllText
from seedbed.curate.filters.gopher_quality import GopherQuality
from seedbed.curate.filters.langid import Langid
from seedbed.curate.filters.size import Size
from seedbed.curate.plan import CuratePlan
from seedbed.curate.readers.jsonl import Jsonl
from seedbed.curate.survivors.longest import Longest
from seedbed.pipeline import reporting, reporting_law, workplace
from seedbed.pipeline.reporting_curation import Story, likeness, shares
from seedbed.predict.laws.chinchilla import Chinchilla
from seedbed.recipe import Recipe
from seedbed.report.data import Cut, ReportData

SENTENCE = "The keeper of the garden said that it is time to water the beds, and that the seeds have to be sown "
LONG = [f"{SENTENCE * 6} in plot {i} of the field. {'Weeds with odd names grow there. ' * (i % 3)}" for i in range(12)]
HOSTILE = "<script>alert('x')</script> \u202e " + "z" * 3000


def recipe() -> Recipe:
    steps = (Size(), GopherQuality(max_average_word_length=None), Exact(), Minhash())
    return Recipe("tiny", "a test", CuratePlan((Jsonl(),), AllText(), steps, survivors=(Longest(),)))


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    different = [
        " ".join(word + "abcdefghijkl"[i] for word in text.split()) + " the of and that" for i, text in enumerate(LONG)
    ]
    texts = [
        *different,
        different[0],
        different[1],
        different[1] + " once more",
        "too short",
        HOSTILE,
        "",
        *["short"] * 3,
    ]
    lines = [
        json.dumps({"text": text, "url": f"https://site{i % 2}.example.org/a/{i}"}) for i, text in enumerate(texts)
    ]
    (folder / "in.jsonl").write_text("\n".join([*lines, "{not json"]) + "\n", encoding="utf-8")
    pipeline.curate(recipe(), folder / "out", inputs=[str(folder / "in.jsonl")])
    return folder / "out"


@pytest.fixture(scope="module")
def data(out: Path) -> ReportData:
    return reporting.collect(out)


def test_the_account_is_the_ledger(out: Path, data: ReportData) -> None:
    ledger = json.loads((out / "ledger.json").read_text())
    assert data.funnel is not None
    assert (data.funnel.read, data.funnel.kept) == (ledger["read"], ledger["kept"])
    assert ledger["kept"] + sum(loss.documents for loss in data.funnel.losses) == ledger["read"]
    dropped = {f"{loss.step}.{loss.rule}": loss.documents for loss in data.funnel.losses if loss.kind == "dropped"}
    rules = {reason: n for reason, n in ledger["dropped"].items() if "." in reason}
    assert {reason: dropped.get(reason) for reason in rules} == rules
    assert sum(loss.documents for loss in data.funnel.losses if loss.kind == "errored") == sum(
        ledger["errored"].values()
    )
    steps = list(dict.fromkeys(loss.step for loss in data.funnel.losses if loss.kind == "dropped"))
    order = [step.name() for step in recipe().curate.steps]
    assert [step for step in steps if step in order] == [step for step in order if step in steps]


def test_sites_and_bytes_are_counted(out: Path, data: ReportData) -> None:
    assert data.funnel is not None
    assert data.funnel.source_kind == "site"
    assert sum(share.kept for share in data.funnel.sources) == data.funnel.kept
    texts = [str(t) for t in arrow.strings(workplace.curated_at(out).kept.table(["text"]), "text")]
    assert data.funnel.kept_bytes == sum(len(text.encode()) for text in texts)


def test_examples_carry_the_number_that_broke_them(data: ReportData) -> None:
    short = [example for example in data.dropped if example.reason == "gopher_quality.min_words"]
    assert short
    for example in short:
        assert example.finding.startswith("words: ")
        assert example.finding.endswith("; at least 50 is kept")
        assert "gopher_quality.min_words" not in example.also


def test_a_duplicate_stands_beside_a_document_that_was_kept(out: Path, data: ReportData) -> None:
    kept = set(arrow.strings(workplace.curated_at(out).kept.table(["id"]), "id"))
    assert {pair.method for pair in data.duplicates} == {"exact", "minhash"}
    for pair in data.duplicates:
        assert pair.survivor.id in kept
        assert pair.dropped.id not in kept
        assert pair.likeness is not None
        assert (pair.likeness == 1) == (pair.method == "exact" and pair.survivor.n_chars == pair.dropped.n_chars)


def test_distributions_count_what_the_rules_break(out: Path, data: ReportData) -> None:
    story = Story(workplace.curated_at(out), recipe().curate)
    for of in data.distributions:
        assert of.documents == len(story.ids)
        assert sum(of.counts) + sum(of.outside) == of.documents
    broken = {f"{of.step}.{of.rule}": of.broken for of in data.distributions}
    failures = [f for row in story.curated.decisions.table(["failures"]).column("failures").to_pylist() for f in row]
    assert {rule: n for rule, n in broken.items() if n} == {rule: failures.count(rule) for rule in set(failures)}
    assert "gopher_quality.max_average_word_length" not in broken


@pytest.fixture(scope="module")
def masked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two languages with thresholds of their own; an address in a kept text, and two in one that is dropped."""
    folder = tmp_path_factory.mktemp("masked")
    german = "Der Gärtner sagt, dass es Zeit ist, die Beete zu gießen, und dass die Samen bald in die Erde kommen. "
    texts = [
        LONG[0] + " Write to keeper@garden.org today.",
        german * 2,
        "a@garden.org b@garden.org and no more",
        LONG[1],
    ]
    lines = [json.dumps({"text": text, "language": "fr"}) for text in texts]
    (folder / "in.jsonl").write_text("\n".join(lines), encoding="utf-8")
    quality = GopherQuality(min_stop_words=None)
    steps = (Size(), Langid(languages=None, min_language_score=None), quality, MaskPersonalData())
    own = {"en": {"gopher_quality": {"min_stop_words": 2}}, "de": {"gopher_quality": {"min_words": 10}}}
    plan = CuratePlan((Jsonl(),), AllText(), steps, survivors=(Longest(),), by_language=own)
    pipeline.curate(Recipe("masked", "a test", plan), folder / "out", inputs=[str(folder / "in.jsonl")])
    return folder / "out"


def test_what_was_masked_is_counted_and_not_told(masked: Path) -> None:
    (cut,) = reporting.collect(masked).cuts
    addresses = ["keeper@garden.org", "a@garden.org", "b@garden.org"]
    assert cut == Cut("mask_personal_data", "email", 3, sum(map(len, addresses)), documents=2, kept=1)
    page = (masked / "report.html").read_text(encoding="utf-8")
    assert "Cut or masked" in page
    assert "&lt;EMAIL&gt; &lt;EMAIL&gt; and no more" in page
    assert not [address for address in addresses if address in page]


def test_thresholds_of_a_language_are_shown_with_what_breaks_them(masked: Path) -> None:
    told = {of.rule: of for of in reporting.collect(masked).distributions}
    words = told["min_words"]
    assert words.elsewhere == (("de", 10.0),)
    assert (words.broken, sum(words.broken_counts), words.threshold) == (1, 1, 50)
    assert told["min_stop_words"].threshold is None
    assert told["min_stop_words"].elsewhere == (("en", 2.0),)
    assert "max_words" in told


def test_a_document_is_shown_in_its_declared_and_its_measured_language(masked: Path) -> None:
    kept = reporting.collect(masked).kept
    assert {(example.language, example.measured_language) for example in kept} == {("fr", "en"), ("fr", "de")}


def test_the_page_is_written_and_the_same_again(out: Path, data: ReportData) -> None:
    page = (out / "report.html").read_bytes()
    assert b"<script" not in page
    with workplace.Workplace.open(out) as place:
        assert reporting.report_into(place, workplace.read_recipe(out)).read_bytes() == page
    assert dataclasses.asdict(reporting.collect(out)) == dataclasses.asdict(data)


def test_results_of_other_documents_are_left_out(out: Path) -> None:
    index = workplace.read_index(out)
    assert "tokens" not in index
    assert reporting.collect(out).comparison is None


def test_a_law_is_drawn_through_its_runs_and_no_further_than_it_speaks(tmp_path: Path) -> None:
    law = Chinchilla(n_bootstrap=20, max_extrapolation=2.0)
    grid = [(params, tokens) for params in (1e6, 4e6, 2e7) for tokens in (1e7, 4e7, 2e8)]
    loss = [1.7 + 400 / params**0.34 + 410 / tokens**0.28 for params, tokens in grid]
    runs = arrow.table({"params": [n for n, _ in grid], "tokens": [d for _, d in grid], "loss": loss})

    def fill(draft: Draft) -> dict[str, Json]:
        draft.write_table("runs.parquet", runs)
        draft.write_text("fit.json", json.dumps(law.fit(runs).to_json()))
        return {}

    forecast = Store(tmp_path).make(Request("Forecast", "chinchilla", law.identity()), fill)
    told = reporting_law.of_folder(forecast, tmp_path)
    assert [curve.params for curve in told.curves] == [1e6, 4e6, 2e7]
    for curve in told.curves:
        band = curve.band
        assert max(band.at) <= 2 * 2e8 * (1 + 1e-9)
        assert np.allclose(np.interp(curve.run_tokens, band.at, band.value), curve.run_loss, rtol=2e-3)
        assert all(low <= value <= high for low, value, high in zip(band.low, band.value, band.high, strict=True))
    assert dict(told.coefficients)["alpha"].value == pytest.approx(0.34, abs=0.02)


def test_likeness_is_the_jaccard_index_of_five_word_phrases() -> None:
    assert likeness("a b c d e f", "a b c d e g") == pytest.approx(1 / 3)
    assert likeness("A b c d e", "a B c d e") == 1
    assert likeness("a b c d", "a b c d") is None


def test_small_groups_are_summed() -> None:
    names = [f"site{i:02d}" for i in range(20) for _ in range(20 - i)]
    found = shares(names, np.ones(len(names), np.bool_))
    assert found[-1].name == "8 others"
    assert sum(share.read for share in found) == len(names)
