"""Every command and line of Python of docs/forecast_before_you_pay.md runs, and says what the page says."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

from seedbed import catalogue
from tests.house.test_guide import ROOT, blocks, run

PAGE = "forecast_before_you_pay.md"


def test_forecast_before_you_pay(tmp_path: Path) -> None:
    (tmp_path / "benchmarks").symlink_to(ROOT / "benchmarks")
    told = run(["bash", "-euc", "\n".join(blocks(PAGE, "sh"))], tmp_path)
    assert "Expected interval at the target: +-1.49%" in told
    assert "loss 2.3138 (95 % interval 2.2906 to 2.337)" in told
    assert "Beyond the runs: params 5 times, tokens 4 times." in told
    assert "learning_rate  0.000996" in told
    assert "share_code   0.5" in told
    assert "Warning" not in told

    (foretold, scored) = [
        json.loads(line) for line in (tmp_path / "runs/ladder/forecasts.jsonl").read_text().splitlines()
    ]
    assert (foretold["kind"], scored["kind"]) == ("forecast", "outcome")
    assert scored["prospective"], "the target is trained after its forecast"
    with (tmp_path / "runs/ladder/targets.csv").open(newline="") as lines:
        (target,) = csv.DictReader(lines)
    assert foretold["plan"] == {"params": float(target["params"]), "tokens": float(target["tokens"])}

    (_, ours) = [json.loads(line) for line in (tmp_path / "forecasts.jsonl").read_text().splitlines()]
    assert (ours["inside"], ours["prospective"]) == (True, True)
    assert 'id="law"' in (tmp_path / "law.html").read_text()
    kept = json.loads((tmp_path / "domain.json").read_text())
    assert kept["law"] == "predict.laws.dcpt_law"

    (program,) = blocks(PAGE, "python")
    (tmp_path / "forecast.py").write_text(program)
    said = run([sys.executable, "forecast.py"], tmp_path)
    assert "48 runs" in said
    assert "inside True predict.laws.chinchilla" in said
    assert "'concept': 'vacuum'" in said


def test_the_table_names_every_law() -> None:
    page = (ROOT / "docs" / PAGE).read_text(encoding="utf-8")
    laws = [path.rpartition(".")[2] for path in catalogue.all_paths() if path.startswith("predict.laws.")]
    assert [law for law in laws if f"`{law}`" not in page] == []
