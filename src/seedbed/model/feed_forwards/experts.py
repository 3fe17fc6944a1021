"""Experts: several gated feed-forwards, of which a router lets each position pass through a few.

What      A mixture of experts. A matrix scores the experts for each position; the best k compute, and are summed by the
          softmax of their k scores. No position is dropped. Two losses keep the router healthy: experts should be used
          alike, and scores stay small. Only their gradients join the training; the loss that is logged is the main one.
Source    Shazeer et al. 2017, arXiv 1701.06538, section 2.1 (softmax over the kept k); Fedus et al. 2022 (Switch),
          arXiv 2101.03961, section 2.2 (balance); Zoph et al. 2022 (ST-MoE), arXiv 2202.08906, section 3.2 (router
          z-loss); coefficients 0.001 and 0.01: AquilaMoE, arXiv 2408.06567. The experts: SwiGLU, arXiv 2002.05202.
Formula   score_NE = x router^T;  y = SUM over the best k of softmax_k(score) down_e(silu(gate_e(x)) * up_e(x))
          balance = E SUM_e f_e P_e;  f_e: share of the N k choices that fell on e;  P_e: mean of softmax_E(score)
          z = mean over positions of logsumexp(score)^2;  added: balance_weight balance + z_weight z, in each layer
Shapes    x_BTC -> y_BTC; E experts of inner width F each
Units     plain numbers; multiply-adds count the router and the k experts a position passes through
Fidelity  Adapted: of several choices a position f_e is the share of all of them, so balance is 1 where use is even,
          whatever k (Switch has k = 1). Equal scores go to the expert of lower number. f and P are means over one
          forward pass, so with micro-batches or several processes they are those of the parts; that their gradients
          count once a step must be said (see model/auxiliary.py), or they count once a part.
Errors    More experts asked for than there are raises RecipeError. NaN gives NaN.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any, NamedTuple, cast

import torch
from annotated_types import Ge
from torch import Tensor, nn

from seedbed.core.errors import RecipeError
from seedbed.model.auxiliary import attached
from seedbed.model.contract import FeedForward
from seedbed.model.gated import GatedFeedForward, gated_width
from seedbed.model.layers import Projection


@dataclasses.dataclass(frozen=True)
class Experts(FeedForward):
    """A mixture of experts.

    Args:
        experts: how many there are.
        active: how many each position passes through.
        balance_weight: of the loss that has experts used alike.
        z_weight: of the loss that keeps scores small.
    """

    experts: Annotated[int, Ge(1)] = 8
    active: Annotated[int, Ge(1)] = 2
    balance_weight: Annotated[float, Ge(0)] = 0.001
    z_weight: Annotated[float, Ge(0)] = 0.01

    def __post_init__(self) -> None:
        """Raises RecipeError where more are asked than there are."""
        super().__post_init__()
        if self.active > self.experts:
            what = f"{self.active} experts cannot be chosen of {self.experts}"
            raise RecipeError(f"{self.name()}.active", what, "Lower active, or raise experts.")

    def default_width(self, width: int) -> int:
        """Of each expert: 8/3 of the model's, rounded to a multiple of 16."""
        return gated_width(width)

    def build(self, width: int, inner: int, bias: bool) -> nn.Module:
        """A router, and three matrices an expert."""
        return ExpertsLayer(self, width, inner, bias)

    def parameters(self, width: int, inner: int, bias: bool) -> int:
        """All experts and the router."""
        expert = 3 * width * inner + (2 * inner + width if bias else 0)
        return self.experts * (expert + width)

    def multiply_adds(self, width: int, inner: int) -> float:
        """The router, and the experts a position passes through."""
        return self.experts * width + self.active * 3 * width * inner


class Routing(NamedTuple):
    """Which position goes where. M = N k choices, sorted by expert, and within one by position.

    Attributes:
        choice_M: number of each choice; its position is choice // k.
        size_E: how many choices fell on each expert.
        weight_NK: of each position's choices; 1 in sum.
    """

    choice_M: Tensor
    size_E: list[int]
    weight_NK: Tensor


class ExpertsLayer(nn.Module):
    """The best experts of each position, weighted."""

    def __init__(self, method: Experts, width: int, inner: int, bias: bool) -> None:
        super().__init__()
        self.method = method
        self.router = Projection(width, method.experts)
        self.experts = nn.ModuleList(GatedFeedForward(width, inner, bias) for _ in range(method.experts))

    def forward(self, x_BTC: Tensor) -> Tensor:
        """y_BTC."""
        x_NC, k = x_BTC.reshape(-1, x_BTC.shape[-1]), self.method.active
        score_NE = cast(Tensor, self.router(x_NC)).float()
        choice_M, size_E, weight_NK = routing(score_NE, k)
        pieces = cast("tuple[Tensor, ...]", cast(Any, x_NC.index_select(0, choice_M // k)).split(size_E))
        # an expert without positions computes nothing, and yet takes part: every weight has a gradient in every step
        made_MC = torch.cat([expert(piece) for expert, piece in zip(self.experts, pieces, strict=True)])
        made_NKC = made_MC.index_select(0, choice_M.argsort()).view(-1, k, x_NC.shape[-1])
        y_BTC = (made_NKC * weight_NK[..., None].to(made_NKC.dtype)).sum(1).view_as(x_BTC)
        return self._with_losses(y_BTC, score_NE, size_E)

    def _with_losses(self, y_BTC: Tensor, score_NE: Tensor, size_E: list[int]) -> Tensor:
        balance, z = self.method.balance_weight, self.method.z_weight
        if not score_NE.requires_grad or not (balance or z):
            return y_BTC
        return attached(y_BTC, balance * balance_loss(score_NE, size_E) + z * z_loss(score_NE))


def routing(score_NE: Tensor, k: int) -> Routing:
    """The best k experts of each position; of equal ones those of lower number."""
    best = score_NE.sort(dim=1, descending=True, stable=True)
    expert_M = best.indices[:, :k].reshape(-1)
    size_E = cast("list[int]", cast(Any, torch.bincount(expert_M, minlength=score_NE.shape[1])).tolist())
    return Routing(expert_M.argsort(stable=True), size_E, best.values[:, :k].softmax(1))


def balance_loss(score_NE: Tensor, size_E: list[int]) -> Tensor:
    """E SUM f P: 1 where experts are used alike, E where one is used alone."""
    used_E = score_NE.new_tensor(size_E) / sum(size_E)
    return len(size_E) * (used_E * score_NE.softmax(1).mean(0)).sum()


def z_loss(score_NE: Tensor) -> Tensor:
    """Mean square of the logarithm of the scores' normaliser."""
    return score_NE.logsumexp(1).square().mean()
