"""A run that prunes, in a folder: what train.json says of it, and that a stop in the middle changes nothing."""

from pathlib import Path

import pytest

import seedbed as sb
from seedbed.model import counts
from seedbed.model.checkpoint import load_model
from seedbed.model.weights import weights_of
from seedbed.train.prunings.gradual_magnitude import GradualMagnitude
from tests.pipeline.test_train_folder import BATCH, recipe, write_texts


def test_a_pruned_run_tells_what_was_active_and_goes_on_after_a_stop(tmp_path: Path) -> None:
    asked = recipe(
        write_texts(tmp_path / "texts" / "a.jsonl", 0, 12), pruning=GradualMagnitude(sparsity_at_end=0.8, times=5)
    )
    run = sb.train(asked, tmp_path / "run")
    sb.train(asked, tmp_path / "again", until_tokens=11 * BATCH)
    again = sb.train(asked, tmp_path / "again")
    done, other = run.about["done"], again.about["done"]
    assert isinstance(done, dict)
    assert isinstance(other, dict)
    assert {**other, "resumed_from_step": 0} == done
    assert other["resumed_from_step"] == 11

    model, _ = load_model(tmp_path / "run" / "model")
    off = sum(int((w.parameter == 0).sum()) for w in weights_of(model) if w.kind == "matrix")
    matrices = sum(w.parameter.numel() for w in weights_of(model) if w.kind == "matrix")
    assert off == pytest.approx(0.8 * matrices, rel=1e-3)
    assert done["params"] == counts.total_parameters(model.shape)
    assert done["active_params"] == done["params"] - off
    idle = done["params"] - done["average_params"]
    assert 0.3 * matrices < idle < 0.6 * matrices  # about 0.44 on the ramp over half the tokens, 0.8 behind it
    assert done["params_non_embedding"] - done["average_params_non_embedding"] == pytest.approx(idle)
    assert done["flops"] - done["flops_active"] == pytest.approx(6 * idle * done["tokens"])
