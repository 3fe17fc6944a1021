"""Next-token prediction against logits and torch's cross-entropy."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from seedbed.model.shape import ModelShape
from seedbed.model.transformer import initial_model
from seedbed.train.contract import Batch, Progress, Reading
from seedbed.train.objectives.causal_lm import CausalLM


def test_targets_are_the_inputs_one_step_on():
    example = CausalLM().example(Reading.of(np.arange(10, 20)), key=3)
    assert example.inputs.tolist() == list(range(10, 19))
    assert example.targets.tolist() == list(range(11, 20))
    assert example.weight.tolist() == [1.0] * 9
    assert example.document is None
    with pytest.raises(ValueError, match="two tokens"):
        CausalLM().example(Reading.of(np.arange(1)), key=0)


def test_it_reads_a_source_as_it_is():
    assert CausalLM().reads(128) == 129
    assert [(view.suffix, view.metadata, view.part) for view in CausalLM().views()] == [("", "", (0.0, 1.0))]
    assert CausalLM().shares({"a": 0.3, "b": 0.7}, Progress(5, 10)) == {"a": 0.3, "b": 0.7}


def test_losses_are_those_of_the_logits():
    model = initial_model(ModelShape(30, 16, 1, 2, context=9), 0)
    ids = torch.randint(30, (3, 10), generator=torch.Generator().manual_seed(0))
    batch = Batch(ids[:, :-1], ids[:, 1:], torch.ones(3, 9))
    found = CausalLM().losses(model, batch)
    logits = model(batch.inputs_BT)
    expected = functional.cross_entropy(logits.transpose(1, 2), batch.targets_BT, reduction="none")
    assert found.shape == (3, 9)
    torch.testing.assert_close(found, expected)


def test_the_documents_of_a_batch_reach_the_model():
    model = initial_model(ModelShape(30, 16, 1, 2, context=8), 0)
    ids = torch.randint(30, (1, 9), generator=torch.Generator().manual_seed(0))
    document = torch.tensor([[0, 0, 0, 0, 1, 1, 1, 1]])
    weight = torch.ones(1, 8)
    found = CausalLM().losses(model, Batch(ids[:, :-1], ids[:, 1:], weight, document))
    whole = CausalLM().losses(model, Batch(ids[:, :-1], ids[:, 1:], weight))
    alone = CausalLM().losses(model, Batch(ids[:, 4:-1], ids[:, 5:], weight[:, 4:]))
    torch.testing.assert_close(found[:, :4], whole[:, :4])
    torch.testing.assert_close(found[:, 4:], alone)
    assert not torch.allclose(found[:, 4:], whole[:, 4:])
