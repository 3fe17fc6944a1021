"""The loop: exact resume, stages, slots that act, observers that do not, and a loss that goes where it must."""

import dataclasses
import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from seedbed.core.errors import RecipeError, SeedbedError
from seedbed.core.nouns import RUN
from seedbed.model import counts
from seedbed.model.checkpoint import load_model
from seedbed.model.runtime import Runtime
from seedbed.model.shape import ModelShape
from seedbed.model.transformer import Decoder, initial_model
from seedbed.model.weights import weights_of
from seedbed.train.contract import Batch, Reweighter
from seedbed.train.objectives.causal_lm import CausalLM
from seedbed.train.plan import Checkpoints, Phase, Stability
from seedbed.train.run import INCIDENTS, Report, TrainResult, train
from seedbed.train.schedules.warmup_stable_decay import WarmupStableDecay
from seedbed.train.snapshot import snapshots
from tests.train.killed_run import CONTEXT, plan
from tests.train.markov_language import VOCAB, entropy, source, transitions

SCRIPT = Path(__file__).with_name("killed_run.py")


class StopError(Exception):
    """Ends a run from an observer."""


def stop_at(step: int):
    def observe(report: Report) -> None:
        if report.step == step:
            raise StopError

    return observe


def chain(**about):
    return source(60, context=CONTEXT, **about)


def once(folder: Path, **about) -> TrainResult:
    return train(plan(), chain(), seed=3, folder=folder, **about)


def log_bytes(result: TrainResult) -> bytes:
    return (result.folder / "log.parquet").read_bytes()


def same(a: TrainResult, b: TrainResult) -> bool:
    """To the bit: weights, optimizer, log, counters."""
    files = ("model.safetensors", "optimizer.safetensors", "optimizer.json", "log.parquet", "state.json")
    return all((a.folder / name).read_bytes() == (b.folder / name).read_bytes() for name in files)


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> TrainResult:
    """The uninterrupted run all others are held to."""
    return once(tmp_path_factory.mktemp("whole"))


def test_the_log_counts_steps_tokens_and_flops(whole):
    log = whole.log
    assert log.schema.equals(RUN)
    steps = np.arange(1, 25)
    flops = counts.training_flops(plan().shape, 4, CONTEXT)
    assert log["step"].to_pylist() == steps.tolist()
    assert log["tokens"].to_pylist() == (steps * 4 * CONTEXT).tolist()
    assert log["flops"].to_pylist() == (steps * flops).tolist()
    factors = [WarmupStableDecay().value(plan().at(64 * step + 32)) for step in range(24)]
    assert log["learning_rate"].to_pylist() == [1e-2 * factor for factor in factors]
    assert min(factors) > 0
    assert whole.cost.flops == pytest.approx(24 * flops)
    assert whole.finished
    assert whole.state.cursors == {"chain": 24 * 64}


@pytest.mark.parametrize("step", [1, 4, 5, 6, 11, 20, 23, 24])
def test_stopped_anywhere_and_asked_again_it_ends_in_the_same_bits(whole, tmp_path, step):
    with pytest.raises(StopError):
        once(tmp_path, observe=stop_at(step))
    again = once(tmp_path)
    assert again.resumed_from_step == (24 if step == 24 else step // 5 * 5)
    assert same(again, whole)


@pytest.mark.parametrize("when", ["3", "13", "write"])
def test_killed_without_warning_it_ends_in_the_same_bits(whole, tmp_path, when):
    command = [sys.executable, str(SCRIPT), str(tmp_path), when]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    if when == "write":
        assert [file.name for file in (tmp_path / "checkpoints").glob(".step-*")]
    again = once(tmp_path)
    assert again.resumed_from_step == {"3": 0, "13": 10, "write": 10}[when]
    assert same(again, whole)
    assert {file.name for file in (tmp_path / "checkpoints").iterdir()} == {"step-00000020", "step-00000024"}


def test_a_finished_run_is_not_trained_again(whole):
    before = {file: file.stat().st_mtime_ns for file in whole.folder.iterdir()}
    again = once(whole.folder.parents[1])
    assert again.cost.flops == 0
    assert again.finished
    assert again.log.equals(whole.log)
    assert before == {file: file.stat().st_mtime_ns for file in whole.folder.iterdir()}


@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.safetensors", "log.parquet", "state.json"])
@pytest.mark.parametrize("harm", ["flip", "cut", "remove"])
def test_a_corrupt_newest_checkpoint_falls_back_on_the_one_before(whole, tmp_path, name, harm):
    with pytest.raises(StopError):
        once(tmp_path, observe=stop_at(12))
    file = tmp_path / "checkpoints" / "step-00000010" / name
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 255
    file.unlink() if harm == "remove" else file.write_bytes(data if harm == "flip" else data[:-3])
    with pytest.warns(RuntimeWarning, match="Falling back"):
        again = once(tmp_path)
    assert again.resumed_from_step == 5
    assert same(again, whole)


def test_two_checkpoints_are_kept(whole):
    assert [folder.name for folder in snapshots(whole.folder.parent)] == ["step-00000020", "step-00000024"]


def test_a_checkpoint_is_a_model_folder(whole):
    model, _ = load_model(whole.folder)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), whole.model.parameters(), strict=True))


def test_how_often_a_checkpoint_is_written_changes_nothing(whole, tmp_path):
    other = train(plan(checkpoints=Checkpoints(every_steps=7)), chain(), seed=3, folder=tmp_path)
    assert same(other, whole)


def test_two_stages_over_one_source_are_one_run(whole, tmp_path):
    first = once(tmp_path / "a", until_tokens=9 * 64 - 1)
    assert (first.state.step, first.finished) == (9, False)
    second = once(tmp_path / "b", continue_from=tmp_path / "a")
    assert second.resumed_from_step == 9
    assert same(second, whole)
    in_place = once(tmp_path / "a")
    assert same(in_place, whole)


def test_a_second_stage_reads_another_source_from_its_beginning(whole, tmp_path):
    read: list[int] = []

    @dataclasses.dataclass
    class Watched:
        name: str = "other"
        stride: int = CONTEXT

        def reading(self, index: int):
            read.append(index)
            return other.reading(index)

        def documents(self, index: int):
            return other.documents(index)

    other = chain(name="other", salt=7)
    once(tmp_path / "a", until_tokens=640)
    args = {"seed": 3, "folder": tmp_path / "b", "continue_from": tmp_path / "a"}
    with pytest.raises(StopError):
        train(plan(), Watched(), **args, observe=stop_at(17))
    assert sorted(set(read)) == list(range(7 * 4))
    resumed = train(plan(), Watched(), **args)
    assert resumed.resumed_from_step == 15
    straight = train(plan(), Watched(), **{**args, "folder": tmp_path / "c"})
    assert same(resumed, straight)
    assert resumed.state.cursors == {"chain": 40 * 16, "other": 56 * 16}
    mine, theirs = (run.log["loss_nats_per_token"].to_pylist() for run in (resumed, whole))
    assert mine[:10] == theirs[:10]
    assert mine[10] != theirs[10]
    assert resumed.log["learning_rate"].equals(whole.log["learning_rate"])


@dataclasses.dataclass(frozen=True)
class Unchanged(Reweighter):
    """Acts on nothing."""

    def weights(self, loss_BT, weight_BT, at, reference_BT=None):
        assert not loss_BT.requires_grad
        assert loss_BT.shape == (4, CONTEXT)
        assert at.total_tokens == plan().total_tokens
        return weight_BT


@dataclasses.dataclass(frozen=True)
class FirstHalf(Reweighter):
    """Trains on the first half of every sequence, twice as hard."""

    def weights(self, loss_BT, weight_BT, at, reference_BT=None):
        return weight_BT * 2 * (torch.arange(weight_BT.shape[1]) < weight_BT.shape[1] // 2)


def test_a_reweighter_that_changes_nothing_is_bit_identical_to_none(whole, tmp_path):
    result = train(plan(reweighter=Unchanged()), chain(), seed=3, folder=tmp_path)
    assert log_bytes(result) == log_bytes(whole)


def test_a_reweighter_acts(whole, tmp_path):
    result = train(plan(reweighter=FirstHalf()), chain(), seed=3, folder=tmp_path)
    mine, theirs = (run.log["loss_nats_per_token"].to_pylist() for run in (result, whole))
    assert mine[0] == theirs[0]  # what is logged is the batch's own mean
    assert mine[1] != theirs[1]


def test_an_observer_gets_a_frozen_report_and_changes_nothing(whole, tmp_path):
    reports: list[Report] = []
    result = once(tmp_path, observe=reports.append)
    assert same(result, whole)
    assert [report.loss_nats_per_token for report in reports] == result.log["loss_nats_per_token"].to_pylist()
    assert (reports[-1].step, reports[-1].tokens) == (24, reports[-1].total_tokens)
    assert all(report.tokens_per_second > 0 for report in reports)
    with pytest.raises(dataclasses.FrozenInstanceError):
        reports[0].step = 0  # type: ignore[misc]


def test_the_first_step_is_a_plain_adamw_step(tmp_path):
    """One step, worked out with torch's own parts: the loop adds nothing of its own."""
    flat = WarmupStableDecay(warmup_fraction=0.0, decay_fraction=0.0)
    one = plan(tokens=64, schedule=flat, grad_clip=0.5)
    result = train(one, chain(), seed=3, folder=tmp_path)
    model = initial_model(one.shape, 3)
    tokens = torch.from_numpy(np.stack([chain().reading(i).tokens for i in range(4)]))
    loss = torch.nn.functional.cross_entropy(model(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten())
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
    optimizer = one.optimizer.build(weights_of(model))
    for group in optimizer.param_groups:
        group["lr"] = 1e-2
    optimizer.step()
    assert result.log["loss_nats_per_token"][0].as_py() == pytest.approx(float(loss.detach()), rel=1e-6)
    assert result.log["grad_norm"][0].as_py() == pytest.approx(float(norm), rel=1e-4)
    for a, b in zip(model.parameters(), result.model.parameters(), strict=True):
        # a first Adam step is lr * sign(g) wherever g is not tiny
        assert float((a - b).detach().abs().quantile(0.99)) < 1e-5


def test_init_is_copied_not_trained(tmp_path):
    init = initial_model(plan().shape, 11)
    before = [parameter.clone() for parameter in init.parameters()]
    result = once(tmp_path, init=init)
    assert all(torch.equal(a, b) for a, b in zip(init.parameters(), before, strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(result.model.parameters(), before, strict=True))
    with pytest.raises(SeedbedError, match="init"):
        once(tmp_path / "x", init=initial_model(ModelShape(VOCAB, 16, 1, 2, context=CONTEXT + 1), 0))
    with pytest.raises(SeedbedError, match="both"):
        once(tmp_path / "x", init=init, continue_from=tmp_path)


def test_a_folder_of_another_run_is_refused(whole, tmp_path):
    once(tmp_path, until_tokens=640)
    with pytest.raises(SeedbedError, match="another plan or seed"):
        train(plan(learning_rate=2e-2), chain(), seed=3, folder=tmp_path)
    with pytest.raises(SeedbedError, match="another plan or seed"):
        train(plan(), chain(), seed=4, folder=tmp_path)
    with pytest.raises(SeedbedError, match="data of source chain"):
        train(plan(), chain(salt=1), seed=3, folder=tmp_path)
    with pytest.raises(SeedbedError, match="no checkpoint of an earlier stage"):
        once(tmp_path / "b", continue_from=tmp_path / "nowhere")


@dataclasses.dataclass(frozen=True)
class Poisoned(CausalLM):
    """A loss of `value` on one sequence; 0 stands for no number at all."""

    inputs: tuple[int, ...] = ()
    value: float = 0.0

    def losses(self, model: Decoder, batch: Batch) -> torch.Tensor:
        loss_BT = super().losses(model, batch)
        hit_B = (batch.inputs_BT == torch.tensor(self.inputs)).all(1, keepdim=True)
        return torch.where(hit_B, torch.tensor(self.value or torch.nan), loss_BT)


def test_a_loss_that_is_no_number_names_step_and_documents_and_spoils_nothing(tmp_path):
    made = chain()
    objective = Poisoned(inputs=tuple(made.reading(33).tokens[:-1].tolist()))  # in the ninth batch of four
    bad = plan(objective=objective, checkpoints=Checkpoints(every_steps=1))
    with pytest.raises(SeedbedError, match="at step 9 the loss is nan") as caught:
        train(bad, made, seed=3, folder=tmp_path)
    for row in range(32, 36):
        assert all(document.hex() in str(caught.value) for document in made.documents(row))
    assert [folder.name for folder in snapshots(tmp_path / "checkpoints")] == ["step-00000007", "step-00000008"]


SKIP = Stability(action="skip", spike=6.0, window=8, most_skipped=2)


@pytest.mark.parametrize("value", [0.0, 1e4])
def test_a_bad_step_is_skipped_noted_and_the_same_after_a_resume(tmp_path, value):
    made = chain()
    objective = Poisoned(inputs=tuple(made.reading(53).tokens[:-1].tolist()), value=value)  # in the fourteenth batch
    skipping = plan(objective=objective, stability=SKIP)
    result = train(skipping, made, seed=3, folder=tmp_path / "a")
    (incident,) = map(json.loads, (tmp_path / "a" / INCIDENTS).read_text().splitlines())
    assert incident["step"] == 14
    assert set(incident["documents"]) == {d.hex() for row in range(52, 56) for d in made.documents(row)}
    assert result.log["skipped"].to_pylist() == [step == 14 for step in range(1, 25)]
    with pytest.raises(StopError):
        train(skipping, made, seed=3, folder=tmp_path / "b", observe=stop_at(14))
    again = train(skipping, made, seed=3, folder=tmp_path / "b")
    assert again.resumed_from_step == 10
    assert same(again, result)
    assert (tmp_path / "b" / INCIDENTS).read_text() == (tmp_path / "a" / INCIDENTS).read_text()


def test_a_skipped_step_leaves_the_weights_alone(tmp_path):
    made = chain()
    objective = Poisoned(inputs=tuple(made.reading(53).tokens[:-1].tolist()))
    skipping = plan(objective=objective, stability=SKIP, checkpoints=Checkpoints(every_steps=1, keep_last=30))
    train(skipping, made, seed=3, folder=tmp_path)
    files = [tmp_path / "checkpoints" / f"step-{n:08d}" / "model.safetensors" for n in (12, 13, 14, 15)]
    before, at, skipped, after = (file.read_bytes() for file in files)
    assert at == skipped
    assert len({before, at, after}) == 3


def test_many_bad_steps_in_a_row_stop_a_run_that_skips(tmp_path):
    @dataclasses.dataclass(frozen=True)
    class Broken(CausalLM):
        def losses(self, model: Decoder, batch: Batch) -> torch.Tensor:
            return super().losses(model, batch) * torch.nan

    with pytest.raises(SeedbedError, match="at step 3 the loss is nan"):
        train(plan(objective=Broken(), stability=SKIP), chain(), seed=3, folder=tmp_path)


def test_a_rule_that_never_fires_is_bit_identical_to_none(whole, tmp_path):
    watched = train(plan(stability=Stability(spike=50.0)), chain(), seed=3, folder=tmp_path)
    assert log_bytes(watched) == log_bytes(whole)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_micro_batches_change_rounding_alone(whole, tmp_path, size):
    result = train(plan(micro_batch_sequences=size), chain(), seed=3, folder=tmp_path)
    mine, theirs = (run.log["loss_nats_per_token"].to_numpy() for run in (result, whole))
    np.testing.assert_allclose(mine, theirs, rtol=2e-4)
    assert mine[0] == pytest.approx(theirs[0], rel=1e-6)


@dataclasses.dataclass(frozen=True)
class Uneven(CausalLM):
    """Trains on ever fewer tokens of a sequence."""

    def example(self, reading, key):
        example = super().example(reading, key)
        length = 1 + key % CONTEXT
        return dataclasses.replace(example, weight=(np.arange(CONTEXT) < length).astype(np.float32))


def test_a_mean_over_the_batch_not_a_mean_of_means(tmp_path):
    """Rows with unequal numbers of trained tokens: the classic fault of gradient accumulation."""
    runs = [
        train(plan(objective=Uneven(), micro_batch_sequences=size), chain(), seed=3, folder=tmp_path / str(size))
        for size in (4, 1)
    ]
    mine, theirs = (run.log.select(["loss_nats_per_token", "grad_norm"]).to_pydict() for run in runs)
    for name in mine:
        np.testing.assert_allclose(mine[name][:3], theirs[name][:3], rtol=1e-5)


@pytest.mark.parametrize("workers", [1, 3])
def test_loader_threads_change_nothing(whole, tmp_path, workers):
    assert same(once(tmp_path, runtime=Runtime(loader_workers=workers)), whole)


def two(**about):
    return {"chain": chain(), "other": chain(name="other", salt=7)}


PHASES = (Phase({"chain": 3, "other": 1}, until=0.5), Phase({"chain": 0.2, "other": 0.8}))


def test_two_sources_with_changing_shares_each_with_its_cursor(tmp_path):
    mixed = plan(mixture=PHASES)
    reports: list[Report] = []
    result = train(mixed, two(), seed=3, folder=tmp_path / "a", observe=reports.append)
    assert reports[11].asked == {"chain": 0.75, "other": 0.25}
    assert reports[11].realised == {"chain": 0.75, "other": 0.25}
    assert reports[12].asked == {"chain": 0.2, "other": 0.8}
    assert result.state.cursors == {"chain": 16 * (36 + 10), "other": 16 * (12 + 38)}
    with pytest.raises(StopError):
        train(mixed, two(), seed=3, folder=tmp_path / "b", observe=stop_at(17))
    again = train(mixed, dict(reversed(two().items())), seed=3, folder=tmp_path / "b")
    assert again.resumed_from_step == 15
    assert same(again, result)


def test_another_source_does_not_permute_the_first(tmp_path):
    read: dict[str, list[int]] = {"alone": [], "beside": []}

    def watched(key: str):
        made = chain()
        original = made.reading

        def reading(index: int):
            if index not in read[key]:
                read[key].append(index)
            return original(index)

        made.reading = reading
        return made

    train(plan(), watched("alone"), seed=3, folder=tmp_path / "a")
    sources = {"chain": watched("beside"), "other": chain(name="other", salt=7)}
    train(plan(mixture=PHASES), sources, seed=3, folder=tmp_path / "b")
    assert read["beside"] == read["alone"][: len(read["beside"])]


def test_a_mixture_that_does_not_fit_its_sources_is_an_error(tmp_path):
    with pytest.raises(RecipeError, match="says nothing of the sources chain, other"):
        train(plan(), two(), seed=3, folder=tmp_path)
    with pytest.raises(RecipeError, match="no source 'othr'"):
        train(plan(mixture=(Phase({"othr": 1}),)), two(), seed=3, folder=tmp_path)


def test_a_branch_decays_now_and_its_past_is_its_parents(tmp_path):
    schedule = WarmupStableDecay(warmup_tokens=128, decay_tokens=4 * 64)
    long = plan(schedule=schedule, checkpoints=Checkpoints(every_steps=5, keep_last=10))
    parent = train(long, chain(), seed=3, folder=tmp_path / "long")
    short = dataclasses.replace(long, tokens=(10 + 4) * 64)
    at = tmp_path / "long" / "checkpoints" / "step-00000010"
    branch = train(short, chain(), seed=3, folder=tmp_path / "branch", branch_from=at)
    assert (branch.resumed_from_step, branch.state.step) == (10, 14)
    straight = train(short, chain(), seed=3, folder=tmp_path / "straight")
    assert same(branch, straight)
    assert branch.log.slice(0, 10).equals(parent.log.slice(0, 10))
    with pytest.raises(SeedbedError, match="the plan ends at"):
        train(plan(tokens=320), chain(), seed=3, folder=tmp_path / "x", branch_from=at)


def test_a_full_batch_without_a_token_to_train_on_is_an_error(tmp_path):
    @dataclasses.dataclass(frozen=True)
    class Nothing(CausalLM):
        def example(self, reading, key):
            example = super().example(reading, key)
            return dataclasses.replace(example, weight=np.zeros(CONTEXT, np.float32))

    with pytest.raises(SeedbedError, match="no token to train on"):
        train(plan(objective=Nothing()), chain(), seed=3, folder=tmp_path)


def test_the_loss_falls_to_the_entropy_of_the_language_and_no_further(tmp_path):
    shape = ModelShape(VOCAB, d_model=32, n_layers=1, n_heads=2, context=32)
    made = source(1500, context=32)
    long = plan(shape=shape, tokens=160 * 16 * 32, batch_sequences=16, checkpoints=Checkpoints(every_steps=1000))
    losses = train(long, made, seed=0, folder=tmp_path).log["loss_nats_per_token"].to_numpy()
    floor = entropy(transitions(0))
    assert losses[0] > floor + 0.8
    assert abs(losses[-40:].mean() - floor) < 0.06


def test_a_plan_smaller_than_a_batch_is_an_error():
    with pytest.raises(RecipeError, match="less than one batch of 64"):
        plan(tokens=63)
    assert plan(tokens=129).total_tokens == 128


def test_the_log_can_be_thinned(whole, tmp_path):
    result = train(plan(log_every_steps=10), chain(), seed=3, folder=tmp_path)
    assert result.log["step"].to_pylist() == [10, 20, 24]
