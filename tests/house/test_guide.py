"""Every command and every line of Python on the pages of docs/ runs, in the order of the page, in an empty folder."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def blocks(page: str, kind: str) -> list[str]:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{kind}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def run(command: list[str], folder: Path) -> str:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_the_guide_does_what_it_says(tmp_path: Path) -> None:
    (tmp_path / "benchmarks").symlink_to(ROOT / "benchmarks")
    commands = blocks("guide.md", "sh")
    assert len(commands) >= 9
    told = run(["bash", "-euc", "\n".join(commands)], tmp_path)
    assert "Report: runs/smoke/report.html" in told
    assert '"bits_per_byte"' in told
    assert "would newly be kept" in told
    assert (tmp_path / "runs" / "guide" / "documents").is_dir()
    (program,) = blocks("guide.md", "python")
    (tmp_path / "guide.py").write_text(program)
    assert "bits_per_byte" in run([sys.executable, "guide.py"], tmp_path)
    assert shutil.which("seedbed", path=str(Path(sys.executable).parent))


def test_from_a_crawl_to_a_corpus(tmp_path: Path) -> None:
    page = "from_a_crawl_to_a_corpus.md"
    told = run(["bash", "-euc", "\n".join(blocks(page, "sh"))], tmp_path)
    assert "the same verdict on" in told
    assert {path.name for path in (tmp_path / "megatron").iterdir()} == {"tokens.bin", "tokens.idx"}
    assert (tmp_path / "gentler.yaml").exists()
    assert list((tmp_path / "runs" / "crawl" / "certificates").iterdir())
    (program,) = blocks(page, "python")
    (tmp_path / "careful.py").write_text(program)
    assert "gopher_quality" in run([sys.executable, "careful.py"], tmp_path)
    assert "Benchmark items in the pool" in (tmp_path / "runs" / "careful" / "report.html").read_text()


def test_train(tmp_path: Path) -> None:
    told = run(["bash", "-euc", "\n".join(blocks("train.md", "sh"))], tmp_path)
    assert told.count("Report: runs/") >= 6
    assert "more: " in told
    assert "LlamaForCausalLM" in told
    assert (tmp_path / "runs" / "killed" / "tensorboard").is_dir()
    assert (tmp_path / "hf" / "more" / "model.safetensors").exists()
    (program,) = blocks("train.md", "python")
    (tmp_path / "train.py").write_text(program)
    assert "'finished': True" in run([sys.executable, "train.py"], tmp_path)
