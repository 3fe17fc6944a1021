"""What ways to choose work on: a pool, a target, a tokenizer, a plan of training; random parts of pool and target."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, cast
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt

from seedbed.core import arrow
from seedbed.core.artifact import Artifact, Draft, Request
from seedbed.core.errors import SeedbedError
from seedbed.core.nouns import WEIGHTS
from seedbed.core.parameters import Json
from seedbed.curate.plan import CuratePlan
from seedbed.model.shape import ModelShape
from seedbed.pipeline.data import texts_into
from seedbed.pipeline.sources import SourceFiles
from seedbed.pipeline.training import RunTask, run_all
from seedbed.pipeline.workplace import Workplace
from seedbed.recipe import POOL
from seedbed.select.contract import FloatArray
from seedbed.tokenize.run import Part, Pool, tokenize
from seedbed.train.plan import TrainPlan

DOCUMENT_COLUMNS = ("source", "language", "site", "n_bytes")
"""What a selector may ask of a document; the site is the host of its url."""


@dataclasses.dataclass(frozen=True)
class Material:
    """What arms choose from and train with.

    Args:
        pool, target: documents with tokens; no target where the recipe names none.
        tokenizer: the Tokenizer artifact.
        plan: how the arms are trained; its shape has the tokenizer's vocabulary.
        reading: how further files are read; needed where methods name some.
    """

    pool: Pool
    target: Pool | None
    tokenizer: Artifact
    plan: TrainPlan
    reading: CuratePlan | None = None

    def task(self, place: Workplace, label: str, seed: int, plan: TrainPlan, weights: Artifact | None) -> RunTask:
        """A training run on the pool."""
        return RunTask(
            label=label,
            plan=plan,
            seed=seed,
            sources={POOL: SourceFiles(self.pool.documents.path, self.pool.tokens.path, weights and weights.path)},
            tokenizer=self.tokenizer.path,
            root=place.out,
        )

    @property
    def the_target(self) -> Pool:
        """The target. Raises SeedbedError where there is none, or nothing is in it."""
        if self.target is None:
            what = "a method asks for target text and the recipe names none"
            raise SeedbedError("target", what, "Give `target` files.")
        if self.target.n_tokens == 0:
            raise SeedbedError("target", "there is no text in it", "Give documents with words.")
        return self.target

    def texts(self, place: Workplace, files: Sequence[str]) -> Pool:
        """Further files, read and extracted like the pool and tokenised with its tokenizer."""
        assert self.reading is not None
        documents = texts_into(place, self.reading, files)
        read = Pool(documents, tokenize(documents, self.tokenizer, place.store, place.engine))
        if read.n_tokens == 0:
            raise SeedbedError(", ".join(files) or "texts", "there is no text in it", "Name files with documents.")
        return read

    @property
    def seed(self) -> int:
        """Of whatever is drawn while methods are fitted: one for each resampled part."""
        return 0 if self.pool.part is None else self.pool.part.seed

    def resampled(self, seed: int, share: float) -> Material:
        """The same with a random part of pool and target; all of it where the share is 1."""
        if share == 1.0:
            return self
        part = Part(seed, share)
        target = None if self.target is None else Pool(self.target.documents, self.target.tokens, part)
        return dataclasses.replace(self, pool=Pool(self.pool.documents, self.pool.tokens, part), target=target)


def scaled(shape: ModelShape, factor: float) -> ModelShape:
    """The shape with width and depth times `factor`; heads keep their width."""
    heads = max(1, round(shape.n_heads * factor))
    kv_heads = None if shape.n_kv_heads is None else max(1, min(heads, round(shape.n_kv_heads * factor)))
    width = heads * shape.head_width if shape.head_dim is None else max(2, round(shape.d_model * factor))
    layers = max(1, round(shape.n_layers * factor))
    d_ff = None if shape.d_ff is None else max(16, round(shape.d_ff * factor / 16) * 16)
    return dataclasses.replace(shape, n_heads=heads, n_kv_heads=kv_heads, d_model=width, n_layers=layers, d_ff=d_ff)


def everything(place: Workplace, pool: Pool) -> Artifact | None:
    """Weights that read each document of the pool's part once; None where that is all of it."""
    if pool.part is None:
        return None
    identity: dict[str, Json] = {"part": [pool.part.seed, pool.part.share]}

    def fill(draft: Draft) -> dict[str, Json]:
        draft.write_table("part-00000.parquet", whole_table(pool, np.ones(len(pool.rows()))))
        return {}

    return place.store.make(Request("Weights", "part", identity, {"tokens": pool.tokens.fingerprint}), fill)


def whole_table(pool: Pool, copies_N: FloatArray) -> Any:
    """A table of schema WEIGHTS over all documents of the pool: those outside its part are never read."""
    index = pool.tokens.table()
    copies = np.zeros(index.num_rows)
    copies[pool.rows()] = copies_N
    columns = {"id": index.column("id"), "copies": copies, "n_tokens": index.column("n_tokens")}
    return arrow.table(cast("dict[str, Any]", columns), WEIGHTS)


def column_of(pool: Pool, name: str) -> npt.NDArray[Any]:
    """A text a document: its source, language or site; or its n_bytes. Raises SeedbedError for another name."""
    if name == "n_bytes":
        return arrow.numpy(pool.index(), "n_bytes").astype(np.float64)
    if name not in DOCUMENT_COLUMNS:
        known = ", ".join(DOCUMENT_COLUMNS)
        raise SeedbedError(name, "is no column of documents, and no signal of this scorer", f"Documents have: {known}.")
    column = "url" if name == "site" else name
    texts = [text or "" for text in arrow.strings(pool.columns([column]), column)]
    return np.array([_site(text) for text in texts] if name == "site" else texts, dtype=object)


def _site(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:  # a bracket that is not closed
        return ""


def started(place: Workplace, material: Material, seeds: Sequence[int]) -> dict[int, Artifact]:
    """seed -> the model that arms of this seed start from, as a run of no steps."""
    tasks: dict[str, RunTask] = {}
    for seed in seeds:
        task = material.task(place, f"start-seed{seed}", seed, material.plan, None)
        tasks[task.label] = dataclasses.replace(task, until_tokens=0)
    runs = run_all(list(tasks.values()), place.store, place.engine, f"start {len(tasks)} models")
    return {seed: runs[f"start-seed{seed}"] for seed in seeds}
