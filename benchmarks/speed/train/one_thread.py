"""How fast small decoders train on one thread of a CPU, beside plain torch, litgpt and the Hugging Face Trainer.

    python benchmarks/speed/train/one_thread.py --peers PYTHON_OR_VENV [--sizes 1M,10M,50M] [--repeats 0] [--quick]

PEERS is a virtual environment with `pip install torch litgpt transformers accelerate`, torch of the same version;
without it only plain torch is run beside seedbed, eager and through torch.compile where that works. Same
architecture (RMSNorm, rotary positions, SwiGLU, tied head), same sizes, float32, denormals flushed for all, AdamW,
gradients clipped at 1, random tokens (speed does not depend on them). Every engine runs its own training loop in its
own process; they take turns, a few steps at a time, and wait in between. Speeds are tokens per CPU-second, medians of
`repeats` turns; `wall_tokens_per_second` is by the clock. Utilisation is the model's FLOP per second (forward
and backward, as model/counts.py counts them) over the fastest float32 product of this machine, measured in the same
run. Peak memory is the process's, libraries included. First step: from the start of the process, everything that was
compiled before found again (`first_step_cold_seconds`: with nothing compiled yet). Writes
benchmarks/results/speed_train.csv; --quick, which measures too little, writes nothing.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from seedbed.model.counts import total_parameters, training_flops
from seedbed.model.shape import ModelShape

HERE = Path(__file__).parent
RESULTS = HERE.parents[1] / "results" / "speed_train.csv"
COLUMNS = ["size", "engine", "parameters", "tokens_per_step", "tokens_per_second", "wall_tokens_per_second",
           "ratio_to_best_peer", "peak_memory_mb", "utilisation", "loader_share", "first_step_seconds",
           "first_step_cold_seconds", "repeats", "peak_gflops", "torch_mm_gflops"]  # fmt: skip
OURS = "seedbed"


@dataclasses.dataclass(frozen=True)
class Size:
    """A decoder and its batch; `steps` are trained in one turn."""

    vocab: int
    width: int
    layers: int
    heads: int
    inner: int
    context: int
    batch: int
    steps: int
    repeats: int

    @property
    def engine_shape(self) -> dict[str, int]:
        fields = dataclasses.asdict(self)
        return {name: fields[name] for name in fields if name not in ("steps", "repeats")}

    @property
    def shape(self) -> ModelShape:
        return ModelShape(
            vocab_size=self.vocab, d_model=self.width, n_layers=self.layers, n_heads=self.heads, d_ff=self.inner,
            context=self.context,
        )  # fmt: skip


SIZES = {
    "1M": Size(4096, 128, 4, 4, 336, context=256, batch=8, steps=6, repeats=15),
    "10M": Size(8192, 320, 6, 5, 848, context=512, batch=4, steps=2, repeats=9),
    "50M": Size(32768, 512, 10, 8, 1360, context=512, batch=4, steps=1, repeats=5),
}


class Engine:
    """A process that trains when told."""

    def __init__(self, command: list[str], size: Size, environment: dict[str, str]) -> None:
        begun = time.perf_counter()
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed with the engine
        argv = [*command[:2], json.dumps(size.engine_shape), *command[2:]]
        self.process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, text=True, env=environment
        )
        self.first = self._answer()
        self.first_step_seconds = time.perf_counter() - begun

    def train(self, steps: int) -> dict[str, float]:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{steps}\n")
        self.process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, float]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            self.errors.seek(0)
            raise RuntimeError(self.errors.read()[-3000:])
        return json.loads(line)

    def end(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("0\n")
        self.process.stdin.close()
        self.process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", type=Path, help="virtual environment of litgpt and transformers")
    parser.add_argument("--sizes", default=",".join(SIZES))
    parser.add_argument("--repeats", type=int, default=0, help="turns of each engine; 0: 15, 9 and 5")
    parser.add_argument("--quick", action="store_true", help="two turns each, nothing written")
    asked = parser.parse_args()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as scratch:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1",
                       "TORCHINDUCTOR_COMPILE_THREADS": "1",
                       "TORCHINDUCTOR_CACHE_DIR": f"{scratch}/inductor", "NUMBA_CACHE_DIR": f"{scratch}/numba",
                       "HF_HUB_OFFLINE": "1", "PYTHONWARNINGS": "ignore",
                       "PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": f"{scratch}/bytecode"}  # fmt: skip
        for name in asked.sizes.split(","):
            repeats = 2 if asked.quick else asked.repeats or SIZES[name].repeats
            rows += measure(name, SIZES[name], commands(asked.peers), repeats, environment)
    if not asked.quick:
        with RESULTS.open("w", newline="", encoding="utf-8") as out:
            writer = csv.DictWriter(out, COLUMNS, restval="", lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


def commands(peers: Path | None) -> dict[str, list[str]]:
    """Engine -> python, script, arguments."""
    found = {
        OURS: [sys.executable, str(HERE / "ours.py")],
        "plain torch": [sys.executable, str(HERE / "peers" / "plain_torch.py")],
        "plain torch, compiled": [sys.executable, str(HERE / "peers" / "plain_torch.py"), "compile"],
    }
    if peers is not None:
        python = str(peers / "bin" / "python") if peers.is_dir() else str(peers)
        found["litgpt"] = [python, str(HERE / "peers" / "lit_gpt.py")]
        found["Hugging Face Trainer"] = [python, str(HERE / "peers" / "hf_trainer.py")]
    return found


def measure(
    name: str, size: Size, asked: dict[str, list[str]], repeats: int, environment: dict[str, str]
) -> list[dict[str, Any]]:
    """All engines on one size, in turns."""
    peak = json.loads(
        subprocess.run([*asked[OURS], "{}", "peak"], capture_output=True, check=True, env=environment).stdout
    )
    engines: dict[str, Engine] = {}
    cold: dict[str, float] = {}
    for engine, command in asked.items():
        try:
            before = Engine(command, size, environment)  # compiles what is compiled
            before.end()
            cold[engine] = before.first_step_seconds
            engines[engine] = Engine(command, size, environment)
        except RuntimeError as error:
            print(f"{name} {engine}: does not run here\n{error}", file=sys.stderr)
    turns: dict[str, list[dict[str, float]]] = {engine: [] for engine in engines}
    for turn in range(repeats + 1):
        for engine, process in engines.items():
            answer = process.train(size.steps)
            if turn:
                turns[engine].append(answer)
    for process in engines.values():
        process.end()
    rows = [row(name, size, engine, turns[engine], peak) for engine in engines]
    best = max(each["tokens_per_second"] for each in rows if each["engine"] != OURS)
    for each in rows:
        each["ratio_to_best_peer"] = round(each["tokens_per_second"] / best, 3)
        each["first_step_seconds"] = round(engines[each["engine"]].first_step_seconds, 2)
        each["first_step_cold_seconds"] = round(cold[each["engine"]], 2)
        shown = {column: each[column] for column in COLUMNS[1:12] if column in each}
        print(name, *(f"{column}={value}" for column, value in shown.items()), flush=True)
    return rows


def row(name: str, size: Size, engine: str, turns: list[dict[str, float]], peak: dict[str, float]) -> dict[str, Any]:
    tokens = size.batch * size.context
    seconds = statistics.median(turn["cpu"] for turn in turns) / size.steps
    wall = statistics.median(turn["wall"] for turn in turns) / size.steps
    best = max(peak.values())
    waited = [turn["waited"] / turn["wall"] for turn in turns if "waited" in turn]
    return {
        "size": name,
        "engine": engine,
        "parameters": total_parameters(size.shape),
        "tokens_per_step": tokens,
        "tokens_per_second": round(tokens / seconds),
        "wall_tokens_per_second": round(tokens / wall),
        "peak_memory_mb": round(max(turn["peak_mb"] for turn in turns)),
        "utilisation": round(training_flops(size.shape, size.batch, size.context) / seconds / best, 3),
        **({"loader_share": round(statistics.median(waited), 4)} if waited else {}),
        "repeats": len(turns),
        "peak_gflops": round(best / 1e9, 1),
        "torch_mm_gflops": round(peak["torch.mm"] / 1e9, 1),
    }


if __name__ == "__main__":
    main()
