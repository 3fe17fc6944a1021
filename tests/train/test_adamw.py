"""AdamW: the published update, worked out in numpy; decay on matrices only."""

import numpy as np
import torch

from seedbed.train.optimizers.adamw import AdamW


def test_updates_equal_the_formula_and_vectors_do_not_decay():
    rng, method, lr = np.random.default_rng(0), AdamW(), 0.1
    start = {"matrix": rng.normal(size=(3, 4)), "vector": rng.normal(size=5)}
    parameters = {name: torch.nn.Parameter(torch.tensor(value)) for name, value in start.items()}
    optimizer = method.build(parameters.items())
    assert all(group["lr_scale"] == 1.0 for group in optimizer.param_groups)
    for group in optimizer.param_groups:
        group["lr"] = lr
    w = {name: value.copy() for name, value in start.items()}
    m = {name: np.zeros_like(value) for name, value in w.items()}
    v = {name: np.zeros_like(value) for name, value in w.items()}
    for t in range(1, 8):
        for name in w:
            g = rng.normal(size=w[name].shape)
            parameters[name].grad = torch.tensor(g)
            decay = method.weight_decay if name == "matrix" else 0.0
            m[name] = method.beta1 * m[name] + (1 - method.beta1) * g
            v[name] = method.beta2 * v[name] + (1 - method.beta2) * g**2
            step = m[name] / (1 - method.beta1**t) / (np.sqrt(v[name] / (1 - method.beta2**t)) + method.eps)
            w[name] = w[name] * (1 - lr * decay) - lr * step
        optimizer.step()
        for name in w:
            np.testing.assert_allclose(parameters[name].detach().numpy(), w[name], rtol=1e-10, atol=1e-12)


def test_a_model_without_vectors_has_one_group():
    assert len(AdamW().build([("a", torch.nn.Parameter(torch.ones(2, 2)))]).param_groups) == 1
