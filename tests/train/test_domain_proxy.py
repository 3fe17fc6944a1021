"""The proxy's loop: what it observes is what the model says, its step is the weighted one, a kill changes nothing."""

import dataclasses
import itertools
from pathlib import Path

import numpy as np
import pytest
import torch

from seedbed.core.errors import RecipeError, SeedbedError
from seedbed.model import counts
from seedbed.model.runtime import Runtime
from seedbed.model.transformer import initial_model
from seedbed.train.batches import Reader
from seedbed.train.domain_losses import Passes
from seedbed.train.domain_proxy import ProxyPlan, train_proxy
from seedbed.train.objectives.causal_lm import CausalLM
from seedbed.train.step import to_device
from tests.train.killed_run import CONTEXT, plan
from tests.train.markov_language import source

D = 3


class StopError(Exception):
    """Ends a run from an observer."""


def domains(count: int = D, **about):
    return {f"d{d}": source(40, context=CONTEXT, name=f"d{d}", salt=d, **about) for d in range(count)}


def asked(**about) -> ProxyPlan:
    given = {"train": plan(batch_sequences=6, tokens=20 * 6 * CONTEXT), "share_D": (0.6, 0.3, 0.1)}
    return ProxyPlan(**{**given, "first_D": (1 / D,) * D, **about})


def keep(weight_D, seen):
    return weight_D


def to_losses(weight_D, seen):
    raised = weight_D * np.exp(np.nan_to_num(seen.observed.excess_D))
    return raised / raised.sum()


def batch_of(proxy: ProxyPlan):
    """The first batch, and which rows are whose."""
    reader = Reader(proxy.plan([f"d{d}" for d in range(D)]), domains(), 3)
    arrays = reader.arrays(next(reader.jobs(0, {}, {}, 1)))
    rows = [[r for r, (name, _) in enumerate(arrays.job.draw.rows) if name == f"d{d}"] for d in range(D)]
    return to_device(arrays, torch.device("cpu")), rows


def passes(seed: int = 3, reference=None, limit: float = np.inf) -> Passes:
    return Passes(initial_model(asked().train.shape, seed), reference, CausalLM(), limit, Runtime())


def gradients(some: Passes) -> torch.Tensor:
    return torch.cat([parameter.grad.reshape(-1) for parameter in some.parameters])


@pytest.mark.parametrize("by", ["losses", "gradients"])
def test_killed_and_resumed_is_the_same_to_the_bit(by, tmp_path: Path):
    proxy = asked(gradients=by == "gradients", sampling="pool", share_D=(0.9, 0.07, 0.03))
    targets = {"t": source(20, context=CONTEXT, name="t", salt=7)}
    reference = initial_model(proxy.train.shape, 9)

    def run(folder: Path, observe=None):
        given = {"seed": 3, "folder": folder, "targets": targets, "reference": reference, "observe": observe}
        return train_proxy(proxy, domains(), to_losses, **given)

    def stop(step, seen):
        if step == 13:
            raise StopError

    whole = run(tmp_path / "whole")
    with pytest.raises(StopError):
        run(tmp_path / "killed", stop)
    again = run(tmp_path / "killed")
    assert (whole.resumed_from_step, again.resumed_from_step) == (0, 10)
    assert np.array_equal(whole.step_weight_SD, again.step_weight_SD)
    assert whole.step_weight_SD.shape == (20, D)
    assert all(torch.equal(a, b) for a, b in zip(whole.model.parameters(), again.model.parameters(), strict=True))
    aimed = 2 if by == "gradients" else 0
    shape = proxy.train.shape
    step = counts.training_flops(shape, 6 + aimed, CONTEXT) + counts.forward_flops(shape, 6, CONTEXT)
    assert whole.flops == again.flops == pytest.approx(20 * step)
    assert again.cost.flops == pytest.approx(10 * step)


@pytest.mark.parametrize("by", ["losses", "gradients"])
def test_excess_is_clipped_token_by_token(by):
    some, reference = passes(3), initial_model(asked().train.shape, 5)
    batch, row_D = batch_of(asked())
    seen = []

    def weigh(observed):
        seen.append(observed)
        return np.full(D, 1 / D)

    given = dataclasses.replace(some, reference=reference)
    given.by_losses(batch, row_D, weigh) if by == "losses" else given.by_gradients(batch, row_D, None, weigh)
    with torch.no_grad():
        excess = CausalLM().losses(some.model, batch) - CausalLM().losses(reference, batch)
    by_hand = [float(excess[rows].clamp(min=0).mean()) for rows in row_D]
    assert seen[0].excess_D == pytest.approx(by_hand, rel=1e-5)
    clipped_late = [max(0.0, float(excess[rows].mean())) for rows in row_D]
    assert (np.array(by_hand) > np.array(clipped_late) + 1e-3).all()


def test_the_step_is_along_the_weighted_losses_either_way():
    weight_D = np.array([0.2, 0.7, 0.1])
    batch, row_D = batch_of(asked())
    one, other, by_hand = passes(), passes(), passes()
    one.by_losses(batch, row_D, lambda observed: weight_D)
    other.by_gradients(batch, row_D, None, lambda observed: weight_D)
    loss_BT = CausalLM().losses(by_hand.model, batch)
    sum(weight_D[d] * loss_BT[row_D[d]].mean() for d in range(D)).backward()
    assert torch.allclose(gradients(one), gradients(by_hand), atol=1e-7)
    assert torch.allclose(gradients(other), gradients(by_hand), atol=1e-7)


def test_a_domain_that_is_not_there_has_nan_and_the_others_share_its_weight():
    batch, row_D = batch_of(asked())
    row_D[1] = []
    one, other, seen = passes(), passes(), []

    def weigh(observed):
        seen.append(observed)
        return np.array([0.2, 0.6, 0.2])

    one.by_losses(batch, row_D, weigh)
    other.by_gradients(batch, row_D, None, weigh)
    assert [np.isnan(s.loss_D).tolist() for s in seen] == [[False, True, False]] * 2
    assert np.isnan(seen[1].alignment_D).tolist() == [False, True, False]
    assert torch.allclose(gradients(one), gradients(other), atol=1e-7)


def test_alignment_is_how_fast_the_targets_losses_fall():
    some = passes()
    some.model.double()
    batch, row_D = batch_of(asked())
    seen = []

    def weigh(observed):
        seen.append(observed)
        return np.full(D, 1 / D)

    some.by_gradients(batch, row_D, None, weigh)
    found = [some.gradient(batch, rows)[2] for rows in row_D]

    def summed_loss() -> float:
        with torch.no_grad():
            return sum(float(CausalLM().losses(some.model, batch)[rows].double().mean()) for rows in row_D)

    for d in range(D):
        slopes = []
        for sign in (1, -1):
            for parameter, g in zip(some.parameters, found[d], strict=True):
                parameter.data += sign * 1e-4 * g
            slopes.append(summed_loss())
            for parameter, g in zip(some.parameters, found[d], strict=True):
                parameter.data -= sign * 1e-4 * g
        assert seen[0].alignment_D[d] == pytest.approx((slopes[0] - slopes[1]) / 2e-4, rel=2e-3)
        assert seen[0].norm_D[d] == pytest.approx(np.sqrt(sum(float(g.square().sum()) for g in found[d])))


def test_gradients_are_clipped_each_by_itself():
    batch, row_D = batch_of(asked())
    seen = []

    def weigh(observed):
        seen.append(observed)
        return np.array([1.0, 0.0, 0.0])

    some = passes(limit=0.01)
    some.by_gradients(batch, row_D, None, weigh)
    assert seen[0].norm_D == pytest.approx(0.01, rel=1e-3)
    assert float(gradients(some).norm()) == pytest.approx(0.01, rel=1e-3)


def test_an_absent_domain_keeps_its_last_excess(tmp_path: Path):
    told = []
    proxy = asked(sampling="pool", share_D=(0.9, 0.09, 0.01))
    train_proxy(
        proxy, domains(), keep, seed=3, folder=tmp_path,
        observe=lambda step, seen: told.append((seen.observed.loss_D.copy(), seen.observed.excess_D.copy())),
    )  # fmt: skip
    assert np.isnan(told[0][1][2])  # never seen
    for (_, before), (loss_D, excess_D) in itertools.pairwise(told):
        absent = np.isnan(loss_D)
        assert np.array_equal(excess_D[absent], before[absent], equal_nan=True)
        assert (excess_D[~absent] == loss_D[~absent]).all()  # nothing is subtracted
    assert sum(np.isnan(loss_D[1]) for loss_D, _ in told) > 3


def test_the_targets_are_read_on_and_on(tmp_path: Path):
    target, read = source(20, context=CONTEXT, name="t", salt=7), []
    reading = target.reading

    def watched(index):
        read.append(index)
        return reading(index)

    target.reading = watched
    train_proxy(asked(gradients=True), domains(), keep, seed=3, folder=tmp_path, targets={"t": target})
    assert sorted(set(read)) == list(range(2 * 20))  # as many of each target as of each domain, at each step


def test_small_batches_and_losses_that_are_no_number_are_refused(tmp_path: Path):
    small = asked(train=plan(batch_sequences=2))
    with pytest.raises(RecipeError, match="batches of 2 sequences cannot hold each of 3 domains"):
        train_proxy(small, domains(), keep, seed=3, folder=tmp_path)
    broken = passes()
    broken.model.model.norm.weight.data[0] = np.nan
    batch, row_D = batch_of(asked())
    with pytest.raises(SeedbedError, match="its loss is nan"):
        broken.by_losses(batch, row_D, lambda observed: np.full(D, 1 / D))
