"""One cache of losses for all methods that ask models: a number a document, by model and by the document's tokens.

A method is charged for what it asked whether or not another has asked before: the machine's time is saved, the account
is not. The files hold numbers alone and may be deleted; what is missing is computed again.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import xxhash

from seedbed.core.artifact import Artifact, disk_error
from seedbed.core.cost import Cost
from seedbed.core.nouns import DocumentBatch
from seedbed.select.contract import FloatArray, LossModel

CACHE = "cache"
"""Folder below the output folder; nothing in it is part of a result."""


class CachedLosses:
    """A model by its folder, asked for losses; answers are kept by batch, so that a killed run asks little twice.

    Args:
        model: folder of a model or a run.
        root: the output folder.
    """

    def __init__(self, model: Path, root: Path) -> None:
        self._model, self._opened, self._cost = model, None, Cost()
        self._folder = root / CACHE / "losses" / model_key(model)

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_opened": None}  # a worker opens the model when it must

    @property
    def cost(self) -> Cost:
        """FLOP of all that was asked here, cached or not."""
        return self._cost

    def document_losses(self, documents: DocumentBatch) -> FloatArray:
        """loss_N: mean nats per token of each document, end-of-text included; 0 for a document without tokens."""
        file = self._folder / f"{_batch_key(documents)}.f64"
        found = _read(file, len(documents))
        if found is None:
            asked = self._open()
            before = asked.cost.flops
            losses = asked.document_losses(documents)
            found = np.concatenate([[asked.cost.flops - before], losses])
            _write(file, found)
        self._cost += Cost(flops_forward=float(found[0]))
        return found[1:]

    def _open(self) -> LossModel:
        if self._opened is None:
            from seedbed.model import runtime
            from seedbed.pipeline.models import open_model

            runtime.prepare()
            self._opened = open_model(self._model)
        return self._opened


def model_key(model: Path) -> str:
    """Of a model's weights and tokenizer: a run's fingerprint, else a hash of the files."""
    if (model / "manifest.json").exists():
        return Artifact(model).fingerprint[:32]
    from seedbed.core.fingerprint import hash_file
    from seedbed.pipeline.models import find

    digest = xxhash.xxh3_128()
    for file in sorted(find(model).iterdir()):
        if file.is_file():
            digest.update(f"{file.name} {hash_file(file)}\n".encode())
    return digest.hexdigest()


def _batch_key(documents: DocumentBatch) -> str:
    ids, offsets = documents.token_ids
    digest = xxhash.xxh3_128(np.ascontiguousarray(offsets, np.int64).tobytes())
    digest.update(np.ascontiguousarray(ids, np.int64).tobytes())
    return digest.hexdigest()


def _read(file: Path, n: int) -> FloatArray | None:
    """FLOP and n losses, or None where the file is not there, torn or damaged."""
    try:
        data = file.read_bytes()
    except OSError:
        return None
    body, check = data[:-8], data[-8:]
    if len(body) != 8 * (n + 1) or xxhash.xxh3_64(body).digest() != check:
        return None
    return np.frombuffer(body, np.float64).copy()


def _write(file: Path, values: FloatArray) -> None:
    aside = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    body = values.astype(np.float64).tobytes()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        aside.write_bytes(body + xxhash.xxh3_64(body).digest())
        os.replace(aside, file)
    except OSError as error:
        raise disk_error(file, error) from error
