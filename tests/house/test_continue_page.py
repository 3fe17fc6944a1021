"""Every command of docs/continue_or_start_again.md runs, and leaves what the page says."""

from __future__ import annotations

from pathlib import Path

from tests.house.test_guide import blocks, run


def test_continue_or_start_again(tmp_path: Path) -> None:
    run(["bash", "-euc", "\n".join(blocks("continue_or_start_again.md", "sh"))], tmp_path)
    routes = tmp_path / "runs" / "routes"
    for name in ("continual", "forgetting", "curves"):
        assert (routes / f"{name}.csv").stat().st_size > 0, name
    assert 'id="continual"' in (routes / "report.html").read_text(encoding="utf-8")
    assert (tmp_path / "runs" / "merged" / "transform.json").is_file()
