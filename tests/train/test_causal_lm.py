"""Next-token prediction against logits and torch's cross-entropy."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from seedbed.model.shape import ModelShape
from seedbed.model.transformer import initial_model
from seedbed.train.objectives.causal_lm import CausalLM


def test_targets_are_the_inputs_one_step_on():
    example = CausalLM().example(np.arange(10, 20), key=3)
    assert example.inputs.tolist() == list(range(10, 19))
    assert example.targets.tolist() == list(range(11, 20))
    assert example.weight.tolist() == [1.0] * 9
    with pytest.raises(ValueError, match="two tokens"):
        CausalLM().example(np.arange(1), key=0)


def test_losses_are_those_of_the_logits():
    model = initial_model(ModelShape(30, 16, 1, 2, context=9), 0)
    ids = torch.randint(30, (3, 10), generator=torch.Generator().manual_seed(0))
    found = CausalLM().losses(model, ids[:, :-1], ids[:, 1:])
    logits = model(ids[:, :-1])
    expected = functional.cross_entropy(logits.transpose(1, 2), ids[:, 1:], reduction="none")
    assert found.shape == (3, 9)
    torch.testing.assert_close(found, expected)
