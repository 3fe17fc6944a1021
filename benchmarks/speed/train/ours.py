"""Engine: seedbed's own loop, `train`, over shards of tokens as the pipeline leaves them; with `peak` as second
argument the speed of this machine's best float32 product."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "peers"))

import gate
import numpy as np
import pyarrow as pa
import torch

from seedbed.core import arrow
from seedbed.core.nouns import TOKEN_INDEX
from seedbed.model.kernels.products import product
from seedbed.model.shape import ModelShape
from seedbed.train.objectives.causal_lm import CausalLM
from seedbed.train.optimizers.adamw import AdamW
from seedbed.train.plan import Checkpoints, TrainPlan
from seedbed.train.run import Report, train
from seedbed.train.schedules.constant import Constant
from seedbed.train.source import TokenShard, TokenSource

DOCUMENTS, DOCUMENT_TOKENS = 4000, 500


def main() -> None:
    if sys.argv[2:] == ["peak"]:
        print(json.dumps(peaks()), file=gate._out, flush=True)
        return
    shape = gate.SHAPE
    door = gate.Gate()

    def observe(report: Report) -> None:
        door.extra = {"waited": door.extra.get("waited", 0.0) + report.waited_seconds}
        door.fetched()

    with tempfile.TemporaryDirectory() as folder:
        plan = TrainPlan(
            shape=ModelShape(
                vocab_size=shape["vocab"], d_model=shape["width"], n_layers=shape["layers"], n_heads=shape["heads"],
                d_ff=shape["inner"], context=shape["context"],
            ),
            objective=CausalLM(), optimizer=AdamW(), schedule=Constant(), tokens=1 << 40, learning_rate=1e-3,
            batch_sequences=shape["batch"], checkpoints=Checkpoints(every_steps=1 << 30),
        )  # fmt: skip
        door.fetched()  # the observer is told after a step, the others ask before one
        train(plan, source(Path(folder), shape), seed=0, folder=Path(folder) / "run", observe=observe)


def source(folder: Path, shape: dict[str, int]) -> TokenSource:
    """A memory-mapped shard of random documents."""
    rng = np.random.default_rng(0)
    rng.integers(shape["vocab"], size=DOCUMENTS * DOCUMENT_TOKENS, dtype=np.uint16).tofile(folder / "tokens.bin")
    tokens = np.memmap(folder / "tokens.bin", np.uint16, "r")
    sizes, offsets = numbers(np.full(DOCUMENTS, DOCUMENT_TOKENS)), numbers(np.arange(DOCUMENTS) * DOCUMENT_TOKENS)
    ids = arrow.id_column(rng.integers(0, 256, (DOCUMENTS, 16), dtype=np.uint8))
    columns = {"id": ids, "offset": offsets, "n_tokens": sizes, "n_bytes": sizes}
    index = pa.table(columns, schema=TOKEN_INDEX)
    return TokenSource("benchmark", [TokenShard(tokens, index)], np.ones(DOCUMENTS), seed=0, context=shape["context"])


def numbers(values: np.ndarray) -> pa.Array:
    """A column, made without pa.array: where pandas is installed that would import it, and a real run does not."""
    return pa.Array.from_buffers(pa.int64(), len(values), [None, pa.py_buffer(values.astype(np.int64))])


def peaks() -> dict[str, float]:
    """FLOP/s of products of n by n, the fastest seen in half a second: as torch makes them, and as seedbed does."""
    gate.prepare()
    n = 1024
    a, b = torch.randn(n, n), torch.randn(n, n)
    found: dict[str, float] = {}
    for name, work in {"torch.mm": lambda: torch.mm(a, b), "seedbed": lambda: product(a, b)}.items():
        best, ends = float("inf"), time.perf_counter() + 0.5
        while time.perf_counter() < ends:
            begun = time.process_time()
            work()
            best = min(best, time.process_time() - begun)
        found[name] = 2.0 * n**3 / best
    return found


if __name__ == "__main__":
    main()
