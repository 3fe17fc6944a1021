"""Closed forms against the module and against torch's own FLOP counter."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from seedbed.model import counts
from seedbed.model.shape import ModelShape
from seedbed.model.transformer import initial_model

SHAPES = [
    ModelShape(50, 24, 2, 4, 2, context=32),
    ModelShape(64, 32, 1, 2, d_ff=40, context=16, tied_embeddings=False),
    ModelShape(4096),
]


@pytest.mark.parametrize("shape", SHAPES)
def test_parameters_equal_the_module(shape):
    sizes = {name: parameter.numel() for name, parameter in initial_model(shape, 0).named_parameters()}
    assert counts.total_parameters(shape) == sum(sizes.values())
    tables = ("model.embed_tokens.weight", "lm_head.weight")
    assert counts.non_embedding_parameters(shape) == sum(n for name, n in sizes.items() if name not in tables)


@pytest.mark.parametrize("shape", SHAPES)
def test_matrix_flops_equal_what_torch_counts(shape):
    model, T = initial_model(shape, 0), shape.context
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.zeros(3, T, dtype=torch.int64))
    by_kind = counter.get_flop_counts()["Global"]
    matrices = sum(count for kind, count in by_kind.items() if "attention" not in str(kind))
    half = 4 * shape.n_layers * shape.d_model * (T + 1) / 2  # torch counts the masked half of attention too
    assert counts.forward_flops(shape, 3, T) == matrices + 3 * T * half


def test_training_is_three_times_forward_and_a_known_shape_gives_its_known_numbers():
    shape = ModelShape(4096)
    assert counts.total_parameters(shape) == 4096 * 96 + 3 * (4 * 96 * 96 + 3 * 96 * 256 + 2 * 96) + 96 == 725664
    assert counts.forward_flops(shape, 1, 1) == 2 * (725664 - 7 * 96) + 4 * 3 * 96
    assert counts.training_flops(shape, 2, 256) == 3 * counts.forward_flops(shape, 2, 256)
