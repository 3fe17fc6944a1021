"""Norms and feed-forwards against their formulas in float64."""

import math

import pytest
import torch

from seedbed.model.feed_forwards.gelu import GELU
from seedbed.model.feed_forwards.squared_relu import SquaredReLU
from seedbed.model.feed_forwards.swiglu import SwiGLU
from seedbed.model.norms.layer_norm import LayerNorm
from seedbed.model.norms.rms_norm import RMSNorm


def drawn(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Random parameters, returned in float64."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(0.3, 1.0, generator=generator)
    return {name: value.detach().double() for name, value in module.named_parameters()}


def rows(width: int) -> torch.Tensor:
    return torch.randn(7, width, generator=torch.Generator().manual_seed(1)) * 2 + 0.5


def test_rms_norm_is_its_formula():
    module, x = RMSNorm(eps=0.1).build(12), rows(12)
    w = drawn(module)
    expected = [row / math.sqrt(sum(v * v for v in row.tolist()) / 12 + 0.1) * w["weight"] for row in x.double()]
    torch.testing.assert_close(module(x).double(), torch.stack(expected), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("bias", [True, False])
def test_layer_norm_is_its_formula(bias):
    module, x = LayerNorm(eps=0.1, bias=bias).build(12), rows(12)
    w = drawn(module)
    assert set(w) == ({"weight", "bias"} if bias else {"weight"})
    for found, row in zip(module(x).double(), x.double().tolist(), strict=True):
        mean = sum(row) / 12
        deviation = math.sqrt(sum((v - mean) ** 2 for v in row) / 12 + 0.1)
        expected = torch.tensor([(v - mean) / deviation for v in row], dtype=torch.float64) * w["weight"]
        torch.testing.assert_close(found, expected + w.get("bias", 0.0), atol=1e-5, rtol=1e-5)


def gelu(z: float) -> float:
    return z / 2 * (1 + math.erf(z / math.sqrt(2)))


def gelu_new(z: float) -> float:
    return z / 2 * (1 + math.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z**3)))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    ("part", "bend"),
    [
        (SwiGLU(), lambda z: z / (1 + math.exp(-z))),
        (SquaredReLU(), lambda z: max(0.0, z) ** 2),
        (GELU(), gelu_new),
        (GELU(approximate=False), gelu),
    ],
)
def test_a_feed_forward_is_its_formula(part, bend, bias):
    module, x = part.build(6, 10, bias), rows(6)
    w = drawn(module)
    assert sum(value.numel() for value in w.values()) == part.parameters(6, 10, bias)

    def product(name: str, y: torch.Tensor) -> torch.Tensor:
        return y @ w[f"{name}.weight"].T + w.get(f"{name}.bias", 0.0)

    gated = isinstance(part, SwiGLU)
    inner = product("gate_proj" if gated else "up_proj", x.double()).apply_(bend)
    expected = product("down_proj", inner * product("up_proj", x.double()) if gated else inner)
    torch.testing.assert_close(module(x).double(), expected, atol=1e-4, rtol=1e-5)


def test_widths_where_the_shape_names_none():
    assert [SwiGLU().default_width(width) for width in (2, 96, 768, 4096)] == [16, 256, 2048, 10928]
    assert SquaredReLU().default_width(96) == GELU().default_width(96) == 384
