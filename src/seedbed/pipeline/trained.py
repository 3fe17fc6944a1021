"""A training run as a notebook holds it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pyarrow as pa

from seedbed.core import arrow
from seedbed.core.parameters import Json
from seedbed.pipeline import export as exporting
from seedbed.pipeline import metrics, models, train_note, workplace


@dataclasses.dataclass(frozen=True)
class TrainedRun:
    """A folder that `train` has filled."""

    folder: Path

    @property
    def model(self) -> Path:
        """The final model, with its tokenizer: what `evaluate`, `init` and `load_model` open."""
        return workplace.local(self.folder) / models.MODEL

    @property
    def about(self) -> dict[str, Json]:
        """train.json: plan, seed, sources, runtime, and what came of it (`done`)."""
        return train_note.read(workplace.local(self.folder))

    def metrics(self) -> pa.Table:
        """A row a logged step: step, tokens, flops, loss_nats_per_token, learning_rate, ..., units in the fields."""
        return arrow.read_parquet(workplace.local(self.folder) / metrics.TABLE)

    def export(self, target: str | Path, to: str = "hf") -> dict[str, Any]:
        """Write the model as a Hugging Face folder."""
        return exporting.export(self.folder, target, to)

    def sample(self, prompt: str, **how: Any) -> str:
        """Text that the model writes after a prompt: max_tokens, temperature, top_k, top_p, seed."""
        return "".join(models.sample(self.folder, prompt, **how))
