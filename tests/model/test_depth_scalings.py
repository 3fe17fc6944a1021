"""LayerNorm Scaling: how the residual stream grows over 48 layers, and what one block computes."""

import pytest
import torch

from seedbed.model.depth_scalings.layernorm_scaling import LayerNormScaling
from seedbed.model.parametrizations.standard import Standard
from seedbed.model.shape import ModelShape
from seedbed.model.transformer import initial_model

LAYERS = (1, 6, 12, 24, 48)


def variances(*, scaled_norms: bool, scaled_weights: bool) -> list[float]:
    """Of the residual stream after some layers of a fresh model whose embeddings have variance 1."""
    depth_scaling = LayerNormScaling() if scaled_norms else None
    parametrization = Standard(scaled_residual=scaled_weights)
    shape = ModelShape(256, 64, 48, 4, context=8, parametrization=parametrization, depth_scaling=depth_scaling)
    model, found = initial_model(shape, 0).requires_grad_(False), []
    model.model.embed_tokens.weight.mul_(50)
    for layer in LAYERS:
        block = model.model.layers[layer - 1]
        block.register_forward_hook(lambda module, args, out: found.append(float(out.var())))
    model(torch.randint(256, (64, 8), generator=torch.Generator().manual_seed(0)))
    return found


def test_variance_grows_with_the_logarithm_of_depth():
    """Measured elsewhere at 48 layers (1/6/12/24/48): 1.9 2.9 3.2 3.6 3.9 with it, 1.02 to 1.43 with scaled weights."""
    plain = variances(scaled_norms=False, scaled_weights=False)
    scaled = variances(scaled_norms=True, scaled_weights=False)
    weights = variances(scaled_norms=False, scaled_weights=True)
    assert scaled == pytest.approx([1.9, 2.9, 3.2, 3.6, 3.9], rel=0.1)
    assert weights[0] == pytest.approx(1.02, abs=0.01)
    assert weights[-1] == pytest.approx(1.43, abs=0.05)
    assert plain[0] == scaled[0]
    assert plain[-1] > 40
    assert (plain[-1] - plain[0]) / (plain[1] - plain[0]) == pytest.approx(47 / 5, rel=0.25)  # linear in depth


def test_both_norms_of_a_block_are_multiplied_and_the_last_is_not():
    shape = ModelShape(20, 16, 4, 2, context=8, parametrization=Standard(False), depth_scaling=LayerNormScaling())
    model = initial_model(shape, 0).requires_grad_(False)
    seen: dict[str, torch.Tensor] = {}
    for name, module in model.named_modules():
        if "norm" in name or name.endswith(("self_attn", "mlp")):
            module.register_forward_hook(
                lambda module, args, out, name=name: seen.update({name + ">": out, name + "<": args[0]})
            )
    hidden = model.hidden(torch.arange(8)[None])
    for layer in range(1, 5):
        at = f"model.layers.{layer - 1}."
        for norm, reader in (("input_layernorm", "self_attn"), ("post_attention_layernorm", "mlp")):
            torch.testing.assert_close(seen[at + reader + "<"], seen[at + norm + ">"] / layer**0.5)
    assert torch.equal(hidden, seen["model.norm>"])
