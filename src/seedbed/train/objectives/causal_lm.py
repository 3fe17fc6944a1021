"""Causal LM: predict every next token.

What      Inputs are the sequence without its last token, targets the sequence without its first; every position counts
          alike, across document borders too (a document is seen after the end of another).
Source    Bengio et al. 2003, "A Neural Probabilistic Language Model", JMLR 3, section 2; the form of Radford et al.
          2018 (GPT), equation 1.
Formula   loss_BT = -log softmax(logits_BTV)[targets_BT]
Shapes    tokens (T + 1,) -> inputs (T,), targets (T,), weight (T,); inputs_BT, targets_BT -> loss_BT
Units     loss: nats per token; weight: 1 everywhere
Fidelity  Exact.
Errors    Fewer than two tokens raise ValueError; an id outside the vocabulary raises IndexError; a model that gives NaN
          gives a NaN loss.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt
import torch

from seedbed.model.cross_entropy import linear_cross_entropy
from seedbed.model.transformer import Decoder
from seedbed.train.contract import Example, Objective


@dataclasses.dataclass(frozen=True)
class CausalLM(Objective):
    """Next-token prediction."""

    def example(self, tokens: npt.NDArray[np.int64], key: int) -> Example:  # noqa: ARG002 - nothing is left to chance
        """T + 1 tokens -> inputs and the tokens that follow them."""
        if len(tokens) < 2:
            raise ValueError("an example needs at least two tokens")
        return Example(tokens[:-1], tokens[1:], np.ones(len(tokens) - 1, np.float32))

    def losses(self, model: Decoder, inputs_BT: torch.Tensor, targets_BT: torch.Tensor) -> torch.Tensor:
        """loss_BT in nats, float32."""
        return linear_cross_entropy(model.hidden(inputs_BT), model.head_weight, targets_BT)
