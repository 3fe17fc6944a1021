"""Quadratic: most weight for losses in the middle of the batch's range.

What      Samples whose loss is in the middle of the batch's range count most; what is learned already and what is
          hardest (or noise) count least.
Source    Sow et al. 2025 (ICLR), "Dynamic Loss-Based Sample Reweighting for Improved Large Language Model Pretraining",
          arXiv 2502.06733, section 3; compared with sowmaster/Sample-Level-Loss-Reweighting-ICLR-2025, February 2025.
Formula   f = 1 - h^2 / d^2; w = softmax(f / r) over the samples of the global batch; h: the losses brought to [-d, d]
Shapes    loss_BT, weight_BT -> weight_BT' of the same sum; a sample's loss is the mean over its weighted tokens
Units     losses: nats per token; burn_in: a fraction of the plan's tokens; temperature (r), spread (d): none
Fidelity  Adapted: weights are scaled so that they keep their sum, where the release multiplies by the number of
          samples; the same for samples of equal length. r is constant behind burn_in, as in the released runs.
Errors    None; equal losses give every sample the same; a sample without a weighted token keeps weight 0; a NaN loss
          gives NaN weights.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from seedbed.train.reweighting import LossBased

if TYPE_CHECKING:
    from torch import Tensor


@dataclasses.dataclass(frozen=True)
class Quadratic(LossBased):
    """See the module's docstring, and LossBased for the parameters."""

    def emphasis(self, h_M: Tensor) -> Tensor:
        """f of losses brought to [-spread, spread]."""
        return 1.0 - (h_M / self.spread) ** 2
