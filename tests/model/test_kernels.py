"""The compiled arithmetic against torch's own: values, gradients, threads, and where it must stand aside."""

import contextlib

import pytest
import torch
from torch.nn import functional

from seedbed.model.kernels import ground, passes, products, softmax


def drawn(*size: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*size, generator=torch.Generator().manual_seed(seed)).requires_grad_()


def compare(found, wanted, inputs, tolerance=2e-5):
    """`wanted` is computed from the same inputs; both by value and by gradient."""
    torch.testing.assert_close(found, wanted, atol=tolerance, rtol=1e-4)
    share = drawn(*found.shape, seed=9).detach()
    for a, b in zip(torch.autograd.grad(found, inputs, share), torch.autograd.grad(wanted, inputs, share), strict=True):
        torch.testing.assert_close(a, b, atol=tolerance * 10, rtol=1e-4)


@contextlib.contextmanager
def threads(number: int):
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(("rows", "inside", "outside"), [(5, 24, 40), (96, 48, 160), (130, 160, 48)])
def test_products_equal_torch(rows, inside, outside):
    x, weight, bias = drawn(2, rows, inside), drawn(outside, inside, seed=1), drawn(outside, seed=2)
    compare(products.linear(x, weight, bias), functional.linear(x, weight, bias), (x, weight, bias), 1e-4)


def test_products_take_any_strides():
    x, wide = drawn(64, 96).detach(), drawn(200, 300, seed=1).detach()
    for weight in (wide[:, :96], wide[:96].T[:200], wide[::2, ::2][:, :96]):
        torch.testing.assert_close(products.product(x, weight), x @ weight.T, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("count", [1, 2])
def test_norm_gate_and_turn_equal_torch(count):
    with threads(count):
        x, weight = drawn(2, 9, 40), drawn(40, seed=1)
        compare(passes.rms_norm(x, weight, 1e-5), functional.rms_norm(x, (40,), weight, 1e-5), (x, weight))
        both = (drawn(2, 9, 62) * 8).detach().requires_grad_()
        compare(passes.gated_silu(both), functional.silu(both[..., :31]) * both[..., 31:], (both,), 5e-5)
        heads, angle = drawn(2, 9, 3, 10).transpose(1, 2).detach(), drawn(9, 5).detach()
        left, right = heads.chunk(2, -1)
        cos, sin = angle.cos(), angle.sin()
        wanted = torch.cat((left * cos - right * sin, right * cos + left * sin), -1)
        torch.testing.assert_close(passes.turn(heads, cos, sin, 1.0), wanted)
        torch.testing.assert_close(passes.turn(passes.turn(heads, cos, sin, 1.0), cos, sin, -1.0), heads)


def begins(kind: str, T: int) -> torch.Tensor:
    position = torch.arange(T)
    if kind == "window":
        return (position - 16).clamp(min=0)[None]
    if kind == "documents":
        return torch.stack([torch.where(position >= cut, cut, 0) for cut in (T // 3, 2)])
    return torch.zeros(1, T, dtype=torch.int64)


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("kind", ["causal", "window", "documents"])
@pytest.mark.parametrize(("heads", "kv", "T", "width"), [(4, 4, 32, 32), (4, 2, 77, 24), (2, 1, 3, 8), (3, 3, 65, 40)])
def test_attention_equals_torch(heads, kv, T, width, kind, count):
    joined = drawn(2, T, heads + 2 * kv, width)
    q, k, v = joined.transpose(1, 2).split([heads, kv, kv], 1)
    begin, position = begins(kind, T), torch.arange(T)
    seen = (position <= position[:, None]) & (position >= begin[:, :, None])
    wanted = functional.scaled_dot_product_attention(q, k, v, attn_mask=seen[:, None], scale=0.3, enable_gqa=True)
    with threads(count):
        found = softmax.attention(q, k, v, begin, 0.3)
        compare(found, wanted, (joined,))
        assert torch.equal(found, softmax.attention(q, k, v, begin, 0.3))


def test_large_scores_stay_finite_and_nan_stays_nan():
    q, k, v = (drawn(1, 1, 40, 16, seed=seed).detach() for seed in range(3))
    begin = begins("causal", 40)
    assert torch.isfinite(softmax.attention(q * 1e3, k * 1e3, v, begin, 1.0)).all()
    k[0, 0, 20, 3] = torch.nan
    found = softmax.attention(q, k, v, begin, 1.0)
    assert torch.isfinite(found[:, :, :20]).all()
    assert torch.isnan(found[:, :, 20:]).all()
    assert torch.isnan(passes.rms_norm(k, torch.ones(16), 1e-5)[0, 0, 20]).all()
    assert torch.isnan(passes.gated_silu(k)[0, 0, 20, 3])
    top, total = passes.exponents(k[0, 0].clone())
    assert torch.isnan(top + total.log())[20]


def test_what_lies_ahead_changes_no_bit():
    q, k, v = (drawn(1, 2, 70, 16, seed=seed).detach() for seed in range(3))
    before = softmax.attention(q, k, v, begins("causal", 70), 0.25)
    k[:, :, 50:], v[:, :, 50:] = 7.0, -7.0
    assert torch.equal(softmax.attention(q, k, v, begins("causal", 70), 0.25)[:, :, :50], before[:, :, :50])


def test_they_stand_aside():
    x = drawn(64, 64)
    assert ground.suits(x)
    assert not ground.suits(x.double())
    assert not ground.suits(x.to("meta"))
    with torch.autocast("cpu"):
        assert not ground.suits(x)
        assert products.linear(x, x).dtype == torch.bfloat16
    x = x.double().detach().requires_grad_()
    assert torch.autograd.gradcheck(lambda a: passes.gated_silu(passes.rms_norm(a, a[0], 1e-5)), (x[:3, :8],))
