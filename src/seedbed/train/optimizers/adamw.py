"""AdamW: Adam with weight decay that acts on the weights, not through the gradient.

What      First and second moments of the gradient, bias-corrected, give each weight its own step; matrices also shrink
          towards zero in proportion to the learning rate. What has two axes decays (projections, the embedding); what
          has one (the gains of norms, biases) does not.
Source    Loshchilov & Hutter 2019, arXiv 1711.05101, algorithm 2; beta2 and decay as in Brown et al. 2020 (GPT-3),
          arXiv 2005.14165, appendix B. The update is torch.optim.AdamW's.
Formula   m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2
          w = w - lr weight_decay w - lr (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps)
          with lr = rate * lr_scale and weight_decay * decay_scale, both scales from the model's parametrization
Shapes    gradient -> update, of the parameter's shape
Units     lr: per step, peak times schedule; weight_decay: fraction of a weight per unit of lr
Fidelity  Adapted: decay is multiplied by the peak rate too (torch's convention), the paper keeps the two apart; it
          matters when one of them is tuned alone. Under muP, where lr_scale falls with width, a decay_scale of
          1 / lr_scale keeps what a weight loses per step the same at every width.
Errors    No parameters raise ValueError (torch's); a NaN gradient gives NaN weights, so the loop looks before it steps.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import torch
from annotated_types import Ge, Gt, Lt

from seedbed.train.contract import Optimizer

if TYPE_CHECKING:
    from seedbed.model.weights import Weight


@dataclasses.dataclass(frozen=True)
class AdamW(Optimizer):
    """AdamW with decay on matrices only.

    Args:
        beta1, beta2: how slowly the moments forget.
        weight_decay: of parameters with two axes.
        eps: keeps the division finite.
    """

    beta1: Annotated[float, Ge(0), Lt(1)] = 0.9
    beta2: Annotated[float, Ge(0), Lt(1)] = 0.95
    weight_decay: Annotated[float, Ge(0)] = 0.1
    eps: Annotated[float, Gt(0)] = 1e-8

    def build(self, weights: Sequence[Weight]) -> torch.optim.Optimizer:
        """A group for each pair of scales: first those that decay, then the vectors, which do not."""
        groups = [
            *_groups([weight for weight in weights if weight.kind != "vector"], self.weight_decay),
            *_groups([weight for weight in weights if weight.kind == "vector"], 0.0),
        ]
        return torch.optim.AdamW(groups, lr=0.0, betas=(self.beta1, self.beta2), eps=self.eps, fused=True)


def _groups(weights: Sequence[Weight], decay: float) -> list[dict[str, Any]]:
    """Weights of the same scales together, in order of first appearance."""
    alike: dict[tuple[float, float], list[torch.nn.Parameter]] = {}
    for weight in weights:
        scales = (weight.lr_scale, weight.decay_scale if decay else 1.0)
        alike.setdefault(scales, []).append(weight.parameter)
    return [
        {"params": parameters, "weight_decay": decay * decay_scale, "lr_scale": lr_scale}
        for (lr_scale, decay_scale), parameters in alike.items()
    ]
