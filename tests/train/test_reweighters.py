"""Reweighting against the papers' formulas, written out sample by sample and token by token."""

import math

import numpy as np
import pytest
import torch

from seedbed.core.errors import SeedbedError
from seedbed.train.contract import Progress
from seedbed.train.reweighters.extremes import Extremes
from seedbed.train.reweighters.lin_upper import LinUpper
from seedbed.train.reweighters.quadratic import Quadratic
from seedbed.train.reweighters.rho_1 import Rho1
from seedbed.train.reweighting import centred, heaviest, sample_losses

STRATEGIES = {
    LinUpper: lambda h, d: min(h + d, d),
    Quadratic: lambda h, d: 1 - h * h / (d * d),
    Extremes: lambda h, d: abs(h),
}
LATE = Progress(900, 1000)


def batch(seed: int, rows: int = 7, length: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    """Losses and ragged weights."""
    rng = torch.Generator().manual_seed(seed)
    loss = torch.randn(rows, length, generator=rng).exp()
    weight = (torch.rand(rows, length, generator=rng) < 0.7).float()
    weight[:, 0] = 1.0
    return loss, weight


def by_hand(cls, loss, weight, r: float, d: float, length_weighting: bool) -> list[list[float]]:
    """The released trainer's arithmetic, in plain Python, scaled to keep the sum of the weights."""
    rows = [(row.tolist(), kept.tolist()) for row, kept in zip(loss.double(), weight.double(), strict=True)]
    means = [sum(a * b for a, b in zip(row, kept, strict=True)) / sum(kept) for row, kept in rows]
    low, high = min(means), max(means)
    hs = [2 * d * mean / (high - low) - d * (high + low) / (high - low) for mean in means]
    powers = [math.exp(STRATEGIES[cls](h, d) / r) for h in hs]
    shares = [power / sum(powers) for power in powers]
    if length_weighting:
        shares = [share * sum(kept) for share, (_, kept) in zip(shares, rows, strict=True)]
        shares = [share / sum(shares) for share in shares]
    total = sum(sum(kept) for _, kept in rows)
    return [[b * share * total / sum(kept) for b in kept] for share, (_, kept) in zip(shares, rows, strict=True)]


@pytest.mark.parametrize("length_weighting", [False, True])
@pytest.mark.parametrize(("r", "d"), [(1.0, 1.0), (0.4, 1.0), (0.1, 1.0), (0.7, 2.5)])
@pytest.mark.parametrize("cls", STRATEGIES)
def test_weights_are_the_formulas(cls, r, d, length_weighting):
    loss, weight = batch(3)
    method = cls(temperature=r, spread=d, length_weighting=length_weighting)
    found = method.weights(loss, weight, LATE)
    expected = torch.tensor(by_hand(cls, loss, weight, r, d, length_weighting))
    torch.testing.assert_close(found, expected.float())
    assert found.dtype == weight.dtype
    assert float(found.sum()) == pytest.approx(float(weight.sum()), rel=1e-6)
    assert not found[weight == 0].any()


@pytest.mark.parametrize("cls", STRATEGIES)
def test_switched_off_it_is_uniform_to_the_bit(cls):
    loss, weight = batch(0)
    weight *= 0.3
    for length_weighting in (False, True):
        assert cls(temperature=None, length_weighting=length_weighting).weights(loss, weight, LATE) is weight
    assert cls(burn_in=0.95).weights(loss, weight, LATE) is weight
    assert cls(burn_in=0.9).weights(loss, weight, LATE) is not weight
    equal = torch.full_like(loss, 1.1)
    assert torch.equal(cls().weights(equal, torch.ones_like(loss), LATE), torch.ones_like(loss))
    assert cls().weights(loss[:1], weight[:1], LATE) is weight[:1] or torch.equal(
        cls().weights(loss[:1], weight[:1], LATE), weight[:1]
    )


@pytest.mark.parametrize("cls", STRATEGIES)
def test_shares_sum_to_one_and_know_neither_scale_nor_origin(cls):
    loss = torch.randn(128, generator=torch.Generator().manual_seed(1)).double().exp()
    shares = cls().shares(loss)
    assert float(shares.sum()) == pytest.approx(1, abs=1e-14)
    assert float((cls().shares(3 * loss + 7) - shares).abs().max()) < 1e-15
    assert float((cls(temperature=1e3).shares(loss) - 1 / 128).abs().max()) < 1e-2 / 128
    assert float((cls().shares(loss.float() * 1e-6 + 10) * 128).max()) < 3  # losses that differ in their last bits


def test_the_three_shapes():
    loss = torch.linspace(2.0, 4.0, 101).double()
    lin, mid, ends = (cls().shares(loss) for cls in (LinUpper, Quadratic, Extremes))
    assert (lin.diff()[:50] > 0).all()
    assert (lin.diff()[50:].abs() < 1e-15).all()
    for symmetric in (mid, ends):
        torch.testing.assert_close(symmetric, symmetric.flip(0))
    assert int(mid.argmax()) == int(ends.argmin()) == 50
    assert torch.equal(ends.argsort(stable=True)[-2:].sort().values, torch.tensor([0, 100]))
    assert (mid[:50].diff() > 0).all()
    assert (ends[:50].diff() < 0).all()
    assert centred(loss, 2.0)[[0, 50, 100]].tolist() == pytest.approx([-2, 0, 2])


def test_the_bound_of_the_paper_can_be_seen():
    loss = torch.from_numpy(np.random.default_rng(0).lognormal(size=128))
    assert heaviest(LinUpper(temperature=1.0).shares(loss)) < 2
    assert heaviest(Extremes(temperature=0.1).shares(loss)) > 2
    assert heaviest(torch.full((8,), 1 / 8)) == 1


def test_a_row_without_a_token_to_train_on_stays_out():
    loss, weight = batch(5)
    loss[2], weight[2] = 1e9, 0.0
    kept = torch.arange(len(loss)) != 2
    found = LinUpper().weights(loss, weight, LATE)
    torch.testing.assert_close(found[kept], LinUpper().weights(loss[kept], weight[kept], LATE))
    assert not found[2].any()
    poisoned = loss.masked_fill(weight == 0, torch.nan)
    torch.testing.assert_close(LinUpper().weights(poisoned, weight, LATE), found)
    assert sample_losses(poisoned, weight)[0].isfinite().all()


def test_the_gradient_is_the_weighted_sum_of_the_samples_gradients():
    """By finite differences with the weights held still: nothing flows through the weights."""
    theta = torch.tensor([0.3, -0.2], dtype=torch.float64, requires_grad=True)
    x, y = torch.randn(2, 6, 4, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    weight = torch.ones(6, 4, dtype=torch.float64)

    def losses(at: torch.Tensor) -> torch.Tensor:
        return (x @ at - y[..., 0]) ** 2

    held = LinUpper().weights(losses(theta).detach(), weight, LATE)
    loss = (losses(theta) * LinUpper().weights(losses(theta).detach(), weight, LATE)).sum() / weight.sum()
    (grad,) = torch.autograd.grad(loss, theta)
    for i in range(2):
        step = torch.zeros(2, dtype=torch.float64)
        step[i] = 1e-6
        with torch.no_grad():
            up, down = (((losses(theta + sign * step) * held).sum() / weight.sum()) for sign in (1, -1))
        assert float(grad[i]) == pytest.approx(float((up - down) / 2e-6), rel=1e-6)


@pytest.mark.parametrize("keep", [0.1, 0.34, 0.6, 0.95])
@pytest.mark.parametrize("seed", range(5))
def test_rho_selects_by_brute_force(keep, seed):
    loss, weight = batch(seed)
    reference = batch(seed + 50)[0]
    found = Rho1(keep=keep).weights(loss, weight, LATE, reference)
    flat = [(float(a) - float(b), -i) for i, (a, b) in enumerate(zip(loss.flatten(), reference.flatten(), strict=True))]
    counted = [item for item, kept in zip(flat, weight.flatten(), strict=True) if kept > 0]
    best = sorted(counted, reverse=True)[: max(1, round(keep * len(counted)))]
    expected = torch.zeros(loss.numel())
    expected[[-i for _, i in best]] = len(counted) / len(best)
    torch.testing.assert_close(found, expected.view_as(loss))


def test_rho_gives_ties_to_the_first_and_keeps_the_sum():
    loss, weight = torch.ones(2, 5), torch.ones(2, 5)
    found = Rho1(keep=0.3).weights(loss, weight, LATE, torch.zeros(2, 5))
    assert found.flatten().tolist() == pytest.approx([10 / 3] * 3 + [0.0] * 7)
    assert Rho1(keep=1e-9).weights(loss, weight, LATE, torch.zeros(2, 5)).flatten().tolist() == [10.0] + [0.0] * 9


def test_rho_that_keeps_all_is_causal_lm_to_the_bit():
    loss, weight = batch(0)
    weight *= 0.3
    assert Rho1(keep=1.0).weights(loss, weight, LATE, loss * 0.5) is weight


def test_rho_gives_no_gradient_to_unselected_tokens():
    rng = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 6, 11, generator=rng, requires_grad=True)
    targets = torch.randint(11, (3, 6), generator=rng)
    loss = torch.nn.functional.cross_entropy(logits.transpose(1, 2), targets, reduction="none")
    weight = Rho1(keep=0.5).weights(loss.detach(), torch.ones(3, 6), LATE, torch.rand(3, 6, generator=rng))
    (grad,) = torch.autograd.grad((loss * weight).sum() / 18, logits)
    assert (grad[weight == 0] == 0).all()
    assert (grad[weight > 0].abs().sum(-1) > 0).all()
    assert int((weight > 0).sum()) == 9
    torch.testing.assert_close((loss * weight).sum() / 18, loss[weight > 0].mean())


def test_rho_without_a_reference_is_an_error():
    assert Rho1.needs_reference
    with pytest.raises(SeedbedError, match="no reference model"):
        Rho1().weights(*batch(0), LATE)


def first_below(losses: np.ndarray, target: float) -> int:
    return int(np.argmax(losses < target)) if (losses < target).any() else len(losses)


def regression(method: LinUpper, seed: int) -> int:
    """Steps of SGD until the test loss is low: a few hard directions among many samples that are learned at once."""
    rng = torch.Generator().manual_seed(seed)
    scale = torch.tensor([1.0] * 6 + [4.0] * 2)
    truth = torch.randn(8, generator=rng)

    def draw(rows: int) -> torch.Tensor:
        rare = torch.rand(rows, 1, generator=rng) < 0.1
        mask = torch.where(rare, torch.tensor([0.0] * 6 + [1.0] * 2), torch.tensor([1.0] * 6 + [0.0] * 2))
        return torch.randn(rows, 8, generator=rng) * mask * scale

    at, test = torch.zeros(8), draw(2000)
    found = []
    for _ in range(150):
        x = draw(64)
        loss_BT = ((x @ (at - truth)) ** 2)[:, None]
        weight_BT = method.weights(loss_BT, torch.ones(64, 1), LATE)
        at = at - 0.02 * (2 * weight_BT * (x @ (at - truth))[:, None] * x).sum(0) / 64
        found.append(float(((test @ (at - truth)) ** 2).mean()))
    return first_below(np.array(found), 0.05 * float(((test @ truth) ** 2).mean()))


def test_lin_upper_converges_sooner_than_uniform_on_linear_regression():
    """Statistically, on samples of which most are soon solved: less weight on those leaves more for the others."""
    gains = [
        regression(LinUpper(temperature=None), seed) - regression(LinUpper(temperature=0.4), seed) for seed in range(8)
    ]
    assert np.mean(gains) > 10
