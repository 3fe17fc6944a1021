"""DoGE: the shares that train most on domains whose gradients lower the loss where it matters.

What      A proxy model is trained while each step compares every domain's gradient with the gradients of the target's
          domains. A domain that points where the target's losses fall gains weight. The shares are the weights
          averaged over the steps. Without target text the pool's own domains are the target.
Source    Fan, Pagliardini, Jaggi 2024 (ICML), arXiv 2310.15393, algorithm 1; compared with Olivia-fsm/DoGE
          (src/trainer.py), February 2024.
Formula   alignment_d = <g_d, SUM_j g_j>, over the target's domains j; g are gradients of mean losses, clipped
          score_d = rate_t clip(alignment_d / (mean_e |g_e| + 1e-6), lowest, highest)
          weight_d <- weight_d exp(score_d / mu) / SUM_e weight_e exp(score_e / mu); then smoothed
          share_d = mean over steps of weight_d; the proxy steps along SUM_d weight_d g_d, with the new weights
Shapes    alignment_D, norm_D a step -> weight_D; step_weight_SD -> share_D
Units     Gradients in nats per token per unit of a parameter; rates and shares are plain numbers.
Fidelity  Adapted: mu 0.01, the clip to [0, 5], no smoothing, and the paper's peak of 5e-4 are those of the released
          code. So is include_self: that code means to leave out <g_d, g_d> where the target is the training domains,
          but its comparison of two sets of tensors is never true, so it stays in. The clip of gradients is the
          recipe's (released: norm 5). All gradients are the proxy's at one step; the released models have 82M
          parameters and 10k steps.
Errors    SeedbedError where include_self is False beside target text, where the run has no step, or a weight is not
          finite. A domain that is not in a batch scores 0.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge, Gt, Le, Lt

from seedbed.core.errors import RecipeError, SeedbedError
from seedbed.select.mixing import (
    Domains,
    FloatArray,
    Mixer,
    Mixture,
    ProxyRun,
    Seen,
    StepSeen,
    WeightLaw,
    average_of_steps,
)
from seedbed.stats.exponentiated_gradient import moved


@dataclasses.dataclass(frozen=True)
class Doge(Mixer):
    """Parameters of the proxy and of the weights' steps.

    Args:
        mu: the smaller, the further weights move at a step.
        lowest, highest: bounds of an alignment in units of the domains' mean gradient norm; at 0 no domain is pushed
            down but by others' rise.
        smoothing: part of the weight that is spread evenly at each step.
        include_self: a domain's alignment with itself counts where the target is the pool's own domains.
        tokens: how long the proxy is trained.
        shape: its size relative to the arm's model, in width and depth.
        learning_rate: peak.
        sampling: "uniform" draws as many sequences from each domain, "pool" by the pool's shares.
    """

    asks = ("proxy",)

    mu: Annotated[float, Gt(0)] = 0.01
    lowest: float = 0.0
    highest: Annotated[float, Gt(0)] = 5.0
    smoothing: Annotated[float, Ge(0), Lt(1)] = 0.0
    include_self: bool = True
    tokens: Annotated[int, Gt(0)] = 2_000_000
    shape: Annotated[float, Gt(0), Le(4)] = 0.5
    learning_rate: Annotated[float, Gt(0), Le(1)] = 5e-4
    sampling: Literal["pool", "uniform"] = "uniform"

    def __post_init__(self) -> None:
        """Raises RecipeError for a parameter outside its bounds."""
        super().__post_init__()
        if self.lowest >= self.highest:
            raise RecipeError(f"{self.name()}.lowest", f"{self.lowest} is not below highest", "Lower it.")

    def proxy(self) -> tuple[ProxyRun, WeightLaw]:
        """A proxy with gradients a domain, and their alignment."""
        run = ProxyRun(self.tokens, self.shape, self.learning_rate, gradients=True, sampling=self.sampling)
        return run, Alignment(self.mu, self.lowest, self.highest, self.smoothing, self.include_self)

    def mixture(self, domains: Domains, seen: Seen, seed: int) -> Mixture:
        """The average of the weights; told beside it: the last ones, and the number of steps."""
        del seed
        return average_of_steps(domains, seen, self.path())


@dataclasses.dataclass(frozen=True)
class Alignment:
    """The weights' step towards domains whose gradients help the target."""

    mu: float
    lowest: float
    highest: float
    smoothing: float
    include_self: bool

    def first(self, domains: Domains) -> FloatArray:
        """Uniform. Raises SeedbedError where a domain's own part is to be left out and it has none."""
        if domains.targets and not self.include_self:
            what = "with target text no domain is its own target, so there is nothing to leave out"
            raise SeedbedError("select.mixers.doge.include_self", what, "Leave it true, or name no target.")
        return np.full(len(domains.names), 1.0 / len(domains.names))

    def next(self, weight_D: FloatArray, seen: StepSeen) -> FloatArray:
        """Towards the domains that point where the target's losses fall."""
        there_D = np.isfinite(seen.alignment_D) & np.isfinite(seen.norm_D)
        if not there_D.any():
            return weight_D
        alignment_D = np.where(there_D, seen.alignment_D, 0.0)
        if not self.include_self:
            alignment_D = np.where(there_D, alignment_D - seen.norm_D**2, 0.0)
        scaled_D = alignment_D / (seen.norm_D[there_D].mean() + 1e-6)
        score_D = seen.learning_rate * np.clip(scaled_D, self.lowest, self.highest)
        return moved(weight_D, score_D, rate=1.0 / self.mu, smoothing=self.smoothing)
