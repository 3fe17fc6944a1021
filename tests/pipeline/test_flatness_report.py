"""How flat the loss lies around a trained model stands in its report, where the recipe asks for it."""

import dataclasses
import json
from pathlib import Path

import seedbed as sb
from seedbed.evaluate.tasks.bits_per_byte import BitsPerByte
from seedbed.recipe import EvaluatePlan
from tests.pipeline.test_train_folder import recipe, write_texts


def test_the_trace_is_measured_once_and_told(tmp_path: Path) -> None:
    file = write_texts(tmp_path / "a.jsonl", 0, 6)
    held = EvaluatePlan({"t": str(file)}, target="t", task=BitsPerByte(), flatness=2)
    asked = dataclasses.replace(recipe(file, steps=4), evaluate=held)
    folder = Path(sb.train(asked, tmp_path / "run").folder)
    trace = json.loads((folder / "train.json").read_text())["heldout"]["flatness"]
    assert trace["draws"] == 2
    assert trace["value"] > 0
    page = (folder / "report.html").read_text()
    assert "flatness (trace of the loss" in page
    assert f"{trace['value']:.4g}" in page
    told = sb.evaluate(folder, [str(file)], flatness=2)["flatness"]
    assert told["value"] == trace["value"]  # type: ignore[index,call-overload]
