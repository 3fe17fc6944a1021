"""What the sweeps share: the shipped text as tokens, one training at a time per process, and a table that goes on."""

from __future__ import annotations

import csv
import dataclasses
import math
import multiprocessing
import os
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from seedbed import sample
from seedbed.core import arrow
from seedbed.core.errors import SeedbedError
from seedbed.model import counts
from seedbed.model.shape import ModelShape
from seedbed.pipeline import data
from seedbed.pipeline.workplace import Workplace
from seedbed.recipes import demo
from seedbed.tokenize.encode import Encoder
from seedbed.tokenize.run import Pool, tokenize
from seedbed.tokenize.tokenizers.byte_bpe import ByteBpe
from seedbed.train.contract import Schedule

if TYPE_CHECKING:
    from seedbed.train.source import TokenSource

VOCAB_SIZE, CONTEXT = 1024, 128
HELDOUT_TOKENS = 100_000


def shape() -> ModelShape:
    """A decoder of 0.33 M parameters without the embedding."""
    return ModelShape(vocab_size=VOCAB_SIZE, d_model=96, n_layers=3, n_heads=3, context=CONTEXT)


def non_embedding() -> int:
    return counts.non_embedding_parameters(shape())


@dataclasses.dataclass(frozen=True)
class Run:
    """One training.

    Args:
        row: what it is called in the table, as text.
        schedule, learning_rate, sequences, tokens, seed: of the training.
    """

    row: dict[str, str]
    schedule: Schedule
    learning_rate: float
    sequences: int
    tokens: int
    seed: int


@dataclasses.dataclass(frozen=True)
class Texts:
    """Folders of the pool and of the held-out texts, tokenised."""

    pool: tuple[Path, Path]
    heldout: tuple[Path, Path]
    tokenizer: Path


def texts(out: Path) -> Texts:
    """The shipped sample, curated and tokenised; what is there already is not made again."""
    recipe = dataclasses.replace(demo.recipe(), tokenizer=ByteBpe(vocab_size=VOCAB_SIZE))
    with Workplace.open(out, workers=2) as place:
        curated = data.curate_into(place, recipe, recipe.inputs)
        assert recipe.tokenizer is not None
        tokenizer, pool = data.tokenize_into(place, recipe.tokenizer, curated.kept)
        kept = data.texts_into(place, recipe.curate, [str(file) for file in sample.heldout().values()])
        tokens = tokenize(kept, tokenizer, place.store, place.engine)
        return Texts((pool.documents.path, pool.tokens.path), (kept.path, tokens.path), tokenizer.path)


class Table:
    """A CSV that rows are added to as they are measured; rows that are there are not measured again."""

    def __init__(self, file: Path, key: Sequence[str], value: str) -> None:
        self.file, self.key, self.value = file, tuple(key), value
        self.found: dict[tuple[str, ...], float] = {}
        if file.exists():
            with file.open(newline="", encoding="utf-8") as rows:
                for row in csv.DictReader(rows):
                    self.found[tuple(row[name] for name in self.key)] = float(row[value])

    def add(self, row: dict[str, str], value: float) -> None:
        is_new = not self.file.exists()
        with self.file.open("a", newline="", encoding="utf-8") as out:
            writer = csv.DictWriter(out, [*self.key, self.value], lineterminator="\n")
            if is_new:
                writer.writeheader()
            writer.writerow({**row, self.value: f"{value:.5f}"})
        self.found[self.of(row)] = round(value, 5)

    def of(self, row: dict[str, str]) -> tuple[str, ...]:
        return tuple(row[name] for name in self.key)

    def __getitem__(self, row: dict[str, str]) -> float:
        return self.found[self.of(row)]

    def sort(self) -> None:
        """Rows in the order of their numbers, so that the file does not depend on which run ended first."""
        rows = sorted(self.found.items(), key=lambda item: [_number(part) for part in item[0]])
        with self.file.open("w", newline="", encoding="utf-8") as out:
            writer = csv.writer(out, lineterminator="\n")
            writer.writerow([*self.key, self.value])
            writer.writerows([*key, f"{value:.5f}"] for key, value in rows)


def _number(part: str) -> tuple[float, str]:
    try:
        return float(part), ""
    except ValueError:
        return math.inf, part


def measure(runs: Sequence[Run], table: Table, told: Texts, processes: int) -> None:
    """Train what the table lacks, the longest first, and add the held-out losses."""
    missing = sorted((run for run in runs if table.of(run.row) not in table.found), key=lambda run: -run.tokens)
    with multiprocessing.get_context("spawn").Pool(processes, _begin, (told,)) as pool:
        for done, (row, loss) in enumerate(pool.imap_unordered(_one, missing), 1):
            table.add(row, loss)
            print(f"{done}/{len(missing)} {row} {loss:.4f}", flush=True)


_told: list[Texts] = []


def _begin(told: Texts) -> None:
    """Of each process: one thread, whatever the machine has."""
    os.environ["OMP_NUM_THREADS"] = "1"
    _told.append(told)


def _one(run: Run) -> tuple[dict[str, str], float]:
    return run.row, heldout_loss(run, _told[0])


def heldout_loss(run: Run, told: Texts) -> float:
    """Nats per token of the held-out texts after the training; infinite where it diverged."""
    from seedbed.model.language_model import LanguageModel
    from seedbed.train.objectives.causal_lm import CausalLM
    from seedbed.train.optimizers.adamw import AdamW
    from seedbed.train.plan import Checkpoints, TrainPlan
    from seedbed.train.run import train

    plan = TrainPlan(
        shape=shape(),
        objective=CausalLM(),
        optimizer=AdamW(),
        schedule=run.schedule,
        tokens=run.tokens,
        batch_sequences=run.sequences,
        learning_rate=run.learning_rate,
        checkpoints=Checkpoints(every_steps=1_000_000, keep_last=1),
        log_every_steps=100,
    )
    with tempfile.TemporaryDirectory() as folder:
        try:
            result = train(plan, source(told, run.seed), seed=run.seed, folder=Path(folder))
        except SeedbedError as error:
            print(f"{run.row}: {error}", flush=True)
            return math.inf
    end, ids, offsets = heldout(told)
    loss = float(LanguageModel(result.model, end).token_losses(ids, offsets).mean())
    return loss if math.isfinite(loss) else math.inf


def source(told: Texts, seed: int) -> TokenSource:
    """Every kept document once an epoch."""
    from seedbed.core.artifact import Artifact
    from seedbed.train.source import TokenShard, TokenSource

    pool = Pool(Artifact(told.pool[0]), Artifact(told.pool[1]))
    shards = [TokenShard(pool.ids(name), pool.shard_index(name)) for name in pool.shard_names()]
    documents = sum(shard.index.num_rows for shard in shards)
    return TokenSource("pool", shards, np.ones(documents), seed=seed, context=CONTEXT)


@cache
def heldout(told: Texts) -> tuple[int, np.ndarray, np.ndarray]:
    """(end of text, ids, offsets) of every k-th held-out text, of all domains."""
    from seedbed.core.artifact import Artifact

    pool = Pool(Artifact(told.heldout[0]), Artifact(told.heldout[1]))
    flat = np.concatenate([pool.ids(name) for name in pool.shard_names()])
    ends = np.cumsum(arrow.numpy(pool.index(), "n_tokens"))
    starts = ends - arrow.numpy(pool.index(), "n_tokens")
    picked = range(0, len(ends), max(1, math.ceil(len(flat) / HELDOUT_TOKENS)))
    pieces = [flat[starts[i] : ends[i]] for i in picked]
    offsets = np.concatenate([[0], np.cumsum([len(piece) for piece in pieces])]).astype(np.int64)
    return Encoder.open(told.tokenizer).end_id, np.concatenate(pieces).astype(np.int64), offsets
