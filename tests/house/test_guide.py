"""Every command and every line of Python in docs/guide.md runs, in the order of the page, in an empty folder."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def blocks(kind: str) -> list[str]:
    text = (ROOT / "docs" / "guide.md").read_text(encoding="utf-8")
    return re.findall(rf"^```{kind}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def run(command: list[str], folder: Path) -> str:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_the_guide_does_what_it_says(tmp_path: Path) -> None:
    (tmp_path / "benchmarks").symlink_to(ROOT / "benchmarks")
    commands = blocks("sh")
    assert len(commands) >= 9
    told = run(["bash", "-euc", "\n".join(commands)], tmp_path)
    assert "Report: runs/smoke/report.html" in told
    assert '"bits_per_byte"' in told
    assert "would newly be kept" in told
    assert (tmp_path / "runs" / "guide" / "documents").is_dir()
    (program,) = blocks("python")
    (tmp_path / "guide.py").write_text(program)
    assert "bits_per_byte" in run([sys.executable, "guide.py"], tmp_path)
    assert shutil.which("seedbed", path=str(Path(sys.executable).parent))
