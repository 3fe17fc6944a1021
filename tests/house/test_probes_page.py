"""Every command and line of Python of docs/probes.md runs."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.house.test_guide import blocks, run


def test_probes(tmp_path: Path) -> None:
    *asked, counting, fitting = blocks("probes.md", "sh")
    told = run(["bash", "-euc", "\n".join(asked)], tmp_path)
    assert "grammar: minimal_pairs" in told
    assert "questions: multiple_choice" in told
    asking, planting = blocks("probes.md", "python")
    for name, program, said in (("asking", asking, "grammar"), ("planting", planting, "'frequency': 64")):
        (tmp_path / f"{name}.py").write_text(program)
        assert said in run([sys.executable, f"{name}.py"], tmp_path)
    told = run(["bash", "-euc", counting + fitting], tmp_path)
    assert "160 concepts; 64 shown" in told
    assert "rare: planted_facts" in told
    assert "accuracy 0." in told
