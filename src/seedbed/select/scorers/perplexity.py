"""Perplexity: keeps documents of low, middle or high loss under a small model of the pool.

What      A small language model of the pool, or a given one, reads every document once. "low" keeps what it expects,
          "high" what surprises it, "middle" what is near the pool's median.
Source    Ankner, Blakeney, Sreenivasan, Marion, Leavitt, Paul 2024 ("Perplexed by Perplexity"), arXiv 2405.20541,
          section 2; the same three bands in Marion et al. 2023, arXiv 2309.04564.
Formula   low: score = -loss; high: score = loss; middle: score = -|F(loss) - centre|, with F the share of the pool
          below a loss, by linear interpolation between the losses of a sample
Shapes    documents -> loss_N, score_N
Units     loss in nats per token, end-of-text included (perplexity = exp(loss)); score in the same, or a fraction.
Fidelity  Adapted: the three criteria are the paper's, which selects half of the pool by them (top_k with that
          budget), with a model of 125M parameters. Its reference model reads a split of its own; here it reads a random
          sample of the pool, which it knows a little better than the rest. Which band is best depends on the pool
          (high for the Pile and medium for Dolma in the paper); low is the default since it is what is commonly
          called perplexity filtering, and it prefers templates and repetition.
Errors    RecipeError for parameters out of bounds. SeedbedError for "middle" where no document of the pool has a
          token. Documents without tokens have loss 0. A loss that is not finite is refused where scores are collected.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated, Literal

import numpy as np
import pyarrow as pa
from annotated_types import Ge, Gt, Le

from seedbed.core import arrow
from seedbed.core.errors import SeedbedError
from seedbed.core.nouns import DocumentBatch, Signal, signals_schema
from seedbed.select.contract import (
    FloatArray,
    Given,
    GivenModel,
    LossModel,
    Need,
    PoolText,
    Scorer,
    TrainedModel,
    draw,
)


@dataclasses.dataclass(frozen=True)
class Perplexity(Scorer):
    """Parameters of the model and the band.

    Args:
        keep: which losses are kept first.
        centre: the middle band's own middle, as a share of the pool below it.
        sample_documents: of the pool, whose losses say what share is below one.
        folder: a model folder with the pool's tokenizer; without one, a model is trained on the pool.
        tokens: how long that model is trained.
        learning_rate: its peak.
        shape: its size relative to the model that is trained in the end, in width and depth.
    """

    signals = (Signal("loss", "nats per token", low=0), Signal("score", "higher means keep"))

    keep: Literal["low", "middle", "high"] = "low"
    centre: Annotated[float, Ge(0), Le(1)] = 0.5
    sample_documents: Annotated[int, Gt(0)] = 2_000
    folder: str = ""
    tokens: Annotated[int, Gt(0)] = 2_000_000
    learning_rate: Annotated[float, Gt(0), Le(1)] = 1e-3
    shape: Annotated[float, Gt(0), Le(4)] = 0.5

    def needs(self) -> tuple[Need, ...]:
        """A model; and the pool, where its median is asked for."""
        trained = TrainedModel("model", "pool", self.tokens, "", self.learning_rate, self.shape)
        model = GivenModel("model", self.folder) if self.folder else trained
        return (PoolText(), model) if self.keep == "middle" else (model,)

    def fit(self, given: Given) -> FittedPerplexity:
        """The model, and the spread of its losses over the pool where the band needs it."""
        model, none = given.models["model"], np.zeros(0)
        if self.keep != "middle":
            return FittedPerplexity(self, model, none, none)
        sample = draw(given.pool, self.sample_documents, given.seed)
        if not len(sample):
            raise SeedbedError(f"{self.path()}, pool", "no document has a token", "Give a pool with text.")
        value_U, count_U = np.unique(model.document_losses(sample), return_counts=True)
        return FittedPerplexity(self, model, value_U, (np.cumsum(count_U) - count_U / 2) / len(sample))


@dataclasses.dataclass(frozen=True)
class FittedPerplexity:
    """Ready to measure. `share_U` of the pool is below `loss_U`."""

    law: Perplexity
    model: LossModel
    loss_U: FloatArray
    share_U: FloatArray

    def measure(self, documents: DocumentBatch) -> pa.Table:
        """Losses, and how near they are to the band."""
        loss_N = self.model.document_losses(documents)
        if self.law.keep == "middle":
            score_N = -np.abs(np.interp(loss_N, self.loss_U, self.share_U) - self.law.centre)
        else:
            score_N = loss_N if self.law.keep == "high" else -loss_N
        return arrow.table({"loss": loss_N, "score": score_N}, signals_schema(Perplexity.signals))
