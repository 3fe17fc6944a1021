"""Properties: the same examples in every run of `make test`, so that none fails by luck; others with `make fuzz`."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import examples


def drawn() -> list[list[int]]:
    seen: list[list[int]] = []

    @settings(settings.get_profile("ci"), max_examples=200)
    @given(st.lists(st.integers(0, 10_000)))
    def look(numbers: list[int]) -> None:
        seen.append(numbers)

    look()
    return seen


@pytest.mark.skipif(not settings.default.derandomize, reason="drawn at random, as asked")
def test_examples_do_not_depend_on_the_modules_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = drawn()
    file = tmp_path / "with_constants.py"
    file.write_text(f"NUMBERS = {list(range(200, 9_000, 70))}\n")
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setitem(sys.modules, file.stem, module)
    assert drawn() == before


def test_fuzzing_draws_ten_times_as_many_at_random() -> None:
    usual = settings.get_current_profile_name()
    try:
        for profile, factor in (("ci", 1), ("fuzz", 10)):
            settings.load_profile(profile)
            asked = examples(60)
            assert (asked.max_examples, asked.derandomize) == (60 * factor, profile == "ci")
            assert asked.deadline is None
    finally:
        settings.load_profile(usual)


def test_a_property_states_only_how_many_examples_it_needs() -> None:
    tests = Path(__file__).parents[1]
    others = [file for file in tests.rglob("test_*.py") if file != Path(__file__)]
    assert len(others) > 100
    for file in others:
        text = file.read_text()
        assert "max_examples=" not in text, f"{file}: @examples(number) from tests.conftest"
        assert "deadline=" not in text, f"{file}: the profiles in tests/conftest.py have none"
