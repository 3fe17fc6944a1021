"""Kill a training run at random instants, start it again until it is done, and compare every bit with a whole run.

    python benchmarks/reliability/train_kills.py [--kills 100] [--side-by-side 2] [--steps 120]

The run mixes three sources whose shares change half-way, reads with 0 to 3 loader threads (drawn anew at every start),
weights samples by their losses in every other trial, and writes a checkpoint every third step in the background. Each
trial runs in a process of its own, which is sent SIGKILL at an instant drawn evenly from the length of an uninterrupted
run, its checkpoints' writing included; then the same call is started until it ends by itself. The whole log (losses and
norms of gradients, bit for bit), weights, optimizer and counters are compared with a run that nobody killed, which
reads without loader threads and writes its checkpoints in between. Processes are forked from one that has imported
torch and done nothing with it, so that a start costs no seconds.

Writes benchmarks/results/train_kills.csv: a row a kill. Exit code 1 where a bit differs.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch

from seedbed.core import arrow
from seedbed.core.nouns import TOKEN_INDEX
from seedbed.model.runtime import Runtime
from seedbed.model.shape import ModelShape
from seedbed.train.objectives.causal_lm import CausalLM
from seedbed.train.optimizers.adamw import AdamW
from seedbed.train.plan import Checkpoints, Phase, TrainPlan
from seedbed.train.reweighters.lin_upper import LinUpper
from seedbed.train.run import train
from seedbed.train.schedules.warmup_stable_decay import WarmupStableDecay
from seedbed.train.snapshot import snapshots
from seedbed.train.source import TokenShard, TokenSource

RESULTS = Path(__file__).parents[1] / "results" / "train_kills.csv"
COLUMNS = ["kill", "reweighter", "at_seconds", "under_way", "step_resumed_from", "identical"]
VOCAB, CONTEXT, SEQUENCES = 512, 64, 8
SOURCES = {"web": (3000, 1.0), "books": (60, 2.5), "code": (800, 0.7)}
"""name -> (documents, copies): the second is read over several epochs, the third with coins."""


def plan(steps: int, reweighted: bool, saving: Checkpoints) -> TrainPlan:
    first = Phase({"web": 0.8, "books": 0.2}, until=0.5)
    return TrainPlan(
        shape=ModelShape(VOCAB, d_model=64, n_layers=2, n_heads=4, context=CONTEXT),
        objective=CausalLM(),
        optimizer=AdamW(),
        schedule=WarmupStableDecay(),
        tokens=steps * SEQUENCES * CONTEXT,
        batch_sequences=SEQUENCES,
        learning_rate=3e-3,
        reweighter=LinUpper(temperature=0.4) if reweighted else None,
        mixture=(first, Phase({"web": 0.5, "books": 0.25, "code": 0.25})),
        document_mask=True,
        checkpoints=saving,
    )


def source(name: str) -> TokenSource:
    """Documents of random tokens, the likelier the smaller, of 5 to 200 tokens."""
    count, copies = SOURCES[name]
    rng = np.random.default_rng([7, count])
    size_N = rng.integers(5, 200, count)
    flat = np.minimum(rng.geometric(0.02, int(size_N.sum())), VOCAB - 1).astype(np.uint16)
    columns = {"id": arrow.id_column(rng.integers(0, 256, (count, 16), dtype=np.uint8))}
    columns["offset"], columns["n_tokens"], columns["n_bytes"] = np.cumsum(size_N) - size_N, size_N, size_N
    shard = TokenShard(flat, arrow.table(columns, TOKEN_INDEX))
    return TokenSource(name, [shard], np.full(count, copies), seed=0, context=CONTEXT)


def run(folder: Path, steps: int, reweighted: bool, workers: int | None) -> None:
    """The run; with workers as a trial, without as the one that trials are held to."""
    saving = Checkpoints(every_steps=3, keep_last=2, background=workers is not None)
    runtime = Runtime(threads=1, loader_workers=workers or 0)
    warnings.simplefilter("error")  # a kill must not even leave a checkpoint to be warned of
    result = train(
        plan(steps, reweighted, saving),
        {name: source(name) for name in SOURCES},
        seed=3,
        folder=folder,
        runtime=runtime,
    )
    (folder / "resumed_from").write_text(str(result.resumed_from_step))


def start(work: Callable[[], None]) -> int:
    """Do it in a process of its own; gives the process id."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        work()
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def wait(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def final(folder: Path) -> dict[str, bytes]:
    """Every file of the last checkpoint: weights, optimizer, log, counters."""
    last = snapshots(folder / "checkpoints")[-1]
    return {file.name: file.read_bytes() for file in last.iterdir()}


def killed(folder: Path, steps: int, reweighted: bool, seconds: float, chance: random.Random) -> bool:
    """Whether the run was still going on when it was shot."""
    shutil.rmtree(folder, ignore_errors=True)
    begin = time.perf_counter()
    pid = start(lambda: run(folder, steps, reweighted, chance.choice([0, 1, 3])))
    time.sleep(max(0.0, begin + seconds - time.perf_counter()))
    os.kill(pid, signal.SIGKILL)
    return wait(pid) == -signal.SIGKILL


def trial(number: int, folder: Path, asked: argparse.Namespace, whole: tuple[float, dict[str, bytes]]) -> list[object]:
    """One kill, and as many starts as it takes."""
    chance, reweighted = random.Random(f"{asked.seed} {number}"), number % 2 == 1
    seconds = chance.uniform(0.0, whole[0])
    while not killed(folder, asked.steps, reweighted, seconds, chance):
        seconds = chance.uniform(0.0, whole[0])  # it was done already: this was no kill
    writing = "writing" if list(folder.glob("checkpoints/.step-*")) else "training"
    for workers in (chance.choice([0, 1, 3]), 1, 0):
        if wait(start(lambda workers=workers: run(folder, asked.steps, reweighted, workers))) == 0:
            break
    else:
        return [number, reweighted, f"{seconds:.3f}", writing, "", "does not start again"]
    resumed = (folder / "resumed_from").read_text()
    left = [file.name for file in (folder / "checkpoints").iterdir()]
    same = final(folder) == whole[1] and len(left) == 2
    return [number, reweighted, f"{seconds:.3f}", writing, resumed, "yes" if same else "NO"]


def lane(which: int, root: Path, asked: argparse.Namespace) -> None:
    """Every n-th trial; rows go to a file."""
    wholes: list[tuple[float, dict[str, bytes]]] = []
    for reweighted in (False, True):
        lengths: list[float] = []
        for workers in (None, 1):  # the second is only timed, as trials run; it must come to the same too
            folder = root / f"whole-{which}-{reweighted}-{workers}"
            begin = time.perf_counter()
            assert wait(start(lambda f=folder, r=reweighted, w=workers: run(f, asked.steps, r, w))) == 0
            lengths.append(time.perf_counter() - begin)
        wholes.append((lengths[1], final(root / f"whole-{which}-{reweighted}-None")))
        assert final(folder) == wholes[-1][1], "the uninterrupted run differs with loader threads or in the background"
    assert wholes[0][1] != wholes[1][1], "reweighting did nothing"
    with (root / f"rows-{which}.jsonl").open("w") as out:
        for number in range(which, asked.kills, asked.side_by_side):
            row = trial(number, root / f"trial-{which}", asked, wholes[number % 2])
            out.write(json.dumps(row) + "\n")
            out.flush()
            print(dict(zip(COLUMNS, row, strict=True)), flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--side-by-side", type=int, default=2)
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULTS)
    asked = parser.parse_args()
    torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))])  # has torch import what it imports late, once for all
    begin = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        lanes = [start(lambda which=which: lane(which, Path(folder), asked)) for which in range(asked.side_by_side)]
        codes = [wait(pid) for pid in lanes]
        rows = [
            json.loads(line) for file in Path(folder).glob("rows-*.jsonl") for line in file.read_text().splitlines()
        ]
    asked.out.parent.mkdir(exist_ok=True)
    with asked.out.open("w", newline="") as out:
        writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(dict(zip(COLUMNS, row, strict=True)) for row in sorted(rows))
    same = sum(row[-1] == "yes" for row in rows)
    writing = sum(row[3] == "writing" for row in rows)
    print(", ".join(f"{name} {value}" for name, value in Runtime(threads=1).describe().items()))
    print(f"{len(rows)} kills, {writing} of them while a checkpoint was written: {same} runs identical to the bit")
    print(f"{time.perf_counter() - begin:.0f} s; {asked.out}")
    return 0 if same == asked.kills == len(rows) and not any(codes) else 1


if __name__ == "__main__":
    sys.exit(main())
