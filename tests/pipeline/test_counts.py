"""The sums behind what-if, the probe and the preflight, on numbers that can be added by hand."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from seedbed import api
from seedbed.curate.decide import Verdicts
from seedbed.pipeline import preflight, probe, upkeep, what_if

KEYS = np.arange(10, dtype=np.uint64)


@pytest.mark.parametrize(
    ("n_above", "n", "expected"),
    [
        (5, 4, [4, 3, 5, 6]),
        (1, 4, [0, 1, 2, 3]),
        (9, 4, [8, 7, 6, 9]),
        (5, 3, [4, 5, 6]),
        (2, 99, [1, 0, *range(2, 10)]),
    ],
)
def test_the_closest_come_from_both_sides_as_far_as_there_are(n_above: int, n: int, expected: list[int]) -> None:
    above_N = np.arange(10) < n_above
    distance_N = np.where(above_N, n_above - np.arange(10), np.arange(10) - n_above + 1).astype(float)
    assert what_if._closest(distance_N, above_N, ~above_N, KEYS, n) == expected


def test_equally_close_ones_are_ordered_by_id() -> None:
    found = what_if._closest(np.ones(10), np.ones(10, bool), np.zeros(10, bool), KEYS[::-1], 3)
    assert found == [9, 8, 7]


@pytest.fixture
def verdicts() -> Verdicts:
    """Documents that break: nothing; a; b; a and b; a, and errored; nothing, and errored."""
    broken_NR = np.array([[0, 0], [1, 0], [0, 1], [1, 1], [1, 0], [0, 0]], bool)
    errored_N = np.array([0, 0, 0, 0, 1, 1], bool)
    none_N = np.full(6, -1)
    return Verdicts(("a", "b"), (), broken_NR, errored_N, none_N, none_N, none_N)


def test_a_rule_alone_would_bring_back_only_what_is_whole_and_breaks_no_other(verdicts: Verdicts) -> None:
    assert what_if._rule_counts(verdicts) == {"a": (3, 1), "b": (2, 1)}
    assert what_if._decided_by(verdicts, "a").tolist() == [True, True, False, False, False, False]


def test_changed_rules_of_every_side_but_sets_are_told() -> None:
    old = api.load_recipe("fineweb_en").curate
    settings = {"min_words": 60, "max_symbol_ratio": 0.2, "max_words": None}
    paths = {f"curate.filters.gopher_quality.{name}": value for name, value in settings.items()}
    new = api.load_recipe("fineweb_en", {**paths, "curate.filters.language.languages": ["de"]}).curate
    assert {rule.name for _, rule in what_if._changed_rules(old, new)} == {"min_words", "max_symbol_ratio"}


def test_what_is_not_counted_is_estimated_from_what_is_kept(
    monkeypatch: pytest.MonkeyPatch, verdicts: Verdicts
) -> None:
    numbers = {"n_bytes": np.array([100, 400, 10, 10, 10, 10]), "n_tokens": np.array([50])}
    monkeypatch.setattr(what_if.arrow, "numpy", lambda _, name: numbers[name])
    monkeypatch.setattr(what_if.arrow, "Shards", lambda files: files)
    stored = SimpleNamespace(shards=list)
    monkeypatch.setattr(what_if.accounts, "tokens_of_kept", lambda *_: stored)
    curated = SimpleNamespace(sizes={"size": stored})
    bytes_N, tokens_N, counted_N = what_if._tokens(Path(), curated, verdicts)  # type: ignore[arg-type]
    assert bytes_N[1] == 400
    assert tokens_N.tolist() == [50, 200, 5, 5, 5, 5]
    assert counted_N.tolist() == [True] + [False] * 5


def test_a_probed_document_stands_for_others() -> None:
    seen = probe.Probe(1000, 100.0, 10, 2, 4, 0, 0.0, {}, {}, ())
    assert seen.scale == 1000 / 100 * 8 / 4


def test_shares_of_rules_by_hand() -> None:
    broken = {"s.a": np.array([1, 1, 0, 0], bool), "s.b": np.array([0, 1, 1, 0], bool)}
    (cost,) = probe._shared([probe.StepCost("s", 0.0, 0)], broken, 4)
    told = {rule.rule: (rule.breaking, rule.alone, rule.dropped) for rule in cost.rules}
    assert told == {"a": (0.5, 0.25, 0.5), "b": (0.5, 0.25, 0.25)}
    assert probe._share_empty(["", "x", "y", "z"]) == 0.25


def test_the_whole_costs_what_the_probe_cost_times_its_scale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = (probe.StepCost("read", 2.0, 1000), probe.StepCost("a", 1.0, 300), probe.StepCost("b", 0.5, 0))
    seen = probe.Probe(1000, 100.0, 10, 0, 10, 3500, 0.5, {}, {}, steps)
    monkeypatch.setattr(preflight, "probe", lambda *_: seen)
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    (tmp_path / "a.txt").write_text("x")
    recipe = dataclasses.replace(api.load_recipe("fineweb_en"), tokenizer=None)
    for workers, seconds in ((1, 35.0), (2, 17.5), (64, 8.75)):
        told = preflight.preview(recipe, [str(tmp_path / "a.txt")], tmp_path / "out", workers)
        assert (told.cpu_seconds, told.seconds) == (35.0, seconds)
        assert told.disk_bytes == 10 * (1300 + 1000 * 0.5)


def test_what_lies_there_already_needs_no_new_room(tmp_path: Path) -> None:
    (tmp_path / "artifacts").mkdir()
    (tmp_path / "artifacts" / "x").write_bytes(bytes(700))
    assert upkeep.size_of(tmp_path / "artifacts") == 700
    assert list(preflight.refusals(tmp_path, 800, 50, (100, 50))) == []
    (disk, memory) = preflight.refusals(tmp_path, 801, 51, (100, 50))
    assert "101 B of disk and 100 B" in disk
    assert "51 B of memory and 50 B" in memory


def test_a_threshold_of_its_own_makes_a_rule_fit_a_language() -> None:
    settings = {"curate.by_language": {"de": {"gopher_quality": {"min_stop_words": None}}}}
    plan = api.load_recipe("fineweb_en", settings).curate  # type: ignore[arg-type]
    step = next(f for f in plan.filters if f.name() == "gopher_quality")
    (told,) = preflight._foreign(plan, step, {"en": "kept", "de": "kept", "fr": "kept"})
    assert "min_stop_words was made for en and will judge fr (kept)" in told


@pytest.mark.parametrize(("limit", "free"), [("5000000", 100_000), ("max", 1_024_000), ("90000000", 1_024_000)])
def test_free_memory_is_the_lesser_of_machine_and_group(limit: str, free: int, monkeypatch: pytest.MonkeyPatch) -> None:
    told = {"meminfo": "MemTotal: 9 kB\nMemAvailable: 1000 kB\n", "memory.max": limit, "memory.current": "4900000"}
    monkeypatch.setattr(preflight, "_read", lambda file: told[Path(file).name])
    assert preflight.free_memory() == free
