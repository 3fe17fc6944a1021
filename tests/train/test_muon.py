"""Muon: its update against an iteration of our own in float64, its orthogonality, its state through a checkpoint."""

import copy
import json
import math

import numpy as np
import pytest
import torch

from seedbed.model.weights import Weight
from seedbed.train.optimizers.adamw import AdamW
from seedbed.train.optimizers.muon import Muon
from seedbed.train.snapshot import flatten, unflatten

RATE = 0.02
A, B, C = 3.4445, -4.7750, 2.0315  # Jordan's quintic


def weight(name: str, value: torch.Tensor, kind: str, lr_scale: float = 1.0, decay_scale: float = 1.0) -> Weight:
    return Weight(name, torch.nn.Parameter(value), kind, lr_scale, decay_scale)


def model(seed: int = 0) -> list[Weight]:
    """A little of every kind, out of order."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*size: int) -> torch.Tensor:
        return torch.randn(*size, generator=generator)

    return [
        weight("embed", draw(11, 8), "embedding"),
        weight("gain", draw(8), "vector"),
        weight("up", draw(24, 8), "matrix"),
        weight("head", draw(11, 8), "head"),
        weight("down", draw(8, 24), "matrix"),
    ]


def step_at(optimizer: torch.optim.Optimizer, rate: float = RATE) -> None:
    """What the loop does."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["lr_scale"]
    optimizer.step()


def give_gradients(weights: list[Weight], seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for one in weights:
        one.parameter.grad = torch.randn(one.parameter.shape, generator=generator)


def orthogonalised(u: np.ndarray, steps: int = 5) -> np.ndarray:
    """Newton and Schulz, in float64."""
    x = u / np.linalg.norm(u)
    x = x.T if u.shape[0] > u.shape[1] else x
    for _ in range(steps):
        a = x @ x.T
        x = A * x + (B * a + C * a @ a) @ x
    return x.T if u.shape[0] > u.shape[1] else x


@pytest.mark.parametrize("adjustment", ["match_rms_adamw", "original"])
@pytest.mark.parametrize("nesterov", [True, False])
def test_matrices_follow_the_iteration(adjustment, nesterov):
    method = Muon(adjustment=adjustment, nesterov=nesterov, weight_decay=0.3)
    weights = model()
    optimizer = method.build(weights)
    momenta = {one.name: np.zeros(one.parameter.shape) for one in weights}
    for t in range(4):
        give_gradients(weights, t)
        before = {one.name: one.parameter.detach().double().numpy().copy() for one in weights}
        step_at(optimizer)
        for one in weights:
            if one.kind != "matrix":
                continue
            g, (rows, columns) = one.parameter.grad.double().numpy(), one.parameter.shape
            momenta[one.name] = 0.95 * momenta[one.name] + 0.05 * g
            u = 0.95 * momenta[one.name] + 0.05 * g if nesterov else momenta[one.name]
            size = 0.2 * math.sqrt(max(rows, columns)) if adjustment != "original" else max(1, rows / columns) ** 0.5
            expected = -RATE * size * orthogonalised(u)
            moved = one.parameter.detach().double().numpy() - before[one.name] * (1 - RATE * 0.3)
            assert np.linalg.norm(moved - expected) < 0.035 * np.linalg.norm(expected), "bfloat16 has 8 bits"


def test_updates_of_matrices_are_nearly_orthogonal_and_of_adamws_size():
    one = weight("w", torch.zeros(48, 32), "matrix")
    optimizer = Muon(weight_decay=0.0).build([one])
    give_gradients([one], 3)
    step_at(optimizer)
    update = -one.parameter.detach().double().numpy() / RATE
    values = np.linalg.svd(update / (0.2 * math.sqrt(48)), compute_uv=False)
    assert 0.6 < values.min() < values.max() < 1.25
    left, _, right = np.linalg.svd(one.parameter.grad.double().numpy(), full_matrices=False)
    nearest = left @ right
    assert (update * nearest).sum() / np.linalg.norm(update) / np.linalg.norm(nearest) > 0.98
    assert np.sqrt(np.mean(update**2)) == pytest.approx(0.2, rel=0.2)


def test_everything_else_is_adamw_to_the_bit():
    ours, theirs = model(), model()
    both = Muon(beta2=0.97).build(ours)
    alone = AdamW(beta2=0.97).build([one for one in theirs if one.kind != "matrix"])
    for t in range(5):
        give_gradients(ours, t)
        give_gradients(theirs, t)
        step_at(both)
        step_at(alone)
    for mine, other in zip(ours, theirs, strict=True):
        assert torch.equal(mine.parameter, other.parameter) == (mine.kind != "matrix")


def test_a_resume_through_a_checkpoint_goes_on_to_the_same_bits():
    weights = model()
    optimizer = Muon().build(weights)
    for t in range(3):
        give_gradients(weights, t)
        step_at(optimizer)
    tensors, described = flatten(optimizer.state_dict())
    tensors = {name: tensor.clone() for name, tensor in tensors.items()}
    assert len(tensors) == 2 + 3 * 3, "a momentum each, or two moments and a count"
    resumed = copy.deepcopy(weights)
    again = Muon().build(resumed)
    again.load_state_dict(unflatten(tensors, json.loads(json.dumps(described))))
    for t in range(3, 6):
        give_gradients(weights, t)
        give_gradients(resumed, t)
        step_at(optimizer)
        step_at(again)
        assert all(torch.equal(a.parameter, b.parameter) for a, b in zip(weights, resumed, strict=True))
    states = [flatten(one.state_dict())[0] for one in (optimizer, again)]
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    forgotten = copy.deepcopy(resumed)
    give_gradients(forgotten, 9)
    give_gradients(resumed, 9)
    step_at(Muon().build(forgotten))
    step_at(again)
    assert not torch.equal(forgotten[2].parameter, resumed[2].parameter), "the state matters"


def test_it_is_one_optimizer():
    weights = model()
    optimizer = Muon().build(weights)
    assert not Muon.sharded
    give_gradients(weights, 0)
    step_at(optimizer)
    assert {id(p) for group in optimizer.param_groups for p in group["params"]} == {id(w.parameter) for w in weights}
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.1, 0.1, 0.0]
    assert set(optimizer.state) == {one.parameter for one in weights}
    optimizer.zero_grad(set_to_none=True)
    assert all(one.parameter.grad is None for one in weights)
    with pytest.raises(ValueError, match="closure"):
        optimizer.step(lambda: 0.0)


@pytest.mark.parametrize("kinds", [("matrix",), ("vector", "embedding")])
def test_models_of_one_kind_alone(kinds):
    weights = [one for one in model() if one.kind in kinds]
    optimizer = Muon().build(weights)
    give_gradients(weights, 0)
    before = [one.parameter.detach().clone() for one in weights]
    step_at(optimizer)
    assert not any(torch.equal(a, b.parameter) for a, b in zip(before, weights, strict=True))


@pytest.mark.parametrize("adjustment", ["match_rms_adamw", "original"])
def test_under_mup_the_spectral_norm_of_an_update_and_the_decay_do_not_depend_on_width(adjustment):
    norms, decays = [], []
    for wider in (1, 4, 16):
        one = weight("w", torch.zeros(16 * wider, 16 * wider), "matrix", 1 / wider, wider)
        optimizer = Muon(adjustment=adjustment).build([one])
        u, v = torch.linalg.qr(torch.randn(16 * wider, 8))[0], torch.linalg.qr(torch.randn(16 * wider, 8))[0]
        one.parameter.grad = u @ v.T  # of rank 8 at every width
        group = optimizer.param_groups[0]
        decays.append(group["lr_scale"] * group["weight_decay"])
        step_at(optimizer)
        norms.append(float(torch.linalg.matrix_norm(one.parameter.detach(), 2)) / RATE)
    assert norms == pytest.approx([norms[0]] * 3, rel=0.05)
    assert decays == pytest.approx([0.1] * 3)
