"""Self-distilled further pre-training: its gradient in closed form, its promises in the loop, and what it is for."""

import copy
import dataclasses
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.nn import functional

from seedbed.core.errors import RecipeError, SeedbedError
from seedbed.model import counts
from seedbed.model.shape import ModelShape
from seedbed.model.tensors import read_tensors
from seedbed.model.transformer import Decoder, initial_model
from seedbed.train.contract import Batch, Objective, Reading, Reweighter
from seedbed.train.objectives.causal_lm import CausalLM
from seedbed.train.objectives.self_distillation import SelfDistillation
from seedbed.train.reweighters.rho_1 import Rho1
from seedbed.train.run import Report, TrainResult, train
from tests.train.killed_run import CONTEXT, plan
from tests.train.markov_language import VOCAB, source

SHAPE = plan().shape


def chain(**about):
    return source(60, context=CONTEXT, **about)


def taught(folder: Path, teacher: Decoder | None, weight: float = 1.0, **about) -> TrainResult:
    asked = plan(objective=SelfDistillation(distance_weight=weight), **about.pop("plan", {}))
    return train(asked, chain(), seed=3, folder=folder, teacher=teacher, **about)


@pytest.fixture(scope="module")
def teacher() -> Decoder:
    return initial_model(SHAPE, 8)


@pytest.fixture(scope="module")
def whole(tmp_path_factory, teacher) -> TrainResult:
    return taught(tmp_path_factory.mktemp("taught"), teacher)


def batch(rows: int = 3, length: int = CONTEXT) -> Batch:
    ids = torch.randint(VOCAB, (rows, length + 1), generator=torch.Generator().manual_seed(0))
    return Batch(ids[:, :-1], ids[:, 1:], torch.ones(rows, length))


def with_lesson(objective: Objective, teacher: Decoder, given: Batch) -> Batch:
    with torch.no_grad():
        return dataclasses.replace(given, lesson=objective.lesson(teacher, given))


def test_it_reads_and_asks_as_causal_lm_does():
    reading = Reading.of(np.arange(10, 20))
    mine, theirs = (objective.example(reading, 3) for objective in (SelfDistillation(), CausalLM()))
    for one, other in zip(dataclasses.astuple(mine)[:3], dataclasses.astuple(theirs)[:3], strict=True):
        assert one.tolist() == other.tolist()
    with pytest.raises(ValueError, match="two tokens"):
        SelfDistillation().example(Reading.of(np.arange(1)), 0)


@pytest.mark.parametrize("strength", [0.25, 1.0, 3.0])
def test_the_gradient_is_the_closed_form(strength):
    """By hand, for hidden states that are parameters: (softmax(z) - onehot) W + 2 lambda (h - t), a weight each."""
    rng = np.random.default_rng(0)
    B, T, C, V = 2, 3, 4, 5
    h, t, W = rng.normal(size=(B, T, C)), rng.normal(size=(B, T, C)), rng.normal(size=(V, C))
    target, weight = rng.integers(V, size=(B, T)), rng.random((B, T))
    z = h @ W.T
    p = np.exp(z - z.max(-1, keepdims=True))
    p /= p.sum(-1, keepdims=True)
    by_hidden = (p - np.eye(V)[target]) @ W + 2 * strength * (h - t)
    expected = by_hidden * weight[..., None] / weight.sum()
    hidden = torch.tensor(h, dtype=torch.float32, requires_grad=True)
    model = SimpleNamespace(hidden=lambda *_: hidden, head_weight=torch.tensor(W, dtype=torch.float32))
    ids, given = torch.from_numpy(target), torch.tensor(weight, dtype=torch.float32)
    lesson = torch.tensor(t, dtype=torch.float32, requires_grad=True)
    loss_BT = SelfDistillation(strength).losses(model, Batch(ids, ids, given, lesson=lesson))
    np.testing.assert_allclose(
        loss_BT.detach(), -np.log(np.take_along_axis(p, target[..., None], 2))[..., 0], rtol=1e-5
    )
    torch.autograd.backward((loss_BT * given).sum() / given.sum())
    np.testing.assert_allclose(hidden.grad, expected, rtol=1e-4, atol=1e-6)
    assert lesson.grad is None, "the teacher is held still"


def test_a_decoders_gradient_is_that_of_both_terms_written_out(teacher):
    model, other = initial_model(SHAPE, 2), initial_model(SHAPE, 2)
    objective, given = SelfDistillation(0.7), batch()
    loss_BT = objective.losses(model, with_lesson(objective, teacher, given))
    torch.autograd.backward(loss_BT.mean())
    nats = functional.cross_entropy(other(given.inputs_BT).flatten(0, 1), given.targets_BT.flatten())
    gap = other.hidden(given.inputs_BT) - teacher.hidden(given.inputs_BT).detach()
    torch.autograd.backward(nats + 0.7 * gap.square().sum(2).mean())
    assert float(loss_BT.detach().mean()) == pytest.approx(float(nats.detach()), rel=1e-6), (
        "the distance is not added in"
    )
    for one, two in zip(model.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(one.grad, two.grad, rtol=1e-4, atol=1e-6)
    assert all(parameter.grad is None for parameter in teacher.parameters())


def test_weight_zero_is_causal_lm_to_the_bit(tmp_path, teacher):
    plain = train(plan(), chain(), seed=3, folder=tmp_path / "plain")
    mine = taught(tmp_path / "mine", teacher, 0.0)
    for name in ("model.safetensors", "optimizer.safetensors"):
        assert (plain.folder / name).read_bytes() == (mine.folder / name).read_bytes()
    assert plain.log["loss_nats_per_token"].equals(mine.log["loss_nats_per_token"])


def test_what_is_logged_first_is_the_loss_that_causal_lm_would_log(tmp_path, whole):
    plain = train(plan(), chain(), seed=3, folder=tmp_path)
    mine, theirs = (run.log["loss_nats_per_token"].to_pylist() for run in (whole, plain))
    assert mine[0] == theirs[0]
    assert mine[1] != theirs[1]


def test_the_teachers_forward_pass_is_counted_and_the_teacher_stays_as_it_is(whole, teacher):
    once = counts.training_flops(SHAPE, 4, CONTEXT) + counts.forward_flops(SHAPE, 4, CONTEXT)
    assert whole.log["flops"].to_pylist() == [round(once) * step for step in range(1, 25)]
    untouched = initial_model(SHAPE, 8)
    assert all(torch.equal(a, b) for a, b in zip(teacher.parameters(), untouched.parameters(), strict=True))


class StopError(Exception):
    """Ends a run from an observer."""


@pytest.mark.parametrize("step", [4, 13])
def test_stopped_and_asked_again_it_ends_in_the_same_bits(whole, teacher, tmp_path, step):
    def observe(report: Report) -> None:
        if report.step == step:
            raise StopError

    with pytest.raises(StopError):
        taught(tmp_path, teacher, observe=observe)
    again = taught(tmp_path, teacher)
    assert again.resumed_from_step == step // 5 * 5
    for file in whole.folder.iterdir():
        assert file.read_bytes() == (again.folder / file.name).read_bytes(), file.name


@dataclasses.dataclass(frozen=True)
class Halved(Reweighter):
    """Half of every weight, for the losses of the batch as they come."""

    def weights(self, loss_BT, weight_BT, at, reference_BT=None):
        assert not loss_BT.requires_grad
        return weight_BT * 0.5


ABOUT = {"document_mask": {"document_mask": True}, "reweighter": {"reweighter": Halved()}, "plain": {}}


@pytest.mark.parametrize("about", ABOUT)
def test_micro_batches_change_rounding_alone(tmp_path, teacher, about):
    """First gradients, so that no optimizer blows rounding up: the moments after one step."""
    found = []
    for size in (None, 1, 3):
        asked = {**ABOUT[about], "micro_batch_sequences": size}
        run = taught(tmp_path / str(size), teacher, plan=asked, until_tokens=1)
        found.append((read_tensors(run.folder / "optimizer.safetensors"), run.log["loss_nats_per_token"][0].as_py()))
    for moments, loss in found[1:]:
        assert loss == pytest.approx(found[0][1], rel=1e-6)
        for name, tensor in moments.items():
            torch.testing.assert_close(tensor, found[0][0][name], rtol=1e-4, atol=1e-8)


def test_documents_bound_the_teachers_sight_too(teacher):
    given, objective = batch(1, 8), SelfDistillation()
    masked = dataclasses.replace(given, document_BT=torch.tensor([[0, 0, 0, 0, 1, 1, 1, 1]]))
    both, alone = objective.lesson(teacher, masked), objective.lesson(teacher, batch(1, 8))
    behind = Batch(given.inputs_BT[:, 4:], given.targets_BT[:, 4:], given.weight_BT[:, 4:])
    torch.testing.assert_close(both[:, 4:], objective.lesson(teacher, behind))
    assert not torch.allclose(both[:, 4:], alone[:, 4:])


def test_a_reweighter_compares_nats_and_scales_both_terms(tmp_path, teacher):
    """Rho-1 that keeps all is no reweighter; that keeps few, it selects by nats above the reference."""
    reference = initial_model(SHAPE, 9)
    runs = [
        taught(tmp_path / name, teacher, plan={"reweighter": reweighter}, reference=reference)
        for name, reweighter in (("none", None), ("all", Rho1(keep=1.0)), ("few", Rho1(keep=0.2)))
    ]
    none, every, few = (run.log["loss_nats_per_token"].to_pylist() for run in runs)
    assert every == none
    assert few[0] == none[0]
    assert few[1] != none[1]


def test_a_teacher_that_is_missing_superfluous_or_of_another_kind_is_an_error(tmp_path, teacher):
    with pytest.raises(RecipeError, match=r"train.objectives.self_distillation: learns beside a teacher, and none"):
        taught(tmp_path / "a", None)
    with pytest.raises(RecipeError, match=r"train.objectives.causal_lm: learns without a teacher, and one is given"):
        train(plan(), chain(), seed=3, folder=tmp_path / "b", teacher=teacher)
    small = initial_model(ModelShape(VOCAB - 1, 16, 1, 2, context=CONTEXT), 0)
    with pytest.raises(RecipeError, match=f"the teacher knows {VOCAB - 1} tokens"):
        taught(tmp_path / "c", small)
    wide = initial_model(ModelShape(VOCAB, 32, 1, 2, context=CONTEXT), 0)
    with pytest.raises(SeedbedError, match="hidden states are 32 wide, the model's 16"):
        taught(tmp_path / "d", wide)
    with pytest.raises(SeedbedError, match="without its teacher's hidden states"):
        SelfDistillation().losses(teacher, batch())
    with torch.no_grad():
        assert torch.equal(SelfDistillation().losses(teacher, batch()), CausalLM().losses(teacher, batch()))


def away(model: Decoder, start: Decoder) -> float:
    """Euclidean distance of the weights."""
    pairs = zip(model.parameters(), start.parameters(), strict=True)
    return float(sum((a.detach() - b.detach()).square().sum() for a, b in pairs)) ** 0.5


def descend(start: Decoder, objective: Objective, given: Batch, steps: int, rate: float) -> tuple[Decoder, np.ndarray]:
    """The model after so many steps of Adam on one batch, and (nats, distance from the start) before each step."""
    model = copy.deepcopy(start)
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    path: list[tuple[float, float]] = []
    for _ in range(steps):
        loss = objective.losses(model, given).mean()
        path.append((float(loss.detach()), away(model, start)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model, np.array(path)


def read(of: int, salt: int) -> Batch:
    made = chain(salt=salt)
    ids = torch.from_numpy(np.stack([made.reading(i).tokens for i in range(of)]))
    return Batch(ids[:, :-1], ids[:, 1:], torch.ones(of, CONTEXT))


@pytest.mark.parametrize("seed", range(3))
def test_the_student_moves_less_than_plain_further_pretraining_at_equal_loss(seed):
    """What the method is for: a trained model learns a small corpus of another language; both paths are read off at
    the loss that plain further pre-training ends at."""
    start, _ = descend(initial_model(SHAPE, seed), CausalLM(), read(60, 0), 150, 1e-2)
    small = read(12, 7)
    teacher, plain = descend(start, CausalLM(), small, 200, 1e-3)
    objective = SelfDistillation(0.1)
    _, student = descend(start, objective, with_lesson(objective, teacher, small), 200, 1e-3)
    aim = max(plain[-1, 0], student[-1, 0])
    moved = [path[np.flatnonzero(path[:, 0] <= aim)[0], 1] for path in (student, plain)]
    assert moved[0] < 0.98 * moved[1]
