"""The runtime says what bits depend on, and sets it."""

import pytest
import torch

from seedbed.core.errors import RecipeError, SeedbedError
from seedbed.model.runtime import Runtime, prepare


def test_prepare_sets_threads_flushes_denormals_and_asks_for_determinism():
    torch.set_flush_denormal(False)
    assert float(torch.tensor([1e-39]) * 1) > 0
    runtime = prepare()
    assert torch.get_num_threads() == runtime.threads == 1
    assert float(torch.tensor([1e-39]) * 1) == 0
    assert torch.are_deterministic_algorithms_enabled()


def test_describe_names_machine_threads_and_torch():
    described = Runtime().describe()
    assert described["torch"] == torch.__version__
    assert described["threads"] == 1
    assert described["device"] == "cpu"
    assert described["machine"]


def test_bounds_and_an_absent_device():
    with pytest.raises(RecipeError, match=r"runtime\.threads"):
        Runtime(threads=0)
    if not torch.cuda.is_available():
        assert Runtime(device="auto").torch_device.type == "cpu"
        with pytest.raises(SeedbedError, match="CUDA"):
            prepare(Runtime(device="cuda")).describe()
