"""What a weight's place makes of its first size, its rate and its decay; muP by a coordinate check over widths."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from seedbed.model.contract import Parametrization
from seedbed.model.parametrizations.mup import MuP
from seedbed.model.parametrizations.standard import Standard
from seedbed.model.positions.learned import LearnedPositions
from seedbed.model.shape import ModelShape
from seedbed.model.transformer import Decoder, initial_model
from seedbed.model.weights import Weight, weights_of


def trained(width: int, parametrization: Parametrization, steps: int) -> list[float]:
    """Mean size of each block's output after some steps of AdamW at one rate."""
    shape = ModelShape(64, width, 2, width // 16, context=32, parametrization=parametrization)
    model = initial_model(shape, 0)
    groups = [{"params": [each.parameter], "lr": 5e-3 * each.lr_scale} for each in weights_of(model)]
    optimizer = torch.optim.AdamW(groups, weight_decay=0.0)
    ids = torch.randint(64, (8, 33), generator=torch.Generator().manual_seed(0))
    found: list[float] = []
    for _ in range(steps):
        loss = functional.cross_entropy(model(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    for block in model.model.layers:
        block.register_forward_hook(lambda module, args, out: found.append(float(out.detach().abs().mean())))
    model(ids[:, :-1])
    return found


@pytest.mark.parametrize(("parametrization", "flat"), [(MuP(64, 16), True), (Standard(), False)])
def test_what_is_learned_keeps_its_size_over_widths_under_mup_alone(parametrization, flat):
    widths = [64, 128, 256]
    size_WL = np.log([trained(width, parametrization, 4) for width in widths])
    slope_L = np.polyfit(np.log(widths), size_WL, 1)[0]
    assert np.all(np.abs(slope_L) < 0.1) if flat else np.any(slope_L > 0.3), slope_L


def kinds(model: Decoder) -> dict[str, Weight]:
    return {weight.name: weight for weight in weights_of(model)}


def test_weights_are_named_once_in_order_with_their_kinds():
    shape = ModelShape(20, 16, 1, 2, context=8, biases="all", positions=LearnedPositions())
    model = initial_model(shape, 0)
    assert [(w.name, w.parameter) for w in weights_of(model)] == list(model.named_parameters())
    found = {name: weight.kind for name, weight in kinds(model).items()}
    assert found["model.embed_tokens.weight"] == found["model.embed_positions.weight"] == "embedding"
    assert found["model.layers.0.mlp.down_proj.weight"] == found["model.layers.0.self_attn.q_proj.weight"] == "matrix"
    assert found["model.layers.0.mlp.down_proj.bias"] == found["model.norm.weight"] == "vector"
    assert {(w.lr_scale, w.decay_scale) for w in weights_of(model)} == {(1.0, 1.0)}
    untied = kinds(initial_model(ModelShape(20, 16, 1, 2, tied_embeddings=False), 0))
    assert untied["lm_head.weight"].kind == "head"


def test_mup_divides_rates_of_matrices_and_what_the_head_reads():
    shape = ModelShape(20, 64, 2, 2, context=8, tied_embeddings=False, parametrization=MuP(16, 8))
    model = initial_model(shape, 0)
    for weight in weights_of(model):
        expected = (0.25, 4.0) if weight.kind == "matrix" else (1.0, 1.0)
        assert (weight.lr_scale, weight.decay_scale) == expected, weight.name
    assert shape.heads.scale == math.sqrt(8) / 32
    standard = initial_model(ModelShape(20, 64, 2, 2, context=8, tied_embeddings=False), 0)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), standard.parameters(), strict=True))
    ids = torch.arange(8)[None]
    torch.testing.assert_close(model.model.norm.weight, torch.ones(64))
    assert float(model.hidden(ids).detach().square().mean()) == pytest.approx(1 / 16, rel=1e-3)
    torch.testing.assert_close(model(ids), functional.linear(model.hidden(ids), model.head_weight))


@pytest.mark.parametrize("scaled", [True, False])
def test_first_sizes_follow_inputs_and_depth(scaled):
    shape = ModelShape(300, 64, 8, 4, d_ff=400, context=8, biases="all", parametrization=Standard(scaled))
    writers = 4.0 if scaled else 1.0
    for name, parameter in initial_model(shape, 0).named_parameters():
        if parameter.ndim < 2:
            assert float(parameter.detach().min()) == float(parameter.detach().max()) == ("norm" in name), name
            continue
        expected = 1 / 8
        if "o_proj" in name:
            expected = 1 / 8 / writers
        elif "down_proj" in name:
            expected = 1 / 20 / writers
        elif "embed" in name:
            expected = 0.02
        assert float(parameter.detach().std()) == pytest.approx(expected, rel=0.05), name
