"""Weights of samples from their losses: the arithmetic that the strategies of Sow et al. share.

Sow et al. 2025 (ICLR), arXiv 2502.06733, section 3; compared with sowmaster/Sample-Level-Loss-Reweighting-ICLR-2025
(src/trainer.py), February 2025. Over the M samples of a global batch, in float64:

    h = 2 d loss / (max - min) - d (max + min) / (max - min)     in [-d, d]; 0 where all losses are equal
    w = softmax(f(h) / r)                                        sums to 1; f is the strategy

Adding to all losses, or multiplying them by a positive number, changes nothing.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated

from annotated_types import Ge, Gt, Le

from seedbed.train.contract import Progress, Reweighter

if TYPE_CHECKING:
    from torch import Tensor


@dataclasses.dataclass(frozen=True)
class LossBased(Reweighter):
    """A strategy over the losses of the samples of a global batch.

    Args:
        temperature: r; the paper takes 1.0 for small models and 0.4 for larger ones. None is infinite: weights stay as
            they are, to the bit.
        spread: d, the range that losses are brought to.
        burn_in: fraction of the plan's tokens for which weights stay as they are, until losses tell samples apart.
        length_weighting: a sample counts by its weighted tokens times w, as in the released trainer; False: by w
            alone, as in its README. The same where all samples are equally long.
    """

    temperature: Annotated[float | None, Gt(0)] = 1.0
    spread: Annotated[float, Gt(0)] = 1.0
    burn_in: Annotated[float, Ge(0), Le(1)] = 0.05
    length_weighting: bool = True

    def emphasis(self, h_M: Tensor) -> Tensor:
        """f of losses brought to [-spread, spread]; more is heavier."""
        raise NotImplementedError

    def shares(self, loss_M: Tensor) -> Tensor:
        """w_M in float64, which sum to 1. The paper's bound asks that M max(w) is at most 2: see `heaviest`."""
        logit_M = self.emphasis(centred(loss_M, self.spread))
        return (logit_M / self.temperature if self.temperature is not None else logit_M * 0.0).softmax(0)

    def weights(self, loss_BT: Tensor, weight_BT: Tensor, at: Progress, reference_BT: Tensor | None = None) -> Tensor:
        """weight_BT times a factor of each sample, with the same sum; samples without a weighted token stay out."""
        del reference_BT
        if self.temperature is None or at.tokens < self.burn_in * at.total_tokens:
            return weight_BT
        loss_B, length_B = sample_losses(loss_BT, weight_BT)
        counted_B = length_B > 0
        w_M, length_M = self.shares(loss_B[counted_B]), length_B[counted_B]
        if self.length_weighting and bool((w_M == w_M[0]).all()):
            return weight_BT
        share_M = w_M * length_M / (w_M * length_M).sum() if self.length_weighting else w_M
        factor_B = length_B.new_zeros(len(length_B))
        factor_B[counted_B] = share_M * length_M.sum() / length_M
        return (weight_BT.double() * factor_B[:, None]).to(weight_BT.dtype)


def sample_losses(loss_BT: Tensor, weight_BT: Tensor) -> tuple[Tensor, Tensor]:
    """(loss_B, length_B) in float64: the mean over the weighted tokens of each row, and their total weight."""
    weight_BT = weight_BT.double()
    length_B = weight_BT.sum(1)
    counted_BT = loss_BT.double().where(weight_BT > 0, weight_BT.new_zeros(()))
    return (counted_BT * weight_BT).sum(1) / length_B.clamp(min=weight_BT.new_tensor(1e-300)), length_B


def centred(loss_M: Tensor, spread: float) -> Tensor:
    """h_M in [-spread, spread]: the lowest loss at one end, the highest at the other; 0 where all are equal."""
    loss_M = loss_M.double()
    low, high = loss_M.min(), loss_M.max()
    if bool(low == high):
        return loss_M * 0.0
    return spread * ((loss_M - low) - (high - loss_M)) / (high - low)


def heaviest(w_M: Tensor) -> float:
    """How many times its uniform share the heaviest sample has; the paper's convergence bound asks for 2 at most."""
    return float(w_M.max()) * len(w_M)
