"""The example of CONTRIBUTING.md is real: its method, read from the page, passes its test, read from the page."""

from __future__ import annotations

import importlib.util
import re
import sys
import textwrap
from pathlib import Path

import pytest

from seedbed.core.method import HEADINGS, sections

PAGE = (Path(__file__).parents[2] / "CONTRIBUTING.md").read_text()
NAME = "seedbed.curate.filters.max_line_length"


def run_example(folder: Path, monkeypatch: pytest.MonkeyPatch, method: str, test: str) -> None:
    file = folder / "max_line_length.py"
    file.write_text(method)
    spec = importlib.util.spec_from_file_location(NAME, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, NAME, module)
    spec.loader.exec_module(module)
    assert set(sections(module.__doc__ or "")) == {"title", *HEADINGS}
    space: dict[str, object] = {}
    exec(test, space)
    tests = [value for name, value in space.items() if name.startswith("test_")]
    assert len(tests) == 1
    assert callable(tests[0])
    tests[0]()


def blocks() -> list[str]:
    return [textwrap.dedent(block) for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)]


def test_the_example_method_passes_the_example_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_example(tmp_path, monkeypatch, *blocks())


def test_the_planted_fault_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    method, test = blocks()
    assert method.count("= max(longest") == 1
    with pytest.raises(AssertionError):
        run_example(tmp_path, monkeypatch, method.replace("= max(longest", "= min(longest"), test)
