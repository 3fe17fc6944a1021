"""Experts: against a plain sum over experts, the dense feed-forward, and the formulas of the two losses."""

import dataclasses

import pytest
import torch
from torch.nn import functional

from seedbed.core.errors import RecipeError, SeedbedError
from seedbed.model import counts
from seedbed.model.auxiliary import attached, share_of_step
from seedbed.model.checkpoint import load_model, save_model
from seedbed.model.feed_forwards.experts import Experts, balance_loss, routing, z_loss
from seedbed.model.feed_forwards.swiglu import SwiGLU
from seedbed.model.hugging_face import write_hugging_face
from seedbed.model.shape import ModelShape
from seedbed.model.transformer import initial_model
from seedbed.model.weights import weights_of
from seedbed.train.optimizers.muon import Muon

SHAPE = ModelShape(30, 16, 2, 2, d_ff=24, context=12, feed_forward=Experts(4, 2))


def drawn(module: torch.nn.Module) -> torch.nn.Module:
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(0.0, 0.4, generator=generator)
    return module


def rows(*sizes: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(*sizes, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(("experts", "active"), [(1, 1), (4, 1), (4, 2), (5, 5), (7, 3)])
def test_it_is_the_weighted_sum_of_the_best_experts(experts, active, bias):
    """The fidelity test: position by position and expert by expert, in float64."""
    part = Experts(experts, active)
    module, x_BTC = drawn(part.build(6, 10, bias)), rows(2, 9, 6)
    w = {name: value.detach().double() for name, value in module.named_parameters()}
    assert sum(value.numel() for value in w.values()) == part.parameters(6, 10, bias)

    def expert(e: int, x: torch.Tensor) -> torch.Tensor:
        def product(name: str, y: torch.Tensor) -> torch.Tensor:
            return w[f"experts.{e}.{name}.weight"] @ y + w.get(f"experts.{e}.{name}.bias", torch.zeros(()))

        gate = product("gate_proj", x)
        return product("down_proj", gate / (1 + (-gate).exp()) * product("up_proj", x))

    expected = []
    for x in x_BTC.double().view(-1, 6):
        score = w["router.weight"] @ x
        best = sorted(range(experts), key=lambda e: -float(score[e]))[:active]
        weight = score[best].exp() / score[best].exp().sum()
        expected.append(sum(weight[i] * expert(e, x) for i, e in enumerate(best)))
    torch.testing.assert_close(module(x_BTC).double().view(-1, 6), torch.stack(expected), atol=1e-5, rtol=1e-5)


def test_one_expert_is_the_dense_feed_forward_to_the_bit():
    dense, one = drawn(SwiGLU().build(16, 24, False)), Experts(1, 1).build(16, 24, False)
    one.experts[0].load_state_dict(dense.state_dict())
    assert torch.equal(one(rows(3, 8, 16)), dense(rows(3, 8, 16)))


def test_equal_experts_are_the_dense_feed_forward_whatever_the_router_says():
    dense, many = drawn(SwiGLU().build(16, 24, False)), drawn(Experts(5, 3).build(16, 24, False))
    for expert in many.experts:
        expert.load_state_dict(dense.state_dict())
    torch.testing.assert_close(many(rows(3, 8, 16)), dense(rows(3, 8, 16)), atol=1e-6, rtol=1e-5)


def test_no_choice_is_lost_and_none_made_twice():
    score_NE = rows(50, 6)
    choice_M, size_E, weight_NK = routing(score_NE, 3)
    assert sum(size_E) == 150
    assert choice_M.sort().values.tolist() == list(range(150))
    torch.testing.assert_close(weight_NK.sum(1), torch.ones(50))
    best = score_NE.topk(3).indices
    begin = 0
    for expert, size in enumerate(size_E):
        position = choice_M[begin : begin + size] // 3
        assert position.tolist() == (best == expert).any(1).nonzero()[:, 0].tolist()
        begin += size
    assert routing(torch.zeros(4, 5), 2).size_E == [4, 4, 0, 0, 0]


def test_an_expert_without_positions_has_a_gradient_of_zero():
    module = drawn(Experts(4, 1).build(6, 10, True))
    with torch.no_grad():
        module.router.weight.zero_()
    module(rows(2, 5, 6)).sum().backward()
    assert all(parameter.grad is not None for parameter in module.parameters())
    assert module.experts[0].up_proj.weight.grad.any()
    assert not module.experts[3].up_proj.weight.grad.any()


def test_the_losses_are_their_formulas():
    even = torch.zeros(8, 4)
    assert float(balance_loss(even, [4, 4, 4, 4])) == pytest.approx(1)
    assert float(balance_loss(torch.tensor([[50.0, 0, 0, 0]]), [1, 0, 0, 0])) == pytest.approx(4)
    score = torch.tensor([[1.0, 2.0], [0.0, -1.0]])
    first, second = score.exp().sum(1).log().tolist()
    assert float(z_loss(score)) == pytest.approx((first**2 + second**2) / 2)
    double = rows(7, 4).double().requires_grad_()
    sizes = routing(double.detach(), 2).size_E
    assert torch.autograd.gradcheck(lambda s: balance_loss(s, sizes), double)
    assert torch.autograd.gradcheck(z_loss, double)


@pytest.mark.parametrize("share", [1.0, 0.25])
def test_gradients_are_those_of_the_sum_and_the_value_that_of_the_main_loss(share):
    part = Experts(4, 2, balance_weight=0.3, z_weight=0.2)
    with_losses, plain = drawn(part.build(6, 10, False)), drawn(Experts(4, 2, 0.0, 0.0).build(6, 10, False))
    x, other = rows(2, 9, 6).requires_grad_(), rows(2, 9, 6).requires_grad_()
    with share_of_step(share):
        main = with_losses(x).square().mean()
    score = functional.linear(other.view(-1, 6), plain.router.weight)
    unchanged = plain(other).square().mean()
    sizes = routing(score.detach(), 2).size_E
    assert torch.equal(main, unchanged)
    main.backward()
    (unchanged + share * (0.3 * balance_loss(score, sizes) + 0.2 * z_loss(score))).backward()
    torch.testing.assert_close(x.grad, other.grad)
    for found, expected in zip(with_losses.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(found.grad, expected.grad)


def test_micro_batches_that_say_their_share_count_the_loss_once():
    parameter = torch.tensor(3.0, requires_grad=True)
    for share in (0.5, 0.25, 0.25):
        with share_of_step(share):
            attached(torch.ones(1, requires_grad=True), parameter**2).sum().backward()
    assert float(parameter.grad) == pytest.approx(6)


def test_the_losses_even_out_a_lopsided_router():
    part = Experts(4, 1, balance_weight=1.0, z_weight=0.0)
    module, x = drawn(part.build(6, 10, False)), rows(1, 200, 6) + 0.5
    with torch.no_grad():
        module.router.weight[0] += 1.0

    def most() -> int:
        return max(routing(functional.linear(x[0], module.router.weight).detach(), 1).size_E)

    before, optimizer = most(), torch.optim.Adam([module.router.weight], 0.02)
    for _ in range(40):
        optimizer.zero_grad()
        (module(x) * 0.0).sum().backward()
        optimizer.step()
    assert before > 100
    assert most() < 75


def test_counts_are_those_of_the_model_and_of_what_is_active():
    model, dense = initial_model(SHAPE, 0), dataclasses.replace(SHAPE, feed_forward=SwiGLU())
    assert sum(parameter.numel() for parameter in model.parameters()) == counts.total_parameters(SHAPE)
    more = counts.forward_flops(SHAPE, 1, 12) - counts.forward_flops(dense, 1, 12)
    assert more == 12 * 2 * 2 * (4 * 16 + 3 * 16 * 24)
    assert Experts().default_width(96) == SwiGLU().default_width(96)


def test_a_model_learns_is_saved_and_read_and_steps_under_both_optimizers(tmp_path):
    ids = torch.randint(30, (4, 13), generator=torch.Generator().manual_seed(0))
    model = initial_model(SHAPE, 0)
    for optimizer in (torch.optim.AdamW(model.parameters(), lr=1e-2), Muon().build(weights_of(model))):
        losses = []
        for group in optimizer.param_groups:
            group["lr"] = 1e-2
        for _ in range(12):
            loss = functional.cross_entropy(model(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
        assert losses[-1] < losses[0]
    save_model(tmp_path, model)
    again, _ = load_model(tmp_path)
    assert again.shape == SHAPE
    assert torch.equal(again(ids[:, :-1]), model(ids[:, :-1]))


def test_the_model_gives_the_same_bits_twice():
    ids = torch.randint(30, (4, 12), generator=torch.Generator().manual_seed(0))
    found = []
    for _ in range(2):
        model = initial_model(SHAPE, 0)
        logits = model(ids)
        logits.square().mean().backward()
        found.append([logits, *(parameter.grad for parameter in model.parameters())])
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


def test_what_cannot_be_is_refused(tmp_path):
    with pytest.raises(RecipeError, match=r"experts\.active: 3 experts cannot be chosen of 2\."):
        Experts(2, 3)
    with pytest.raises(SeedbedError, match=r"export: no Hugging Face architecture .* feed_forward=experts"):
        write_hugging_face(tmp_path / "out", initial_model(SHAPE, 0), None)
