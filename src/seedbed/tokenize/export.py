"""Export: token shards in the format of another trainer, written aside and renamed when whole."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from seedbed.core import arrow
from seedbed.core.artifact import Artifact, disk_error
from seedbed.core.errors import SeedbedError
from seedbed.tokenize.contract import Exporter, TokenShard


def export(tokens: Artifact, exporter: Exporter, out: Path) -> dict[str, int]:
    """Write all tokens of an artifact into the new folder `out`; gives the exporter's counts.

    Raises SeedbedError where `out` exists and is not empty, or the disk is full.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise SeedbedError(str(out), "is there already", "Name a new folder.")
    aside = out.with_name(f".{out.name}.tmp")
    try:
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        counts = exporter.export(_shards(tokens), np.dtype(str(tokens.about["dtype"])), aside)
        if out.exists():
            out.rmdir()
        os.replace(aside, out)
    except OSError as error:
        raise disk_error(out, error) from error
    return counts


def _shards(tokens: Artifact) -> Iterator[TokenShard]:
    dtype = np.dtype(str(tokens.about["dtype"]))
    for index in tokens.shards():
        lengths = arrow.numpy(arrow.read_parquet(index, ["n_tokens"]), "n_tokens").astype(np.int64)
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        file = index.with_name(index.name.replace("part-", "ids-")).with_suffix(".bin")
        yield TokenShard(np.memmap(file, dtype, "r") if file.stat().st_size else np.zeros(0, dtype), offsets)
