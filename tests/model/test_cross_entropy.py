"""The chunked head against torch's own cross-entropy."""

import pytest
import torch
from torch.nn import functional

from seedbed.model import cross_entropy
from seedbed.model.cross_entropy import linear_cross_entropy


def case(rows: int, dtype: torch.dtype = torch.float32) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(2, rows, 8, generator=generator, dtype=dtype) * 3
    weight = torch.randn(31, 8, generator=generator, dtype=dtype)
    return hidden.requires_grad_(), weight.requires_grad_(), torch.randint(31, (2, rows), generator=generator)


@pytest.mark.parametrize("chunk", [1, 7, 40, 1000])
def test_losses_and_gradients_equal_torch(monkeypatch, chunk):
    monkeypatch.setattr(cross_entropy, "tokens_at_a_time", lambda vocabulary: chunk)
    hidden, weight, target = case(20)
    share = torch.rand(2, 20, generator=torch.Generator().manual_seed(1))
    loss = linear_cross_entropy(hidden, weight, target)
    logits = functional.linear(hidden, weight)
    expected = functional.cross_entropy(logits.flatten(0, 1), target.flatten(), reduction="none").view(2, 20)
    torch.testing.assert_close(loss, expected)
    found = torch.autograd.grad((loss * share).sum(), (hidden, weight))
    wanted = torch.autograd.grad((expected * share).sum(), (hidden, weight))
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b, atol=2e-5, rtol=1e-4)


def test_large_logits_stay_finite():
    hidden = torch.tensor([[[1000.0, 0.0]]])
    weight = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.5, 0.0]])
    for target, expected in ((0, 0.0), (1, 2000.0), (2, 500.0)):
        assert float(linear_cross_entropy(hidden, weight, torch.tensor([[target]]))) == expected


def test_nothing_is_kept_where_no_gradient_is_asked_for():
    hidden, weight, target = case(20)
    with torch.inference_mode():
        assert linear_cross_entropy(hidden, weight, target).grad_fn is None
    only_hidden = linear_cross_entropy(hidden, weight.detach(), target).sum()
    assert torch.isfinite(torch.autograd.grad(only_hidden, hidden)[0]).all()
