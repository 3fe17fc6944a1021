"""Rho-1: train only on the tokens that a reference model shows to be worth learning.

What      A token's excess loss says how much worse the model predicts it than a reference model trained on clean text
          does. Each batch trains on the tokens of highest excess; all others are read, but not trained on.
Source    Lin et al. 2024 (NeurIPS), "Rho-1: Not All Tokens Are What You Need", arXiv 2404.07965, section 2.2 (selective
          language modeling), equations 3 to 5. microsoft/rho holds no training code to compare with.
Formula   excess = loss - reference; selected: the round(keep N) highest of the N weighted tokens of the global batch,
          ties by position; weight' = weight sum(weight) / sum(weight of the selected) where selected, else 0
Shapes    loss_BT, weight_BT, reference_BT -> weight_BT' of the same sum: the loss is the mean over selected tokens
Units     losses: nats; keep: a fraction of the tokens. The reference costs one more forward pass of its size.
Fidelity  Exact. The paper takes keep = 0.6 for 1 B and 0.7 for 7 B parameters; at least one token is kept.
Errors    Without a reference SeedbedError is raised; keep = 1 gives the weights back as they are.
"""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Annotated, ClassVar

from annotated_types import Gt, Le

from seedbed.core.errors import SeedbedError
from seedbed.train.contract import Progress, Reweighter

if TYPE_CHECKING:
    from torch import Tensor


@dataclasses.dataclass(frozen=True)
class Rho1(Reweighter):
    """Selective language modelling.

    Args:
        keep: fraction of the weighted tokens of a global batch that are trained on.
    """

    needs_reference: ClassVar[bool] = True

    keep: Annotated[float, Gt(0), Le(1)] = 0.6

    def weights(self, loss_BT: Tensor, weight_BT: Tensor, at: Progress, reference_BT: Tensor | None = None) -> Tensor:
        """Selected tokens share the weight of all; the others have none."""
        del at
        if reference_BT is None:
            raise SeedbedError(self.path(), "there is no reference model", "Name a model folder as the reference.")
        counted_BT = weight_BT > 0
        count = round(self.keep * int(counted_BT.sum()))
        if self.keep == 1.0 or count == int(counted_BT.sum()):
            return weight_BT
        excess_BT = (loss_BT.double() - reference_BT.double()).masked_fill(~counted_BT, -math.inf)
        order = excess_BT.flatten().argsort(descending=True, stable=True)
        weight_N = weight_BT.double().flatten()
        chosen = order[: max(1, count)]
        kept_N = weight_N.new_zeros(len(weight_N))
        kept_N[chosen] = weight_N[chosen] * (weight_N.sum() / weight_N[chosen].sum())
        return kept_N.view_as(weight_BT).to(weight_BT.dtype)
