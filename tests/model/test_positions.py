"""RoPE: angles, distances, gradients, stretched frequencies. Learned positions: a row a place."""

import math

import pytest
import torch

from seedbed.core.errors import RecipeError
from seedbed.model.layers import Sight
from seedbed.model.positions.learned import LearnedPositions
from seedbed.model.positions.rope import RoPE, rotary_tables, rotate


def test_a_rotation_turns_pairs_by_position_times_frequency():
    D, base = 8, 50.0
    x = torch.randn(1, 1, 6, D, generator=torch.Generator().manual_seed(0))
    places = RoPE(base=base).build(6, 24, D)
    found = places.turn(x, Sight(places, 6, x.device, None, None)).double()[0, 0]
    for t in range(6):
        for i in range(D // 2):
            angle, a, b = t * base ** (-2 * i / D), float(x[0, 0, t, i]), float(x[0, 0, t, i + D // 2])
            assert float(found[t, i]) == pytest.approx(a * math.cos(angle) - b * math.sin(angle), abs=1e-5)
            assert float(found[t, i + D // 2]) == pytest.approx(b * math.cos(angle) + a * math.sin(angle), abs=1e-5)


def test_rotated_products_depend_on_distance_alone():
    cos, sin = rotary_tables(64, RoPE().frequencies(16))
    generator = torch.Generator().manual_seed(1)
    q, k = torch.randn(16, generator=generator), torch.randn(16, generator=generator)

    def product(t: int, s: int) -> float:
        turned = [rotate(x.view(1, 1, 1, 16), cos[p : p + 1], sin[p : p + 1]).flatten() for x, p in ((q, t), (k, s))]
        return float(turned[0] @ turned[1])

    assert product(9, 4) == pytest.approx(product(59, 54), abs=1e-4)
    assert product(9, 9) == pytest.approx(float(q @ k), abs=1e-4)
    assert abs(product(9, 4) - product(9, 5)) > 1e-2


def test_the_gradient_of_a_rotation_is_checked_numerically():
    cos, sin = rotary_tables(5, RoPE(base=10.0).frequencies(6))
    x = torch.randn(2, 3, 5, 6, dtype=torch.float64, requires_grad=True, generator=torch.Generator().manual_seed(0))
    assert torch.autograd.gradcheck(lambda x: rotate(x, cos.double(), sin.double()), (x,))


@pytest.mark.parametrize("part", [RoPE(500000.0, "llama3"), RoPE(1000.0, "llama3", 3.0, 2.0, 5.0, 64)])
def test_llama_3_stretches_slow_waves_alone(part):
    f_D = RoPE(part.base).frequencies(64).tolist()
    kept, stretched = 0, 0
    for found, f in zip(part.frequencies(64).tolist(), f_D, strict=True):
        wave = 2 * math.pi / f
        if wave < part.original_context / part.high_freq_factor:
            kept, expected = kept + 1, f
        elif wave > part.original_context / part.low_freq_factor:
            stretched, expected = stretched + 1, f / part.factor
        else:
            s = part.original_context / wave - part.low_freq_factor
            s /= part.high_freq_factor - part.low_freq_factor
            expected = (1 - s) * f / part.factor + s * f
        assert found == pytest.approx(expected, rel=1e-12)
    assert min(kept, stretched, 32 - kept - stretched) > 0


# inv_freq of transformers 5.23.0, LlamaRotaryEmbedding, for the rope_scaling of Llama 3.1 and heads of width 64.
TRANSFORMERS = {
    10: 0.016560440883040428,
    14: 0.0032114461064338684,
    15: 0.0013718936825171113,
    16: 0.0005248460220173001,
    17: 0.0001785077911335975,
    18: 7.784655463183299e-05,
    31: 3.76732259610435e-07,
}


def test_llama_3_frequencies_are_those_of_transformers():
    found = RoPE(500000.0, "llama3").frequencies(64)
    for i, expected in TRANSFORMERS.items():
        assert float(found[i]) == pytest.approx(expected, rel=1e-6)


def test_linear_stretch_is_a_slower_clock():
    plain, slow = RoPE(base=30.0).frequencies(8), RoPE(base=30.0, scaling="linear", factor=4.0).frequencies(8)
    cos, sin = rotary_tables(5, plain)
    cos_slow, sin_slow = rotary_tables(20, slow)
    torch.testing.assert_close((cos_slow[::4], sin_slow[::4]), (cos, sin))


def test_factors_the_wrong_way_round_are_named():
    with pytest.raises(RecipeError, match=r"rope\.high_freq_factor"):
        RoPE(low_freq_factor=4.0)


def test_learned_positions_add_a_row_a_place_counted_within_documents():
    places = LearnedPositions().build(6, 3, 2)
    with torch.no_grad():
        for i, row in enumerate(places.weight):
            row.fill_(10.0 * i)
    x = torch.zeros(2, 6, 3)
    found = places.add(x, Sight(places, 6, x.device, None, None))[:, :, 0]
    assert found.tolist() == [[0, 10, 20, 30, 40, 50]] * 2
    document = torch.tensor([[4, 4, 4, 9, 9, 2], [1, 2, 2, 2, 2, 1]])
    found = places.add(x, Sight(places, 6, x.device, document, None))[:, :, 0]
    assert found.tolist() == [[0, 10, 20, 0, 10, 0], [0, 0, 10, 20, 30, 0]]
