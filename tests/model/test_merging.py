import dataclasses

import numpy as np
import pytest
import torch

from seedbed.core.errors import SeedbedError
from seedbed.model.merging import average
from seedbed.model.shape import ModelShape
from seedbed.model.transformer import Decoder

SHAPE = ModelShape(vocab_size=11, d_model=8, n_layers=1, n_heads=2, context=16)


def model(seed, shape=SHAPE):
    torch.manual_seed(seed)
    made = Decoder(shape)
    with torch.no_grad():
        for weight in made.parameters():
            weight.copy_(torch.randn(weight.shape))
    return made


@pytest.mark.parametrize("shares", [[1.0], [0.3, 0.7], [1 / 3, 1 / 3, 1 / 3], [0.1, 0.2, 0.7], [5.0, 1e-9, 2.0]])
def test_the_average_of_identical_models_is_the_model_to_the_bit(shares):
    same = model(1)
    merged = average([same] * len(shares), np.array(shares))
    for name, value in merged.state_dict().items():
        assert torch.equal(value, same.state_dict()[name])


def test_it_is_the_weighted_mean_of_every_weight():
    models = [model(seed) for seed in range(3)]
    shares = np.array([2.0, 1.0, 1.0])
    merged = average(models, shares).state_dict()
    for name, value in merged.items():
        each = [other.state_dict()[name].double() for other in models]
        expected = (2 * each[0] + each[1] + each[2]) / 4
        torch.testing.assert_close(value.double(), expected, atol=1e-6, rtol=1e-6)


def test_a_share_of_nothing_leaves_a_model_out_and_none_is_changed():
    first, second = model(0), model(1)
    before = {name: value.clone() for name, value in first.state_dict().items()}
    merged = average([first, second], np.array([0.0, 1.0]))
    assert all(torch.equal(value, second.state_dict()[name]) for name, value in merged.state_dict().items())
    assert all(torch.equal(value, before[name]) for name, value in first.state_dict().items())


def test_models_that_do_not_correspond_are_refused():
    wider = model(0, dataclasses.replace(SHAPE, vocab_size=12))
    half = np.array([0.5, 0.5])
    with pytest.raises(SeedbedError, match="b: has another shape than a"):
        average([model(0), wider], half, names=["a", "b"])
    with pytest.raises(SeedbedError, match="model 1: has another tokenizer than model 0"):
        average([model(0), model(1)], half, tokenizers=["{}", "{ }"])
    for wrong in ([1.0], [0.0, 0.0], [-1.0, 2.0], [float("nan"), 1.0]):
        with pytest.raises(SeedbedError, match="are no shares of 2 models"):
            average([model(0), model(1)], np.array(wrong))


def test_averages_of_models_trained_on_quadratic_losses_are_what_training_on_both_gives():
    """Gradient descent on 0.5 (w - a)^2 is linear in a, so the mean of two runs is the run on both."""

    def descend(aim):
        weight = torch.nn.Parameter(torch.zeros(4, dtype=torch.float64))
        for _ in range(7):
            loss = 0.5 * ((weight - aim) ** 2).sum()
            (gradient,) = torch.autograd.grad(loss, weight)
            weight = torch.nn.Parameter((weight - 0.1 * gradient).detach())
        return weight.detach()

    a, b = torch.tensor([1.0, 2, 3, 4]).double(), torch.tensor([-2.0, 0, 5, 1]).double()
    name = next(name for name, value in model(0).state_dict().items() if value.shape == (8,))
    models = [model(0), model(0)]
    for each, aim in zip(models, (a, b), strict=True):
        each.state_dict()[name][:4] = descend(aim).float()
    merged = average(models, np.array([0.25, 0.75]))
    together = descend(0.25 * a + 0.75 * b).float()
    torch.testing.assert_close(merged.state_dict()[name][:4], together, atol=1e-6, rtol=1e-6)
