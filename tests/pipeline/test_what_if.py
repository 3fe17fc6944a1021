"""What-if: the same numbers as running again, and the documents at the border."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from seedbed import api, recipes
from seedbed.core import arrow
from seedbed.core.errors import RecipeError
from seedbed.pipeline import what_if
from tests.pipeline.conftest import SMALL

RULE = "curate.filters.gopher_quality.min_words"


@pytest.mark.parametrize(
    "settings", [{RULE: 400}, {RULE: None}, {RULE: 200, "curate.filters.language.languages": ["en", "de"]}]
)
def test_it_says_what_running_again_gives(corpus: Path, changed: Path, settings: dict[str, object]) -> None:
    told = api.Corpus(changed).what_if(settings)
    before = {row["id"] for row in api.Corpus(changed).documents().to_pylist()}
    after = api.curate(corpus, out=changed, settings={**SMALL, **settings})  # type: ignore[dict-item]
    kept = after.documents()
    ids = set(kept.column("id").to_pylist())
    assert told.after.kept == after.ledger["kept"] == kept.num_rows
    assert told.after.dropped == {k: v for k, v in after.ledger["dropped"].items() if k != "not_text"}
    assert told.after.bytes == sum(len(text.encode()) for text in kept.column("text").to_pylist())
    assert set(told.gained) == ids - before
    assert set(told.lost) == before - ids


def test_tokens_are_counted_where_they_are_and_estimated_else(asked: Path, corpus: Path, tmp_path: Path) -> None:
    told = api.Corpus(asked).what_if({RULE: 400})
    index = json.loads((asked / "ledger.json").read_text())["steps"][-1]
    assert told.before.tokens == index["tokens_out"]
    assert told.tokens_estimated == 0
    lost = [api.Corpus(asked).why(key).tokens.n_tokens for key in told.lost]  # type: ignore[union-attr]
    assert told.after.tokens == told.before.tokens - sum(lost)
    api.curate(corpus, out=tmp_path / "out", settings={**SMALL, RULE: 400})
    untold = api.Corpus(tmp_path / "out").what_if({RULE: 50})
    assert untold.tokens_estimated == untold.after.tokens > 0


def test_rules_by_themselves_and_alone(asked: Path) -> None:
    told = api.Corpus(asked).what_if({RULE: 400})
    effects = {effect.rule: effect for effect in told.rules}
    words = arrow.numpy(api.Corpus(asked).signals("gopher_quality"), "words")
    assert effects["gopher_quality.min_words"].breaking == (int((words < 50).sum()), int((words < 400).sum()))
    for rule, effect in effects.items():
        path = f"curate.filters.{rule}"
        off = api.Corpus(asked).what_if({path: None}) if "min_bytes" not in rule and "lorem" not in rule else None
        if off is not None:  # what comes back is what this rule alone drops, but for duplicates
            duplicates = sum(n for name, n in off.after.dropped.items() if name.endswith(".duplicate"))
            before = sum(n for name, n in off.before.dropped.items() if name.endswith(".duplicate"))
            assert len(off.gained) == effect.alone[0] - (duplicates - before), rule


def test_the_closest_documents_from_both_sides(asked: Path) -> None:
    told = api.Corpus(asked).what_if({RULE: 200})
    values = [(example.value, example.passes) for example in told.borderline]
    assert len({example.id for example in told.borderline}) == len(values) <= what_if.N_EXAMPLES
    assert all((value >= 200) == passes for value, passes in values)
    above = [value for value, passes in values if passes]
    assert above == sorted(above)
    assert {example.rule for example in told.borderline} == {"gopher_quality.min_words"}
    assert {e.id for e in told.borderline if e.changes == "lost"} == set(told.lost) & {e.id for e in told.borderline}
    first = told.borderline[0]
    life = api.Corpus(asked).why(first.id)
    assert " ".join(life.text.split()).startswith(first.beginning[:40])


def test_the_new_recipe_is_saved_and_the_command_said(asked: Path, tmp_path: Path) -> None:
    told = api.Corpus(asked).what_if({RULE: 200})
    for name in ("new.yaml", "new.json"):
        told.save(tmp_path / name)
        loaded = recipes.load(str(tmp_path / name))
        assert next(f.min_words for f in loaded.curate.filters if f.name() == "gopher_quality") == 200  # type: ignore[attr-defined]
        assert loaded.tokenizer is not None
    assert told.command == f"seedbed run {asked} --set {RULE}=200 --out {asked}"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"curate.edits.c4_lines.min_words_per_line": 7}, r"c4_lines is the first step that must run \(it took \d"),
        ({"curate.shard_bytes": 5}, "read is the first step that must run"),
        ({"curate.filters.gopher_quality.min_wordz": 5}, "Did you mean"),
    ],
)
def test_what_cannot_be_replayed_is_refused(asked: Path, settings: dict[str, object], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        api.Corpus(asked).what_if(settings)  # type: ignore[arg-type]
