"""Closed forms against the module and against torch's own FLOP counter."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from seedbed.model import counts
from seedbed.model.attentions.sliding_window import SlidingWindow
from seedbed.model.feed_forwards.gelu import GELU
from seedbed.model.feed_forwards.squared_relu import SquaredReLU
from seedbed.model.norms.layer_norm import LayerNorm
from seedbed.model.positions.learned import LearnedPositions
from seedbed.model.shape import ModelShape
from seedbed.model.transformer import initial_model

SHAPES = [
    ModelShape(50, 24, 2, 4, 2, context=32),
    ModelShape(64, 32, 1, 2, d_ff=40, context=16, tied_embeddings=False),
    ModelShape(4096),
    ModelShape(50, 24, 2, 4, 1, head_dim=10, context=32, feed_forward=SquaredReLU(), biases="qkv", qk_norm=True),
    ModelShape(
        50, 24, 1, 4, context=32, norm=LayerNorm(), positions=LearnedPositions(), feed_forward=GELU(), biases="all"
    ),
    ModelShape(50, 24, 2, 4, context=32, norm=LayerNorm(bias=False), biases="all"),
]


@pytest.mark.parametrize("shape", SHAPES)
def test_parameters_equal_the_module(shape):
    sizes = {name: parameter.numel() for name, parameter in initial_model(shape, 0).named_parameters()}
    assert counts.total_parameters(shape) == sum(sizes.values())
    tables = ("model.embed_tokens.weight", "lm_head.weight", "model.embed_positions.weight")
    assert counts.non_embedding_parameters(shape) == sum(n for name, n in sizes.items() if name not in tables)


@pytest.mark.parametrize("shape", SHAPES)
def test_matrix_flops_equal_what_torch_counts(shape):
    model, T = initial_model(shape, 0), shape.context
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.zeros(3, T, dtype=torch.int64))
    by_kind = counter.get_flop_counts()["Global"]
    matrices = sum(count for kind, count in by_kind.items() if "attention" not in str(kind))
    half = (
        4 * shape.n_layers * shape.n_heads * shape.head_width * (T + 1) / 2
    )  # torch counts the masked half of attention too
    assert counts.forward_flops(shape, 3, T) == matrices + 3 * T * half


def test_a_window_leaves_fewer_products():
    shape = ModelShape(50, 24, 4, 4, context=32, attention=SlidingWindow(5, full_every=4))
    full = ModelShape(50, 24, 4, 4, context=32)
    assert counts.total_parameters(shape) == counts.total_parameters(full)
    pairs = sum(min(t, 5) for t in range(1, 33))
    spared = 3 * 4 * 24 * (32 * 33 / 2 - pairs)
    assert counts.forward_flops(shape, 7, 32) == counts.forward_flops(full, 7, 32) - 7 * spared
    assert counts.forward_flops(shape, 7, 5) == counts.forward_flops(full, 7, 5)


def test_training_is_three_times_forward_and_a_known_shape_gives_its_known_numbers():
    shape = ModelShape(4096)
    assert counts.total_parameters(shape) == 4096 * 96 + 3 * (4 * 96 * 96 + 3 * 96 * 256 + 2 * 96) + 96 == 725664
    assert counts.forward_flops(shape, 1, 1) == 2 * (725664 - 7 * 96) + 4 * 3 * 96
    assert counts.training_flops(shape, 2, 256) == 3 * counts.forward_flops(shape, 2, 256)
