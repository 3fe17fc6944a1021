"""Self-distilled further pre-training: learn a small corpus without running off with it.

What      A model is further pre-trained on the new text once: that is the teacher. Then the same model begins again
          where the teacher began, predicts every next token of the same text, and is held close to the teacher's hidden
          states. It costs a second training and the teacher's forward passes; it is meant for corpora so small that
          plain further pre-training learns them by heart.
Source    Lee et al. 2022 (ICLR 2023), "Self-Distillation for Further Pre-training of Transformers", arXiv 2210.02871,
          section 3; compared with seanie12/self-distillation (trainer.py, SelfPreTrainer), 2023.
Formula   distance_BT = SUM_c (h_BTC - stop_gradient(t_BTC))^2, h and t below the heads of model and teacher
          loss_BT     = -log softmax(logits_BTV)[targets_BT]
          gradient of SUM_BT weight_BT (loss_BT + distance_weight distance_BT) / SUM_BT weight_BT
Shapes    tokens (S,) -> inputs (T,), targets (T,), weight (T,), S = T + 1; inputs_BT, targets_BT, lesson (B, T, C) ->
          loss_BT
Units     loss: nats per token, the distance not added in, so that it is comparable with other objectives' and what is
          logged, watched for leaps and reweighted is nats; distance: squared units of a hidden state, whose square
          summed over C is about C behind a norm; distance_weight (lambda): nats per such unit
Fidelity  Adapted: the paper takes masked auto-encoders and sees the text twice, masked for the loss and whole for the
          distance; here one pass serves both. The release compares one vector an input, the class token's, summed over
          C; here every predicted position has its own. A reweighter's weight counts for both terms. The release leaves
          gradients unclipped: set the plan's grad_clip to 0.
Errors    RecipeError without a teacher, or with one of fewer tokens or positions; SeedbedError where its hidden states
          have another width, and where gradients are taken without a teacher's lesson. Fewer than two tokens raise
          ValueError; an id outside the vocabulary raises IndexError.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np
from annotated_types import Ge

from seedbed.core.errors import SeedbedError
from seedbed.train.contract import Batch, Example, Objective, Reading

if TYPE_CHECKING:
    import torch

    from seedbed.model.transformer import Decoder


@dataclasses.dataclass(frozen=True)
class SelfDistillation(Objective):
    """Next-token prediction beside a teacher.

    Args:
        distance_weight: lambda, of the squared distance to the teacher's hidden states; 0 is causal LM to the bit.
    """

    needs_teacher: ClassVar[bool] = True

    distance_weight: Annotated[float, Ge(0)] = 1.0

    def example(self, reading: Reading, key: int) -> Example:  # noqa: ARG002 - nothing is left to chance
        """S = T + 1 tokens -> inputs and the tokens that follow them."""
        tokens = reading.tokens
        if len(tokens) < 2:
            raise ValueError("an example needs at least two tokens")
        return Example(tokens[:-1], tokens[1:], np.ones(len(tokens) - 1, np.float32))

    def lesson(self, teacher: Decoder, batch: Batch) -> torch.Tensor:
        """The teacher's hidden states, (B, T, C)."""
        return teacher.hidden(batch.inputs_BT, batch.document_BT)

    def losses(self, model: Decoder, batch: Batch) -> torch.Tensor:
        """loss_BT in nats, float32; its gradient is that of the loss and the weighted distance together."""
        import torch

        from seedbed.model.cross_entropy import linear_cross_entropy

        hidden_BTC = model.hidden(batch.inputs_BT, batch.document_BT)
        loss_BT = linear_cross_entropy(hidden_BTC, model.head_weight, batch.targets_BT)
        if not torch.is_grad_enabled() or self.distance_weight == 0:
            return loss_BT
        pull_BT = self.distance_weight * distances(hidden_BTC, batch.lesson)
        return loss_BT + (pull_BT - pull_BT.detach())  # the value of the first, the gradient of both


def distances(hidden_BTC: torch.Tensor, lesson: torch.Tensor | None) -> torch.Tensor:
    """distance_BT to the teacher, whose states are held still."""
    if lesson is None:
        mend = "Train with a teacher; probes and proxies that step by themselves have none: choose causal_lm for them."
        raise SeedbedError("self_distillation", "a batch comes without its teacher's hidden states", mend)
    if lesson.shape != hidden_BTC.shape:
        what = f"the teacher's hidden states are {lesson.shape[-1]} wide, the model's {hidden_BTC.shape[-1]}"
        raise SeedbedError("self_distillation", what, "Take the same model, further trained, as the teacher.")
    return (hidden_BTC.float() - lesson.detach().float()).square().sum(-1)
