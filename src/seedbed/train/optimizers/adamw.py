"""AdamW: Adam with weight decay that acts on the weights, not through the gradient.

What      First and second moments of the gradient, bias-corrected, give each weight its own step; matrices also shrink
          towards zero in proportion to the learning rate. What has two axes decays (projections, the embedding); what
          has one (the gains of norms) does not.
Source    Loshchilov & Hutter 2019, arXiv 1711.05101, algorithm 2; beta2 and decay as in Brown et al. 2020 (GPT-3),
          arXiv 2005.14165, appendix B. The update is torch.optim.AdamW's.
Formula   m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2
          w = w - lr weight_decay w - lr (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps)
Shapes    gradient -> update, of the parameter's shape
Units     lr: per step, peak times schedule; weight_decay: fraction of a weight per unit of lr
Fidelity  Adapted: decay is multiplied by the peak rate too (torch's convention), the paper keeps the two apart; it
          matters when one of them is tuned alone.
Errors    No parameters raise ValueError (torch's); a NaN gradient gives NaN weights, so the loop looks before it steps.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Annotated

import torch
from annotated_types import Ge, Gt, Lt

from seedbed.train.contract import Optimizer


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

    def build(self, parameters: Iterable[tuple[str, torch.nn.Parameter]]) -> torch.optim.Optimizer:
        """Two groups: matrices, which decay, and vectors, which do not."""
        named = list(parameters)
        matrices = [parameter for _, parameter in named if parameter.ndim >= 2]
        vectors = [parameter for _, parameter in named if parameter.ndim < 2]
        groups = [
            {"params": matrices, "weight_decay": self.weight_decay, "lr_scale": 1.0},
            {"params": vectors, "weight_decay": 0.0, "lr_scale": 1.0},
        ]
        used = [group for group in groups if group["params"]]
        return torch.optim.AdamW(used, lr=0.0, betas=(self.beta1, self.beta2), eps=self.eps, fused=True)
