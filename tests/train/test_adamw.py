"""AdamW: the published update, worked out in numpy; decay on matrices only; rates and decays by the weights' scales."""

import numpy as np
import torch

from seedbed.model.weights import Weight
from seedbed.train.optimizers.adamw import AdamW


def weight(name: str, value: torch.Tensor, kind: str, lr_scale: float = 1.0, decay_scale: float = 1.0) -> Weight:
    return Weight(name, torch.nn.Parameter(value), kind, lr_scale, decay_scale)


def step_at(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """What the loop does."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["lr_scale"]
    optimizer.step()


def test_updates_equal_the_formula_and_vectors_do_not_decay():
    rng, method, rate = np.random.default_rng(0), AdamW(), 0.1
    start = {name: rng.normal(size=size) for name, size in (("embedding", (4, 3)), ("matrix", (3, 4)), ("vector", 5))}
    scales = {"embedding": (1.0, 1.0), "matrix": (0.25, 4.0), "vector": (1.0, 1.0)}
    weights = [weight(name, torch.tensor(value), name, *scales[name]) for name, value in start.items()]
    parameters = {one.name: one.parameter for one in weights}
    optimizer = method.build(weights)
    w = {name: value.copy() for name, value in start.items()}
    m = {name: np.zeros_like(value) for name, value in w.items()}
    v = {name: np.zeros_like(value) for name, value in w.items()}
    for t in range(1, 8):
        for name in w:
            g = rng.normal(size=w[name].shape)
            parameters[name].grad = torch.tensor(g)
            lr = rate * scales[name][0]
            decay = 0.0 if name == "vector" else method.weight_decay * scales[name][1]
            m[name] = method.beta1 * m[name] + (1 - method.beta1) * g
            v[name] = method.beta2 * v[name] + (1 - method.beta2) * g**2
            step = m[name] / (1 - method.beta1**t) / (np.sqrt(v[name] / (1 - method.beta2**t)) + method.eps)
            w[name] = w[name] * (1 - lr * decay) - lr * step
        step_at(optimizer, rate)
        for name in w:
            np.testing.assert_allclose(parameters[name].detach().numpy(), w[name], rtol=1e-10, atol=1e-12)


def test_without_scales_there_are_two_groups_in_the_order_of_the_weights():
    ones = torch.ones(2, 2)
    kinds = ["embedding", "vector", "matrix", "matrix", "vector", "head"]
    weights = [weight(str(i), ones if kind != "vector" else ones[0], kind) for i, kind in enumerate(kinds)]
    groups = AdamW().build(weights).param_groups
    assert [group["weight_decay"] for group in groups] == [0.1, 0.0]
    assert all(group["lr_scale"] == 1.0 for group in groups)
    order = [[id(parameter) for parameter in group["params"]] for group in groups]
    assert order == [[id(weights[i].parameter) for i in chosen] for chosen in ((0, 2, 3, 5), (1, 4))]
    assert len(AdamW().build(weights[:1]).param_groups) == 1


def test_a_decay_scale_of_one_over_the_rates_keeps_the_loss_of_a_weight_per_step():
    kept = []
    for width in (1, 4, 64):
        one = weight("w", torch.ones(3, 3), "matrix", 1 / width, width)
        optimizer = AdamW(weight_decay=0.5).build([one])
        one.parameter.grad = torch.zeros(3, 3)
        step_at(optimizer, 0.01)
        kept.append(one.parameter.detach().clone())
    assert all(torch.equal(other, kept[0]) for other in kept)
    assert torch.allclose(kept[0], torch.tensor(1 - 0.01 * 0.5))


def test_weights_of_other_scales_are_in_other_groups_and_none_is_lost():
    ones = torch.ones(2, 2)
    weights = [
        weight("e", ones, "embedding"),
        weight("m", ones, "matrix", 0.5, 2.0),
        weight("n", ones, "matrix", 0.5, 2.0),
        weight("h", ones, "head", 0.5, 1.0),
        weight("v", ones[0], "vector", 1.0, 3.0),
        weight("u", ones[0], "vector", 1.0, 1.0),
    ]
    groups = AdamW().build(weights).param_groups
    told = [(len(group["params"]), group["lr_scale"], group["weight_decay"]) for group in groups]
    assert told == [(1, 1.0, 0.1), (2, 0.5, 0.2), (1, 0.5, 0.1), (2, 1.0, 0.0)]
