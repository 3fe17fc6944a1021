"""Causal LM: predict every next token.

What      Inputs are the reading without its last token, targets the reading without its first; every position counts
          alike, across document borders too (a document is seen after the end of another, unless the plan's
          document_mask keeps attention inside documents).
Source    Bengio et al. 2003, "A Neural Probabilistic Language Model", JMLR 3, section 2; the form of Radford et al.
          2018 (GPT), equation 1.
Formula   loss_BT = -log softmax(logits_BTV)[targets_BT]
Shapes    tokens (S,) -> inputs (T,), targets (T,), weight (T,), S = T + 1; inputs_BT, targets_BT -> loss_BT
Units     loss: nats per token; weight: 1 everywhere
Fidelity  Exact.
Errors    Fewer than two tokens raise ValueError; an id outside the vocabulary raises IndexError; a model that gives NaN
          gives a NaN loss.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from seedbed.train.contract import Batch, Example, Objective, Reading

if TYPE_CHECKING:
    import torch

    from seedbed.model.transformer import Decoder


@dataclasses.dataclass(frozen=True)
class CausalLM(Objective):
    """Next-token prediction."""

    def example(self, reading: Reading, key: int) -> Example:  # noqa: ARG002 - nothing is left to chance
        """S = T + 1 tokens -> inputs and the tokens that follow them."""
        tokens = reading.tokens
        if len(tokens) < 2:
            raise ValueError("an example needs at least two tokens")
        return Example(tokens[:-1], tokens[1:], np.ones(len(tokens) - 1, np.float32))

    def losses(self, model: Decoder, batch: Batch) -> torch.Tensor:
        """loss_BT in nats, float32."""
        from seedbed.model.cross_entropy import linear_cross_entropy

        return linear_cross_entropy(
            model.hidden(batch.inputs_BT, batch.document_BT), model.head_weight, batch.targets_BT
        )
