"""Every command of docs/which_method.md runs, and the method it shows is one."""

from __future__ import annotations

from pathlib import Path

from tests.house.test_guide import blocks, run


def test_which_method(tmp_path: Path) -> None:
    (program,) = blocks("which_method.md", "python")
    (tmp_path / "digits.py").write_text(program)
    told = run(["bash", "-euc", "\n".join(blocks("which_method.md", "sh"))], tmp_path)
    assert told.count("speed-up, equal tokens") == 2
    assert "At equal tokens" in told
    assert "digits" in told
    assert (tmp_path / "chosen" / "documents").is_dir()
    assert "proportions" in (tmp_path / "shares.json").read_text()
    for name in ("comparison", "summary", "picked", "agreement", "break_even"):
        assert (tmp_path / "runs" / "own" / f"{name}.csv").stat().st_size > 0, name
