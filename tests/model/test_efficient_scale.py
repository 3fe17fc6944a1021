"""EfficientScale: which of its kinds keep the function, and what the others make."""

import dataclasses

import pytest
import torch

from seedbed.core.errors import RecipeError
from seedbed.model.attentions.sliding_window import SlidingWindow
from seedbed.model.transformer import Decoder, initial_model
from seedbed.model.transforming import Checkpoint, Given
from seedbed.model.transforms.efficient_scale import EfficientScale
from tests.model.grown_models import SHAPES, apart, logits, train, trained

KEEPING = EfficientScale(width_kind="copy", depth_kind="identity")


def grown(method: EfficientScale, decoder: Decoder, seed: int = 0) -> Decoder:
    return method.apply(Checkpoint(decoder), Given(seed=seed)).decoder


@pytest.mark.parametrize("name", SHAPES)
def test_copies_and_silent_layers_keep_the_function(name):
    """The fidelity test: twice the width and 2.5 times the depth, on trained models of every part."""
    decoder, method = trained(name), dataclasses.replace(KEEPING, depth=2.5)
    large = grown(method, decoder)
    assert method.promise(decoder.shape) == "exact"
    assert (large.shape.d_model, large.shape.n_layers) == (32, 5)
    assert apart(decoder, large) < 1e-5


def test_depth_alone_keeps_the_function_whatever_the_width_kind():
    decoder = trained("plain")
    method = EfficientScale(width=1.0, depth=2.0, depth_kind="identity")
    assert method.promise(decoder.shape) == "exact"
    large = grown(method, decoder)
    for name, tensor in large.state_dict().items():
        is_writer = "o_proj" in name or "down_proj" in name
        if name.startswith(("model.layers.1.", "model.layers.3.")) and is_writer:
            assert not tensor.any()
        elif name.startswith("model.layers."):
            own = f"model.layers.{int(name.split('.')[2]) // 2}.{name.split('.', 3)[3]}"
            assert torch.equal(tensor, decoder.state_dict()[own])
    assert apart(decoder, large) < 1e-5


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"width": 1.0},
        {"width_kind": "copy"},
        {"depth_kind": "identity"},
        {"width": 1.25, "depth": 1.5, "n_heads": 5},
    ],
)
def test_where_nothing_is_promised_the_function_moves(fields):
    decoder, method = trained("multi_head"), EfficientScale(**fields)
    assert method.promise(decoder.shape) == "none"
    assert apart(decoder, grown(method, decoder)) > 1e-2


def test_a_quarter_more_width_moves_the_function_and_keeps_most_of_it():
    """As from 7B to 16B: norms see other means, so even plain copies are not exact, and it is said so."""
    decoder = trained("multi_head")
    method = dataclasses.replace(KEEPING, width=1.25, depth=1.0)
    with pytest.raises(RecipeError, match=r"efficient_scale\.d_model: 20 is no whole multiple of the model's 16"):
        grown(method, decoder)
    method = dataclasses.replace(method, allow_inexact=True)
    assert method.promise(decoder.shape) == "none"
    large = grown(method, decoder)
    assert apart(decoder, large) > 0.02
    assert (logits(decoder).argmax(-1) == logits(large).argmax(-1)).float().mean() > 0.8


def test_windows_that_depend_on_the_layer_are_refused_where_the_function_was_to_be_kept():
    shape = dataclasses.replace(SHAPES["plain"], attention=SlidingWindow(window=3, full_every=2))
    decoder = train(initial_model(shape, 0), 5)
    with pytest.raises(RecipeError, match=r"efficient_scale\.n_layers: attention=sliding_window sees another window"):
        grown(KEEPING, decoder)
    for method in (dataclasses.replace(KEEPING, allow_inexact=True), EfficientScale()):
        assert method.promise(shape) == "none"
        assert apart(decoder, grown(method, decoder)) > 1e-4


def test_layers_are_interpolated_and_rows_come_from_above():
    decoder = trained("untied", 3)
    method = EfficientScale(width=2.0, depth=2.0, spread=0.0)
    old, new = decoder.state_dict(), grown(method, decoder).state_dict()
    for layer, own, above in ((0, 0, 1), (1, 0, 1), (2, 1, 2), (3, 1, 2), (4, 2, 2), (5, 2, 2)):
        name = "model.layers.{}.mlp.gate_proj.weight"
        rows = torch.cat([old[name.format(own)], old[name.format(above)]])
        torch.testing.assert_close(new[name.format(layer)], rows.repeat(1, 2) / 2)
        name = "model.layers.{}.self_attn.q_proj.weight"
        assert new[name.format(layer)].shape == (32, 32)
        torch.testing.assert_close(new[name.format(layer)][:16], old[name.format(own)].repeat(1, 2) / 2)
        torch.testing.assert_close(new[name.format(layer)][16:], old[name.format(above)].repeat(1, 2) / 2)


def test_silent_layers_learn_and_copies_part():
    decoder = trained("plain")
    large = grown(KEEPING, decoder)
    began = {name: tensor.clone() for name, tensor in large.state_dict().items()}
    train(large, 12)
    for layer in range(4):
        for name in ("mlp.down_proj", "self_attn.o_proj", "mlp.up_proj"):
            moved = (
                large.state_dict()[f"model.layers.{layer}.{name}.weight"] - began[f"model.layers.{layer}.{name}.weight"]
            )
            assert int(torch.linalg.matrix_rank(moved.double(), rtol=1e-4)) > 16
