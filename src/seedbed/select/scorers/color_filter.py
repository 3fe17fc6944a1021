"""CoLoR-Filter: keeps documents that a model tuned on the target finds easier than the model it started from.

What      Scores a document by how much fine-tuning a small model on the target lowered its loss there. What is easy
          for both models (templates, boilerplate) or hard for both (noise) gains nothing.
Source    Brandfonbrener, Zhang, Kirsch, Schwarz, Kakade 2024, arXiv 2406.10670, section 3 (the conditional loss
          reduction); reference code davidbrandfonbrener/color-filter-olmo.
Formula   score = loss_prior - loss_conditional, means per token
Shapes    documents -> loss_prior_N, loss_conditional_N, score_N
Units     nats per token, end-of-text included.
Fidelity  Adapted: the rule, the half-size auxiliary model (151M for 1.2B in the paper: width and depth times 0.5) and
          the learning rates are the paper's; it trains the prior on 3.1B tokens and the conditional for one epoch of
          the target. The token defaults here suit a budget of tens of millions: raise them with the budget, and keep
          conditional_tokens near the size of the target (longer overfits it).
Errors    RecipeError for parameters out of bounds. Documents without tokens have loss 0 under both models: score 0.
          A loss that is not finite is refused where scores are collected. Ties are the selector's.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated

import pyarrow as pa
from annotated_types import Gt, Le

from seedbed.core import arrow
from seedbed.core.nouns import DocumentBatch, Signal, signals_schema
from seedbed.select.contract import Given, LossModel, Need, Scorer, TargetText, TrainedModel


@dataclasses.dataclass(frozen=True)
class ColorFilter(Scorer):
    """Parameters of the two auxiliary models.

    Args:
        prior_tokens: how long the prior trains on a random sample of the pool.
        conditional_tokens: how long the conditional then trains on the target.
        prior_learning_rate, conditional_learning_rate: peaks.
        shape: size of the auxiliary model relative to the one that is trained in the end, in width and depth.
    """

    signals = (
        Signal("loss_prior", "nats per token", low=0),
        Signal("loss_conditional", "nats per token", low=0),
        Signal("score", "nats per token gained, higher means keep"),
    )

    prior_tokens: Annotated[int, Gt(0)] = 2_000_000
    conditional_tokens: Annotated[int, Gt(0)] = 200_000
    prior_learning_rate: Annotated[float, Gt(0), Le(1)] = 1e-3
    conditional_learning_rate: Annotated[float, Gt(0), Le(1)] = 1e-3
    shape: Annotated[float, Gt(0), Le(4)] = 0.5

    def needs(self) -> tuple[Need, ...]:
        """A prior from the pool, and a conditional that starts from the prior's weights."""
        prior = TrainedModel("prior", "pool", self.prior_tokens, "", self.prior_learning_rate, self.shape)
        rate, tokens = self.conditional_learning_rate, self.conditional_tokens
        return (TargetText(), prior, TrainedModel("conditional", "target", tokens, "prior", rate, self.shape))

    def fit(self, given: Given) -> FittedColorFilter:
        """The two models, side by side."""
        return FittedColorFilter(given.models["prior"], given.models["conditional"])


@dataclasses.dataclass(frozen=True)
class FittedColorFilter:
    """Ready to measure."""

    prior: LossModel
    conditional: LossModel

    def measure(self, documents: DocumentBatch) -> pa.Table:
        """Both losses and their difference."""
        prior_N = self.prior.document_losses(documents)
        conditional_N = self.conditional.document_losses(documents)
        columns = {"loss_prior": prior_N, "loss_conditional": conditional_N, "score": prior_N - conditional_N}
        return arrow.table(columns, signals_schema(ColorFilter.signals))
