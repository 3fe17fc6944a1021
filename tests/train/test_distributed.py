"""Several processes: two of them do what one does, to float32 rounding, and to the bit what two did before.

Processes are started once for all jobs (see distributed_run.py), by torchrun and gloo on this machine alone.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from seedbed.core import arrow
from seedbed.core.errors import RecipeError, SeedbedError
from seedbed.model.tensors import read_tensors
from seedbed.model.transformer import initial_model
from seedbed.train import distributed, processes
from seedbed.train.contract import Batch
from seedbed.train.distributed import World
from seedbed.train.objectives.causal_lm import CausalLM
from seedbed.train.optimizers.adamw import AdamW
from seedbed.train.optimizers.muon import Muon
from seedbed.train.snapshot import snapshots
from tests.train import distributed_run
from tests.train.distributed_run import CPU, plan

SCRIPT = Path(distributed_run.__file__)
PATIENCE_SECONDS = 240
"""Of a test with processes; most of what they take is the import of torch on a busy machine."""
ALONE = {"ddp", "ddp-uneven-micro", "ddp-reweighted", "fsdp-reweighted-micro", "ddp-taught", "fsdp-taught-micro"}
TOGETHER = [
    *("ddp", "fsdp", "ddp-in-halves", "fsdp-in-halves", "ddp-uneven-micro", "fsdp-uneven-micro", "ddp-reweighted"),
    *("ddp-taught", "fsdp-taught-micro"),
    *("fsdp-reweighted-micro", "ddp-first-half", "fsdp-first-half", "ddp-second-half", "fsdp-second-half"),
    *("fails", "whole-weights", "pieces", "muon-in-shards", "fewer-rows-than-processes"),
]


def torchrun(count: int, folder: Path, *jobs: str) -> None:
    started = ["--standalone", "--local-addr", "127.0.0.1", "--nproc-per-node", str(count)]
    command = [sys.executable, "-m", "torch.distributed.run", *started, str(SCRIPT), str(folder), *jobs]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> Path:
    """The jobs done by this process."""
    folder = tmp_path_factory.mktemp("alone")
    for job in [*ALONE, "ddp-first-half"]:
        distributed_run.do(job, folder)
    return folder


@pytest.fixture(scope="module")
def two(tmp_path_factory, alone) -> Path:
    """The jobs done by two processes; second halves begin where one process stopped."""
    folder = tmp_path_factory.mktemp("two")
    for job in ("ddp-second-half", "fsdp-second-half"):
        shutil.copytree(alone / "ddp-first-half", folder / job)
    torchrun(2, folder, *TOGETHER)
    return folder


def told(folder: Path, job: str, rank: int = 0) -> dict:
    return json.loads((folder / f"{job}-{rank}.json").read_text())


def newest(run: Path) -> Path:
    return snapshots(run / "checkpoints")[-1]


def assert_close(run: Path, other: Path) -> None:
    """Losses to 2e-6 nats, norms to 1e-5 of their size, weights and moments to 1e-6, counters exactly."""
    a, b = newest(run), newest(other)
    assert a.name == b.name == "step-00000012"
    ours, theirs = (arrow.read_parquet(folder / "log.parquet").to_pydict() for folder in (a, b))
    np.testing.assert_allclose(ours["loss_nats_per_token"], theirs["loss_nats_per_token"], rtol=0, atol=2e-6)
    np.testing.assert_allclose(ours["grad_norm"], theirs["grad_norm"], rtol=1e-5, atol=0)
    for exact in ("step", "tokens", "flops", "learning_rate"):
        assert ours[exact] == theirs[exact]
    for name in ("model.safetensors", "optimizer.safetensors"):
        first, second = read_tensors(a / name), read_tensors(b / name)
        assert list(first) == list(second)
        for key, tensor in first.items():
            torch.testing.assert_close(tensor, second[key], rtol=0, atol=1e-6)
    states = [json.loads((folder / "state.json").read_text())["state"] for folder in (a, b)]
    assert states[0] == states[1]


def assert_same_bits(run: Path, other: Path) -> None:
    for name in ("model.safetensors", "optimizer.safetensors", "log.parquet", "optimizer.json", "state.json"):
        assert (newest(run) / name).read_bytes() == (newest(other) / name).read_bytes(), name


def read_by_two(folder: Path, job: str, sequences: int) -> list[str]:
    """Hashes in the order of the global batches: row k of a batch is with process k mod 2."""
    ranks = [told(folder, job, rank)["read"] for rank in range(2)]
    share = [len(range(rank, sequences, 2)) for rank in range(2)]
    steps = len(ranks[0]) // share[0]
    return [ranks[k % 2][step * share[k % 2] + k // 2] for step in range(steps) for k in range(sequences)]


@pytest.mark.parametrize(
    ("job", "alike"),
    [
        ("ddp", "ddp"),
        ("fsdp", "ddp"),
        ("ddp-uneven-micro", "ddp-uneven-micro"),
        ("fsdp-uneven-micro", "ddp-uneven-micro"),
        ("ddp-reweighted", "ddp-reweighted"),
        ("fsdp-reweighted-micro", "fsdp-reweighted-micro"),
        ("ddp-taught", "ddp-taught"),
        ("fsdp-taught-micro", "fsdp-taught-micro"),
    ],
)
def test_two_processes_train_what_one_trains(alone, two, job, alike):
    """Micro-batches and a batch that two do not share evenly included."""
    assert_close(two / job, alone / alike)
    sequences = 6 if alike in ("ddp", "ddp-reweighted") else 5
    read = told(alone, alike)["read"]
    assert len(read) == 12 * sequences
    assert read_by_two(two, job, sequences) == read


@pytest.mark.parametrize("how", ["ddp", "fsdp"])
def test_two_processes_stopped_and_asked_again_end_in_the_same_bits(two, how):
    assert_same_bits(two / f"{how}-in-halves", two / how)


@pytest.mark.parametrize("how", ["ddp", "fsdp"])
def test_two_go_on_where_one_stopped(alone, two, how):
    assert_close(two / f"{how}-second-half", alone / "ddp")


@pytest.mark.parametrize("how", ["ddp", "fsdp"])
def test_one_goes_on_where_two_stopped(alone, two, tmp_path, how):
    shutil.copytree(two / f"{how}-first-half", tmp_path / "run")
    result = distributed_run.run(tmp_path / "run", plan())
    assert result.resumed_from_step == 6
    assert_close(tmp_path / "run", alone / "ddp")


def test_three_processes_stopped_and_asked_again_end_in_the_same_bits(tmp_path):
    """A sum of three depends on the order, which DDP changes after its first backward pass."""
    torchrun(3, tmp_path, "ddp-wide", "ddp-wide-in-halves")
    assert_same_bits(tmp_path / "ddp-wide-in-halves", tmp_path / "ddp-wide")


@pytest.mark.parametrize("job", ["ddp-reweighted", "fsdp-reweighted-micro"])
def test_a_reweighter_sees_the_whole_global_batch(alone, two, job):
    expected = told(alone, job)["weighed"]
    assert [len(shares) for shares in expected] == [6 if job == "ddp-reweighted" else 5] * 12
    for rank in range(2):
        np.testing.assert_allclose(told(two, job, rank)["weighed"], expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("rank", [0, 1])
def test_shards_are_halves_and_together_the_model_they_were_cut_from(two, rank):
    found = told(two, "whole-weights", rank)
    assert found["same"]
    assert found["held"] == found["all"] / 2


@pytest.mark.parametrize("rank", [0, 1])
def test_what_passes_between_processes(two, rank):
    found = told(two, "pieces", rank)
    assert found["gathered"] == torch.arange(10.0).view(5, 2).tolist()
    assert found["owned"]
    assert found["sum"] == 3.0
    assert found["agree"] == [True, False]
    foreign = "KeyError: 'x'" if rank == 0 else "SeedbedError: the first process: KeyError: 'x'."
    assert found["errors"] == ["SeedbedError: disk: full. Empty it.", foreign]
    assert found["given"] == ("done" if rank == 0 else None)
    assert found["again"] == [True, True]


@pytest.mark.parametrize(
    ("job", "said"),
    [
        ("muon-in-shards", "RecipeError: train.optimizers.muon: muon needs whole matrices"),
        ("fewer-rows-than-processes", "RecipeError: train.plan.batch_sequences: 1 sequences a step do not feed 2"),
    ],
)
def test_what_cannot_be_shared_is_refused_by_all(two, job, said):
    assert all(told(two, job, rank)["error"].startswith(said) for rank in range(2))


def test_an_error_of_one_process_ends_the_run_of_both(two):
    """And they live on: the jobs after this one are done by the same processes."""
    assert told(two, "fails", 1)["error"] == "SeedbedError: example: one that cannot be made."
    assert told(two, "fails", 0)["error"].startswith("SeedbedError: train: process 0 lost the others")


def test_a_process_that_dies_ends_the_other_with_an_error(alone, tmp_path):
    """Started by hand: torchrun would end the other one itself."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    started = []
    for rank in range(2):
        place = {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2"}
        about = {**os.environ, **place, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        command = [sys.executable, str(SCRIPT), str(tmp_path), "dies"]
        started.append(subprocess.Popen(command, env=about, stderr=subprocess.PIPE, text=True))
    try:
        said = [process.communicate(timeout=PATIENCE_SECONDS)[1] for process in started]
    finally:
        for process in started:
            process.kill()
    assert [process.returncode for process in started] == [1, -signal.SIGKILL], said
    assert "SeedbedError: train: process 0 lost the others" in said[0]
    again = distributed_run.JOBS["dies"](tmp_path / "dies")  # alone, where nothing kills it
    assert again.resumed_from_step == 5
    weights = read_tensors(newest(alone / "ddp") / "model.safetensors")
    torch.testing.assert_close(again.model.state_dict(), weights, rtol=0, atol=1e-6)


def test_alone_nothing_is_joined_and_everything_is_given_back():
    with distributed.together(CPU) as world:
        assert world == World() == distributed.join(CPU)
    assert not torch.distributed.is_initialized()
    losses = distributed.Losses(initial_model(plan().shape, 1), CausalLM())
    assert distributed.spread(losses, world, "fsdp") is losses
    rows = torch.rand(3, 2)
    assert distributed.gather_rows(world, rows, 3) is rows
    assert distributed.own_rows(world, rows) is rows
    assert distributed.sum_over(world, rows) is rows
    batch = Batch(rows, rows, rows)
    assert distributed.even(world, batch, 3) is batch
    assert distributed.first_does(world, lambda: 7) == 7
    assert not distributed.agree(world, False)
    distributed.check(Muon(), world, "fsdp", 1)
    distributed.leave()


def test_alone_clipping_is_torchs_to_the_bit():
    parameters = [torch.nn.Parameter(torch.zeros(size, 3)) for size in (2, 5, 7)]
    others = [torch.nn.Parameter(torch.zeros(size, 3)) for size in (2, 5, 7)]
    for one, other in zip(parameters, others, strict=True):
        one.grad = torch.randn(one.shape, generator=torch.Generator().manual_seed(len(one)))
        other.grad = one.grad.clone()
    expected = float(torch.nn.utils.clip_grad_norm_(others, 0.7))
    assert distributed.clip(parameters, 0.7) == expected
    assert all(torch.equal(one.grad, other.grad) for one, other in zip(parameters, others, strict=True))


def test_a_row_of_no_weight_is_added_where_others_hold_more():
    rows = torch.arange(6).view(2, 3)
    batch = distributed.even(World(1, 2), Batch(rows, rows + 1, torch.ones(2, 3), rows * 0), 5)
    assert batch.inputs_BT.tolist() == [[0, 1, 2], [3, 4, 5], [0, 1, 2]]
    assert batch.weight_BT.sum(1).tolist() == [3.0, 3.0, 0.0]
    assert batch.document_BT.shape == (3, 3)


def test_an_optimizers_kernel_is_its_own_whatever_the_checkpoint_used():
    def built(**about) -> torch.optim.Optimizer:
        made = torch.optim.AdamW([torch.nn.Parameter(torch.ones(2, 2))], lr=0.5, **about)
        made.param_groups[0]["params"][0].grad = torch.ones(2, 2)
        made.step()
        return made

    saved = distributed.full_optimizer(built(fused=True))
    other = built(foreach=True)
    distributed.load_full_optimizer(other, saved)
    assert (other.param_groups[0]["foreach"], other.param_groups[0]["fused"]) == (True, None)
    with pytest.raises(SeedbedError, match="groups of parameters"):
        distributed.load_full_optimizer(torch.optim.AdamW([torch.ones(1)] * 1 + [torch.zeros(1)]), saved)


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"WORLD_SIZE": "2", "RANK": "0"}, "MASTER_ADDR, MASTER_PORT is not set"),
        ({"WORLD_SIZE": "2", "RANK": "2", "MASTER_ADDR": "x", "MASTER_PORT": "1"}, "RANK is 2 and WORLD_SIZE 2"),
        ({"WORLD_SIZE": "two"}, "WORLD_SIZE is 'two', no number"),
    ],
)
def test_an_environment_that_cannot_be_meant_is_an_error(monkeypatch, environment, said):
    for name in ("WORLD_SIZE", "RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SeedbedError, match=said):
        distributed.join(CPU)


def test_gpus_are_met_by_nccl_one_a_process_and_blocks_gathered_in_bfloat16(monkeypatch):
    """As far as a CPU can tell: what would be chosen."""
    chosen = []
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    cuda = torch.device("cuda")
    assert processes._backend(cuda, World(3, 4, 1)) == ("nccl", torch.device("cuda", 1))
    assert chosen == [1]
    assert processes._backend(CPU, World(3, 4, 1)) == ("gloo", None)
    with pytest.raises(SeedbedError, match="process 2 of this machine has no GPU: torch sees 2"):
        processes._backend(cuda, World(2, 4, 2))
    block, root = (distributed.precision(cuda, is_block=is_block) for is_block in (True, False))
    assert (block.param_dtype, root.param_dtype) == (torch.bfloat16, None)
    assert block.reduce_dtype == root.reduce_dtype == torch.float32
    assert not block.cast_forward_inputs
    assert distributed.precision(CPU, is_block=True).param_dtype is None


def test_muon_is_refused_in_shards_alone():
    distributed.check(Muon(), World(0, 2), "ddp", 2)
    distributed.check(AdamW(), World(0, 2), "fsdp", 2)
    with pytest.raises(RecipeError, match="Use ddp"):
        distributed.check(Muon(), World(0, 2), "fsdp", 2)
