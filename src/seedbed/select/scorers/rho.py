"""RHO: keeps documents that the model has yet to learn and that can be learned.

What      Reducible loss: the loss of the model that is being trained, minus the loss of a small model of held-out
          text. Noise is hard for both and gains nothing; what is learned already is easy for both; what is left is
          worth reading now. The score belongs to one moment of training: ask anew in every stage.
Source    Mindermann et al. 2022 (RHO-LOSS), arXiv 2206.07137, section 3 and algorithm 1; reference code OATML/RHO-Loss.
Formula   score = loss_current - loss_irreducible, means per token
Shapes    documents -> loss_current_N, loss_irreducible_N, score_N
Units     nats per token, end-of-text included.
Fidelity  Adapted: the rule is the paper's, which draws a large batch at every step and trains on its best tenth; here
          a stage of a recipe is the large batch, and the selector and budget say how much of it is read. The held-out
          text is the target's (or files of one's own), so that the score also asks whether a document is like the
          target; the paper holds out data like the pool. In the first stage the current model has learned nothing: its
          loss is about ln(vocabulary) everywhere, and the score is the irreducible loss alone with the sign turned.
          Early in training what is easy and not yet learned stands highest, before what is hard.
Errors    RecipeError for parameters out of bounds. Documents without tokens have loss 0 under both models: score 0.
          A loss that is not finite is refused where scores are collected.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated

import pyarrow as pa
from annotated_types import Gt, Le

from seedbed.core import arrow
from seedbed.core.nouns import DocumentBatch, Signal, signals_schema
from seedbed.select.contract import CurrentModel, Given, LossModel, Need, Scorer, TargetText, Texts, TrainedModel


@dataclasses.dataclass(frozen=True)
class Rho(Scorer):
    """Parameters of the irreducible-loss model.

    Args:
        files: held-out text to train it on; without any, the target text.
        tokens: how long it is trained.
        learning_rate: its peak.
        shape: its size relative to the model that is trained, in width and depth.
    """

    signals = (
        Signal("loss_current", "nats per token", low=0),
        Signal("loss_irreducible", "nats per token", low=0),
        Signal("score", "nats per token to gain, higher means keep"),
    )

    files: tuple[str, ...] = ()
    tokens: Annotated[int, Gt(0)] = 500_000
    learning_rate: Annotated[float, Gt(0), Le(1)] = 1e-3
    shape: Annotated[float, Gt(0), Le(4)] = 0.5

    def needs(self) -> tuple[Need, ...]:
        """The current model, and one of held-out text."""
        text, name = (Texts("holdout", self.files), "holdout") if self.files else (TargetText(), "target")
        irreducible = TrainedModel("irreducible", name, self.tokens, "", self.learning_rate, self.shape)
        return (text, CurrentModel("current"), irreducible)

    def fit(self, given: Given) -> FittedRho:
        """The two models, side by side."""
        return FittedRho(given.models["current"], given.models["irreducible"])


@dataclasses.dataclass(frozen=True)
class FittedRho:
    """Ready to measure."""

    current: LossModel
    irreducible: LossModel

    def measure(self, documents: DocumentBatch) -> pa.Table:
        """Both losses and their difference."""
        current_N = self.current.document_losses(documents)
        irreducible_N = self.irreducible.document_losses(documents)
        columns = {"loss_current": current_N, "loss_irreducible": irreducible_N, "score": current_N - irreducible_N}
        return arrow.table(columns, signals_schema(Rho.signals))
