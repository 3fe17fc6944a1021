"""Engine: transformers' Trainer on a LlamaForCausalLM, as its documentation starts it; nothing saved or logged."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator

import gate
import torch
from torch.utils.data import IterableDataset
from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainingArguments


class Sequences(IterableDataset):
    def __init__(self, door: gate.Gate) -> None:
        self.door = door

    def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
        for tokens in gate.batches():
            self.door.fetched()
            for row in torch.from_numpy(tokens[:, :-1]):
                yield {"input_ids": row, "labels": row}


def main() -> None:
    shape = gate.SHAPE
    gate.prepare()
    config = LlamaConfig(
        vocab_size=shape["vocab"], hidden_size=shape["width"], intermediate_size=shape["inner"],
        num_hidden_layers=shape["layers"], num_attention_heads=shape["heads"], max_position_embeddings=shape["context"],
        tie_word_embeddings=True, attn_implementation="sdpa", use_cache=False, rms_norm_eps=1e-5,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder, max_steps=1 << 20, per_device_train_batch_size=shape["batch"], use_cpu=True,
            learning_rate=1e-3, weight_decay=0.1, max_grad_norm=1.0, optim="adamw_torch_fused", report_to="none",
            logging_strategy="no", save_strategy="no", disable_tqdm=True,
        )  # fmt: skip
        Trainer(LlamaForCausalLM(config), arguments, train_dataset=Sequences(gate.Gate(ahead=1))).train()


if __name__ == "__main__":
    main()
