"""Own loss: keeps documents that the model which is being trained finds hard, or easy.

What      Acquisition by uncertainty: at every stage the model says how well it foretells each document of the pool, and
          reads those it foretells worst. An arm reads at random first. What nobody can learn is hard for ever, so noise
          is chosen too: `rho` takes off what a model of clean text finds hard as well; keep = "low" is the reverse.
Source    Lewis, Gale 1994, "A Sequential Algorithm for Training Text Classifiers", arXiv cmp-lg/9407020 (uncertainty
          sampling); Loshchilov, Hutter 2015, arXiv 1511.06343 (examples of high loss first, ranked by the model so
          far).
Formula   high: score = loss_current; low: score = -loss_current
Shapes    documents -> loss_N, score_N
Units     nats per token, end-of-text included.
Fidelity  Adapted: uncertainty sampling asks what a model would not know before the label is told. A text is its own
          label, so its loss is known without asking: one draw of what the entropy of the model's foretelling would be
          on average, were the model right. Loshchilov and Hutter draw by rank from losses of various age; here all are
          asked anew at each stage, and the selector decides. Losses are means, so that length does not choose.
          `perplexity` asks another model, once.
Errors    RecipeError for parameters out of bounds. A document without tokens has loss 0. In the first stage nothing is
          learned and scores say little. A loss that is not finite is refused where scores are collected.
"""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Literal

import pyarrow as pa

from seedbed.core import arrow
from seedbed.core.nouns import DocumentBatch, Signal, signals_schema
from seedbed.select.contract import CurrentModel, Given, LossModel, Need, Scorer


@dataclasses.dataclass(frozen=True)
class OwnLoss(Scorer):
    """Which end is kept.

    Args:
        keep: which losses are kept first.
    """

    signals = (Signal("loss", "nats per token", low=0), Signal("score", "nats per token, higher means keep"))
    rounds: ClassVar[int] = 3

    keep: Literal["high", "low"] = "high"

    def needs(self) -> tuple[Need, ...]:
        """The arm's own model."""
        return (CurrentModel("current"),)

    def fit(self, given: Given) -> FittedOwnLoss:
        """Nothing is learned."""
        return FittedOwnLoss(self, given.models["current"])


@dataclasses.dataclass(frozen=True)
class FittedOwnLoss:
    """Ready to measure."""

    law: OwnLoss
    model: LossModel

    def measure(self, documents: DocumentBatch) -> pa.Table:
        """Losses, with their sign."""
        loss_N = self.model.document_losses(documents)
        score_N = loss_N if self.law.keep == "high" else 0.0 - loss_N
        return arrow.table({"loss": loss_N, "score": score_N}, signals_schema(OwnLoss.signals))
