"""Engine: litgpt's `pretrain`, which compiles its model; nothing saved, its logger writes to a temporary folder."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import gate
import torch
from litgpt import Config
from litgpt.args import EvalArgs, TrainArgs
from litgpt.data import DataModule
from litgpt.pretrain import setup
from torch.utils.data import DataLoader, IterableDataset


class Sequences(IterableDataset):
    def __init__(self, door: gate.Gate | None) -> None:
        self.door = door

    def __iter__(self) -> Iterator[torch.Tensor]:
        for tokens in gate.batches():
            if self.door is None:
                yield from torch.from_numpy(tokens)
                return
            self.door.fetched()
            yield from torch.from_numpy(tokens)


class Tokens(DataModule):
    def connect(self, tokenizer: object = None, batch_size: int = 1, max_seq_length: int | None = None) -> None:
        del tokenizer, max_seq_length
        self.batch_size = batch_size

    def train_dataloader(self) -> DataLoader:
        return DataLoader(Sequences(gate.Gate()), batch_size=self.batch_size)

    def val_dataloader(self) -> DataLoader:
        return DataLoader(Sequences(None), batch_size=self.batch_size)


def main() -> None:
    shape = gate.SHAPE
    gate.prepare()
    config = Config(
        name="benchmark", block_size=shape["context"], vocab_size=shape["vocab"], padded_vocab_size=shape["vocab"],
        n_layer=shape["layers"], n_head=shape["heads"], n_embd=shape["width"], intermediate_size=shape["inner"],
        mlp_class_name="LLaMAMLP", norm_class_name="RMSNorm", norm_eps=1e-5, bias=False, parallel_residual=False,
        rotary_percentage=1.0,
    )  # fmt: skip
    train = TrainArgs(
        save_interval=None, log_interval=1, global_batch_size=shape["batch"], micro_batch_size=shape["batch"],
        max_tokens=1 << 40, max_norm=1.0, min_lr=1e-4, lr_warmup_steps=100, tie_embeddings=True,
        max_seq_length=shape["context"],
    )  # fmt: skip
    optimizer = {
        "class_path": "torch.optim.AdamW",
        "init_args": {"lr": 1e-3, "weight_decay": 0.1, "betas": [0.9, 0.95]},
    }
    with tempfile.TemporaryDirectory() as folder:
        setup(
            "benchmark", model_config=config, out_dir=Path(folder), precision="32-true", data=Tokens(), train=train,
            eval=EvalArgs(interval=1 << 30, initial_validation=False, final_validation=False), optimizer=optimizer,
            devices=1, logger_name="csv",
        )  # fmt: skip


if __name__ == "__main__":
    main()
