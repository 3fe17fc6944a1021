"""Pruning while training: the published ramp, compute as it is counted, and a loop that stays exact."""

import dataclasses
import itertools
import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from seedbed.core import parameters
from seedbed.core.errors import RecipeError
from seedbed.model import counts
from seedbed.model.checkpoint import load_model
from seedbed.model.transformer import initial_model
from seedbed.model.weights import Weight, weights_of
from seedbed.train.contract import Progress
from seedbed.train.optimizers.muon import Muon
from seedbed.train.plan import Checkpoints
from seedbed.train.pruning import FLOPS_PER_WEIGHT, Pruner, account, saving
from seedbed.train.prunings.gradual_magnitude import GradualMagnitude
from seedbed.train.run import TrainResult, train
from tests.train.killed_run import CONTEXT, plan
from tests.train.markov_language import source

SCRIPT = Path(__file__).with_name("killed_pruning.py")
BATCH = 4 * CONTEXT
PRUNING = GradualMagnitude(sparsity_at_end=0.8, times=8)


def at(done: float, total: int = 1_000_000) -> Progress:
    return Progress(round(done * total), total)


def chain():
    return source(60, context=CONTEXT)


def run(folder: Path, pruning=PRUNING, **about) -> TrainResult:
    changed = {name: about.pop(name) for name in ("optimizer", "tokens", "checkpoints", "stability") if name in about}
    return train(plan(pruning=pruning, **changed), chain(), seed=3, folder=folder, **about)


def same(a: TrainResult, b: TrainResult) -> bool:
    files = ("model.safetensors", "optimizer.safetensors", "optimizer.json", "log.parquet", "state.json")
    return all((a.folder / name).read_bytes() == (b.folder / name).read_bytes() for name in files)


def zeros(model) -> dict[str, torch.Tensor]:
    return {weight.name: weight.parameter.detach() == 0 for weight in weights_of(model)}


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> TrainResult:
    return run(tmp_path_factory.mktemp("pruned"))


def test_the_ramp_is_zhu_and_guptas():
    # s_t = s_f + (s_i - s_f) (1 - (t - t_0) / (n Delta))^3 at t = t_0 + k Delta; their s_i is 0 here
    ramp = GradualMagnitude(sparsity_at_end=0.9, start=0.2, end=0.7, unit="tokens", ramp="cubic", times=50)
    for k in (0, 1, 7, 25, 49, 50):
        expected = 0.9 + (0 - 0.9) * (1 - k / 50) ** 3
        assert ramp.sparsity(at(0.2 + 0.01 * k + 1e-6), 0.8) == pytest.approx(expected, abs=1e-12)
        assert ramp.sparsity(at(0.2 + 0.01 * k + 0.009), 0.8) == pytest.approx(expected, abs=1e-12)
    assert ramp.sparsity(at(0.1999), 0.8) == 0
    assert ramp.sparsity(at(1.0), 0.8) == 0.9
    linear = dataclasses.replace(ramp, ramp="linear")
    assert linear.sparsity(at(0.451), 0.8) == pytest.approx(0.45)


def test_the_default_ramp_takes_an_equal_share_of_what_is_left_each_time():
    # the release: per step 1 - (1 - target)^(1 / n) of the remaining weights, n times
    ramp, left = GradualMagnitude(sparsity_at_end=0.75, start=0.2, end=0.7, unit="tokens", times=10), 1.0
    share = 1 - (1 - 0.75) ** (1 / 10)
    for step in range(11):
        assert ramp.sparsity(at(0.2 + 0.05 * step + 1e-6), 0.8) == pytest.approx(1 - left, abs=1e-12)
        left *= 1 - share


@pytest.mark.parametrize("start", [0.0, 0.25, 0.6])
@pytest.mark.parametrize("end", [0.6, 0.75, 1.0])
@pytest.mark.parametrize("ramp", ["geometric", "cubic", "linear"])
def test_start_and_end_are_fractions_of_the_compute_that_is_spent(start, end, ramp):
    rule, share = GradualMagnitude(start=start, end=end, ramp=ramp, times=10), 0.7
    points = (np.arange(100_000) + 0.5) / 100_000
    sparsity = np.array([rule.sparsity(at(p, 10**9), share) for p in points])
    spent = np.cumsum(1 - share * sparsity)
    first, last = rule.span(share)
    assert rule.compute(share) == pytest.approx(spent[-1] / len(points), abs=2e-5)
    in_tokens = GradualMagnitude(start=first, end=last, unit="tokens", ramp=ramp, times=10)
    assert in_tokens.compute(share) == pytest.approx(rule.compute(share), rel=1e-9)
    for fraction, token in ((start, first), (end, last)):
        assert np.interp(token, points, spent / spent[-1], left=0) == pytest.approx(fraction, abs=2e-5)
    assert np.all(np.diff(sparsity) >= 0)
    assert rule.sparsity(at(1.0), share) == rule.sparsity_at_end


def test_the_preset_is_the_published_quarter_to_three_quarters_of_compute():
    assert (GradualMagnitude().start, GradualMagnitude().end, GradualMagnitude().unit) == (0.25, 0.75, "compute")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"start": 0.5, "end": 0.4}, "before the start"),
        ({"sparsity_at_end": 1.0}, "sparsity_at_end"),
        ({"start": -0.1}, "start"),
        ({"times": 0}, "times"),
    ],
)
def test_what_cannot_be_meant_is_refused(given, said):
    with pytest.raises(RecipeError, match=said):
        GradualMagnitude(**given)


def test_the_smallest_magnitudes_go_and_ties_do_not_go_too_far():
    matrix = torch.nn.Parameter(torch.tensor([[3.0, -1.0, -2.0, -0.5], [0.25, -5.0, 1.0, 1.0]]))
    asked = plan(pruning=GradualMagnitude(sparsity_at_end=0.5, start=0, end=0))
    Pruner(asked, [Weight("m", matrix, "matrix")], asked.at(0))
    assert matrix.tolist() == [[3.0, 0.0, -2.0, 0.0], [0.0, -5.0, 0.0, 1.0]]


def test_shards_of_matrices_are_refused():
    matrix = torch.nn.Parameter(torch.ones(2, 2))
    matrix.full_tensor = lambda: matrix  # as torch's DTensor has it
    with pytest.raises(RecipeError, match="fsdp"):
        Pruner(plan(pruning=PRUNING), [Weight("m", matrix, "matrix")], at(0))
    Pruner(plan(), [Weight("m", matrix, "matrix")], at(0))


def test_magnitudes_are_compared_over_all_matrices_or_in_each():
    values = [[8.0, 7.0, 6.0, -5.0], [-4.0, 3.0, 2.0, 1.0]]
    for scope, left in (("model", [[8, 7, 6, -5], [0, 0, 0, 0]]), ("matrix", [[8, 7, 0, 0], [-4, 3, 0, 0]])):
        matrices = [torch.nn.Parameter(torch.tensor(row).view(2, 2)) for row in values]
        asked = plan(pruning=GradualMagnitude(start=0, end=0, scope=scope))
        pruner = Pruner(asked, [Weight("m", matrix, "matrix") for matrix in matrices], asked.at(0))
        assert [matrix.view(-1).tolist() for matrix in matrices] == left
        assert pruner.off == 4


def test_what_is_off_is_chosen_again_whatever_is_important():
    class Largest(GradualMagnitude):
        def importance(self, weight):
            return -weight.abs()

    matrix = torch.nn.Parameter(torch.arange(1.0, 11.0).view(2, 5))
    asked = plan(pruning=Largest(sparsity_at_end=0.6, start=0.0, end=1.0, unit="tokens", ramp="linear", times=6))
    pruner = Pruner(asked, [Weight("m", matrix, "matrix")], asked.at(0))
    for part, left in ((0.35, 8), (1.0, 4)):
        pruner.prune(asked.at(round(part * asked.total_tokens)))
        assert matrix.view(-1).tolist() == [*range(1, left + 1), *[0] * (10 - left)]


@pytest.mark.parametrize("scope", ["model", "matrix"])
def test_the_matrices_of_the_blocks_end_at_the_sparsity_and_nothing_else_does(tmp_path, whole, scope):
    model = whole.model if scope == "model" else run(tmp_path, dataclasses.replace(PRUNING, scope=scope)).model
    zeros_of, size = [0, 0], 0
    for weight in weights_of(model):
        found = int((weight.parameter == 0).sum())
        zeros_of[weight.kind == "matrix"] += found
        if weight.kind == "matrix":
            size += weight.parameter.numel()
            assert scope == "model" or found == pytest.approx(0.8 * weight.parameter.numel(), abs=1)
    assert zeros_of == [0, round(0.8 * size)]
    assert any(weight.kind == "embedding" for weight in weights_of(model))


@pytest.mark.parametrize("optimizer", [plan().optimizer, Muon()])
def test_sparsity_never_falls_short_and_what_is_off_stays_off(tmp_path, optimizer):
    kept = Checkpoints(every_steps=1, keep_last=30, background=False)
    result = run(tmp_path, optimizer=optimizer, checkpoints=kept)
    asked = plan(pruning=PRUNING)
    models = [load_model(folder)[0] for folder in sorted(result.folder.parent.glob("step-*"))]
    matrices = {weight.name for weight in weights_of(models[0]) if weight.kind == "matrix"}
    size = sum(zeros(models[0])[name].numel() for name in matrices)
    share = saving(asked.shape, size)
    for step, (before, after) in enumerate(itertools.pairwise(models), 2):
        wanted = PRUNING.sparsity(asked.at(step * BATCH), share)
        assert sum(int(zeros(after)[name].sum()) for name in matrices) == round(wanted * size)
        for name in matrices:
            off = zeros(after)[name]
            assert torch.all(off[zeros(before)[name]])
            alive = dict(after.named_parameters())[name][~off]
            assert (alive != dict(before.named_parameters())[name][~off]).float().mean() > 0.9


def test_without_pruning_nothing_differs(tmp_path):
    off = run(tmp_path / "off", pruning=None)
    never = run(tmp_path / "never", pruning=GradualMagnitude(sparsity_at_end=0.0))
    for name in ("model.safetensors", "optimizer.safetensors", "log.parquet"):
        assert (off.folder / name).read_bytes() == (never.folder / name).read_bytes()
    assert off.state.idle == off.off == 0
    assert account(plan(), off.state, off.off) == {}


def test_gradients_of_what_is_off_count_in_no_norm(whole):
    model, asked = whole.model, plan(pruning=PRUNING)
    pruner = Pruner(asked, weights_of(model), asked.at(asked.total_tokens))
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    pruner.hold_gradients()
    for weight in weights_of(model):
        assert weight.parameter.grad is not None
        expected = (weight.parameter != 0).float() if weight.kind == "matrix" else torch.ones_like(weight.parameter)
        assert torch.equal(weight.parameter.grad, expected)
    model.zero_grad(set_to_none=True)


@pytest.mark.parametrize("step", [1, 4, 9, 13, 14, 17, 22])
def test_stopped_anywhere_and_asked_again_it_ends_in_the_same_bits(whole, tmp_path, step):
    run(tmp_path, until_tokens=step * BATCH)
    again = run(tmp_path)
    assert again.resumed_from_step == step
    assert same(again, whole)
    assert again.off == whole.off


def test_killed_without_warning_it_ends_in_the_same_bits(whole, tmp_path):
    command = [sys.executable, str(SCRIPT), str(tmp_path), "13"]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    again = run(tmp_path)
    assert again.resumed_from_step == 10
    assert same(again, whole)


def test_average_active_and_flops_are_those_of_the_steps(whole):
    asked, told = plan(pruning=PRUNING), account(plan(pruning=PRUNING), whole.state, whole.off)
    matrices = [w.parameter.numel() for w in weights_of(whole.model) if w.kind == "matrix"]
    share = 2 * CONTEXT * sum(matrices) / counts.forward_flops(asked.shape, 1, CONTEXT)
    assert share == saving(asked.shape, sum(matrices))
    off = [round(PRUNING.sparsity(asked.at(step * BATCH), share) * sum(matrices)) for step in range(asked.steps)]
    params = counts.total_parameters(asked.shape)
    assert told["average_params"] == pytest.approx(params - np.mean(off), rel=1e-12)
    assert told["active_params"] == params - round(0.8 * sum(matrices))
    assert told["average_params"] - told["average_params_non_embedding"] == pytest.approx(
        params - counts.non_embedding_parameters(asked.shape)
    )
    assert told["flops_active"] == pytest.approx(whole.state.flops - 6 * np.sum(off) * BATCH)
    assert FLOPS_PER_WEIGHT == 6
    assert whole.log["flops"][-1].as_py() == whole.state.flops == round(24 * counts.training_flops(asked.shape, 4, 16))
    # and the ramp lies where it should in that compute
    flops = (
        np.cumsum(counts.training_flops(asked.shape, 4, CONTEXT) - 6.0 * BATCH * np.array(off)) / told["flops_active"]
    )
    first = next(step for step, n in enumerate(off) if n)
    assert flops[first - 2] == pytest.approx(0.25, abs=2 / 24)


def test_a_skipped_step_moves_nothing_but_pruning_goes_on(tmp_path):
    model = initial_model(plan().shape, 0)
    asked = plan(pruning=PRUNING)
    pruner = Pruner(asked, weights_of(model), asked.at(0))
    assert pruner.off == 0
    pruner.prune(asked.at(asked.total_tokens))
    once = pruner.off
    pruner.prune(asked.at(asked.total_tokens))
    assert pruner.off == once == round(0.8 * sum(w.parameter.numel() for w in weights_of(model) if w.kind == "matrix"))


def test_a_plan_with_pruning_is_read_back(tmp_path):
    from seedbed import catalogue
    from seedbed.train.plan import TrainPlan

    told = json.loads(json.dumps(parameters.encode(plan(pruning=PRUNING))))
    again = parameters.decode(TrainPlan, told, "train", catalogue.build)
    assert again.pruning == PRUNING
    named = parameters.decode(
        TrainPlan, {**told, "pruning": "train.prunings.gradual_magnitude"}, "train", catalogue.build
    )
    assert named.pruning == GradualMagnitude()
