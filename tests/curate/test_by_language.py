"""Thresholds by language, from the plan to the verdict; and what each rule drops in each language."""

import json
from collections import Counter
from pathlib import Path

import pytest

from seedbed import api, recipe
from seedbed.core.errors import RecipeError
from seedbed.curate.by_language import failures, in_language, rules_on
from seedbed.curate.drops_by_language import DROPS_BY_LANGUAGE, drops_by_language
from seedbed.curate.filters.langid import Langid
from seedbed.curate.filters.language import Language
from seedbed.curate.filters.size import Size
from seedbed.curate.plan import CuratePlan
from seedbed.curate.replay import replay
from seedbed.curate.run import Curated
from seedbed.pipeline import data, workplace
from seedbed.pipeline.reporting_curation import Story, distributions, dropped_examples
from seedbed.pipeline.why import why
from seedbed.pipeline.workplace import Workplace
from tests.curate.test_language import SAMPLES

STEPS = (Size(), Language(languages=("en", "de", "fr")))


def plan(by_language=None, steps=STEPS) -> CuratePlan:
    some = api.load_recipe("fineweb_en").curate
    return CuratePlan(some.readers, some.extractor, steps, by_language=by_language or {})


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Ten texts a language, of 1 to 10 sentences."""
    root = tmp_path_factory.mktemp("languages")
    rows = [{"text": " ".join([f"{n}."] + [text] * n)} for text in SAMPLES.values() for n in range(1, 11)]
    (root / "in").mkdir()
    (root / "in" / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    whole = recipe.Recipe(name="x", about="", curate=plan())
    with Workplace.open(root / "out", 1) as place:
        data.curate_into(place, whole, [str(root / "in")])
    return root / "out"


@pytest.fixture(scope="module")
def curated(folder: Path) -> Curated:
    return workplace.curated_at(folder)


def kept(curated: Curated, by_language: dict) -> Counter:
    verdicts = replay(plan(by_language), curated, curated.decisions)
    languages = curated.signals["language"].table(["language"]).column("language").to_pylist()
    return Counter(language for language, is_kept in zip(languages, verdicts.kept_N, strict=True) if is_kept)


def test_a_threshold_holds_in_its_language_only(curated: Curated):
    assert kept(curated, {}) == {"en": 10, "de": 10, "fr": 10}
    assert kept(curated, {"de": {"size": {"min_bytes": 500}}}) == {"en": 10, "de": 5, "fr": 10}
    both = {
        "de": {"size": {"min_bytes": 500}},
        "fr": {"size": {"max_bytes": 500}, "language": {"min_language_score": 1}},
    }
    found = kept(curated, both)
    assert found["en"] == 10
    assert found["de"] == 5
    assert found["fr"] < 5


def test_replaying_gives_what_deciding_gives(curated: Curated):
    changed = plan({"de": {"size": {"max_bytes": 300}}, "en": {"language": {"min_language_score": None}}})
    fast, slow = replay(changed, curated, curated.decisions), replay(changed, curated)
    assert fast.rules == slow.rules
    assert (fast.broken_NR == slow.broken_NR).all()
    assert fast.broken_NR.sum() > replay(plan(), curated).broken_NR.sum()


def test_a_rule_that_is_off_can_be_on_in_one_language():
    by_language = {"de": {"size": {"max_bytes": 10}}}
    assert rules_on(Size(), {}) == ("min_bytes",)
    assert rules_on(Size(), by_language) == ("min_bytes", "max_bytes")
    assert in_language(Size(), "de", by_language) == Size(max_bytes=10)
    assert in_language(Size(), "en", by_language) == Size()


def test_a_rule_can_be_off_in_one_language(curated: Curated):
    signals = curated.signals["language"].table()
    step = Language(languages=None, min_language_score=1.0)
    found = failures(step, signals, signals, {"ja": {"language": {"min_language_score": None}}})
    is_japanese = [name == "ja" for name in signals.column("language").to_pylist()]
    plain = step.failures(signals)["min_language_score"]
    assert sum(is_japanese) == 10
    assert plain[is_japanese].any()
    assert not found["min_language_score"][is_japanese].any()
    others = [not flag for flag in is_japanese]
    assert found["min_language_score"][others].tolist() == plain[others].tolist()


@pytest.mark.parametrize(
    ("by_language", "what"),
    [
        ({"de": {"sise": {"min_bytes": 1}}}, r"by_language\.de\.sise: no filter.*'size'"),
        ({"de": {"size": {"min_byte": 1}}}, r"by_language\.de\.size\.min_byte: no rule.*'min_bytes'"),
        ({"de": {"language": {"languages": 1}}}, r"de\.language\.languages: no rule over a number"),
        ({"de": {"size": {"min_bytes": -1}}}, r"by_language\.de\.size\.min_bytes: -1 must be >= 0"),
        ({False: {"size": {"min_bytes": 1}}}, "False is no language code.*quotes"),
    ],
)
def test_a_threshold_that_cannot_be_meant(by_language, what):
    with pytest.raises(RecipeError, match=what):
        plan(by_language)


def test_a_plan_without_an_identifier_has_no_languages():
    with pytest.raises(RecipeError, match="no filter of this plan identifies languages"):
        plan({"de": {"size": {"min_bytes": 1}}}, steps=(Size(),))


def test_the_first_identifier_decides():
    assert plan(steps=(Size(), Langid(), Language())).identifier == Langid()
    assert plan(steps=(Size(),)).identifier is None


def test_thresholds_by_language_survive_files(tmp_path: Path):
    whole = recipe.Recipe(name="x", about="", curate=plan({"no": {"size": {"min_bytes": 7, "max_bytes": None}}}))
    for name, text in (("a.json", json.dumps(recipe.to_json(whole))), ("a.yaml", recipe.to_yaml(whole))):
        (tmp_path / name).write_text(text)
        assert recipe.from_file(tmp_path / name) == whole


def test_what_each_rule_drops_in_each_language(curated: Curated):
    changed = plan({"de": {"size": {"min_bytes": 500}}, "ru": {"size": {"max_bytes": 500}}})
    table = drops_by_language(changed, curated)
    assert table.schema.equals(DROPS_BY_LANGUAGE)
    languages = curated.signals["language"].table(["language"]).column("language").to_pylist()
    verdicts = replay(changed, curated)
    broken = verdicts.broken_NR
    expected = []
    for language in sorted(set(languages), key=lambda name: (-languages.count(name), name)):
        rows = [row for row, name in enumerate(languages) if name == language]
        about = (language, len(rows), int(verdicts.kept_N[rows].sum()))
        for r, rule in enumerate(verdicts.rules):
            breaks = [row for row in rows if broken[row, r]]
            first = sum(broken[row].argmax() == r for row in breaks)
            alone = sum(broken[row].sum() == 1 for row in breaks)
            if breaks:
                expected.append((*about, rule, len(breaks), first, alone))
    assert [tuple(row.values()) for row in table.to_pylist()] == expected
    assert ("de", 10, 5, "size.min_bytes", 5, 5, 5) in expected
    (long,) = [row for row in expected if row[:4] == ("ru", 10, 0, "size.max_bytes")]
    assert long[4:] == (7, 7, 0), "the language breaks its rule too"
    assert {row[3] for row in expected} >= {"size.min_bytes", "language.languages"}
    for language in set(languages):
        lost = sum(row[5] for row in expected if row[0] == language)
        assert lost + next(row[2] for row in expected if row[0] == language) == 10 if lost else True


def test_a_run_decides_by_language_and_says_so(folder: Path, tmp_path: Path):
    whole = recipe.Recipe(name="x", about="", curate=plan({"de": {"size": {"min_bytes": 500, "max_bytes": 800}}}))
    with Workplace.open(tmp_path / "out", 1) as place:
        for asked in (recipe.Recipe(name="x", about="", curate=plan()), whole):  # what is stored is not taken for this
            data.curate_into(place, asked, [str(folder.parent / "in")])
    curated = workplace.curated_at(tmp_path / "out")
    assert curated.ledger["dropped"]["size.min_bytes"] == 5
    assert curated.ledger["dropped"]["size.max_bytes"] == 1
    ids = curated.read.table(["id"]).column("id").to_pylist()
    shown = {}
    for row in (0, 10):  # one sentence in English, one in German
        life = why(tmp_path / "out", ids[row].hex())
        shown[life.language] = [m.threshold for m in life.measured if m.rule == "min_bytes"]
    assert shown == {"en": [1], "de": [500]}
    story = Story(curated, whole.curate)
    counted = {(of.step, of.rule): of.broken for of in distributions(story)}
    assert counted["size", "min_bytes"] == 5
    findings = [example.finding for example in dropped_examples(story) if example.reason == "size.min_bytes"]
    assert findings
    assert all("at least 500" in finding for finding in findings)
